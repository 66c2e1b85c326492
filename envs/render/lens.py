"""A camera and a light as the numbers that every renderer needs."""

from dataclasses import dataclass, replace
from math import radians, tan
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# A surface is lit by what comes from everywhere, more from above than from below, and by one far lamp.
AMBIENT = 0.50
SKY = 0.16
DIRECT = 0.46
LAMP = np.array([0.35, -0.55, 0.76]) / np.linalg.norm([0.35, -0.55, 0.76])  # towards the lamp
BEYOND = (203, 214, 224)  # RGB of what lies behind everything


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lens:
    """A pinhole camera somewhere.

    Attributes:
        eye: Where it stands, (3,), m.
        axes: Rows: to the right, downwards and forwards in the picture, (3, 3).
        focal: Focal length in heights of the picture.
        near: Nothing nearer is seen, m along the axis.
        far: Nothing farther is seen, m along the axis.
    """

    eye: Floats
    axes: Floats
    focal: float
    near: float
    far: float

    @classmethod
    def aimed(cls, *, eye: Floats, target: Floats, up: Floats, fov: float, near: float, far: float) -> Self:
        """A camera that looks at a point.

        Args:
            eye: m.
            target: m.
            up: What is up in the picture; not along the line of sight.
            fov: Vertical field of view, degrees.
            near: m.
            far: m.
        """
        forward = (target - eye) / np.linalg.norm(target - eye)
        right = np.cross(forward, up)
        right /= np.linalg.norm(right)
        axes = np.array([right, np.cross(forward, right), forward])
        return cls(eye=eye, axes=axes, focal=0.5 / tan(0.5 * radians(fov)), near=near, far=far)

    def carried(self, turn: Floats, at: Floats) -> Self:
        """The same camera in another frame, in which its own frame has this rotation and origin.

        Args:
            turn: (3, 3).
            at: (3,), m.
        """
        return replace(self, eye=at + turn @ self.eye, axes=self.axes @ turn.T)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lamp:
    """The light of a cell.

    Attributes:
        toward: Unit vector towards the lamp, (3,).
        brightness: Factor on all light.
        direct: Share of the light that comes from the lamp; 0 is how things look in its shadow.
    """

    toward: Floats
    brightness: float = 1.0
    direct: float = DIRECT
