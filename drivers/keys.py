"""Keys as they are pressed, without Enter: one name a key, on POSIX terminals and on Windows.

A terminal tells presses and the repeats of a held key, never a release; who needs one must take silence for it.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..robots.errors import RefusedError

ESCAPED = {"[A": "up", "[B": "down", "[C": "right", "[D": "left", "OA": "up", "OB": "down", "OC": "right", "OD": "left"}
SCANNED = {"H": "up", "P": "down", "M": "right", "K": "left"}  # what Windows sends behind a zero or e0

Keys = Callable[[], list[str]]


def names(text: str) -> list[str]:
    """Names of the keys in what a terminal sent; an escape sequence that is no arrow is left out.

    Args:
        text: Characters as they came.
    """
    found = []
    rest = text
    while rest:
        if rest[0] == "\x1b" and len(rest) > 2 and rest[1] in "[O":
            if rest[1:3] in ESCAPED:
                found.append(ESCAPED[rest[1:3]])
            rest = rest[3:]
            continue
        found.append({" ": "space", "\x1b": "escape"}.get(rest[0], rest[0]))
        rest = rest[1:]
    return found


@contextmanager
def pressed() -> Iterator[Keys]:
    """Give a function that returns the keys pressed since the last call, and never waits.

    Raises:
        RefusedError: If nobody sits at a terminal.
    """
    if not sys.stdin.isatty():
        raise RefusedError("there is no keyboard here: say what to do by options, see --help")
    if os.name == "nt":
        yield _windows_keys
        return
    import select
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)

        def read() -> list[str]:
            ready, _, _ = select.select([descriptor], [], [], 0.0)
            return names(os.read(descriptor, 1024).decode("utf-8", "replace")) if ready else []

        yield read
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _windows_keys() -> list[str]:
    import msvcrt

    kbhit: Callable[[], bool] = getattr(msvcrt, "kbhit")  # noqa: B009 - known to type checkers on Windows only
    getwch: Callable[[], str] = getattr(msvcrt, "getwch")  # noqa: B009
    found = []
    while kbhit():
        key = getwch()
        if key in ("\x00", "\xe0"):
            key = SCANNED.get(getwch(), "")
            found += [key] if key else []
        else:
            found += names(key)
    return found


def enter_pressed() -> bool:
    """Whether a line has been typed since the last call; never waits."""
    if os.name == "nt":
        return "\r" in _windows_keys()
    import select

    ready, _, _ = select.select([sys.stdin], [], [], 0.0)
    if ready:
        sys.stdin.readline()
    return bool(ready)
