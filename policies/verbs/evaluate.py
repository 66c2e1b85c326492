"""`genba evaluate`: what a policy is worth in simulation; one, or all that are shipped, or over a grid of troubles."""

import argparse
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from ...robots.errors import RefusedError
from ...robots.files import check_target
from ...robots.table import as_json, as_text
from . import _options

if TYPE_CHECKING:
    from ..bundle import PolicyBundle
    from ..crews.crew import Crew
    from ..evaluate import Evaluation


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Measure a policy in simulation: success rate, causes of failure, cycle time."""
    if options.zoo == bool(options.bundle):
        raise RefusedError("name one policy, or --zoo for all that are shipped")
    if options.zoo and options.grid:
        raise RefusedError("--grid is of one policy: name it instead of --zoo")
    if options.card and (options.zoo or options.grid):
        raise RefusedError("--card is of one measurement of one policy: name its file, without --zoo and --grid")
    if options.grid:
        check_target(options.grid)
    from ..catalogue import find_policy

    bundle = None if options.zoo else find_policy(options.bundle)
    if options.card and bundle is not None and not Path(options.bundle).exists():
        raise RefusedError(f"{options.bundle} is shipped and stays as it is; copy {bundle.source} and name the copy")
    if options.card and bundle is not None:
        bundle.save(options.bundle)  # the same bytes: a folder that takes none is refused before the measurement
    with closing(_options.crew(options.ray, options.workers)) as crew:
        if bundle is None:
            return _zoo(options, crew)
        if options.grid:
            return _grid(options, bundle, crew)
        result = _measure(options, bundle, crew)
    if options.card:
        from ..pack import remeasure

        remeasure(bundle, result.measured()).save(options.bundle)
    code = int(result.rate.rate < options.at_least)
    if options.json:
        return as_json(result.to_json()), code
    cycle = result.cycle_time
    lines = [
        f"{result.policy}: {result.task} on {result.robot}, tolerance {result.tolerance}, "
        f"seeds from {result.seed}, randomization {result.randomize}",
        f"success     {result.rate}",
        f"cycle time  mean {cycle.mean:.2f} s, median {cycle.p50:.2f} s, 95 % below {cycle.p95:.2f} s"
        if result.rate.successes
        else "cycle time  none, for no episode succeeded",
        *(f"failed by   {name}: {n}" for name, n in sorted(result.failures.items(), key=lambda item: -item[1])),
        *((f"{options.bundle}: its card says so now",) if options.card else ()),
    ]
    return "\n".join(lines), code


def _measure(options: argparse.Namespace, bundle: "PolicyBundle", crew: "Crew") -> "Evaluation":
    from ..evaluate import Trial, evaluate
    from ..pages.progress import progress_bar

    done = 0
    with progress_bar(options.episodes, f"evaluate {bundle.name}", quiet=options.json) as advance:

        def show(trial: Trial) -> None:
            nonlocal done
            done += trial.success
            advance(f"{done} succeeded")

        return evaluate(
            bundle, options.episodes, seed=options.seed, randomize=options.randomize, crew=crew, on_episode=show
        )


def _zoo(options: argparse.Namespace, crew: "Crew") -> tuple[str, int]:
    """Measure every shipped policy again, beside what its manifest says."""
    from ..bundle import PolicyBundle
    from ..catalogue import policy_files

    rows: list[dict[str, object]] = []
    code = 0
    for path in policy_files():
        bundle = PolicyBundle.load(path)
        result = _measure(options, bundle, crew)
        told = bundle.manifest.measured
        code |= int(result.rate.rate < options.at_least or (told is not None and result.rate.high < told.low))
        rows.append(
            {
                "policy": path.stem,
                "success": round(result.rate.rate, 4),
                "low": round(result.rate.low, 4),
                "high": round(result.rate.high, 4),
                "manifest": round(told.successes / told.episodes, 4) if told and told.episodes else None,
                "cycle_s": round(result.cycle_time.mean, 2),
            }
        )
    return as_text(rows, json_wanted=options.json), code


def _grid(options: argparse.Namespace, bundle: "PolicyBundle", crew: "Crew") -> tuple[str, int]:
    """Success over the grid of troubles, as a table and as a page with a heat map."""
    from ..pages.progress import progress_bar
    from ..robustness import fields, measure, write_grid

    if options.randomize != "off":
        raise RefusedError("--randomize does nothing with --grid, which varies one thing at a time")
    with progress_bar(fields() * options.episodes, f"grid of {bundle.name}", quiet=options.json) as advance:
        grid = measure(bundle, options.episodes, seed=options.seed, crew=crew, on_episode=lambda trial: advance(""))
    write_grid(options.grid, grid, bundle.manifest)
    if options.json:
        return as_json(grid.to_json()), 0
    rows = [
        {"trouble": f"{trouble.name}, {trouble.unit}"}
        | {f"{k + 1}": f"{strength:g}: {rate.rate:.0%}" for k, (strength, rate) in enumerate(pairs)}
        for trouble, pairs in ((t, list(zip(t.strengths, rates, strict=True))) for t, rates in grid.rows)
    ]
    return f"{as_text(rows, json_wanted=False)}\n\nheat map: {options.grid}", 0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bundle", nargs="?", help="file, or name of a shipped policy")
    parser.add_argument("--zoo", action="store_true", help="measure every shipped policy again")
    _options.trials(parser, 200)
    parser.add_argument("--randomize", default="off", help="what differs between episodes: off, nominal or wide")
    parser.add_argument("--grid", type=Path, metavar="FILE.html", help="success against noise, delay, friction, load")
    parser.add_argument("--card", action="store_true", help="write the result on the card of the file that is measured")
    parser.add_argument(
        "--at-least", type=_options.share, default=0.0, metavar="RATE", help="exit 1 below this success rate"
    )
    _options.machine(parser)
