"""The bus: registers of servos by name, one result per servo.

How a request finds its replies is in `exchange`. Where the replies to one request wait for each other, a silent servo
silences those behind it: the bus then asks these once more, without it. One wire may carry several models of a family;
each is held to its own table where its model is known.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from ..robots.errors import BusError, RefusedError
from .dead_man import DeadMan
from .exchange import MARGIN, PATIENCE, BusStatistics, Exchanges, Fault
from .framing import Framing, Packet, Telemetry
from .ports import Port
from .registers import Register, RegisterTable

__all__ = ["ActuatorBus", "BusStatistics", "Fault"]

CACHED = 64  # requests kept as bytes, and registers looked up for several servos


class ActuatorBus(Exchanges):
    """Servos of one protocol on one port.

    Attributes:
        models: Model number of each servo by id, as far as they are known.
        dead_man: The watchdogs of the servos.
    """

    def __init__(
        self, port: Port, framing: Framing, *, models: Mapping[int, int] | None = None, margin: float = MARGIN
    ) -> None:
        """Take over an open port.

        Args:
            port: The wire.
            framing: How its servos speak.
            models: Model number of each servo by id, as far as they are known.
            margin: Patience beyond wire time, s.
        """
        super().__init__(port, framing, margin)
        self.models: dict[int, int] = {}
        self._tables: dict[int, RegisterTable] = {}
        self._requests: dict[tuple[tuple[int, ...], int, int], bytes] = {}
        self._known: dict[tuple[tuple[int, ...], str], tuple[Register, ...]] = {}
        self.dead_man = DeadMan(self)
        self.know(models or {})

    def know(self, models: Mapping[int, int]) -> None:
        """Learn which model servos are, so that each is held to its own table.

        Args:
            models: Model number by id.
        """
        self.models |= models
        self._tables |= {i: self.framing.table(model) for i, model in models.items()}
        self._known.clear()

    def table(self, actuator_id: int) -> RegisterTable:
        """The registers of one servo: of its model where that is known.

        Args:
            actuator_id: The servo.
        """
        return self._tables.get(actuator_id, self.framing.registers)

    def diagnose(self, actuator_id: int, status: int) -> tuple[str, ...]:
        """Name what a status byte complains of, each with its cure; asks the servo where the byte only hints at it.

        Args:
            actuator_id: The servo.
            status: The status byte of a reply.

        Raises:
            BusError: If the servo is to be asked and does not answer.
        """
        if not status:
            return ()
        refusal = self.framing.refusal(status)
        register = self.framing.condition_register
        conditions = status if register is None else self.read(actuator_id, register)
        return ((refusal,) if refusal else ()) + self.framing.faults(conditions)

    # ---- one servo

    def ping(self, actuator_id: int, *, margin: float = PATIENCE) -> int | Fault:
        """Ask a servo whether it is there.

        Args:
            actuator_id: The servo.
            margin: Patience beyond wire time, s.

        Returns:
            Its status byte, or why there is none.
        """
        framing = self.framing
        found = self._exchange(framing.ping(actuator_id), (actuator_id,), framing.ping_size, margin)
        packet = self._carried_out(actuator_id, found.get(actuator_id))
        return packet if isinstance(packet, Fault) else packet.code

    def read_bytes(self, actuator_ids: Sequence[int], address: int, size: int) -> dict[int, Packet | Fault]:
        """Read the same memory of one or several servos.

        Args:
            actuator_ids: The servos.
            address: First byte.
            size: Bytes.

        Returns:
            Per servo the packet whose data are exactly these bytes, or why there is none.
        """
        if len(actuator_ids) == 1:
            first, wanted = self._stretch(address, size)
            request = self.framing.read(actuator_ids[0], first, wanted)
            batches = [(address - first, self._exchange(request, actuator_ids, wanted, PATIENCE))]
        else:
            batches = self._gather(actuator_ids, address, size)
        results: dict[int, Packet | Fault] = {i: self._silent(i) for i in actuator_ids}
        for skip, found in batches:
            for i, whole in found.items():
                packet = self._carried_out(i, whole)
                if isinstance(packet, Packet):
                    packet = Packet(i, packet.code, packet.data[skip : skip + size])
                results[i] = packet
        return results

    def _gather(self, ids: Sequence[int], address: int, size: int) -> list[tuple[int, dict[int, Packet]]]:
        """Sync read; where a silent servo broke the chain of replies, those behind it are asked without it.

        Returns:
            One entry per exchange: how many bytes of its data lie before `address`, and its packets.
        """
        first, wanted = self._stretch(address, size)
        if not self.framing.gathers:
            read = self.framing.read
            return [(address - first, self._exchange(read(i, first, wanted), (i,), wanted, self.margin)) for i in ids]
        key = (tuple(ids), first, wanted)
        request = self._requests.get(key)
        if request is None:
            if len(self._requests) > CACHED:
                self._requests.clear()
            request = self._requests[key] = self.framing.sync_read(ids, first, wanted)
        found = self._exchange(request, ids, wanted)
        batches = [(address - first, found)]
        if len(found) < len(ids) and self.framing.chained:
            behind = ids[max((k for k, i in enumerate(ids) if i in found), default=-1) + 2 :]
            if behind:
                self.statistics.retries += 1
                batches += self._gather(behind, address, size)
        return batches

    def _carried_out(self, actuator_id: int, packet: Packet | None) -> Packet | Fault:
        if packet is None:
            return self._silent(actuator_id)
        if packet.code:
            refusal = self.framing.refusal(packet.code)
            if refusal:
                return Fault(actuator_id, f"servo {actuator_id} refused: {refusal}")
        return packet

    def read(self, actuator_id: int, register: str) -> int:
        """Read one register of one servo, and once more if it stays silent.

        Args:
            actuator_id: The servo.
            register: Name in the protocol's table.

        Raises:
            BusError: If the servo does not answer.
        """
        entry = self.table(actuator_id)[register]
        result = self.read_bytes((actuator_id,), entry.address, entry.size)[actuator_id]
        if isinstance(result, Fault):
            self.statistics.retries += 1
            result = self.read_bytes((actuator_id,), entry.address, entry.size)[actuator_id]
        if isinstance(result, Fault):
            raise BusError(f"reading {register}: {result.text}")
        return entry.decode(result.data)

    def write(self, actuator_id: int, register: str, value: int, *, verify: bool = True) -> None:
        """Write one register of one servo, acknowledged.

        Args:
            actuator_id: The servo.
            register: Name in the protocol's table.
            value: Value in the register's unit.
            verify: Whether to read it back, which also stands in for a lost acknowledgement.

        Raises:
            BusError: If the servo does not acknowledge, refuses, or holds another value afterwards.
            RefusedError: If the value is out of range or the register is read-only.
        """
        entry = self._writable(actuator_id, register)
        request = self.framing.write(actuator_id, entry.address, entry.encode(value))
        packet = self._exchange(request, (actuator_id,), 0, PATIENCE).get(actuator_id)
        answer = self._carried_out(actuator_id, packet)
        if packet and isinstance(answer, Fault):
            raise BusError(f"writing {register} = {value}: {answer.text}")
        if verify:
            held = self.read(actuator_id, register)
            if held != value:
                raise BusError(
                    f"servo {actuator_id}: register {register} holds {held} after writing {value}; "
                    "the write was lost or the servo refuses the value: check the cable, then try again"
                )
        elif isinstance(answer, Fault):
            raise BusError(f"writing {register}: {answer.text}")

    def command(self, request: bytes, actuator_id: int) -> int | Fault:
        """Send any request of the framing that a status packet answers.

        Args:
            request: As the framing made it.
            actuator_id: Who answers.

        Returns:
            The status byte, or why there is none.
        """
        found = self._exchange(request, (actuator_id,), 0, PATIENCE)
        packet = self._carried_out(actuator_id, found.get(actuator_id))
        return packet if isinstance(packet, Fault) else packet.code

    # ---- several servos

    def sync_read(self, register: str, actuator_ids: Sequence[int]) -> dict[int, int | Fault]:
        """Read one register of several servos in one exchange.

        Args:
            register: Name in the protocol's table.
            actuator_ids: The servos, in the order in which they answer.

        Raises:
            RefusedError: If the register lies at different addresses in the servos.
        """
        entries = self._entries(tuple(actuator_ids), register)
        results = self.read_bytes(actuator_ids, entries[0].address, entries[0].size)
        return {i: r if isinstance(r, Fault) else entries[0].decode(r.data) for i, r in results.items()}

    def sync_write(self, register: str, values: Mapping[int, int]) -> None:
        """Write one register of several servos; no one acknowledges.

        Args:
            register: Name in the protocol's table.
            values: Value per servo.

        Raises:
            RefusedError: If a value is out of range, the register is read-only or at different addresses in the servos.
        """
        entries = self._entries(tuple(values), register)
        if not entries[0].writable:
            raise RefusedError(f"register {register} is read-only")
        coded = {i: entry.encode(value) for entry, (i, value) in zip(entries, values.items(), strict=True)}
        request = self.framing.sync_write(entries[0].address, coded)
        self.statistics.requests += 1
        self.port.write(request)

    def telemetry(self, actuator_ids: Sequence[int]) -> dict[int, Telemetry | Fault]:
        """Read position, speed, load, voltage, temperature, current and status of several servos in one exchange.

        Args:
            actuator_ids: The servos.
        """
        framing = self.framing
        decode, model_of = framing.telemetry, self.models.get
        heard: dict[int, Telemetry | Fault] = {}
        for skip, found in self._gather(actuator_ids, *framing.telemetry_block):
            for i, (_, status, data) in found.items():
                if data:
                    heard[i] = decode(data[skip:] if skip else data, status, model_of(i, 0))
                else:
                    heard[i] = Fault(i, f"servo {i} refused: {framing.refusal(status)}")
        if [*heard] == [*actuator_ids]:
            return heard
        return {i: heard[i] if i in heard else self._silent(i) for i in actuator_ids}

    def scan(self, actuator_ids: Sequence[int]) -> list[int]:
        """Ids that answer a ping.

        Args:
            actuator_ids: Ids to try.
        """
        return [i for i in actuator_ids if not isinstance(self.ping(i, margin=self.margin), Fault)]

    def close(self) -> None:
        """Give the port back; but for a watchdog that is switched off, the servos stay as they are."""
        with suppress(BusError):
            self.dead_man.leave()
        self.port.close()

    def _entries(self, actuator_ids: tuple[int, ...], register: str) -> tuple[Register, ...]:
        """The same register of several servos, which must lie at one address to be asked for at once."""
        key = (actuator_ids, register)
        entries = self._known.get(key)
        if entries is None:
            entries = tuple(self.table(i)[register] for i in actuator_ids)
            if len({(entry.address, entry.size) for entry in entries}) != 1:
                raise RefusedError(
                    f"register {register} lies at different addresses in servos {', '.join(map(str, actuator_ids))}: "
                    "ask them one by one"
                )
            if len(self._known) > CACHED:
                self._known.clear()
            self._known[key] = entries
        return entries

    def _writable(self, actuator_id: int, register: str) -> Register:
        entry = self.table(actuator_id)[register]
        if not entry.writable:
            raise RefusedError(f"register {register} is read-only")
        return entry

    def _silent(self, actuator_id: int) -> Fault:
        return Fault(
            actuator_id,
            f"servo {actuator_id} does not answer on {self.port.name} at {self.port.baud_rate} baud: "
            "check its cable, power, id and baud rate",
        )
