"""BinPick: empty a bin of cubes that lie in a heap as they were poured, one after another, into a tray.

Parts: 24 mm aluminium cubes of 37 g in a bin of 200 x 150 mm with 35 mm walls; heaps and their mirror images come from
a store of settled ones, see `parts/piles.py`. Levels are numbers of cubes, 5 to 10. The cell's controller looks into
the bin and names the part to take next and the direction in which fingers have room about it: the highest one.
Success: all cubes at rest in the tray, let go of. Fingers that close in the bin without lifting anything have made an
attempt: more than three for one part are a failure, and so is a cube spilled outside bin and tray. The SO-101 is not
offered: its jaw is too thick for what lies in corners, and its expert cleared 33 of 40 bins.
"""

from collections.abc import Mapping, Sequence
from math import atan2, cos, radians, sin
from typing import Any, ClassVar

import numpy as np

from ...robots.description import RobotDescription
from ...robots.state import Vector
from ...robots.success import Criterion
from ..body import Quaternion, Triple, about_z
from ..cell import Cell
from ..experts.grasping import axes_of, best, grasps
from ..experts.skills import Bools, Handling
from ..layout import Part, Seat, frame_point
from ..many import PART_FEATURES, PartsTask, yaw_features
from ..options import number_option
from ..parts.fixtures import tray
from ..parts.piles import EDGE, FINGER_END, FLOOR, FREE, MASS, RIM, bin_body, heap, heaps_of
from ..task import Floats, TrueTool

PLATE, EDGING, WALL = 0.001, 0.005, 0.003  # m, of the tray
GAP, PITCH = 0.052, 0.036  # m between the tray's two rows, and between places of a row
ROOM = (GAP + EDGE + 0.030, 4 * PITCH + EDGE + 0.030)  # m, free width of the tray along its x and y
ATTEMPTS = 3
SHUT = EDGE + 0.004  # m between fingers that have closed
LONGEST = 5.0  # s that the hand may be in the bin before the controller names another part


class BinPick(PartsTask):
    """Empty a bin."""

    title = "empty a bin of cubes that lie in a heap into a tray"
    symmetry = 2
    features = (*PART_FEATURES, *yaw_features(2))
    robots = ("panda", "ur5e")
    horizon_s = 80.0
    levels = ("5", "6", "7", "8", "9", "10")
    handling = Handling(
        open_by=0.012,
        release_by=0.012,
        travel=0.085,
        lift=0.080,
        retreat=0.055,
        slack=0.12,
        near=0.034,
        slip=0.010,
        seat_within=0.006,
    )
    tolerances: ClassVar[Mapping[str, tuple[float, float]]] = {
        "servo": (0.006, radians(20.0)),
        "lab": (0.006, radians(20.0)),
        "industrial": (0.006, radians(20.0)),
    }
    criteria: ClassVar[tuple[Criterion, ...]] = (
        Criterion(name="placed", at_least=True, weight=0.2, high=10.0),
        Criterion(name="attempts", high=100.0, weight=0.1),
        Criterion(name="spilled", high=10.0, weight=1.0),
    )
    option_names = ("joint_positions", "heap")

    @classmethod
    def default_level(cls, robot: RobotDescription) -> str:
        """Eight cubes: two layers."""
        return "8"

    @property
    def count(self) -> int:
        """Cubes of this level."""
        return int(self.levels[self.level])

    @property
    def bin(self) -> Seat:
        """Where the bin stands: on the arm's right, its long side along the arc."""
        x, y, azimuth = self.around(0.0, -0.130)
        return x, y, 0.0, azimuth + 0.5 * np.pi

    @property
    def tray(self) -> Seat:
        """Where the tray stands: on the left, its two rows across the closing direction."""
        x, y, azimuth = self.around(0.0, 0.118)
        return x, y, 0.0, azimuth + self.closing

    def make_parts(self) -> tuple[Part, ...]:
        """Ten cubes in three colours."""
        colours = ((0.90, 0.60, 0.15, 1.0), (0.30, 0.65, 0.55, 1.0), (0.75, 0.30, 0.30, 1.0))
        return tuple(
            Part(name=f"cube_{k}", size=(EDGE, EDGE, EDGE), mass=MASS, colour=colours[k % 3]) for k in range(10)
        )

    def limits(self) -> tuple[float, ...]:
        """All placed, few attempts, none spilled."""
        return float(self.count), float(ATTEMPTS), 0.0

    def build(self, cell: Cell) -> None:
        """Bin, tray and cubes."""
        cell.add(bin_body("bin"))
        cell.add(
            tray(
                "tray",
                inner=ROOM,
                wall=WALL,
                rim=EDGING,
                floor=PLATE,
                colour=(0.2, 0.5, 0.3, 1),
                ground=(0.8, 0.9, 0.8, 1),
            )
        )
        super().build(cell)

    def seats(self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]) -> Sequence[Seat]:
        """Place bin and tray; which cube comes to which place is settled when its turn comes."""
        for name, at in (("bin", self.bin), ("tray", self.tray)):
            cell.place(name, at[:3], about_z(at[3]))
        return [self._place(k) for k in range(len(self.parts))]

    def _place(self, number: int) -> Seat:
        """The n-th place of the tray, filled column by column; a little high, for cubes may be held askew."""
        column, row = divmod(number, 2)
        x, y = frame_point(self.tray, (0.5 - row) * GAP, (2 - column) * PITCH)
        return x, y, PLATE + 0.5 * EDGE + 0.002, self.tray[3]

    def starts(
        self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]
    ) -> Sequence[tuple[Triple, Quaternion]]:
        """A heap from the store."""
        total = heaps_of(self.count)
        number = int(rng.integers(total))
        if "heap" in options:
            number = int(number_option(options, "heap", (0.0, total - 1.0), "(whole number)"))
        found: list[tuple[Triple, Quaternion]] = []
        half = 0.5 * self.bin[3]
        c, s = cos(half), sin(half)
        for (px, py, pz), (x, y, z, w) in heap(self.count, number):
            at = (*frame_point(self.bin, px, py), pz)
            found.append((at, (c * x - s * y, c * y + s * x, c * z + s * w, c * w - s * z)))
        n, count = len(self.parts), self.count
        self.memory.update(axis=0, attempts=[0] * n, avoid={}, spilled=[False] * n, closing=False, within=0, places={})
        self.memory["present"] = [k < count for k in range(n)]
        self._poses = [*found, *[((3.0 + k, 0.0, -50.0), about_z(0.0)) for k in range(count, n)]]
        self.memory["current"] = self.choose(cell, [False] * n)
        return self._poses

    def is_seated(self, k: int, position: Triple, orientation: Quaternion) -> bool:
        """Anywhere in the tray, on its floor and not on another cube."""
        return _within(position, self.tray, ROOM) and position[2] < PLATE + 0.9 * EDGE

    def choose(self, cell: Cell, seated: Sequence[bool]) -> int:
        """The next part by what the controller sees, with the direction in which to take it and a place for it."""
        memory = self.memory
        here = [k for k in range(self.count) if not seated[k] and _within(self._poses[k][0], self.bin, FREE)]
        loose = here or [k for k in range(self.count) if not seated[k]]
        found = grasps(
            [self._poses[k] for k in loose],
            range(len(loose)),
            half=0.5 * EDGE,
            far=FINGER_END,
            box=self.bin,
            inner=FREE,
        )
        current: int = memory["current"]
        if not found:
            return current
        grasp = best(found, {(loose.index(k), axis): n for (k, axis), n in memory["avoid"].items() if k in loose})
        memory["axis"] = grasp.axis
        chosen = loose[grasp.part]
        # Places are given out in the order in which parts are named, and kept.
        number = memory["places"].setdefault(chosen, len(memory["places"]))
        memory["seats"][chosen] = self._place(number)
        return chosen

    def note(self, cell: Cell, truth: TrueTool) -> None:
        """Attempts and spills; after a failed attempt, or when the hand got stuck, another part may be named."""
        memory = self.memory
        k = memory["current"]
        inside = _within(self._tool, self.bin, FREE) and self._tool[2] < FLOOR + RIM + 0.025
        closed = self.robot.opening(cell.gripper()) < SHUT
        memory["within"] = memory["within"] + 1 if inside else 0
        memory["closing"] = memory["closing"] or (inside and closed)
        stuck = memory["within"] * self.dt > LONGEST
        if memory["closing"] and (stuck or not inside):
            memory["closing"] = False
            missed = stuck or not any(self._touched)
            memory["attempts"][k] += missed
            stuck = missed
        if stuck:
            way = k, memory["axis"]
            memory["avoid"][way] = memory["avoid"].get(way, 0) + 1
            memory["within"] = 0
            memory["current"] = self.choose(cell, memory["seated"])
        for j in range(self.count):
            at = self._poses[j][0]
            lies = at[2] < 1.2 * EDGE and not self._touched[j]
            out = not _within(at, self.bin, (FREE[0] + 0.02, FREE[1] + 0.02)) and not _within(at, self.tray, ROOM)
            memory["spilled"][j] = memory["spilled"][j] or (lies and out)

    def sensed(self, cell: Cell) -> dict[str, Vector]:
        """What is there; the yaw is that of the axis along which the part is to be gripped."""
        values = super().sensed(cell)
        x, y, _ = axes_of(self._poses[self.memory["current"]][1])[self.memory["axis"]]
        yaw = atan2(y, x)
        values["part_yaw"] = (sin(2.0 * yaw), cos(2.0 * yaw))
        return values

    def measure(self, cell: Cell, seated: Sequence[bool]) -> tuple[float, ...]:
        """Cubes in the tray, most attempts for one of them, cubes spilled."""
        memory = self.memory
        return float(sum(seated[: self.count])), float(max(memory["attempts"])), float(sum(memory["spilled"]))

    @classmethod
    def let_be(cls, fields: Mapping[str, Floats]) -> Bools:
        """Over its place, as low as can be, it lets go of whatever the fingers hold."""
        way = fields["seat_position"] - fields["tcp_position"]
        down = (np.hypot(way[:, 0], way[:, 1]) < 0.012) & (-way[:, 2] < cls.handling.grip_above + 0.002)
        return down | super().let_be(fields)


def _within(position: Triple, box: Seat, inner: tuple[float, float]) -> bool:
    """Whether a point lies between the walls of a bin or tray."""
    dx, dy = position[0] - box[0], position[1] - box[1]
    c, s = cos(box[3]), sin(box[3])
    return abs(c * dx + s * dy) <= 0.5 * inner[0] and abs(c * dy - s * dx) <= 0.5 * inner[1]
