"""One row per tick: when, what was asked, what was allowed and why, what was measured, what the policy saw."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .description import RobotDescription
from .errors import RefusedError
from .files import whole
from .observation import Observation
from .state import ArmState, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Everything one tick knew.

    Attributes:
        stamp: Stamp of the measurement after the tick, s.
        action: What the policy asked, in [-1, 1].
        target: Joint target with the gripper last, rad.
        admitted: What the envelope let through.
        reasons: Limits that changed the target.
        state: The measurement after the tick.
        observation: What the policy sees next.
    """

    stamp: float
    action: Vector
    target: Vector
    admitted: Vector
    reasons: tuple[str, ...]
    state: ArmState
    observation: Observation


class Recorder:
    """Keeps the newest ticks in memory and writes them as one `.npz` without pickle."""

    def __init__(self, robot: RobotDescription, *, capacity: int = 200_000) -> None:
        """Start empty.

        Args:
            robot: Whose joints the columns are.
            capacity: Ticks kept; the oldest tenth is dropped when it is full.
        """
        self.robot = robot
        self._capacity = capacity
        self.rows: list[Tick] = []

    def add(self, tick: Tick) -> None:
        """Keep one row."""
        if len(self.rows) >= self._capacity:
            del self.rows[: self._capacity // 10]
        self.rows.append(tick)

    def save(self, path: Path) -> None:
        """Write all rows at once; a full disk leaves the file of before untouched.

        Args:
            path: Target, with the ending `.npz`.

        Raises:
            RefusedError: If there is nothing to write.
            DiskError: If the disk does not take it.
        """
        if not self.rows:
            raise RefusedError(f"{path}: nothing was recorded")
        rows = self.rows
        columns = {
            "stamp": np.array([r.stamp for r in rows]),
            "action": np.array([r.action for r in rows]),
            "target": np.array([r.target for r in rows]),
            "admitted": np.array([r.admitted for r in rows]),
            "reasons": np.array([",".join(sorted(set(r.reasons))) for r in rows]),
            "joint_positions": np.array([(*r.state.joint_positions, r.state.gripper) for r in rows]),
            "joint_velocities": np.array([r.state.joint_velocities for r in rows]),
            "joint_efforts": np.array([r.state.joint_efforts for r in rows]),
            "names": np.array(self.robot.actuator_names),
            **{group: np.array([r.observation[group] for r in rows]) for group in rows[0].observation},
        }
        with whole(path) as draft, draft.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **columns)
