"""A cell behind a virtual arm: the same parts, contacts and task as in training, moved by whoever drives the wire.

It keeps the `Plant` protocol for servos, one Bullet substep a step, or follows a controller (`follow`), and offers
beside them what a bench would see by camera and know by looking: `sample` (part poses, as poor and late as the task
declares, and the goal), `reset` (lay out the episode of a seed, the same that `CellEnv` lays out for it) and `judge`
(the truth).
"""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
from gymnasium.utils import seeding

from ..robots.description import RobotDescription
from ..robots.errors import RefusedError
from ..robots.kinematics import Kinematics
from ..robots.plant import Command, CommandedLaw, Motion
from ..robots.pose import Pose
from ..robots.servo import Gearbox
from ..robots.state import Vector
from .arm.drives_stepper import StepperDrives
from .arm.realism import Realism
from .arm.sim_arm import SimArm
from .bullet import bullet
from .cell import Cell
from .env import START_SPREAD
from .senses import JobSense, PoseSense, TruthSense
from .tasks import load_task
from .witness import Witness


class _ServoArm(SimArm):
    """A simulated arm that takes the registers of its servos instead of admitted commands."""

    def prepare(self) -> None:
        """Hold home and have something to measure."""
        self._commanded = CommandedLaw(self.nominal)
        self._gears = Gearbox(self.nominal, self.cell.physics_dt)
        self.reset(self.robot.home, self.robot.gripper.home)
        self._measured = [*self.robot.home, self.robot.gripper.home]
        self._speeds = [0.0] * len(self.nominal)

    def motion(self) -> Motion:
        """What the servos' encoders see."""
        return Motion(tuple(self._measured), tuple(self._speeds), tuple(self._commanded.duties))

    def substep(self, commands: Sequence[Command]) -> None:
        """One Bullet substep under the servos' law."""
        cell, joints, law = self.cell, self.joints.ids, self._commanded
        c, arm = cell.client, cell.arm
        fingers, n = self.joints.fingers, len(self.robot.joints)
        states = self._joint_states()
        torques = law.torques(commands, self._measured, [s[1] for s in states])
        if fingers is not None:
            slides = bullet.getJointStates(arm, joints[n:], c)
            fingers.drive(self.nominal[n], law.duties[n], slides)
            joints, torques = joints[:n], torques[:n]
        bullet.setJointMotorControlArray(arm, joints, bullet.TORQUE_CONTROL, forces=torques, physicsClientId=c)
        cell.stepper()(c)
        states = self._joint_states()
        self._speeds = [s[1] for s in states]
        self._measured = self._gears.encoders([s[0] for s in states], law.motors)

    def _joint_states(self) -> Sequence[Sequence[float]]:
        """Position and speed of each actuator, the crank's where it slides fingers."""
        states: Sequence[Sequence[float]] = bullet.getJointStates(self.cell.arm, self.joints.ids, self.cell.client)
        fingers, n = self.joints.fingers, len(self.robot.joints)
        return states if fingers is None else (*states[:n], fingers.turn(states[n:]))


class _LedArm(SimArm):
    """A simulated arm that goes where a controller's joints are; the controller is never told otherwise."""

    def substep(self, joints: Sequence[float], *, shut: bool) -> None:
        """One Bullet substep, at whose end the joints are there."""
        self._led.lead(joints, shut=shut)

    @property
    def _led(self) -> StepperDrives:
        if not isinstance(self.drives, StepperDrives):
            raise RefusedError(f"robot {self.robot.name!r} is not driven by a controller")
        return self.drives

    def motion(self) -> Motion:
        """Where its joints truly are."""
        positions, velocities = self.true_positions()
        travel = self._led.travel
        gripper = travel.position if travel is not None else self.robot.gripper.home
        return Motion((*positions, gripper), (*velocities, 0.0), (0.0,) * (len(positions) + 1))


class CellWorld:
    """Plant, senses and judge of one task."""

    def __init__(
        self,
        task: str,
        robot: RobotDescription,
        *,
        seed: int = 0,
        tolerance: str | None = None,
        level: str | None = None,
        noise: bool = True,
    ) -> None:
        """Build the cell and lay out the first episode.

        Args:
            task: Task name.
            robot: The arm, driven by servos or by a controller.
            seed: Of the first layout.
            tolerance: Class by which `judge` judges; the arm's own if not given.
            level: Degree of difficulty, where the task has several; what the arm is judged by if not given.
            noise: Whether parts are sensed as poorly and late as the task declares.

        Raises:
            RefusedError: If the task does not exist or the arm has neither.
        """
        kind = load_task(task)
        kinds = {drive.kind for drive in robot.actuator_drives}
        led = robot.bus is not None and bool(robot.bus.zeros) and robot.gripper.travel_time > 0.0
        if not led and (kinds != {"servo"} or (robot.gripper.followers and not robot.gripper.slide)):
            raise RefusedError(f"robot {robot.name!r} has neither servos nor a controller for a world to move")
        self.task = kind(robot, tolerance or robot.tolerance, level)
        self.robot = robot
        self.cell = Cell(robot)
        self.period = self.cell.physics_dt
        self.task.build(self.cell)
        self._arm: _ServoArm | _LedArm
        self._since = 0.0
        if kinds == {"servo"}:
            self._arm = _ServoArm(self.cell)
            self._arm.prepare()
        else:
            self._arm = _LedArm(self.cell, realism=Realism(latency=False))
            self._arm.reset(robot.home, robot.gripper.home)
        self._kinematics = Kinematics(robot)
        spec = self.task.spec()
        fields = self.task.sensed_fields()
        measured = tuple(field for field in fields if field.source == "parts")
        self._parts = PoseSense(measured, self.task.symmetry, self.task.noise if noise else None)
        self._witness = Witness(self.task, self.cell, self._arm, self._kinematics, self._measured)
        self._job = JobSense(tuple(field for field in fields if field.source == "job"), self._truth)
        self._goal = TruthSense("goal", spec.desired_goal, lambda: self.task.desired)
        self._per_tick = max(1, round(1.0 / (robot.control_rate_hz * self.period)))
        self._hold_ticks = round(self.task.success.hold_s * robot.control_rate_hz)
        self._steps = self._held = 0
        self.reset(seed)

    # ---- plant

    def motion(self) -> Motion:
        """Return the present motion without letting time pass."""
        return self._arm.motion()

    def step(self, commands: Sequence[Command]) -> Motion:
        """Let one substep pass under one command per actuator."""
        if not isinstance(self._arm, _ServoArm):
            raise RefusedError(f"robot {self.robot.name!r} has no servos that could be commanded")
        self._arm.substep(commands)
        self._judge_tick()
        return self._arm.motion()

    def _judge_tick(self) -> None:
        self._steps += 1
        if self._steps % self._per_tick == 0:
            self._witness.read()
            met = self.task.success.met(self._witness.achieved(), self.task.desired)
            self._held = self._held + 1 if met else 0

    # ---- behind a controller

    def follow(self, joints: Sequence[float], shut: bool, dt: float) -> None:
        """Let `dt` seconds pass, at whose end the joints are there.

        Args:
            joints: As the controller counts them, rad.
            shut: Whether its fingers were told to shut.
            dt: s.
        """
        if not isinstance(self._arm, _LedArm) or self.robot.bus is None:
            raise RefusedError(f"robot {self.robot.name!r} has servos, no controller")
        self._since += dt
        here = tuple([q - zero for q, zero in zip(joints, self.robot.bus.zeros, strict=False)])
        if self._steps == 0:
            self._arm.reset(here, self.robot.gripper.open)
        while self._since >= self.period:
            self._since -= self.period
            self._arm.substep(here, shut=shut)
            self._judge_tick()

    # ---- what stands beside the bus

    def sample(self) -> dict[str, Vector]:
        """Part poses as sensed, the job, and the goal."""
        return {**self._parts.read(), **self._job.read(), **self._goal.read()}

    def reset(self, seed: int) -> None:
        """Lay out the parts of an episode; the arm stays where it is.

        Args:
            seed: The same seed gives the same layout as `CellEnv.reset(seed=...)`.
        """
        rng, _ = seeding.np_random(seed)
        rng.uniform(-START_SPREAD, START_SPREAD, len(self.robot.joints))  # where CellEnv would put the arm
        self.cell.begin_reset()
        self.task.place(self.cell, rng, {})
        self._parts.reset(rng, self._truth)
        self._held = 0
        self._witness.read()

    def judge(self) -> Mapping[str, object]:
        """By ground truth: whether all conditions have held for long enough, and each with its value."""
        terms = self.task.success.terms(self._witness.achieved(), self.task.desired)
        done = self._held >= self._hold_ticks
        held = self._held * self._per_tick * self.period
        terms["held_s"] = {"value": held, "limit": self.task.success.hold_s, "ok": done}
        return {"is_success": done, "success_terms": terms}

    def picture(self, width: int = 480, height: int = 360) -> npt.NDArray[np.uint8]:
        """What an onlooker sees, (height, width, 3) uint8."""
        from .view import Camera

        return Camera.overview(self.robot).picture(self.cell, width, height)

    def _truth(self) -> dict[str, Vector]:
        """What is true now, between two ticks too: whoever drives the bus samples when it likes."""
        return self.task.sensed(self.cell)

    def _measured(self) -> Pose:
        return self._kinematics.forward(self._arm.motion().positions[:-1])

    def close(self) -> None:
        """Close the cell."""
        self.cell.close()

    def __enter__(self) -> Self:
        """Use as a context manager."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close on leaving."""
        self.close()
