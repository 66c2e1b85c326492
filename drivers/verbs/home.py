"""`genba home`: to the position from which episodes start."""

import argparse

from . import _options


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Move an arm to its home position, slowly, through the safety envelope; it holds there."""
    from ...robots.catalogue import load_robot
    from ...robots.table import as_json
    from ..lead import lead

    robot = load_robot(options.robot)
    target = (*robot.home, robot.gripper.home)
    report = lead(
        robot, options.port, options.calibration, speed=options.speed, work=lambda guide: guide.move_to(target)
    )
    return as_json(report.to_json()) if options.json else str(report), 0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    _options.port(parser)
    _options.robot(parser)
    _options.speed(parser, 0.5)
    _options.machine(parser)
