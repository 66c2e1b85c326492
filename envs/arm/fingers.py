"""Two sliding fingers that one servo moves by a crank, as motors of Bullet.

A servo behind a gear of 1:250 and a crank of 10 mm moves a finger of a few grams as if it weighed 50 kg, which no
explicit step holds. Its rotor reaches its speed within 20 ms, so it is left out: the finger goes at the speed that the
bridge's duty asks for, with at most the force that this duty can give. What friction alone can hold, stays.
"""

from collections.abc import Sequence

from ...robots.description import RobotDescription
from ...robots.servo import Drive
from ..bullet import bullet
from ..cell import Cell

TOGETHER = 40.0  # 1/s at which a finger makes up for being ahead of the other: both hang on one crank


class Fingers:
    """The fingers of one arm."""

    def __init__(self, cell: Cell, robot: RobotDescription, joints: Sequence[int]) -> None:
        """Take the crank's table.

        Args:
            cell: The cell the arm stands in.
            robot: An arm whose gripper has a `slide`.
            joints: Bullet's numbers of the finger joints, at least one.
        """
        gripper = robot.gripper
        count = len(gripper.slide) - 1
        self._cell = cell
        self._joints = list(joints)
        self._share = 1.0 / len(joints)
        self._closed = gripper.closed
        self._grid = (gripper.open - gripper.closed) / count
        self._slide = gripper.slide
        self._ratios = [(b - a) / self._grid for a, b in zip(gripper.slide, gripper.slide[1:], strict=False)]
        self._at = self._ratio = 0.0

    def turn(self, states: Sequence[Sequence[float]]) -> tuple[float, float]:
        """Angle in rad and speed in rad/s of the drive from the joint states of the fingers."""
        at = self._at = self._share * sum([s[0] for s in states])
        k = 0
        while k < len(self._ratios) - 1 and at >= self._slide[k + 1]:
            k += 1
        ratio = self._ratio = self._ratios[k]
        angle = self._closed + k * self._grid + (at - self._slide[k]) / ratio
        return angle, self._share * sum([s[1] for s in states]) / ratio

    def drive(self, drive: Drive, duty: float, states: Sequence[Sequence[float]]) -> None:
        """Set the motors for the next step; `turn` has seen the same states.

        Args:
            drive: The servo.
            duty: Of its bridge, -1..1.
            states: Joint states of the fingers.
        """
        speed = duty * drive.no_load_speed * self._ratio
        torque = max(drive.stall_torque * abs(duty) - drive.friction, drive.friction)
        force = torque / self._ratio * self._share
        bullet.setJointMotorControlArray(
            self._cell.arm,
            self._joints,
            bullet.VELOCITY_CONTROL,
            targetVelocities=[speed + TOGETHER * (self._at - s[0]) for s in states],
            forces=[force] * len(self._joints),
            physicsClientId=self._cell.client,
        )
