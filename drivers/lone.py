"""The one servo on a port, followed through changes of its own id and rate; every write is read back.

    find_alone -> with LoneServo: torque off? -> unlocked -> set("id", 3) -> set("baud_code", 0) -> locked

A servo is set up alone, because two that share an id cannot be told apart on the wire. What a pulled cable cuts short
is simply done again: the next look finds the servo wherever it is by then.
"""

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from ..robots.errors import BusError, LinkLostError, RefusedError
from .bus import ActuatorBus, Fault
from .chain import Found
from .ports import open_port
from .protocols import load_protocol
from .scan import plan, scan

REBOOT_PATIENCE = 3.0  # s a servo may take to restart


def find_alone(url: str, protocol: str, *, on_look: Callable[[str], None] = lambda words: None) -> Found:
    """Find the one servo on a port.

    Args:
        url: As for `open_port`.
        protocol: What it speaks.
        on_look: Called after each rate that was tried.

    Raises:
        BusError: If none answers.
        RefusedError: If more than one does, or the one cannot be read.
    """
    report = scan(url, plan(url, [protocol]), on_look=on_look)
    if not report.servos:
        raise BusError(f"{url}: {report.hints[0]}")
    here = [f"id {s.actuator_id} at {s.baud_rate} baud{' twice' if s.double else ''}" for s in report.servos]
    (first, *others) = report.servos
    if others or first.double:
        raise RefusedError(
            f"{url}: more than one servo answers ({', '.join(here)}): plug in the one to be set up, only"
        )
    if first.model_number is None:
        raise RefusedError(f"{url}: {'; '.join(first.faults)}")
    return first


class LoneServo:
    """A servo that is alone on its wire, unlocked for as long as a `with` block lasts.

    Attributes:
        actuator_id: Its id now.
        baud_rate: Its rate now.
        rates: Rate by baud code.
    """

    def __init__(self, url: str, found: Found) -> None:
        """Remember where it is; `with` opens the port.

        Args:
            url: As for `open_port`.
            found: The servo, from `find_alone`.
        """
        self._url = url
        self._framing = load_protocol(found.protocol)
        self._model = found.model_number or 0
        self.actuator_id = found.actuator_id
        self.baud_rate = found.baud_rate
        self.rates = self._framing.baud_rates

    def __enter__(self) -> Self:
        """Open the port and unlock the servo.

        Raises:
            RefusedError: If it holds torque: nothing is set up on an arm in use.
        """
        self._open()
        try:
            if self._bus.read(self.actuator_id, "torque_switch"):
                raise RefusedError(f"servo {self.actuator_id} holds torque: switch it off and on, then try again")
            self._lock(0)
        except BaseException:
            self._bus.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lock the servo and give the port back."""
        try:
            if error is None:
                self._lock(1)
            else:
                with suppress(BusError):
                    self._lock(1)
        finally:
            self._bus.close()

    def _open(self) -> None:
        self._bus = self._on(self.actuator_id, ActuatorBus(open_port(self._url, self.baud_rate), self._framing))

    def _on(self, actuator_id: int, bus: ActuatorBus) -> ActuatorBus:
        return ActuatorBus(bus.port, self._framing, models={actuator_id: self._model})

    def _lock(self, value: int) -> None:
        if "lock" in self._bus.table(self.actuator_id):
            self._bus.write(self.actuator_id, "lock", value)

    def registers(self) -> dict[str, int]:
        """Every register that the servo keeps over power-off, by name."""
        table = self._bus.table(self.actuator_id)
        return {r.name: self._bus.read(self.actuator_id, r.name) for r in table if r.access == "eeprom"}

    def check(self, name: str, value: int) -> None:
        """Refuse a value that the servo does not take, before anything is written.

        Raises:
            RefusedError: If it is out of range.
        """
        self._bus.table(self.actuator_id)[name].encode(value)

    def set(self, name: str, value: int) -> None:
        """Write a register, follow the servo where that moves it, and read the register back there.

        Args:
            name: Name in the protocol's table.
            value: Value in the register's unit.

        Raises:
            BusError: If the servo does not hold it afterwards.
        """
        self.check(name, value)
        if name in ("id", "baud_code"):
            with suppress(BusError):  # some answer from the old place, some from the new: reading back decides
                self._bus.write(self.actuator_id, name, value, verify=False)
        else:
            self._bus.write(self.actuator_id, name, value)
        if name == "id":
            self.actuator_id = value
            self._bus = self._on(value, self._bus)
        elif name == "baud_code":
            self._bus.close()
            self.baud_rate = self.rates[value]
            self._open()
        held = self._bus.read(self.actuator_id, name)
        if held != value:
            raise BusError(f"servo {self.actuator_id}: register {name} holds {held} after writing {value}: try again")

    def reset(self) -> None:
        """Restore what the factory set, but for the id, and wait until the servo answers again.

        Raises:
            RefusedError: If the protocol has no such instruction.
            BusError: If the servo does not answer afterwards; it may be at another rate, where a scan finds it.
        """
        request = self._framing.factory_reset(self.actuator_id)
        if request is None:
            raise RefusedError(f"{self._framing.name} has no factory reset: write the old settings back, --undo FILE")
        answer = self._bus.command(request, self.actuator_id)
        if isinstance(answer, Fault):
            raise BusError(f"factory reset: {answer.text}")
        self._await()
        self._lock(0)

    def _await(self) -> None:
        clock = self._bus.port.clock
        give_up = clock.now() + REBOOT_PATIENCE
        while clock.now() < give_up:
            if not isinstance(self._bus.ping(self.actuator_id), Fault):
                return
        here = self.baud_rate
        for rate in self.rates:
            if rate == here:
                continue
            self._bus.close()
            self.baud_rate = rate
            try:
                self._open()
                if not isinstance(self._bus.ping(self.actuator_id), Fault):
                    return
            except LinkLostError:
                raise
            except BusError:
                continue
        raise BusError(
            f"servo {self.actuator_id} does not answer after its reset: switch it off and on, then genba scan"
        )
