"""The `genba-sim://` port: virtual servos inside the calling process, without a thread.

In wall time the line is brought up to date whenever the port is used. In virtual time nothing waits: a read or a
`sleep_until` moves the clock of the line itself, so runs are exact and as fast as the plant.
"""

from typing import Protocol

from ...robots.errors import LinkLostError
from ..pace import Clock, WallClock
from .faults import Faults


class Line(Protocol):
    """A wire with what hangs on it: servos, or one controller."""

    faults: Faults
    now: float

    def start(self, now: float) -> None:
        """Set the line's clock, as when it joins the wall's."""

    def receive(self, data: bytes, now: float, baud_rate: int | None = None) -> None:
        """Take bytes from the host."""

    def next_due(self) -> float | None:
        """When something is next to be looked at, s; None while all is quiet."""

    def take(self, now: float) -> bytes:
        """Bytes that have reached the host by now."""

    def step(self, now: float) -> None:
        """Let what hangs on it live until now."""


class VirtualClock:
    """The clock of one line; sleeping on it lets the plant live."""

    def __init__(self, line: Line) -> None:
        """Share the line's time."""
        self._line = line

    def now(self) -> float:
        """Line time, s."""
        return self._line.now

    def sleep_until(self, moment: float) -> None:
        """Let the plant live until `moment`, in pieces short enough that none of it is lost."""
        line = self._line
        while line.now < moment:
            line.step(min(moment, line.now + 0.1))


class SimPort:
    """A `Port` onto a virtual line."""

    def __init__(self, name: str, line: Line, baud_rate: int, *, virtual_time: bool = False) -> None:
        """Join port and line.

        Args:
            name: URL, for error texts.
            line: The servos.
            baud_rate: The host's rate; servos at another rate hear nothing.
            virtual_time: Whether the clock moves only when asked.
        """
        self.name = name
        self.line = line
        self.baud_rate = baud_rate
        self.virtual_time = virtual_time
        self.clock: Clock = VirtualClock(line) if virtual_time else WallClock()
        if not virtual_time:
            line.start(self.clock.now())
        self._closed = False

    def _now(self) -> float:
        if self._closed or self.line.faults.unplugged:
            raise LinkLostError(f"port {self.name} is gone: check cable and power, then connect again")
        now = self.clock.now()
        self.line.step(now)
        return now

    def flush_input(self) -> None:
        """Throw away what has been received."""
        self.line.take(self._now())

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.line.receive(data, self._now(), self.baud_rate)

    def read(self, size: int, deadline: float) -> bytes:
        """Return what is there once `size` bytes are, or at the deadline, which may be nothing."""
        data = self.line.take(self._now())
        while len(data) < size:
            due = self.line.next_due()
            wake = deadline if due is None else min(due, deadline)
            self.clock.sleep_until(wake)
            data += self.line.take(max(self._now(), wake))
            if wake >= deadline:
                break
        return data

    def close(self) -> None:
        """Give the port back; a second call does nothing."""
        self._closed = True
