"""What servos move: the `Plant` behind their registers, and the law of a drive under those registers.

A plant is the mechanics behind a wire. It owns positions and speeds, knows nothing of registers or bytes, and has no
clock: whoever plays the servos calls `step` once for every `period` seconds that pass, on the wall or in virtual time.
A plant in plain numbers and one in a physics world keep the same three members.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from .servo import STICTION_RATE, Drive, ServoLaw

MAX_DUTY = 0.97  # of the bridge, whatever the torque limit says


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


class CommandedLaw:
    """The servo law of a row of joints under the registers of the moment.

    Attributes:
        duties: Bridge duties of the last step, -1..1.
        motors: Motor torques of the last step before friction, N m.
    """

    def __init__(self, drives: Sequence[Drive]) -> None:
        """Take the drives' constants; gains and limits come with each command.

        Args:
            drives: One "servo" drive per joint.
        """
        self._drives = tuple(drives)
        self._settings: list[tuple[float, float, float, float, float]] = []
        self._law = ServoLaw(self._drives)
        self.duties: list[float] = [0.0] * len(self._drives)
        self.motors: list[float] = [0.0] * len(self._drives)

    def torques(
        self, commands: Sequence[Command], measured: Sequence[float], velocities: Sequence[float]
    ) -> list[float]:
        """Output torque of each joint, N m.

        Args:
            commands: One per joint.
            measured: Positions as the encoders see them, rad.
            velocities: Output speeds, rad/s.
        """
        settings = [
            (c.torque_limit, c.position_gain, c.derivative_gain, c.start_duty, c.dead_zone_ticks) for c in commands
        ]
        if settings != self._settings:
            self._settings = settings
            self._law = ServoLaw(
                [
                    replace(d, max_duty=MAX_DUTY, position_gain=p, derivative_gain=k, start_duty=s, dead_zone_ticks=z)
                    for d, (_, p, k, s, z) in zip(self._drives, settings, strict=True)
                ],
                torque_limits=[row[0] for row in settings],
            )
        goals = [m if c.goal is None else c.goal for c, m in zip(commands, measured, strict=True)]
        torques = self._law.torques(goals, measured, velocities)
        duties, motors = self._law.duties, self._law.motors
        for i, (command, drive) in enumerate(zip(commands, self._drives, strict=True)):
            if command.goal is None and not command.short:
                duties[i] = command.duty or 0.0
                motors[i], torques[i] = _open_loop(drive, command.duty, velocities[i])
        self.duties, self.motors = duties, motors
        return torques


def _open_loop(drive: Drive, duty: float | None, w: float) -> tuple[float, float]:
    """Motor torque and output torque of a joint at speed `w` whose bridge is open, or driven at a fixed duty."""
    motor = -drive.viscous * w
    if duty is not None:
        motor += drive.stall_torque * (duty - w / drive.no_load_speed)
    drag = motor + STICTION_RATE * drive.armature * w
    return motor, motor - min(max(drag, -drive.friction), drive.friction)
