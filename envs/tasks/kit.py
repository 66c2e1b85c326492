"""Kit: fill the four pockets of a tray with the parts that a job ticket orders.

Parts: six blocks of three types, two of each, which differ in height and colour, and a tray with four pockets. The
ticket says which type belongs in which pocket; two parts are left over. Success: in every pocket a part of the ordered
type, seated within 3 mm of its floor, straight within 10 degrees (servo) or 4 degrees (lab, industrial), let go of, and
no other part on the tray. Pockets are 5 mm (servo) or 2 mm wider than the parts. 3 mm and 4 degrees are the
tolerances of ManiSkill's AssemblingKits, whose 20 mm in the plane no pocket would take.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import cos, pi, radians, sin
from typing import Any, ClassVar

import numpy as np

from ...robots.description import RobotDescription
from ...robots.errors import RefusedError
from ...robots.features import Feature
from ...robots.observation import Field
from ...robots.state import Vector
from ...robots.success import Criterion
from ..body import Box, Colour, Quaternion, Triple, about_z, yaw_and_tilt
from ..cell import Cell
from ..experts.skills import Handling
from ..layout import Part, Seat, frame_point, scatter
from ..many import PART_FEATURES, PartsTask, yaw_features
from ..parts.fixtures import hole_block
from ..task import TrueTool

WIDTH = 0.024  # m, footprint of all types
HEIGHTS = (0.022, 0.026, 0.030)  # m
COLOURS: tuple[Colour, ...] = ((0.16, 0.44, 0.80, 1.0), (0.95, 0.72, 0.12, 1.0), (0.80, 0.28, 0.52, 1.0))
MASSES = (0.034, 0.040, 0.046)  # kg
FLOOR, RIM, CHAMFER = 0.0015, 0.004, 0.002  # m, of a pocket: below it, its depth, and of that the chamfer
POCKETS = 4
PITCH = 0.038  # m between pockets
CLEARANCE: Mapping[str, float] = {"servo": 0.005, "lab": 0.002, "industrial": 0.002}  # m
TRAY_ARC, SUPPLY_ARC = 0.085, -0.080  # m along the arc from the middle of the reach
SEATED = 0.003  # m above the floor of a pocket


class Kit(PartsTask):
    """Fill a tray by its job ticket."""

    title = "fill the four pockets of a tray with the types of parts that a job ticket orders"
    kinds = 3
    depth = 0.08
    horizon_s = 48.0
    handling = Handling(
        open_by=0.016,
        release_by=0.014,
        travel=0.066,
        lift=0.056,
        retreat=0.050,
        slack=0.12,
        grip_within=0.004,
        aim=0.0015,
        funnel=4.0,
        press=0.0015,
        mouth=0.0025,
        regrip=0.2,
    )
    # Hobby servos swing where a steep funnel sends them up and down, and one jaw tips what it pushes over to the other.
    servo_handling = replace(handling, grip_above=0.007, aim=0.0025, funnel=2.5, meet=True)
    tolerances: ClassVar[Mapping[str, tuple[float, float]]] = {
        "servo": (0.006, radians(10.0)),
        "lab": (0.004, radians(4.0)),
        "industrial": (0.004, radians(4.0)),
    }
    criteria: ClassVar[tuple[Criterion, ...]] = (
        Criterion(name="kitted", at_least=True, weight=0.2, high=float(POCKETS)),
        Criterion(name="wrong_type", weight=1.0, high=6.0),
    )
    option_names = ("joint_positions", "part_poses", "ticket")
    features = (
        *PART_FEATURES,
        *yaw_features(4),
        Feature("field", "part_kind"),
        Feature("field", "ticket"),
        Feature("field", "tcp_following_error"),
    )

    def make_parts(self) -> tuple[Part, ...]:
        """Two of each type, with a groove that tells types apart without colour."""
        parts = []
        for k in range(6):
            kind = k % 3
            half = 0.5 * HEIGHTS[kind]
            groove = tuple(
                Box(half=(0.010, 0.0012, 0.0003), at=(0.0, y, half), colour=(0.1, 0.1, 0.12, 1.0), solid=False)
                for y in ((0.0,), (-0.005, 0.005), (-0.007, 0.0, 0.007))[kind]
            )
            parts.append(
                Part(
                    name=f"part_{k}",
                    size=(WIDTH, WIDTH, HEIGHTS[kind]),
                    mass=MASSES[kind],
                    colour=COLOURS[kind],
                    kind=kind,
                    marking=groove,
                )
            )
        return tuple(parts)

    def sensed_fields(self) -> tuple[Field, ...]:
        """Those of tasks with many parts, how the hand is held back, and the ticket: a type for each pocket."""
        ticket = Field(name="ticket", size=POCKETS * self.kinds, unit="1", low=0.0, high=1.0, source="job")
        felt = Field(name="tcp_following_error", size=3, unit="m", low=-1.0, high=1.0)
        return (felt, *super().sensed_fields(), ticket)

    def limits(self) -> tuple[float, ...]:
        """Every pocket right, none wrong."""
        return float(POCKETS), 0.0

    def build(self, cell: Cell) -> None:
        """A tray of four pockets, each with a chamfered mouth, and the parts."""
        hole = WIDTH + CLEARANCE[self.tolerance]
        for p in range(POCKETS):
            cell.add(
                hole_block(
                    f"pocket_{p}",
                    hole,
                    depth=RIM,
                    floor=FLOOR,
                    wall=0.5 * (PITCH - hole),
                    chamfer=CHAMFER,
                    friction=0.1,
                    colour=(0.34, 0.38, 0.44, 1.0),
                    edge=(0.72, 0.76, 0.82, 1.0),
                )
            )
        super().build(cell)

    def tray(self) -> Seat:
        """Where the tray stands, its row across the closing direction."""
        x, y, azimuth = self.around(0.0, TRAY_ARC)
        return x, y, 0.0, azimuth + self.closing

    def pocket(self, p: int) -> tuple[float, float]:
        """Middle of pocket p, x and y in m."""
        return frame_point(self.tray(), 0.0, (p - 0.5 * (POCKETS - 1)) * PITCH)

    def seats(self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]) -> Sequence[Seat]:
        """Place the tray, draw the ticket, and send to each pocket a part of its type."""
        tray = self.tray()
        for p in range(POCKETS):
            x, y = self.pocket(p)
            cell.place(f"pocket_{p}", (x, y, 0.0), about_z(tray[3]))
        ticket = [part % 3 for part in rng.permutation(6)[:POCKETS].tolist()]
        self._ticket = self._ticket_option(options["ticket"]) if "ticket" in options else ticket
        self._chosen: dict[int, int] = {}
        for p, kind in enumerate(self._ticket):
            part = next(k for k in range(6) if k % 3 == kind and k not in self._chosen)
            self._chosen[part] = p
        found = []
        for k in range(6):
            x, y = self.pocket(self._chosen.get(k, 0))
            found.append((x, y, FLOOR + 0.5 * self.parts[k].size[2], tray[3]))
        return found

    def _ticket_option(self, given: Any) -> list[int]:
        try:
            ticket = [int(v) for v in given if float(v) == int(v)]
        except (TypeError, ValueError, OverflowError):
            ticket = []
        if len(ticket) != POCKETS or not all(0 <= v < 3 and ticket.count(v) <= 2 for v in ticket):
            raise RefusedError(
                f"option 'ticket' is {given!r}; expected {POCKETS} types, each 0, 1 or 2 and none more than twice"
            )
        return ticket

    def starts(
        self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]
    ) -> Sequence[tuple[Triple, Quaternion]]:
        """In two rows beside the tray."""
        return scatter(self.robot, self.parts, rng, rows=2, gap=0.080, pitch=0.044, centre=(0.0, SUPPLY_ARC))

    def begin(self) -> None:
        """Note the ticket."""
        self.memory["ticket"] = self._ticket
        self.memory["wanted"] = [k in self._chosen for k in range(6)]
        self.memory["current"] = min(self._chosen, key=lambda k: self._chosen[k])

    def choose(self, cell: Cell, seated: Sequence[bool]) -> int:
        """Pocket by pocket."""
        ticket: list[int] = self.memory["ticket"]
        filled = [self._in_pocket(k, *self._poses[k]) if done else -1 for k, done in enumerate(seated)]
        for p, kind in enumerate(ticket):
            free = [k for k in range(6) if k % 3 == kind and not seated[k]]
            if free and p not in filled:
                k, (x, y) = free[0], self.pocket(p)
                self.memory["seats"][k] = (x, y, FLOOR + 0.5 * self.parts[k].size[2], self.tray()[3])
                return k
        current: int = self.memory["current"]
        return current

    def _in_pocket(self, k: int, position: Triple, orientation: Quaternion) -> int:
        """Pocket in which part k lies, in the plane; -1 for none."""
        for p in range(POCKETS):
            x, y = self.pocket(p)
            if (position[0] - x) ** 2 + (position[1] - y) ** 2 <= self.success.position_tolerance**2:
                return p
        return -1

    def is_seated(self, k: int, position: Triple, orientation: Quaternion) -> bool:
        """In a pocket that orders its type, down on the floor and straight."""
        p = self._in_pocket(k, position, orientation)
        if p < 0 or self.memory["ticket"][p] != self.parts[k].kind:
            return False
        yaw, tilt = yaw_and_tilt(orientation, 1)
        turn = yaw - self.tray()[3]
        turn -= 0.5 * pi * round(turn / (0.5 * pi))
        limit = self.success.angle_tolerance
        low = abs(position[2] - FLOOR - 0.5 * self.parts[k].size[2]) <= SEATED
        return low and abs(turn) <= limit and tilt <= limit

    def note(self, cell: Cell, truth: TrueTool) -> None:
        """Note parts let go of on the tray that nobody ordered there: of another type, one too many, or not seated."""
        seated = self.memory["seated"]
        self.memory["wrong_type"] = sum(
            self._over_tray(at) and not done and not touched
            for (at, _), done, touched in zip(self._poses, seated, self._touched, strict=True)
        )

    def _over_tray(self, position: Triple) -> bool:
        """Whether a part's centre is above the tray."""
        x, y, _, yaw = self.tray()
        dx, dy = position[0] - x, position[1] - y
        along, across = cos(yaw) * dx + sin(yaw) * dy, cos(yaw) * dy - sin(yaw) * dx
        return abs(along) <= 0.5 * PITCH and abs(across) <= 0.5 * POCKETS * PITCH

    def measure(self, cell: Cell, seated: Sequence[bool]) -> tuple[float, ...]:
        """Pockets that are right, and parts on the tray that are none of theirs."""
        filled = {self._in_pocket(k, *self._poses[k]) for k, done in enumerate(seated) if done}
        return float(len(filled)), float(self.memory["wrong_type"])

    def sensed(self, cell: Cell) -> dict[str, Vector]:
        """True values of `sensed_fields`."""
        ticket: list[int] = self.memory["ticket"]
        rows = tuple([1.0 if kind == k else 0.0 for kind in ticket for k in range(self.kinds)])
        return {**super().sensed(cell), "ticket": rows}

    @classmethod
    def handling_for(cls, robot: RobotDescription) -> Handling:
        """Another for hobby servos."""
        return cls.servo_handling if robot.tolerance == "servo" else cls.handling
