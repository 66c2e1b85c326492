"""The Wilson interval holds what it promises, and says nothing where nothing is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genba.policies.statistics import spread, success_rate, wilson_interval


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_the_interval_holds_the_rate_and_stays_in_bounds(a: int, b: int) -> None:
    successes, episodes = min(a, b), max(a, b)
    low, high = wilson_interval(successes, episodes)
    assert 0.0 <= low <= high <= 1.0
    if episodes:
        assert low <= successes / episodes <= high


@pytest.mark.parametrize(
    ("successes", "episodes", "low", "high"),
    [
        (0, 0, 0.0, 1.0),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (95, 100, 0.8882, 0.9785),
        (198, 200, 0.9643, 0.9973),
    ],
)
def test_it_agrees_with_the_tables(successes: int, episodes: int, low: float, high: float) -> None:
    assert wilson_interval(successes, episodes) == pytest.approx((low, high), abs=5e-5)


def test_it_covers_the_truth_about_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for successes in rng.binomial(100, 0.9, 4000):
        low, high = wilson_interval(int(successes), 100)
        hits += low <= 0.9 <= high
    assert 0.93 <= hits / 4000 <= 0.98


@pytest.mark.parametrize(("successes", "episodes"), [(-1, 5), (6, 5), (1, 0)])
def test_a_rate_that_is_none_is_refused(successes: int, episodes: int) -> None:
    with pytest.raises(ValueError, match="not a rate"):
        wilson_interval(successes, episodes)


def test_a_rate_reads_as_people_say_it() -> None:
    assert str(success_rate(9, 10)).startswith("90.0% (9/10")


def test_a_spread_of_nothing_is_zero() -> None:
    assert spread([]).count == 0
    assert spread([1.0, 2.0, 3.0]).p50 == 2.0
