"""Where the flange of a Dobot Magician is at its joints, and back: a parallelogram on a turret.

The second joint counts from upright, the third from level; the fourth turns the flange.
"""

import math
from collections.abc import Sequence

from . import _parallelogram

REAR, FORE = 0.135, 0.147  # m: the two links
Pose = tuple[float, float, float, float]


def tip(angles: Sequence[float]) -> Pose:
    """Where the flange is: x, y, z in m and its turn in rad.

    Args:
        angles: The four joints, rad.
    """
    radius, height = _parallelogram.tip(math.pi / 2.0 - angles[1], angles[2], REAR, FORE)
    turn = angles[0]
    return radius * math.cos(turn), radius * math.sin(turn), height, turn + angles[3]


def reach(x: float, y: float, z: float, turn: float) -> Pose | None:
    """Joints that put the flange somewhere; None out of reach.

    Args:
        x: Ahead, m.
        y: To the left, m.
        z: Above the shoulder, m.
        turn: Of the flange, rad.
    """
    found = _parallelogram.angles(math.hypot(x, y), z, REAR, FORE)
    if found is None:
        return None
    base = math.atan2(y, x)
    return base, math.pi / 2.0 - found[0], found[1], turn - base
