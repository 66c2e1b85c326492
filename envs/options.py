"""Numbers that `reset(options=...)` may set: read strictly, refused with what is allowed."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from ..robots.description import RobotDescription
from ..robots.errors import RefusedError

Range = tuple[float, float]


def number_option(options: Mapping[str, Any], key: str, allowed: Range, unit: str) -> float:
    """Read one number.

    Args:
        options: Given to `reset`.
        key: Which of them.
        allowed: Least and greatest value.
        unit: For people.

    Raises:
        RefusedError: If it is none, not finite or out of range.
    """
    try:
        value = float(options[key])
    except (TypeError, ValueError):
        value = float("nan")
    if not allowed[0] <= value <= allowed[1]:
        raise RefusedError(f"option {key!r} is {options[key]!r}; allowed is {allowed[0]:.4g}..{allowed[1]:.4g} {unit}")
    return value


def rows_option(
    options: Mapping[str, Any], key: str, count: int, columns: Mapping[str, Range]
) -> list[tuple[float, ...]]:
    """Read a row of numbers for each of several things.

    Args:
        options: Given to `reset`.
        key: Which of them.
        count: How many rows are needed.
        columns: Name with unit, and range, of each number of a row.

    Raises:
        RefusedError: If the shape is another, or a number is not finite or out of range.
    """
    given = options[key]
    try:
        rows = [tuple(float(v) for v in row) for row in given]
    except (TypeError, ValueError):
        rows = []
    if len(rows) != count or not all(_fits(row, list(columns.values())) for row in rows):
        said = ", ".join(f"{name} {low:.4g}..{high:.4g}" for name, (low, high) in columns.items())
        raise RefusedError(f"option {key!r} needs {count} rows of ({said})")
    return rows


def joints_option(options: Mapping[str, Any], robot: RobotDescription) -> tuple[float, ...]:
    """Read `joint_positions`, rad.

    Raises:
        RefusedError: If they are not as many as the arm has joints, not finite or out of range.
    """
    try:
        values = tuple(float(v) for v in options["joint_positions"])
    except (TypeError, ValueError):
        values = ()
    joints = robot.joints
    if len(values) != len(joints) or not all(j.lower <= v <= j.upper for j, v in zip(joints, values, strict=False)):
        limits = ", ".join(f"{j.name} {j.lower}..{j.upper}" for j in joints)
        raise RefusedError(f"option 'joint_positions' is {options['joint_positions']!r}; allowed, in rad: {limits}")
    return values


def _fits(row: Sequence[float], ranges: Sequence[Range]) -> bool:
    return len(row) == len(ranges) and all(
        isfinite(v) and low <= v <= high for v, (low, high) in zip(row, ranges, strict=True)
    )
