"""Verbs of the command line that concern policies alone: train, pack, evaluate.

A verb takes parsed options and returns what to print and the exit code; heavy imports wait until it is called.
"""

import argparse
import shlex
from pathlib import Path

from ..robots.errors import GenbaError, RefusedError
from ..robots.table import as_json

MAX_SEED = 1_000_000  # seeds of episodes are a block of ten million per seed, and a layout takes 64 bits


def train(options: argparse.Namespace) -> tuple[str, int]:
    """Train a policy in simulation, with checkpoints and TensorBoard logs."""
    from ..envs.tasks import load_task
    from ..robots.description import load_robot
    from .recipe import load_recipe, parse_change

    load_task(options.task)
    robot = load_robot(options.robot)
    changes = [parse_change(text) for text in options.set]
    for key in ("algorithm", "level", "curriculum", "randomize"):
        value = getattr(options, key)
        if value:
            changes.append((key, value))
    recipe = load_recipe(options.task, robot, file=options.recipe, changes=changes)
    if options.show:
        return as_json(recipe.to_json()), 0
    if options.out is None:
        raise RefusedError("--out is missing: name a folder for the run")
    # Only now the seconds that torch takes: a mistyped name is answered at once.
    from .train import train as work

    try:
        outcome = work(
            task=options.task,
            robot=options.robot,
            out=options.out,
            recipe=recipe,
            steps=options.steps,
            seed=options.seed,
            resume=options.resume,
        )
    except KeyboardInterrupt:
        raise StoppedError(f"interrupted; go on with: {_again(options)}") from None
    return f"{outcome.words}\ntrained; pack it with: genba pack {options.out}", 0


class StoppedError(GenbaError):
    """A person has stopped a training; the text says how to go on."""

    exit_code = 130


def _again(options: argparse.Namespace) -> str:
    words = ["genba", "train", options.task, "--robot", options.robot, "--out", str(options.out)]
    words += ["--steps", str(options.steps)] if options.steps else []
    words += ["--seed", str(options.seed)] if options.seed else []
    words += ["--algo", options.algorithm] if options.algorithm else []
    words += ["--level", options.level] if options.level else []
    words += ["--curriculum"] if options.curriculum else []
    words += ["--randomize", options.randomize] if options.randomize else []
    words += ["--recipe", str(options.recipe)] if options.recipe else []
    for change in options.set:
        words += ["--set", change]
    return shlex.join([*words, "--resume"])


def train_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `train`."""
    parser.add_argument("task")
    parser.add_argument("--robot", default="so101")
    parser.add_argument("--out", type=Path, help="folder for the run")
    parser.add_argument("--steps", type=positive, help="environment steps of reinforcement learning")
    parser.add_argument("--seed", type=natural, default=0)
    parser.add_argument("--algo", dest="algorithm", help="imitate, imitate+sac, PPO, SAC, TD3, DDPG, TQC or CrossQ")
    parser.add_argument("--level", help="degree of difficulty, where the task has several")
    parser.add_argument("--curriculum", action="store_true", help="climb to that level from the easiest one")
    parser.add_argument("--randomize", help="what differs between episodes: off, nominal or wide")
    parser.add_argument("--recipe", type=Path, metavar="FILE.toml", help="changes to the task's recipe")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="such as imitation.rounds=4")
    parser.add_argument("--show", action="store_true", help="print the recipe and do nothing")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")


def pack(options: argparse.Namespace) -> tuple[str, int]:
    """Make one policy bundle of a training run."""
    from .pack import pack as work

    out = options.output or Path(f"{options.run.resolve().name}.genba")
    bundle = work(options.run, out)
    manifest = bundle.manifest
    return f"{out}: {manifest.task.name} on {manifest.robot.name}, differs from torch by {bundle.verify():.1g}", 0


def pack_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `pack`."""
    parser.add_argument("run", type=Path, help="folder that `genba train` made")
    parser.add_argument("-o", "--output", type=Path, help="the bundle; RUN.genba here if not given")


def evaluate(options: argparse.Namespace) -> tuple[str, int]:
    """Measure a policy in simulation: success rate, causes of failure, cycle time."""
    from .catalogue import find_policy
    from .evaluate import Trial
    from .evaluate import evaluate as work
    from .progress import progress_bar

    bundle = find_policy(options.bundle)
    done = 0
    with progress_bar(options.episodes, "evaluate", quiet=options.json) as advance:

        def show(trial: Trial) -> None:
            nonlocal done
            done += trial.success
            advance(f"{done} succeeded")

        result = work(bundle, options.episodes, seed=options.seed, on_episode=show)
    code = int(result.rate.rate < options.at_least)
    if options.json:
        return as_json(result.to_json()), code
    cycle = result.cycle_time
    lines = [
        f"{result.policy}: {result.task} on {result.robot}, tolerance {result.tolerance}, seeds from {result.seed}",
        f"success     {result.rate}",
        f"cycle time  mean {cycle.mean:.2f} s, median {cycle.p50:.2f} s, 95 % below {cycle.p95:.2f} s",
        *(f"failed by   {name}: {n}" for name, n in sorted(result.failures.items(), key=lambda item: -item[1])),
    ]
    return "\n".join(lines), code


def evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `evaluate`."""
    parser.add_argument("bundle", help="file, or name of a shipped policy")
    parser.add_argument("--episodes", type=positive, default=200)
    parser.add_argument("--seed", type=natural, default=0, help="seed of the first episode")
    parser.add_argument("--at-least", type=float, default=0.0, metavar="RATE", help="exit 1 below this success rate")
    parser.add_argument("--json", action="store_true", help="print JSON")


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse.

    Raises:
        ArgumentTypeError: If it is smaller.
    """
    return _at_least(1, text)


def natural(text: str) -> int:
    """A whole number of at least 0 that any random generator takes as its seed, for argparse.

    Raises:
        ArgumentTypeError: If it is smaller or too large.
    """
    number = _at_least(0, text)
    if number >= MAX_SEED:
        raise argparse.ArgumentTypeError(f"{text} is not below {MAX_SEED}")
    return number


def _at_least(least: int, text: str) -> int:
    try:
        number = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from error
    if number < least:
        raise argparse.ArgumentTypeError(f"{text} is not at least {least}")
    return number
