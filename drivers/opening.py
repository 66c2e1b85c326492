"""Open whichever arm hangs on a port: a bus of servos with its calibration, or a controller, which needs none."""

from pathlib import Path

from ..robots.description import RobotDescription
from .arm import BenchArm
from .calibration import find_calibration
from .controller_arm import ControllerArm
from .protocols import language_names
from .wired import bus_of

AnyArm = BenchArm | ControllerArm


def has_controller(robot: RobotDescription) -> bool:
    """Whether an arm is driven by a controller that plans by itself.

    Args:
        robot: The arm.

    Raises:
        RefusedError: If it has no wire at all.
    """
    return bus_of(robot).protocol in language_names()


def open_arm(robot: RobotDescription, url: str, calibration: Path | None = None) -> AnyArm:
    """Open the port of an arm; `connect` comes next.

    Args:
        robot: The arm.
        url: As for `open_port`.
        calibration: File of this unit; its usual place if not given. Controllers keep their own.

    Raises:
        RefusedError: If the arm has no wire, or its calibration does not fit.
        BusError: If the port cannot be opened.
    """
    if has_controller(robot):
        return ControllerArm.open(robot, url)
    return BenchArm.open(robot, url, find_calibration(robot, url, calibration))
