"""Episodes of the expert with everything that every tick knew.

The expert acts on the whole state, also where a policy would see pictures, and in the same batches as in a training;
so what is recorded is to the bit what a training would have collected itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.env import CellEnv
from ...robots.observation import Observation
from ..training.collect import Job, Lane, run_lanes
from .columns import ACHIEVED, ACTION, GOAL, IMAGES, LABEL, PICTURE, STATE, WHOLE_STATE, picture_names

LEVELS = 256  # of brightness


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One episode as it is written; T ticks.

    Attributes:
        seed: Seed of its reset.
        noise: Standard deviation of the noise on what was sent.
        success: Whether it ended in success.
        randomization: What was drawn for it, as JSON.
        rows: T rows of every column but those of `columns.COMMON`.
        last: The moment after the last action, which no frame has room for: stamp, state, achieved and goal.
        shades: By camera, how often each brightness occurs in red, green and blue, (3, 256).
    """

    seed: int
    noise: float
    success: bool
    randomization: str
    rows: dict[str, list[Any]]
    last: dict[str, list[float]]
    shades: dict[str, NDArray[np.int64]]

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.rows[ACTION])


def record_job(job: Job) -> list[Episode]:
    """Run and record all episodes of a job in this process."""
    return [lane.episode(job) for lane in run_lanes(job, RecordingLane)]


class RecordingLane(Lane):
    """One cell on its way through an episode, with all that happens written down."""

    def __init__(self, env: CellEnv) -> None:
        """Take a cell."""
        super().__init__(env)
        self.cameras = picture_names(env)

    def start(self, seed: int, job: Job) -> None:
        """Begin the episode of a seed."""
        self.moments: list[dict[str, Any]] = []
        self.results: list[dict[str, Any]] = []
        super().start(seed, job)

    def take(self, observation: Observation, info: Mapping[str, Any]) -> None:
        """Keep a moment."""
        station = self.env.station
        whole = self.env.spec_.pack(station.values)
        state = station.state
        if self.moments:
            self.results.append(
                {
                    "target": list(station.target),
                    "admitted": [*station.admitted.joint_positions, station.admitted.gripper],
                    "admitted.reasons": ",".join(sorted(set(station.admitted.reasons))),
                    "next.reward": 0.0 if info["met"] else -1.0,
                    "next.done": False,
                    "next.success": bool(info["is_success"]),
                }
            )
        else:
            self.drawn = json.dumps(info["randomization"], sort_keys=True)
        self.moments.append(
            {
                STATE: observation["observation"],
                WHOLE_STATE: whole["observation"],
                GOAL: whole["desired_goal"],
                ACHIEVED: whole["achieved_goal"],
                "stamp": state.stamp,
                "measured.positions": [*state.joint_positions, state.gripper],
                "measured.velocities": list(state.joint_velocities),
                "measured.efforts": list(state.joint_efforts),
                **{f"{IMAGES}{n.removesuffix(PICTURE)}": observation[n] for n in self.cameras},
            }
        )
        super().take(whole, info)

    def episode(self, job: Job) -> Episode:
        """What came of it."""
        *moments, last = self.moments
        self.results[-1]["next.done"] = True
        rows = {name: [row[name] for row in moments] for name in last}
        rows |= {name: [row[name] for row in self.results] for name in self.results[0]}
        rows |= {ACTION: self.actions, LABEL: self.labels}
        if self.env.seen == self.env.spec_.observation:
            del rows[WHOLE_STATE]
        shades = {}
        for name in self.cameras:
            key = f"{IMAGES}{name.removesuffix(PICTURE)}"
            shades[key] = _shades(np.stack(rows[key]))
            rows[key] = [_png(picture) for picture in rows[key]]
        return Episode(
            seed=self.seed,
            noise=job.noise,
            success=self.success,
            randomization=self.drawn,
            rows=rows,
            last={
                "stamp": [last["stamp"]],
                "state": last[WHOLE_STATE].tolist(),
                "achieved": last[ACHIEVED].tolist(),
                "goal": last[GOAL].tolist(),
            },
            shades=shades,
        )


def _png(picture: NDArray[np.uint8]) -> bytes:
    import cv2

    _, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return bytes(encoded)


def _shades(pictures: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.stack([np.bincount(pictures[..., c].ravel(), minlength=LEVELS) for c in range(3)])
