"""`genba setup`: give the servos of an arm their ids and rate, one by one."""

import argparse
import sys
from pathlib import Path

from ...robots.errors import RefusedError, UnknownNameError
from . import _options


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Give servos their ids and rate, one plugged in at a time, or reset one; every write is read back."""
    from ...robots.catalogue import load_robot
    from ...robots.table import as_json
    from ..chain import Found
    from ..lone import find_alone
    from ..progress import bar
    from ..protocols import load_protocol
    from ..servo_setup import SetUp, baud_code, set_up, take_back
    from ..shadows import mounting
    from ..wired import bus_of, models_of

    robot = load_robot(options.robot)
    wire, models = bus_of(robot), models_of(robot)
    rates = load_protocol(wire.protocol).baud_rates
    code = baud_code(rates, options.baud or wire.baud_rate)
    names = {name: i for i, name in robot.servo_names.items()}
    if sum([options.joint is not None, options.factory_reset, options.undo is not None]) > 1:
        raise RefusedError("one thing at a time: --joint, --factory-reset or --undo")
    if options.joint is not None and options.joint not in names:
        raise UnknownNameError("joint", options.joint, names)

    def alone() -> Found:
        with bar(len(rates), "looking for the servo") as advance:
            return find_alone(options.port, wire.protocol, on_look=advance)

    def give(joint: str) -> SetUp:
        found = alone()
        wanted = models[names[joint]]
        if found.model_number != wanted:
            raise RefusedError(
                f"{joint}: the servo plugged in is a model {found.model_number}, expected {wanted}: fit the right one"
            )
        place = {"id": names[joint], "baud_code": code, **mounting(robot, names[joint])}
        return set_up(options.port, found, wanted=place, joint=joint)

    done: list[SetUp] = []
    if options.undo is not None:
        done.append(take_back(options.port, alone(), options.undo))
    elif options.factory_reset:
        found = alone()
        question = f"servo {found.actuator_id} loses every setting but its id"
        _options.confirm(question, yes=options.yes)
        done.append(set_up(options.port, found, reset=True))
    elif options.joint is not None:
        done.append(give(options.joint))
    else:
        if not sys.stdin.isatty():
            raise RefusedError("nobody is here to plug servos in one by one: say which one is plugged in, --joint NAME")
        for joint in reversed(names):  # from the tip, so that the chain grows toward the adapter
            sys.stderr.write(f"plug in the servo of {joint} alone (it becomes id {names[joint]}), then press Enter: ")
            sys.stderr.flush()
            if not sys.stdin.readline():
                raise RefusedError(f"nobody answered; done so far: {', '.join(s.joint for s in done) or 'none'}")
            done.append(give(joint))
            sys.stderr.write(f"{done[-1]}\n")
    if options.json:
        return as_json([item.to_json() for item in done]), 0
    return "\n".join(map(str, done)), 0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    _options.port(parser)
    parser.add_argument("--robot", default="so101", help="so101 if not given")
    parser.add_argument("--joint", metavar="NAME", help="the servo plugged in is this joint's; asks if not given")
    parser.add_argument("--baud", type=int, help="rate to set; the arm's own if not given")
    parser.add_argument("--factory-reset", action="store_true", help="restore factory settings of the servo plugged in")
    parser.add_argument("--yes", action="store_true", help="do not ask before the reset")
    parser.add_argument("--undo", type=Path, metavar="FILE", help="write back what this file holds")
    _options.machine(parser)
