"""What every kind of drive is to the simulated arm: a law that runs the substeps of one tick."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ...robots.servo import Drive

FOLLOW_GAIN = 1000.0  # N/m between two fingers that one drive moves
FOLLOW_DAMPING = 8.0  # N s/m


class Seen(NamedTuple):
    """What encoders and controllers can tell at one moment, gripper last.

    Attributes:
        positions: rad, or m.
        speeds: rad/s, or m/s.
        torques: N m, or N.
        offset: When that was, s from the end of the tick; at most 0.
    """

    positions: Sequence[float]
    speeds: Sequence[float]
    torques: Sequence[float]
    offset: float = 0.0


class Drives(Protocol):
    """All drives of one arm: they hold the goals that they follow now."""

    def use(self, drives: Sequence[Drive]) -> None:
        """Go on with other constants.

        Args:
            drives: One per joint, gripper last.
        """
        ...

    def place(self, start: Sequence[float]) -> None:
        """Hold a position in which the arm has been put, with nothing under way.

        Args:
            start: Arm joints and gripper, rad or m.
        """
        ...

    def run(self, after: Sequence[float], count: int, switch: int) -> Seen | None:
        """Run the substeps of one tick.

        Args:
            after: Goals of the newest command.
            count: Substeps.
            switch: Substep from which on the drives know that command.

        Returns:
            What was seen, as late as the arm's description says; None if nothing was.
        """
        ...

    def snapshot(self) -> tuple[object, ...]:
        """What Bullet's own state leaves out."""
        ...

    def restore(self, saved: tuple[object, ...]) -> None:
        """Go back to a snapshot."""
        ...


def together(lead: Sequence[float], follow: Sequence[float]) -> float:
    """Force that keeps a second finger with the one it follows, N.

    Args:
        lead: Position and speed of the first, m and m/s.
        follow: Those of the second.
    """
    return FOLLOW_GAIN * (lead[0] - follow[0]) + FOLLOW_DAMPING * (lead[1] - follow[1])
