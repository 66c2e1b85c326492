"""Where the tool is and how it moves: forward kinematics, geometric Jacobian, damped least squares.

One configuration at a time runs in scalar arithmetic, because a chain of six 3x3 products costs less that way
than in small arrays; whole batches (expert labels, tests) run in NumPy.
"""

from collections.abc import Sequence
from functools import cached_property
from math import atan2, cos, hypot, sin, sqrt
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .errors import RefusedError
from .state import Vector
from .urdf import UrdfJoint, read_urdf

if TYPE_CHECKING:
    from .description import RobotDescription

Floats = npt.NDArray[np.float64]
Triple = tuple[float, float, float]
Row = tuple[float, ...]


class Mix:
    """How the joints of a chain follow the driven ones, where linkages move some of them.

    Attributes:
        offsets: Position of each joint of the chain while all driven ones are at 0, rad.
        columns: Per driven joint, by how much each joint of the chain turns with it.
    """

    __slots__ = ("columns", "offsets", "rows")

    def __init__(self, offsets: Sequence[float], rows: Sequence[Row]) -> None:
        """Take one row of coefficients per joint of the chain."""
        self.offsets = tuple(offsets)
        self.rows = tuple(rows)
        self.columns = tuple(zip(*rows, strict=True))

    def expand(self, driven: Sequence[float]) -> list[float]:
        """Positions of all joints of the chain from those of the driven ones."""
        return [
            offset + sum([c * q for c, q in zip(row, driven, strict=True)])
            for offset, row in zip(self.offsets, self.rows, strict=True)
        ]

    def fold(self, values: Sequence[float]) -> list[float]:
        """What the driven joints have of a Jacobian's row, or of the torques, of all joints of the chain."""
        return [sum([c * v for c, v in zip(column, values, strict=True)]) for column in self.columns]


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
        mix: "Mix | None" = None,
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


class Kinematics:
    """The chain from the base to the TCP of one robot."""

    def __init__(self, robot: "RobotDescription", link: str | None = None) -> None:
        """Read the chain once.

        Args:
            robot: The arm.
            link: End of the chain; the TCP if not given.

        Raises:
            RefusedError: If the URDF has no such chain, or its joints are not those of the description.
        """
        end = link or robot.tcp_link
        joints = read_urdf(robot.urdf_path)
        chain: list[UrdfJoint] = []
        at = end
        while at != robot.base_link:
            if at not in joints or len(chain) > len(joints):
                raise RefusedError(f"{robot.urdf_path}: no chain from {robot.base_link!r} to {end!r}")
            chain.append(joints[at])
            at = joints[at].parent
        chain.reverse()
        moving = tuple(j.name for j in chain if j.kind != "fixed")
        self.moving = moving
        led = {p.name: p for p in robot.passive}
        driven = tuple(name for name in moving if name not in led)
        if link is None and driven != robot.joint_names:
            raise RefusedError(
                f"{robot.urdf_path}: joints from base to TCP are {driven}, the description says {robot.joint_names}"
            )
        self.size = len(driven)
        self.mix: Mix | None = None
        if len(driven) < len(moving):
            kept = [robot.joint_names.index(name) for name in driven]
            offsets, rows = [], []
            for name in moving:
                if name in led:
                    offsets.append(led[name].offset)
                    rows.append(tuple(led[name].coefficients[k] for k in kept))
                else:
                    offsets.append(0.0)
                    rows.append(tuple(float(name == other) for other in driven))
            self.mix = Mix(offsets, rows)
        self._fold(chain)

    def _fold(self, chain: list[UrdfJoint]) -> None:
        """Fold fixed joints and axis directions, so that each moving joint turns about its own z."""
        rotation, offset = np.eye(3), np.zeros(3)
        self._links: list[tuple[bool, Row, Row]] = []
        self._alignments: list[Floats] = []
        for joint in chain:
            turn = rpy_matrix(*joint.rpy)
            offset = offset + rotation @ np.array(joint.xyz)
            rotation = rotation @ turn
            if joint.kind == "fixed":
                continue
            align = _z_onto(np.array(joint.axis))
            self._alignments.append(align)
            folded = rotation @ align
            self._links.append((joint.kind == "prismatic", tuple(folded.ravel().tolist()), tuple(offset.tolist())))
            rotation, offset = align.T, np.zeros(3)
        self._tool = tuple(rotation.ravel().tolist())
        self._tool_offset = tuple(offset.tolist())

    def forward(self, joint_positions: Sequence[float]) -> Pose:
        """Pose of the TCP.

        Args:
            joint_positions: Positions of the arm joints, rad (or m).
        """
        a, b, c, d, e, f, g, h, i = 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0
        x = y = z = 0.0
        joints = []
        mix = self.mix
        if mix is not None:
            joint_positions = mix.expand(joint_positions)
        for (slides, (ra, rb, rc, rd, re, rf, rg, rh, ri), (tx, ty, tz)), q in zip(
            self._links, joint_positions, strict=True
        ):
            x += a * tx + b * ty + c * tz
            y += d * tx + e * ty + f * tz
            z += g * tx + h * ty + i * tz
            na, nb, nc = a * ra + b * rd + c * rg, a * rb + b * re + c * rh, a * rc + b * rf + c * ri
            nd, ne, nf = d * ra + e * rd + f * rg, d * rb + e * re + f * rh, d * rc + e * rf + f * ri
            ng, nh, ni = g * ra + h * rd + i * rg, g * rb + h * re + i * rh, g * rc + h * rf + i * ri
            joints.append((slides, (nc, nf, ni, x, y, z)))
            if slides:
                a, b, c, d, e, f, g, h, i = na, nb, nc, nd, ne, nf, ng, nh, ni
                x += c * q
                y += f * q
                z += i * q
            else:
                co, si = cos(q), sin(q)
                a, b, c = na * co + nb * si, nb * co - na * si, nc
                d, e, f = nd * co + ne * si, ne * co - nd * si, nf
                g, h, i = ng * co + nh * si, nh * co - ng * si, ni
        tx, ty, tz = self._tool_offset
        ra, rb, rc, rd, re, rf, rg, rh, ri = self._tool
        return Pose(
            (x + a * tx + b * ty + c * tz, y + d * tx + e * ty + f * tz, z + g * tx + h * ty + i * tz),
            (a * ra + b * rd + c * rg, d * ra + e * rd + f * rg, g * ra + h * rd + i * rg),
            (a * rb + b * re + c * rh, d * rb + e * re + f * rh, g * rb + h * re + i * rh),
            (a * rc + b * rf + c * ri, d * rc + e * rf + f * ri, g * rc + h * rf + i * ri),
            joints,
            mix,
        )

    def joint_alignment(self, k: int) -> Floats:
        """Rotation from joint k's folded frame, whose z is the axis, to its link frame in the URDF."""
        return self._alignments[k]

    def frames(self, joint_positions: Sequence[float]) -> tuple[list[tuple[Row, Triple]], Triple]:
        """Folded frame of every moving link, as a row-major rotation and an origin, and the TCP position, m.

        Links that a linkage moves are among them, in their place of the chain.
        """
        if self.mix is not None:
            joint_positions = self.mix.expand(joint_positions)
        found: list[tuple[Row, Triple]] = []
        turn = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
        at = (0.0, 0.0, 0.0)
        for (slides, fixed, offset), q in zip(self._links, joint_positions, strict=True):
            at = _add(at, _turn(turn, offset))
            turn = _times(turn, fixed)
            if slides:
                at = _add(at, (turn[2] * q, turn[5] * q, turn[8] * q))
            else:
                co, si = cos(q), sin(q)
                a, b, c, d, e, f, g, h, i = turn
                turn = (
                    a * co + b * si, b * co - a * si, c,
                    d * co + e * si, e * co - d * si, f,
                    g * co + h * si, h * co - g * si, i,
                )  # fmt: skip
            found.append((turn, at))
        return found, _add(at, _turn(turn, self._tool_offset))

    def inverse(
        self, position: Triple, quaternion: tuple[float, float, float, float], start: Vector, *, steps: int = 200
    ) -> tuple[Vector, float]:
        """Joint positions whose TCP is nearest to a pose, by damped least squares.

        Args:
            position: Wanted TCP position, m, base frame.
            quaternion: Wanted orientation xyzw.
            start: Joint positions to start from, rad.
            steps: Most iterations.

        Returns:
            Joint positions, and the error left: m and rad in one Euclidean norm.
        """
        wanted = quaternion_matrix(quaternion)
        q = np.array(start)
        error = np.zeros(6)
        for _ in range(steps):
            pose = self.forward(q.tolist())
            have = np.array([pose.x_axis, pose.y_axis, pose.z_axis]).T
            error[:3] = np.array(position) - pose.position
            error[3:] = rotation_vector(wanted @ have.T)
            if float(error @ error) < 1e-16:
                break
            step = np.array(damped_least_squares(pose.jacobian_rows, error.tolist(), damping=1e-3))
            q += step * min(1.0, 0.3 / max(float(np.abs(step).max()), 1e-12))
        return tuple(q.tolist()), float(np.linalg.norm(error))

    @cached_property
    def arrays(self) -> tuple[Floats, Floats, Floats, Floats, npt.NDArray[np.bool_]]:
        """Link rotations (n, 3, 3), offsets (n, 3), tool rotation, tool offset, and which joints slide."""
        return (
            np.array([link[1] for link in self._links]).reshape(-1, 3, 3),
            np.array([link[2] for link in self._links]),
            np.array(self._tool).reshape(3, 3),
            np.array(self._tool_offset),
            np.array([link[0] for link in self._links]),
        )

    def forward_batch(self, joint_positions: Floats) -> tuple[Floats, Floats]:
        """Positions (b, 3) and rotation matrices (b, 3, 3) of the TCP for (b, n) joint positions."""
        rotations, offsets, tool, tool_offset, slides = self.arrays
        if self.mix is not None:
            joint_positions = np.array(self.mix.offsets) + joint_positions @ np.array(self.mix.rows).T
        count = joint_positions.shape[0]
        turn = np.broadcast_to(np.eye(3), (count, 3, 3))
        at = np.zeros((count, 3))
        for k in range(len(offsets)):
            at = at + turn @ offsets[k]
            turn = turn @ rotations[k]
            q = joint_positions[:, k]
            if slides[k]:
                at = at + turn[:, :, 2] * q[:, None]
                continue
            spin = np.zeros((count, 3, 3))
            spin[:, 0, 0] = spin[:, 1, 1] = np.cos(q)
            spin[:, 1, 0] = np.sin(q)
            spin[:, 0, 1] = -spin[:, 1, 0]
            spin[:, 2, 2] = 1.0
            turn = turn @ spin
        return at + turn @ tool_offset, turn @ tool


def _add(a: Row, b: Row) -> Triple:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _turn(r: Row, v: Row) -> Triple:
    x, y, z = v
    return r[0] * x + r[1] * y + r[2] * z, r[3] * x + r[4] * y + r[5] * z, r[6] * x + r[7] * y + r[8] * z


def _times(p: Row, q: Row) -> tuple[float, float, float, float, float, float, float, float, float]:
    a, b, c, d, e, f, g, h, i = p
    j, k, m, n, o, r, s, t, u = q
    return (
        a * j + b * n + c * s, a * k + b * o + c * t, a * m + b * r + c * u,
        d * j + e * n + f * s, d * k + e * o + f * t, d * m + e * r + f * u,
        g * j + h * n + i * s, g * k + h * o + i * t, g * m + h * r + i * u,
    )  # fmt: skip


def damped_least_squares(
    rows: Sequence[Sequence[float]], twist: Sequence[float], *, damping: float, posture: Sequence[float] = ()
) -> list[float]:
    """Joint step that follows a twist and stays finite at singularities.

    Minimises |J dq - twist|^2 + damping^2 |dq - posture|^2 (Wampler 1986); directions that the task leaves free
    therefore follow `posture`. The normal equations are solved by Cholesky's method in scalar arithmetic, which
    for the handful of joints of an arm is several times faster than array calls between two physics steps.

    Args:
        rows: The six rows of the Jacobian, one entry per joint.
        twist: Wanted motion, one entry per row.
        damping: In the unit of the Jacobian's singular values.
        posture: Joint step wished for by the posture, rad; none if empty.
    """
    square = damping * damping
    t0, t1, t2, t3, t4, t5 = twist
    columns = list(zip(*rows, strict=True))
    lower: list[list[float]] = []
    halfway: list[float] = []
    for i, (a0, a1, a2, a3, a4, a5) in enumerate(columns):
        line: list[float] = []
        for (b0, b1, b2, b3, b4, b5), above in zip(columns, lower, strict=False):
            s = a0 * b0 + a1 * b1 + a2 * b2 + a3 * b3 + a4 * b4 + a5 * b5
            for left, right in zip(line, above, strict=False):
                s -= left * right
            line.append(s / above[-1])
        s = a0 * a0 + a1 * a1 + a2 * a2 + a3 * a3 + a4 * a4 + a5 * a5 + square
        r = a0 * t0 + a1 * t1 + a2 * t2 + a3 * t3 + a4 * t4 + a5 * t5
        if posture:
            r += square * posture[i]
        for left, known in zip(line, halfway, strict=True):
            s -= left * left
            r -= left * known
        diagonal = sqrt(s)
        line.append(diagonal)
        lower.append(line)
        halfway.append(r / diagonal)
    step = halfway
    for i in range(len(columns) - 1, -1, -1):
        step[i] /= lower[i][i]
        for k in range(i):
            step[k] -= lower[i][k] * step[i]
    return step


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


def _z_onto(axis: Floats) -> Floats:
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
