"""Joints that follow what their controller plans, as stepper motors do: Bullet's motors, fed forward, rods included.

Between two commands a controller goes in a straight line of joint space that takes one tick; a command that comes late
begins a new line from where the last one has led to. A controller that looks ahead carries a command out some ticks
after it was given. Rods turn the passive joints with the driven ones: each gets the combined target and speed, so that
what a parallelogram keeps level stays level.
"""

from collections.abc import Sequence

from ...robots.description import RobotDescription
from ...robots.linkage import Mix
from ..bullet import bullet

POSITION_GAIN = 0.4  # share of the error taken out per substep


class Steppers:
    """The motors of an arm's joints, gripper excluded, and the line they are on.

    Attributes:
        start: Where the line begins, rad.
        goal: Where it ends, rad; any further entries belong to the gripper.
        gone: Substeps since it began.
        coming: Goals that were given and are not begun yet.
    """

    def __init__(
        self, robot: RobotDescription, arm: int, client: int, joints: dict[str, int], *, behind: int = 0
    ) -> None:
        """Find the joints.

        Args:
            robot: The arm, whose joints have "stepper" drives.
            arm: Its Bullet id.
            client: Of the cell.
            joints: Bullet's index of each joint by name.
            behind: Whole ticks by which lines are begun late.
        """
        count = len(robot.joints)
        own = [tuple(float(k == j) for j in range(count)) for k in range(count)]
        self._mix = Mix(
            [0.0] * count + [p.offset for p in robot.passive], [*own, *(p.coefficients for p in robot.passive)]
        )
        self._indices = [joints[name] for name in (*robot.joint_names, *(p.name for p in robot.passive))]
        limits = [robot.drives[j.drive].stall_torque for j in robot.joints]
        # Rods carry what the motors give: no passive joint is weaker than the strongest of them.
        self._forces = limits + [max(limits)] * len(robot.passive)
        self._arm, self._client, self._count = arm, client, count
        self._gains = [POSITION_GAIN] * len(self._indices)
        self._ones = [1.0] * len(self._indices)
        self.start: list[float] = [*robot.home, robot.gripper.home]
        self.goal: list[float] = list(self.start)
        self.gone = 0
        self._behind = behind
        self.coming: list[list[float]] = [self.goal] * behind

    def place(self, driven: Sequence[float]) -> None:
        """Put all joints where the driven ones are told to be, at rest.

        Args:
            driven: Arm joints and gripper.
        """
        self.start, self.goal, self.gone = list(driven), list(driven), 0
        self.coming = [self.goal] * self._behind
        positions = self._mix.expand(driven[: self._count])
        bullet.resetJointStatesMultiDof(
            self._arm,
            self._indices,
            [[q] for q in positions],
            [[0.0]] * len(positions),
            physicsClientId=self._client,
        )

    def turn_to(self, goal: Sequence[float], count: int) -> None:
        """Take a goal, and begin a new line, from where the last one has led to, to the one whose turn it is.

        Args:
            goal: Arm joints and gripper.
            count: Substeps that a line takes.
        """
        self.start = self._at(count)
        self.coming = [*self.coming, list(goal)]
        self.goal, self.gone = self.coming.pop(0), 0

    def _at(self, count: int) -> list[float]:
        share = min(self.gone / count, 1.0)
        return [s + share * (g - s) for s, g in zip(self.start, self.goal, strict=True)]

    def substep(self, count: int, dt: float) -> list[float]:
        """Tell the motors what to do in the next substep, and return where the line is at its end.

        Args:
            count: Substeps that a line takes.
            dt: Length of a substep, s.
        """
        here = self._at(count)
        self.gone = min(self.gone + 1, count)
        there = self._at(count)
        positions = self._mix.expand(here[: self._count])
        after = self._mix.expand(there[: self._count])
        bullet.setJointMotorControlArray(
            self._arm,
            self._indices,
            bullet.POSITION_CONTROL,
            targetPositions=positions,
            targetVelocities=[(b - a) / dt for a, b in zip(positions, after, strict=True)],
            positionGains=self._gains,
            velocityGains=self._ones,
            forces=self._forces,
            physicsClientId=self._client,
        )
        return there
