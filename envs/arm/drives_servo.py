"""PWM servos in simulation: the law of `robots/servo.py` on Bullet's joints, once per substep."""

from collections.abc import Sequence
from typing import cast

from ...robots.servo import Drive, ServoLaw
from ..bullet import bullet
from ..cell import Cell
from .arm_joints import ArmJoints
from .drives import Seen


class ServoDrives:
    """The servos of one arm; see `Drives`."""

    def __init__(self, cell: Cell, joints: ArmJoints, drives: Sequence[Drive], read_delay: int) -> None:
        """Hold home.

        Args:
            cell: The cell the arm stands in.
            joints: Its joints.
            drives: One per joint, gripper last.
            read_delay: Substeps before the end of a tick at which the encoders are read.
        """
        self._cell, self._joints, self._read_delay = cell, joints, read_delay
        self._goals: list[float] = [*cell.robot.home, cell.robot.gripper.home]
        self.use(drives)

    def use(self, drives: Sequence[Drive]) -> None:
        """Go on with other constants, and with gears that do not push."""
        self._drives = drives
        self.law = ServoLaw(drives, gear_dt=self._cell.physics_dt)

    def place(self, start: Sequence[float]) -> None:
        """Hold a position in which the arm has been put."""
        self._goals = list(start)
        self.law.motors = [0.0] * len(start)
        self.law.leans = [0.0] * len(start)

    def run(self, after: Sequence[float], count: int, switch: int) -> Seen | None:
        """Run the substeps of one tick."""
        cell, joints, law = self._cell, self._joints.ids, self.law
        c, arm, run = cell.client, cell.arm, law.run
        get, put, step = bullet.getJointStates, bullet.setJointMotorControlArray, cell.stepper()
        torque_control = bullet.TORQUE_CONTROL
        look = count - self._read_delay
        goals: Sequence[float] = self._goals
        fingers, n = self._joints.fingers, len(cell.robot.joints)
        driven = joints if fingers is None else joints[:n]
        seen = None
        for k in range(count):
            if k == switch:
                goals = after
            states = get(arm, joints, c)
            if fingers is not None:
                slides = states[n:]
                states = (*states[:n], fingers.turn(slides))
            torques = run(goals, states)
            if k == look:
                offset = (k - count) * cell.physics_dt
                seen = Seen(law.measured, [s[1] for s in states], law.motors, offset)
            if fingers is not None:
                fingers.drive(self._drives[n], law.duties[n], slides)
                torques.pop()
            put(arm, driven, torque_control, forces=torques, physicsClientId=c)
            step(c)
        self._goals = list(after if switch == count else goals)
        if look == count:
            states = get(arm, joints, c)
            if fingers is not None:
                states = (*states[:n], fingers.turn(states[n:]))
            seen = Seen(law.lean(states), [s[1] for s in states], law.motors)
        return seen

    def snapshot(self) -> tuple[object, ...]:
        """Goals, and what the gears are pushed by."""
        return list(self._goals), list(self.law.motors), list(self.law.leans)

    def restore(self, saved: tuple[object, ...]) -> None:
        """Go back to a snapshot."""
        goals, motors, leans = cast("tuple[list[float], list[float], list[float]]", saved)
        self._goals, self.law.motors, self.law.leans = list(goals), list(motors), list(leans)
