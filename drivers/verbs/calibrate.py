"""`genba calibrate`: write down where the joints of one unit are."""

import argparse
from pathlib import Path


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Write the calibration of a unit whose servo horns sit as designed; moves nothing."""
    from ...robots.description import load_robot
    from ..bus import ActuatorBus
    from ..calibration import calibrate_to_nominal, unit_of
    from ..ports import open_port
    from ..protocols import load_protocol
    from ..wired import bus_of, models_of

    robot = load_robot(options.robot)
    wire = bus_of(robot)
    port = open_port(options.port, wire.baud_rate)
    bus = ActuatorBus(port, load_protocol(wire.protocol), models=models_of(robot))
    try:
        calibration, path = calibrate_to_nominal(robot, bus, options.unit or unit_of(options.port), options.file)
    finally:
        bus.close()
    return f"calibrated unit {calibration.unit} of {robot.name}: {path}", 0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    parser.add_argument("--port", required=True)
    parser.add_argument("--robot", default="so101")
    parser.add_argument("--unit", help="name of this unit; the USB serial number if not given")
    parser.add_argument("--file", type=Path, help="where it goes; its usual place if not given")
