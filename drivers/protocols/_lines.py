"""Lines of text as controllers send them: cut at the line feed, one event each, anything else is stray.

    $25 ok B90.0000 L60.1234 R30.0000 LF        numbered, of a uArm
    <Idle|MPos:0.000,0.000,0.000|FS:0,0> CR LF  unasked-for or asked for by one byte, of GRBL

A line that noise has run into matches no grammar and is dropped with all of its bytes: text has no other checksum than
that every character must fit.
"""

import math
from collections.abc import Callable, Sequence

from ...robots.errors import RefusedError
from ..language import Event

LONGEST = 400  # bytes of the longest line a controller sends; what grows beyond is noise


class LineParser:
    """Cuts a stream into lines and reads each with a grammar."""

    def __init__(self, read: Callable[[str], Event | None]) -> None:
        """Start empty.

        Args:
            read: Returns the event that a line without its end means, or None for no known line.
        """
        self.stray_bytes = 0
        self.checksum_errors = 0
        self._read = read
        self._begun = bytearray()
        self._deaf = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Take any bytes and return the events they complete; never raises."""
        events: list[Event] = []
        begun = self._begun
        begun += chunk
        while (end := begun.find(b"\n")) >= 0:
            line = bytes(begun[:end])
            del begun[: end + 1]
            event = None if self._deaf else self._event(line)
            self._deaf = False
            if event is not None:
                events.append(event)
            elif line.strip():
                self.stray_bytes += len(line) + 1
        if len(begun) > LONGEST:
            self.stray_bytes += len(begun)
            begun.clear()
            self._deaf = True
        return events

    def end(self) -> list[Event]:
        """Keep what has begun: the rest of a line alone could look like another line."""
        return []

    def _event(self, line: bytes) -> Event | None:
        if line.isascii():
            return self._read(line.decode("ascii").removesuffix("\r"))
        return None


def checked_move(
    start: Sequence[float], goal: Sequence[float], duration: float, joints: Sequence[str], *, exact: bool = False
) -> float:
    """Check what a motion is asked to do, and return its duration.

    Args:
        start: Where the joints are, rad.
        goal: Where they shall go, rad.
        duration: Time, s.
        joints: Names of all joints the controller has.
        exact: Whether all of them must be given.

    Raises:
        RefusedError: If a number is not finite, the duration not positive, or the joints are too many or too few.
    """
    if len(start) != len(goal) or not 1 <= len(goal) <= len(joints) or (exact and len(goal) != len(joints)):
        raise RefusedError(
            f"a motion of {len(goal)} joints from {len(start)}: this controller has {len(joints)} "
            f"({', '.join(joints)}), give all of them"
        )
    if not all(math.isfinite(v) for v in (*start, *goal, duration)):
        raise RefusedError("a motion with a number that is not finite: check the target and the state it comes from")
    if duration <= 0.0:
        raise RefusedError(f"a motion within {duration} s: the duration must be positive")
    return duration
