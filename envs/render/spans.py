"""Where convex primitives are in a picture: row by row in numpy, without GL, exact to the float.

Inverse depth is affine in the picture wherever a surface is plane. A box is the space between three pairs of planes:
those that the eye is outside of are entered, the others are left, and a ray hits where the last plane entered comes
before the first one left. Each pair of an entered and a left plane bounds the outline by a straight line, and what
these lines leave of a row of pixels is a span. Within it the surface of a box is the farthest of at most three planes;
cylinders and balls are the root of a quadratic.

Every number belongs to one primitive or one pixel and is computed alike whatever else is drawn. Of surfaces in the same
place that of the primitive with the greater number is the nearer one, by a billionth.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .lens import Lens
from .scene import Floats, Mask, Placed, Scene

Whole = npt.NDArray[np.intp]

CLOSER = 1e-9
NEVER = 1e9  # an inverse depth nearer than anything: the plane is not entered
# Ordered pairs of different axes: a plane across the first is entered, one across the second left.
FIRST, SECOND = np.array([0, 0, 1, 1, 2, 2]), np.array([1, 2, 0, 2, 0, 1])
CORNERS = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)]).T


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """Primitives in their own scaled frames, where each fills a cube of half edge 1, as the eye sees them.

    Attributes:
        eye: The eye in that frame, (3, p).
        side: Which of the two planes across each axis faces the eye, -1 or 1, (3, p).
        within: Whether the eye is between the two, (3, p).
        near: 1 over the distance from the eye to the facing plane, and `closer`, (3, p).
        far: 1 over that to the plane opposite, (3, p).
        closer: Factor on inverse depth by which one of two equal surfaces is seen, (p,).
        ray: Direction through a pixel as coefficients of column, row and 1, (3, 3 axes, p).
        top: First row it may touch, (p,).
        rows: Number of rows it may touch, (p,); 0 where it is not drawn.
    """

    eye: Floats
    side: Floats
    within: Mask
    near: Floats
    far: Floats
    closer: Floats
    ray: Floats
    top: Whole
    rows: Whole


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spans:
    """Runs of pixels in a row, ordered by primitive and row; all arrays (s,).

    Attributes:
        owner: Primitive.
        row: Row of the picture.
        begin: First column.
        length: Number of pixels.
    """

    owner: Whole
    row: Whole
    begin: Whole
    length: Whole


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fragments:
    """Pixels of spans.

    Attributes:
        pixel: Place in the picture, counted row by row, (k,).
        owner: Primitive, (k,).
        inverse: Inverse depth of the surface, (k,), 1/m; 0 where the ray misses.
        values: For a box the inverse depths of the planes entered across each axis, for a round primitive the
            direction of the ray in its frame, (3, k).
    """

    pixel: Whole
    owner: Whole
    inverse: Floats
    values: Floats


def look(scene: Scene, placed: Placed, lens: Lens, width: int, height: int, which: Mask | None) -> Seen:
    """Bring the eye and the rays into the frames of the primitives, and find the rows that they may touch.

    Args:
        scene: The primitives.
        placed: Where they are.
        lens: The camera.
        width: Pixels.
        height: Pixels.
        which: Which primitives to draw, (p,); all if not given.
    """
    turn, half = placed.turn, scene.half[:, None, :]
    focal = lens.focal * height
    middle = 0.5 * width - 0.5, 0.5 * height - 0.5
    away = placed.at - lens.eye
    # An eye exactly in a plane would divide by zero.
    eye = ((away[:, None, :] @ turn) / half)[:, 0, :].T * -(1.0 + 1e-12)
    right, down, ahead = lens.axes
    rays = np.array([right / focal, down / focal, ahead])
    rays[2] -= middle[0] * rays[0] + middle[1] * rays[1]
    ray = np.ascontiguousarray(((rays @ turn) / half).transpose(1, 2, 0))
    side = np.where(eye < 0.0, -1.0, 1.0)
    within = np.abs(eye) < 1.0

    # How far each reaches down, ahead, and to the inside of the four planes that bound the view.
    wide, high = ahead * (0.5 * width / focal), ahead * (0.5 * height / focal)
    ways = np.array([down, ahead, wide - right, wide + right, high - down, high + down])
    edges, middles = (ways @ turn) * half, away @ ways.T
    reach = np.abs(edges).sum(axis=2)
    nearest = middles[:, 1] - reach[:, 1]
    drawn = (nearest < lens.far) & ~within.all(axis=0) & (middles + reach > 0.0)[:, 1:].all(axis=1)
    if which is not None:
        drawn &= which
    corners = edges[:, :2] @ CORNERS + middles[:, :2, None]
    y = corners[:, 0] / corners[:, 1] * focal + middle[1]
    # What reaches behind the eye may touch any row.
    top = np.where(nearest > lens.near, np.ceil(y.min(axis=1)), 0.0).clip(0, height).astype(np.intp)
    last = np.where(nearest > lens.near, np.floor(y.max(axis=1)), height).clip(-1, height - 1).astype(np.intp)
    closer = 1.0 + CLOSER * np.arange(len(y), dtype=np.float64)
    return Seen(
        eye=eye,
        side=side,
        within=within,
        near=closer / (side - eye),
        far=-1.0 / (side + eye),
        closer=closer,
        ray=ray,
        top=top,
        rows=np.where(drawn, np.maximum(last - top + 1, 0), 0),
    )


def outline(seen: Seen, width: int) -> Spans:
    """What the outline of each primitive's box leaves of each row.

    Args:
        seen: The primitives.
        width: Pixels.
    """
    near, far = seen.ray * seen.near, seen.ray * seen.far
    # Inverse depth entered minus inverse depth left, as coefficients of column, row and 1.
    enter = near[:, FIRST]
    lines = np.where(seen.within[FIRST], near[:, SECOND] - enter, enter - far[:, SECOND])
    void = seen.within[FIRST] & seen.within[SECOND]
    lines *= ~void
    lines[2] += void
    end = seen.rows.cumsum()
    owner = np.arange(len(end)).repeat(seen.rows)
    row = np.arange(len(owner)) - (end - seen.rows - seen.top).take(owner)
    slope, by_row, rest = lines.reshape(18, -1).take(owner, axis=1).reshape(3, 6, -1)
    rising = slope >= 0.0
    cut = (by_row * row + rest) / np.where(slope == 0.0, -1e-30, -slope)
    left = np.where(rising, cut, -np.inf).max(axis=0)
    right = np.where(rising, np.inf, cut).min(axis=0)
    begin = np.ceil(left.clip(0.0, width)).astype(np.intp)
    stop = np.floor(right.clip(-1.0, width - 1)).astype(np.intp) + 1
    return Spans(owner=owner, row=row, begin=begin, length=np.maximum(stop - begin, 0))


def fill(scene: Scene, seen: Seen, spans: Spans, width: int) -> Fragments:
    """All pixels of all spans.

    Args:
        scene: The primitives.
        seen: As the eye sees them.
        spans: What to fill.
        width: Pixels.
    """
    boxes, length = scene.boxes, spans.length
    affine = np.where(seen.within, np.array([0.0, 0.0, NEVER])[:, None, None], seen.ray * seen.near)
    affine[:, :, boxes:] = seen.ray[:, :, boxes:]
    slope, by_row, rest = affine.reshape(9, -1).take(spans.owner, axis=1).reshape(3, 3, -1)
    end = length.cumsum()
    owner = spans.owner.repeat(length)
    column = np.arange(len(owner)) - (end - length - spans.begin).repeat(length)
    values = slope.repeat(length, axis=1)
    values *= column
    values += (by_row * spans.row + rest).repeat(length, axis=1)
    split = int(owner.searchsorted(boxes))
    inverse = np.empty(len(owner))
    a, b, c = values[:, :split]
    np.minimum(np.minimum(a, b), c, out=inverse[:split])
    if split < len(owner):
        inverse[split:] = _round(scene, seen, np.bincount(owner[split:])[boxes:], values[:, split:])
    pixel = (spans.row * width).repeat(length) + column
    return Fragments(pixel=pixel, owner=owner, inverse=inverse, values=values)


def _round(scene: Scene, seen: Seen, counts: Whole, ray: Floats) -> Floats:
    """Inverse depth of cylinders and balls, 0 where the ray misses.

    The mantle is where |w eye + ray|^2 = w^2 for inverse depth w, in x and y, for a ball in x, y and z.

    Args:
        scene: The primitives.
        seen: As the eye sees them.
        counts: How many pixels belong to each round primitive, from the first to the last that has any.
        ray: Direction of the rays in their frames, (3, k).
    """
    some = slice(scene.boxes, scene.boxes + len(counts))
    x, y, z = seen.eye[:, some]
    ball = scene.ball[some]
    near, far, within = seen.near[2, some], seen.far[2, some], seen.within[2, some]
    square = x * x + y * y + ball * z * z - 1.0
    square = np.where(np.abs(square) < 1e-9, 1e-9, square)
    uncapped = within | (ball > 0.0)
    near, far = near * (1.0 - ball), far * (1.0 - ball)
    table = np.array(
        [
            x, y, ball * z, ball, square, seen.closer[some] / square, far,
            np.where(uncapped, 0.0, near), np.where(uncapped, NEVER, 0.0), np.where(within, near, far),
        ]
    )  # fmt: skip
    x, y, z, ball, square, inverse_square, far, enter, never, leave = table.repeat(counts, axis=1)
    dx, dy, dz = ray
    along = x * dx + y * dy + z * dz
    inside = along * along - square * (dx * dx + dy * dy + ball * dz * dz)
    root = np.sqrt(np.maximum(inside, 0.0))
    surface: Floats = np.minimum(np.where(square > 0.0, (root - along) * inverse_square, NEVER), dz * enter + never)
    left = np.maximum(np.maximum(dz * far, dz * leave), (root + along) * -inverse_square)
    surface[(inside < 0.0) | (surface < left)] = 0.0
    return surface
