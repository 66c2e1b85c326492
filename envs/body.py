"""What a body is made of: boxes and cylinders, and movers that slide or turn on it.

A body without mass is a fixture. One with movers is a mechanism - a door, a button, a gear on its shaft - and is
handed to the engine as a URDF, which alone gives joints their stops.
"""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import acos, asin, atan2, cos, dist, pi, sin, sqrt

Triple = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Colour = tuple[float, float, float, float]

UPRIGHT: Quaternion = (0.0, 0.0, 0.0, 1.0)
GREY: Colour = (0.7, 0.7, 0.7, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A box of a body, in the body's frame.

    Attributes:
        half: Half extents, m.
        at: Centre, m.
        turn: Orientation xyzw.
        colour: RGBA.
        solid: Whether it collides; a mere marking does not.
    """

    half: Triple
    at: Triple = (0.0, 0.0, 0.0)
    turn: Quaternion = UPRIGHT
    colour: Colour = GREY
    solid: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Cylinder:
    """A cylinder of a body along its own z, in the body's frame.

    Its rim is rounded by Bullet's margin, so it must not decide whether something fits: make pegs and holes of boxes.

    Attributes:
        radius: m.
        height: m.
        at: Centre, m.
        turn: Orientation xyzw.
        colour: RGBA.
        solid: Whether it collides; a mere marking does not.
    """

    radius: float
    height: float
    at: Triple = (0.0, 0.0, 0.0)
    turn: Quaternion = UPRIGHT
    colour: Colour = GREY
    solid: bool = True


Shape = Box | Cylinder


@dataclass(frozen=True, slots=True, kw_only=True)
class Mover:
    """A part of a fixture that slides along or turns about one axis.

    Attributes:
        name: Its name within the body.
        shapes: Its shapes, in its own frame, which stands at `at` when the joint is at 0.
        mass: kg.
        kind: "slide" (m) or "hinge" (rad).
        axis: Direction in the body's frame.
        at: Place of its frame in the body's frame, m.
        lower: Stop, m or rad; at or above `upper` for a joint without stops.
        upper: Stop, m or rad.
        friction: Force in N or torque in N m that must be overcome to move it.
        spring: Force in N or torque in N m with which it goes back to 0; takes the place of friction.
    """

    name: str
    shapes: tuple[Shape, ...]
    mass: float
    kind: str
    axis: Triple
    at: Triple = (0.0, 0.0, 0.0)
    lower: float = 0.0
    upper: float = 0.0
    friction: float = 0.0
    spring: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A part or fixture.

    Attributes:
        name: Its name in the cell.
        boxes: Its shapes.
        mass: kg; 0 for a fixture that nothing moves.
        friction: Coefficient; Bullet multiplies those of the two bodies in contact.
        movers: What slides or turns on it; only fixtures have such.
    """

    name: str
    boxes: tuple[Shape, ...]
    mass: float = 0.0
    friction: float = 1.0
    movers: tuple[Mover, ...] = ()


def scaled(body: Body, size: float) -> Body:
    """The same part larger or smaller by a factor, of the same density, its underside where it was."""
    low = min(s.at[2] - (s.half[2] if isinstance(s, Box) else 0.5 * s.height) for s in body.boxes if s.solid)
    lift = low - size * low

    def grown(shape: Shape) -> Shape:
        x, y, z = shape.at
        at = (size * x, size * y, size * z + lift)
        if isinstance(shape, Box):
            a, b, c = shape.half
            return replace(shape, at=at, half=(size * a, size * b, size * c))
        return replace(shape, at=at, radius=size * shape.radius, height=size * shape.height)

    return replace(body, boxes=tuple(grown(s) for s in body.boxes), mass=body.mass * size**3)


def about_z(yaw: float) -> Quaternion:
    """Quaternion xyzw of a turn about the vertical, rad."""
    return 0.0, 0.0, sin(0.5 * yaw), cos(0.5 * yaw)


def about(axis: Triple, angle: float) -> Quaternion:
    """Quaternion xyzw of a turn by an angle in rad about a unit axis."""
    s = sin(0.5 * angle)
    return axis[0] * s, axis[1] * s, axis[2] * s, cos(0.5 * angle)


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


@lru_cache(maxsize=64)  # parts lie still most of the time, and several ask
def yaw_and_tilt(orientation: Quaternion, symmetry: int) -> tuple[float, float]:
    """Yaw of a part about the vertical and the tilt of its nearest face from level, rad.

    A part of symmetry 4 is a cube: any face may lie below. Others must stand on their own base.

    Args:
        orientation: Quaternion xyzw.
        symmetry: Number of yaw turns under which the part looks the same.
    """
    x, y, z, w = orientation
    rotation = (
        (1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)),
        (2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)),
        (2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)),
    )
    if symmetry == 4:
        up = max(range(3), key=lambda k: abs(rotation[k][2]))
        side = rotation[(up + 1) % 3]
        rise = abs(rotation[up][2])
    else:
        side = rotation[0]
        rise = rotation[2][2]
    yaw = atan2(side[1], side[0])
    turn = 2.0 * pi / symmetry
    yaw -= turn * round(yaw / turn)
    return yaw, atan2(sqrt(max(0.0, 1.0 - rise * rise)), rise)


def motion_between(
    before: tuple[Triple, Quaternion], after: tuple[Triple, Quaternion], dt: float
) -> tuple[float, float]:
    """Mean speed in m/s and angular speed in rad/s between two poses of a body.

    Of a part that lies tight, the engine's own velocities are what its solver will take back in the next substep.

    Args:
        before: Position in m and quaternion xyzw.
        after: The same `dt` later.
        dt: s.
    """
    if before == after:
        return 0.0, 0.0
    cosine = abs(sum([p * q for p, q in zip(before[1], after[1], strict=True)]))
    spin = 2.0 * acos(min(cosine, 1.0)) / dt if cosine < 1.0 - 1e-15 else 0.0
    return min(dist(before[0], after[0]) / dt, 20.0), min(spin, 500.0)


def mechanism_urdf(body: Body) -> str:
    """A URDF of a fixture with movers; link 0 is the base, movers follow in their order."""
    root = ET.Element("robot", name=body.name)
    _link(root, "base", body.boxes, 1.0)
    for mover in body.movers:
        _link(root, mover.name, mover.shapes, mover.mass)
        limited = mover.lower < mover.upper
        kind = "prismatic" if mover.kind == "slide" else "revolute" if limited else "continuous"
        joint = ET.SubElement(root, "joint", name=mover.name, type=kind)
        ET.SubElement(joint, "parent", link="base")
        ET.SubElement(joint, "child", link=mover.name)
        ET.SubElement(joint, "origin", xyz=_numbers(mover.at))
        ET.SubElement(joint, "axis", xyz=_numbers(mover.axis))
        low, high = (mover.lower, mover.upper) if limited else (1.0, -1.0)
        ET.SubElement(joint, "limit", lower=repr(low), upper=repr(high), effort="1000", velocity="100")
    ET.indent(root)  # Bullet reads lines of 8 kB and puts a line break where one is longer
    return ET.tostring(root, encoding="unicode")


def _link(root: ET.Element, name: str, shapes: Sequence[Shape], mass: float) -> None:
    link = ET.SubElement(root, "link", name=name)
    inertial = ET.SubElement(link, "inertial")
    ET.SubElement(inertial, "mass", value=repr(mass))
    # As of a solid box around all shapes: what matters is the order of magnitude, friction and stops decide.
    half = [
        max(abs(s.at[k]) + (s.half[k] if isinstance(s, Box) else max(s.radius, 0.5 * s.height)) for s in shapes)
        for k in range(3)
    ]
    moments = [mass / 3.0 * (half[(k + 1) % 3] ** 2 + half[(k + 2) % 3] ** 2) for k in range(3)]
    names = ("ixx", "iyy", "izz")
    ET.SubElement(
        inertial,
        "inertia",
        {**dict.fromkeys(("ixy", "ixz", "iyz"), "0"), **{n: repr(m) for n, m in zip(names, moments, strict=True)}},
    )
    for k, shape in enumerate(shapes):
        _shape(link, "visual", shape, f"{name}_{k}")
        if shape.solid:
            _shape(link, "collision", shape, f"{name}_{k}")


def _shape(link: ET.Element, kind: str, shape: Shape, name: str) -> None:
    element = ET.SubElement(link, kind)
    x, y, z, w = shape.turn
    roll = atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = asin(max(-1.0, min(1.0, 2 * (w * y - z * x))))
    yaw = atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    ET.SubElement(element, "origin", xyz=_numbers(shape.at), rpy=_numbers((roll, pitch, yaw)))
    geometry = ET.SubElement(element, "geometry")
    if isinstance(shape, Box):
        ET.SubElement(geometry, "box", size=_numbers([2.0 * h for h in shape.half]))
    else:
        ET.SubElement(geometry, "cylinder", radius=repr(shape.radius), length=repr(shape.height))
    if kind == "visual":
        material = ET.SubElement(element, "material", name=name)
        ET.SubElement(material, "color", rgba=_numbers(shape.colour))


def _numbers(values: Sequence[float]) -> str:
    return " ".join(repr(float(v)) for v in values)
