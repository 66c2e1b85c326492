"""What assembly tasks share: two places, far enough apart for a hand, and how a part moves between two ticks."""

from collections.abc import Mapping
from math import acos, dist, hypot
from typing import Any

import numpy as np

from ..robots.errors import RefusedError
from .body import Quaternion, Triple
from .task import Task

Place = tuple[float, float, float, float]  # x, y, z in m, yaw in rad


def two_places(
    task: Task,
    rng: np.random.Generator,
    options: Mapping[str, Any],
    *,
    seat: tuple[str, float],
    rack: tuple[str, float],
    apart: float,
) -> tuple[Place, Place]:
    """Draw where a part goes and where it waits, unless `reset` was told.

    Args:
        task: For what its arm can reach.
        rng: Generator.
        options: Of `reset`.
        seat: Option that names where the part goes, and the height at which it is there, m.
        rack: The same for where it waits.
        apart: Least distance between both, m.

    Raises:
        RefusedError: If a pose given is malformed, out of reach, at another height or too close to the other.
    """
    told = [task.pose_option(options, key) for key, _ in (seat, rack)]
    for (key, height), pose in zip((seat, rack), told, strict=True):
        if pose and abs(pose[2] - height) > 1e-3:
            raise RefusedError(f"option {key!r} has z {pose[2]}; there the part stands at z {height:.4f}")
    for _ in range(400):
        one, other = [
            pose or task.sample_pose(rng, (height, height))
            for (_, height), pose in zip((seat, rack), told, strict=True)
        ]
        if hypot(one[0] - other[0], one[1] - other[1]) >= apart:
            return one, other
        if all(told):
            raise RefusedError(f"options {seat[0]!r} and {rack[0]!r} are closer than {apart} m in x and y")
    raise RefusedError(f"no place {apart} m away from the given pose is in reach; name another")


def motion_between(
    before: tuple[Triple, Quaternion], after: tuple[Triple, Quaternion], dt: float
) -> tuple[float, float]:
    """Mean speed in m/s and angular speed in rad/s between two poses of a body.

    Of a part that lies tight, the engine's own velocities are what its solver will take back in the next substep.

    Args:
        before: Position in m and quaternion xyzw.
        after: The same `dt` later.
        dt: s.
    """
    cosine = abs(sum([p * q for p, q in zip(before[1], after[1], strict=True)]))
    spin = 2.0 * acos(min(cosine, 1.0)) / dt if cosine < 1.0 - 1e-15 else 0.0
    return min(dist(before[0], after[0]) / dt, 20.0), min(spin, 500.0)
