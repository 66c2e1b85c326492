"""The pacer on a clock the test turns by hand."""

from itertools import pairwise

import pytest

from genba.drivers.pace import Pacer


class HandClock:
    def __init__(self) -> None:
        self.time = 100.0
        self.woken: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep_until(self, moment: float) -> None:
        self.time = max(self.time, moment)


def test_work_does_not_add_to_the_period() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    for _ in range(100):
        clock.time += 0.004
        pacer.wait(0.01)
    report = pacer.report()
    assert (report.count, report.overruns) == (100, 0)
    assert report.mean_rate_hz == pytest.approx(100.0)
    assert report.p99_error_s == pytest.approx(0.0, abs=1e-9)


def test_an_overrun_is_counted_and_never_made_good() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    pacer.wait(0.01)
    clock.time += 5.0
    wakes = []
    for _ in range(5):
        pacer.wait(0.01)
        wakes.append(clock.time)
    assert pacer.overruns == 1
    assert [b - a for a, b in pairwise(wakes)] == pytest.approx([0.01] * 4)


def test_a_little_late_keeps_the_grid() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    pacer.wait(0.01)
    start = clock.time
    clock.time += 0.013
    pacer.wait(0.01)
    assert clock.time == pytest.approx(start + 0.013)
    pacer.wait(0.01)
    assert clock.time == pytest.approx(start + 0.02)
    assert pacer.overruns == 0


def test_two_ticks_are_never_closer_than_half_a_period() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    pacer.wait(0.01)
    clock.time += 0.019
    pacer.wait(0.01)
    late = clock.time
    pacer.wait(0.01)
    assert clock.time - late >= 0.005 - 1e-9


def test_after_a_rebase_nothing_is_late() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    pacer.wait(0.01)
    clock.time += 3.0
    pacer.rebase()
    pacer.wait(0.01)
    assert pacer.overruns == 0
