"""Read a calibration that phosphobot wrote: counts of two poses and the sense of turning of each servo.

    {"name": "so-100", "servos_offsets": [2048.0, ...], "servos_calibration_position": [1072.0, ...],
     "servos_offsets_signs": [-1.0, 1.0, ...], ...}

The first pose is zero of its own model of the arm, jaw shut; in the second the jaw is open. It has no ranges: they are
the described ones, as far as they lie within one turn of the servo. It does not tell the servo's own offset, so that
must be the same as when it was written; a joint that then stands outside its range tells that it is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, floor, pi
from pathlib import Path

from ..robots.description import RobotDescription
from ..robots.errors import RefusedError
from ..robots.strict import build, load_json
from .calibration import FORMAT_VERSION, TWO_PI, ActuatorCalibration, Calibration
from .wired import models_of

MARK = "servos_offsets"  # the key by which its files are known
OUTSIDE = 128  # ticks by which a joint may stand outside its range


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """How the model of an arm that phosphobot ships stands to ours: angle = sign * its angle + shift.

    Attributes:
        robot: Catalogue name.
        signs: One for each joint, without the gripper.
        shifts: The same, rad.
    """

    robot: str
    signs: tuple[int, ...]
    shifts: tuple[float, ...]


# Read off joint axes and origins of both models in their zero poses; phosphobot 0.3.134.
FRAMES = {
    "so-100": Frame(robot="so101", signs=(-1, 1, 1, 1, 1), shifts=(0.0, 0.0, 0.0, 0.0, 0.5 * pi)),
    "koch-v1.1": Frame(robot="koch", signs=(1, 1, 1, 1, 1), shifts=(0.0, 0.0, 0.0, 0.0, 0.0)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PhosphobotArm:
    """What is used of a file.

    Attributes:
        name: Its name of the arm.
        servos_offsets: Counts in the first pose.
        servos_calibration_position: Counts in the second.
        servos_offsets_signs: 1 or -1, by which counts grow with its angle.
    """

    name: str
    servos_offsets: tuple[float, ...]
    servos_calibration_position: tuple[float, ...]
    servos_offsets_signs: tuple[float, ...]


def load(path: Path, robot: RobotDescription) -> PhosphobotArm:
    """Read a file for an arm.

    Args:
        path: phosphobot's JSON.
        robot: The arm it must be of.

    Raises:
        RefusedError: If the file is missing, malformed, or of another arm.
    """
    table = load_json(path, "a calibration")
    if not isinstance(table, dict) or MARK not in table:
        raise RefusedError(f"{path}: not a calibration of phosphobot, which has {MARK}")
    names = PhosphobotArm.__dataclass_fields__
    arm = build(PhosphobotArm, {key: value for key, value in table.items() if key in names}, str(path))
    frame = FRAMES.get(arm.name)
    if frame is None or frame.robot != robot.name:
        known = ", ".join(f"{theirs} for {own.robot}" for theirs, own in FRAMES.items())
        raise RefusedError(f"{path}: is of {arm.name!r}, not of {robot.name}; read are {known}")
    count = len(robot.actuator_ids)
    for key in (MARK, "servos_calibration_position", "servos_offsets_signs"):
        if len(getattr(arm, key)) != count:
            raise RefusedError(f"{path}: {key} has {len(getattr(arm, key))} values, {robot.name} has {count} servos")
    for name, sign in zip(robot.actuator_names, arm.servos_offsets_signs, strict=True):
        if sign not in (1.0, -1.0):
            raise RefusedError(f"{path}: {name}: its sign is {sign:g}; allowed: 1, -1")
    shut, opened = arm.servos_offsets[-1], arm.servos_calibration_position[-1]
    if shut == opened:
        raise RefusedError(f"{path}: {robot.gripper.joint} reads {shut:g} both shut and open: calibrate it again")
    return arm


def to_calibration(
    arm: PhosphobotArm, robot: RobotDescription, unit: str, *, offsets: Mapping[int, int], here: Mapping[int, int]
) -> Calibration:
    """Turn counts into a calibration.

    Args:
        arm: From `load`.
        robot: The arm.
        unit: Key of the unit.
        offsets: What the servos' own offset registers hold, by id.
        here: Where the servos stand now, ticks by id.

    Raises:
        RefusedError: If a joint stands outside its range, or has none within its servo's turn.
    """
    frame = FRAMES[arm.name]
    g = robot.gripper
    ranges = [*((j.lower, j.upper) for j in robot.joints), (min(g.closed, g.open), max(g.closed, g.open))]
    opening = 1 if arm.servos_calibration_position[-1] > arm.servos_offsets[-1] else -1
    signs = [round(s) * own for s, own in zip(arm.servos_offsets_signs, frame.signs, strict=False)]
    signs.append(opening if g.open > g.closed else -opening)
    shifts = (*frame.shifts, g.closed)
    models = models_of(robot)
    rows = []
    for k, (i, name, drive) in enumerate(
        zip(robot.actuator_ids, robot.actuator_names, robot.actuator_drives, strict=True)
    ):
        turn, sign = drive.ticks_per_turn, signs[k]
        zero = arm.servos_offsets[k] - sign * shifts[k] * turn / TWO_PI
        first, last = sorted(zero + sign * angle * turn / TWO_PI for angle in ranges[k])
        low, high = ceil(max(first, 0)), floor(min(last, turn - 1))
        if not low < high or not low - OUTSIDE <= here[i] <= high + OUTSIDE:
            raise RefusedError(
                f"{name} (id {i}) reads {here[i]} ticks, but the file has its range at {round(first)}..{round(last)}: "
                "its offset or horn was changed since; sweep it, genba calibrate --sweep"
            )
        rows.append(
            ActuatorCalibration(
                actuator_id=i,
                joint=name,
                zero_ticks=zero,
                sign=sign,
                lower_ticks=low,
                upper_ticks=high,
                ticks_per_turn=turn,
                model_number=models[i],
                offset_ticks=offsets[i],
            )
        )
    return Calibration(
        format_version=FORMAT_VERSION,
        robot=robot.name,
        unit=unit,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        actuators=tuple(rows),
    )
