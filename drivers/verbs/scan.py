"""`genba scan`: which servos or which controller answer on a port, how they are, and where the chain breaks."""

import argparse

from ...robots.errors import RefusedError, UnknownNameError
from ...robots.table import as_columns, as_json
from . import _options


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Find what answers on a port: all ids, baud rates, protocols and command languages; writes nothing."""
    from ...robots.catalogue import load_robot
    from ..progress import bar
    from ..protocols import language_names, load_protocol, protocol_names
    from ..scan import plan, scan
    from ..wired import bus_of

    robot = load_robot(options.robot) if options.robot else None
    wire = bus_of(robot) if robot else None
    names, languages = protocol_names(), language_names()
    if options.protocol:
        for name in options.protocol:
            if name not in (*names, *languages):
                raise UnknownNameError("protocol", name, (*names, *languages))
        names = [load_protocol(name).name for name in options.protocol if name not in languages]
        languages = [name for name in languages if name in options.protocol]
    elif wire:
        names.sort(key=lambda name: name != wire.protocol)
        languages.sort(key=lambda name: name != wire.protocol)
    if options.ids or options.baud:
        languages = []
    for i in options.ids or ():
        if not 0 <= i < 253:
            raise RefusedError(f"--ids: {i} is no servo id; ids are 0..252")
    for rate in options.baud or ():
        if rate <= 0:
            raise RefusedError(f"--baud: {rate} is no baud rate")
    looks = plan(options.port, names, options.baud, wire.baud_rate if wire else None)
    if wire and wire.protocol in language_names():
        robot = None  # it has no chain of servos to give hints about
    with bar(len(looks) + bool(languages), "scan") as advance:
        report = scan(options.port, looks, ids=options.ids, robot=robot, languages=languages, on_look=advance)
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
    controllers = [
        {"controller": c.language, "baud": c.baud_rate, "state": "alarm" if c.alarms else c.activity or "answers"}
        for c in report.controllers
    ]
    table = as_columns(controllers) if controllers else as_columns(rows)
    return "\n".join([table, *report.hints, looked]), code


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    _options.port(parser)
    parser.add_argument("--robot", help="the arm that should be there, for hints on what is missing")
    parser.add_argument("--ids", type=_options.numbers, metavar="1-6,9", help="ask these one by one; all if not given")
    parser.add_argument("--baud", type=_options.numbers, metavar="RATE,...", help="only these rates")
    parser.add_argument("--protocol", action="append", metavar="NAME", help="only this one; may be given again")
    _options.machine(parser)
