"""`genba report`: what a training came to, as one page."""

import argparse
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from ...robots.table import as_json
from . import _options

if TYPE_CHECKING:
    from ..training_report import Reported


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Write the page of a finished training: curves, five successes, every kind of failure."""
    made = make(options.run, options.workers, quiet=options.json)
    return as_json(made.to_json()) if options.json else "\n".join(made.words), 0


def make(folder: Path, workers: int | None, *, quiet: bool) -> "Reported":
    """Write the page, with a progress bar.

    Args:
        folder: Of the run.
        workers: Processes; one per processor if not given.
        quiet: Show no progress.
    """
    from ..crews.crew import LocalCrew
    from ..pages.progress import progress_bar
    from ..training_report import steps, training_report

    with closing(LocalCrew(workers)) as crew, progress_bar(steps(folder), "report", quiet=quiet) as advance:
        return training_report(folder, crew=crew, on_step=advance)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, help="folder that `genba train` made")
    parser.add_argument("--workers", type=_options.natural, help="processes; one per processor if not given")
    _options.machine(parser)
