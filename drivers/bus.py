"""The bus: requests out, a result per servo back, and a count of everything that was not as it should be.

    flush input | send | read until all replies are there or the deadline has come | one result per servo

The protocols of bus servos number nothing, so an answer that comes late looks like the answer to the next question.
The bus therefore never asks twice in a row for the same number of bytes: it asks for one or two registers more than
needed, and a reply of the wrong length is counted as late and dropped. Only bare acknowledgements cannot be told
apart this way; a write that matters is read back.

Where the replies to one request wait for each other, a silent servo silences those behind it: the bus then asks these
once more, without it. One wire may carry several models of a family; each has its own table where its model is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from ..robots.errors import BusError, RefusedError
from .framing import Framing, Packet, Telemetry
from .ports import Port
from .registers import Register, RegisterTable

MARGIN = 0.02  # s of patience beyond wire time: USB frames, a 16 ms adapter latency timer, a busy machine
PATIENCE = 0.1  # s beyond wire time for one servo alone: set-up can wait, the tick cannot
HELD_BACK = 0.0003  # s behind wire time from which a wait in one piece is cheaper than a timed one
CACHED = 64  # requests kept as bytes, and registers looked up for several servos
OWED = 12  # lengths of unanswered requests that are avoided at once


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a servo gave no value.

    Attributes:
        actuator_id: The servo.
        text: What happened and the cure, one line.
    """

    actuator_id: int
    text: str


@dataclass(slots=True)
class BusStatistics:
    """Counters since the bus was opened.

    Attributes:
        requests: Exchanges that were begun.
        replies: Replies that were accepted.
        timeouts: Replies that did not come in time, one per servo.
        checksum_errors: Frames whose checksum was wrong.
        stray_bytes: Bytes that belonged to no accepted reply: noise, echo, late replies.
        late_replies: Replies to an earlier request that came during a later one.
        status_flags: Replies whose status byte was not zero.
        retries: Requests repeated within a cycle.
    """

    requests: int = 0
    replies: int = 0
    timeouts: int = 0
    checksum_errors: int = 0
    stray_bytes: int = 0
    late_replies: int = 0
    status_flags: int = 0
    retries: int = 0

    def as_dict(self) -> dict[str, int]:
        """Counters by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class ActuatorBus:
    """Servos of one protocol on one port."""

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
        self.port = port
        self.framing = framing
        self.margin = margin
        self.models: dict[int, int] = {}
        self._tables: dict[int, RegisterTable] = {}
        self.statistics = BusStatistics()
        self._byte_time = 10.0 / port.baud_rate
        self._avoid: list[int] = []
        self._requests: dict[tuple[tuple[int, ...], int, int], bytes] = {}
        self._known: dict[tuple[tuple[int, ...], str], tuple[Register, ...]] = {}
        self.know(models or {})
        self._held_back = False  # whether an adapter delivers all replies at once and late, as FTDI's timer does

    def know(self, models: Mapping[int, int]) -> None:
        """Learn which model servos are, so that each is held to its own table.

        Args:
            models: Model number by id.
        """
        self.models |= models
        self._tables |= {i: self.framing.table(model) for i, model in models.items()}
        self._known.clear()

    # ---- exchanges

    def _exchange(
        self, request: bytes, ids: Sequence[int], size: int, margin: float | None = None
    ) -> dict[int, Packet]:
        """Send a request and collect replies of `size` bytes; ids without one are missing from the result."""
        port = self.port
        statistics = self.statistics
        statistics.requests += 1
        port.flush_input()
        count = len(ids)
        total = self.framing.replies_size(count, size)
        clock = port.clock
        wire = (len(request) + total) * self._byte_time + self.framing.reply_gap(count, size, port.baud_rate)
        begun = clock.now()
        deadline = begun + wire + (self.margin if margin is None else margin)
        port.write(request)
        if count > 1 and not self._held_back:
            clock.sleep_until(begun + wire)  # one wake-up instead of one per reply: nothing is whole before
        parser = self.framing.parser(ids, size)
        found: dict[int, Packet] = {}
        suspect: Packet | None = None
        received = b""
        while len(found) < count:
            chunk = port.read(parser.missing(count - len(found)), deadline)
            received += chunk
            for packet in parser.feed(chunk):
                if not found and suspect is None and total == len(request) and self._may_be_echo(packet, request, size):
                    suspect = packet  # the echo of a request can look like its own reply
                elif packet.actuator_id in found:
                    statistics.late_replies += 1
                else:
                    found[packet.actuator_id] = packet
                    statistics.status_flags += packet.code != 0
            if len(found) < count and clock.now() >= deadline:
                break
        self._held_back = clock.now() > begun + wire + HELD_BACK
        if suspect is not None and not found and not self._echoes():
            found[suspect.actuator_id] = suspect
        statistics.replies += len(found)
        statistics.timeouts += count - len(found)
        statistics.checksum_errors += parser.checksum_errors
        statistics.stray_bytes += parser.stray_bytes
        if parser.stray_bytes:
            statistics.late_replies += self._late(received, ids, size)
        self._remember(size, complete=len(found) == count)
        return found

    def _may_be_echo(self, packet: Packet, request: bytes, size: int) -> bool:
        return packet in self.framing.parser((packet.actuator_id,), size).feed(request)

    def _echoes(self) -> bool:
        """Whether the wire returns the host's own bytes, by a frame that no servo answers."""
        probe = self.framing.probe
        self.port.flush_input()
        deadline = self.port.clock.now() + len(probe) * self._byte_time + self.margin
        self.port.write(probe)
        return probe in self.port.read(len(probe), deadline)

    def _late(self, received: bytes, ids: Sequence[int], size: int) -> int:
        return sum(len(self.framing.parser(ids, owed).feed(received)) for owed in set(self._avoid) - {size})

    def _remember(self, size: int, *, complete: bool) -> None:
        avoid = self._avoid
        if complete:
            avoid[:] = (*avoid[-1:], size)
        else:
            avoid.append(size)
            del avoid[:-OWED]

    def _stretch(self, address: int, size: int) -> tuple[int, int]:
        """First address and size of a read that no reply still owed could answer."""
        if size not in self._avoid:
            return address, size
        table = self.framing.registers
        for wanted in range(size + 1, size + OWED + 1):
            if wanted not in self._avoid:
                first = table.window(address, size, wanted)
                if first is not None:
                    return first, wanted
        return address, size

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
        models = self.models
        heard: dict[int, Telemetry | Fault] = {}
        for skip, found in self._gather(actuator_ids, *framing.telemetry_block):
            for i, packet in found.items():
                data = packet.data[skip:] if skip else packet.data
                if data:
                    heard[i] = framing.telemetry(data, packet.code, models.get(i, 0))
                else:
                    heard[i] = Fault(i, f"servo {i} refused: {framing.refusal(packet.code)}")
        return {i: heard[i] if i in heard else self._silent(i) for i in actuator_ids}

    def scan(self, actuator_ids: Sequence[int]) -> list[int]:
        """Ids that answer a ping.

        Args:
            actuator_ids: Ids to try.
        """
        return [i for i in actuator_ids if not isinstance(self.ping(i, margin=self.margin), Fault)]

    def close(self) -> None:
        """Give the port back; the servos stay as they are."""
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
