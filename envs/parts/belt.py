"""A conveyor: what lies on it rides along, and what is to be gripped there must be led.

Bullet lets a fixture that has a velocity glide without ever getting anywhere in its solver's eyes, so that friction
sees the surface speed of a belt. The gliding box is long enough for an episode and not drawn; the frame that is drawn
stands still and touches nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...robots.description import RobotDescription
from ..body import Body, Box, Colour, Triple
from ..cell import Cell

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

RUBBER: Colour = (0.20, 0.22, 0.25, 1.0)
STEEL: Colour = (0.55, 0.60, 0.66, 1.0)
HOOD: Colour = (0.30, 0.42, 0.58, 1.0)
YELLOW: Colour = (0.95, 0.75, 0.10, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Belt:
    """A straight belt that runs towards -y.

    Attributes:
        x: Of its middle line, m.
        first: y of its upstream end, m.
        last: y of its downstream end, m.
        width: m.
        top: Height of its surface above the table, m.
        travel: How far it may run in an episode, m.
    """

    x: float
    first: float
    last: float
    width: float
    top: float
    travel: float

    @property
    def feed(self) -> float:
        """Where parts come onto it, under a hood: y in m."""
        return self.first - 0.020

    def build(self, cell: Cell) -> None:
        """Add the moving surface, the frame and the feeder's hood."""
        half = 0.5 * (self.first - self.last) + self.travel
        rubber = Box(half=(0.5 * self.width, half, 0.5 * self.top), colour=(0.0, 0.0, 0.0, 0.0))
        cell.add(Body(name="belt", boxes=(rubber,)))
        length, w = 0.5 * (self.first - self.last), 0.5 * self.width
        half_top, side = 0.5 * self.top, (0.003, length, 0.5 * self.top + 0.001)
        frame = [Box(half=(w, length, half_top), colour=RUBBER, solid=False)]
        for s in (-1.0, 1.0):
            frame.append(Box(half=side, at=(s * (w + 0.003), 0.0, 0.0), colour=STEEL, solid=False))
            end = (0.0, s * (length - 0.004), half_top)
            frame.append(Box(half=(w, 0.002, 0.0003), at=end, colour=YELLOW, solid=False))
            post = (s * (w + 0.010), length - 0.020, half_top + 0.028)
            frame.append(Box(half=(0.003, 0.020, 0.030), at=post, colour=HOOD, solid=False))
        roof = (0.0, length - 0.020, half_top + 0.058)
        frame.append(Box(half=(w + 0.013, 0.020, 0.002), at=roof, colour=HOOD, solid=False))
        cell.add(Body(name="belt_frame", boxes=tuple(frame)))

    def start(self, cell: Cell, speed: float) -> None:
        """Put it in its place and let it run.

        Args:
            cell: The cell.
            speed: m/s.
        """
        at = (self.x, 0.5 * (self.first + self.last), 0.5 * self.top)
        cell.place("belt_frame", at)
        cell.place("belt", at)
        cell.drive("belt", (0.0, -speed, 0.0))

    def carries(self, position: Triple, height: float) -> bool:
        """Whether a part rides on it.

        Args:
            position: Of the part's centre, m.
            height: Of the part, m.
        """
        beside = abs(position[0] - self.x) > 0.5 * self.width + 0.5 * height
        return not beside and position[2] < self.top + height and position[1] > self.last

    def left(self, position: Triple) -> bool:
        """Whether a part has been carried off its end."""
        return position[1] < self.last and abs(position[0] - self.x) < self.width


def led(fields: Mapping[str, Floats], *, seconds: float, riding: Bools) -> dict[str, Floats]:
    """The same fields with a riding part where it is by now.

    Args:
        fields: `part_position` and `belt_velocity`.
        seconds: Age of the reading.
        riding: Which parts ride.
    """
    ahead = np.where(riding[:, None], fields["belt_velocity"] * seconds, 0.0)
    return {**fields, "part_position": fields["part_position"] + ahead}


def carried_along(robot: RobotDescription, action: Floats, velocity: Floats) -> Floats:
    """An action of `ee_delta` that is given on a moving floor: the floor's motion is added.

    Args:
        robot: The arm.
        action: As it would be if nothing moved.
        velocity: Of the floor, m/s, (batch, 3).
    """
    moved = action.copy()
    moved[:, :3] = np.clip(action[:, :3] + velocity / (robot.control_rate_hz * robot.ee_step), -1.0, 1.0)
    return moved
