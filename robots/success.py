"""When a goal counts as reached: a pose within tolerance, at rest, let go of, and held.

Goal vectors of every task share one layout, so that success is a formula over two vectors: the same for a step,
for a batch of relabelled transitions and for a row measured on the bench. The formula uses only operations that
IEEE 754 rounds exactly, which makes the scalar and the batched form agree to the bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import atan2, cos, pi, sin, sqrt
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .observation import Field
from .state import Vector
from .strict import build

Floats = npt.NDArray[np.floating[Any]]
N = TypeVar("N", float, npt.NDArray[np.float64])

TURN = 0.1  # m: what a radian of yaw costs in the dense reward
FINE = 0.3  # of the dense reward is lost where nothing is in place yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One further number that a task judges beside the pose: a count, a force, an angle turned.

    The limit stands in the desired goal, so that a condition is a comparison of two goal vectors like all others.

    Attributes:
        name: What is measured, with its unit, as `success_terms` prints it.
        unit: Its unit.
        at_least: Whether the value must reach the limit; else it must not exceed it.
        weight: Dense reward lost per unit that is missing or too much.
        high: Largest value that can occur; the smallest is 0.
    """

    name: str
    unit: str = "1"
    at_least: bool = False
    weight: float = 0.0
    high: float = 1000.0


def goal_fields(
    prefix: str, source: str, *, privileged: bool = False, criteria: Sequence[Criterion] = ()
) -> tuple[Field, ...]:
    """The layout of a goal vector: 10 numbers, and one for each criterion.

    Args:
        prefix: "achieved" or "goal".
        source: Where the values come from.
        privileged: Whether all but the pose is beyond any bench's senses.
        criteria: What the task judges beside the pose.
    """
    more = [
        Field(
            name=f"{prefix}_{c.name}", size=1, unit=c.unit, low=0.0, high=c.high, source=source, privileged=privileged
        )
        for c in criteria
    ]
    return (
        Field(name=f"{prefix}_position", size=3, unit="m", low=-2.0, high=2.0, source=source),
        Field(name=f"{prefix}_yaw", size=2, unit="1", low=-1.0, high=1.0, source=source),
        Field(name=f"{prefix}_tilt", size=1, unit="rad", low=-pi, high=pi, source=source),
        Field(name=f"{prefix}_speed", size=1, unit="m/s", low=0.0, high=20.0, source=source, privileged=privileged),
        Field(name=f"{prefix}_spin", size=1, unit="rad/s", low=0.0, high=500.0, source=source, privileged=privileged),
        Field(name=f"{prefix}_released", size=1, unit="1", low=0.0, high=1.0, source=source, privileged=privileged),
        Field(name=f"{prefix}_reach", size=1, unit="m", low=0.0, high=4.0, source=source, privileged=privileged),
        *more,
    )


GOAL_SIZE = 10


def goal_vector(position: Sequence[float], yaw: float, symmetry: int, limits: Sequence[float] = ()) -> Vector:
    """A wanted pose at rest, released.

    Args:
        position: x, y, z in m.
        yaw: Turn about the vertical, rad.
        symmetry: How many turns of the part look alike; the yaw is stored as (sin, cos) of its multiple.
        limits: One for each criterion of the task.
    """
    x, y, z = position
    return (x, y, z, sin(symmetry * yaw), cos(symmetry * yaw), 0.0, 0.0, 0.0, 1.0, 0.0, *limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """The conditions, all of which must hold at once for `hold_s` seconds.

    Attributes:
        position_tolerance: Largest distance from the wanted position, m.
        angle_tolerance: Largest error of yaw and of tilt, rad.
        symmetry: Number of yaw turns under which the part looks the same.
        max_speed: Largest speed that counts as settled, m/s.
        max_spin: Largest angular speed that counts as settled, rad/s.
        hold_s: How long, s.
        pose: Whether the task has a wanted pose; without one its place in the goal vectors stays zero.
        criteria: What is judged beside the pose, in the order of the goal vectors.
    """

    position_tolerance: float
    angle_tolerance: float
    symmetry: int = 1
    max_speed: float = 0.01
    max_spin: float = 0.1
    hold_s: float = 0.5
    pose: bool = True
    criteria: tuple[Criterion, ...] = ()

    def terms(self, achieved: Sequence[float], desired: Sequence[float]) -> dict[str, dict[str, float | bool]]:
        """Every sub-condition with its value, its limit and whether it holds.

        Args:
            achieved: Goal vector of what is.
            desired: Goal vector of what is wanted.
        """
        position = _distance(achieved, desired)
        sine = achieved[3] * desired[4] - achieved[4] * desired[3]
        cosine = achieved[3] * desired[3] + achieved[4] * desired[4]
        yaw = abs(atan2(sine, cosine)) / self.symmetry
        tilt, speed, spin, released = achieved[5:9]
        far, turned = self.position_tolerance, self.angle_tolerance
        fast, spun = self.max_speed, self.max_spin
        level = self._yaw_met(_chord(achieved, desired))
        placed: dict[str, dict[str, float | bool]] = {}
        if self.pose:
            placed = {
                "position_m": {"value": position, "limit": far, "ok": position <= far},
                "yaw_rad": {"value": yaw, "limit": turned, "ok": level},
                "tilt_rad": {"value": tilt, "limit": turned, "ok": tilt <= turned},
            }
        more: dict[str, dict[str, float | bool]] = {}
        for k, criterion in enumerate(self.criteria, GOAL_SIZE):
            value, limit = achieved[k], desired[k]
            ok = value >= limit if criterion.at_least else value <= limit
            more[criterion.name] = {"value": value, "limit": limit, "ok": ok}
        return {
            **placed,
            "speed_m_s": {"value": speed, "limit": fast, "ok": speed <= fast},
            "spin_rad_s": {"value": spin, "limit": spun, "ok": spin <= spun},
            "released": {"value": released, "limit": 1.0, "ok": released >= 0.5},
            **more,
        }

    def met(self, achieved: Sequence[float], desired: Sequence[float]) -> bool:
        """Whether all conditions hold at this instant."""
        return (
            achieved[8] >= 0.5
            and _distance(achieved, desired) <= self.position_tolerance
            and self._yaw_met(_chord(achieved, desired))
            and achieved[5] <= self.angle_tolerance
            and achieved[6] <= self.max_speed
            and achieved[7] <= self.max_spin
            and all(
                achieved[k] >= desired[k] if c.at_least else achieved[k] <= desired[k]
                for k, c in enumerate(self.criteria, GOAL_SIZE)
            )
        )

    def met_batch(self, achieved: Floats, desired: Floats) -> npt.NDArray[np.bool_]:
        """The same over the last axis of two arrays."""
        a, d = np.asarray(achieved, np.float64), np.asarray(desired, np.float64)
        result: npt.NDArray[np.bool_] = (
            (a[..., 8] >= 0.5)
            & (_distance_batch(a, d) <= self.position_tolerance)
            & (_chord_batch(a, d) <= self._chord_limit())
            & (a[..., 5] <= self.angle_tolerance)
            & (a[..., 6] <= self.max_speed)
            & (a[..., 7] <= self.max_spin)
        )
        for k, criterion in enumerate(self.criteria, GOAL_SIZE):
            result &= a[..., k] >= d[..., k] if criterion.at_least else a[..., k] <= d[..., k]
        return result

    def reward(self, achieved: Sequence[float], desired: Sequence[float], *, dense: bool) -> float:
        """Reward of one step: -1 or 0 when sparse, minus what is still to be done when dense, see `_missing`."""
        if not dense:
            return 0.0 if self.met(achieved, desired) else -1.0
        bonus = 0.0 if self.met(achieved, desired) else -0.1
        distance, chord = _distance(achieved, desired), _chord(achieved, desired)
        total = bonus - distance - 0.5 * achieved[9] - TURN * chord / self.symmetry
        total -= FINE * self._missing(distance, chord, *achieved[5:9])
        for k, criterion in enumerate(self.criteria, GOAL_SIZE):
            missing = desired[k] - achieved[k] if criterion.at_least else achieved[k] - desired[k]
            total -= criterion.weight * max(missing, 0.0)
        return total

    def reward_batch(self, achieved: Floats, desired: Floats, *, dense: bool) -> npt.NDArray[np.float64]:
        """The same over the last axis of two arrays, equal to the bit."""
        met = self.met_batch(achieved, desired)
        if not dense:
            return np.where(met, 0.0, -1.0)
        a, d = np.asarray(achieved, np.float64), np.asarray(desired, np.float64)
        bonus = np.where(met, 0.0, -0.1)
        distance, chord = _distance_batch(a, d), _chord_batch(a, d)
        total: npt.NDArray[np.float64] = bonus - distance - 0.5 * a[..., 9] - TURN * chord / self.symmetry
        total = total - FINE * self._missing(distance, chord, *(a[..., k] for k in range(5, 9)))
        for k, criterion in enumerate(self.criteria, GOAL_SIZE):
            missing = d[..., k] - a[..., k] if criterion.at_least else a[..., k] - d[..., k]
            total = total - criterion.weight * np.maximum(missing, 0.0)
        return total

    def to_json(self) -> dict[str, Any]:
        """A plain dict for a manifest."""
        return {**asdict(self), "criteria": [asdict(c) for c in self.criteria]}

    @classmethod
    def from_json(cls, table: Mapping[str, Any], where: str = "success") -> "Success":
        """Read what `to_json` wrote.

        Raises:
            RefusedError: If a key is unknown, missing or malformed.
        """
        return build(cls, table, where)

    def _missing(self, distance: N, chord: N, tilt: N, speed: N, spin: N, released: N) -> N:
        """How much of the last stretch is missing, 0 to 1, for numbers and arrays alike.

        Beside decimetres the last millimetres would weigh nothing. One quarter is being there, one lying straight, one
        lying still, one being let go of, each as far as those before hold; each is halved at its tolerance.
        """
        near = self.position_tolerance / (self.position_tolerance + distance)
        limit, angle = self._chord_limit(), self.angle_tolerance
        straight = limit / (limit + chord) * (angle / (angle + tilt))
        still = self.max_speed / (self.max_speed + speed) * (self.max_spin / (self.max_spin + spin))
        return 1.0 - near * (1.0 + straight * (1.0 + still * (1.0 + released))) / 4.0

    def _chord_limit(self) -> float:
        """Chord on the unit circle of the symmetric yaw that the angle tolerance spans."""
        return 2.0 * sin(min(0.5 * self.symmetry * self.angle_tolerance, 0.5 * pi))

    def _yaw_met(self, chord: float) -> bool:
        return chord <= self._chord_limit()


def _distance(a: Sequence[float], d: Sequence[float]) -> float:
    x, y, z = a[0] - d[0], a[1] - d[1], a[2] - d[2]
    return sqrt(x * x + y * y + z * z)


def _chord(a: Sequence[float], d: Sequence[float]) -> float:
    s, c = a[3] - d[3], a[4] - d[4]
    return sqrt(s * s + c * c)


def _distance_batch(a: npt.NDArray[np.float64], d: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    x, y, z = a[..., 0] - d[..., 0], a[..., 1] - d[..., 1], a[..., 2] - d[..., 2]
    result: npt.NDArray[np.float64] = np.sqrt(x * x + y * y + z * z)
    return result


def _chord_batch(a: npt.NDArray[np.float64], d: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    s, c = a[..., 3] - d[..., 3], a[..., 4] - d[..., 4]
    result: npt.NDArray[np.float64] = np.sqrt(s * s + c * c)
    return result
