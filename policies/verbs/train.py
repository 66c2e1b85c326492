"""`genba train`: a policy in simulation."""

import argparse
import shlex
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from ...robots.errors import GenbaError, RefusedError
from ...robots.table import as_json
from . import _options
from ._options import natural, positive
from .report import make

if TYPE_CHECKING:
    from ...robots.description import RobotDescription
    from ..training.recipe import Recipe


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Train a policy in simulation, with checkpoints and TensorBoard logs."""
    from ...envs.tasks import load_task
    from ...robots.catalogue import load_robot
    from ..training.recipe_load import load_recipe, parse_change

    load_task(options.task)
    robot = load_robot(options.robot)
    changes = [parse_change(text) for text in options.set]
    for key in ("algorithm", "obs", "level", "curriculum", "randomize"):
        value = getattr(options, key)
        if value:
            changes.append((key, value))
    recipe = load_recipe(options.task, robot, file=options.recipe, changes=changes)
    if options.demos is not None:
        _check_left_to_demos(options, recipe, robot)
    if options.show:
        return as_json(recipe.to_json()), 0
    if options.out is None:
        raise RefusedError("--out is missing: name a folder for the run")
    # Only now the seconds that torch takes: a mistyped name is answered at once.
    from ..train import train as work

    try:
        with closing(_options.crew(options.ray)) as crew:
            outcome = work(
                task=options.task,
                robot=options.robot,
                out=options.out,
                recipe=recipe,
                steps=options.steps,
                seed=options.seed,
                resume=options.resume,
                demos=options.demos,
                crew=crew,
            )
    except KeyboardInterrupt:
        raise StoppedError(f"interrupted; go on with: {_again(options)}") from None
    lines = [outcome.words, f"trained; pack it with: genba pack {options.out}"]
    if not options.no_report:
        lines[1:1] = make(options.out, None, quiet=False).words
    return "\n".join(lines), 0


def _check_left_to_demos(options: argparse.Namespace, recipe: "Recipe", robot: "RobotDescription") -> None:
    """Refuse a recipe that asks for other demonstrations than those of the dataset."""
    from ..training.recipe_load import load_recipe

    own = load_recipe(options.task, robot).imitation
    for key in ("demonstrations", "noise"):
        if getattr(recipe.imitation, key) != getattr(own, key):
            raise RefusedError(f"imitation.{key} does nothing with --demos, which says it itself; leave it out")
    if recipe.tempo != load_recipe(options.task, robot).tempo:
        raise RefusedError("tempo does nothing with --demos, which were recorded at the expert's own; leave it out")


class StoppedError(GenbaError):
    """A person has stopped a training; the text says how to go on."""

    exit_code = 130


def _again(options: argparse.Namespace) -> str:
    words = ["genba", "train", options.task, "--robot", options.robot, "--out", str(options.out)]
    words += ["--steps", str(options.steps)] if options.steps else []
    words += ["--seed", str(options.seed)] if options.seed else []
    words += ["--algo", options.algorithm] if options.algorithm else []
    words += ["--obs", options.obs] if options.obs else []
    words += ["--level", options.level] if options.level else []
    words += ["--curriculum"] if options.curriculum else []
    words += ["--randomize", options.randomize] if options.randomize else []
    words += ["--demos", str(options.demos)] if options.demos else []
    words += ["--recipe", str(options.recipe)] if options.recipe else []
    for change in options.set:
        words += ["--set", change]
    words += ["--ray", options.ray] if options.ray else []
    return shlex.join([*words, "--resume"])


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("task")
    parser.add_argument("--robot", default="so101")
    parser.add_argument("--out", type=Path, help="folder for the run")
    parser.add_argument("--steps", type=positive, help="environment steps of reinforcement learning")
    parser.add_argument("--seed", type=natural, default=0)
    parser.add_argument(
        "--algo", dest="algorithm", help="imitate, imitate+sac, tempo+imitate, PPO, SAC, TD3, DDPG, TQC or CrossQ"
    )
    parser.add_argument("--obs", help="what the policy sees: state, or rgb for pictures of the cell's cameras")
    parser.add_argument("--level", help="degree of difficulty, where the task has several")
    parser.add_argument("--curriculum", action="store_true", help="climb to that level from the easiest one")
    parser.add_argument("--randomize", help="what differs between episodes: off, nominal or wide")
    parser.add_argument("--demos", type=Path, metavar="DIR", help="begin with demonstrations that `genba demos` wrote")
    parser.add_argument("--recipe", type=Path, metavar="FILE.toml", help="changes to the task's recipe")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="such as imitation.rounds=4")
    parser.add_argument("--show", action="store_true", help="print the recipe and do nothing")
    parser.add_argument("--no-report", action="store_true", help="write no page with curves and clips at the end")
    _options.cluster(parser)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
