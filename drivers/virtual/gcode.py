"""How GRBL takes in what is no one-byte command: a ring of 128 bytes, from which lines are read when there is time.

Blanks and comments are dropped, letters are made capital, and a line longer than 79 characters is refused.
"""

import re
from collections import deque

RING = 128  # bytes
LONGEST_LINE = 79  # characters
OVERFLOW = "\x00"  # stands for a line that was too long
_WORD = re.compile(r"([A-Z])([-+]?(?:\d+\.?\d*|\.\d+))")


class Intake:
    """The receive buffer of one controller.

    Attributes:
        lost: Bytes for which there was no room.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.lost = 0
        self._ring: deque[int] = deque()
        self._line = ""
        self._comment = ""
        self._too_long = False

    @property
    def free(self) -> int:
        """Bytes that still fit."""
        return RING - len(self._ring)

    def put(self, byte: int) -> None:
        """Take one byte that is no command of its own."""
        if len(self._ring) < RING:
            self._ring.append(byte)
        else:
            self.lost += 1

    def line(self) -> str | None:
        """The next whole line; None where there is none yet."""
        while self._ring:
            byte = self._ring.popleft()
            if byte in b"\r\n":
                line = OVERFLOW if self._too_long else self._line
                self._line, self._comment, self._too_long = "", "", False
                return line
            character = chr(byte)
            if self._comment:
                self._comment = "" if (self._comment, character) == ("(", ")") else self._comment
            elif character in "(;":
                self._comment = character
            elif character > " " and character != "/":
                self._too_long |= len(self._line) >= LONGEST_LINE
                self._line += character.upper() if character.isascii() else character
        return None

    def clear(self) -> None:
        """Forget everything, as a reset does."""
        self._ring.clear()
        self._line, self._comment, self._too_long = "", "", False


def words(text: str) -> list[tuple[str, float]] | int:
    """Cut a line into its words.

    Args:
        text: Without blanks, in capitals.

    Returns:
        Letter and number of each word, or GRBL's number of what is wrong.
    """
    found: list[tuple[str, float]] = []
    at = 0
    while at < len(text):
        if not "A" <= text[at] <= "Z":
            return 1
        word = _WORD.match(text, at)
        if word is None:
            return 2
        found.append((word[1], float(word[2])))
        at = word.end()
    return found
