"""Pictures of a cell from TinyRenderer: no display, no GL, primitives only."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
import numpy.typing as npt

from ..robots.description import RobotDescription
from .bullet import bullet
from .cell import Cell

Pixels = npt.NDArray[np.uint8]


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
    def overview(cls, robot: RobotDescription) -> Self:
        """A view of the whole working area of an arm, from the front and above.

        Args:
            robot: The arm.
        """
        far = robot.reach.axis[0] + robot.reach.radius[1]
        middle = (0.5 * far, 0.0, 0.25 * far)
        return cls(eye=(2.0 * far, -1.75 * far, 1.55 * far), target=middle, fov=38.0)

    def picture(self, cell: Cell, width: int, height: int) -> Pixels:
        """Render RGB.

        Args:
            cell: What to look at.
            width: Pixels.
            height: Pixels.

        Returns:
            (height, width, 3) uint8.
        """
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
    projection = bullet.computeProjectionMatrixFOV(camera.fov, aspect, 0.02, 5.0)
    return list(view), list(projection)
