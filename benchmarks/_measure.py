"""How benchmarks measure: process CPU time, contestants in turns, medians, one table with what was wanted."""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Slice = Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table.

    Attributes:
        what: What was measured.
        measured: The figure.
        wanted: What it should be.
        unit: Of both.
        least: Whether `wanted` is a lower bound; else an upper one.
    """

    what: str
    measured: float
    wanted: float
    unit: str
    least: bool = False

    @property
    def ratio(self) -> float:
        """How far on the good side of the wanted figure; 1 is just there, below 1 is missed."""
        return self.measured / self.wanted if self.least else self.wanted / self.measured


def cpu_per_call(contestants: Mapping[str, Slice], *, rounds: int) -> dict[str, list[float]]:
    """CPU seconds per call of each contestant, one figure a round.

    Each round gives every contestant one slice of work, in turns, so that a loaded machine slows all alike.

    Args:
        contestants: By name, a function that does a slice of work and returns how many calls that was.
        rounds: Slices each.
    """
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for work in contestants.values():
        work()  # caches, lazy imports, branch predictors
    for _ in range(rounds):
        for name, work in contestants.items():
            start = time.process_time()
            count = work()
            found[name].append((time.process_time() - start) / count)
    return found


def medians(found: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each contestant's rounds."""
    return {name: statistics.median(values) for name, values in found.items()}


def show(title: str, rows: list[Row]) -> None:
    """Print a markdown table; a missed figure is marked."""
    print(f"\n### {title} (load {os.getloadavg()[0]:.1f})\n")
    print("| what | measured | wanted | ratio to wanted |")
    print("|---|---|---|---|")
    for row in rows:
        bound = "at least" if row.least else "at most"
        mark = "" if row.ratio >= 1.0 else " (missed)"
        print(
            f"| {row.what} | {row.measured:.3g} {row.unit} | {bound} {row.wanted:.3g} {row.unit} "
            f"| {row.ratio:.2f}{mark} |"
        )
