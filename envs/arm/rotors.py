"""The inertia of the rotors behind an arm's gears, put into the links that they turn.

A rotor behind a gear of 1:345 resists like a link of its own, and without it explicit torques would not be stable.
"""

from math import sqrt

import numpy as np

from ...robots.description import RobotDescription
from ...robots.kinematics import Kinematics
from ...robots.rotations import rpy_matrix
from ...robots.urdf import read_urdf
from ..bullet import bullet
from ..cell import Cell


def add_rotor(cell: Cell, joint: int, armature: float) -> None:
    """Add a rotor's inertia about the joint axis, or its mass to a sliding link.

    Args:
        cell: The cell the arm stands in.
        joint: Bullet's number of the joint.
        armature: Inertia of the rotor at the output, kg m2; kg where it slides.
    """
    c, arm = cell.client, cell.arm
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
