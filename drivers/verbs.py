"""Verbs of the command line that concern the bench alone: ports, calibrate.

A verb takes parsed options and returns what to print and the exit code; heavy imports wait until it is called.
"""

import argparse
from pathlib import Path

from ..robots.table import as_text


def ports(options: argparse.Namespace) -> tuple[str, int]:
    """List serial ports and the USB serial numbers of their adapters."""
    from .ports import port_names, usb_serial

    rows = [{"port": name, "unit": usb_serial(name)} for name in port_names()]
    return as_text(rows, json_wanted=options.json), 0


def ports_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `ports`."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def calibrate(options: argparse.Namespace) -> tuple[str, int]:
    """Write the calibration of a unit whose servo horns sit as designed; moves nothing."""
    from ..robots.description import load_robot
    from .bus import ActuatorBus
    from .calibration import calibrate_to_nominal, unit_of
    from .ports import open_port
    from .protocols import load_protocol
    from .wired import bus_of, models_of

    robot = load_robot(options.robot)
    wire = bus_of(robot)
    port = open_port(options.port, wire.baud_rate)
    bus = ActuatorBus(port, load_protocol(wire.protocol), models=models_of(robot))
    try:
        calibration, path = calibrate_to_nominal(robot, bus, options.unit or unit_of(options.port), options.file)
    finally:
        bus.close()
    return f"calibrated unit {calibration.unit} of {robot.name}: {path}", 0


def calibrate_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `calibrate`."""
    parser.add_argument("--port", required=True)
    parser.add_argument("--robot", default="so101")
    parser.add_argument("--unit", help="name of this unit; the USB serial number if not given")
    parser.add_argument("--file", type=Path, help="where it goes; its usual place if not given")
