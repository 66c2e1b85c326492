"""Sort: six parts from the table into two bins, good ones left, defective ones right.

Parts: six 24 mm blocks of 37 g (aluminium) scattered in front of the arm, three good and three defective: the defect
is a dark mark on top. Success: all six on the floor of the bin of their kind, none in the wrong one, settled, let go
of. A part that has ever lain released in the wrong bin counts as misrouted for the rest of the episode, as on a line
whose bins are emptied. Six parts and OK / NOK bins follow the faulty-part challenge of ARIAC.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import cos, dist, radians, sin
from typing import Any, ClassVar

import numpy as np

from ...robots.state import Vector
from ...robots.success import Criterion
from ..body import Box, Colour, Quaternion, Triple, about_z
from ..cell import Cell
from ..experts.skills import Handling
from ..layout import Part, Seat, frame_point, scatter
from ..many import PartsTask
from ..parts.fixtures import tray
from ..task import TrueTool

WIDTH = 0.024  # m, edge of a part
MASS = 0.037  # kg, aluminium
FLOOR, RIM, WALL = 0.001, 0.006, 0.003  # m, of a bin
PITCH, STAGGER = 0.034, 0.015  # m between the places in a bin, along its y and to either side
INNER = (0.102, 0.126)  # m, free width of a bin along its x and y
ARC = 0.168  # m along the arc from the middle of the reach to the middle of a bin
LYING = 0.002  # m by which a part may seem to be off the floor it lies on
GREEN: Colour = (0.20, 0.66, 0.34, 1.0)
RED: Colour = (0.82, 0.22, 0.18, 1.0)
MARK: Colour = (0.25, 0.05, 0.06, 1.0)


class Sort(PartsTask):
    """Sort six parts by their kind into two bins."""

    title = "sort six parts, good ones into the left bin and defective ones into the right one"
    kinds = 2
    depth = 0.08
    horizon_s = 75.0
    handling = Handling(open_by=0.016, release_by=0.016, travel=0.060, lift=0.052, slack=0.12, retreat=0.050)
    tolerances: ClassVar[Mapping[str, tuple[float, float]]] = {
        "servo": (0.012, radians(40.0)),
        "lab": (0.012, radians(40.0)),
        "industrial": (0.012, radians(40.0)),
    }
    criteria: ClassVar[tuple[Criterion, ...]] = (
        Criterion(name="sorted", at_least=True, weight=0.2, high=6.0),
        Criterion(name="misrouted", high=6.0, weight=1.0),
    )
    option_names = ("joint_positions", "part_poses")
    told_by_camera = ("seat_position", "seat_yaw", "part_seated")

    def make_parts(self) -> tuple[Part, ...]:
        """Three good parts, three with a dark mark on top."""
        h = 0.5 * WIDTH
        mark = Box(half=(0.55 * h, 0.55 * h, 0.0004), at=(0.0, 0.0, h), colour=MARK, solid=False)
        return tuple(
            Part(
                name=f"part_{k}",
                size=(WIDTH, WIDTH, WIDTH),
                mass=MASS,
                kind=k % 2,
                colour=RED if k % 2 else GREEN,
                marking=(mark,) if k % 2 else (),
            )
            for k in range(6)
        )

    def limits(self) -> tuple[float, ...]:
        """All sorted, none misrouted."""
        return 6.0, 0.0

    def build(self, cell: Cell) -> None:
        """Two bins and the parts."""
        for kind, colour in enumerate((GREEN, RED)):
            rim: Colour = (0.6 * colour[0], 0.6 * colour[1], 0.6 * colour[2], 1.0)
            cell.add(
                tray(
                    f"bin_{kind}", inner=INNER, wall=WALL, rim=RIM, floor=FLOOR, colour=rim, ground=(0.88, 0.89, 0.9, 1)
                )
            )
        super().build(cell)

    @cached_property
    def bins(self) -> tuple[Seat, Seat]:
        """Where the bins of both kinds stand: good parts to the left, rows across the closing direction."""
        left, right = self.around(0.0, ARC), self.around(0.0, -ARC)
        return (left[0], left[1], 0.0, left[2] + self.closing), (right[0], right[1], 0.0, right[2] + self.closing)

    def seats(self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]) -> Sequence[Seat]:
        """A row of places in each bin, filled from the far end."""
        found = [self._place(part.kind, k // 2) for k, part in enumerate(self.parts)]
        for kind in (0, 1):
            x, y, z, yaw = self.bins[kind]
            cell.place(f"bin_{kind}", (x, y, z), about_z(yaw))
        return found

    def _place(self, kind: int, row: int) -> Seat:
        """One of the three places in a bin."""
        place = self.bins[kind]
        x, y = frame_point(place, STAGGER * (1 if row == 1 else -1), PITCH * (1 - row))
        return x, y, FLOOR + 0.5 * WIDTH, place[3]

    def starts(
        self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]
    ) -> Sequence[tuple[Triple, Quaternion]]:
        """Anywhere in front of the arm."""
        return scatter(self.robot, self.parts, rng, rows=2, gap=0.080, pitch=0.045)

    def inside(self, position: Triple, kind: int) -> bool:
        """Whether a part's centre is within the rim of a bin."""
        x, y, _, yaw = self.bins[kind]
        dx, dy = position[0] - x, position[1] - y
        along, across = cos(yaw) * dx + sin(yaw) * dy, cos(yaw) * dy - sin(yaw) * dx
        return abs(along) <= 0.5 * INNER[0] and abs(across) <= 0.5 * INNER[1] and position[2] < 2.0 * WIDTH

    def lies(self, position: Triple) -> bool:
        """Whether a part lies on the floor of a bin with one of its faces, neither on the rim nor on another part."""
        return abs(position[2] - FLOOR - 0.5 * WIDTH) <= LYING

    def is_seated(self, k: int, position: Triple, orientation: Quaternion) -> bool:
        """Anywhere in the right bin, on its floor."""
        return self.lies(position) and self.inside(position, self.parts[k].kind)

    def note(self, cell: Cell, truth: TrueTool) -> None:
        """Note parts let go of in the wrong bin."""
        wrong: list[bool] = self.memory.setdefault("misrouted", [False] * len(self.parts))
        for k, part in enumerate(self.parts):
            wrong[k] = wrong[k] or (not self._touched[k] and self.inside(self._poses[k][0], 1 - part.kind))

    def measure(self, cell: Cell, seated: Sequence[bool]) -> tuple[float, ...]:
        """How many are sorted and how many were misrouted."""
        return float(sum(seated)), float(sum(self.memory["misrouted"]))

    def shown(self, cell: Cell) -> dict[str, Vector]:
        """The part that is in the hand or nearest to it, and the next free place in the bin of its kind.

        Parts of a kind look alike, and no picture says which of them the cell's controller would have next.
        """
        order = sorted(range(len(self.parts)), key=lambda k: dist(self._poses[k][0], self._tool))
        seated: list[bool] = self.memory["seated"]
        waiting = [k for k in order if not seated[k]]
        k = waiting[0] if waiting else order[0]
        if seated[order[0]] and not self.left(order[0]) and not self._touched[k]:
            k = order[0]  # let go of, and the hand has still to leave it
        kind = self.parts[k].kind
        filled = sum(done for part, done in zip(self.parts, seated, strict=True) if part.kind == kind)
        return self.fields_of(k, self._place(kind, max(0, filled - seated[k])))
