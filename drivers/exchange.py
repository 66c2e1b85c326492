"""One exchange with servos: a request out, the replies that belong to it back, and a count of everything else.

    flush input | send | read until all replies are there or the deadline has come

The protocols of bus servos number nothing, so an answer that comes late looks like the answer to the next question.
Therefore nobody is asked twice in a row for the same number of bytes: one or two registers more than needed are read,
and a reply of the wrong length is counted as late and dropped. Only bare acknowledgements cannot be told apart this
way; a write that matters is read back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from .framing import Framing, Packet
from .ports import Port

MARGIN = 0.02  # s of patience beyond wire time: USB frames, a 16 ms adapter latency timer, a busy machine
PATIENCE = 0.1  # s beyond wire time for one servo alone: set-up can wait, the tick cannot
HELD_BACK = 0.0003  # s behind wire time from which a wait in one piece is cheaper than a timed one
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


class Exchanges:
    """A port and what its servos speak.

    Attributes:
        port: The wire.
        framing: How its servos speak.
        margin: Patience beyond wire time, s.
        statistics: What happened so far.
        silence: Longest time between two requests since it was set to 0, s; infinite before the first.
    """

    def __init__(self, port: Port, framing: Framing, margin: float) -> None:
        """Take over an open port."""
        self.port = port
        self.framing = framing
        self.margin = margin
        self.statistics = BusStatistics()
        self.silence = 0.0
        self._spoke = float("-inf")
        self._byte_time = 10.0 / port.baud_rate
        self._avoid: list[int] = []
        self._held_back = False  # whether an adapter delivers all replies at once and late, as FTDI's timer does

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
        self.silence = max(self.silence, begun - self._spoke)
        self._spoke = begun
        deadline = begun + wire + (self.margin if margin is None else margin)
        port.write(request)
        if count > 1 and not self._held_back:
            clock.sleep_until(begun + wire)  # one wake-up instead of one per reply: nothing is whole before
        parser = self.framing.parser(ids, size)
        found: dict[int, Packet] = {}
        suspect: Packet | None = None
        received = b""
        wanted = total
        while len(found) < count:
            chunk = port.read(wanted, deadline)
            received += chunk
            for packet in parser.feed(chunk):
                if not found and suspect is None and total == len(request) and self._may_be_echo(packet, request, size):
                    suspect = packet  # the echo of a request can look like its own reply
                elif packet.actuator_id in found:
                    statistics.late_replies += 1
                else:
                    found[packet.actuator_id] = packet
                    statistics.status_flags += packet.code != 0
            if len(found) < count:
                if clock.now() >= deadline:
                    break
                wanted = parser.missing(count - len(found))
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
