"""What acts in a cell between substeps and is neither arm nor rigid body: gauges, threads, clutches.

A device sees every substep, so a peak of a few milliseconds does not slip between two ticks.
"""

from typing import Protocol


class Device(Protocol):
    """Something that is asked after every substep, and whose state belongs to a saved moment."""

    def substep(self) -> None:
        """One substep has passed."""

    def reset(self) -> None:
        """A new episode begins; nothing of the last one may remain."""

    def snapshot(self) -> object:
        """Plain values that `restore` needs."""

    def restore(self, saved: object) -> None:
        """Go back to a snapshot."""
