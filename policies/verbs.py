"""Verbs of the command line that concern policies alone: train, pack, evaluate.

A verb takes parsed options and returns what to print and the exit code; heavy imports wait until it is called.
"""

import argparse
from pathlib import Path

from ..robots.table import as_json


def train(options: argparse.Namespace) -> tuple[str, int]:
    """Train a policy in simulation, with checkpoints and TensorBoard logs."""
    from ..envs.tasks import load_task
    from ..robots.description import load_robot

    load_task(options.task)
    load_robot(options.robot)
    # Only now the seconds that torch takes: a mistyped name is answered at once.
    from .train import train as work

    work(
        task=options.task,
        robot=options.robot,
        out=options.out,
        steps=options.steps,
        seed=options.seed,
        algo=options.algo,
        resume=options.resume,
    )
    return f"trained; pack it with: genba pack {options.out}", 0


def train_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `train`."""
    parser.add_argument("task")
    parser.add_argument("--robot", default="so101")
    parser.add_argument("--out", type=Path, required=True, help="folder for the run")
    parser.add_argument("--steps", type=int, help="environment steps of reinforcement learning")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--algo", help="recipe; imitate and then improve if not given")
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
    parser.add_argument("--seed", type=int, default=0, help="seed of the first episode")
    parser.add_argument("--at-least", type=float, default=0.0, metavar="RATE", help="exit 1 below this success rate")
    parser.add_argument("--json", action="store_true", help="print JSON")


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse.

    Raises:
        ArgumentTypeError: If it is smaller.
    """
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number
