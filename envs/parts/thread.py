"""A bolt on the bit of a power driver and the thread it is driven into: engagement, helix, seating torque, clutch.

Mesh threads are beyond a rigid-body engine, so a thread is what it does. A bolt whose tip stands in the mouth of the
thread and is pressed on catches: from then on it moves along a helix, one pitch a turn, and no pushing or pulling moves
it otherwise, because threads lock themselves. Whatever is not straight then stays so: a bolt that catches while it
leans is cross-threaded. The driver starts when it is pressed on (push to start), and its reaction is taken by the
torque arm that drivers of this class hang on, so the hand feels none of it. The torque is that of friction until the
head is seated and rises with the angle beyond; at its setting the clutch lets go and clicks. Pressing on again hits
again, and tightens a little more.
"""

from collections.abc import Sequence
from math import acos, hypot, pi
from typing import TYPE_CHECKING

from ..body import UPRIGHT, Quaternion, Triple, about_z
from ..bullet import bullet

if TYPE_CHECKING:
    from ..cell import Cell

PITCH = 0.002  # m, M16
SPEED = 4.0 * pi  # rad/s, 120 rpm
RUNNING = 0.15  # N m, friction of the thread while the bolt runs in
RIGIDITY = 1.5 / (pi / 6.0)  # N m/rad: a hard joint takes 30 degrees from contact to torque (ISO 5393)
REHIT = 0.12  # N m by which a tight bolt gets tighter when the clutch is made to trip once more
PRESSED = 2.0  # N that start the driver
RELEASED = 0.5  # N below which it has been let go
CATCHES_WITHIN = 0.0005  # m off the axis
LEANS = pi / 90.0  # rad of tilt that cross-thread, 2 degrees
SLIPS_AT = 0.003  # m off the axis at which the bit, which the head's recess leads, slips out of it


class Thread:
    """The device that owns a bolt from the moment its thread catches.

    Attributes:
        caught: Whether the bolt is in the thread, and no longer on the bit.
        crossed: Whether it caught leaning.
        angle: Turned since then, rad.
        torque: Greatest tightening torque so far, N m.
        clicks: How often the clutch has tripped.
        setting: Torque at which it trips, N m.
    """

    def __init__(
        self, cell: "Cell", *, loaded: str, empty: str, bolt: str, block: str, tip: float, head: float, feed: float
    ) -> None:
        """Take the bodies it acts on.

        Args:
            cell: Where.
            loaded: The driver with the bolt on its bit.
            empty: The same driver without.
            bolt: The bolt alone, a fixture.
            block: What it is driven into.
            tip: How far the bolt's tip lies below the driver's origin, m.
            head: How far the bit lies below it, m.
            feed: How far the bolt goes from where it catches to its seat, m.
        """
        self._cell = cell
        self._names = loaded, empty, bolt
        self.caught = self.crossed = self._tripped = False
        self.angle = self.torque = self._push = 0.0
        self.clicks = 0
        self._turned: Quaternion = UPRIGHT
        self._block = block
        self._tip, self._head, self.feed = tip, head, feed
        self.setting = 1.5
        self.start: Triple = (0.0, 0.0, 0.0)

    @property
    def driver(self) -> str:
        """Name of the driver's body as it is now."""
        return self._names[1] if self.caught else self._names[0]

    @property
    def depth(self) -> float:
        """How far the bolt has come, m."""
        limit = 0.25 * PITCH if self.crossed else self.feed
        return min(PITCH * self.angle / (2.0 * pi), limit)

    def substep(self) -> None:
        """Catch, turn or stand."""
        cell, c = self._cell, self._cell.client
        other = self._names[2] if self.caught else self._block
        points = bullet.getContactPoints(cell.uid(self.driver), cell.uid(other), physicsClientId=c)
        push = sum([p[7][2] * p[9] for p in points])
        self._push += 0.3 * (push - self._push)
        if self._push < RELEASED:
            self._tripped = False
        if self._push < PRESSED or not points:
            return
        at, turn = cell.pose(self.driver)
        axis = _up(turn)
        reach = self._head if self.caught else self._tip
        end = [p - reach * a for p, a in zip(at, axis, strict=True)]
        off = hypot(end[0] - self.start[0], end[1] - self.start[1])
        if self.caught:
            if off <= SLIPS_AT and not self._tripped:
                self._turn()
        elif off <= CATCHES_WITHIN and abs(end[2] - self.start[2]) < 0.0005:
            self.crossed = acos(min(axis[2], 1.0)) >= LEANS
            self._catch(turn)

    def _catch(self, turn: Quaternion) -> None:
        """The bolt goes from the bit into the thread."""
        cell, (loaded, empty, _) = self._cell, self._names
        at, _ = cell.pose(loaded)
        linear, angular = cell.velocity(loaded)
        self._turned = turn
        cell.place(loaded, (-50.0, 0.0, -50.0))
        cell.place(empty, at, turn)
        cell.drive(empty, linear, angular)
        self.caught = True
        self._put()

    def _turn(self) -> None:
        """One substep of the running driver."""
        if self.clicks:
            self.torque += REHIT
            self._click()
            return
        self.angle += SPEED * self._cell.physics_dt
        seat = 0.25 * PITCH if self.crossed else self.feed
        beyond = self.angle - 2.0 * pi * seat / PITCH
        self.torque = max(self.torque, min(RUNNING + RIGIDITY * max(beyond, 0.0), self.setting))
        self._put()
        if self.torque >= self.setting:
            self._click()

    def _click(self) -> None:
        self.clicks += 1
        self._tripped = True

    def _put(self) -> None:
        """Show the bolt where it is: on the helix, or stuck as it caught."""
        cell, (x, y, z) = self._cell, self.start
        turn = self._turned if self.crossed else about_z(-self.angle)
        cell.place(self._names[2], (x, y, z - self.depth), turn)

    def reset(self) -> None:
        """The bolt is on the bit."""
        self.caught = self.crossed = self._tripped = False
        self.angle = self.torque = self._push = 0.0
        self.clicks = 0
        self._turned = UPRIGHT

    def snapshot(self) -> object:
        """Everything it remembers; where the bodies are is the engine's."""
        flags = self.caught, self.crossed, self._tripped
        return flags, self.angle, self.torque, self._push, self.clicks, self._turned, self.start, self.setting

    def restore(self, saved: object) -> None:
        """Go back to a snapshot."""
        flags, self.angle, self.torque, self._push, self.clicks, self._turned, self.start, self.setting = saved  # type: ignore[misc]
        self.caught, self.crossed, self._tripped = flags  # type: ignore[has-type]


def _up(turn: Sequence[float]) -> Triple:
    """Direction of a body's z axis."""
    x, y, z, w = turn
    return 2.0 * (x * z + y * w), 2.0 * (y * z - x * w), 1.0 - 2.0 * (x * x + y * y)
