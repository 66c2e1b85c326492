"""`genba jog`: move an arm a little, by keys or by numbers."""

import argparse
import sys
from collections.abc import Sequence
from math import isfinite

from ...robots.errors import RefusedError, UnknownNameError
from . import _options


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Jog an arm through the safety envelope: by keys while they are held, or by --joint NAME --by RAD, --x M."""
    from ...robots.catalogue import load_robot
    from ...robots.table import as_json
    from ..guide import Guide, ranges_of
    from ..jog import HELP, jog
    from ..keys import pressed
    from ..lead import lead

    robot = load_robot(options.robot)
    names = robot.actuator_names
    way = (options.x or 0.0, options.y or 0.0, options.z or 0.0)
    if options.joint is not None and options.joint not in names:
        raise UnknownNameError("joint", options.joint, names)
    if (options.joint is None) != (options.by is None):
        raise RefusedError("--joint and --by go together, as in --joint shoulder_pan --by 0.2")
    if options.joint is not None and any(way):
        raise RefusedError("a joint or the tool: give --joint and --by, or --x, --y and --z")
    if not all(isfinite(value) for value in (*way, options.by or 0.0)):
        raise RefusedError("a way must be a finite number")

    def check(stands: Sequence[float]) -> None:
        k = names.index(options.joint)
        low, high = ranges_of(robot)[k]
        if not low <= stands[k] + options.by <= high:
            unit = robot.gripper_unit if k == len(robot.joints) else "rad"
            raise RefusedError(
                f"{options.joint} stands at {stands[k]:.3f} {unit} and goes from {low:.3f} to {high:.3f}: "
                f"--by may be {low - stands[k]:.3f} to {high - stands[k]:.3f}"
            )

    def turn(guide: Guide) -> None:
        target = list(guide.target)
        target[names.index(options.joint)] += options.by
        guide.move_to(target)

    def slide(guide: Guide) -> None:
        guide.slide(way)

    if options.joint is not None or any(way):
        work, fits = (turn, check) if options.joint is not None else (slide, None)
        report = lead(robot, options.port, options.calibration, speed=options.speed, work=work, check=fits)
    else:
        with pressed() as keys:

            def by_keys(guide: Guide) -> None:
                jog(guide, keys, _show)

            sys.stderr.write(HELP + "\n")
            report = lead(robot, options.port, options.calibration, speed=options.speed, work=by_keys)
            _show("")
    return as_json(report.to_json()) if options.json else str(report), 0


def _show(line: str) -> None:
    sys.stderr.write(f"\r\x1b[K{line}")
    sys.stderr.flush()


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    _options.port(parser)
    _options.robot(parser)
    parser.add_argument("--joint", metavar="NAME", help="turn this joint, or the gripper, once")
    parser.add_argument("--by", type=float, metavar="RAD", help="by so much")
    for axis in "xyz":
        parser.add_argument(f"--{axis}", type=float, metavar="M", help=f"move the tool along {axis} of the base, once")
    _options.speed(parser, 0.1)
    _options.machine(parser)
