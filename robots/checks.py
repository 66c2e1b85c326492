"""What no arm can have: the ranges, names and references that a robot's TOML must keep.

Types and finiteness are `strict.py`'s concern; here stands what the numbers mean. Each refusal names file, key and
what is allowed.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .errors import RefusedError

if TYPE_CHECKING:
    from .description import RobotDescription

# Keys, lowest, highest value, and the rule in words; "above" excludes the lowest itself.
_RANGES: Final = (
    (
        ("joint_step", "ee_step", "ee_turn", "max_velocity", "max_acceleration", "tcp_speed", "stale_after"),
        0.0, math.inf, "above 0",
    ),
    (("look_ahead", "stall_torque", "no_load_speed", "position_gain", "baud_rate"), 0.0, math.inf, "above 0"),
    (("max_duty",), 0.0, 1.0, "above 0 and at most 1"),
    (("start_duty",), 0.0, 1.0, "between 0 and 1"),
    (("actuator_id", "shadow_ids"), 0, 252, "between 0 and 252"),
    (("model_number",), 0, 65535, "between 0 and 65535"),
    (("max_force", "opening", "squeeze", "travel_time", "approach", "radius"), 0.0, math.inf, "0 or more"),
    (("action_latency", "observation_latency"), 0.0, 1.0, "between 0 and 1 s"),
    (
        ("derivative_gain", "dead_zone_ticks", "friction", "viscous", "armature", "backlash", "ticks_per_turn"),
        0.0, math.inf, "0 or more",
    ),
)  # fmt: skip


def check(robot: "RobotDescription", path: Path) -> None:
    """Refuse a description that no arm can have.

    Args:
        robot: What was read.
        path: Where from, for the error text.

    Raises:
        RefusedError: If a number, name or reference is out of its range; the text names file, key and cure.
    """
    _check_names(robot, path)
    _check_numbers(robot, path)
    for joint in robot.joints:
        where = f"{path}: joint {joint.name!r}"
        if not joint.lower < joint.upper:
            raise RefusedError(f"{where}: lower {joint.lower} is not below upper {joint.upper}")
        for key in ("home", "park"):
            if not joint.lower <= getattr(joint, key) <= joint.upper:
                raise RefusedError(
                    f"{where}: {key} {getattr(joint, key)} is outside {joint.lower}..{joint.upper}; move it inside"
                )
    gripper = robot.gripper
    where = f"{path}: gripper"
    if gripper.closed == gripper.open or len(gripper.opening) < 2:
        raise RefusedError(f"{where}: closed and open must differ, and opening needs at least two values")
    if any(b <= a for a, b in pairwise(gripper.opening)):
        raise RefusedError(f"{where}: opening must grow from closed to open")
    if gripper.slide and (
        len(gripper.slide) != len(gripper.opening) or any(b <= a for a, b in pairwise(gripper.slide))
    ):
        raise RefusedError(f"{where}: slide must grow from closed to open, with as many values as opening")
    low, high = sorted((gripper.closed, gripper.open))
    if not low <= gripper.home <= high:
        raise RefusedError(f"{where}: home {gripper.home} is outside {low}..{high}; move it inside")
    limits = robot.limits
    if any(a >= b for a, b in zip(limits.workspace_lower, limits.workspace_upper, strict=True)):
        raise RefusedError(f"{path}: limits: workspace_lower must be below workspace_upper in x, y and z")
    count = len(robot.actuator_names)
    if len(limits.look_ahead) != count:
        raise RefusedError(
            f"{path}: limits: look_ahead needs {count} positive values, one per joint and one for the gripper"
        )
    _check_linkages(robot, path)
    for key in ("radius", "azimuth", "height", "yaw"):
        low, high = getattr(robot.reach, key)
        if low > high:
            raise RefusedError(f"{path}: reach: {key} {low} is above {high}")


def _check_linkages(robot: "RobotDescription", path: Path) -> None:
    """Rows with an entry per driven joint, and poses that the rods allow."""
    count = len(robot.joints)
    for where, row in (
        *((f"passive {p.name!r}: coefficients", p.coefficients) for p in robot.passive),
        *((f"linkage {link.name!r}: coefficients", link.coefficients) for link in robot.linkages),
    ):
        if len(row) != count:
            raise RefusedError(f"{path}: {where} has {len(row)} values; it needs {count}, one per joint")
    if robot.bus is not None and robot.bus.zeros and len(robot.bus.zeros) != count:
        raise RefusedError(f"{path}: bus: zeros has {len(robot.bus.zeros)} values; it needs {count}, one per joint")
    for link in robot.linkages:
        if not link.lower < link.upper:
            raise RefusedError(f"{path}: linkage {link.name!r}: lower {link.lower} is not below upper {link.upper}")
        for key, pose in (("home", robot.home), ("park", robot.park)):
            total = sum(c * q for c, q in zip(link.coefficients, pose, strict=True))
            if not link.lower <= total <= link.upper:
                raise RefusedError(
                    f"{path}: linkage {link.name!r}: {key} has {total:.3f}, outside {link.lower}..{link.upper}; move it"
                )


def _check_names(robot: "RobotDescription", path: Path) -> None:
    """Names, choices and references."""
    if robot.name != path.stem:
        raise RefusedError(f"{path}: name is {robot.name!r}, but the file is called {path.name}; they must agree")
    if robot.tolerance not in ("servo", "lab", "industrial"):
        raise RefusedError(f"{path}: tolerance is {robot.tolerance!r}; allowed: servo, lab, industrial")
    if robot.control_rate_hz <= 0 or 240 % robot.control_rate_hz:
        raise RefusedError(f"{path}: control_rate_hz is {robot.control_rate_hz}; it must be positive and divide 240")
    _check_urdf(robot, path)
    if not robot.joints:
        raise RefusedError(f"{path}: joints is empty; an arm needs at least one")
    if len(set(robot.actuator_names)) != len(robot.actuator_names):
        raise RefusedError(f"{path}: two joints have the same name")
    if len(set(robot.actuator_ids)) != len(robot.actuator_ids):
        raise RefusedError(f"{path}: two joints have the same actuator_id")
    shadows = [i for joint in robot.joints for i in joint.shadow_ids]
    if len({*robot.actuator_ids, *shadows}) != len(robot.actuator_ids) + len(shadows):
        raise RefusedError(f"{path}: a servo of shadow_ids has the id of another one")
    parts = [(f"joint {joint.name!r}", joint.drive) for joint in robot.joints]
    for part, drive in (*parts, ("gripper", robot.gripper.drive)):
        if drive not in robot.drives:
            raise RefusedError(f"{path}: {part}: drive {drive!r} is not one of {', '.join(sorted(robot.drives))}")
    for key, kind in robot.drives.items():
        if kind.kind not in ("servo", "impedance", "stepper"):
            raise RefusedError(f"{path}: drives.{key}: kind is {kind.kind!r}; allowed: servo, impedance, stepper")
        if kind.kind == "servo" and kind.ticks_per_turn <= 0:
            raise RefusedError(f"{path}: drives.{key}: a servo needs ticks_per_turn above 0")


def _check_urdf(robot: "RobotDescription", path: Path) -> None:
    where = f"{path}: urdf {robot.urdf[:60]!r}"
    relative = Path(robot.urdf)
    if relative.is_absolute() or ".." in relative.parts or "\0" in robot.urdf:
        raise RefusedError(f"{where} lies outside sim_assets/; copy it there and name it relative to that folder")
    try:
        found = robot.urdf_path.is_file()
    except OSError:  # a name longer than the file system allows
        found = False
    if not found:
        raise RefusedError(f"{where} is neither in sim_assets/ nor beside this file")


def _check_numbers(robot: "RobotDescription", path: Path) -> None:
    """Ranges of single numbers, key by key."""
    for table, owner in _tables(robot):
        for keys, low, high, rule in _RANGES:
            for key in keys:
                for value in _numbers(owner, key):
                    if not (low < value if rule.startswith("above") else low <= value) or value > high:
                        raise RefusedError(f"{path}: {table}{key} is {value}; it must be {rule}")


def _tables(robot: "RobotDescription") -> Iterator[tuple[str, object]]:
    yield "", robot
    for joint in robot.joints:
        yield f"joint {joint.name!r}: ", joint
    yield "gripper: ", robot.gripper
    yield "limits: ", robot.limits
    yield "reach: ", robot.reach
    yield "timing: ", robot.timing
    if robot.bus is not None:
        yield "bus: ", robot.bus
    for key, drive in robot.drives.items():
        yield f"drives.{key}: ", drive


def _numbers(owner: object, key: str) -> tuple[float, ...]:
    value = getattr(owner, key, ())
    values = value if isinstance(value, tuple) else (value,)
    return tuple(v for v in values if isinstance(v, int | float))
