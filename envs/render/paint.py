"""Pictures without GL: spans of primitives, the nearest of which is seen, under one light.

A picture painted over a kept background equals the one painted at once, to the bit: depths do not depend on what else
is painted, and no two are equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from .lens import AMBIENT, BEYOND, SKY, Lamp, Lens
from .scene import Floats, Mask, Placed, Scene
from .spans import Seen, Spans, Whole, fill, look, outline

Words = npt.NDArray[np.uint32]

WIDE = 0.2  # share of the picture from which on a box is painted as a whole, because then its rows are long


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Canvas:
    """What has been painted so far, in one light or several; arrays (height, width).

    Attributes:
        colours: For each light red, green, blue and 255 as the bytes of a word, lowest first.
        inverse: Inverse depth along the axis, 1/m; of the far limit where nothing is.
    """

    colours: tuple[Words, ...]
    inverse: Floats

    def copy(self) -> "Canvas":
        """Another one with the same content."""
        return Canvas(colours=tuple([c.copy() for c in self.colours]), inverse=self.inverse.copy())


def blank(lens: Lens, height: int, width: int, *, lights: int = 1) -> Canvas:
    """An empty picture."""
    shape, beyond = (height, width), words(np.array(BEYOND) / 255.0)
    return Canvas(
        colours=tuple([np.full(shape, beyond) for _ in range(lights)]), inverse=np.full(shape, 1.0 / lens.far)
    )


def paint(
    canvas: Canvas, scene: Scene, placed: Placed, lens: Lens, lamps: Sequence[Lamp], which: Mask | None = None
) -> None:
    """Paint primitives over what is there.

    Args:
        canvas: Painted on.
        scene: The primitives.
        placed: Where they are.
        lens: The camera.
        lamps: The light for each of the canvas' colours.
        which: Which primitives, (p,); all if not given.
    """
    height, width = canvas.inverse.shape
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        seen = look(scene, placed, lens, width, height, which)
        spans = outline(seen, width)
        coats = [_Coat.of(scene, placed, seen, lamp) for lamp in lamps]
        sizes = np.bincount(spans.owner, spans.length, minlength=len(scene.half))[: scene.boxes]
        for box in (sizes > WIDE * canvas.inverse.size).nonzero()[0].tolist():
            _paint_wide(canvas, seen, spans, coats, lens, box)
        found = fill(scene, seen, spans, width)
        depths = canvas.inverse.reshape(-1)
        found.inverse[found.inverse > 1.0 / lens.near] = 0.0
        np.maximum.at(depths, found.pixel, found.inverse)
        hits = (found.inverse == depths.take(found.pixel)).nonzero()[0]
        owner, inverse, pixel = found.owner.take(hits), found.inverse.take(hits), found.pixel.take(hits)
        # Fragments are ordered by primitive: boxes come before round ones, and what belongs to one is together.
        split = int(owner.searchsorted(scene.boxes))
        a, b = found.values[:2].take(hits[:split], axis=1)
        axis = np.where(a == inverse[:split], 0, np.where(b == inverse[:split], 1, 2))
        face = axis * len(scene.half) + owner[:split]
        ray, counts = found.values.take(hits[split:], axis=1), np.bincount(owner[split:], minlength=len(scene.half))
        cap = ray[2] * seen.near[2].repeat(counts) == inverse[split:]
        normal = seen.eye.repeat(counts, axis=1) + ray / inverse[split:]
        normal[2] *= scene.ball.repeat(counts)
        for colour, coat in zip(canvas.colours, coats, strict=True):
            colour.put(pixel[:split], coat.faces.take(face))
            if split < len(hits):
                mantle = coat.mantle(counts, normal)
                colour.put(pixel[split:], np.where(cap, coat.faces[2].repeat(counts), mantle))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Coat:
    """Colours of the primitives in one light.

    Attributes:
        lamp: The light.
        tint: Own colours, (3, p).
        lit: How far each of a primitive's axes points towards the lamp, (3, p).
        up: How far it points up, (3, p).
        faces: Colour of the face that the eye sees across each axis, (3, p).
    """

    lamp: Lamp
    tint: Floats
    lit: Floats
    up: Floats
    faces: Words

    @classmethod
    def of(cls, scene: Scene, placed: Placed, seen: Seen, lamp: Lamp) -> Self:
        """Colours of what is seen."""
        tint, lit, up = scene.colour.T, (lamp.toward @ placed.turn).T, placed.turn[:, 2].T
        faces = words(tint[:, None] * _shade(lamp, seen.side * up, seen.side * lit))
        return cls(lamp=lamp, tint=tint, lit=lit, up=up, faces=faces)

    def mantle(self, counts: Whole, normal: Floats) -> Words:
        """Colours of so many pixels of each primitive that have these normals, (3, k), in its frame."""
        x, y, z = normal
        a, b, c = self.lit.repeat(counts, axis=1)
        d, e, f = self.up.repeat(counts, axis=1)
        shade = _shade(self.lamp, x * d + y * e + z * f, x * a + y * b + z * c)
        return words(self.tint.repeat(counts, axis=1) * shade)


def _shade(lamp: Lamp, up: Floats, lit: Floats) -> Floats:
    """Light that a surface sends back, by how far its normal points up and towards the lamp."""
    return (AMBIENT + SKY * up + lamp.direct * np.maximum(lit, 0.0)) * lamp.brightness


def _paint_wide(canvas: Canvas, seen: Seen, spans: Spans, coats: Sequence[_Coat], lens: Lens, box: int) -> None:
    """Paint one box that covers much of the picture, and take its spans away."""
    first, last = spans.owner.searchsorted((box, box + 1)).tolist()
    begin, length = spans.begin[first:last, None], spans.length[first:last, None]
    stop = begin + length
    top, left, right = int(spans.row[first]), int(begin.min()), int(stop.max())
    part = slice(top, top + last - first), slice(left, right)
    column, row = np.arange(left, right), spans.row[first:last, None]
    entered = (~seen.within[:, box]).nonzero()[0].tolist()
    planes = []
    for axis in entered:
        slope, by_row, rest = (seen.ray[:, axis, box] * seen.near[axis, box]).tolist()
        planes.append(slope * column + (by_row * row + rest))
    inverse = planes[0]
    for plane in planes[1:]:
        inverse = np.minimum(inverse, plane)
    depths = canvas.inverse[part]
    won = (inverse > depths) & (inverse <= 1.0 / lens.near)
    if begin.max() > left or stop.min() < right:
        won &= (column >= begin) & (column < stop)
    np.copyto(depths, inverse, where=won)
    for axis, plane in zip(entered, planes, strict=True):
        here = won & (inverse == plane) if len(planes) > 1 else won
        for colour, coat in zip(canvas.colours, coats, strict=True):
            np.copyto(colour[part], coat.faces[axis, box], where=here)
    length[:] = 0


def words(rgb: Floats) -> Words:
    """Colours as words, from 0 to 1 along the first axis."""
    red, green, blue = np.minimum(rgb * 255.0, 255.0).astype(np.uint32)
    found: Words = red | green << 8 | blue << 16 | 0xFF000000
    return found
