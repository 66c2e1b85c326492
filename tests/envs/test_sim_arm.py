"""The simulated arm: as true as the same law at 1/4000 s, each imperfection as declared and switchable."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from genba.envs.arm.realism import Realism
from genba.envs.arm.rotors import rotor_shares
from genba.envs.arm.sim_arm import SimArm
from genba.envs.bullet import bullet
from genba.envs.cell import Cell
from genba.envs.fold import fold_fixed_links
from genba.robots.arm import Arm
from genba.robots.catalogue import load_robot, robot_names
from genba.robots.description import RobotDescription
from genba.robots.envelope import Admitted, SafetyEnvelope
from genba.robots.gravity import Gravity
from genba.robots.kinematics import Kinematics
from genba.robots.state import ArmState

ROBOTS = pytest.mark.parametrize("name", robot_names())
SERVO_ARMS = [n for n in robot_names() if {d.kind for d in load_robot(n).actuator_drives} == {"servo"}]
DT = 0.05
PERFECT = Realism(backlash=False, quantisation=False, dead_zone=False, latency=False, friction=False)


def state_at(where: Sequence[float], stamp: float = 0.0) -> ArmState:
    *joints, gripper = where
    still = (0.0,) * len(joints)
    return ArmState(
        stamp=stamp, joint_positions=tuple(joints), joint_velocities=still, joint_efforts=still, gripper=gripper
    )


def admitted_at(robot: RobotDescription, where: Sequence[float]) -> Admitted:
    """A command to be somewhere at once, which the envelope admits of an arm that is there."""
    return SafetyEnvelope(robot, Kinematics(robot)).reset(state_at(where))


def random_steps(robot: RobotDescription, count: int) -> list[list[float]]:
    """Poses around home whose tool stays clear of the table."""
    kinematics, rng = Kinematics(robot), np.random.default_rng(0)
    lower, upper = ([getattr(j, key) for j in robot.joints] for key in ("lower", "upper"))
    found: list[list[float]] = []
    while len(found) < count:
        joints = np.clip(np.array(robot.home) + rng.uniform(-0.3, 0.3, len(lower)), lower, upper).tolist()
        if kinematics.forward(joints).position[2] > 0.06:
            found.append([*joints, robot.gripper.home])
    return found


def at_home(robot: RobotDescription, realism: Realism | None = None, rate_hz: int = 240) -> tuple[Cell, SimArm]:
    cell = Cell(robot, physics_rate_hz=rate_hz)
    arm = SimArm(cell, realism=realism)
    cell.begin_reset()
    arm.reset(robot.home, robot.gripper.home)
    return cell, arm


def play(robot: RobotDescription, rate_hz: int, *, steps: bool) -> np.ndarray:
    """True positions every 50 ms while the goals jump twice a second, or go there as the envelope lets them."""
    cell, arm = at_home(robot, rate_hz=rate_hz)
    kinematics = Kinematics(robot)
    envelope = SafetyEnvelope(robot, kinematics)
    envelope.reset(state_at([*robot.home, robot.gripper.home]))
    rows = []
    with cell:
        for k, goal in enumerate(goal for goal in random_steps(robot, 20) for _ in range(15)):
            if steps:
                arm.write(admitted_at(robot, goal))
            else:
                here = state_at(envelope.snapshot()[0], stamp=k + 1.0)
                arm.write(envelope.admit(goal, here, kinematics.forward(here.joint_positions), DT))
            arm.advance(DT)
            rows.append(arm.true_positions()[0])
    return np.degrees(np.array(rows))


@ROBOTS
def test_admitted_motion_is_true_to_the_law_at_a_quarter_millisecond(name: str) -> None:
    robot = load_robot(name)
    error = play(robot, 240, steps=False) - play(robot, 4000, steps=False)
    assert np.sqrt((error**2).mean(axis=0)).max() < 0.2


@pytest.mark.parametrize("name", SERVO_ARMS)
def test_servo_under_step_commands_is_true_to_the_law_at_a_quarter_millisecond(name: str) -> None:
    """Steps that no envelope would admit: duty saturates, and still half a degree holds."""
    robot = load_robot(name)
    error = play(robot, 240, steps=True) - play(robot, 4000, steps=True)
    assert np.sqrt((error**2).mean(axis=0)).max() < 0.5


@ROBOTS
def test_simulated_arm_is_an_arm(name: str) -> None:
    cell, arm = at_home(load_robot(name))
    with cell:
        assert isinstance(arm, Arm)
        assert arm.robot is load_robot(name)


@ROBOTS
def test_arm_at_rest_stays_where_it_was_put_but_for_its_sag(name: str) -> None:
    robot = load_robot(name)
    cell, arm = at_home(robot)
    with cell:
        arm.write(admitted_at(robot, [*robot.home, robot.gripper.home]))
        for _ in range(40):
            arm.advance(DT)
        fallen = np.array(arm.true_positions()[0]) - robot.home
        load = np.array(Gravity(robot).torques(robot.home))
        for joint, way, torque, drive in zip(robot.joints, fallen, load, robot.actuator_drives, strict=False):
            slack = drive.friction / drive.stiffness + drive.dead_zone_ticks * drive.tick + 0.5 * drive.backlash
            start = drive.start_duty * drive.stall_torque / drive.stiffness
            sag = abs(torque) / drive.stiffness if drive.kind == "servo" else 0.0
            assert abs(way) <= sag + slack + start + 0.002, joint.name
        assert abs(np.array(arm.true_positions()[1])).max() < 0.01


def statics(robot: RobotDescription, positions: Sequence[float], gripper: float) -> list[float]:
    """Torques that hold the arm joints as the cell loads the arm, by the engine's inverse dynamics, rotors left out."""
    client = bullet.connect(bullet.DIRECT)
    try:
        bullet.setGravity(0.0, 0.0, -9.81, physicsClientId=client)
        text = fold_fixed_links(robot.urdf_path.read_text(encoding="utf-8"))
        with TemporaryDirectory() as folder:
            path = Path(folder) / "folded.urdf"
            path.write_text(text, encoding="utf-8")
            flags = bullet.URDF_USE_INERTIA_FROM_FILE
            body = bullet.loadURDF(str(path), useFixedBase=True, flags=flags, physicsClientId=client)
        rows = [bullet.getJointInfo(body, k, client) for k in range(bullet.getNumJoints(body, client))]
        moving = [row[1].decode() for row in rows if row[2] != bullet.JOINT_FIXED]
        assert len(moving) == len(rows)  # nothing fixed is left
        where = dict.fromkeys(moving, gripper) | dict(zip(robot.joint_names, positions, strict=True))
        still = [0.0] * len(moving)
        for p in robot.passive:
            where[p.name] = p.offset + sum(c * q for c, q in zip(p.coefficients, positions, strict=True))
        torques = bullet.calculateInverseDynamics(
            body, [where[name] for name in moving], still, still, physicsClientId=client
        )
        carried = np.array([torques[moving.index(name)] for name in robot.joint_names])
        for p in robot.passive:  # rods bring it to the motors
            carried += np.array(p.coefficients) * torques[moving.index(p.name)]
        return carried.tolist()
    finally:
        bullet.disconnect(client)


@pytest.mark.parametrize("name", SERVO_ARMS)
def test_sag_of_a_perfect_servo_is_gravity_over_stiffness(name: str) -> None:
    robot = load_robot(name)
    cell, arm = at_home(robot, PERFECT)
    with cell:
        arm.write(admitted_at(robot, [*robot.home, robot.gripper.home]))
        for _ in range(100):
            arm.advance(DT)
        found, _ = arm.true_positions()
    held = statics(robot, found, robot.gripper.home)
    for drive, goal, q, torque in zip(robot.actuator_drives, robot.home, found, held, strict=False):
        assert goal - q == pytest.approx(torque / drive.stiffness, abs=2e-4)


@ROBOTS
def test_arm_in_the_cell_weighs_what_its_urdf_says(name: str) -> None:
    robot = load_robot(name)
    for goal in random_steps(robot, 20):
        assert statics(robot, goal[:-1], 0.0) == pytest.approx(Gravity(robot).torques(goal[:-1]), abs=1e-4)


@ROBOTS
def test_every_joint_feels_the_rotor_that_its_drive_declares(name: str) -> None:
    """What the rotor adds to its link's inertia about the joint's axis, the axis taken from our own kinematics."""
    robot = load_robot(name)
    chain = Kinematics(robot)
    all_frames, _ = chain.frames(robot.home)
    frames = [frame for frame, name in zip(all_frames, chain.moving, strict=True) if name in robot.joint_names]
    with Cell(robot) as bare, Cell(robot) as driven:
        arm = SimArm(driven)
        arm.reset(robot.home, robot.gripper.home)
        shares = rotor_shares(robot)
        for k, (joint, (turn, _)) in enumerate(zip(arm.joints.ids, frames[: len(robot.joints)], strict=False)):
            link = bullet.getLinkState(driven.arm, joint, computeForwardKinematics=1, physicsClientId=driven.client)
            principal = np.array(bullet.getMatrixFromQuaternion(link[1])).reshape(3, 3)
            axis = principal.T @ np.array([turn[2], turn[5], turn[8]])
            before, after = (np.array(bullet.getDynamicsInfo(c.arm, joint, c.client)[2]) for c in (bare, driven))
            felt = float(axis @ ((after - before) * axis))
            assert felt == pytest.approx(robot.actuator_drives[k].armature * shares[k], rel=0.02), robot.joints[k].name


@ROBOTS
def test_command_reaches_the_drives_after_the_declared_delay(name: str) -> None:
    """With latency the first substeps still follow the old goal; without, none does."""
    robot = load_robot(name)
    goal = [q + 0.05 for q in robot.home]
    moved = {}
    for late in (True, False):
        cell, arm = at_home(robot, replace(PERFECT, latency=late))
        with cell:
            arm.write(admitted_at(robot, [*robot.home, robot.gripper.home]))
            for _ in range(40):
                arm.advance(DT)
            before = arm.true_positions()[0][0]
            arm.write(admitted_at(robot, [*goal, robot.gripper.home]))
            ticks = max(1, round(robot.timing.action_latency * 240))
            arm.advance(ticks / 240)
            moved[late] = abs(arm.true_positions()[0][0] - before)
    assert moved[True] < 1e-4
    assert moved[False] > 10 * moved[True]


@ROBOTS
def test_measurement_is_stamped_with_the_moment_it_was_taken(name: str) -> None:
    robot = load_robot(name)
    cell, arm = at_home(robot)
    with cell:
        arm.write(admitted_at(robot, [*robot.home, robot.gripper.home]))
        for k in range(1, 5):
            arm.advance(1 / 30)
            late = round(robot.timing.observation_latency * 240) / 240
            assert arm.read().stamp == pytest.approx(k / 30 - late, abs=1e-9)


@pytest.mark.parametrize("name", SERVO_ARMS)
def test_measured_positions_are_whole_ticks_unless_switched_off(name: str) -> None:
    robot = load_robot(name)
    for quantised in (True, False):
        cell, arm = at_home(robot, Realism(quantisation=quantised))
        with cell:
            arm.write(admitted_at(robot, [q + 0.0123 for q in (*robot.home, robot.gripper.home)]))
            arm.advance(DT)
            off = [
                abs(q / d.tick - round(q / d.tick))
                for q, d in zip(arm.read().joint_positions, robot.actuator_drives, strict=False)
            ]
        assert (max(off) < 1e-6) is quantised


@pytest.mark.parametrize("switch", [f.name for f in fields(Realism)])
@pytest.mark.parametrize("name", SERVO_ARMS)
def test_each_imperfection_can_be_switched_and_is_felt(name: str, switch: str) -> None:
    robot = load_robot(name)

    def travel(realism: Realism) -> np.ndarray:
        cell, arm = at_home(robot, realism)
        rows = []
        with cell:
            for goal in random_steps(robot, 3):
                arm.write(admitted_at(robot, goal))
                for _ in range(6):
                    arm.advance(DT)
                    rows.append([*arm.true_positions()[0], *arm.read().joint_positions])
        return np.array(rows)

    # A Dynamixel has no dead zone to be felt.
    declared = switch != "dead_zone" or any(d.dead_zone_ticks or d.start_duty for d in robot.actuator_drives)
    assert (travel(PERFECT) != travel(replace(PERFECT, **{switch: True}))).any() == declared
    assert (travel(Realism()) == travel(Realism())).all()


@ROBOTS
def test_fingers_that_one_drive_moves_stay_together(name: str) -> None:
    robot = load_robot(name)
    cell, arm = at_home(robot)
    steps: list[Callable[[], float]] = [lambda: robot.gripper.open, lambda: robot.gripper.closed]
    with cell:
        for step in steps:
            goal = [*robot.home, step()]
            now = arm.read().gripper
            way = abs(goal[-1] - now)
            count = 20 + round(way / (robot.gripper.max_velocity * DT))
            for share in np.minimum(np.linspace(0, count / (count - 10), count), 1.0):
                arm.write(admitted_at(robot, [*robot.home, float(now + share * (goal[-1] - now))]))
                arm.advance(DT)
                states = bullet.getJointStates(cell.arm, arm.joints.ids[len(robot.joints) :], cell.client)
                places = [s[0] for s in states]
                assert max(places) - min(places) < 0.002 or len(places) == 1
            assert arm.read().gripper == pytest.approx(goal[-1], abs=0.05 * abs(robot.gripper.open) + 0.01)
