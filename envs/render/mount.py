"""Where cameras are fixed, and by how much they may be off in one episode."""

from dataclasses import dataclass, replace
from math import cos, isfinite, pi, sin

import numpy as np

from ...robots.description import RobotDescription
from ...robots.errors import RefusedError
from ...robots.rotations import rpy_matrix
from .lens import LAMP, Lamp, Lens
from .scene import Triple

TCP = "tcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraMount:
    """Where a camera is fixed.

    Attributes:
        name: Its name in observations.
        eye: Where it stands, m.
        target: Where it looks, m.
        up: What is up in its picture.
        link: Link that carries it and in whose frame the other attributes are, "tcp" for the tool whatever its link is
            called; None for the cell.
        fov: Vertical field of view, degrees.
        near: Nothing nearer is seen, m.
        far: Nothing farther is seen, m; the greatest depth.
    """

    name: str
    eye: Triple
    target: Triple
    up: Triple = (0.0, 0.0, 1.0)
    link: str | None = None
    fov: float = 45.0
    near: float = 0.01
    far: float = 3.0

    def __post_init__(self) -> None:
        """Refuse what is no camera.

        Raises:
            RefusedError: If a number is not finite, the line of sight has no length or is the way up, or a range is
                empty.
        """
        where = f"camera {self.name!r}"
        numbers = (*self.eye, *self.target, *self.up, self.fov, self.near, self.far)
        if not all(isfinite(n) for n in numbers):
            raise RefusedError(f"{where}: {numbers} are not all finite numbers")
        sight = np.subtract(self.target, self.eye)
        if np.linalg.norm(np.cross(sight, self.up)) < 1e-6 * max(1e-6, float(np.linalg.norm(self.up))):
            raise RefusedError(f"{where}: from eye {self.eye} to target {self.target} is no direction across {self.up}")
        if not 0.0 < self.near < self.far:
            raise RefusedError(f"{where}: near {self.near} and far {self.far}; expected 0 < near < far, m")
        if not 1.0 <= self.fov <= 160.0:
            raise RefusedError(f"{where}: field of view {self.fov} is not 1 to 160 degrees")


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraOffset:
    """By how much a camera and its light differ from what was declared, for one episode.

    Attributes:
        position: To the right, downwards and forwards in the picture, m.
        turn: Axis times angle about the same three directions, rad.
        fov: Factor on the field of view.
        light: Added to the unit vector towards the lamp.
        brightness: Factor on all light.
    """

    position: Triple = (0.0, 0.0, 0.0)
    turn: Triple = (0.0, 0.0, 0.0)
    fov: float = 1.0
    light: Triple = (0.0, 0.0, 0.0)
    brightness: float = 1.0


def lens_at(mount: CameraMount, offset: CameraOffset) -> Lens:
    """The camera in the frame of what carries it.

    Args:
        mount: Where it is fixed.
        offset: By how much it is off.

    Raises:
        RefusedError: If the offset field of view is none.
    """
    fov = mount.fov * offset.fov
    if not 0.0 < fov < 180.0:
        raise RefusedError(f"camera {mount.name!r}: field of view {mount.fov} times {offset.fov} is no angle below 180")
    lens = Lens.aimed(
        eye=np.array(mount.eye),
        target=np.array(mount.target),
        up=np.array(mount.up),
        fov=fov,
        near=mount.near,
        far=mount.far,
    )
    turn = rpy_matrix(*offset.turn)
    return replace(lens, eye=lens.eye + np.array(offset.position) @ lens.axes, axes=turn.T @ lens.axes)


def lamp_with(offset: CameraOffset) -> Lamp:
    """The light by which a camera sees."""
    toward = LAMP + np.array(offset.light)
    return Lamp(toward=toward / np.linalg.norm(toward), brightness=offset.brightness)


def standard_mounts(robot: RobotDescription) -> tuple[CameraMount, CameraMount]:
    """A camera `front` that overlooks all that the tool can reach, and a camera `wrist` that looks between the fingers.

    Args:
        robot: The arm.
    """
    reach = robot.reach
    (inner, outer), (right, left) = reach.radius, reach.azimuth
    middle, azimuth = 0.5 * (inner + outer), 0.5 * (left + right)
    size = max(0.5 * (outer - inner), outer * sin(min(0.5 * (left - right), 0.5 * pi)))
    x, y = reach.axis[0] + middle * cos(azimuth), reach.axis[1] + middle * sin(azimuth)
    ahead = 2.2 * cos(azimuth) + 0.9 * sin(azimuth), 2.2 * sin(azimuth) - 0.9 * cos(azimuth)
    return (
        CameraMount(
            name="front",
            eye=(x + size * ahead[0], y + size * ahead[1], 1.9 * size),
            target=(x, y, 0.15 * size),
            fov=40.0,
        ),
        # Beside the fingers, which open along x of the tool, far enough out for its hand not to fill the picture.
        CameraMount(
            name="wrist", link=TCP, eye=(0.0, 0.09, -0.055), target=(0.0, 0.0, 0.015), up=(0.0, 0.0, -1.0), fov=62.0
        ),
    )
