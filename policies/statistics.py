"""Small statistics that every report needs: how sure a success rate is, and where a distribution's tail lies."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

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
