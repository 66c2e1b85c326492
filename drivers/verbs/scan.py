"""`genba scan`: which servos answer on a port, how they are, and where the chain breaks."""

import argparse

from ...robots.errors import RefusedError
from ...robots.table import as_columns, as_json
from . import _options


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Find the servos on a port: all ids, baud rates and protocols; writes nothing."""
    from ...robots.description import load_robot
    from ..progress import bar
    from ..protocols import load_protocol, protocol_names
    from ..scan import plan, scan
    from ..wired import bus_of

    robot = load_robot(options.robot) if options.robot else None
    wire = bus_of(robot) if robot else None
    names = protocol_names()
    if options.protocol:
        names = [load_protocol(name).name for name in options.protocol]
    elif wire:
        names = [wire.protocol, *(name for name in names if name != wire.protocol)]
    for i in options.ids or ():
        if not 0 <= i < 253:
            raise RefusedError(f"--ids: {i} is no servo id; ids are 0..252")
    for rate in options.baud or ():
        if rate <= 0:
            raise RefusedError(f"--baud: {rate} is no baud rate")
    looks = plan(options.port, names, options.baud, wire.baud_rate if wire else None)
    with bar(len(looks), "scan") as advance:
        report = scan(options.port, looks, ids=options.ids, robot=robot, on_look=advance)
    code = 0 if report.complete else 4
    if options.json:
        return as_json(report.to_json()), code
    rows = [
        {
            "id": s.actuator_id,
            "protocol": s.protocol,
            "baud": s.baud_rate,
            "model": s.model or s.model_number,
            "firmware": s.firmware,
            "V": None if s.voltage is None else f"{s.voltage:.1f}",
            "degC": s.temperature,
            "state": "double" if s.double else "fault" if s.faults else "ok",
        }
        for s in report.servos
    ]
    looked = f"{len(report.tried)} combinations of protocol and rate in {report.seconds:.1f} s"
    return "\n".join([as_columns(rows), *report.hints, looked]), code


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    _options.port(parser)
    parser.add_argument("--robot", help="the arm that should be there, for hints on what is missing")
    parser.add_argument("--ids", type=_options.numbers, metavar="1-6,9", help="ask these one by one; all if not given")
    parser.add_argument("--baud", type=_options.numbers, metavar="RATE,...", help="only these rates")
    parser.add_argument("--protocol", action="append", metavar="NAME", help="only this one; may be given again")
    _options.machine(parser)
