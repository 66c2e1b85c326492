"""Rotations: as matrices, quaternions xyzw, roll-pitch-yaw and vectors of axis times angle."""

from math import atan2, cos, sin

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def rpy_matrix(roll: float, pitch: float, yaw: float) -> Floats:
    """Rotation matrix of URDF roll, pitch, yaw: about the fixed x, then y, then z axis."""
    cr, sr, cp, sp, cy, sy = cos(roll), sin(roll), cos(pitch), sin(pitch), cos(yaw), sin(yaw)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def quaternion_matrix(quaternion: tuple[float, float, float, float]) -> Floats:
    """Rotation matrix of a quaternion xyzw."""
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def rotation_vector(rotation: Floats) -> Floats:
    """Axis times angle of a rotation matrix, rad."""
    vector = np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )
    sine, cosine = 0.5 * float(np.linalg.norm(vector)), 0.5 * (float(np.trace(rotation)) - 1.0)
    angle = atan2(sine, cosine)
    if sine > 1e-9:
        return vector * (angle / (2.0 * sine))
    if cosine > 0.0:
        return 0.5 * vector
    axis = np.sqrt(np.maximum((np.diag(rotation) + 1.0) / 2.0, 0.0))
    axis[1:] *= np.where(rotation[0, 1:] < 0.0, -1.0, 1.0) if axis[0] > 0.0 else 1.0
    turned: Floats = axis * angle
    return turned


def z_onto(axis: Floats) -> Floats:
    """Rotation that takes z onto a unit axis."""
    x, y, z = axis
    if z > 1.0 - 1e-12:
        return np.eye(3)
    if z < -1.0 + 1e-12:
        return np.diag([1.0, -1.0, -1.0])
    cross = np.array([-y, x, 0.0])
    skew = np.array([[0.0, 0.0, x], [0.0, 0.0, y], [-x, -y, 0.0]])
    sine2 = float(cross @ cross)
    return np.asarray(np.eye(3) + skew + skew @ skew * ((1.0 - z) / sine2), np.float64)


def facing_down(yaw: float) -> tuple[float, float, float, float]:
    """Quaternion xyzw of a tool that points straight down with its jaw direction at `yaw`, rad."""
    return cos(yaw / 2.0), sin(yaw / 2.0), 0.0, 0.0
