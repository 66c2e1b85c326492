"""Controllers move the target, not the measured arm; kinematics that they lean on is exact."""

from itertools import pairwise
from math import hypot

import numpy as np
import pytest

from genba.robots.catalogue import load_robot, robot_names
from genba.robots.controller import CONTROL_MODES, make_controller
from genba.robots.description import RobotDescription
from genba.robots.envelope import Admitted, SafetyEnvelope
from genba.robots.errors import RefusedError
from genba.robots.kinematics import Kinematics
from genba.robots.pose import Pose
from genba.robots.rotations import facing_down, quaternion_matrix, rotation_vector, rpy_matrix
from genba.robots.state import ArmState, Vector

ROBOTS = pytest.mark.parametrize("name", robot_names())
MODES = pytest.mark.parametrize("mode", CONTROL_MODES)
GRIPPER = pytest.mark.parametrize("gripper", [True, False], ids=["gripper", "no-gripper"])


def holding(robot: RobotDescription, joints: Vector) -> Admitted:
    """The command to stay at some joint positions."""
    still = (0.0,) * len(joints)
    state = ArmState(
        stamp=0.0, joint_positions=joints, joint_velocities=still, joint_efforts=still, gripper=robot.gripper.home
    )
    return SafetyEnvelope(robot, Kinematics(robot)).reset(state)


def working_poses(robot: RobotDescription, count: int) -> list[Vector]:
    """Joint positions with the tool straight down, all over the arm's working area."""
    kinematics, rng, reach = Kinematics(robot), np.random.default_rng(2), robot.reach
    found = []
    for _ in range(count):
        radius, azimuth = rng.uniform(*reach.radius), rng.uniform(*reach.azimuth)
        at = (
            float(reach.axis[0] + radius * np.cos(azimuth)),
            float(reach.axis[1] + radius * np.sin(azimuth)),
            float(rng.uniform(*reach.height)),
        )
        joints, error = kinematics.inverse(at, facing_down(float(azimuth + rng.uniform(*reach.yaw))), robot.home)
        assert error < 1e-4
        found.append(joints)
    return found


def moved(pose: Pose, before: Pose, robot: RobotDescription) -> tuple[np.ndarray, float]:
    """Translation in full steps and yaw in full turns."""
    yaw = (pose.yaw - before.yaw + np.pi) % (2 * np.pi) - np.pi
    return (np.array(pose.position) - before.position) / robot.ee_step, yaw / robot.ee_turn


@ROBOTS
@MODES
@GRIPPER
def test_action_has_one_number_per_axis_and_target_one_per_actuator(name: str, mode: str, gripper: bool) -> None:
    robot = load_robot(name)
    controller = make_controller(mode, robot, gripper=gripper)
    assert controller.mode == mode
    assert controller.action_size == (4 if mode == "ee_delta" else len(robot.joints)) + gripper
    target = controller.target(
        (0.0,) * controller.action_size, holding(robot, robot.home), Kinematics(robot).forward(robot.home)
    )
    assert len(target) == len(robot.actuator_names)


@ROBOTS
def test_unknown_mode_is_refused_with_the_modes_there_are(name: str) -> None:
    with pytest.raises(RefusedError, match="ee_delta"):
        make_controller("telepathy", load_robot(name), gripper=True)


@ROBOTS
def test_zero_action_of_joint_delta_keeps_the_target_to_the_bit(name: str) -> None:
    robot = load_robot(name)
    controller = make_controller("joint_delta", robot, gripper=False)
    admitted = holding(robot, robot.home)
    target = controller.target((0.0,) * controller.action_size, admitted, Kinematics(robot).forward(robot.park))
    assert target == (*admitted.joint_positions, admitted.gripper)


@ROBOTS
def test_zero_action_of_ee_delta_keeps_an_upright_tool_where_it_is(name: str) -> None:
    robot = load_robot(name)
    kinematics = Kinematics(robot)
    controller = make_controller("ee_delta", robot, gripper=False)
    for joints in working_poses(robot, 20):
        before = kinematics.forward(joints)
        after = kinematics.forward(controller.target((0.0,) * 4, holding(robot, joints), before)[:-1])
        travel, turn = moved(after, before, robot)
        assert np.linalg.norm(travel) < 0.02
        assert abs(turn) < 0.02


@ROBOTS
def test_joint_delta_adds_its_step_to_the_target_whatever_is_measured(name: str) -> None:
    robot = load_robot(name)
    controller = make_controller("joint_delta", robot, gripper=True)
    rng = np.random.default_rng(0)
    kinematics = Kinematics(robot)
    for _ in range(20):
        action = rng.uniform(-1, 1, controller.action_size).tolist()
        sagging = tuple(q - 0.2 for q in robot.home)
        target = controller.target(action, holding(robot, robot.home), kinematics.forward(sagging))
        expected = [q + robot.joint_step * a for q, a in zip(robot.home, action[:-1], strict=True)]
        assert target[:-1] == pytest.approx(expected, abs=1e-15)


@ROBOTS
def test_target_of_a_sagging_arm_climbs_by_exactly_what_was_asked(name: str) -> None:
    """Ten ticks of a tenth are one step, though the arm hangs below its target all the while."""
    robot = load_robot(name)
    controller = make_controller("joint_delta", robot, gripper=False)
    hanging = Kinematics(robot).forward(tuple(q - 0.1 for q in robot.home))
    admitted = holding(robot, robot.home)
    for _ in range(10):
        admitted = holding(robot, controller.target((0.1,) * len(robot.joints), admitted, hanging)[:-1])
    expected = [q + robot.joint_step for q in robot.home]
    assert admitted.joint_positions == pytest.approx(expected, abs=1e-12)


@ROBOTS
def test_joint_position_spans_exactly_the_joint_range(name: str) -> None:
    robot = load_robot(name)
    controller = make_controller("joint_position", robot, gripper=True)
    admitted, pose = holding(robot, robot.home), Kinematics(robot).forward(robot.home)
    for action, key in ((-1.0, "lower"), (1.0, "upper")):
        target = controller.target((action,) * controller.action_size, admitted, pose)
        assert target[:-1] == pytest.approx([getattr(j, key) for j in robot.joints], abs=1e-12)
        assert target[-1] == pytest.approx(robot.gripper.closed if action < 0 else robot.gripper.open, abs=1e-12)


@ROBOTS
@MODES
def test_gripper_action_is_a_place_and_without_one_the_gripper_stays(name: str, mode: str) -> None:
    robot = load_robot(name)
    admitted, pose = holding(robot, robot.home), Kinematics(robot).forward(robot.home)
    driven = make_controller(mode, robot, gripper=True)
    middle = driven.target((0.0,) * driven.action_size, admitted, pose)[-1]
    assert middle == pytest.approx(0.5 * (robot.gripper.closed + robot.gripper.open), abs=1e-15)
    idle = make_controller(mode, robot, gripper=False)
    assert idle.target((0.0,) * idle.action_size, admitted, pose)[-1] == admitted.gripper


@ROBOTS
def test_ee_delta_moves_the_tool_as_asked_in_the_base_frame(name: str) -> None:
    """Within 8 % of a full step (it is one linear step of a chain that bends), no tilt, no turn that was not asked."""
    robot = load_robot(name)
    kinematics = Kinematics(robot)
    controller = make_controller("ee_delta", robot, gripper=False)
    rng = np.random.default_rng(4)
    actions = [*np.eye(4), *-np.eye(4), *rng.uniform(-1, 1, (8, 4))]
    for joints in working_poses(robot, 12):
        before, admitted = kinematics.forward(joints), holding(robot, joints)
        for action in actions:
            after = kinematics.forward(controller.target(action.tolist(), admitted, before)[:-1])
            travel, turn = moved(after, before, robot)
            assert np.linalg.norm(travel - action[:3]) < 0.08
            if robot.reach.yaw[0] < robot.reach.yaw[1]:  # else the yaw comes out as it must
                assert turn == pytest.approx(action[3], abs=0.02)
            assert after.tilt < 0.003


def can_tilt(name: str) -> bool:
    """Whether any joint can tilt the tool; rods keep that of a parallelogram arm level."""
    robot = load_robot(name)
    rows = Kinematics(robot).forward(robot.home).jacobian_rows
    return any(hypot(x, y) > 0.9 for x, y in zip(rows[3], rows[4], strict=True))


@pytest.mark.parametrize("name", [name for name in robot_names() if can_tilt(name)])
def test_ee_delta_brings_a_tilted_tool_back_to_the_vertical(name: str) -> None:
    robot = load_robot(name)
    kinematics = Kinematics(robot)
    controller = make_controller("ee_delta", robot, gripper=False)
    pitch = next(
        k
        for k in reversed(range(len(robot.joints)))
        if hypot(*np.array([kinematics.forward(robot.home).jacobian_rows[row][k] for row in (3, 4)])) > 0.9
    )
    joints = tuple(q - 0.2 * (k == pitch) for k, q in enumerate(robot.home))
    tilts = [kinematics.forward(joints).tilt]
    for _ in range(40):
        pose = kinematics.forward(joints)
        joints = controller.target((0.0,) * 4, holding(robot, joints), pose)[:-1]
        tilts.append(kinematics.forward(joints).tilt)
    assert tilts[0] > 0.15
    assert all(b < a + 1e-3 for a, b in pairwise(tilts))
    assert tilts[-1] < 0.02


# -- kinematics ------------------------------------------------------------------------------------------------


def anywhere(robot: RobotDescription, count: int) -> np.ndarray:
    rng = np.random.default_rng(6)
    return rng.uniform([j.lower for j in robot.joints], [j.upper for j in robot.joints], (count, len(robot.joints)))


@ROBOTS
def test_jacobian_is_the_derivative_of_the_pose(name: str) -> None:
    robot = load_robot(name)
    kinematics = Kinematics(robot)
    h = 1e-6
    for joints in anywhere(robot, 50):
        jacobian = kinematics.forward(joints.tolist()).jacobian
        for k in range(len(joints)):
            step = h * (np.arange(len(joints)) == k)
            up, down = (kinematics.forward((joints + s).tolist()) for s in (step, -step))
            linear = (np.array(up.position) - down.position) / (2 * h)
            a, b = (np.array([p.x_axis, p.y_axis, p.z_axis]).T for p in (up, down))
            angular = rotation_vector(a @ b.T) / (2 * h)
            assert jacobian[:, k] == pytest.approx([*linear, *angular], abs=1e-7)


@ROBOTS
def test_inverse_reaches_poses_near_its_start_and_most_from_home(name: str) -> None:
    robot = load_robot(name)
    kinematics = Kinematics(robot)
    rng = np.random.default_rng(8)
    poses = anywhere(robot, 60)
    reached = 0
    for joints in poses:
        wanted = kinematics.forward(joints.tolist())
        start = tuple((joints + rng.uniform(-0.3, 0.3, len(joints))).tolist())
        found, error = kinematics.inverse(wanted.position, wanted.quaternion, start)
        have = kinematics.forward(found)
        assert error < 1e-6
        assert have.position == pytest.approx(wanted.position, abs=1e-6)
        assert abs(float(np.dot(have.quaternion, wanted.quaternion))) == pytest.approx(1.0, abs=1e-9)
        reached += kinematics.inverse(wanted.position, wanted.quaternion, robot.home)[1] < 1e-6
    assert reached >= 0.7 * len(poses)


@ROBOTS
def test_inverse_tells_how_far_it_stays_from_what_is_out_of_reach(name: str) -> None:
    robot = load_robot(name)
    found, error = Kinematics(robot).inverse((5.0, 0.0, 0.0), facing_down(0.0), robot.home)
    assert np.isfinite(found).all()
    assert 3.0 < error < 6.0


def test_rotations_agree_with_each_other() -> None:
    rng = np.random.default_rng(9)
    for _ in range(200):
        quaternion = rng.normal(size=4)
        quaternion /= np.linalg.norm(quaternion)
        matrix = quaternion_matrix(tuple(quaternion.tolist()))
        vector = rotation_vector(matrix)
        angle = float(np.linalg.norm(vector))
        assert matrix @ matrix.T == pytest.approx(np.eye(3), abs=1e-12)
        assert matrix @ vector == pytest.approx(vector, abs=1e-9)
        assert np.trace(matrix) == pytest.approx(1 + 2 * np.cos(angle), abs=1e-9)
    roll, pitch, yaw = 0.3, -0.7, 2.0
    turns = [rpy_matrix(roll, 0, 0), rpy_matrix(0, pitch, 0), rpy_matrix(0, 0, yaw)]
    assert rpy_matrix(roll, pitch, yaw) == pytest.approx(turns[2] @ turns[1] @ turns[0], abs=1e-12)
    for axis in np.eye(3):  # half a turn, where the sine vanishes
        half = 2.0 * np.outer(axis, axis) - np.eye(3)
        assert abs(rotation_vector(half)) == pytest.approx(np.pi * axis, abs=1e-9)
