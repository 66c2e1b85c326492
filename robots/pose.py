"""Pose of the tool, and its geometric Jacobian, in scalar arithmetic."""

from collections.abc import Sequence
from math import atan2, hypot, sqrt

import numpy as np

from .linkage import Mix, Row
from .rotations import Floats

Triple = tuple[float, float, float]


class Pose:
    """Pose of the TCP in the base frame, with what is needed for its Jacobian.

    Attributes:
        position: x, y, z in m.
        x_axis: Direction across the jaws.
        y_axis: Third direction of the right-handed frame.
        z_axis: Direction out of the tool; (0, 0, -1) when it points straight down.
    """

    __slots__ = ("_joints", "_mix", "_rows", "position", "x_axis", "y_axis", "z_axis")

    def __init__(
        self,
        position: Triple,
        x_axis: Triple,
        y_axis: Triple,
        z_axis: Triple,
        joints: Sequence[tuple[bool, Row]],
        mix: Mix | None = None,
    ) -> None:
        """Keep the frame and, per joint, whether it slides and its axis and origin in the base frame; and the mix."""
        self.position = position
        self.x_axis = x_axis
        self.y_axis = y_axis
        self.z_axis = z_axis
        self._joints = joints
        self._mix = mix
        self._rows: tuple[list[float], ...] | None = None

    @property
    def yaw(self) -> float:
        """Angle of the jaw direction about the vertical, rad; what turns when a downward tool twists."""
        return atan2(self.x_axis[1], self.x_axis[0])

    @property
    def tilt(self) -> float:
        """Angle between the tool and straight down, rad."""
        return atan2(hypot(self.z_axis[0], self.z_axis[1]), -self.z_axis[2])

    @property
    def quaternion(self) -> tuple[float, float, float, float]:
        """Orientation as a unit quaternion xyzw."""
        (a, d, g), (b, e, h), (c, f, i) = self.x_axis, self.y_axis, self.z_axis
        trace = a + e + i
        if trace > 0.0:
            s = 2.0 * sqrt(trace + 1.0)
            return (h - f) / s, (c - g) / s, (d - b) / s, 0.25 * s
        if a > e and a > i:
            s = 2.0 * sqrt(1.0 + a - e - i)
            return 0.25 * s, (b + d) / s, (c + g) / s, (h - f) / s
        if e > i:
            s = 2.0 * sqrt(1.0 + e - a - i)
            return (b + d) / s, 0.25 * s, (f + h) / s, (c - g) / s
        s = 2.0 * sqrt(1.0 + i - a - e)
        return (c + g) / s, (f + h) / s, 0.25 * s, (d - b) / s

    @property
    def jacobian_rows(self) -> tuple[list[float], ...]:
        """Six rows vx, vy, vz, wx, wy, wz of the geometric Jacobian, one entry per joint."""
        if self._rows is None:
            px, py, pz = self.position
            vx: list[float] = []
            vy: list[float] = []
            vz: list[float] = []
            wx: list[float] = []
            wy: list[float] = []
            wz: list[float] = []
            for slides, (x, y, z, ox, oy, oz) in self._joints:
                if slides:
                    vx.append(x)
                    vy.append(y)
                    vz.append(z)
                    wx.append(0.0)
                    wy.append(0.0)
                    wz.append(0.0)
                else:
                    dx, dy, dz = px - ox, py - oy, pz - oz
                    vx.append(y * dz - z * dy)
                    vy.append(z * dx - x * dz)
                    vz.append(x * dy - y * dx)
                    wx.append(x)
                    wy.append(y)
                    wz.append(z)
            rows = (vx, vy, vz, wx, wy, wz)
            self._rows = rows if self._mix is None else tuple([self._mix.fold(row) for row in rows])
        return self._rows

    @property
    def jacobian(self) -> Floats:
        """The same as a (6, n) array: m/rad and rad/rad."""
        return np.array(self.jacobian_rows)
