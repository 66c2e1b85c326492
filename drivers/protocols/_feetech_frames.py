"""Frames of Feetech bus servos, and the parsers that find them in any stream of bytes.

    request   FF FF  id  len  instruction  parameter ...  checksum      len = parameters + 2
    reply     FF FF  id  len  status       data ...       checksum      checksum = ~(id + len + ... ) & FF

There is no byte stuffing. A servo starts afresh at any two consecutive FF, also inside a packet, so a request that
carries FF FF in its data is lost in silence; `encode` refuses to make one. A reply may carry FF FF, so the host must
go by length: `ReplyParser` accepts only the ids and the one length it asked for, which also means that no reply can
hide inside another.
"""

from collections.abc import Collection

from ...robots.errors import RefusedError
from ..framing import Packet

HEADER = b"\xff\xff"
BROADCAST = 0xFE


def checksum(body: bytes) -> int:
    """Checksum over id, length, code and data."""
    return ~sum(body) & 0xFF


def frame(actuator_id: int, code: int, data: bytes | bytearray = b"") -> bytes:
    """Frame a code and its data without asking whether a servo could hear it; replies may carry FF FF."""
    body = bytes((actuator_id, len(data) + 2, code)) + data
    return b"%b%b%c" % (HEADER, body, ~sum(body) & 0xFF)


def encode(actuator_id: int, instruction: int, parameters: bytes | bytearray = b"") -> bytes:
    """Frame a request.

    Args:
        actuator_id: 0..253, or 254 for all.
        instruction: One of `Instruction`.
        parameters: At most 253 bytes.

    Raises:
        RefusedError: If the id or length does not fit, or the frame would carry FF FF behind its header.
    """
    if not 0 <= actuator_id <= BROADCAST:
        raise RefusedError(f"actuator id {actuator_id} is outside 0..{BROADCAST}")
    if len(parameters) > 253:
        raise RefusedError(f"{len(parameters)} parameter bytes do not fit one packet; send at most 253")
    packet = frame(actuator_id, instruction, parameters)
    at = packet.find(HEADER, 2)
    if at >= 0:
        raise RefusedError(
            f"instruction 0x{instruction:02X} to servo {actuator_id} would carry FF FF at byte {at}, "
            "which the servo takes for a new packet: change the value there by one, or write the registers one by one"
        )
    return packet


class ReplyParser:
    """Host side: finds the replies to one request in any stream of bytes; what it doubts it drops."""

    __slots__ = ("_ids", "_length", "_rest", "_total", "checksum_errors", "stray_bytes")

    def __init__(self, actuator_ids: Collection[int], size: int) -> None:
        """Expect replies of these servos.

        Args:
            actuator_ids: Who was asked.
            size: Data bytes each was asked for.
        """
        self._ids = actuator_ids
        self._length = size + 2
        self._total = size + 6
        self._rest = b""
        self.stray_bytes = 0
        self.checksum_errors = 0

    def feed(self, chunk: bytes) -> list[Packet]:
        """Take any bytes and return the packets they complete; what cannot be a reply is counted and skipped."""
        data = self._rest + chunk
        found = []
        at = 0
        end = len(data)
        total, length, ids = self._total, self._length, self._ids
        while True:
            start = data.find(HEADER, at)
            if start != at:
                if start < 0:
                    start = end - 1 if end > at and data[-1] == 0xFF else end
                    self.stray_bytes += start - at
                    at = start
                    break
                self.stray_bytes += start - at
                at = start
            if end - at < 4:
                break
            stop = at + total
            if data[at + 3] != length or data[at + 2] not in ids:
                self.stray_bytes += 1
                at += 1
                continue
            if end < stop:
                break
            body = data[at + 2 : stop]
            # A sum of eight bits lets one spliced frame in 256 through, but what follows a splice is no header.
            if sum(body) & 0xFF != 0xFF or not HEADER.startswith(data[stop : stop + 2]):
                self.checksum_errors += 1
                self.stray_bytes += 1
                at += 1
                continue
            found.append(Packet(body[0], body[2], body[3:-1]))
            at = stop
        self._rest = data[at:]
        return found

    def missing(self, replies: int) -> int:
        """Bytes that must still come, at least, before `replies` more packets can be whole; 1 or more."""
        return max(replies * self._total - len(self._rest), 1)


class RequestParser:
    """Servo side: starts afresh at every FF FF, as the servo's own parser does."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        """Start with nothing heard."""
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> list[Packet]:
        """Take any bytes and return the requests they complete; bad checksums and lengths vanish in silence."""
        buffer = self._buffer
        buffer += chunk
        found = []
        while True:
            start = buffer.find(HEADER)
            if start < 0:
                del buffer[: len(buffer) - (1 if buffer.endswith(b"\xff") else 0)]
                break
            at = start + 2
            while at < len(buffer) and buffer[at] == 0xFF:
                at += 1
            if len(buffer) - at < 2:
                del buffer[:start]
                break
            end = at + 2 + buffer[at + 1]
            restart = buffer.find(HEADER, at, end)
            if restart >= 0:
                del buffer[:restart]
                continue
            if buffer[at + 1] < 2:
                del buffer[: at + 2]
                continue
            if len(buffer) < end:
                del buffer[:start]
                break
            body = bytes(buffer[at:end])
            del buffer[:end]
            if sum(body) & 0xFF == 0xFF:
                found.append(Packet(body[0], body[2], body[3:-1]))
        return found
