"""The arm in simulation: each drive's own control law, evaluated every substep, behind the Arm protocol.

Constraint motors would track far better than a real servo does and cost more than the rest of a substep, so
none are used for them: the law of `robots/servo.py` gives torques, Bullet integrates them, and the rotor inertia of
each drive stands in its link's inertia about the joint axis. Steppers, which do track, are motors of Bullet's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from ..robots.description import RobotDescription
from ..robots.envelope import Admitted
from ..robots.errors import RefusedError
from ..robots.gravity import Gravity
from ..robots.kinematics import Kinematics, rpy_matrix
from ..robots.servo import Drive, ServoLaw, quantise
from ..robots.state import ArmState, Vector
from ..robots.travel import Travel
from ..robots.urdf import read_urdf
from .bullet import bullet
from .cell import Cell
from .fingers import Fingers
from .randomize import Draw
from .steppers import Steppers

FOLLOW_GAIN = 1000.0  # N/m between two fingers that one drive moves
FOLLOW_DAMPING = 8.0  # N s/m


@dataclass(frozen=True, slots=True, kw_only=True)
class Realism:
    """Which imperfections of the arm are simulated; each can be switched off.

    Attributes:
        backlash: Lost motion of the gearboxes.
        quantisation: Whole encoder ticks.
        dead_zone: Servo dead zone and start force.
        latency: Action and observation delay.
        friction: Coulomb friction in the drives.
    """

    backlash: bool = True
    quantisation: bool = True
    dead_zone: bool = True
    latency: bool = True
    friction: bool = True

    def apply(self, drive: Drive) -> Drive:
        """A drive with the switched-off imperfections set to zero."""
        if not self.backlash:
            drive = replace(drive, backlash=0.0)
        if not self.dead_zone:
            drive = replace(drive, dead_zone_ticks=0.0, start_duty=0.0)
        if not self.friction:
            drive = replace(drive, friction=0.0)
        return drive


class SimArm:
    """An arm whose motors are the drives' laws on Bullet joints."""

    def __init__(self, cell: Cell, *, realism: Realism | None = None) -> None:
        """Find the joints, free them of Bullet's motors and add the rotors' inertia.

        Args:
            cell: The cell the arm stands in.
            realism: What to simulate; everything if not given.
        """
        self._robot = cell.robot
        self.cell = cell
        self.realism = realism or Realism()
        robot = cell.robot
        drives = [self.realism.apply(d) for d in robot.actuator_drives]
        kinds = {d.kind for d in drives}
        stepped = {d.kind for d in drives[:-1]} == {"stepper"} and drives[-1].kind == "impedance"
        if len(kinds) != 1 and not stepped:
            raise RefusedError(f"{robot.name}: drives of kinds {sorted(kinds)} in one arm; all must be alike")
        self._servo = kinds == {"servo"}
        self._travel = Travel(robot.gripper) if robot.gripper.travel_time else None
        self._drives = drives
        self._ticks = [d.tick if self.realism.quantisation else 0.0 for d in drives]
        self._law = ServoLaw(drives, gear_dt=cell.physics_dt)
        found = self._index_joints()
        self._free_motors()
        for passive in robot.passive:  # light links between two motors would be more than the solver can hold
            self._add_rotor(found[passive.name], drives[0].armature)
        n = len(robot.joints)
        self._weights = Gravity(robot)
        sliding = not self._servo
        self._rotor_mass = drives[-1].armature * (1 + self._followers) if sliding else 0.0
        self._gravity: list[float] = [0.0] * (n + 1)
        dt = cell.physics_dt
        self._action_delay = round(robot.timing.action_latency / dt) if self.realism.latency else 0
        behind, rest = divmod(self._action_delay, round(1.0 / (robot.control_rate_hz * dt)))
        self._steppers = Steppers(robot, cell.arm, cell.client, found, behind=behind) if stepped else None
        self._action_delay = rest if stepped else self._action_delay
        self._own_delay, self._tick = self._action_delay, 0
        self._delays: tuple[int, ...] = ()
        self._nominal, self._nominal_law = drives, self._law
        self._last_mass: tuple[float, Sequence[float]] | None = None
        self._read_delay = round(robot.timing.observation_latency / dt) if self.realism.latency else 0
        self._stamp = 0.0
        self._goals: list[float] = [*robot.home, robot.gripper.home]
        self._next: list[float] = self._goals
        self._state = ArmState(
            stamp=0.0,
            joint_positions=robot.home,
            joint_velocities=(0.0,) * n,
            joint_efforts=(0.0,) * n,
            gripper=robot.gripper.home,
        )

    @property
    def robot(self) -> RobotDescription:
        """The description this arm was made from."""
        return self._robot

    def _index_joints(self) -> dict[str, int]:
        robot, cell = self._robot, self.cell
        found = {}
        self.links: dict[str, int] = {}
        for k in range(bullet.getNumJoints(cell.arm, cell.client)):
            info = bullet.getJointInfo(cell.arm, k, cell.client)
            found[info[1].decode()] = k
            self.links[info[12].decode()] = k
        wanted = (*robot.actuator_names, *robot.gripper.followers, *(p.name for p in robot.passive))
        missing = [name for name in wanted if name not in found]
        if missing:
            raise RefusedError(f"{robot.urdf_path}: joint {missing[0]!r} of {robot.name}.toml is not there")
        self._followers = len(robot.gripper.followers)
        self._joints = [found[name] for name in wanted[: len(robot.actuator_names) + self._followers]]
        n = len(robot.joints)
        self._fingers = Fingers(cell, robot, self._joints[n:]) if robot.gripper.slide else None
        return found

    def _free_motors(self) -> None:
        c, arm = self.cell.client, self.cell.arm
        for k in range(-1, bullet.getNumJoints(arm, c)):
            bullet.changeDynamics(arm, k, linearDamping=0.0, angularDamping=0.0, jointDamping=0.0, physicsClientId=c)
        bullet.setJointMotorControlArray(
            arm, self._joints, bullet.VELOCITY_CONTROL, forces=[0.0] * len(self._joints), physicsClientId=c
        )
        drives = [*self._drives, *([self._drives[-1]] * self._followers)]
        shares = [*rotor_shares(self._robot), *([1.0] * self._followers)]
        if self._fingers is not None:
            drives, shares = drives[: len(self._robot.joints)], shares[: len(self._robot.joints)]
        for joint, drive, share in zip(self._joints, drives, shares, strict=False):
            self._add_rotor(joint, drive.armature * share)
        for link in self._robot.gripper.finger_links:
            if link in self.links:
                bullet.changeDynamics(arm, self.links[link], lateralFriction=1.0, frictionAnchor=1, physicsClientId=c)

    def _add_rotor(self, joint: int, armature: float) -> None:
        """Add a rotor's inertia about the joint axis, or its mass to a sliding link."""
        c, arm = self.cell.client, self.cell.arm
        info = bullet.getJointInfo(arm, joint, c)
        dynamics = bullet.getDynamicsInfo(arm, joint, c)
        if info[2] == bullet.JOINT_PRISMATIC:
            bullet.changeDynamics(arm, joint, mass=dynamics[0] + armature, physicsClientId=c)
            return
        # Bullet gives the axis in the frame of the link's principal moments. Only these can be changed, so an axis
        # that lies askew in it is not met exactly; the sum of fourth powers makes what it feels about itself right.
        axis = info[13]
        share = armature / sum(a**4 for a in axis)
        diagonal = [i + share * a * a for i, a in zip(dynamics[2], axis, strict=True)]
        bullet.changeDynamics(arm, joint, localInertiaDiagonal=diagonal, physicsClientId=c)

    def randomize(self, draw: Draw | None) -> None:
        """Make this arm a little different from its description, or as described again.

        Args:
            draw: Factors on gains and friction, payload, latency and jitter; None for none.
        """
        if draw is None:
            self._drives, self._law = self._nominal, self._nominal_law
            self._action_delay, self._delays = self._own_delay, ()
            self._carry(0.0)
            return
        dt = self.cell.physics_dt
        self._drives = [
            replace(
                d,
                position_gain=d.position_gain * gain,
                derivative_gain=d.derivative_gain * damping,
                friction=d.friction * friction,
            )
            for d, gain, damping, friction in zip(
                self._nominal, draw.actuator_gain, draw.actuator_damping, draw.joint_friction, strict=True
            )
        ]
        self._law = ServoLaw(self._drives, gear_dt=dt)
        self._action_delay = self._own_delay + round(draw.latency / dt)
        self._delays = tuple([round(j / dt) for j in draw.jitter])
        self._carry(draw.payload)

    def _carry(self, payload: float) -> None:
        """Add mass to the link before the gripper."""
        if payload == 0.0 and self._last_mass is None:
            return
        link = self._joints[len(self._robot.joints) - 1]
        if self._last_mass is None:
            mass, _, inertia = bullet.getDynamicsInfo(self.cell.arm, link, self.cell.client)[:3]
            self._last_mass = mass, inertia
        mass, inertia = self._last_mass
        # A new mass alone would make Bullet forget the rotor in the link's inertia.
        bullet.changeDynamics(
            self.cell.arm,
            link,
            mass=mass + payload,
            localInertiaDiagonal=inertia,
            physicsClientId=self.cell.client,
        )

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
        bullet.resetJointStatesMultiDof(
            self.cell.arm,
            self._joints,
            [[q] for q in [*joint_positions, *[finger] * (1 + self._followers)]],
            [[0.0]] * len(self._joints),
            physicsClientId=self.cell.client,
        )
        if self._steppers is not None:
            self._steppers.place(start)
        if self._travel is not None:
            self._travel.place(gripper)
        self._stamp = 0.0
        self._tick = 0
        self._goals = start
        self._next = start
        self._gravity = self._gravity_torques(start)
        self._law.motors = [0.0] * len(start)
        self._law.leans = [0.0] * len(start)
        self._state = self._measure(start, [0.0] * len(start), [0.0] * len(start), 0.0)

    def displace(self, joint_positions: Vector) -> None:
        """Put the arm's joints elsewhere, to be looked at and then put back; drives and measurement do not notice."""
        for joint, position in zip(self._joints, joint_positions, strict=False):
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
        if self._servo:
            self._run_servo(count)
        elif self._steppers is not None:
            self._run_steppers(self._steppers, count)
        else:
            self._run_impedance(count)
        cell.rest.hold()

    def _run_servo(self, count: int) -> None:
        cell, joints, law = self.cell, self._joints, self._law
        c, arm, run = cell.client, cell.arm, law.run
        get, put, step = bullet.getJointStates, bullet.setJointMotorControlArray, cell.stepper()
        torque_control = bullet.TORQUE_CONTROL
        switch = self._switch(count)
        look = count - self._read_delay
        goals = self._goals
        fingers, n = self._fingers, len(self._robot.joints)
        driven = joints if fingers is None else joints[:n]
        for k in range(count):
            if k == switch:
                goals = self._next
            states = get(arm, joints, c)
            if fingers is not None:
                slides = states[n:]
                states = (*states[:n], fingers.turn(slides))
            torques = run(goals, states)
            if k == look:
                self._see(law.measured, states, law.motors, (k - count) * cell.physics_dt, count)
            if fingers is not None:
                fingers.drive(self._drives[n], law.duties[n], slides)
                torques.pop()
            put(arm, driven, torque_control, forces=torques, physicsClientId=c)
            step(c)
        if switch == count:
            goals = self._next
        self._goals = goals
        if look == count:
            states = get(arm, joints, c)
            if fingers is not None:
                states = (*states[:n], fingers.turn(states[n:]))
            self._see(law.lean(states), states, law.motors, 0.0, count)
        self._stamp += count * cell.physics_dt

    def _run_impedance(self, count: int) -> None:
        cell, joints, drives = self.cell, self._joints, self._drives
        c, arm = cell.client, cell.arm
        get, put, step = bullet.getJointStates, bullet.setJointMotorControlArray, cell.stepper()
        torque_control = bullet.TORQUE_CONTROL
        delay = self._switch(count)
        span = (count - delay) * cell.physics_dt or cell.physics_dt
        after = self._next
        rows = self._impedance_rows(span)
        last = len(drives) - 1
        torques: list[float] = []
        for k in range(count):
            states = get(arm, joints, c)
            t = (k - delay + 1) * cell.physics_dt
            torques = []
            # force = kp (start + rate t - q) + kd (rate - w) + gravity, its constant part folded once per tick.
            for (kp, kd, limit, still, moving, slope), (q, w, _, _) in zip(rows, states, strict=False):
                force = (moving + slope * t if t > 0.0 else still) - kp * q - kd * w
                torques.append(limit if force > limit else -limit if force < -limit else force)
            if self._followers:
                lead, follow = states[last], states[last + 1]
                pull = FOLLOW_GAIN * (lead[0] - follow[0]) + FOLLOW_DAMPING * (lead[1] - follow[1])
                torques.append(torques[last] + pull)
                torques[last] -= pull
            put(arm, joints, torque_control, forces=torques, physicsClientId=c)
            step(c)
        self._goals = after
        self._stamp += count * cell.physics_dt
        n = len(drives)
        states = get(arm, joints, c)[:n]
        positions = [s[0] for s in states]
        self._gravity = self._gravity_torques(positions)
        self._state = self._measure(positions, [s[1] for s in states], torques[:n], self._stamp)

    def _run_steppers(self, steppers: Steppers, count: int) -> None:
        cell, joints, n = self.cell, self._joints, len(self._robot.joints)
        c, arm, dt = cell.client, cell.arm, cell.physics_dt
        get, step, fingers = bullet.getJointStates, cell.stepper(), joints[n:]
        switch = self._switch(count)
        for k in range(count):
            if k == switch:
                self._obey(steppers, count)
            goal = steppers.substep(count, dt)[n]
            if self._travel is not None:
                goal = self._travel.pass_time(dt)
            self._grip(get(arm, fingers, c), fingers, goal)
            step(c)
        if switch == count:
            self._obey(steppers, count)
        self._goals = list(steppers.goal)
        self._stamp += count * dt
        states = get(arm, joints[: n + 1], c)
        positions = [s[0] for s in states]
        if self._travel is not None:
            positions[n] = self._travel.position
        self._state = self._measure(positions, [s[1] for s in states], [s[3] for s in states], self._stamp)

    def _obey(self, steppers: Steppers, count: int) -> None:
        steppers.turn_to(self._next, count)
        if self._travel is not None:
            self._travel.switch(shut=self._travel.wants_shut(steppers.goal[-1]))

    def _grip(self, states: Sequence[Sequence[float]], fingers: list[int], goal: float) -> None:
        """Press the fingers toward a goal with the force of their drive; the second keeps to the first."""
        drive = self._drives[-1]
        force = drive.position_gain * (goal - states[0][0]) - drive.derivative_gain * states[0][1]
        forces = [min(max(force, -drive.stall_torque), drive.stall_torque)] * len(fingers)
        if self._followers:
            lead, follow = states[0], states[1]
            pull = FOLLOW_GAIN * (lead[0] - follow[0]) + FOLLOW_DAMPING * (lead[1] - follow[1])
            forces = [forces[0] - pull, forces[1] + pull]
        bullet.setJointMotorControlArray(
            self.cell.arm, fingers, bullet.TORQUE_CONTROL, forces=forces, physicsClientId=self.cell.client
        )

    def _impedance_rows(self, span: float) -> list[tuple[float, float, float, float, float, float]]:
        """Per drive: kp, kd, limit, and the constant part of its force before the goal moves, after, and per s."""
        rows = []
        for drive, start, goal, gravity in zip(self._drives, self._goals, self._next, self._gravity, strict=True):
            kp, kd = drive.position_gain, drive.derivative_gain
            rate = (goal - start) / span
            still = kp * start + gravity
            rows.append((kp, kd, drive.stall_torque, still, still + kd * rate, kp * rate))
        return rows

    def _gravity_torques(self, positions: list[float]) -> list[float]:
        """Torque that holds the arm against gravity, N m; zero for servos, which sag, and steppers, which do not."""
        if self._servo or self._steppers is not None:
            return [0.0] * len(positions)
        return [*self._weights.torques(positions[: len(self._robot.joints)], payload=self._rotor_mass), 0.0]

    def _see(
        self,
        measured: list[float],
        states: Sequence[Sequence[float]],
        torques: list[float],
        offset: float,
        count: int,
    ) -> None:
        """Keep what the encoders read now, `offset` s before the end of the tick."""
        stamp = self._stamp + count * self.cell.physics_dt + offset
        self._state = self._measure(measured, [s[1] for s in states], torques, stamp)

    def _measure(self, positions: list[float], speeds: list[float], torques: list[float], stamp: float) -> ArmState:
        n = len(self._robot.joints)
        seen = quantise(positions, self._ticks)
        return ArmState(
            stamp=stamp,
            joint_positions=seen[:n],
            joint_velocities=tuple(speeds[:n]),
            joint_efforts=tuple(torques[:n]),
            gripper=seen[n],
        )

    def snapshot(self) -> tuple[object, ...]:
        """What Bullet's own state leaves out: goals, encoders, latency buffers, clock."""
        return (
            self._stamp,
            list(self._goals),
            list(self._next),
            list(self._gravity),
            list(self._law.motors),
            list(self._law.leans),
            self._state,
            self._tick,
            *self._line(),
        )

    def _line(self) -> tuple[object, ...]:
        """What controllers keep beside that: the line they are on, and where their fingers are."""
        line = self._steppers
        fingers = self._travel
        return (
            None if line is None else (list(line.start), list(line.goal), line.gone, list(line.coming)),
            None if fingers is None else (fingers.shut, fingers.position),
        )

    def restore(self, saved: tuple[object, ...]) -> None:
        """Go back to a snapshot."""
        stamp, goals, after, gravity, motors, leans, state, tick, line, fingers = saved
        if not (isinstance(stamp, float) and isinstance(state, ArmState) and isinstance(tick, int)):
            raise RefusedError("not a snapshot of a simulated arm")
        self._stamp, self._state, self._tick = stamp, state, tick
        self._goals, self._next = _floats(goals), _floats(after)
        self._gravity = _floats(gravity)
        self._law.motors, self._law.leans = _floats(motors), _floats(leans)
        if self._steppers is not None and isinstance(line, tuple):
            steppers = self._steppers
            steppers.start, steppers.goal, steppers.gone, steppers.coming = list(line[0]), list(line[1]), *line[2:]
        if self._travel is not None and isinstance(fingers, tuple):
            self._travel.shut, self._travel.position = fingers

    def true_positions(self) -> tuple[Vector, Vector]:
        """True positions and speeds of the arm joints, free of play, ticks and delay: for judges, never policies."""
        states = bullet.getJointStates(self.cell.arm, self._joints[: len(self._robot.joints)], self.cell.client)
        return tuple([s[0] for s in states]), tuple([s[1] for s in states])


def rotor_shares(robot: RobotDescription) -> list[float]:
    """How much of its rotor each link carries, gripper last, so that parallel joints do not carry it many times.

    A rotor resists only the relative turn of its own joint, but inertia put into a link resists every parallel
    joint before it as well. With m parallel joints a share of 1 would give the first of them m rotors, a share
    of 1/m would leave the relative motion of the last ones too light for an explicit step; 1/sqrt(m) is stable
    and errs by less than half a rotor on any joint.

    Args:
        robot: The arm, judged at its home position.
    """
    grip = read_urdf(robot.urdf_path)
    jaw = next((j for j in grip.values() if j.name == robot.gripper.joint), None)
    kinematics = Kinematics(robot)
    frames, _ = kinematics.frames(robot.home)
    if kinematics.mix is not None:
        return [1.0] * len(robot.actuator_names)  # steppers of Bullet's need no rotor to be stable
    axes = [(turn[2], turn[5], turn[8]) for turn, _ in frames]
    last = frames[-1][0]
    if jaw is not None and jaw.kind == "revolute":
        local = kinematics.joint_alignment(len(axes) - 1).T @ rpy_matrix(*jaw.rpy) @ np.array(jaw.axis)
        x, y, z = (sum(last[3 * r + k] * float(local[k]) for k in range(3)) for r in range(3))
        axes.append((x, y, z))
    shares = [1.0 / sqrt(sum(abs(a[0] * b[0] + a[1] * b[1] + a[2] * b[2]) > 0.7 for b in axes)) for a in axes]
    return shares if len(axes) > len(frames) else [*shares, 1.0]


def _floats(values: object) -> list[float]:
    if not isinstance(values, list):
        raise RefusedError("not a snapshot of a simulated arm")
    return [float(v) for v in values]
