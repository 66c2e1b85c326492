"""Torque that gravity puts on each joint: what a servo arm sags under and an industrial arm compensates."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

import numpy as np

from .description import RobotDescription
from .kinematics import Kinematics
from .rotations import rpy_matrix
from .state import Vector
from .urdf import read_urdf

STANDARD_GRAVITY = 9.81  # m/s2, as in the simulated cell


class Gravity:
    """Link masses of one arm, folded onto its moving joints."""

    def __init__(self, robot: RobotDescription) -> None:
        """Read masses and centres of mass from the URDF; links behind the last arm joint count as its load.

        Args:
            robot: The arm.
        """
        self._kinematics = Kinematics(robot)
        joints = read_urdf(robot.urdf_path)
        names = self._kinematics.moving
        moments = np.zeros((len(names), 3))
        masses = np.zeros(len(names))
        for link in ET.fromstring(robot.urdf_path.read_text(encoding="utf-8")).iter("link"):
            inertial = link.find("inertial")
            mass = inertial.find("mass") if inertial is not None else None
            if inertial is None or mass is None:
                continue
            origin = inertial.find("origin")
            at = np.array([float(v) for v in (origin.get("xyz", "0 0 0") if origin is not None else "0 0 0").split()])
            child = link.get("name", "")
            while child in joints and joints[child].name not in names:
                joint = joints[child]
                at = np.array(joint.xyz) + rpy_matrix(*joint.rpy) @ at
                child = joint.parent
            if child not in joints:
                continue
            k = names.index(joints[child].name)
            kilograms = float(mass.get("value", "0"))
            masses[k] += kilograms
            moments[k] += kilograms * (self._kinematics.joint_alignment(k).T @ at)
        self._masses: list[float] = masses.tolist()
        self._moments: list[list[float]] = moments.tolist()

    def torques(self, joint_positions: Sequence[float], *, payload: float = 0.0) -> Vector:
        """Torque each drive must give to hold the arm still.

        Args:
            joint_positions: Arm joints, rad.
            payload: Mass held at the TCP, kg.

        Returns:
            One torque per arm joint, N m.
        """
        frames, tcp = self._kinematics.frames(joint_positions)
        mass = payload
        mx, my = payload * tcp[0], payload * tcp[1]
        out: list[float] = []
        for (rotation, (ox, oy, _)), own, (a, b, c) in zip(
            reversed(frames), reversed(self._masses), reversed(self._moments), strict=True
        ):
            mass += own
            mx += own * ox + rotation[0] * a + rotation[1] * b + rotation[2] * c
            my += own * oy + rotation[3] * a + rotation[4] * b + rotation[5] * c
            # z of axis x (centre - origin), times the weight; the drive holds against it.
            out.append(STANDARD_GRAVITY * (rotation[2] * (my - mass * oy) - rotation[5] * (mx - mass * ox)))
        out.reverse()
        mix = self._kinematics.mix
        return tuple(out if mix is None else mix.fold(out))
