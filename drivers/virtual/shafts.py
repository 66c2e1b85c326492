"""Which virtual servos turn which joint: several on one shaft, some mounted so that they count the other way round.

A plant knows joints only. What the servos of a shaft ask for is put together to one command, and what the joint does
is told to each of them as its own encoder sees it. A motor of a shared shaft that is limp leaves its share of the
torque to nobody.
"""

from collections.abc import Sequence
from dataclasses import replace

from ...robots.description import RobotDescription
from ...robots.plant import Command, Motion
from .servo import RegisterServo


class Shafts:
    """The joints of one arm with the servos on them."""

    def __init__(self, robot: RobotDescription, servos: Sequence[RegisterServo]) -> None:
        """Mount the servos as the arm's description has them.

        Args:
            robot: The arm.
            servos: One for each of `robot.servo_names`, in that order.

        Raises:
            RefusedError: If servos of this kind cannot be mounted so.
        """
        by_id = dict(zip(robot.servo_names, servos, strict=True))
        turned = {j.actuator_id for j in robot.joints if j.reversed}
        self._rows: list[list[tuple[RegisterServo, int]]] = []
        for owner in robot.actuator_ids:
            sign = -1 if owner in turned else 1
            row = [(by_id[owner], sign)]
            row += [(by_id[shadow], -sign) for shadow, other in robot.shadow_ids.items() if other == owner]
            for servo, way in row:
                obeys = owner if servo is not by_id[owner] else None
                if way < 0 or obeys is not None:
                    servo.mount(turned=way < 0, obeys=obeys)
            self._rows.append(row)
        self._drives = robot.actuator_drives

    def commands(self, dt: float) -> list[Command]:
        """What the motors of each joint ask for, `dt` s later; one per actuator."""
        return [
            row[0][0].command(dt)
            if len(row) == 1 and row[0][1] > 0
            else _together([_seen(servo.command(dt), sign) for servo, sign in row])
            for row in self._rows
        ]

    def sense(self, motion: Motion, dt: float) -> None:
        """Tell every servo what its joint did during `dt` s."""
        rows = zip(self._rows, motion.positions, motion.velocities, motion.duties, self._drives, strict=True)
        for row, position, velocity, duty, drive in rows:
            stall = drive.stall_torque / len(row)
            for servo, sign in row:
                servo.sense(sign * position, sign * velocity, sign * duty, stall, drive.no_load_speed, dt)


def _seen(command: Command, sign: int) -> Command:
    """A command in the joint's sense of rotation."""
    if sign > 0 or (command.goal is None and command.duty is None):
        return command
    return replace(
        command,
        goal=None if command.goal is None else -command.goal,
        duty=None if command.duty is None else -command.duty,
    )


def _together(commands: Sequence[Command]) -> Command:
    """One command that gives the mean torque of several motors of one kind."""
    driven = [c for c in commands if c.goal is not None or c.duty is not None]
    if not driven or len(commands) == 1:
        return commands[0]
    share = len(driven) / len(commands)
    goals = [c.goal for c in driven if c.goal is not None]
    if len(goals) < len(driven):
        return replace(driven[0], goal=None, duty=share * sum([c.duty or 0.0 for c in driven]) / len(driven))
    first = driven[0]
    return replace(
        first,
        goal=sum(goals) / len(goals),
        torque_limit=share * first.torque_limit,
        position_gain=share * first.position_gain,
        derivative_gain=share * first.derivative_gain,
    )
