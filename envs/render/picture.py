"""Pictures of a cell for people: smooth edges and soft shadows, by painting it several times and averaging.

Each time the picture is shifted by part of a pixel and the lamp stands elsewhere on a small disc. What the lamp cannot
see is in shadow, which is decided by a picture painted from where it stands.
"""

from dataclasses import replace
from math import atan, cos, degrees, pi, sin, sqrt

import numpy as np
import numpy.typing as npt

from .lens import LAMP, Lamp, Lens
from .paint import Canvas, blank, paint, words
from .scene import Floats, Placed, Scene

TIMES = 6
LAMP_SIZE = 0.05  # radius of the lamp over its distance
SKY = (0.98, 0.99, 1.0), (0.82, 0.86, 0.91)  # at the top of the picture and at the bottom
MAP = 288  # pixels of the lamp's own picture
AWAY = 20.0  # distance of the lamp over the size of what it lights
SLACK = 0.01  # of that size by which a surface may seem farther from the lamp than what the lamp sees
GOLDEN = 0.5 * (sqrt(5.0) - 1.0)


def picture(scene: Scene, lens: Lens, middle: Floats, size: float, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Paint a cell.

    Args:
        scene: The cell.
        lens: The camera.
        middle: Centre of what casts shadows, (3,), m.
        size: Radius of what casts shadows, m.
        height: Pixels.
        width: Pixels.

    Returns:
        (height, width, 3) uint8.
    """
    placed = scene.place(scene.frames())
    share = np.linspace(0.0, 1.0, height)
    top, bottom = np.array(SKY)[:, :, None]
    sky = words((1.0 - share) * top + share * bottom)[:, None]
    total = np.zeros((height, width, 4), np.uint16)
    for k in range(TIMES):
        shifted = _shifted(lens, (k + 0.5) / TIMES - 0.5, (k * GOLDEN) % 1.0 - 0.5, height)
        radius, angle = LAMP_SIZE * sqrt((k + 0.5) / TIMES), 2.0 * pi * GOLDEN * k
        toward = LAMP + radius * np.array([cos(angle), sin(angle), 0.0])
        lamp = Lamp(toward=toward / np.linalg.norm(toward))
        canvas = blank(shifted, height, width, lights=2)
        for colour in canvas.colours:
            colour[:] = sky
        paint(canvas, scene, placed, shifted, [lamp, replace(lamp, direct=0.0)])
        lit = _lit(canvas, scene, placed, shifted, lamp, middle, size, angle)
        total += np.where(lit, *canvas.colours).view(np.uint8).reshape(height, width, 4)
    return (total[:, :, :3] // TIMES).astype(np.uint8)


def _shifted(lens: Lens, columns: float, rows: float, height: int) -> Lens:
    """The same camera turned by part of a pixel."""
    right, down, forward = lens.axes
    aim = forward + (columns * right + rows * down) / (lens.focal * height)
    aimed = Lens.aimed(eye=lens.eye, target=lens.eye + aim, up=-down, fov=45.0, near=lens.near, far=lens.far)
    return replace(aimed, focal=lens.focal)


def _lit(
    canvas: Canvas, scene: Scene, placed: Placed, lens: Lens, lamp: Lamp, middle: Floats, size: float, grid: float
) -> npt.NDArray[np.bool_]:
    """Which pixels the lamp sees, (height, width); its own picture is turned by an angle, lest its pixels show."""
    import cv2

    height, width = canvas.inverse.shape
    away = AWAY * size
    eye = Lens.aimed(
        eye=middle + away * lamp.toward,
        target=middle,
        up=np.array([cos(grid), sin(grid), 0.0]),
        fov=degrees(2.0 * atan(1.0 / AWAY)),
        near=away - 4.0 * size,
        far=away + 4.0 * size,
    )
    map_ = blank(eye, MAP, MAP)
    paint(map_, scene, placed, eye, [lamp])
    # A point times its inverse depth is affine in the picture, seen from the lamp as well.
    turn, offset = eye.axes @ lens.axes.T, eye.axes @ (lens.eye - eye.eye)
    focal = lens.focal * height
    column = (np.arange(width) - (0.5 * width - 0.5)) / focal
    row = (np.arange(height)[:, None] - (0.5 * height - 0.5)) / focal
    right, down, ahead = (
        a * column + c + b * row + d * canvas.inverse for (a, b, c), d in zip(turn, offset, strict=True)
    )
    scale, centre = eye.focal * MAP, 0.5 * MAP - 0.5
    x, y = (right / ahead * scale + centre).astype(np.float32), (down / ahead * scale + centre).astype(np.float32)
    nearest = cv2.remap(map_.inverse.astype(np.float32), x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    found: npt.NDArray[np.bool_] = nearest * ahead <= canvas.inverse * (1.0 + SLACK / AWAY)
    return found
