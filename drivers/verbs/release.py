"""`genba release`: torque off, after saying how far the arm will fall."""

import argparse
from typing import TYPE_CHECKING

from . import _options

if TYPE_CHECKING:
    from ...robots.description import RobotDescription


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Switch the torque of an arm off, after saying how far it will fall."""
    from contextlib import closing

    from ...robots.catalogue import load_robot
    from ...robots.table import as_json
    from ..arm import BenchArm
    from ..bus import Fault
    from ..calibration import find_calibration
    from ..drop import preview
    from ..opening import has_controller

    robot = load_robot(options.robot)
    if has_controller(robot):
        return _let_go(options, robot)
    calibration = find_calibration(robot, options.port, options.calibration)
    with closing(BenchArm.open(robot, options.port, calibration)) as arm:
        # Not connected, on purpose: an arm that is too hot or overloaded must be released all the same.
        heard = arm.bus.telemetry(robot.actuator_ids)
        positions = [
            row.to_position(result.position_ticks)
            for row, result in zip(calibration.actuators, heard.values(), strict=True)
            if not isinstance(result, Fault)
        ]
        switches = arm.bus.sync_read("torque_switch", robot.actuator_ids)
        limp = all(switch == 0 for switch in switches.values())  # a silent servo may hold torque
        known = len(positions) == len(robot.actuator_ids) and not limp
        drop = preview(robot, positions) if known else None
        told = "not every servo answers, so how far the arm will fall is not known"
        if limp or drop is not None:
            told = str(drop or "no joint holds torque")
        if options.preview:
            return as_json({"drop": drop and drop.to_json(), "released": False}) if options.json else told, 0
        _options.confirm(f"{told}: hold it", yes=options.yes or limp)
        arm.release()
    if options.json:
        return as_json({"drop": drop and drop.to_json(), "released": True}), 0
    return f"released; {told}", 0


def _let_go(options: argparse.Namespace, robot: "RobotDescription") -> tuple[str, int]:
    """The same behind a controller, whose motors no twin can weigh: it may fall as far as its tool stands high."""
    from contextlib import closing

    from ...robots.kinematics import Kinematics
    from ...robots.table import as_json
    from ..controller_arm import ControllerArm

    with closing(ControllerArm.open(robot, options.port)) as arm:
        arm.bus.connect()
        height = Kinematics(robot).forward(arm.where()).position[2]
        told = f"the arm will sink, at most by the {height:.2f} m that its tool stands above the base"
        if options.preview:
            return as_json({"height": height, "released": False}) if options.json else told, 0
        _options.confirm(f"{told}: hold it", yes=options.yes)
        arm.release()
    return as_json({"height": height, "released": True}) if options.json else f"released; {told}", 0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    _options.port(parser)
    _options.robot(parser)
    parser.add_argument("--yes", action="store_true", help="somebody holds the arm, or it is parked: do not ask")
    parser.add_argument("--preview", action="store_true", help="only say how far it would fall")
    _options.machine(parser)
