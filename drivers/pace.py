"""Keep a rate by absolute deadlines, so that errors do not add up and an overrun is never made good in a burst.

deadline[k+1] = deadline[k] + period                  while the work fits
deadline[k+1] = now + period, one overrun counted     once it came late by a whole period
"""

import time
from array import array
from dataclasses import dataclass
from typing import Protocol

KEPT_PERIODS = 100_000  # periods whose error is remembered for the percentiles: 16 min at 100 Hz


class Clock(Protocol):
    """A monotonic clock that can be waited on; ports bring their own."""

    def now(self) -> float:
        """Time in s; only differences mean anything."""

    def sleep_until(self, moment: float) -> None:
        """Let time pass until `moment`; return at once where it is past."""


class WallClock:
    """The clock on the wall, untouched by changes of the date."""

    def now(self) -> float:
        """Time in s; only differences mean anything."""
        return time.perf_counter()

    def sleep_until(self, moment: float) -> None:
        """Sleep until `moment`; return at once where it is past."""
        left = moment - time.perf_counter()
        if left > 0.0:
            time.sleep(left)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceReport:
    """How well a rate was kept.

    Attributes:
        count: Periods that passed.
        overruns: Periods that ended late by a whole period or more.
        mean_rate_hz: Periods per second between the first and the last.
        p50_error_s: Median of |period as it was - period as asked|, s.
        p99_error_s: 99th percentile of the same, s.
    """

    count: int
    overruns: int
    mean_rate_hz: float
    p50_error_s: float
    p99_error_s: float


class Pacer:
    """Waits for one deadline after the other."""

    def __init__(self, clock: Clock | None = None) -> None:
        """Start without a deadline: the first `wait` sets it.

        Args:
            clock: What to wait on; the wall clock if not given.
        """
        self.clock: Clock = clock or WallClock()
        self.reset()

    def reset(self) -> None:
        """Forget deadlines and statistics, as before a new run."""
        self._deadline: float | None = None
        self._last = self._span = 0.0
        self._errors = array("d")
        self.count = 0
        self.overruns = 0

    def rebase(self) -> None:
        """Forget the deadline only; the pause until the next tick is no period and enters no statistics."""
        self._deadline = None

    def wait(self, period: float) -> None:
        """Wait for the next deadline.

        Args:
            period: Time between this deadline and the last, s.
        """
        now = self.clock.now()
        if self._deadline is None:
            self._deadline = now
            self._last = now
        grid = self._deadline + period
        if now - grid >= period:
            self.overruns += 1
            grid = now
        self._deadline = grid
        # Late by less keeps the grid, but never puts two ticks closer than half a period.
        self.clock.sleep_until(max(grid, self._last + 0.5 * period) if self.count else grid)
        woke = self.clock.now()
        self.count += 1
        if len(self._errors) < KEPT_PERIODS:
            self._errors.append(abs(woke - self._last - period))
        self._span += woke - self._last
        self._last = woke

    def report(self) -> PaceReport:
        """Sum up since the last reset."""
        errors = sorted(self._errors) or [0.0]
        return PaceReport(
            count=self.count,
            overruns=self.overruns,
            mean_rate_hz=self.count / self._span if self._span > 0.0 else 0.0,
            p50_error_s=errors[len(errors) // 2],
            p99_error_s=errors[min(int(len(errors) * 0.99), len(errors) - 1)],
        )
