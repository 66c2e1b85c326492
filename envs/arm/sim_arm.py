"""The arm in simulation: each drive's own control law, evaluated every substep, behind the Arm protocol.

Constraint motors would track far better than a real servo does and cost more than the rest of a substep, so
none are used for them: the law of `robots/servo.py` gives torques, Bullet integrates them, and the rotor inertia of
each drive stands in its link's inertia about the joint axis. Steppers, which do track, are motors of Bullet's.
"""

from dataclasses import replace

from ...robots.description import RobotDescription
from ...robots.envelope import Admitted
from ...robots.errors import RefusedError
from ...robots.servo import quantise
from ...robots.state import ArmState, Vector
from ..bullet import bullet
from ..cell import Cell
from ..randomize import Draw
from .arm_joints import ArmJoints
from .drives import Drives, Seen
from .drives_impedance import ImpedanceDrives
from .drives_servo import ServoDrives
from .drives_stepper import StepperDrives
from .realism import Realism


class SimArm:
    """An arm whose motors are the drives' laws on Bullet joints.

    Attributes:
        cell: The cell it stands in.
        realism: What is simulated of its imperfections.
        joints: What of it Bullet knows by numbers.
        drives: What moves it.
    """

    def __init__(self, cell: Cell, *, realism: Realism | None = None) -> None:
        """Find the joints and give them their drives.

        Args:
            cell: The cell the arm stands in.
            realism: What to simulate; everything if not given.

        Raises:
            RefusedError: If the drives are of kinds that do not go together, or the URDF lacks a joint.
        """
        self._robot = robot = cell.robot
        self.cell = cell
        self.realism = realism or Realism()
        self.nominal = [self.realism.apply(d) for d in robot.actuator_drives]
        self._ticks = [d.tick if self.realism.quantisation else 0.0 for d in self.nominal]
        self.joints = ArmJoints(cell, self.nominal)
        delay = self._substeps(robot.timing.action_latency)
        behind, rest = divmod(delay, round(1.0 / (robot.control_rate_hz * cell.physics_dt)))
        kinds = {d.kind for d in self.nominal}
        self.drives: Drives
        if kinds == {"servo"}:
            read_delay = self._substeps(robot.timing.observation_latency)
            self.drives = ServoDrives(cell, self.joints, self.nominal, read_delay)
        elif kinds == {"impedance"}:
            self.drives = ImpedanceDrives(cell, self.joints, self.nominal)
        elif {d.kind for d in self.nominal[:-1]} == {"stepper"} and self.nominal[-1].kind == "impedance":
            self.drives, delay = StepperDrives(cell, self.joints, self.nominal, behind), rest
        else:
            raise RefusedError(f"{robot.name}: drives of kinds {sorted(kinds)} in one arm; all must be alike")
        self._own_delay = self._action_delay = delay
        self._tick = 0
        self._drawn = False
        self._delays: tuple[int, ...] = ()
        self._stamp = 0.0
        self._next: list[float] = [*robot.home, robot.gripper.home]
        self._state = self._measure(Seen(self._next, [0.0] * len(self._next), [0.0] * len(self._next)))

    @property
    def robot(self) -> RobotDescription:
        """The description this arm was made from."""
        return self._robot

    def _substeps(self, latency: float) -> int:
        return round(latency / self.cell.physics_dt) if self.realism.latency else 0

    def randomize(self, draw: Draw | None) -> None:
        """Make this arm a little different from its description, or as described again.

        Args:
            draw: Factors on gains and friction, payload, latency and jitter; None for none.
        """
        if draw is None:
            if self._drawn:
                self.drives.use(self.nominal)
                self.joints.carry(0.0)
            self._action_delay, self._delays, self._drawn = self._own_delay, (), False
            return
        self._drawn = True
        dt = self.cell.physics_dt
        self.drives.use(
            [
                replace(
                    d,
                    position_gain=d.position_gain * gain,
                    derivative_gain=d.derivative_gain * damping,
                    friction=d.friction * friction,
                )
                for d, gain, damping, friction in zip(
                    self.nominal, draw.actuator_gain, draw.actuator_damping, draw.joint_friction, strict=True
                )
            ]
        )
        self._action_delay = self._own_delay + round(draw.latency / dt)
        self._delays = tuple([round(j / dt) for j in draw.jitter])
        self.joints.carry(draw.payload)

    def _switch(self, count: int) -> int:
        """Substep of this tick at which the drives see the new command."""
        delay = self._action_delay
        if self._delays:
            delay += self._delays[min(self._tick, len(self._delays) - 1)]
        self._tick += 1
        return min(delay, count)

    def reset(self, joint_positions: Vector, gripper: float) -> None:
        """Put the arm somewhere, at rest, holding that position.

        Args:
            joint_positions: Arm joints, rad.
            gripper: Gripper position, rad or m.
        """
        start = [*joint_positions, gripper]
        finger = self._robot.gripper.joint_at(gripper)
        self.joints.put([*joint_positions, *[finger] * (1 + self.joints.followers)])
        self.drives.place(start)
        self._stamp = 0.0
        self._tick = 0
        self._next = start
        self._state = self._measure(Seen(start, [0.0] * len(start), [0.0] * len(start)))

    def displace(self, joint_positions: Vector) -> None:
        """Put the arm's joints elsewhere, to be looked at and then put back; drives and measurement do not notice."""
        for joint, position in zip(self.joints.ids, joint_positions, strict=False):
            bullet.resetJointState(self.cell.arm, joint, position, 0.0, self.cell.client)

    def read(self) -> ArmState:
        """The newest measurement, as old as the declared observation latency."""
        return self._state

    def write(self, admitted: Admitted) -> None:
        """Take a command; the drives see it after the declared action latency."""
        self._next = [*admitted.joint_positions, admitted.gripper]

    def advance(self, dt: float) -> None:
        """Run the physics for `dt` seconds, which must be whole substeps."""
        cell = self.cell
        count = round(dt / cell.physics_dt)
        cell.rest.tick(dt)
        seen = self.drives.run(self._next, count, self._switch(count))
        self._stamp += count * cell.physics_dt
        if seen is not None:
            self._state = self._measure(seen)
        cell.rest.hold()

    def _measure(self, seen: Seen) -> ArmState:
        n = len(self._robot.joints)
        ticked = quantise(seen.positions, self._ticks)
        return ArmState(
            stamp=self._stamp + seen.offset,
            joint_positions=ticked[:n],
            joint_velocities=tuple(seen.speeds[:n]),
            joint_efforts=tuple(seen.torques[:n]),
            gripper=ticked[n],
        )

    def snapshot(self) -> tuple[object, ...]:
        """What Bullet's own state leaves out: command, drives, measurement, clock."""
        return self._stamp, list(self._next), self._state, self._tick, self.drives.snapshot()

    def restore(self, saved: tuple[object, ...]) -> None:
        """Go back to a snapshot.

        Raises:
            RefusedError: If it is none.
        """
        match saved:
            case (float() as stamp, list() as after, ArmState() as state, int() as tick, tuple() as drives):
                self._stamp, self._next, self._state, self._tick = stamp, list(after), state, tick
                self.drives.restore(drives)
            case _:
                raise RefusedError("not a snapshot of a simulated arm")

    def true_positions(self) -> tuple[Vector, Vector]:
        """True positions and speeds of the arm joints, free of play, ticks and delay: for judges, never policies."""
        states = bullet.getJointStates(self.cell.arm, self.joints.ids[: len(self._robot.joints)], self.cell.client)
        return tuple([s[0] for s in states]), tuple([s[1] for s in states])
