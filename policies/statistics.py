"""Small statistics that every report needs: how sure a success rate is, and where a distribution's tail lies."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, sqrt

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A success rate with its 95 % Wilson interval.

    Attributes:
        successes: Episodes that succeeded.
        episodes: Episodes in all.
        rate: Their quotient, 0 when there was no episode.
        low: Lower end of the interval.
        high: Upper end.
    """

    successes: int
    episodes: int
    rate: float
    low: float
    high: float

    def __str__(self) -> str:
        """Show it as people say it."""
        return f"{self.rate:.1%} ({self.successes}/{self.episodes}; 95 % interval {self.low:.1%} to {self.high:.1%})"


def wilson_interval(successes: int, episodes: int, z: float = 1.959964) -> tuple[float, float]:
    """Interval that holds the true rate with the confidence of `z`, honest at 0 and 100 % too.

    Args:
        successes: Episodes that succeeded.
        episodes: Episodes in all; 0 gives (0, 1), for nothing is known.
        z: Quantile of the normal distribution; the default is 95 % two-sided.

    Raises:
        ValueError: If `successes` is not within 0 and `episodes`.
    """
    if not 0 <= successes <= episodes:
        raise ValueError(f"{successes} successes of {episodes} episodes is not a rate")
    if episodes == 0:
        return 0.0, 1.0
    p, n = successes / episodes, float(episodes)
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == episodes else min(1.0, centre + half)
    return low, high


def success_rate(successes: int, episodes: int) -> Rate:
    """Bundle a count with its interval."""
    low, high = wilson_interval(successes, episodes)
    rate = successes / episodes if episodes else 0.0
    return Rate(successes=successes, episodes=episodes, rate=rate, low=low, high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Where a set of measurements lies, in their own unit; all zero when there were none."""

    mean: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    count: int = 0


def spread(values: Sequence[float]) -> Spread:
    """Mean and percentiles of measurements."""
    if not values:
        return Spread()
    p50, p95, p99 = np.percentile(values, (50, 95, 99))
    return Spread(mean=float(np.mean(values)), p50=float(p50), p95=float(p95), p99=float(p99), count=len(values))


def sign_test(wins: int, losses: int) -> float:
    """Two-sided p-value of the exact sign test, which is McNemar's for pairs of which only one succeeded.

    Args:
        wins: Pairs in which the one was better.
        losses: Pairs in which the other was; ties are left out.

    Returns:
        Chance of a split at least as uneven between equals; 1 when there was no such pair.
    """
    n, least = wins + losses, min(wins, losses)
    tail = sum(comb(n, k) for k in range(least + 1)) / float(2**n)
    return min(1.0, 2.0 * tail)


def paired_interval(differences: Sequence[float], *, seed: int = 0, draws: int = 10_000) -> tuple[float, float]:
    """95 % bootstrap interval of the mean of paired differences (Efron's percentile method), in their own unit.

    Args:
        differences: One per pair.
        seed: Of the resampling.
        draws: Resamples.

    Returns:
        Lower and upper end; both 0 when there are no pairs.
    """
    if not differences:
        return 0.0, 0.0
    values = np.asarray(differences, dtype=np.float64)
    rows = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    low, high = np.percentile(values[rows].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)
