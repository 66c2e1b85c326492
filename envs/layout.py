"""Where things stand in a cell: places in metres around the middle of an arm's reach, so one layout serves all arms.

Fingers need much room in the direction in which they close and little across it. Rows of places therefore stand across
the closing direction, whichever it is at an arm's home.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import cos, pi, sin

import numpy as np

from ..robots.catalogue import load_robot
from ..robots.description import RobotDescription
from ..robots.kinematics import Kinematics
from .body import UPRIGHT, Body, Box, Colour, Quaternion, Triple, about_z

Seat = tuple[float, float, float, float]  # x, y, z in m, yaw in rad

ABSENT: tuple[Triple, Quaternion] = ((0.0, 0.0, -1.0), UPRIGHT)  # of a part that is not in the cell yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One loose part.

    Attributes:
        name: Its name in the cell.
        size: Extents along its own x (the side that is gripped), y and z, m.
        mass: kg.
        colour: RGBA.
        kind: Number of its type.
        friction: Coefficient.
        marking: Thin boxes on it that are only seen.
    """

    name: str
    size: Triple
    mass: float
    colour: Colour
    kind: int = 0
    friction: float = 1.0
    marking: tuple[Box, ...] = ()

    def body(self) -> Body:
        """As the cell takes it."""
        x, y, z = self.size
        block = Box(half=(0.5 * x, 0.5 * y, 0.5 * z), colour=self.colour)
        return Body(name=self.name, boxes=(block, *self.marking), mass=self.mass, friction=self.friction)


@cache
def _closing(name: str) -> float:
    robot = load_robot(name)
    x, y, _ = Kinematics(robot).forward(robot.home).x_axis
    return 0.5 * pi if abs(y) > abs(x) else 0.0


def closing_direction(robot: RobotDescription) -> float:
    """Yaw of the closing direction at home, rad: 0 outward, half pi along the arc."""
    return _closing(robot.name)


def around(robot: RobotDescription, out: float, arc: float) -> tuple[float, float, float]:
    """A place by its distance from the middle of the reach: outward and along the arc, m.

    Returns:
        x, y in m and the azimuth there, rad.
    """
    reach = robot.reach
    middle = 0.5 * (reach.radius[0] + reach.radius[1])
    azimuth = arc / middle
    r = middle + out
    return reach.axis[0] + r * cos(azimuth), reach.axis[1] + r * sin(azimuth), azimuth


def scatter(
    robot: RobotDescription,
    parts: Sequence[Part],
    rng: np.random.Generator,
    *,
    rows: int,
    gap: float,
    pitch: float,
    centre: tuple[float, float] = (0.0, 0.0),
    jitter: float = 0.005,
    turn: float = 0.35,
) -> list[tuple[Triple, Quaternion]]:
    """Draw places on the table for all parts, level, with room for the fingers around each.

    Fingers need much room in the closing direction and little across it: places are a grid of rows that stand
    across it, each place jittered and turned, and parts are dealt to them at random.

    Args:
        robot: The arm.
        parts: What is laid out.
        rng: Generator.
        rows: Rows, one behind the other in the closing direction.
        gap: Between rows, m.
        pitch: Between places in a row, m.
        centre: Middle of the grid: outward from the middle of the reach and along the arc, m.
        jitter: By which a place may be off in each direction, m.
        turn: Largest yaw away from the closing direction, rad.
    """
    closing = closing_direction(robot)
    columns = -(-len(parts) // rows)
    places = [
        ((row - 0.5 * (rows - 1)) * gap, (column - 0.5 * (columns - 1)) * pitch)
        for row in range(rows)
        for column in range(columns)
    ]
    found = []
    for part, place in zip(parts, rng.permutation(len(places)).tolist(), strict=False):
        along, across = (v + rng.uniform(-jitter, jitter) for v in places[place])
        out, arc = (across, along) if closing else (along, across)
        x, y, azimuth = around(robot, centre[0] + out, centre[1] + arc)
        yaw = azimuth + closing + rng.uniform(-turn, turn)
        found.append(((x, y, 0.5 * part.size[2]), about_z(yaw)))
    return found


def frame_point(seat: Seat, x: float, y: float) -> tuple[float, float]:
    """x, y in m of a point given in the frame of a fixture that stands at x, y and yaw of `seat`."""
    c, s = cos(seat[3]), sin(seat[3])
    return seat[0] + c * x - s * y, seat[1] + s * x + c * y
