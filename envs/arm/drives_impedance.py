"""Torque-controlled joints in simulation: stiffness and damping about a goal that moves, and gravity compensation."""

from collections.abc import Sequence
from typing import cast

from ...robots.gravity import Gravity
from ...robots.servo import Drive
from ..bullet import bullet
from ..cell import Cell
from .arm_joints import ArmJoints
from .drives import Seen, together


class ImpedanceDrives:
    """The drives of one arm; see `Drives`."""

    def __init__(self, cell: Cell, joints: ArmJoints, drives: Sequence[Drive]) -> None:
        """Hold home.

        Args:
            cell: The cell the arm stands in.
            joints: Its joints.
            drives: One per joint, gripper last.
        """
        self._cell, self._joints = cell, joints
        self._weights = Gravity(cell.robot)
        self._rotor_mass = drives[-1].armature * (1 + joints.followers)
        self._goals: list[float] = [*cell.robot.home, cell.robot.gripper.home]
        self._gravity: list[float] = [0.0] * len(drives)
        self.use(drives)

    def use(self, drives: Sequence[Drive]) -> None:
        """Go on with other constants."""
        self._drives = drives

    def place(self, start: Sequence[float]) -> None:
        """Hold a position in which the arm has been put."""
        self._goals = list(start)
        self._gravity = self._gravity_torques(start)

    def run(self, after: Sequence[float], count: int, switch: int) -> Seen:
        """Run the substeps of one tick."""
        cell, joints = self._cell, self._joints.ids
        c, arm = cell.client, cell.arm
        get, put, step = bullet.getJointStates, bullet.setJointMotorControlArray, cell.stepper()
        torque_control, followed = bullet.TORQUE_CONTROL, self._joints.followers
        rows = self._rows(after, (count - switch) * cell.physics_dt or cell.physics_dt)
        n = len(rows)
        last = n - 1
        torques: list[float] = []
        for k in range(count):
            states = get(arm, joints, c)
            t = (k - switch + 1) * cell.physics_dt
            torques = []
            # force = kp (start + rate t - q) + kd (rate - w) + gravity, its constant part folded once per tick.
            for (kp, kd, limit, still, moving, slope), (q, w, _, _) in zip(rows, states, strict=False):
                force = (moving + slope * t if t > 0.0 else still) - kp * q - kd * w
                torques.append(limit if force > limit else -limit if force < -limit else force)
            if followed:
                pull = together(states[last], states[n])
                torques.append(torques[last] + pull)
                torques[last] -= pull
            put(arm, joints, torque_control, forces=torques, physicsClientId=c)
            step(c)
        self._goals = list(after)
        states = get(arm, joints, c)[:n]
        positions = [s[0] for s in states]
        self._gravity = self._gravity_torques(positions)
        return Seen(positions, [s[1] for s in states], torques[:n])

    def _rows(self, after: Sequence[float], span: float) -> list[tuple[float, float, float, float, float, float]]:
        """Per drive: kp, kd, limit, and the constant part of its force before the goal moves, after, and per s."""
        rows = []
        for drive, start, goal, gravity in zip(self._drives, self._goals, after, self._gravity, strict=True):
            kp, kd = drive.position_gain, drive.derivative_gain
            rate = (goal - start) / span
            still = kp * start + gravity
            rows.append((kp, kd, drive.stall_torque, still, still + kd * rate, kp * rate))
        return rows

    def _gravity_torques(self, positions: Sequence[float]) -> list[float]:
        """Torque that holds the arm against gravity, N m, and nothing for the gripper."""
        return [*self._weights.torques(positions[: len(self._cell.robot.joints)], payload=self._rotor_mass), 0.0]

    def snapshot(self) -> tuple[object, ...]:
        """Goals and gravity."""
        return list(self._goals), list(self._gravity)

    def restore(self, saved: tuple[object, ...]) -> None:
        """Go back to a snapshot."""
        goals, gravity = cast("tuple[list[float], list[float]]", saved)
        self._goals, self._gravity = list(goals), list(gravity)
