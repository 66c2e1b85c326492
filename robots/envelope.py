"""The safety envelope: the only way from a wish to a motor command.

`SafetyEnvelope.admit` takes any target and returns the nearest command that this arm may follow now: finite,
inside the joint range, below speed and acceleration with room left to brake, near the measured position, the
TCP inside its workspace and below its speed. What it cannot make safe it refuses. It is pure: no clock of its
own, no I/O; the simulated arm and the real one run this same code.
"""

from collections.abc import Sequence
from math import isfinite, sqrt
from typing import Final

from .description import RobotDescription
from .errors import SafetyError
from .kinematics import Kinematics, Pose
from .state import ArmState, Vector

_SEAL: Final = object()


class Admitted:
    """A motor command that the safety envelope has let through; nothing else can make one.

    Attributes:
        stamp: Stamp of the state against which it was judged, s.
        joint_positions: Goal of each arm joint, rad.
        gripper: Goal of the gripper in its own unit.
        reasons: Names of the limits that changed the target, empty when it passed untouched.
    """

    __slots__ = ("gripper", "joint_positions", "reasons", "stamp")

    def __init__(
        self, seal: object, stamp: float, joint_positions: Vector, gripper: float, reasons: tuple[str, ...]
    ) -> None:
        """Refuse to be made by anyone without the envelope's seal.

        Raises:
            TypeError: If `seal` is not the envelope's.
        """
        if seal is not _SEAL:
            raise TypeError("only the safety envelope makes an Admitted; call SafetyEnvelope.admit")
        self.stamp = stamp
        self.joint_positions = joint_positions
        self.gripper = gripper
        self.reasons = reasons

    def __repr__(self) -> str:
        """Show the goal and what limited it."""
        return f"Admitted({self.joint_positions}, gripper={self.gripper}, reasons={self.reasons})"
