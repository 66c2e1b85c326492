"""Gravity torques from masses in the URDF agree with the physics engine's inverse dynamics."""

import numpy as np
import pybullet
import pytest

from genba.robots.catalogue import load_robot, robot_names
from genba.robots.gravity import STANDARD_GRAVITY, Gravity
from genba.robots.kinematics import Kinematics

ROBOTS = pytest.mark.parametrize("name", robot_names())


@ROBOTS
def test_torques_agree_with_inverse_dynamics(name: str) -> None:
    robot = load_robot(name)
    gravity = Gravity(robot)
    client = pybullet.connect(pybullet.DIRECT)
    try:
        pybullet.setGravity(0.0, 0.0, -STANDARD_GRAVITY, physicsClientId=client)
        body = pybullet.loadURDF(
            str(robot.urdf_path),
            useFixedBase=True,
            flags=pybullet.URDF_USE_INERTIA_FROM_FILE,
            physicsClientId=client,
        )
        rows = [pybullet.getJointInfo(body, k, client) for k in range(pybullet.getNumJoints(body, client))]
        moving = [row[1].decode() for row in rows if row[2] != pybullet.JOINT_FIXED]
        columns = [moving.index(joint) for joint in robot.joint_names]
        passive = [moving.index(p.name) for p in robot.passive]
        rng = np.random.default_rng(0)
        for _ in range(100):
            joints = rng.uniform([j.lower for j in robot.joints], [j.upper for j in robot.joints])
            positions = [0.0] * len(moving)
            for column, q in zip(columns, joints.tolist(), strict=True):
                positions[column] = q
            for led, p in zip(passive, robot.passive, strict=True):
                positions[led] = p.offset + float(np.array(p.coefficients) @ joints)
            still = [0.0] * len(moving)
            theirs = pybullet.calculateInverseDynamics(body, positions, still, still, physicsClientId=client)
            ours = gravity.torques(joints.tolist())
            # Rods bring what a joint without a motor carries to the motors that turn it.
            carried = np.array([theirs[column] for column in columns])
            for led, p in zip(passive, robot.passive, strict=True):
                carried += np.array(p.coefficients) * theirs[led]
            assert ours == pytest.approx(carried.tolist(), abs=2e-6)
    finally:
        pybullet.disconnect(client)


@ROBOTS
def test_payload_adds_its_weight_times_the_lever_of_the_tool(name: str) -> None:
    robot = load_robot(name)
    gravity, kinematics = Gravity(robot), Kinematics(robot)
    rng = np.random.default_rng(1)
    for _ in range(50):
        joints = rng.uniform([j.lower for j in robot.joints], [j.upper for j in robot.joints]).tolist()
        added = np.array(gravity.torques(joints, payload=0.3)) - gravity.torques(joints)
        lever = kinematics.forward(joints).jacobian_rows[2]
        assert added == pytest.approx(0.3 * STANDARD_GRAVITY * np.array(lever), abs=1e-9)
