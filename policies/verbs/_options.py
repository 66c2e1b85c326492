"""Arguments that several verbs share, so that the same word means the same everywhere."""

import argparse
from typing import TYPE_CHECKING

from ...robots.errors import RefusedError

if TYPE_CHECKING:
    from ..crews.crew import Crew

MAX_SEED = 1_000_000  # seeds of episodes are a block of ten million per seed, and a layout takes 64 bits


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


def share(text: str) -> float:
    """A rate from 0 to 1, for argparse.

    Raises:
        ArgumentTypeError: If it is anything else.
    """
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0.0 <= rate <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is no rate from 0 to 1")
    return rate


def _at_least(least: int, text: str) -> int:
    try:
        number = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from error
    if number < least:
        raise argparse.ArgumentTypeError(f"{text} is not at least {least}")
    return number


def machine(parser: argparse.ArgumentParser) -> None:
    """JSON for machines."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def trials(parser: argparse.ArgumentParser, episodes: int, of: str = "") -> None:
    """How many episodes, from which seed, under what conditions, and run by how many."""
    parser.add_argument("--episodes", type=positive, default=episodes, help=f"{episodes}{of} if not given")
    parser.add_argument("--seed", type=natural, default=0, help="seed of the first episode")
    parser.add_argument("--workers", type=natural, help="processes; one per processor if not given, 0 for none beside")
    cluster(parser)


def cluster(parser: argparse.ArgumentParser) -> None:
    """Where the episodes run, if not here."""
    parser.add_argument(
        "--ray", metavar="ADDRESS", help="run on a Ray cluster: local, auto, HOST:PORT, ray://HOST:PORT"
    )


def crew(ray: str | None, workers: int | None = None) -> "Crew":
    """Who runs the episodes.

    Args:
        ray: What was given as `--ray`.
        workers: What was given as `--workers`.

    Raises:
        RefusedError: If both were given.
    """
    if ray is None:
        from ..crews.crew import LocalCrew

        return LocalCrew(workers)
    if workers is not None:
        raise RefusedError("--workers does nothing with --ray, which uses every processor of the cluster")
    from ..crews.ray_crew import RayCrew

    return RayCrew(ray)
