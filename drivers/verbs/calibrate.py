"""`genba calibrate`: write down where the joints of one unit are."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ...robots.errors import RefusedError
from . import _options

if TYPE_CHECKING:
    from ...robots.description import RobotDescription
    from ..bus import ActuatorBus
    from ..fitting import Fit

POSES = ("park", "home")
MEASURE_SPEED = 0.3  # share of the arm's limits at which it goes from place to place


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Calibrate a unit: as designed, by a sweep by hand, by another program's file; or measure friction."""
    from contextlib import closing

    from ...robots.catalogue import load_robot
    from ...robots.table import as_json
    from ..bus import ActuatorBus
    from ..calibration import calibrate_to_nominal, calibration_path, unit_of
    from ..fitting import write
    from ..history import keep_old
    from ..opening import has_controller
    from ..ports import open_port
    from ..protocols import load_protocol
    from ..wired import bus_of, models_of

    if sum([options.sweep, options.measure, options.imported is not None]) > 1:
        raise RefusedError("one way at a time: --sweep, --import or --measure")
    robot = load_robot(options.robot)
    if has_controller(robot):
        return _homed(options, robot)
    if options.measure:
        return _measured(options, robot)
    wire = bus_of(robot)
    unit = options.unit or unit_of(options.port)
    place = options.file or calibration_path(robot.name, unit)
    port = open_port(options.port, wire.baud_rate)
    with closing(ActuatorBus(port, load_protocol(wire.protocol), models=models_of(robot))) as bus:
        old = keep_old(place)
        if not options.sweep and options.imported is None:
            try:
                calibration, path = calibrate_to_nominal(robot, bus, unit, options.file)
            except RefusedError as error:
                if "horn is not mounted as designed" not in str(error):
                    raise
                raise RefusedError(f"{error}; follow the horn with genba calibrate --sweep") from error
            fitted = None
        else:
            fitted = _swept(options, robot, bus, unit) if options.sweep else _imported(options, robot, bus, unit)
            calibration = fitted.calibration
            diff = "; ".join(map(str, fitted.changes))
            if fitted.changes:
                _options.confirm(f"the servos must be changed: {diff}", yes=options.yes)
            path = place
            with calibration.saving(path):  # a full disk must not leave changed servos and no file
                write(bus, fitted)
    if options.json:
        report = {
            "unit": calibration.unit,
            "robot": robot.name,
            "file": str(path),
            "replaced": str(old) if old else None,
            "eeprom": [change.to_json() for change in fitted.changes] if fitted else [],
            "pose_error": fitted.pose_error if fitted else {},
            "unsure": list(fitted.unsure) if fitted else [],
        }
        return as_json(report), 0
    lines = [f"calibrated unit {calibration.unit} of {robot.name}: {path}"]
    if fitted:
        lines += [f"written to {change}" for change in fitted.changes]
        lines += [f"{name}: the pose was {error:+.3f} rad off" for name, error in fitted.pose_error.items()]
        lines += [f"{name}: its sense of turning is the design's, the pose does not tell it" for name in fitted.unsure]
    if old:
        lines.append(f"the file it replaces is kept: {old}")
    return "\n".join(lines), 0


def _homed(options: argparse.Namespace, robot: "RobotDescription") -> tuple[str, int]:
    """A controller keeps its own calibration: clear its alarms and let it find its reference."""
    from contextlib import closing

    from ...robots.table import as_json
    from ..controller_arm import ControllerArm

    if options.sweep or options.measure or options.imported is not None:
        raise RefusedError(f"{robot.name} keeps its own calibration: --sweep, --import and --measure are for servos")
    _options.confirm("the arm may swing through its whole range to find its reference", yes=options.yes)
    with closing(ControllerArm.open(robot, options.port)) as arm:
        arm.calibrate()
    told = (
        f"{robot.name} has nothing to calibrate: its controller keeps that; alarms are cleared, its reference is found"
    )
    return as_json({"robot": robot.name, "file": None, "homed": True}) if options.json else told, 0


def _measured(options: argparse.Namespace, robot: "RobotDescription") -> tuple[str, int]:
    """Move each joint a little up and down, and say what it costs; no calibration is written."""
    from ...robots.table import as_json, as_text
    from ..friction import JointCost, measure
    from ..guide import Guide
    from ..lead import lead
    from ..progress import bar

    _options.confirm("each joint of the arm will move by 0.12 rad up and down, slowly", yes=options.yes)
    costs: list[JointCost] = []
    with bar(len(robot.joints), "measuring") as advance:

        def work(guide: Guide) -> None:
            costs.extend(measure(guide, on_joint=advance))

        lead(robot, options.port, options.file, speed=MEASURE_SPEED, work=work)
    rows = [cost.to_json() for cost in costs]
    return as_json({"joints": rows}) if options.json else as_text(rows, json_wanted=False), 0


def _swept(options: argparse.Namespace, robot: "RobotDescription", bus: "ActuatorBus", unit: str) -> "Fit":
    from ..fitting import fit
    from ..sweep import Sweep

    swept, posed = _until(options.seconds, "--seconds"), _until(options.pose_seconds, "--pose-seconds")
    sweep = Sweep(robot, bus)
    _say(f"move every joint of {robot.name} by hand from one end to the other, the gripper, too; then press Enter")
    bars = _bars()
    sweep.follow(swept, bars)
    bars("")
    if short := sweep.short():
        raise RefusedError(f"{'; '.join(short)}: move each joint from end to end, then calibrate again")
    pose = robot.park if options.pose == "park" else robot.home
    _say(f"put the arm into its {options.pose} pose, gripper shut: {_described(robot, pose)}; then press Enter")
    sweep.follow(posed, bars)
    bars("")
    return fit(
        robot,
        bus,
        unit=unit,
        lowest=sweep.lowest,
        highest=sweep.highest,
        posed=sweep.here,
        pose=(*pose, robot.gripper.closed),
    )


def _imported(options: argparse.Namespace, robot: "RobotDescription", bus: "ActuatorBus", unit: str) -> "Fit":
    from ...robots.strict import load_json
    from .. import lerobot, phosphobot
    from ..calibration import read_offset
    from ..fitting import Change, Fit

    here: dict[int, int] = {}
    for i, name in zip(robot.actuator_ids, robot.actuator_names, strict=True):
        if bus.read(i, "torque_switch"):
            raise RefusedError(f"{name} (id {i}) holds torque: genba release, then calibrate")
        here[i] = bus.read(i, "present_position")
    held = {i: read_offset(bus, i) for i in robot.actuator_ids}
    path = options.imported
    if phosphobot.MARK in load_json(path, "a calibration"):
        arm = phosphobot.load(path, robot)
        calibration = phosphobot.to_calibration(arm, robot, unit, offsets=held, here=here)
    else:
        calibration = lerobot.to_calibration(lerobot.load(path, robot), robot, unit)
    register = bus.framing.offset_register
    changes = []
    for row in calibration.actuators:
        now = held[row.actuator_id]
        if now == row.offset_ticks:
            continue
        if register is None:
            raise RefusedError(
                f"{path}: {row.joint} (id {row.actuator_id}) has an offset of {row.offset_ticks}, which its servo "
                "cannot hold: sweep it, genba calibrate --sweep"
            )
        changes.append(
            Change(
                joint=row.joint,
                actuator_id=row.actuator_id,
                register=register,
                now=now,
                becomes=row.offset_ticks,
                why="as the file says",
            )
        )
    return Fit(calibration=calibration, changes=tuple(changes), pose_error={}, unsure=())


def _described(robot: "RobotDescription", pose: tuple[float, ...]) -> str:
    return ", ".join(f"{joint.name} {angle:.2f}" for joint, angle in zip(robot.joints, pose, strict=True)) + " rad"


def _until(seconds: float | None, option: str) -> Callable[[float], bool]:
    """When to go on: after some seconds, or when Enter is pressed."""
    if seconds is not None:
        return lambda gone: gone >= seconds
    if not sys.stdin.isatty():
        raise RefusedError(f"nobody is here to press Enter: say how long it takes, {option} SECONDS")
    from ..keys import enter_pressed

    return lambda gone: enter_pressed()


def _bars() -> Callable[[str], None]:
    """Show lines in place of the last ones where a person looks."""
    if not sys.stderr.isatty():
        return lambda text: None

    def show(text: str) -> None:
        up = text.count("\n")
        sys.stderr.write(f"\x1b[J{text}\r" + (f"\x1b[{up}A" if up else ""))
        sys.stderr.flush()

    return show


def _say(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\x1b[J{text}\n")
        sys.stderr.flush()


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    parser.add_argument("--port", required=True)
    parser.add_argument("--robot", default="so101")
    parser.add_argument("--unit", help="name of this unit; the USB serial number if not given")
    parser.add_argument("--file", type=Path, help="where it goes; its usual place if not given")
    parser.add_argument("--sweep", action="store_true", help="follow the joints while you move them by hand")
    parser.add_argument("--seconds", type=_options.seconds, help="how long they are moved; until Enter if not given")
    parser.add_argument("--pose", choices=POSES, default="park", help="pose you put the arm into; park if not given")
    parser.add_argument(
        "--pose-seconds", type=_options.seconds, metavar="SECONDS", help="how long that takes; until Enter"
    )
    parser.add_argument(
        "--import", dest="imported", type=Path, metavar="FILE.json", help="take a file of LeRobot or phosphobot"
    )
    parser.add_argument(
        "--measure", action="store_true", help="move each joint a little and tell its friction, weight and play"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before moving or changing the servos' EEPROM")
    _options.machine(parser)
