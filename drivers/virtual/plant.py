"""What the virtual servos move: the `Plant` protocol, and joints in pure Python that follow the servo law.

A plant is the mechanics behind the wire. It owns positions and speeds, knows nothing of registers or bytes, and has
no clock: the line calls `step` once for every `period` seconds that pass, on the wall or in virtual time. A physics
world joins by keeping the same three members.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ...robots.description import RobotDescription
from ...robots.servo import STICTION_RATE, Drive, Gearbox, ServoLaw

END_STOP_MARGIN = 0.1  # rad between the soft limit of a joint and the hard stop of its mechanics


@dataclass(frozen=True, slots=True)
class Command:
    """What one servo's electronics ask of its motor during one step.

    Attributes:
        goal: Position to hold in rad; None lets the motor run free.
        duty: Open-loop bridge duty, -1..1, that replaces the position loop; None for the loop.
        short: Whether the bridge shorts the motor while there is no goal (damping).
        torque_limit: Largest duty, 0..1.
        position_gain: Register P.
        derivative_gain: Register D.
        start_duty: Duty added against friction, 0..1.
        dead_zone_ticks: Error that the loop ignores.
    """

    goal: float | None
    duty: float | None = None
    short: bool = False
    torque_limit: float = 1.0
    position_gain: float = 32.0
    derivative_gain: float = 32.0
    start_duty: float = 0.016
    dead_zone_ticks: float = 1.0


@dataclass(frozen=True, slots=True)
class Motion:
    """What the joints do at the end of a step; one value per actuator, arm joints first, gripper last.

    Attributes:
        positions: Positions as the encoders see them, rad.
        velocities: Output speeds, rad/s.
        duties: Bridge duties, -1..1.
    """

    positions: Sequence[float]
    velocities: Sequence[float]
    duties: Sequence[float]


class Plant(Protocol):
    """The mechanics behind the virtual servos."""

    @property
    def period(self) -> float:
        """Time one `step` takes, s."""

    def motion(self) -> Motion:
        """Return the present motion without letting time pass."""

    def step(self, commands: Sequence[Command]) -> Motion:
        """Let one `period` pass under one command per actuator, in order of `robot.actuator_ids`."""


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
        self._settings: list[tuple[float, float, float, float, float]] = []
        self._law = ServoLaw(self._drives)

    def motion(self) -> Motion:
        """Return the present motion without letting time pass."""
        return Motion(tuple(self._measured), tuple(self._velocities), tuple(self._duties))

    def step(self, commands: Sequence[Command]) -> Motion:
        """Let one `period` pass under one command per actuator."""
        settings = [
            (c.torque_limit, c.position_gain, c.derivative_gain, c.start_duty, c.dead_zone_ticks)
            for c in commands
        ]
        if settings != self._settings:
            self._settings = settings
            self._law = ServoLaw(
                [
                    replace(
                        d, max_duty=0.97, position_gain=p, derivative_gain=k, start_duty=s, dead_zone_ticks=z
                    )
                    for d, (_, p, k, s, z) in zip(self._drives, settings, strict=True)
                ],
                torque_limits=[row[0] for row in settings],
            )
        measured = self._measured
        goals = [m if c.goal is None else c.goal for c, m in zip(commands, measured, strict=True)]
        torques = self._law.torques(goals, measured, self._velocities)
        duties, motors = self._law.duties, self._law.motors
        period = self.period
        for i, (command, drive) in enumerate(zip(commands, self._drives, strict=True)):
            w = self._velocities[i]
            torque = torques[i]
            if command.goal is None and not command.short:
                duties[i] = command.duty or 0.0
                motors[i], torque = _open_loop(drive, command.duty, w)
            w += torque / drive.armature * period
            q = self._positions[i] + w * period
            low, high = self._stops[i]
            if not low <= q <= high:
                q = min(max(q, low), high)
                w = 0.0
            self._velocities[i] = w
            self._positions[i] = q
        self._measured = self._gearbox.encoders(self._positions, motors)
        self._duties = duties
        return self.motion()


def _open_loop(drive: Drive, duty: float | None, w: float) -> tuple[float, float]:
    """Motor torque and output torque of a joint at speed `w` whose bridge is open, or driven at a fixed duty."""
    motor = -drive.viscous * w
    if duty is not None:
        motor += drive.stall_torque * (duty - w / drive.no_load_speed)
    drag = motor + STICTION_RATE * drive.armature * w
    return motor, motor - min(max(drag, -drive.friction), drive.friction)
