"""Pictures of a cell for people who look on: no display, no GL."""

from dataclasses import dataclass
from functools import lru_cache
from math import cos, radians, sin, tan
from typing import Self

import numpy as np
import numpy.typing as npt

from ..robots.description import RobotDescription
from ..robots.errors import RefusedError
from ..robots.kinematics import Kinematics
from .bullet import bullet
from .cell import Cell
from .render.lens import Lens
from .render.picture import picture
from .render.scene import Scene

Pixels = npt.NDArray[np.uint8]

NEAR, FAR = 0.02, 5.0  # m
SIDE = (0.57, -0.66, 0.49)  # from where an onlooker looks: the front, the arm's right, above
MARGIN = 0.8  # share of the picture that joints and working area may fill, because links are thicker than their axes
ASPECT = 4.0 / 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A pinhole camera that looks at a point.

    Attributes:
        eye: Where it stands, m.
        target: Where it looks, m.
        fov: Vertical field of view, degrees.
    """

    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    fov: float = 42.0

    @classmethod
    def overview(cls, robot: RobotDescription, fov: float = 34.0) -> Self:
        """A view of the whole arm at home and of all it works on, as near as both still fit.

        Args:
            robot: The arm.
            fov: Vertical field of view, degrees.
        """
        reach = robot.reach
        frames, tcp = Kinematics(robot).frames(robot.home)
        points = [(0.0, 0.0, 0.0), tcp, *[at for _, at in frames]]
        for radius in reach.radius:
            for azimuth in reach.azimuth:
                points.append((reach.axis[0] + radius * cos(azimuth), reach.axis[1] + radius * sin(azimuth), 0.0))
        corners = np.array(points)
        back = np.array(SIDE) / np.linalg.norm(SIDE)
        axes = Lens.aimed(eye=back, target=np.zeros(3), up=np.array([0.0, 0.0, 1.0]), fov=fov, near=NEAR, far=FAR).axes
        high = MARGIN * tan(0.5 * radians(fov))
        middle = corners.mean(axis=0)
        for _ in range(8):  # what is nearer looks larger, so the middle of the picture is found step by step
            right, down, ahead = axes @ (corners - middle).T
            distance = max((np.abs(down) / high - ahead).max(), (np.abs(right) / (high * ASPECT) - ahead).max())
            across, below = right / (ahead + distance), down / (ahead + distance)
            middle += 0.5 * distance * ((across.max() + across.min()) * axes[0] + (below.max() + below.min()) * axes[1])
        (x, y, z), (u, v, w) = (middle + distance * back).tolist(), middle.tolist()
        return cls(eye=(x, y, z), target=(u, v, w), fov=fov)

    def picture(self, cell: Cell, width: int, height: int) -> Pixels:
        """Render RGB, with soft shadows where the cell consists of plain shapes.

        Args:
            cell: What to look at.
            width: Pixels.
            height: Pixels.

        Returns:
            (height, width, 3) uint8.
        """
        try:
            scene = Scene(cell.client)
        except RefusedError:  # meshes
            return self._plain(cell, width, height)
        eye, target = np.array(self.eye), np.array(self.target)
        up = np.array([0.0, 0.0, 1.0])
        lens = Lens.aimed(eye=eye, target=target, up=up, fov=self.fov, near=NEAR, far=FAR)
        return picture(scene, lens, target, 0.55 * float(np.linalg.norm(target - eye)), height, width)

    def _plain(self, cell: Cell, width: int, height: int) -> Pixels:
        """Render RGB by Bullet's own TinyRenderer, which alone draws meshes."""
        view, projection = _matrices(self, width / height)
        _, _, rgba, _, _ = bullet.getCameraImage(
            width,
            height,
            view,
            projection,
            lightDirection=[0.6, -0.5, 1.4],
            lightAmbientCoeff=0.55,
            lightDiffuseCoeff=0.55,
            lightSpecularCoeff=0.05,
            shadow=0,
            flags=bullet.ER_NO_SEGMENTATION_MASK,
            renderer=bullet.ER_TINY_RENDERER,
            physicsClientId=cell.client,
        )
        return np.asarray(rgba, np.uint8).reshape(height, width, 4)[:, :, :3].copy()


@lru_cache(maxsize=64)
def _matrices(camera: Camera, aspect: float) -> tuple[list[float], list[float]]:
    view = bullet.computeViewMatrix(camera.eye, camera.target, [0.0, 0.0, 1.0])
    projection = bullet.computeProjectionMatrixFOV(camera.fov, aspect, NEAR, FAR)
    return list(view), list(projection)
