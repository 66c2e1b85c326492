"""What cameras in a cell see: small pictures for a policy, the same bytes for the same state, without display or GL.

A fixed camera keeps a picture of whatever stands still and paints only what moves over it. Depths decide pixel by pixel
and equal ones are decided by the order of the shapes, so the kept picture never shows: it saves time and nothing else.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..robots.errors import RefusedError, UnknownNameError
from ..robots.rotations import quaternion_matrix, rpy_matrix
from ..robots.urdf import read_urdf
from .arm.sim_arm import SimArm
from .bullet import bullet
from .cell import Cell
from .render.gl import GlPainter
from .render.lens import Lamp, Lens
from .render.mount import TCP, CameraMount, CameraOffset, lamp_with, lens_at, standard_mounts
from .render.paint import Canvas, blank, paint
from .render.scene import Floats, Placed, Scene

__all__ = ["BACKENDS", "CameraMount", "CameraOffset", "Picture", "Sight", "standard_mounts"]

Picture = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
Space = tuple[tuple[int, int, int], str, float, float]
Words = npt.NDArray[np.uint32]

BACKENDS = ("auto", "cpu", "gl")


class Sight:
    """The cameras of one cell."""

    def __init__(
        self,
        cell: Cell,
        arm: SimArm,
        mounts: Sequence[CameraMount],
        *,
        size: tuple[int, int] = (84, 84),
        depth: bool = False,
        backend: str = "auto",
        samples: int = 2,
    ) -> None:
        """Fix the cameras.

        Args:
            cell: What they look at.
            arm: The arm in it, which carries some of them.
            mounts: The cameras.
            size: Height and width of every picture, pixels.
            depth: Whether to give depth as well.
            backend: "cpu"; "gl", which needs moderngl; or "auto", which is "cpu", because that needs nothing and does
                not depend on a driver.
            samples: Rays per pixel in each direction, averaged as a real camera does: at 1 a picture costs less, and
                edges jump from pixel to pixel.

        Raises:
            RefusedError: If a name or number is not offered, two cameras share a name, a link does not exist, the
                cell shows what cannot be drawn, or there is no GL for "gl".
        """
        names = [mount.name for mount in mounts]
        double = sorted({name for name in names if names.count(name) > 1})
        if double:
            raise RefusedError(f"two cameras named {double[0]!r}; give each a name of its own")
        if backend not in BACKENDS:
            raise RefusedError(f"no camera backend named {backend!r}; there are: {', '.join(BACKENDS)}")
        if min(*size, samples) < 1:
            raise RefusedError(
                f"pictures of {size[0]} x {size[1]} pixels with {samples} samples; all must be at least 1"
            )
        self._cell, self._mounts, self._depth = cell, tuple(mounts), depth
        self._size, self._samples = size, samples
        self._fine = size[0] * samples, size[1] * samples
        self._carriers = [_carrier(cell, arm, mount) for mount in mounts]
        self._scene = Scene(cell.client)
        self._gl = GlPainter(self._scene, *self._fine, depth=depth) if backend == "gl" else None
        self.reset()

    def spaces(self) -> dict[str, Space]:
        """Shape, dtype, least and greatest value of every picture that `look` returns, by its name."""
        height, width = self._size
        found: dict[str, Space] = {}
        for mount in self._mounts:
            found[f"{mount.name}_rgb"] = (height, width, 3), "uint8", 0, 255
            if self._depth:
                found[f"{mount.name}_depth"] = (height, width, 1), "float32", 0.0, mount.far
        return found

    def reset(self, offsets: Mapping[str, CameraOffset] | None = None) -> None:
        """Begin an episode: read the shapes in the cell anew, and set cameras and light.

        Args:
            offsets: By how much each camera is off, by its name; one that is not named is as declared.

        Raises:
            RefusedError: If there is no such camera, or the cell shows what cannot be drawn.
        """
        offsets = offsets or {}
        names = [mount.name for mount in self._mounts]
        for name in offsets:
            if name not in names:
                raise UnknownNameError("camera", name, names)
        self._scene.read()
        self._still = self._scene.fixed.copy()
        self._frames: Floats | None = None
        self._kept: dict[str, Canvas] = {}
        self._lenses: list[Lens] = []
        self._lamps: list[Lamp] = []
        for mount, (_, turn, at) in zip(self._mounts, self._carriers, strict=True):
            offset = offsets.get(mount.name, CameraOffset())
            self._lenses.append(lens_at(mount, offset).carried(turn, at))
            self._lamps.append(lamp_with(offset))

    def look(self) -> dict[str, Picture]:
        """What every camera sees now.

        Returns:
            By camera, `<name>_rgb` (height, width, 3) uint8 and, if asked for, `<name>_depth` (height, width, 1)
            float32, the distance along the line of sight in m, at most the camera's `far`. The arrays are the caller's.
        """
        placed = self._scene.place(self._watch())
        seen: dict[str, Picture] = {}
        cameras = zip(self._mounts, self._carriers, self._lenses, self._lamps, strict=True)
        for mount, (link, _, _), lens, lamp in cameras:
            if link >= 0:
                at, turn = bullet.getLinkState(self._cell.arm, link, 0, 1, self._cell.client)[4:6]
                here = lens.carried(quaternion_matrix(turn), np.array(at))
                colour, inverse = self._render(placed, here, lamp, None)
            else:
                colour, inverse = self._render(placed, lens, lamp, mount.name)
            seen[f"{mount.name}_rgb"] = self._rgb(colour)
            if self._depth:
                seen[f"{mount.name}_depth"] = self._distance(inverse, mount.far)
        return seen

    def _watch(self) -> Floats:
        """Where everything is; kept pictures that show something where it no longer is are dropped."""
        frames = self._scene.frames()
        if self._frames is None:
            self._frames = frames
        moved = self._still & (frames != self._frames).any(axis=1)
        if moved.any():
            self._still &= ~moved
            self._kept.clear()
        return frames

    def _render(self, placed: Placed, lens: Lens, lamp: Lamp, keep: str | None) -> tuple[Words, Floats]:
        """Colour words and inverse depths; what stands still is kept under a name if there is one."""
        if self._gl is not None:
            self._gl.paint(placed, lens, lamp)
            return self._gl.colours(), self._gl.inverse()
        if keep is None:
            canvas = blank(lens, *self._fine)
            paint(canvas, self._scene, placed, lens, [lamp])
            return canvas.colours[0], canvas.inverse
        still = self._still.take(self._scene.carrier)
        if keep not in self._kept:
            self._kept[keep] = blank(lens, *self._fine)
            paint(self._kept[keep], self._scene, placed, lens, [lamp], still)
        canvas = self._kept[keep].copy()
        paint(canvas, self._scene, placed, lens, [lamp], ~still)
        return canvas.colours[0], canvas.inverse

    def _rgb(self, colour: Words) -> npt.NDArray[np.uint8]:
        import cv2

        rgba = colour.view(np.uint8).reshape(*self._fine, 4)
        small = cv2.resize(rgba, self._size[::-1], interpolation=cv2.INTER_AREA) if self._samples > 1 else rgba
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGBA2RGB), np.uint8)

    def _distance(self, inverse: Floats, far: float) -> npt.NDArray[np.float32]:
        """Depth of the nearest surface within each pixel; an average would lie where nothing is."""
        s = self._samples
        parts = [inverse[row::s, column::s] for row in range(s) for column in range(s)]
        nearest = parts[0]
        for part in parts[1:]:
            nearest = np.maximum(nearest, part)
        depth = 1.0 / np.maximum(nearest, 1.0 / far)
        return np.minimum(depth.astype(np.float32), np.float32(far))[:, :, None]


def _carrier(cell: Cell, arm: SimArm, mount: CameraMount) -> tuple[int, Floats, Floats]:
    """Bullet's link that carries a camera, -1 for none that moves, and its mount's frame in that link's.

    Fixed links are folded before Bullet sees the arm, so they are looked up in the URDF.
    """
    turn, at = np.eye(3), np.zeros(3)
    if mount.link is None:
        return -1, turn, at
    joints = read_urdf(cell.robot.urdf_path)
    link = cell.robot.tcp_link if mount.link == TCP else mount.link
    known = {cell.robot.base_link, *joints}
    if link not in known:
        raise UnknownNameError(f"link for camera {mount.name!r}", link, known)
    while link not in arm.joints.links and link in joints:
        joint = joints[link]
        step = rpy_matrix(*joint.rpy)
        turn, at = step @ turn, np.array(joint.xyz) + step @ at
        link = joint.parent
    return arm.joints.links.get(link, -1), turn, at
