"""PegInsert: take a square peg out of its rack and push it to the bottom of a hole that is hardly wider.

Parts: a steel peg, 50 mm tall, standing in a rack with 0.25 mm of play on each side (2.5 mm where one jaw pushes it),
anywhere in reach, and a block with a hole 25 mm deep, elsewhere. Levels are the diametral clearance: L0 5 mm, L1 3 mm
(ManiSkill's peg), L2 1 mm, L3 0.517 mm (the loose 16 mm peg of NVIDIA's Factory assets) and L4 0.114 mm (its 8 mm peg,
here with a head of 16 mm to hold it by). Success: the peg within 2.5 mm of the hole's axis (anywhere in the hole at L0,
whose play is that much) and 1 mm of its bottom (Factory: 4 % of 25 mm; 3 mm at L0 and L1, as in IndustReal), let go of,
and never pressed against the block with more than 20 N, measured with 10 ms of low-pass as force sensors at 100 Hz do.
A chamfer of 2 mm is what drawings ask of holes that machines shall fill.

Square, because Bullet's cylinders have rims that round themselves into holes too small for them.
"""

from collections.abc import Mapping
from math import cos, dist, radians, sin
from typing import Any, ClassVar

import numpy as np

from ...robots.description import RobotDescription
from ...robots.features import Feature
from ...robots.observation import Field
from ...robots.state import Vector
from ...robots.success import Criterion, goal_vector
from ..assembly import ASSEMBLY_FIELDS, two_places
from ..body import Body, Box, Colour, about_z, motion_between, yaw_and_tilt
from ..cell import Cell
from ..experts.fit import EXACT_SIZES, Fitting, fit
from ..parts.fixtures import hole_block
from ..parts.gauge import ForceGauge
from ..randomize import Randomization
from ..task import Floats, Task, TrueTool, yaw_of
from .pick_place import PickPlace

HEIGHT = 0.050  # m, of a peg
DEPTH = 0.025  # m, of a hole
FLOOR = 0.002  # m, of block and rack below the peg
HEAD = 0.016  # m, width of a peg where it is held
HEAD_HEIGHT = 0.021  # m, of the head of a peg that is thinner below
SOCKET = 0.008  # m, depth of the rack's pocket
PLAY = 0.00025  # m, play of the peg in it, to each side
CLEARANCES = (0.005, 0.003, 0.001, 0.000517, 0.000114)  # m, diametral
WIDTHS = (0.016, 0.016, 0.016, 0.016, 0.008)  # m, of the peg of each level
OFF_AXIS = (0.0037, 0.0025, 0.0025, 0.0025, 0.0025)  # m; at L0 anywhere in the hole, whose play alone is 2.5 mm
RESIDUALS = (0.003, 0.003, 0.001, 0.001, 0.001)  # m
MASSES = {0.016: 0.040, 0.008: 0.036}  # kg; less than steel, what a servo's jaw can hold
APART = 0.090  # m, least distance between peg and hole at the start
MAX_FORCE = 20.0  # N
PEG_FRICTION = 1.0  # its head is knurled; times the block's 0.12, oiled steel
AMBER: Colour = (0.95, 0.62, 0.10, 1.0)
GROUND: Colour = (0.30, 0.32, 0.36, 1.0)
FITTING = Fitting(grip_above=0.014, depth=DEPTH, socket=SOCKET + 0.002, travel=0.085, aim=0.0008, square=0.010)


class PegInsert(Task):
    """Push a square peg to the bottom of its hole."""

    title = "take a square peg out of its rack and push it to the bottom of a hole that is hardly wider"
    gripper = True
    symmetry = 4
    robots = ("panda", "so101", "ur5e")
    horizon_s = 16.0
    levels = ("L0", "L1", "L2", "L3", "L4")
    tolerances: ClassVar[Mapping[str, tuple[float, float]]] = {
        "servo": (0.0048, radians(20.0)),  # as far as a peg may turn in the widest hole
        "lab": (0.0048, radians(12.0)),
        "industrial": (0.0048, radians(12.0)),
    }
    randomization: ClassVar[Mapping[str, Randomization]] = EXACT_SIZES
    criteria: ClassVar[tuple[Criterion, ...]] = (
        Criterion(name="off_axis_m", unit="m", high=4.0),
        Criterion(name="residual_m", unit="m", weight=1.0, high=4.0),
        Criterion(name="peak_force_n", unit="N", weight=0.01, high=10000.0),
    )
    option_names = ("goal", "joint_positions", "part_pose")
    features = (
        *PickPlace.features,
        Feature("field", "tcp_following_error"),
        Feature("difference", "rack_position", "tcp_position"),
        Feature("local_difference", "rack_position", "tcp_position"),
        Feature("angle_difference", "rack_yaw", "tcp_yaw_x4"),
        Feature("fine_difference", "rack_position", "tcp_position"),
        Feature("fine_difference", "goal_position", "tcp_position"),
        Feature("fine_angle", "rack_yaw", "tcp_yaw_x4"),
        Feature("fine_angle", "goal_yaw", "tcp_yaw_x4"),
    )

    @classmethod
    def levels_for(cls, robot: RobotDescription) -> tuple[str, ...]:
        """A hobby servo has more lost motion than the finer levels have clearance."""
        return cls.levels[:2] if robot.tolerance == "servo" else cls.levels

    @classmethod
    def default_level(cls, robot: RobotDescription) -> str:
        """What the lost motion of hobby servos allows, or a good fit for a stiff arm."""
        return "L0" if robot.tolerance == "servo" else "L3"

    def sensed_fields(self) -> tuple[Field, ...]:
        """The peg's pose, the rack's, and how far the tool is from where it was sent: its sense of touch."""
        return (
            *ASSEMBLY_FIELDS,
            Field(name="rack_yaw", size=2, unit="1", low=-1.0, high=1.0, source="job"),
        )

    def build(self, cell: Cell) -> None:
        """Pegs, racks and blocks of all levels; one of each is in the cell at a time."""
        for width, mass in MASSES.items():
            cell.add(peg_body(_peg(width), width, mass))
            cell.add(rack(f"rack_{_peg(width)}", width, self.play))
        for level, (clearance, width) in enumerate(zip(CLEARANCES, WIDTHS, strict=True)):
            relief = max(0.00004, 0.15 * (clearance - 0.001))
            cell.add(hole_block(f"block_{level}", width + clearance, depth=DEPTH, floor=FLOOR, relief=relief))
        self._gauge = ForceGauge(cell, self.peg, f"block_{self.level}")
        cell.devices.append(self._gauge)

    @property
    def play(self) -> float:
        """Of the peg in its rack, to each side: a jaw that pushes it against the other finger needs some way, m."""
        return 0.0025 if self.robot.gripper.approach else PLAY

    @property
    def peg(self) -> str:
        """Name of the peg that is in the cell."""
        return _peg(WIDTHS[self.level])

    def place(self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]) -> None:
        """Draw where rack and block stand, far enough apart for the hand, and how the peg leans in its pocket."""
        rest = FLOOR + 0.5 * HEIGHT
        (gx, gy, _, gyaw), (px, py, _, pyaw) = two_places(
            self, rng, options, seat=("goal", rest), rack=("part_pose", rest), apart=APART
        )
        limits = (OFF_AXIS[self.level], RESIDUALS[self.level], MAX_FORCE)
        self.desired = goal_vector((gx, gy, rest), gyaw, self.symmetry, limits)
        for name in cell_fixtures():
            cell.hide(name)
        cell.place(f"block_{self.level}", (gx, gy, 0.0), about_z(gyaw))
        cell.place(f"rack_{self.peg}", (px, py, 0.0), about_z(pyaw))
        self._gauge.aim(cell, self.peg, f"block_{self.level}")
        jx, jy = rng.uniform(-0.8 * PLAY, 0.8 * PLAY, 2).tolist()
        cell.place(self.peg, (px + jx, py + jy, rest), about_z(pyaw))
        self.memory = {"rack": (px, py, rest, pyaw), "pose": cell.pose(self.peg)}

    def watch(self, cell: Cell, truth: TrueTool) -> None:
        """Follow the peg by its poses: in a tight hole the engine's own velocities are what it is about to undo."""
        pose = cell.pose(self.peg)
        self._motion = motion_between(self.memory["pose"], pose, self.dt)
        self.memory["pose"] = pose

    def show(self, cell: Cell, row: Mapping[str, Floats]) -> None:
        """Put block, rack and peg where they were seen."""
        x, y, _ = row["goal_position"].tolist()
        cell.place(f"block_{self.level}", (x, y, 0.0), about_z(yaw_of(row["goal_yaw"], self.symmetry)))
        x, y, _ = row["rack_position"].tolist()
        cell.place(f"rack_{self.peg}", (x, y, 0.0), about_z(yaw_of(row["rack_yaw"], self.symmetry)))
        cell.place(self.peg, row["part_position"].tolist(), about_z(yaw_of(row["part_yaw"], self.symmetry)))

    def sensed(self, cell: Cell) -> dict[str, Vector]:
        """True values of `sensed_fields`."""
        position, orientation = cell.pose(self.peg)
        yaw, _ = yaw_and_tilt(orientation, 1)
        x, y, z, rack = self.memory["rack"]
        s = self.symmetry
        return {
            "part_position": position,
            "part_yaw": (sin(s * yaw), cos(s * yaw)),
            "rack_position": (x, y, z),
            "rack_yaw": (sin(s * rack), cos(s * rack)),
        }

    def achieved(self, cell: Cell, truth: TrueTool) -> Vector:
        """The peg's true pose and motion, its way to axis and bottom of the hole, and the greatest force so far."""
        (x, y, z), orientation = cell.pose(self.peg)
        yaw, tilt = yaw_and_tilt(orientation, 1)
        angle = self.symmetry * yaw
        goal = self.desired
        return (
            x,
            y,
            z,
            sin(angle),
            cos(angle),
            tilt,
            *self._motion,
            0.0 if cell.touches_arm(self.peg) else 1.0,
            min(dist((x, y, z), truth.measured.position), 4.0),
            min(dist((x, y), goal[:2]), 4.0),
            min(abs(z - goal[2]), 4.0),
            min(self._gauge.peak, 10000.0),
        )

    @classmethod
    def expert(cls, robot: RobotDescription, fields: Mapping[str, Floats]) -> Floats:
        """Take the peg, carry it over the hole and let it down, yielding where it meets resistance."""
        seen = {**fields, "seat_position": fields["goal_position"], "seat_yaw": fields["goal_yaw"]}
        width = np.full(len(fields["tcp_position"]), HEAD)
        return fit(robot, seen, width=width, symmetry=cls.symmetry, fitting=FITTING)


def cell_fixtures() -> tuple[str, ...]:
    """Names of all blocks and racks."""
    return (*(f"block_{k}" for k in range(len(CLEARANCES))), *(f"rack_{_peg(w)}" for w in MASSES))


def rack(name: str, width: float, play: float) -> Body:
    """The block with a shallow pocket in which a peg waits."""
    hole = width + 2.0 * play
    return hole_block(name, hole, depth=SOCKET, floor=FLOOR, wall=0.008, chamfer=0.0, colour=GROUND)


def peg_body(name: str, width: float, mass: float) -> Body:
    """A peg, with a head if it is thinner than a hand can hold."""
    h, up = 0.5 * width, 0.5 * HEIGHT
    shapes = [Box(half=(h, h, up), colour=AMBER)]
    if width < HEAD:
        half = 0.5 * HEAD_HEIGHT
        shapes.append(Box(half=(0.5 * HEAD, 0.5 * HEAD, half), at=(0.0, 0.0, up - half), colour=AMBER))
    return Body(name=name, boxes=tuple(shapes), mass=mass, friction=PEG_FRICTION)


def _peg(width: float) -> str:
    return f"peg_{round(width * 1000)}_mm"
