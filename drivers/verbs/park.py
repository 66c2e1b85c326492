"""`genba park`: to the position in which an arm may be released."""

import argparse

from . import _options


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Move an arm to its park position, slowly, through the safety envelope; it holds there until released."""
    from ...robots.catalogue import load_robot
    from ...robots.table import as_json
    from ..guide import Guide
    from ..lead import lead

    robot = load_robot(options.robot)

    def work(guide: Guide) -> None:
        guide.move_to((*robot.park, guide.target[-1]))  # what the gripper holds it keeps

    report = lead(robot, options.port, options.calibration, speed=options.speed, work=work)
    return as_json(report.to_json()) if options.json else str(report), 0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    _options.port(parser)
    _options.robot(parser)
    _options.speed(parser, 0.5)
    _options.machine(parser)
