"""Frames of the Dobot Magician, found in any stream of bytes.

    AA AA  LEN  ID  CTRL  parameters  CHK      LEN = parameters + 2,  CHK = -(ID + CTRL + parameters) & FF
                    CTRL  bit 0: write   bit 1: goes into the queue

A sum of eight bits lets one spoiled frame in 256 through. Answers have known sizes, and what follows a real one is a
header or nothing; whatever keeps neither rule is dropped.
"""

from collections.abc import Mapping
from typing import NamedTuple

HEADER = b"\xaa\xaa"
SHORTEST = 6  # bytes of a frame without parameters


class Frame(NamedTuple):
    """One whole frame whose checksum held."""

    code: int
    control: int
    parameters: bytes


def frame(code: int, control: int, parameters: bytes = b"") -> bytes:
    """Bytes of a frame.

    Args:
        code: What is asked.
        control: Bit 0 writes, bit 1 queues.
        parameters: At most 253 bytes.
    """
    body = bytes((code, control)) + parameters
    return HEADER + bytes((len(body),)) + body + bytes((-sum(body) & 0xFF,))


class FrameParser:
    """Cuts a stream into frames."""

    def __init__(self, sizes: Mapping[tuple[int, int], int] | None = None) -> None:
        """Start empty.

        Args:
            sizes: Parameters in bytes of every frame that may come, by code and control; any frame if not given.
        """
        self.stray_bytes = 0
        self.checksum_errors = 0
        self._sizes = sizes
        self._bytes = bytearray()

    def feed(self, chunk: bytes) -> list[Frame]:
        """Take any bytes and return the frames they complete; never raises."""
        self._bytes += chunk
        return self._cut(last=False)

    def end(self) -> list[Frame]:
        """Nothing more comes for now: give up a frame that has begun and look behind its header."""
        return self._cut(last=True)

    def _cut(self, *, last: bool) -> list[Frame]:
        data = self._bytes
        found: list[Frame] = []
        while data:
            start = data.find(HEADER)
            if start != 0:
                gone = start if start > 0 else len(data) - (data[-1] == HEADER[0] and not last)
                self._drop(gone)
                if start < 0:
                    break
                continue
            size = self._size()
            if size is None:
                self._drop(1)
            elif len(data) < size:
                if not last:
                    break
                self._drop(1)
            elif sum(data[3:size]) & 0xFF or not HEADER.startswith(data[size : size + 2]):
                self.checksum_errors += 1
                self._drop(1)
            else:
                found.append(Frame(data[3], data[4], bytes(data[5 : size - 1])))
                del data[:size]
        return found

    def _size(self) -> int | None:
        """Bytes that the frame at the start must have; as few as are known so far; None where it can be no frame."""
        data = self._bytes
        if len(data) < 3:
            return SHORTEST
        if data[2] < 2:
            return None
        if self._sizes is not None and len(data) >= 5 and self._sizes.get((data[3], data[4])) != data[2] - 2:
            return None
        return data[2] + 4

    def _drop(self, count: int) -> None:
        self.stray_bytes += count
        del self._bytes[:count]
