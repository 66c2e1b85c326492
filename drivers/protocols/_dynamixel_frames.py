"""Frames of Dynamixel Protocol 2.0, and the parsers that find them in any stream of bytes.

    request   FF FF FD 00  id  len len  instruction  parameter ...       crc crc
    status    FF FF FD 00  id  len len  55  error    data ...            crc crc     len counts from behind itself
    merged    FF FF FD 00  FE  len len  55 (error id data ... crc crc)   one block per servo, each closed by its crc

Wherever instruction and parameters hold FF FF FD, a further FD is stuffed in, so that no header can occur inside; a
merged status is not stuffed. The checksum is CRC-16 (polynomial 8005, start 0, high bit first) over everything from
the first FF on, sent low byte first; length and checksum count the stuffed bytes. Numbers are little-endian.
"""

import struct
from collections.abc import Collection

from ..framing import Packet

HEADER = b"\xff\xff\xfd\x00"
BROADCAST = 0xFE
STATUS = 0x55
SPOILED = -1  # code of a request whose checksum was wrong
POLYNOMIAL = 0x8005
MAX_LENGTH = 1024  # a longer request is noise: no servo has that much memory

_PLAIN, _STUFFED = b"\xff\xff\xfd", b"\xff\xff\xfd\xfd"


def _byte_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ (POLYNOMIAL if crc & 0x8000 else 0)
        table.append(crc & 0xFFFF)
    return table


_BYTE = _byte_table()
# A checksum as wide as two bytes moves on by two bytes in one look-up.
_HIGH = [((crc << 8) & 0xFFFF) ^ _BYTE[crc >> 8] for crc in _BYTE]
_WORD = [high ^ low for high in _HIGH for low in _BYTE]


def crc16(data: bytes | bytearray, crc: int = 0) -> int:
    """Checksum over bytes, going on from that over earlier ones.

    Args:
        data: The bytes.
        crc: Checksum so far.
    """
    odd = len(data) & 1
    if odd:
        crc = ((crc << 8) & 0xFFFF) ^ _BYTE[(crc >> 8) ^ data[0]]
    table = _WORD
    for word in struct.unpack_from(f">{len(data) >> 1}H", data, odd):
        crc = table[crc ^ word]
    return crc


def frame(actuator_id: int, code: int, data: bytes | bytearray = b"") -> bytes:
    """Frame an instruction and its parameters."""
    body = (bytes((code,)) + data).replace(_PLAIN, _STUFFED)
    head = b"%b%c%b%b" % (HEADER, actuator_id, (len(body) + 2).to_bytes(2, "little"), body)
    return head + crc16(head).to_bytes(2, "little")


def status_frame(actuator_id: int, error: int, data: bytes = b"") -> bytes:
    """Frame a servo's reply."""
    return frame(actuator_id, STATUS, bytes((error,)) + data)


def merged_frame(blocks: list[tuple[int, int, bytes]], length: int) -> bytes:
    """Frame the one reply that several servos make together.

    Args:
        blocks: Id, error and data of the servos that answered, in their order.
        length: Length field, for all that were asked; where fewer answer, the frame breaks off behind the last.
    """
    out = bytearray(b"%b%c%b%c" % (HEADER, BROADCAST, length.to_bytes(2, "little"), STATUS))
    for actuator_id, error, data in blocks:
        out += bytes((error, actuator_id)) + data
        out += crc16(out).to_bytes(2, "little")
    return bytes(out)


class StatusParser:
    """Host side: finds the replies to one request; what it doubts it drops."""

    __slots__ = ("_crc", "_done", "_ids", "_merged", "_most", "_rest", "_size", "checksum_errors", "stray_bytes")

    def __init__(self, actuator_ids: Collection[int], size: int, *, merged: bool = False) -> None:
        """Expect replies of these servos.

        Args:
            actuator_ids: Who was asked.
            size: Data bytes each was asked for.
            merged: Whether they were asked to answer with one frame.
        """
        self._ids = actuator_ids
        self._size = size
        self._most = size + 4 + (size + 2) // 3
        self._merged = 1 + len(actuator_ids) * (size + 4) if merged else -1
        self._rest = b""
        self._done = 0  # blocks of a merged frame that have been taken
        self._crc = 0  # checksum up to the next of them
        self.stray_bytes = 0
        self.checksum_errors = 0

    def missing(self, replies: int) -> int:
        """Bytes that must still come, at least, before `replies` more packets can be whole; 1 or more."""
        rest = self._rest
        here = len(rest)
        if self._merged > 0:
            return max(7 + self._merged - here, 1)
        first = 7 + (rest[5] | rest[6] << 8) if here >= 9 else self._size + 11
        return max(first - here + (replies - 1) * (self._size + 11), 1)

    def feed(self, chunk: bytes) -> list[Packet]:
        """Take any bytes and return the packets they complete; what cannot be a reply is counted and skipped."""
        data = self._rest + chunk
        found: list[Packet] = []
        at, end = 0, len(data)
        while True:
            start = data.find(HEADER, at)
            if start < 0:
                start = end - next((n for n in (3, 2, 1) if end - at >= n and data.endswith(HEADER[:n])), 0)
                self.stray_bytes += start - at
                at = start
                break
            self.stray_bytes += start - at
            at = start
            if end - at < 9:
                break
            length = data[at + 5] | data[at + 6] << 8
            sender = data[at + 4]
            if data[at + 7] != STATUS:
                step = 0
            elif sender == BROADCAST and length == self._merged:
                step = self._take_merged(data, at, found)
            elif sender in self._ids and 4 <= length <= self._most:
                step = self._take(data, at, at + 7 + length, found)
            else:
                step = 0
            if step < 0:
                break
            if step == 0:
                self.stray_bytes += 1
                step = 1
            at += step
        self._rest = data[at:]
        return found

    def _take(self, data: bytes, at: int, stop: int, found: list[Packet]) -> int:
        """Take the frame at `at`: how many bytes to go on by, 0 where it is none, -1 where it is not whole yet."""
        if len(data) < stop:
            # Nothing inside a frame looks like a header, so a header says that this frame broke off.
            return -1 if data.find(HEADER, at + 4) < 0 else 0
        if crc16(data[at : stop - 2]) != data[stop - 2] | data[stop - 1] << 8:
            self.checksum_errors += 1
            return 0
        body = data[at + 7 : stop - 2]
        if _PLAIN in body:
            body = body.replace(_STUFFED, _PLAIN)
        size = len(body) - 2
        if size == self._size or (size == 0 and body[1] & 0x7F):
            found.append(Packet(data[at + 4], body[1], body[2:]))
        else:
            self.stray_bytes += stop - at
        return stop - at

    def _take_merged(self, data: bytes, at: int, found: list[Packet]) -> int:
        """The same for a merged frame, whose blocks are taken one by one as they become whole."""
        step = self._size + 4
        if not self._done:
            self._crc = crc16(data[at : at + 8])
        while self._done < len(self._ids):
            first = at + 8 + self._done * step
            last = first + step - 2
            if len(data) < last + 2:
                return -1
            closing = data[last : last + 2]
            crc = crc16(data[first:last], self._crc)
            if data[first + 1] not in self._ids or crc != closing[0] | closing[1] << 8:
                self.checksum_errors += 1
                self._done = 0
                return 0
            self._crc = crc16(closing, crc)
            self._done += 1
            found.append(Packet(data[first + 1], data[first], data[first + 2 : last]))
        self._done = 0
        return 7 + self._merged


class RequestParser:
    """Servo side: starts afresh at every header, and notes requests whose checksum is wrong."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        """Start with nothing heard."""
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> list[Packet]:
        """Take any bytes and return the requests they complete; code `SPOILED` where the checksum is wrong."""
        buffer = self._buffer
        buffer += chunk
        found = []
        while True:
            start = buffer.find(HEADER)
            if start < 0:
                del buffer[: max(len(buffer) - 3, 0)]
                break
            del buffer[:start]
            if len(buffer) < 7:
                break
            length = buffer[5] | buffer[6] << 8
            stop = 7 + length
            again = buffer.find(HEADER, 4)
            if not 3 <= length <= MAX_LENGTH or (len(buffer) < stop and again >= 0):
                del buffer[:4]
                continue
            if len(buffer) < stop:
                break
            if crc16(buffer[: stop - 2]) == buffer[stop - 2] | buffer[stop - 1] << 8:
                body = bytes(buffer[7 : stop - 2]).replace(_STUFFED, _PLAIN)
                found.append(Packet(buffer[4], body[0], body[1:]))
                del buffer[:stop]
            else:
                found.append(Packet(buffer[4], SPOILED, b""))
                del buffer[: again if 4 <= again < stop else stop]
        return found
