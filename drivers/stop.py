"""How a stop ends: standing still is seen in several samples, and what was seen is reported."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..robots.state import Vector

STILL_TICKS = 2  # change over all samples of a stop that counts as standing
STILL_SAMPLES = 3
STILL_GAP = 0.02  # s between samples of a stop


@dataclass(frozen=True, slots=True, kw_only=True)
class StopReport:
    """How a stop ended.

    Attributes:
        confirmed: Whether every joint was read back standing still with its goal where it stands.
        positions: Where the joints and the gripper stand, rad, as far as they answered.
        text: One line for people.
        lost: Why nobody could be told to stop; empty where the arm was there.
    """

    confirmed: bool
    positions: Vector
    text: str
    lost: str = ""


class Standstill:
    """Whether joints stand, from samples of their positions.

    All samples are held against the first one that was not refuted, or a creep would pass.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Nothing has been seen.

        Args:
            names: Of the joints, in the order of their positions.
        """
        self._names = names
        self.forget()

    def forget(self) -> None:
        """Begin anew, as after a sample in which a joint was silent or one that was followed by a new goal."""
        self._first: Sequence[int] | None = None
        self._still = 0

    def see(self, ticks: Sequence[int]) -> list[str]:
        """Take a sample; returns the names of the joints that have moved, all of them where nothing was seen before."""
        first = self._first
        if first is None:
            moving = list(self._names)
        else:
            pairs = zip(self._names, ticks, first, strict=True)
            moving = [name for name, now, then in pairs if abs(now - then) > STILL_TICKS]
        if moving:
            self._first, self._still = ticks, 0
        else:
            self._still += 1
        return moving

    @property
    def sure(self) -> bool:
        """Whether enough samples in a row agree."""
        return self._still >= STILL_SAMPLES

    def doubt(self) -> None:
        """Count again, against the same sample."""
        self._still = 0
