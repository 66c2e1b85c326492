"""`genba demos`: demonstrations of the scripted expert as a dataset that LeRobot reads."""

import argparse
from contextlib import closing
from pathlib import Path

from ...robots.table import as_json
from . import _options
from .train import StoppedError


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Write what the scripted expert does as a dataset in LeRobot's format v3."""
    from ...envs.tasks import load_task
    from ...robots.catalogue import load_robot
    from ..demonstrations.make import make
    from ..pages.progress import progress_bar

    load_task(options.task)
    load_robot(options.robot)
    good = 0
    with (
        closing(_options.crew(options.ray, options.workers)) as crew,
        progress_bar(options.episodes, f"demos of {options.task}", quiet=options.json) as advance,
    ):

        def show(success: bool) -> None:
            nonlocal good
            good += success
            advance(f"{good} succeeded")

        try:
            made = make(
                task=options.task,
                robot=options.robot,
                out=options.out,
                episodes=options.episodes,
                seed=options.seed,
                noise=options.noise,
                randomize=options.randomize,
                level=options.level or "",
                obs=options.obs,
                crew=crew,
                on_episode=show,
            )
        except KeyboardInterrupt:
            raise StoppedError("interrupted; the episodes so far are kept: give the same command again") from None
    if options.json:
        return as_json(made.to_json()), 0
    return (
        f"{made.path}: {made.episodes} episodes of {made.task} on {made.robot}, {made.frames} frames\n"
        f"success {made.rate}\n"
        f"train on them with: genba train {made.task} --robot {made.robot} --demos {made.path} --out RUN",
        0,
    )


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("task")
    parser.add_argument("--robot", default="so101")
    parser.add_argument("--out", type=Path, required=True, help="folder of the dataset")
    _options.trials(parser, 96)
    parser.add_argument("--noise", type=float, default=0.0, help="on what is sent in the second half, 0 to 1")
    parser.add_argument("--obs", choices=("state", "rgb", "state+rgb"), default="state", help="with pictures or not")
    parser.add_argument("--level", help="degree of difficulty, where the task has several")
    parser.add_argument("--randomize", default="off", help="what differs between episodes: off, nominal or wide")
    _options.machine(parser)
