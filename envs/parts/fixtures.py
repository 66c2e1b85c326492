"""Fixtures that several tasks use: blocks with a square, chamfered hole, and flat trays with a rim.

Boxes only: Bullet rounds the rims of cylinders by its margin, and pegs then slip into holes too small for them.
"""

from math import cos, pi, sin

from ..body import Body, Box, Colour, about, about_z, times

STEEL: Colour = (0.36, 0.42, 0.52, 1.0)
BRIGHT: Colour = (0.22, 0.50, 0.80, 1.0)


def hole_block(
    name: str,
    hole: float,
    *,
    depth: float,
    floor: float = 0.002,
    wall: float = 0.012,
    chamfer: float = 0.002,
    relief: float = 0.00004,
    friction: float = 0.12,
    colour: Colour = STEEL,
    edge: Colour = BRIGHT,
) -> Body:
    """A block with a square hole: a floor, four walls, and four slabs that make the chamfer of its mouth.

    Args:
        name: Its name.
        hole: Width of the hole, m.
        depth: Of the hole, chamfer included, m.
        floor: Thickness of the block below the hole, m.
        wall: Thickness of the block around the hole, m.
        chamfer: Width of the chamfer, m; 0 for a sharp mouth.
        relief: How far the walls stand back below a chamfer, whose lower edges then make the fit, m. What slides down a
            chamfer sinks into it a little, and would come to stand on the walls' upper edges.
        friction: Coefficient.
        colour: Of the block.
        edge: Of the chamfer.
    """
    a, top = 0.5 * hole, floor + depth
    outer, low = a + wall, top - chamfer
    b = a + (relief if chamfer > 0.0 else 0.0)
    boxes = [Box(half=(outer, outer, 0.5 * floor), at=(0.0, 0.0, 0.5 * floor), colour=colour)]
    z, half, w = 0.5 * (floor + low), 0.5 * (low - floor), 0.5 * (outer - b)
    for side in (-1.0, 1.0):
        boxes.append(Box(half=(outer, w, half), at=(0.0, side * (b + w), z), colour=colour))
        boxes.append(Box(half=(w, b, half), at=(side * (b + w), 0.0, z), colour=colour))
    if chamfer > 0.0:
        # Slabs 1 mm thick whose upper faces rise at 45 degrees from the edge of the hole.
        t, length = 0.0005, 0.5 * chamfer * 2.0**0.5
        out, up = a + 0.5 * chamfer + t * 0.5**0.5, low + 0.5 * chamfer - t * 0.5**0.5
        for k in range(4):
            angle = 0.5 * pi * k
            turn = times(about_z(angle), about((0.0, 1.0, 0.0), -0.25 * pi))
            at = (cos(angle) * out, sin(angle) * out, up)
            boxes.append(Box(half=(length, a + chamfer, t), at=at, turn=turn, colour=edge))
    return Body(name=name, boxes=tuple(boxes), friction=friction)


def tray(
    name: str, *, inner: tuple[float, float], wall: float, rim: float, floor: float, colour: Colour, ground: Colour
) -> Body:
    """A flat fixture with a rim all around: a nest, a bin, a pallet.

    Args:
        name: Its name.
        inner: Free width along x and y, m.
        wall: Thickness of the rim, m.
        rim: Height of the rim above the floor, m; 0 for none.
        floor: Thickness of the floor, m.
        colour: Of the rim.
        ground: Of the floor.
    """
    a, b = 0.5 * inner[0], 0.5 * inner[1]
    plate = Box(half=(a + wall, b + wall, 0.5 * floor), at=(0.0, 0.0, 0.5 * floor), colour=ground)
    if rim <= 0.0:
        return Body(name=name, boxes=(plate,))
    half = 0.5 * (floor + rim)
    walls = [
        Box(half=(a + wall, 0.5 * wall, half), at=(0.0, side * (b + 0.5 * wall), half), colour=colour)
        for side in (-1.0, 1.0)
    ] + [
        Box(half=(0.5 * wall, b, half), at=(side * (a + 0.5 * wall), 0.0, half), colour=colour) for side in (-1.0, 1.0)
    ]
    return Body(name=name, boxes=(plate, *walls))
