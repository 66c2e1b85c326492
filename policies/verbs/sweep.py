"""`genba sweep`: which recipe is best."""

import argparse
import shlex
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from ...robots.table import as_json, as_text
from . import _options
from .train import StoppedError

if TYPE_CHECKING:
    from ..sweeps.sweep_trial import TrialResult


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Search for the best recipe: many trainings, each resumable, with Optuna."""
    from ...envs.tasks import load_task
    from ...robots.catalogue import load_robot
    from ..sweeps.sweep_space import parse_axis
    from ..training.recipe_load import parse_change

    load_task(options.task)
    load_robot(options.robot)
    axes = tuple(parse_axis(text) for text in options.param)
    changes = [parse_change(text) for text in options.set]
    if options.algorithm:
        changes.append(("algorithm", options.algorithm))
    from ..pages.progress import progress_bar
    from ..sweeps.sweep import Plan, Sweep

    plan = Plan(
        task=options.task,
        robot=options.robot,
        axes=axes,
        file=options.recipe,
        changes=tuple(changes),
        steps=options.steps,
        seed=options.seed,
    )
    sweep = Sweep(plan, study=options.study, storage=options.storage, out=options.out, resume=options.resume)
    # Processes on this machine: one for each trial of a batch, or as many as there are for the episodes of one.
    trainers = options.at_once if options.at_once and options.at_once > 1 and not options.ray else None
    try:
        with (
            closing(_options.crew(options.ray, trainers)) as crew,
            progress_bar(options.trials, f"sweep {options.study}", quiet=options.json) as advance,
        ):
            for row in sweep.rows():
                advance(f"trial {row['trial']} from the study")

            def show(result: "TrialResult") -> None:
                advance(f"trial {result.number} {result.state}: success {result.success:.2f} {result.words}")

            at_once = options.at_once or (crew.size if options.ray else 1)
            rows = sweep.run(options.trials, crew, at_once=at_once, on_trial=show)
    except KeyboardInterrupt:
        words = [word for word in sys.argv[1:] if word != "--resume"]
        raise StoppedError(f"interrupted; go on with: {shlex.join(['genba', *words, '--resume'])}") from None
    best = sweep.write_best()
    if options.json:
        return as_json({"best": str(best), "trials": rows}), 0
    return f"{as_text(rows, json_wanted=False)}\n\nbest recipe: {best}, for genba train --recipe", 0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("task")
    parser.add_argument("--robot", default="so101")
    parser.add_argument(
        "--param", action="append", default=[], metavar="KEY=VALUES", help="LOW..HIGH, LOW..HIGH:log or a,b,c"
    )
    parser.add_argument("--trials", type=_options.positive, default=20, help="in all, 20 if not given")
    parser.add_argument("--study", default="sweep", metavar="NAME", help="name of the study")
    parser.add_argument("--storage", metavar="URL", help="as Optuna takes it; a file in --out if not given")
    parser.add_argument("--out", type=Path, required=True, help="folder for the trials, which all machines see")
    parser.add_argument("--algo", dest="algorithm", help="as for train")
    parser.add_argument("--recipe", type=Path, metavar="FILE.toml", help="changes to the task's recipe")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="such as imitation.rounds=4")
    parser.add_argument("--steps", type=_options.positive, help="environment steps of reinforcement learning")
    parser.add_argument("--seed", type=_options.natural, default=0)
    parser.add_argument("--at-once", type=_options.positive, help="trials at a time; all processors with --ray, else 1")
    parser.add_argument("--resume", action="store_true", help="go on with the study")
    _options.cluster(parser)
    _options.machine(parser)
