"""What there is to see in a cell: every visual shape that Bullet holds, as a primitive whose pose can be read anew."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...robots.errors import RefusedError
from ...robots.rotations import quaternion_matrix
from ..bullet import bullet

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """All primitives where they are now.

    Attributes:
        turn: Orientation, (p, 3, 3); columns are a primitive's axes in the world.
        at: Centre, (p, 3), m.
    """

    turn: Floats
    at: Floats


class Scene:
    """The primitives of one Bullet client: boxes first, then round ones (cylinders along z, and balls).

    Attributes:
        boxes: How many of the primitives are boxes.
        half: Half extents, (p, 3), m; radius, radius and half length of a cylinder.
        ball: 1 where a primitive is a ball, else 0, (p,).
        colour: RGB, (p, 3), 0 to 1.
        carrier: Number of the frame that carries a primitive, (p,).
        fixed: Which frames nothing in the cell can push, (g,).
    """

    def __init__(self, client: int) -> None:
        """Read the shapes.

        Args:
            client: Bullet's client.

        Raises:
            RefusedError: If a shape is none that can be drawn.
        """
        self._client = client
        self._read: list[tuple[int, Any, Any]] = []
        self.read()

    def read(self) -> None:
        """Read all shapes and colours anew, for bodies may have come, gone or been painted.

        Raises:
            RefusedError: If a shape is none that can be drawn.
        """
        c = self._client
        bodies = [bullet.getBodyUniqueId(k, c) for k in range(bullet.getNumBodies(c))]
        read = [
            (uid, bullet.getDynamicsInfo(uid, -1, c), bullet.getVisualShapeData(uid, physicsClientId=c))
            for uid in bodies
        ]
        if read != self._read:
            self._arrange(read)
            self._read = read

    def _arrange(self, read: list[tuple[int, Any, Any]]) -> None:
        self._sources: list[tuple[int, bool, list[int]]] = []
        found: list[tuple[str, Triple, Floats, Floats, int, Triple]] = []
        fixed: list[bool] = []
        for uid, (mass, _, _, centre, tilt, *_), shapes in read:
            frames: dict[int, int] = {}
            for _, link, kind, size, _, at, turn, (red, green, blue, alpha) in sorted(shapes, key=lambda s: int(s[1])):
                if alpha <= 0.0:
                    continue
                if link not in frames:
                    frames[link] = len(fixed)
                    fixed.append(link < 0 and mass == 0.0)
                if link < 0:  # of a base Bullet tells the pose of its centre of mass
                    at, turn = bullet.multiplyTransforms(*bullet.invertTransform(centre, tilt), at, turn)
                primitives = _primitives(kind, size, np.array(at), quaternion_matrix(turn))
                found += [(*primitive, frames[link], (red, green, blue)) for primitive in primitives]
            if frames:
                self._sources.append((uid, -1 in frames, [k for k in frames if k >= 0]))
        found.sort(key=lambda p: p[0] != "box")
        self.boxes = sum(p[0] == "box" for p in found)
        self.ball = np.array([float(p[0] == "ball") for p in found])
        self.half = np.array([p[1] for p in found], np.float64).reshape(-1, 3)
        self._at = np.array([p[2] for p in found], np.float64).reshape(-1, 3, 1)
        self._turn = np.array([p[3] for p in found], np.float64).reshape(-1, 3, 3)
        self.carrier = np.array([p[4] for p in found], np.intp)
        self.colour = np.array([p[5] for p in found], np.float64).reshape(-1, 3)
        self.fixed: Mask = np.array(fixed, np.bool_)

    def frames(self) -> Floats:
        """Poses of all frames that carry primitives as Bullet has them now, (g, 7): m and quaternion xyzw."""
        c = self._client
        poses = []
        for uid, base, links in self._sources:
            if base:
                poses.append(bullet.getBasePositionAndOrientation(uid, c))
            if links:
                # Without kinematics of its own a link would be told one substep late.
                poses += [s[4:6] for s in bullet.getLinkStates(uid, links, 0, 1, c)]
        return np.array([(*at, *turn) for at, turn in poses], np.float64).reshape(-1, 7)

    def place(self, frames: Floats) -> Placed:
        """Put the primitives where their frames are.

        Args:
            frames: What `frames` returned.
        """
        x, y, z, w = frames[:, 3:].T
        turns = np.empty((3, 3, len(frames)))
        turns[0] = 1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)
        turns[1] = 2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)
        turns[2] = 2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)
        turn = turns.transpose(2, 0, 1).take(self.carrier, axis=0)
        at = frames[:, :3].take(self.carrier, axis=0) + (turn @ self._at)[:, :, 0]
        return Placed(turn=turn @ self._turn, at=at)


def _primitives(kind: int, size: Triple, at: Floats, turn: Floats) -> Iterator[tuple[str, Triple, Floats, Floats]]:
    """Kind, half extents, place and orientation of what a visual shape of Bullet's is made of.

    Raises:
        RefusedError: If it is a mesh.
    """
    a, b, c = size
    if kind == bullet.GEOM_BOX:
        yield "box", (0.5 * a, 0.5 * b, 0.5 * c), at, turn
    elif kind == bullet.GEOM_SPHERE:
        yield "ball", (a, a, a), at, turn
    elif kind in (bullet.GEOM_CYLINDER, bullet.GEOM_CAPSULE):  # size is length and radius
        yield "cylinder", (b, b, 0.5 * a), at, turn
        if kind == bullet.GEOM_CAPSULE:
            yield "ball", (b, b, b), at + 0.5 * a * turn[:, 2], turn
            yield "ball", (b, b, b), at - 0.5 * a * turn[:, 2], turn
    else:
        raise RefusedError("cameras of a policy draw no meshes; show boxes, cylinders, capsules and spheres instead")
