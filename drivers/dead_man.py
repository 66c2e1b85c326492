"""The watchdogs of servos that have one: a host that falls silent leaves an arm whose servos stop by themselves.

    set() ... requests ... silence -> tripped: each servo holds where it is and refuses goals -> lapsed -> rouse()

A watchdog is set once the torque is on and switched off when the host leaves in order; after a stop that could not be
confirmed it stays set. The bus notes the longest silence, which may have tripped one, so that a host which was only
held up goes on, from where the arm stands by then. Without such a register all of this does nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ..robots.errors import BusError
from .framing import Framing

SILENCE = 0.2  # s without a request after which servos stop: six cycles at 30 Hz
DOUBT = 0.5  # share of it from which the host takes them for tripped


class _Bus(Protocol):
    framing: Framing
    silence: float

    def read(self, actuator_id: int, register: str) -> int: ...

    def sync_read(self, register: str, actuator_ids: Sequence[int]) -> Mapping[int, object]: ...

    def sync_write(self, register: str, values: Mapping[int, int]) -> None: ...


class DeadMan:
    """The watchdogs of all servos of a bus that were set by this host.

    Attributes:
        stays: Whether they stay set when the bus is closed.
    """

    def __init__(self, bus: _Bus) -> None:
        """Know nothing yet of what is on the wire."""
        self._bus = bus
        self._ids: tuple[int, ...] = ()
        self.stays = False

    def set(self, actuator_ids: Sequence[int]) -> None:
        """Set the watchdogs of servos whose torque is on.

        Args:
            actuator_ids: The servos.

        Raises:
            BusError: If one of them does not hold what was written.
        """
        watchdog = self._bus.framing.watchdog
        if watchdog is None:
            return
        register, unit = watchdog
        counts = round(SILENCE / unit)
        self._bus.sync_write(register, dict.fromkeys(actuator_ids, counts))
        self._ids, self.stays, self._bus.silence = tuple(actuator_ids), False, 0.0
        for i in actuator_ids:
            held = self._bus.read(i, register)
            if held != counts:
                raise BusError(
                    f"servo {i}: register {register} holds {held} after writing {counts}, so the servo would not stop "
                    "by itself: check its cable, then arm again"
                )

    def clear(self, actuator_ids: Sequence[int]) -> None:
        """Switch the watchdogs off; a tripped one is forgiven and its servo takes goals again.

        Args:
            actuator_ids: The servos.
        """
        watchdog = self._bus.framing.watchdog
        self._ids = ()
        if watchdog is not None:
            self._bus.sync_write(watchdog[0], dict.fromkeys(actuator_ids, 0))

    def rouse(self, actuator_ids: Sequence[int], send_goals: Callable[[], None]) -> None:
        """Send goals that servos take although their watchdogs may have tripped.

        Args:
            actuator_ids: The servos.
            send_goals: Sends them.
        """
        watchdog = self._bus.framing.watchdog
        if watchdog is None or self._bus.silence < DOUBT * SILENCE:
            send_goals()
            return
        register, unit = watchdog
        self._bus.sync_write(register, dict.fromkeys(actuator_ids, 0))
        send_goals()
        counts = round(SILENCE / unit) if self._ids else 0
        if counts:
            self._bus.sync_write(register, dict.fromkeys(actuator_ids, counts))
        if all(held == counts for held in self._bus.sync_read(register, actuator_ids).values()):
            self._bus.silence = 0.0

    def leave(self) -> None:
        """Switch off what was set, unless it is to stay."""
        if self._ids and not self.stays:
            self.clear(self._ids)
