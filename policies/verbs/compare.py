"""`genba compare`: two policies on the same seeds."""

import argparse
from contextlib import closing

from ...robots.table import as_json, as_text
from . import _options


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Compare two policies on the same seeds, with a paired test."""
    from ..catalogue import find_policy
    from ..compare import compare
    from ..pages.progress import progress_bar

    first, second = find_policy(options.first), find_policy(options.second)
    with (
        closing(_options.crew(options.ray, options.workers)) as crew,
        progress_bar(2 * options.episodes, "compare", quiet=options.json) as advance,
    ):
        result = compare(
            first,
            second,
            options.episodes,
            seed=options.seed,
            randomize=options.randomize,
            crew=crew,
            on_episode=lambda trial: advance(""),
        )
    if options.json:
        return as_json(result.to_json()), 0
    rows: list[dict[str, object]] = [
        {
            "policy": one.policy,
            "success": str(one.rate),
            "cycle, s": f"{one.cycle_time.mean:.2f}" if one.rate.successes else None,
            "alone": len(alone),
        }
        for one, alone in ((result.first, result.only_first), (result.second, result.only_second))
    ]
    shorter = (
        "no such seed"
        if result.faster_by is None
        else f"{result.faster_by:+.3f} s ({result.faster_low:+.3f} to {result.faster_high:+.3f})"
    )
    return f"{as_text(rows, json_wanted=False)}\nsecond minus first where both succeed: {shorter}\n{result.verdict}", 0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("first", metavar="A", help="file, or name of a shipped policy")
    parser.add_argument("second", metavar="B", help="another of the same task and arm")
    _options.trials(parser, 200, " each")
    parser.add_argument("--randomize", default="off", help="what differs between episodes: off, nominal or wide")
    _options.machine(parser)
