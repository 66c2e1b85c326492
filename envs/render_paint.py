"""Pictures without GL: spans of primitives, the nearest of which is seen, under one light.

A picture painted over a kept background equals the one painted at once, to the bit: depths do not depend on what else
is painted, and no two are equal.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .render_lens import AMBIENT, BEYOND, DIRECT, SKY, Lamp, Lens
from .render_scene import Floats, Mask, Placed, Scene
from .render_spans import Seen, Spans, Whole, fill, look, outline

Words = npt.NDArray[np.uint32]

WIDE = 0.2  # share of the picture from which on a box is painted as a whole, because then its rows are long


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Canvas:
    """What has been painted so far; arrays (height, width).

    Attributes:
        colour: Red, green, blue and 255 as the bytes of a word, lowest first.
        inverse: Inverse depth along the axis, 1/m; of the far limit where nothing is.
    """

    colour: Words
    inverse: Floats

    def copy(self) -> "Canvas":
        """Another one with the same content."""
        return Canvas(colour=self.colour.copy(), inverse=self.inverse.copy())


def blank(lens: Lens, height: int, width: int) -> Canvas:
    """An empty picture."""
    shape = height, width
    return Canvas(
        colour=np.full(shape, _words(np.array(BEYOND) / 255.0)),
        inverse=np.full(shape, 1.0 / lens.far),
    )


def paint(canvas: Canvas, scene: Scene, placed: Placed, lens: Lens, lamp: Lamp, which: Mask | None = None) -> None:
    """Paint primitives over what is there.

    Args:
        canvas: Painted on.
        scene: The primitives.
        placed: Where they are.
        lens: The camera.
        lamp: The light.
        which: Which primitives, (p,); all if not given.
    """
    height, width = canvas.inverse.shape
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        seen = look(scene, placed, lens, width, height, which)
        spans = outline(seen, width)
        light = _Light(lit=(lamp.toward @ placed.turn).T, up=placed.turn[:, 2].T, brightness=lamp.brightness)
        faces = _words(scene.colour.T[:, None] * light.shade(seen.side * light.up, seen.side * light.lit))
        sizes = np.bincount(spans.owner, spans.length, minlength=len(scene.half))[: scene.boxes]
        for box in (sizes > WIDE * canvas.inverse.size).nonzero()[0].tolist():
            _paint_wide(canvas, seen, spans, faces, lens, box)
        found = fill(scene, seen, spans, width)
        depths = canvas.inverse.reshape(-1)
        found.inverse[found.inverse > 1.0 / lens.near] = 0.0
        np.maximum.at(depths, found.pixel, found.inverse)
        hits = (found.inverse == depths.take(found.pixel)).nonzero()[0]
        owner, inverse, values = found.owner.take(hits), found.inverse.take(hits), found.values.take(hits, axis=1)
        axis = np.where(values[0] == inverse, 0, np.where(values[1] == inverse, 1, 2))
        colour = faces.take(axis * faces.shape[1] + owner)
        mantle = ((owner >= scene.boxes) & (values[2] * seen.near[2].take(owner) != inverse)).nonzero()[0]
        if len(mantle):
            own = owner.take(mantle)
            colour[mantle] = _round(scene, seen, light, own, values.take(mantle, axis=1) / inverse.take(mantle))
    canvas.colour.put(found.pixel.take(hits), colour)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Light:
    """Directions in the frames of the primitives, (3, p): towards the lamp, and up."""

    lit: Floats
    up: Floats
    brightness: float

    def shade(self, up: Floats, lit: Floats) -> Floats:
        """Light that a surface sends back, by how far its normal points up and towards the lamp."""
        return (AMBIENT + SKY * up + DIRECT * np.maximum(lit, 0.0)) * self.brightness


def _round(scene: Scene, seen: Seen, light: _Light, owner: Whole, ray: Floats) -> Words:
    """Colour of the mantles of cylinders and of balls.

    Args:
        scene: The primitives.
        seen: As the eye sees them.
        light: The light.
        owner: Primitive per pixel, (k,).
        ray: From the eye to the surface in its frame, (3, k).
    """
    x, y, z = seen.eye.take(owner, axis=1) + ray
    z *= scene.ball.take(owner)
    a, b, c = light.lit.take(owner, axis=1)
    d, e, f = light.up.take(owner, axis=1)
    return _words(scene.colour.T.take(owner, axis=1) * light.shade(x * d + y * e + z * f, x * a + y * b + z * c))


def _paint_wide(canvas: Canvas, seen: Seen, spans: Spans, faces: Words, lens: Lens, box: int) -> None:
    """Paint one box that covers much of the picture, and take its spans away."""
    first, last = spans.owner.searchsorted((box, box + 1)).tolist()
    rows = slice(int(spans.row[first]), int(spans.row[last - 1]) + 1)
    column, row = np.arange(canvas.inverse.shape[1]), spans.row[first:last, None]
    begin, length = spans.begin[first:last, None], spans.length[first:last, None]
    depths, colour = canvas.inverse[rows], canvas.colour[rows]
    entered = (~seen.within[:, box]).nonzero()[0].tolist()
    planes = []
    for axis in entered:
        slope, by_row, rest = (seen.ray[:, axis, box] * seen.near[axis, box]).tolist()
        planes.append(slope * column + (by_row * row + rest))
    inverse = planes[0]
    for plane in planes[1:]:
        inverse = np.minimum(inverse, plane)
    won = (inverse > depths) & (inverse <= 1.0 / lens.near) & (column >= begin) & (column < begin + length)
    np.copyto(depths, inverse, where=won)
    for axis, plane in zip(entered, planes, strict=True):
        np.copyto(colour, faces[axis, box], where=won & (inverse == plane) if len(planes) > 1 else won)
    length[:] = 0


def _words(rgb: Floats) -> Words:
    """Colours as words, from 0 to 1 along the first axis."""
    red, green, blue = np.minimum(rgb * 255.0, 255.0).astype(np.uint32)
    words: Words = red | green << 8 | blue << 16 | 0xFF000000
    return words
