"""Shapes of a power driver with a square handle and of the bolt on its bit; the origin is the handle's middle."""

from math import pi, tan

from ..body import Box, Colour, Cylinder, Shape, about_z

HANDLE, HANDLE_HEIGHT = 0.020, 0.040  # m; the driver's origin is the handle's middle
FLANGE = 0.028  # m, width of the flange below the handle, which rests on the holder
BIT = 0.035  # m from the origin down to the end of the bit
HEAD, HEAD_HEIGHT = 0.018, 0.010  # m, of the bolt
THREAD = 0.012  # m, length of the thread
POINT, POINT_RADIUS = 0.006, 0.005  # m, of the bolt's dog point
LENGTH = HEAD_HEIGHT + THREAD + POINT  # m, of the bolt
BIT_RADIUS, RECESS = 0.004, 0.004  # m, of the bit and of the walls that lead it
TIP = BIT + LENGTH  # m from the origin down to the bolt's tip
AMBER: Colour = (0.95, 0.62, 0.10, 1.0)
DARK: Colour = (0.20, 0.21, 0.24, 1.0)
ZINC: Colour = (0.75, 0.77, 0.80, 1.0)


def driver_shapes() -> tuple[Shape, ...]:
    """Handle, flange and bit."""
    h, up, f = 0.5 * HANDLE, 0.5 * HANDLE_HEIGHT, 0.5 * FLANGE
    long = 0.5 * (BIT - up)
    return (
        Box(half=(h, h, up), colour=AMBER),
        Box(half=(f, f, 0.002), at=(0.0, 0.0, 0.002 - up), colour=DARK),
        *prism(BIT_RADIUS, 2.0 * long, -up - long, DARK),
    )


def prism(radius: float, height: float, middle: float, colour: Colour) -> tuple[Box, ...]:
    """A bar of eight sides along z."""
    half = (radius, radius * tan(pi / 8.0), 0.5 * height)
    return tuple(Box(half=half, at=(0.0, 0.0, middle), turn=about_z(k * pi / 4.0), colour=colour) for k in range(4))


def socket_shapes(top: float) -> tuple[Shape, ...]:
    """Walls on a bolt's head that lead the bit, of any yaw, as the recess of a socket head does.

    Args:
        top: Height of the head's upper face, m.
    """
    z, inner, w = top + 0.5 * RECESS, BIT_RADIUS + 0.001, 0.001
    walls: list[Shape] = []
    for side in (-1.0, 1.0):
        walls.append(Box(half=(inner + 2.0 * w, w, 0.5 * RECESS), at=(0.0, side * (inner + w), z), colour=ZINC))
        walls.append(Box(half=(w, inner, 0.5 * RECESS), at=(side * (inner + w), 0.0, z), colour=ZINC))
    return tuple(walls)


def bolt_shapes(top: float) -> tuple[Shape, ...]:
    """A bolt whose head's upper face is at a height: square head, thread, and an eight-sided point.

    Args:
        top: m.
    """
    under = top - HEAD_HEIGHT
    middle = under - THREAD - 0.5 * POINT
    return (
        Box(half=(0.5 * HEAD, 0.5 * HEAD, 0.5 * HEAD_HEIGHT), at=(0.0, 0.0, top - 0.5 * HEAD_HEIGHT), colour=ZINC),
        Cylinder(radius=0.008, height=THREAD, at=(0.0, 0.0, under - 0.5 * THREAD), colour=ZINC, solid=False),
        *prism(POINT_RADIUS, POINT, middle, ZINC),
    )
