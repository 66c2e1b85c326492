"""What assembly tasks share: two places, far enough apart for a hand, and what they observe."""

from collections.abc import Mapping
from math import hypot
from typing import Any

import numpy as np

from ..robots.errors import RefusedError
from ..robots.observation import Field
from .layout import Seat
from .task import Task

ASSEMBLY_FIELDS = (
    Field(name="tcp_yaw", size=2, unit="1", low=-1.0, high=1.0),
    Field(name="tcp_following_error", size=3, unit="m", low=-1.0, high=1.0),
    Field(name="part_position", size=3, unit="m", low=-20.0, high=20.0, source="parts"),
    Field(name="part_yaw", size=2, unit="1", low=-1.0, high=1.0, source="parts"),
    Field(name="rack_position", size=3, unit="m", low=-2.0, high=2.0, source="job"),
)


def two_places(
    task: Task,
    rng: np.random.Generator,
    options: Mapping[str, Any],
    *,
    seat: tuple[str, float],
    rack: tuple[str, float],
    apart: float,
) -> tuple[Seat, Seat]:
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
