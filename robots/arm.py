"""The Arm protocol, which the simulated and the real arm keep."""

from typing import Protocol, runtime_checkable

from .description import RobotDescription
from .envelope import Admitted
from .state import ArmState


@runtime_checkable
class Arm(Protocol):
    """An arm that the tick can drive: simulated or on the bench.

    `write` takes an `Admitted` and nothing else; `advance` lets `dt` seconds pass, in physics or on the wall.
    """

    @property
    def robot(self) -> RobotDescription:
        """The description this arm was made from."""

    def read(self) -> ArmState:
        """Return the newest measurement."""

    def write(self, admitted: Admitted) -> None:
        """Send an admitted command to the motors."""

    def advance(self, dt: float) -> None:
        """Let `dt` seconds pass."""
