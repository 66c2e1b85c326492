"""A virtual Marlin 2.1 that drives an arm: lines queued, obeyed and answered as the firmware does, degrees for "mm".

Four lines wait in its queue and 128 bytes before it. Lines are obeyed one after the other: one that waits (for room in
the planner, for a homing cycle, for all motions to end) keeps all others from being obeyed, while M112 and M410 are
found in the stream as soon as they have arrived. A first motion waits a tenth of a second for others to follow.
"""

import math
from collections import deque
from collections.abc import Iterator

from .marlin_lines import MarlinLines
from .marlin_motions import CLEANING, SETTINGS
from .planner import PERIOD, Planner

QUEUE = 4  # lines
RING = 128  # bytes
KEEPALIVE = 2.0  # s between signs of life while a line keeps it busy
INACTIVE = 120.0  # s after which motors that stand are let go
BANNER = (
    b"start\n",
    b"PowerUp\n",
    b"Marlin 2.1.2\n",
    b"\n",
    b"echo: Last Updated: 2023-01-01 | Author: (none, default config)\n",
    b"echo:Compiled: Jan  1 2023\n",
    b"echo: Free Memory: 3812  PlannerBufferBytes: 1200\n",
)


class VirtualMarlin(MarlinLines):
    """The inside of the controller.

    Attributes:
        planner: Its joints, in degrees that are counted as rad inside the planner only.
        settings: What `M503` prints.
        pump: Whether the second fan output, where the pump is, is on.
        gripper: Whether the first fan output, where the gripper is, is on.
        attached: Whether the motors hold.
        homed: Whether its reference has been found since power-on.
    """

    name = "marlin"
    baud_rate = 115_200

    def __init__(self, axes: int = 3, *, realtime: bool = True) -> None:
        """Build it.

        Args:
            axes: Joints, at most six.
            realtime: Whether it was built with M114_REALTIME.
        """
        self.axes = "XYZABC"[:axes]
        self.settings = {code: [value] * axes for code, value in SETTINGS.items()}
        self.realtime = realtime
        self.planner = Planner([0.0] * axes, top_speeds=[1.0] * axes, accelerations=[1.0] * axes, corner_speed=10.0)
        self._say: deque[bytes] = deque()
        self.power_on()
        self._say.clear()

    @property
    def joints(self) -> tuple[float, ...]:
        """Where its joints are, rad."""
        return tuple(math.radians(angle) for angle in self.planner.positions)

    # ---- Controller

    def power_on(self) -> list[bytes]:
        """Start; the joints stand where they stood, and that is called zero. The motors are off until they move."""
        self.planner.drop()
        self._origin = list(self.planner.positions)
        self._target = [0.0] * len(self.axes)
        self.pump = self.gripper = self.attached = self.homed = False
        self._killed = self._stopped = False
        self._relative, self._soft_limits, self._feed = False, True, 25.0
        self._ring: deque[int] = deque()
        self._queue: deque[str] = deque()
        self._line = ""
        self._comment = False
        self._urgent = ""
        self._number = 0
        self._handler: Iterator[None] | None = None
        self._first: list[tuple[list[float], float]] = []
        self._delay = self._cleaning = self._busy = self._rest = 0.0
        self._inactive = INACTIVE
        self._say.extend(BANNER)
        return self._said()

    def hear(self, data: bytes) -> list[bytes]:
        """Take bytes and return messages."""
        for byte in data:
            if self._killed:
                break
            if len(self._ring) < RING:
                self._ring.append(byte)
            self._heed(chr(byte))
        self._work()
        return self._said()

    def passed(self) -> list[bytes]:
        """A period of the planner has passed."""
        if self._killed:
            return []
        self._let_pass()
        self._busy = self._busy + PERIOD if self._handler is not None else 0.0
        if self._busy >= KEEPALIVE:
            self._busy = 0.0
            self._say.append(b"echo:busy: processing\n")
        self._rest = 0.0 if self.planner.moving else self._rest + PERIOD
        if self._inactive and self._rest >= self._inactive:
            self.attached = self.homed = False
        self._work()
        return self._said()

    def stop(self) -> list[bytes]:
        """An error of its own that it survives, such as a probe that fails: motions are refused until M999."""
        self._stopped = True
        return [self.STOPPED]

    def _said(self) -> list[bytes]:
        said = list(self._say)
        self._say.clear()
        return said

    # ---- what is obeyed at once

    def _heed(self, character: str) -> None:
        """Look for M112 and M410 in the stream, also behind a line number."""
        if character not in "\r\n":
            self._urgent += character if len(self._urgent) < 20 else ""
            return
        command = self._urgent.lstrip()
        self._urgent = ""
        if command.startswith("N"):
            command = command.lstrip("N0123456789- ")
        command = command.partition("*")[0].strip()
        if command == "M112":
            self._kill("M112 Shutdown")
        elif command == "M410":
            self.planner.drop()
            self._first.clear()
            self._cleaning = CLEANING

    # ---- lines

    def _work(self) -> None:
        """Read lines and obey them, as long as nothing keeps it from that."""
        while not self._killed:
            self._read()
            if self._cleaning > 0.0 or not self._queue:
                return
            if self._handler is None:
                self._handler = self._obeyed(self._queue[0])
            for _ in self._handler:
                return
            self._handler = None
            self._queue.popleft()

    def _read(self) -> None:
        while self._ring and len(self._queue) < QUEUE:
            character = chr(self._ring.popleft())
            if character in "\r\n":
                line, self._line, self._comment = self._line, "", False
                if line.strip(" "):
                    self._take(line.lstrip(" "))
            elif character == ";" or len(self._line) >= 95:
                self._comment = True
            elif not self._comment:
                self._line += character


CONTROLLER = VirtualMarlin
