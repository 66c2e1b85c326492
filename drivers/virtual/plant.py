"""Joints in plain numbers that follow the servo law: what virtual servos move when nobody asks for a world."""

from collections.abc import Sequence

from ...robots.description import RobotDescription
from ...robots.plant import Command, CommandedLaw, Motion, Plant
from ...robots.servo import Gearbox

__all__ = ["Command", "Motion", "Plant", "ServoPlant"]

END_STOP_MARGIN = 0.1  # rad between the soft limit of a joint and the hard stop of its mechanics


class ServoPlant:
    """Joints that carry only their rotor: the servo law, friction, backlash and end stops; no gravity, no contact."""

    def __init__(
        self, robot: RobotDescription, *, positions: Sequence[float] | None = None, period: float = 0.001
    ) -> None:
        """Put the joints at their start.

        Args:
            robot: The arm.
            positions: Start of each actuator in rad; the home position if not given.
            period: Integration step, s.
        """
        gripper = robot.gripper
        ends = [(j.lower, j.upper) for j in robot.joints] + [tuple(sorted((gripper.closed, gripper.open)))]
        self.period = period
        self._drives = robot.actuator_drives
        self._stops = [(low - END_STOP_MARGIN, high + END_STOP_MARGIN) for low, high in ends]
        self._positions = list(positions or (*robot.home, gripper.home))
        self._velocities = [0.0] * len(self._positions)
        self._measured = list(self._positions)
        self._duties: Sequence[float] = [0.0] * len(self._positions)
        self._gearbox = Gearbox(self._drives, period)
        self._law = CommandedLaw(self._drives)

    def motion(self) -> Motion:
        """Return the present motion without letting time pass."""
        return Motion(tuple(self._measured), tuple(self._velocities), tuple(self._duties))

    def step(self, commands: Sequence[Command]) -> Motion:
        """Let one `period` pass under one command per actuator."""
        period = self.period
        torques = self._law.torques(commands, self._measured, self._velocities)
        for i, (torque, drive) in enumerate(zip(torques, self._drives, strict=True)):
            w = self._velocities[i]
            w += torque / drive.armature * period
            q = self._positions[i] + w * period
            low, high = self._stops[i]
            if not low <= q <= high:
                q = min(max(q, low), high)
                w = 0.0
            self._velocities[i] = w
            self._positions[i] = q
        self._measured = self._gearbox.encoders(self._positions, self._law.motors)
        self._duties = self._law.duties
        return self.motion()
