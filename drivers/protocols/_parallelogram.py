"""Two links in a plane whose motor angles both count from the horizontal, as parallelogram arms have them.

radius = a cos(first) + b cos(second)        first: the lower link above the horizontal
height = a sin(first) - b sin(second)        second: the upper link below it
"""

import math


def tip(first: float, second: float, a: float, b: float) -> tuple[float, float]:
    """Where the end of the second link is.

    Args:
        first: Elevation of the first link, rad.
        second: Depression of the second link, rad.
        a: Length of the first link, m.
        b: Length of the second link, m.

    Returns:
        Radius and height from the foot of the first link, m.
    """
    return a * math.cos(first) + b * math.cos(second), a * math.sin(first) - b * math.sin(second)


def angles(radius: float, height: float, a: float, b: float) -> tuple[float, float] | None:
    """Both angles that put the end of the second link somewhere, with the elbow up.

    Args:
        radius: From the foot of the first link, m.
        height: From the foot of the first link, m.
        a: Length of the first link, m.
        b: Length of the second link, m.

    Returns:
        Elevation of the first and depression of the second link, rad; None out of reach.
    """
    reach = math.hypot(radius, height)
    if reach < 1e-9:
        return None
    at_foot = (reach * reach + a * a - b * b) / (2.0 * reach * a)
    at_end = (reach * reach + b * b - a * a) / (2.0 * reach * b)
    if not (abs(at_foot) <= 1.0 and abs(at_end) <= 1.0):
        return None
    elevation = math.atan2(height, radius)
    return math.acos(at_foot) + elevation, math.acos(at_end) - elevation
