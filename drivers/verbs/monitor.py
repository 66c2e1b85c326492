"""`genba monitor`: what every servo of an arm measures, live, as JSON lines, or as a picture."""

import argparse
import sys
from pathlib import Path

from ...robots.errors import RefusedError
from ...robots.files import check_target
from . import _options


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Watch an arm: position, velocity, load, voltage, temperature, errors; sends no command."""
    import json
    from contextlib import closing

    from ...robots.catalogue import load_robot
    from ..bus import ActuatorBus
    from ..calibration import find_calibration, unit_of
    from ..chart import save
    from ..controller_monitor import ControllerMonitor
    from ..link import Link
    from ..monitor import Monitor, Sample, table
    from ..opening import has_controller
    from ..ports import open_port
    from ..protocols import load_language, load_protocol
    from ..wired import bus_of, models_of

    if not 0.0 < options.rate <= 100.0:
        raise RefusedError(f"--rate {options.rate:g} is not above 0 and at most 100 samples a second")
    if options.plot is not None:
        check_target(options.plot)
    robot = load_robot(options.robot)
    wire = bus_of(robot)
    planned = has_controller(robot)
    calibration = None if planned else find_calibration(robot, options.port, options.calibration)
    port = open_port(options.port, wire.baud_rate)
    kept: list[Sample] = []
    watched: ControllerMonitor | Monitor
    with closing(port):
        if calibration is None:
            watched = ControllerMonitor(robot, Link(port, load_language(wire.protocol)))
        else:
            watched = Monitor(
                robot, ActuatorBus(port, load_protocol(wire.protocol), models=models_of(robot)), calibration
            )
        live = sys.stdout.isatty() and not options.json
        last: Sample | None = None
        try:
            for sample in watched.samples(options.rate, options.seconds):
                last = sample
                if options.plot is not None:
                    kept.append(sample)
                if options.json:
                    sys.stdout.write(json.dumps(sample.to_json(), allow_nan=False) + "\n")
                    sys.stdout.flush()
                elif live:
                    rows = table(sample)
                    sys.stdout.write("\x1b[J" + rows + f"\x1b[{rows.count(chr(10))}A\r")
                    sys.stdout.flush()
        except KeyboardInterrupt:
            pass  # this is how watching ends
        except BrokenPipeError:
            last = None  # so does this: whoever read along has enough
        finally:
            if kept:
                save(kept, f"{robot.name}, unit {unit_of(options.port)}", options.plot)
    return "" if options.json or last is None else table(last), 0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    _options.port(parser)
    _options.robot(parser)
    parser.add_argument("--seconds", type=_options.seconds, help="how long; until Ctrl-C if not given")
    parser.add_argument("--rate", type=float, default=20.0, metavar="HZ", help="samples a second; 20 if not given")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw what was measured")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line for every sample")
