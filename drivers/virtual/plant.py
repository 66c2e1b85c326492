"""Joints in plain numbers that follow the servo law: what virtual servos move when nobody asks for a world.

A joint that nobody has driven yet stands as if the arm lay on its rest; from then on the weight of the links pulls at
it, so that the arm sags under its goals and sinks when its torque is switched off.
"""

from collections.abc import Sequence

from ...robots.description import RobotDescription
from ...robots.gravity import Gravity
from ...robots.plant import Command, CommandedLaw, Motion, Plant
from ...robots.servo import STICTION_RATE, Gearbox

__all__ = ["Command", "Motion", "Plant", "ServoPlant"]

END_STOP_MARGIN = 0.1  # rad between the soft limit of a joint and the hard stop of its mechanics
GRAVITY_EVERY = 0.01  # s between two looks at what the links weigh: an arm turns by 6 mrad in that time


class ServoPlant:
    """Joints that carry only their rotor: the servo law, friction, backlash, end stops and weight; no contact."""

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
        self._gravity = Gravity(robot)
        self._arm_joints = len(robot.joints)
        self._resting = [True] * len(self._positions)
        self._weights = [0.0] * len(self._positions)
        self._look_after = max(1, round(GRAVITY_EVERY / period))
        self._steps = 0

    def motion(self) -> Motion:
        """Return the present motion without letting time pass."""
        return Motion(tuple(self._measured), tuple(self._velocities), tuple(self._duties))

    def step(self, commands: Sequence[Command]) -> Motion:
        """Let one `period` pass under one command per actuator."""
        period = self.period
        if self._steps % self._look_after == 0:
            self._weigh(commands)
        self._steps += 1
        self._law.torques(commands, self._measured, self._velocities)
        for i, (motor, weight, drive) in enumerate(zip(self._law.motors, self._weights, self._drives, strict=True)):
            w = self._velocities[i]
            # Friction stands against all that would move the joint, the weight of the links included.
            push = motor - weight
            drag = push + STICTION_RATE * drive.armature * w
            push -= min(max(drag, -drive.friction), drive.friction)
            w += push / drive.armature * period
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

    def _weigh(self, commands: Sequence[Command]) -> None:
        """Renew the torques by which the links pull at the arm's joints; the gripper's jaw weighs next to nothing."""
        for i, command in enumerate(commands):
            if command.goal is not None or command.duty is not None:
                self._resting[i] = False
        held = self._gravity.torques(self._positions[: self._arm_joints])
        for i, torque in enumerate(held):
            self._weights[i] = 0.0 if self._resting[i] else torque
