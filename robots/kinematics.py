"""Where the tool is: forward kinematics of one arm, and joint positions for a pose.

One configuration at a time runs in scalar arithmetic, because a chain of six 3x3 products costs less that way
than in small arrays; whole batches (expert labels, tests) run in NumPy.
"""

from collections.abc import Sequence
from functools import cached_property
from math import cos, sin
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .errors import RefusedError
from .least_squares import damped_least_squares
from .linkage import Mix, Row
from .pose import Pose, Triple
from .rotations import Floats, quaternion_matrix, rotation_vector, rpy_matrix, z_onto
from .state import Vector
from .urdf import UrdfJoint, read_urdf

if TYPE_CHECKING:
    from .description import RobotDescription


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
            align = z_onto(np.array(joint.axis))
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
