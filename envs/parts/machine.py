"""A machine tool for parts of an inch: a housing with a sliding hood, a vice under it, a start button beside it.

A vertical tool reaches in from above, so the safety door is a hood that slides off the top; a post on it is what the
arm pushes. The machine has a frame of its own: x is the closing direction of the tool above the vice, the hood opens
towards +y.
"""

from dataclasses import dataclass
from math import cos, sin

from ..body import Body, Box, Colour, Mover, Triple, about_z
from ..cell import Cell
from ..layout import Seat, frame_point

STROKE = 0.056  # m, of the hood
HALF_X, HALF_Y = 0.048, 0.028  # m, half of the opening
WALL, HEIGHT = 0.004, 0.032  # m
POST = (0.010, 0.005, 0.0125)  # m, half extents
POST_AT = 0.0485  # m, height of its centre
VICE = 0.004  # m, height of the vice's floor
BUTTON_TOP, TRAVEL, PRESSED = 0.026, 0.004, 0.003  # m
SHUT = 0.002  # m, of the hood
OPENED = 0.95 * STROKE
CLEAR = 0.85 * STROKE  # m, opening from which on a hand may be inside

CAST: Colour = (0.30, 0.38, 0.46, 1.0)
HOOD: Colour = (0.70, 0.82, 0.90, 1.0)
ORANGE: Colour = (0.95, 0.55, 0.10, 1.0)
STEEL: Colour = (0.50, 0.53, 0.57, 1.0)
GREEN: Colour = (0.10, 0.70, 0.30, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where it stands and how much room its vice leaves.

    Attributes:
        frame: x, y, z in m and yaw in rad.
        button: Place of the start button in that frame, m.
    """

    frame: Seat
    button: tuple[float, float]

    def body(self, part: float, clearance: float, *, open_sides: bool) -> Body:
        """Housing, vice, hood and button.

        Args:
            part: Edge of a part, m.
            clearance: Between part and vice on each side, m.
            open_sides: Whether the vice has jaws along y only: a gripper with one finger that does not move draws a
                part towards that finger, and would tip it over a jaw in the way.
        """
        h, inner, jaw = 0.5 * HEIGHT, 0.5 * part + clearance, 0.004
        walls = [
            *[_box((WALL / 2, HALF_Y + WALL, h), (s * (HALF_X + WALL / 2), 0.0, h), CAST) for s in (-1.0, 1.0)],
            *[_box((HALF_X, WALL / 2, h), (0.0, s * (HALF_Y + WALL / 2), h), CAST) for s in (-1.0, 1.0)],
        ]
        rails = [
            _box((0.002, 0.5 * STROKE, 0.002), (s * (HALF_X + 0.002), HALF_Y + 0.5 * STROKE, HEIGHT - 0.002), STEEL,
                 solid=False)
            for s in (-1.0, 1.0)
        ]  # fmt: skip
        legs = [
            _box((0.002, 0.002, h), (s * (HALF_X + 0.002), HALF_Y + STROKE - 0.002, h), STEEL, solid=False)
            for s in (-1.0, 1.0)
        ]
        rim = 0.5 * VICE + 0.0015
        vice = [
            _box((inner + 2 * jaw, inner + 2 * jaw, VICE / 2), (0.0, 0.0, VICE / 2), STEEL),
            *[_box((jaw, inner, rim), (s * (inner + jaw), 0.0, rim), STEEL) for s in (-1.0, 1.0) if not open_sides],
            *[_box((inner + 2 * jaw, jaw, rim), (0.0, s * (inner + jaw), rim), STEEL) for s in (-1.0, 1.0)],
        ]
        panel = _box((0.018, 0.018, 0.006), (*self.button, 0.006), (0.85, 0.75, 0.15, 1.0))
        hood = Mover(
            name="hood",
            kind="slide",
            axis=(0.0, 1.0, 0.0),
            upper=STROKE,
            mass=0.15,
            friction=1.5,
            shapes=(
                _box((HALF_X + WALL, HALF_Y + WALL, 0.0015), (0.0, 0.0, HEIGHT + 0.0025), HOOD),
                _box(POST, (0.0, 0.0, POST_AT), ORANGE),
            ),
        )
        cap = Mover(
            name="button",
            kind="slide",
            axis=(0.0, 0.0, -1.0),
            at=(*self.button, BUTTON_TOP - 0.004),
            upper=TRAVEL,
            mass=0.02,
            spring=3.0,
            shapes=(_box((0.012, 0.012, 0.004), (0.0, 0.0, 0.0), GREEN),),
        )
        boxes = (*walls, *rails, *legs, *vice, panel)
        return Body(name="machine", boxes=boxes, friction=0.6, movers=(hood, cap))

    def place(self, cell: Cell) -> None:
        """Put it down, hood shut, button out."""
        cell.place("machine", self.frame[:3], about_z(self.frame[3]))
        cell.set_mover("machine", "hood", 0.0)
        cell.set_mover("machine", "button", 0.0)

    def point(self, x: float, y: float, z: float = 0.0) -> Triple:
        """World position in m of a point in its frame."""
        return (*frame_point(self.frame, x, y), z)

    def inside(self, position: Triple) -> bool:
        """Whether a point is under the hood."""
        dx, dy = position[0] - self.frame[0], position[1] - self.frame[1]
        c, s = cos(self.frame[3]), sin(self.frame[3])
        x, y = c * dx + s * dy, c * dy - s * dx
        return abs(x) < HALF_X + WALL and abs(y) < HALF_Y + WALL and position[2] < HEIGHT


def _box(half: Triple, at: Triple, colour: Colour, *, solid: bool = True) -> Box:
    return Box(half=half, at=at, colour=colour, solid=solid)
