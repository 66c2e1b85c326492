"""Which of several cubes that lie about can be taken next, and along which of its axes: where fingers have room.

What a bin-picking controller computes from its camera's picture of the bin. A vertical tool grips a cube by two faces
that stand upright, so one of the cube's axes must be level; both fingers need a place beside it, between the
neighbours and inside the walls, and nothing may lie on top.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, hypot, sin

from ..body import Quaternion, Triple
from ..layout import Seat

LEVEL = 0.17  # rad by which a gripped axis may slope
NEAR = 0.0155  # m from a 24 mm cube's middle at which an open finger begins
HALF_FINGER = 0.0115  # m, across
TIP = 0.006  # m below the middle of a gripped part that fingers reach
LAYER = 0.008  # m of height that count as higher


@dataclass(frozen=True, slots=True, kw_only=True)
class Grasp:
    """A way to take a part.

    Attributes:
        part: Its number.
        axis: Which of its axes lies along the closing direction.
        room: Least distance of a finger to anything else, m; negative where it would touch.
        height: Of the part's middle, m.
    """

    part: int
    axis: int
    room: float
    height: float


def axes_of(turn: Quaternion) -> tuple[Triple, Triple, Triple]:
    """The three axes of a body in the world."""
    x, y, z, w = turn
    return (
        (1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)),
        (2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)),
        (2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)),
    )


def grasps(
    poses: Sequence[tuple[Triple, Quaternion]],
    wanted: Sequence[int],
    *,
    half: float,
    far: float,
    box: Seat,
    inner: tuple[float, float],
) -> list[Grasp]:
    """All ways to take one of some cubes, roomy or not.

    Args:
        poses: Of all cubes in the bin.
        wanted: Numbers of those that may be taken.
        half: Half their edge, m.
        far: Where an open finger ends, m from a cube's middle.
        box: Where the bin stands.
        inner: Its free width along its x and y, m.
    """
    axes = [axes_of(turn) for _, turn in poses]
    found = []
    for k in wanted:
        at = poses[k][0]
        others = [(p, a) for j, ((p, _), a) in enumerate(zip(poses, axes, strict=True)) if j != k]
        covered = any(p[2] > at[2] + half and hypot(p[0] - at[0], p[1] - at[1]) < 1.8 * half for p, _ in others)
        for axis, (x, y, z) in enumerate(axes[k]):
            if abs(z) > sin(LEVEL):
                continue
            length = hypot(x, y)
            along = (x / length, y / length)
            room = min(
                min(_room(at, along, side, others, half, far), _inside(at, along, side, box, inner, far))
                for side in (-1.0, 1.0)
            )
            found.append(Grasp(part=k, axis=axis, room=room - (0.05 if covered else 0.0), height=at[2]))
    return found


def best(found: Sequence[Grasp], failed: Mapping[tuple[int, int], int], enough: float = 0.001) -> Grasp:
    """The highest with enough room, of equally high ones the roomiest; those that failed before come later."""

    def rank(grasp: Grasp) -> tuple[bool, int, int, float]:
        vain = failed.get((grasp.part, grasp.axis), 0)
        roomy = grasp.room >= enough and not vain
        return roomy, -vain, round(grasp.height / LAYER) if roomy else 0, grasp.room

    return max(found, key=rank)


def _room(
    at: Triple,
    along: tuple[float, float],
    side: float,
    others: Sequence[tuple[Triple, tuple[Triple, Triple, Triple]]],
    half: float,
    far: float,
) -> float:
    """Distance of one finger to the nearest cube that rises above its tip, m."""
    c, s = along
    middle, reach = side * 0.5 * (NEAR + far), 0.5 * (far - NEAR)
    room = 0.05
    for (x, y, z), axes in others:
        if z + half * sum(abs(a[2]) for a in axes) < at[2] - TIP:
            continue
        dx, dy = x - at[0], y - at[1]
        u, v = c * dx + s * dy - middle, c * dy - s * dx
        wide = half * sum(abs(c * a[0] + s * a[1]) for a in axes)
        deep = half * sum(abs(c * a[1] - s * a[0]) for a in axes)
        room = min(room, max(abs(u) - reach - wide, abs(v) - HALF_FINGER - deep))
    return room


def _inside(
    at: Triple, along: tuple[float, float], side: float, box: Seat, inner: tuple[float, float], far: float
) -> float:
    """Distance of one finger to the nearest wall, m."""
    c, s = along
    room = 0.05
    for out in (NEAR, far):
        for across in (-HALF_FINGER, HALF_FINGER):
            x = at[0] + side * out * c - across * s - box[0]
            y = at[1] + side * out * s + across * c - box[1]
            u, v = cos(box[3]) * x + sin(box[3]) * y, cos(box[3]) * y - sin(box[3]) * x
            room = min(room, 0.5 * inner[0] - abs(u), 0.5 * inner[1] - abs(v))
    return room
