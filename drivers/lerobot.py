"""Read a calibration that LeRobot wrote: counts of the ends of each joint, and the offset it put into the servo.

    {"shoulder_pan": {"id": 1, "drive_mode": 0, "homing_offset": -709, "range_min": 758, "range_max": 3292}, ...}

Its counts are those behind the servo's offset. It has no date, model, unit or angles: the middle of each range is taken
for the middle of the described one, and a joint that it lets turn freely for one whose middle count is zero.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, floor
from pathlib import Path

from ..robots.description import RobotDescription
from ..robots.errors import RefusedError
from ..robots.strict import build, load_json
from .calibration import FORMAT_VERSION, TWO_PI, ActuatorCalibration, Calibration
from .fitting import ENDLESS
from .wired import models_of

WIDTH_ERROR = 0.5  # rad by which a travel may differ from the described one


@dataclass(frozen=True, slots=True, kw_only=True)
class LeRobotMotor:
    """One motor as LeRobot keeps it.

    Attributes:
        id: Id on the bus.
        drive_mode: 1 where its counts fall with the joint angle.
        homing_offset: What it wrote into the servo's offset register.
        range_min: Smallest count of the travel.
        range_max: Largest.
    """

    id: int
    drive_mode: int
    homing_offset: int
    range_min: int
    range_max: int


def load(path: Path, robot: RobotDescription) -> dict[str, LeRobotMotor]:
    """Read a file for an arm.

    Args:
        path: LeRobot's JSON.
        robot: The arm whose joints it must name.

    Returns:
        Motors by joint name, in the arm's order.

    Raises:
        RefusedError: If the file is missing or malformed, or its joints or ids are not this arm's.
    """
    table = load_json(path, "a calibration")
    if not isinstance(table, dict):
        raise RefusedError(f"{path}: not a calibration of LeRobot, which maps names to motors")
    names = robot.actuator_names
    if sorted(table) != sorted(names):
        raise RefusedError(f"{path}: names {', '.join(map(str, table))}, but {robot.name} has {', '.join(names)}")
    motors = {name: build(LeRobotMotor, table[name], f"{path}: {name}") for name in names}
    for i, (name, motor) in zip(robot.actuator_ids, motors.items(), strict=True):
        if motor.id != i:
            raise RefusedError(f"{path}: {name} is id {motor.id}, but id {i} in {robot.name}")
        if motor.drive_mode not in (0, 1):
            raise RefusedError(f"{path}: {name}: drive_mode is {motor.drive_mode}; allowed: 0, 1")
        if not motor.range_min < motor.range_max:
            raise RefusedError(f"{path}: {name}: range_min {motor.range_min} is not below {motor.range_max}")
    return motors


def to_calibration(motors: dict[str, LeRobotMotor], robot: RobotDescription, unit: str) -> Calibration:
    """Turn counts into a calibration.

    Args:
        motors: From `load`.
        robot: The arm.
        unit: Key of the unit.

    Raises:
        RefusedError: If a travel is not that of the arm's joint.
    """
    g = robot.gripper
    ranges = [*((j.lower, j.upper) for j in robot.joints), (min(g.closed, g.open), max(g.closed, g.open))]
    models = models_of(robot)
    rows = []
    for (name, motor), (lower, upper), drive in zip(motors.items(), ranges, robot.actuator_drives, strict=True):
        turn = drive.ticks_per_turn
        scale = TWO_PI / turn
        sign = -1 if motor.drive_mode else 1
        low, high = motor.range_min, motor.range_max
        travel, wanted = (high - low) * scale, upper - lower
        if high - low >= ENDLESS * turn:
            zero = float(turn // 2 - 1)  # LeRobot's homing makes the middle pose read 2047
        elif name == g.joint:
            zero = (low if sign > 0 else high) - sign * g.closed / scale  # it opens wider than tasks need
        elif abs(travel - wanted) > WIDTH_ERROR:
            raise RefusedError(
                f"{name} (id {motor.id}): the file has a travel of {travel:.2f} rad, the joint one of {wanted:.2f}: "
                "sweep it from end to end, genba calibrate --sweep"
            )
        else:
            zero = 0.5 * (low + high) - sign * 0.5 * (lower + upper) / scale
        ends = sorted((zero + sign * lower / scale, zero + sign * upper / scale))
        rows.append(
            ActuatorCalibration(
                actuator_id=motor.id,
                joint=name,
                zero_ticks=zero,
                sign=sign,
                lower_ticks=ceil(max(ends[0], low)),
                upper_ticks=floor(min(ends[1], high)),
                ticks_per_turn=turn,
                model_number=models[motor.id],
                offset_ticks=motor.homing_offset,
            )
        )
    return Calibration(
        format_version=FORMAT_VERSION,
        robot=robot.name,
        unit=unit,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        actuators=tuple(rows),
    )
