"""Stepper motors behind a controller, and the gripper beside them, in simulation."""

from collections.abc import Sequence
from typing import Any, cast

from ...robots.servo import Drive
from ...robots.travel import Travel
from ..bullet import bullet
from ..cell import Cell
from .arm_joints import ArmJoints
from .drives import Seen, together
from .steppers import Steppers


class StepperDrives:
    """The drives of one arm; see `Drives`."""

    def __init__(self, cell: Cell, joints: ArmJoints, drives: Sequence[Drive], behind: int) -> None:
        """Hold home.

        Args:
            cell: The cell the arm stands in.
            joints: Its joints.
            drives: One per joint, gripper last.
            behind: Whole ticks by which lines are begun late.
        """
        self._cell, self._joints = cell, joints
        self._steppers = Steppers(cell.robot, cell.arm, cell.client, joints.by_name, behind=behind)
        self.travel = Travel(cell.robot.gripper) if cell.robot.gripper.travel_time else None
        self.use(drives)

    def use(self, drives: Sequence[Drive]) -> None:
        """Go on with other constants of the gripper; the joints have none that matter."""
        self._gripper = drives[-1]

    def place(self, start: Sequence[float]) -> None:
        """Hold a position in which the arm has been put, passive joints included."""
        self._steppers.place(start)
        if self.travel is not None:
            self.travel.place(start[-1])

    def run(self, after: Sequence[float], count: int, switch: int) -> Seen:
        """Run the substeps of one tick."""
        cell, n = self._cell, len(self._cell.robot.joints)
        step, dt = cell.stepper(), cell.physics_dt
        for k in range(count):
            if k == switch:
                self._obey(after, count)
            goal = self._steppers.substep(count, dt)[n]
            if self.travel is not None:
                goal = self.travel.pass_time(dt)
            self._grip(goal)
            step(cell.client)
        if switch == count:
            self._obey(after, count)
        states = bullet.getJointStates(cell.arm, self._joints.ids[: n + 1], cell.client)
        positions = [s[0] for s in states]
        if self.travel is not None:
            positions[n] = self.travel.position
        return Seen(positions, [s[1] for s in states], [s[3] for s in states])

    def lead(self, joints: Sequence[float], *, shut: bool) -> None:
        """One substep, at whose end the joints are where a controller outside has them.

        Args:
            joints: Of the arm, rad.
            shut: Where the fingers are told to go.
        """
        cell, travel = self._cell, self.travel
        fingers = self._cell.robot.gripper.home if travel is None else travel.position
        self._steppers.turn_to((*joints, fingers), 1)
        self._steppers.substep(1, cell.physics_dt)
        if travel is not None:
            travel.switch(shut=shut)
            fingers = travel.pass_time(cell.physics_dt)
        self._grip(fingers)
        cell.stepper()(cell.client)

    def _obey(self, after: Sequence[float], count: int) -> None:
        self._steppers.turn_to(after, count)
        if self.travel is not None:
            self.travel.switch(shut=self.travel.wants_shut(self._steppers.goal[-1]))

    def _grip(self, goal: float) -> None:
        """Press the fingers toward a goal with the force of their drive; the second keeps to the first."""
        cell, drive = self._cell, self._gripper
        fingers = self._joints.ids[len(cell.robot.joints) :]
        states = bullet.getJointStates(cell.arm, fingers, cell.client)
        force = drive.position_gain * (goal - states[0][0]) - drive.derivative_gain * states[0][1]
        forces = [min(max(force, -drive.stall_torque), drive.stall_torque)] * len(fingers)
        if self._joints.followers:
            pull = together(states[0], states[1])
            forces = [forces[0] - pull, forces[1] + pull]
        bullet.setJointMotorControlArray(
            cell.arm, fingers, bullet.TORQUE_CONTROL, forces=forces, physicsClientId=cell.client
        )

    def snapshot(self) -> tuple[object, ...]:
        """The line that the controller is on, those to come, and where its fingers are."""
        line, fingers = self._steppers, self.travel
        return (
            (list(line.start), list(line.goal), line.gone, list(line.coming)),
            None if fingers is None else (fingers.shut, fingers.position),
        )

    def restore(self, saved: tuple[object, ...]) -> None:
        """Go back to a snapshot."""
        line, fingers = cast("tuple[Any, Any]", saved)
        steppers = self._steppers
        start, goal, steppers.gone, steppers.coming = line
        steppers.start, steppers.goal = list(start), list(goal)
        if self.travel is not None:
            self.travel.shut, self.travel.position = fingers
