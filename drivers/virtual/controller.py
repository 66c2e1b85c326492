"""The wire to one virtual controller, on a clock that is given: a `VirtualLine` without servos.

Bytes cost ten bit times each, in both directions at once. The controller hears every byte when it has arrived; what it
says goes through the faults, message by message. A late message arrives just before the next one, because a wire cannot
reorder.
"""

from bisect import insort
from collections import deque
from collections.abc import Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Protocol, runtime_checkable

from ...robots.errors import RefusedError, UnknownNameError
from ..protocols import language_names
from .faults import Faults
from .planner import PERIOD, Planner

CATCH_UP = 1.0  # s of motion made good at once after the process was held up; the rest is lost
LOOK = 0.01  # s between looks at a controller that moves and has not said anything


class Controller(Protocol):
    """The inside of a virtual controller: what it hears and what it says; it has no clock but its planner."""

    name: str
    baud_rate: int
    planner: Planner
    gripper: bool

    @property
    def joints(self) -> tuple[float, ...]:
        """Where its joints are, as it counts them, rad."""

    def power_on(self) -> list[bytes]:
        """Start, as after a power failure, and return what it says."""

    def hear(self, data: bytes) -> list[bytes]:
        """Take bytes and return messages."""

    def passed(self) -> list[bytes]:
        """A `PERIOD` of the planner has passed: return messages that nobody asked for."""


def load_controller(name: str) -> Controller:
    """Build a virtual controller.

    Args:
        name: Its command language.

    Raises:
        UnknownNameError: If no language has that name.
        RefusedError: If nobody has built a virtual controller for it.
    """
    if name not in language_names():
        raise UnknownNameError("controller", name, language_names())
    if not (Path(str(files(__package__))) / f"{name}.py").is_file():
        raise RefusedError(f"there is no virtual {name} controller: connect a real one")
    controller: Controller = import_module(f".{name}", __package__).CONTROLLER()
    return controller


@runtime_checkable
class Follower(Protocol):
    """A world whose arm does what a controller does."""

    def follow(self, joints: Sequence[float], shut: bool, dt: float) -> None:
        """Let `dt` seconds pass, at whose end the joints are there, as the controller counts them, rad."""


class ControllerLine:
    """A virtual controller on its wire."""

    def __init__(
        self,
        controller: Controller,
        *,
        faults: Faults | None = None,
        latency: float = 0.0,
        now: float = 0.0,
        follower: Follower | None = None,
    ) -> None:
        """Plug it in and switch it on.

        Args:
            controller: What is at the other end.
            faults: What goes wrong.
            latency: Time in s for which the adapter holds bytes back.
            now: Line time at the start, s.
            follower: A world whose arm moves with the controller's joints.
        """
        self._follower = follower
        self.controller = controller
        self.baud_rate = controller.baud_rate
        self.faults = faults or Faults()
        self.latency = latency
        self.now = now
        self._motion_time = now
        self._heard_until = now
        self._said_until = now
        self._coming: deque[tuple[float, bytes]] = deque()
        self._due: list[tuple[float, bytes]] = []
        self._say(controller.power_on(), now)

    def start(self, now: float) -> None:
        """Set the line's clock, as when it joins the wall's.

        Args:
            now: Line time from here on, s.
        """
        shift = now - self.now
        self.now = self._motion_time = self._heard_until = now
        self._said_until += shift
        self._due = [(at + shift, data) for at, data in self._due]

    def receive(self, data: bytes, now: float, baud_rate: int | None = None) -> None:
        """Take bytes from the host.

        Args:
            data: What the host sent.
            now: When it handed them to its port, s.
            baud_rate: The host's rate where it can be known; a controller at another rate hears nothing.
        """
        byte_time = 10.0 / self.baud_rate
        begun = max(now, self._heard_until)
        self._heard_until = begun + len(data) * byte_time
        if self.faults.echo:
            insort(self._due, (self._heard_until, data))
        if (baud_rate is None or baud_rate == self.baud_rate) and not self.faults.silent:
            for count, byte in enumerate(data, start=1):
                self._coming.append((begun + count * byte_time, bytes((byte,))))

    def next_due(self) -> float | None:
        """When something is next to be looked at, s; None while wire and arm are quiet."""
        moments = [item[0] for item in (*self._due[:1], *([self._coming[-1]] if self._coming else []))]
        if self.controller.planner.moving:
            moments.append(self.now + LOOK)
        return min(moments, default=None)

    def take(self, now: float) -> bytes:
        """Bytes that have reached the host by now."""
        self.step(now)
        count = 0
        while count < len(self._due) and self._due[count][0] <= now:
            count += 1
        out = b"".join(data for _, data in self._due[:count])
        del self._due[:count]
        return out

    def step(self, now: float) -> None:
        """Let wire and arm live until now; after a long hold-up only the last second is made good.

        Args:
            now: Line time, s.
        """
        if now - self._motion_time > CATCH_UP:
            self._motion_time = now - CATCH_UP
        while self._motion_time + PERIOD <= now + 1e-9:
            self._motion_time += PERIOD
            self._hear(self._motion_time)
            self.controller.planner.step()
            self._say(self.controller.passed(), self._motion_time)
            if self._follower is not None:
                self._follower.follow(self.controller.joints, self.controller.gripper, PERIOD)
        self._hear(now)
        self.now = max(self.now, now)

    def _hear(self, now: float) -> None:
        coming = self._coming
        while coming and coming[0][0] <= now:
            at, byte = coming.popleft()
            said = self.controller.hear(byte)
            if said and self.faults.reboots():
                said = self.controller.power_on()
            self._say(said, at)

    def _say(self, messages: list[bytes], at: float) -> None:
        for message in messages:
            for held in self.faults.release():
                self._put(held, at)
            spoilt = self.faults.spoil(message)
            if spoilt:
                self._put(spoilt, at)

    def _put(self, data: bytes, at: float) -> None:
        self._said_until = max(at, self._said_until) + len(data) * 10.0 / self.baud_rate
        self._due.append((self._said_until + self.latency, data))
