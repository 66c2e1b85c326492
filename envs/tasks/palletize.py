"""Palletize: stack boxes from an infeed on a pallet, two by three, every layer turned a quarter, and leave it standing.

Parts: boxes of 26 x 22 x 24 mm and 34 g that come one at a time to the infeed, never quite straight, and a pallet.
Levels: one layer of six, or two of them, the second crosswise on a tier sheet that the cell lays down when the first
is complete; hobby servos are offered the first. Success: every box within 12 mm and 10 degrees (servo) or 10 mm and 5
degrees (lab, industrial) of its place in the pattern, let go of, and one second later none has moved by more than 5
mm. The pattern and the 10 mm are those of Ravens' palletizing task; gaps leave a finger's width between columns.
"""

from collections.abc import Mapping, Sequence
from math import dist, isfinite, pi, radians
from typing import Any, ClassVar

import numpy as np

from ...robots.description import RobotDescription
from ...robots.errors import RefusedError
from ...robots.success import Criterion
from ..body import Body, Box, Colour, Quaternion, Triple, about_z
from ..cell import Cell
from ..experts.skills import Handling
from ..layout import Part, Seat, frame_point
from ..many import PART_FEATURES, PartsTask, yaw_features
from ..task import TrueTool

LENGTH, WIDTH, HEIGHT = 0.026, 0.022, 0.024  # m, along the closing direction, across it, upwards
MASS = 0.034  # kg
COLUMN_GAP, ROW_GAP = 0.026, 0.009  # m between boxes
DECK = 0.006  # m, height of the pallet
SHEET = 0.001  # m, thickness of the tier sheet
PALLET_ARC, INFEED_ARC = 0.080, -0.080  # m along the arc from the middle of the reach
SKEW = 0.25  # rad by which a box may come turned
OFF = 0.008  # m by which it may come beside the middle of the infeed
MOVED = 0.005  # m
STAND_S = 1.0
CARDBOARD: Colour = (0.80, 0.60, 0.36, 1.0)


class Palletize(PartsTask):
    """Stack boxes on a pallet in a pattern that stands."""

    title = "stack boxes from an infeed on a pallet, two by three, layers crosswise, and leave them standing"
    symmetry = 2
    features = (*PART_FEATURES, *yaw_features(2))
    depth = 0.08
    horizon_s = 90.0
    levels = ("one_layer", "two_layers")
    handling = Handling(
        open_by=0.014,
        release_by=0.012,
        travel=0.080,
        lift=0.082,
        retreat=0.045,
        slack=0.3,
        grip_above=0.004,
        grip_within=0.003,
        regrip=0.2,
    )
    tolerances: ClassVar[Mapping[str, tuple[float, float]]] = {
        "servo": (0.012, radians(10.0)),
        "lab": (0.010, radians(5.0)),
        "industrial": (0.010, radians(5.0)),
    }
    criteria: ClassVar[tuple[Criterion, ...]] = (
        Criterion(name="stacked", at_least=True, weight=0.2, high=12.0),
        Criterion(name="stood_s", unit="s", at_least=True, high=10.0),
        Criterion(name="moved_m", unit="m", high=4.0, weight=1.0),
    )
    option_names = ("joint_positions", "skews")

    @classmethod
    def levels_for(cls, robot: RobotDescription) -> tuple[str, ...]:
        """One layer for hobby servos, whose errors add up in a second."""
        return cls.levels[:1] if robot.tolerance == "servo" else cls.levels

    def make_parts(self) -> tuple[Part, ...]:
        """Twelve boxes with a strip of tape; six stay out of the cell when one layer is wanted."""
        tape = Box(
            half=(0.5 * LENGTH, 0.003, 0.0003), at=(0.0, 0.0, 0.5 * HEIGHT), colour=(0.93, 0.86, 0.70, 1.0), solid=False
        )
        return tuple(
            Part(
                name=f"box_{k}",
                size=(LENGTH, WIDTH, HEIGHT),
                mass=MASS,
                colour=CARDBOARD if k < 6 else (0.70, 0.50, 0.30, 1.0),
                marking=(tape,),
            )
            for k in range(12)
        )

    @property
    def count(self) -> int:
        """Boxes of this level."""
        return 6 * (self.level + 1)

    def limits(self) -> tuple[float, ...]:
        """All stacked, for a second, without moving."""
        return float(self.count), STAND_S, MOVED

    def build(self, cell: Cell) -> None:
        """Pallet, infeed, tier sheet and boxes."""
        wood: Colour = (0.55, 0.42, 0.28, 1.0)
        a, b = LENGTH + 0.5 * COLUMN_GAP + 0.006, 1.5 * WIDTH + ROW_GAP + 0.006
        boards = [
            Box(half=(a, 0.2 * b, 0.0015), at=(0.0, y, DECK - 0.0015), colour=wood) for y in (-0.8 * b, 0.0, 0.8 * b)
        ]
        deck = Box(half=(a, b, 0.5 * DECK - 0.0015), at=(0.0, 0.0, 0.5 * DECK - 0.0015), colour=(0.42, 0.31, 0.2, 1.0))
        top = Box(half=(a, b, 0.0015), at=(0.0, 0.0, DECK - 0.00151), colour=(0.48, 0.36, 0.24, 1.0))
        cell.add(Body(name="pallet", boxes=(deck, top, *boards)))
        steel: Colour = (0.40, 0.45, 0.52, 1.0)
        stripe: Colour = (0.95, 0.75, 0.10, 1.0)
        belt = Box(half=(0.030, 0.030, 0.0004), at=(0.0, 0.0, 0.0004), colour=steel, solid=False)
        edges = [
            Box(half=(0.030, 0.002, 0.0006), at=(0.0, y, 0.0006), colour=stripe, solid=False) for y in (-0.03, 0.03)
        ]
        cell.add(Body(name="infeed", boxes=(belt, *edges)))
        sheet = Box(half=(a, a, 0.5 * SHEET), colour=(0.88, 0.82, 0.70, 1.0))
        cell.add(Body(name="tier_sheet", boxes=(sheet,), mass=0.040))
        super().build(cell)

    def pallet(self) -> Seat:
        """Where the pallet stands; its x is the closing direction, and it stands parallel to the infeed."""
        x, y, _ = self.around(0.0, PALLET_ARC)
        return x, y, 0.0, self.closing

    def infeed(self) -> Seat:
        """Where the infeed stands: no box needs to be turned far on its way, which the SO-101's jaw would not hold."""
        x, y, _ = self.around(0.0, INFEED_ARC)
        return x, y, 0.0, self.closing

    def seats(self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]) -> Sequence[Seat]:
        """Two columns of three, the nearer one first; the second layer is turned a quarter."""
        pallet = self.pallet()
        cell.place("pallet", pallet[:3], about_z(pallet[3]))
        infeed = self.infeed()
        cell.place("infeed", infeed[:3], about_z(infeed[3]))
        cell.hide("tier_sheet")
        found = []
        for k in range(len(self.parts)):
            layer, place = divmod(k, 6)
            column, row = divmod(place, 3)
            a = (column - 0.5) * (LENGTH + COLUMN_GAP)
            b = (row - 1) * (WIDTH + ROW_GAP)
            if layer:
                a, b = -b, a
            sx, sy = frame_point(pallet, a, b)
            z = DECK + 0.5 * HEIGHT + layer * (HEIGHT + SHEET)
            found.append((sx, sy, z, pallet[3] + 0.5 * pi * layer))
        return found

    def starts(
        self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]
    ) -> Sequence[tuple[Triple, Quaternion]]:
        """The first box on the infeed, the others out of the cell; how each will come is drawn now."""
        count = len(self.parts)
        skews = [
            (*rng.uniform(-OFF, OFF, 2).tolist(), float(turn)) for turn in rng.uniform(-SKEW, SKEW, count).tolist()
        ]
        if "skews" in options:
            skews = self._skews_option(options["skews"])
        self.memory.update(skews=skews, since=-1, stood=[], moved=0.0, sheet=False)
        self.memory["present"] = [k == 0 for k in range(count)]
        return [self._infeed(0), *[((3.0 + k, 0.0, -50.0), about_z(0.0)) for k in range(1, count)]]

    def _skews_option(self, given: Any) -> list[tuple[float, float, float]]:
        try:
            rows = [tuple(float(v) for v in row) for row in given]
        except (TypeError, ValueError):
            rows = []
        good = len(rows) == len(self.parts) and all(
            len(r) == 3 and all(map(isfinite, r)) and max(abs(r[0]), abs(r[1])) <= OFF and abs(r[2]) <= SKEW
            for r in rows
        )
        if not good:
            raise RefusedError(
                f"option 'skews' needs (x, y, yaw) for each of {len(self.parts)} boxes: at most {OFF} m and {SKEW} rad"
            )
        return [(r[0], r[1], r[2]) for r in rows]

    def _infeed(self, k: int) -> tuple[Triple, Quaternion]:
        """Where box k comes to."""
        along, across, turn = self.memory["skews"][k]
        infeed = self.infeed()
        x, y = frame_point(infeed, along, across)
        return (x, y, 0.5 * HEIGHT), about_z(infeed[3] + turn)

    def is_seated(self, k: int, position: Triple, orientation: Quaternion) -> bool:
        """In its place in the pattern and lying flat in its layer."""
        return abs(position[2] - self.memory["seats"][k][2]) <= 0.003 and super().is_seated(k, position, orientation)

    def choose(self, cell: Cell, seated: Sequence[bool]) -> int:
        """The next box; if it has not come yet, the infeed brings it, on a tier sheet if a layer is complete."""
        k = super().choose(cell, seated)
        if not self.memory["present"][k]:
            if k == 6 and not self.memory["sheet"]:
                x, y, _, yaw = self.pallet()
                cell.place("tier_sheet", (x, y, DECK + HEIGHT + 0.5 * SHEET + 0.0002), about_z(yaw))
                self.memory["sheet"] = True
            pose = self._infeed(k)
            cell.place(self.parts[k].name, *pose)
            self.memory["present"][k] = True
            self.memory["poses"][k] = self._poses[k] = pose
        return k

    def note(self, cell: Cell, truth: TrueTool) -> None:
        """Count the time since the stack was complete, and how far it has moved since."""
        memory = self.memory
        complete = all(memory["seated"][: self.count])
        if memory["since"] < 0:
            if complete:
                memory["since"], memory["stood"] = 0, [at for at, _ in self._poses[: self.count]]
            return
        memory["since"] += 1
        moved = max(dist(a, b) for (a, _), b in zip(self._poses, memory["stood"], strict=False))
        memory["moved"] = max(memory["moved"], moved)

    def measure(self, cell: Cell, seated: Sequence[bool]) -> tuple[float, ...]:
        """Boxes in place, seconds since the last one, and the farthest way of any box since then."""
        since = max(self.memory["since"], 0) * self.dt
        return float(sum(seated[: self.count])), min(since, 10.0), min(self.memory["moved"], 4.0)
