"""Square holes with a chamfered mouth, made of boxes: pockets of racks, blocks with a fit, nests for nuts.

Boxes only: Bullet rounds the rims of cylinders by its margin, and pegs then slip into holes too small for them.
"""

from math import cos, pi, sin

from .body import Body, Box, Colour, Quaternion, about, about_z

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


def times(p: Quaternion, q: Quaternion) -> Quaternion:
    """Product of two rotations, q first."""
    px, py, pz, pw = p
    qx, qy, qz, qw = q
    return (
        pw * qx + px * qw + py * qz - pz * qy,
        pw * qy - px * qz + py * qw + pz * qx,
        pw * qz + px * qy - py * qx + pz * qw,
        pw * qw - px * qx - py * qy - pz * qz,
    )
