"""Tasks with several parts, taken one after another: each has a seat, and the cell's controller says whose turn it is.

A real cell has a controller beside the arm that knows the job: which part is next, where it belongs, which seats are
filled. Its words are fields of the source "job": known without noise, because nobody measures them. Where the parts
lie is measured, and as uncertain as the task declares. The part whose turn it is has fields of its own; the turn
passes on when it is seated and the hand has left it.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import acos, atan2, cos, dist, hypot, pi, sin, sqrt
from typing import Any, ClassVar

import numpy as np

from ..robots.description import RobotDescription
from ..robots.errors import RefusedError
from ..robots.features import Feature
from ..robots.kinematics import Kinematics
from ..robots.observation import Field
from ..robots.state import Vector
from ..robots.success import Criterion, goal_vector
from .body import UPRIGHT, Body, Box, Colour, Quaternion, Triple, about_z, yaw_and_tilt
from .cell import Cell
from .skills import Handling, transfer
from .task import Floats, Task, TrueTool, yaw_of

Seat = tuple[float, float, float, float]  # x, y, z of the part's centre in m, yaw in rad

ABSENT: tuple[Triple, Quaternion] = ((0.0, 0.0, -1.0), UPRIGHT)  # of a part that is not in the cell yet
LEFT_BY = 0.028  # m above the part that the hand must be before the turn passes on

PART_FEATURES: tuple[Feature, ...] = (
    Feature("field", "joint_positions"),
    Feature("field", "joint_velocities"),
    Feature("field", "following_error"),
    Feature("field", "gripper_opening"),
    Feature("field", "tcp_position"),
    Feature("field", "tcp_yaw"),
    Feature("field", "tcp_tilt"),
    Feature("field", "part_seated"),
    Feature("difference", "part_position", "tcp_position"),
    Feature("difference", "seat_position", "part_position"),
    Feature("difference", "seat_position", "tcp_position"),
    Feature("local_difference", "part_position", "tcp_position"),
    Feature("local_difference", "seat_position", "part_position"),
    Feature("local_difference", "seat_position", "tcp_position"),
)


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


class PartsTask(Task):
    """Bring every part to its seat.

    Class attributes:
        kinds: How many types of parts there are.
        handling: How parts are gripped and carried.
        keep_in: Distance from the middle of the reach beyond which a part is out of the cell, m.
    """

    gripper = True
    pose = False
    symmetry = 4
    kinds: ClassVar[int] = 1
    handling: ClassVar[Handling] = Handling()
    criteria: ClassVar[tuple[Criterion, ...]] = (Criterion(name="placed", at_least=True, weight=0.2, high=100.0),)
    features = PART_FEATURES
    option_names: ClassVar[tuple[str, ...]] = ("joint_positions", "part_poses")

    def __init__(self, robot: RobotDescription, tolerance: str, level: str | None = None) -> None:
        """Make the parts; see `Task`."""
        super().__init__(robot, tolerance, level)
        self.parts = self.make_parts()
        self._poses: list[tuple[Triple, Quaternion]] = []
        self._speed = self._spin = 0.0

    @abstractmethod
    def make_parts(self) -> tuple[Part, ...]:
        """Which parts there are."""

    @abstractmethod
    def seats(self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]) -> Sequence[Seat]:
        """Place the fixtures and say where each part belongs."""

    @abstractmethod
    def starts(
        self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]
    ) -> Sequence[tuple[Triple, Quaternion]]:
        """Where each part starts."""

    @property
    def count(self) -> int:
        """How many of the parts, from the first on, this level asks for."""
        return len(self.parts)

    def limits(self) -> tuple[float, ...]:
        """Limit of each of `criteria`; all parts placed by default."""
        return (float(self.count),)

    def measure(self, cell: Cell, seated: Sequence[bool]) -> tuple[float, ...]:
        """Value of each of `criteria` now."""
        return (float(sum(seated)),)

    def is_seated(self, k: int, position: Triple, orientation: Quaternion) -> bool:
        """Whether part k is where it belongs, the hand apart: within the task's tolerances of its seat, level."""
        x, y, z, yaw = self.memory["seats"][k]
        if dist(position, (x, y, z)) > self.success.position_tolerance:
            return False
        seen, tilt = yaw_and_tilt(orientation, self.symmetry)
        turn = 2.0 * pi / self.symmetry
        error = seen - yaw
        error -= turn * round(error / turn)
        return abs(error) <= self.success.angle_tolerance and tilt <= self.success.angle_tolerance

    def choose(self, cell: Cell, seated: Sequence[bool]) -> int:
        """Whose turn is next: the first that is not seated; the present one if all are."""
        waiting = [k for k, done in enumerate(seated) if self.memory["wanted"][k] and not done]
        current: int = self.memory["current"]
        return waiting[0] if waiting else current

    # ---- what a task offers

    def sensed_fields(self) -> tuple[Field, ...]:
        """The part whose turn it is, its seat, and all the others."""
        n = len(self.parts)
        yaw = (Field(name="tcp_yaw", size=2, unit="1", low=-1.0, high=1.0),) if self.symmetry != 1 else ()
        kind = Field(name="part_kind", size=self.kinds, unit="1", low=0.0, high=1.0, source="parts")
        return (
            *yaw,
            Field(name="part_position", size=3, unit="m", low=-20.0, high=20.0, source="parts"),
            Field(name="part_yaw", size=2, unit="1", low=-1.0, high=1.0, source="parts"),
            *((kind,) if self.kinds > 1 else ()),
            Field(name="parts_position", size=3 * n, unit="m", low=-20.0, high=20.0, source="parts"),
            Field(name="part_width", size=1, unit="1", low=0.0, high=1.0, source="job"),
            Field(name="seat_position", size=3, unit="m", low=-2.0, high=2.0, source="job"),
            Field(name="seat_yaw", size=2, unit="1", low=-1.0, high=1.0, source="job"),
            Field(name="part_seated", size=1, unit="1", low=0.0, high=1.0, source="job"),
            Field(name="seated", size=n, unit="1", low=0.0, high=1.0, source="job"),
        )

    def build(self, cell: Cell) -> None:
        """Add the parts; a task adds its fixtures before."""
        for part in self.parts:
            cell.add(part.body())

    def place(self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]) -> None:
        """Fixtures, then parts."""
        seats = list(self.seats(cell, rng, options))
        self.memory = {"seats": seats, "seated": [False] * len(self.parts), "current": 0}
        self.memory["present"] = [True] * len(self.parts)
        self.memory["wanted"] = [k < self.count for k in range(len(self.parts))]
        starts = self.poses_option(options) if "part_poses" in options else self.starts(cell, rng, options)
        for part, (at, turn) in zip(self.parts, starts, strict=True):
            cell.place(part.name, at, turn)
        self.memory["poses"] = [
            cell.pose(part.name) if here else ABSENT
            for part, here in zip(self.parts, self.memory["present"], strict=True)
        ]
        self.desired = goal_vector((0.0, 0.0, 0.0), 0.0, self.symmetry, self.limits())
        self.begin()

    def begin(self) -> None:
        """Add to `memory` what the task must remember from the start."""

    def watch(self, cell: Cell, truth: TrueTool) -> None:
        """Judge every part and pass the turn on."""
        present = self.memory["present"]
        poses = [cell.pose(part.name) if here else ABSENT for part, here in zip(self.parts, present, strict=True)]
        self._measure_motion(poses)
        self._poses = poses
        touching = cell.touching_arm()
        self._touched = [cell.uid(part.name) in touching for part in self.parts]
        seated = [
            here and not touched and self.is_seated(k, *pose)
            for k, (pose, touched, here) in enumerate(zip(poses, self._touched, present, strict=True))
        ]
        self.memory["seated"] = seated
        self._tool = truth.measured.position
        self.note(cell, truth)
        k: int = self.memory["current"]
        gone = (
            self._tool[2] - poses[k][0][2] > LEFT_BY
            or hypot(self._tool[0] - poses[k][0][0], self._tool[1] - poses[k][0][1]) > 2.0 * LEFT_BY
        )
        if seated[k] and gone:
            self.memory["current"] = self.choose(cell, seated)

    def _measure_motion(self, poses: list[tuple[Triple, Quaternion]]) -> None:
        """Greatest speed and spin of any part over the last tick.

        Not the engine's own velocities: of a part that lies still against others these are what its solver will take
        back in the next substep.
        """
        before = self.memory["poses"]
        self.memory["poses"] = poses
        self._speed = max(dist(a, b) for (a, _), (b, _) in zip(poses, before, strict=True)) / self.dt
        cosine = min(
            abs(sum([p * q for p, q in zip(a, b, strict=True)])) for (_, a), (_, b) in zip(poses, before, strict=True)
        )
        self._spin = 2.0 * acos(min(cosine, 1.0)) / self.dt if cosine < 1.0 - 1e-15 else 0.0

    def note(self, cell: Cell, truth: TrueTool) -> None:
        """Note what else has happened; poses, touches and seats of this tick are known."""

    def sensed(self, cell: Cell) -> dict[str, Vector]:
        """True values of `sensed_fields`."""
        k: int = self.memory["current"]
        part = self.parts[k]
        position, orientation = self._poses[k]
        yaw, _ = yaw_and_tilt(orientation, self.symmetry)
        x, y, z, seat_yaw = self.memory["seats"][k]
        s = self.symmetry
        seated = self.memory["seated"]
        return {
            "part_position": position,
            "part_yaw": (sin(s * yaw), cos(s * yaw)),
            "part_kind": tuple([1.0 if part.kind == kind else 0.0 for kind in range(self.kinds)]),
            "parts_position": tuple([max(-2.0, min(v, 2.0)) for at, _ in self._poses for v in at]),
            "part_width": (part.size[0],),
            "seat_position": (x, y, z),
            "seat_yaw": (sin(s * seat_yaw), cos(s * seat_yaw)),
            "part_seated": (1.0 if seated[k] else 0.0,),
            "seated": tuple([1.0 if done else 0.0 for done in seated]),
        }

    def achieved(self, cell: Cell, truth: TrueTool) -> Vector:
        """Greatest speed of any part, whether the arm touches one, the hand's way to the next, and the criteria."""
        seated = self.memory["seated"]
        done = all(s or not w for s, w in zip(seated, self.memory["wanted"], strict=True))
        reach = 0.0 if done else dist(self._poses[self.memory["current"]][0], self._tool)
        return (
            0.0,
            0.0,
            0.0,
            0.0,
            1.0,
            0.0,
            min(self._speed, 20.0),
            min(self._spin, 500.0),
            0.0 if any(self._touched) else 1.0,
            min(reach, 4.0),
            *self.measure(cell, seated),
        )

    def show(self, cell: Cell, row: Mapping[str, Floats]) -> None:
        """Put the parts where they were seen; only the one whose turn it is has a known yaw."""
        positions = row["parts_position"].reshape(-1, 3)
        nearest = int(np.argmin(np.linalg.norm(positions - row["part_position"], axis=1)))
        for k, part in enumerate(self.parts):
            yaw = yaw_of(row["part_yaw"], self.symmetry) if k == nearest else 0.0
            cell.place(part.name, positions[k].tolist(), about_z(yaw))

    @classmethod
    def expert(cls, robot: RobotDescription, fields: Mapping[str, Floats]) -> Floats:
        """Take the part whose turn it is and set it into its seat, see `skills.transfer`."""
        position, angle = cls.tolerances[robot.tolerance]
        return transfer(
            robot,
            fields,
            width=fields["part_width"][:, 0],
            symmetry=cls.symmetry,
            position_tolerance=position,
            angle_tolerance=angle,
            handling=cls.handling,
            let_be=fields["part_seated"][:, 0] > 0.5,
        )

    # ---- helpers for layouts

    @cached_property
    def closing(self) -> float:
        """Yaw of the closing direction at home, rad, 0 outward, half pi along the arc: rows stand across it."""
        x, y, _ = Kinematics(self.robot).forward(self.robot.home).x_axis
        return 0.5 * pi if abs(y) > abs(x) else 0.0

    def around(self, out: float, arc: float) -> tuple[float, float, float]:
        """A place by its distance from the middle of the reach: outward and along the arc, m.

        Returns:
            x, y in m and the azimuth there, rad.
        """
        reach = self.robot.reach
        middle = 0.5 * (reach.radius[0] + reach.radius[1])
        azimuth = arc / middle
        r = middle + out
        return reach.axis[0] + r * cos(azimuth), reach.axis[1] + r * sin(azimuth), azimuth

    def scatter(
        self,
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
            rng: Generator.
            rows: Rows, one behind the other in the closing direction.
            gap: Between rows, m.
            pitch: Between places in a row, m.
            centre: Middle of the grid: outward from the middle of the reach and along the arc, m.
            jitter: By which a place may be off in each direction, m.
            turn: Largest yaw away from the closing direction, rad.
        """
        columns = -(-len(self.parts) // rows)
        places = [
            ((row - 0.5 * (rows - 1)) * gap, (column - 0.5 * (columns - 1)) * pitch)
            for row in range(rows)
            for column in range(columns)
        ]
        found = []
        for part, place in zip(self.parts, rng.permutation(len(places)).tolist(), strict=False):
            along, across = (v + rng.uniform(-jitter, jitter) for v in places[place])
            out, arc = (across, along) if self.closing else (along, across)
            x, y, azimuth = self.around(centre[0] + out, centre[1] + arc)
            yaw = azimuth + self.closing + rng.uniform(-turn, turn)
            found.append(((x, y, 0.5 * part.size[2]), about_z(yaw)))
        return found

    def poses_option(self, options: Mapping[str, Any]) -> list[tuple[Triple, Quaternion]]:
        """Read the option `part_poses`: x, y, z in m and yaw in rad for each part.

        Raises:
            RefusedError: If it is malformed, not finite or out of reach; the text says what is allowed.
        """
        given = options["part_poses"]
        names = ", ".join(part.name for part in self.parts)
        if not isinstance(given, Sequence | np.ndarray) or len(given) != len(self.parts):
            raise RefusedError(f"option 'part_poses' needs one pose (x, y, z, yaw) for each of: {names}")
        found = []
        for part, pose in zip(self.parts, given, strict=True):
            checked = self.pose_option({part.name: pose}, part.name)
            if checked is not None:
                x, y, z, yaw = checked
                found.append(((x, y, max(z, 0.5 * part.size[2])), about_z(yaw)))
        for k, (part, (at, _)) in enumerate(zip(self.parts, found, strict=True)):
            for other, (place, _) in zip(self.parts[:k], found[:k], strict=True):
                least = 0.5 * (min(part.size) + min(other.size))
                if dist(at, place) < least:
                    raise RefusedError(
                        f"option 'part_poses' lets {other.name} and {part.name} overlap: their centres are "
                        f"{dist(at, place):.3f} m apart, and {least:.3f} m is the least"
                    )
        return found


def tray(
    name: str, *, inner: tuple[float, float], wall: float, rim: float, floor: float, colour: Colour, ground: Colour
) -> Body:
    """A flat fixture with a rim all around: a nest, a bin, a pallet.

    Args:
        name: Its name.
        inner: Free width along x and y, m.
        wall: Thickness of the rim, m.
        rim: Height of the rim above the floor, m; 0 for none.
        floor: Thickness of the floor, m.
        colour: Of the rim.
        ground: Of the floor.
    """
    a, b = 0.5 * inner[0], 0.5 * inner[1]
    plate = Box(half=(a + wall, b + wall, 0.5 * floor), at=(0.0, 0.0, 0.5 * floor), colour=ground)
    if rim <= 0.0:
        return Body(name=name, boxes=(plate,))
    half = 0.5 * (floor + rim)
    walls = [
        Box(half=(a + wall, 0.5 * wall, half), at=(0.0, side * (b + 0.5 * wall), half), colour=colour)
        for side in (-1.0, 1.0)
    ] + [
        Box(half=(0.5 * wall, b, half), at=(side * (a + 0.5 * wall), 0.0, half), colour=colour) for side in (-1.0, 1.0)
    ]
    return Body(name=name, boxes=(plate, *walls))


def frame_point(seat: Seat, x: float, y: float) -> tuple[float, float]:
    """x, y in m of a point given in the frame of a fixture that stands at x, y and yaw of `seat`."""
    c, s = cos(seat[3]), sin(seat[3])
    return seat[0] + c * x - s * y, seat[1] + s * x + c * y


def heading(orientation: Quaternion) -> float:
    """Yaw of a quaternion about the vertical, rad, without symmetry."""
    x, y, z, w = orientation
    return atan2(2.0 * (x * y + z * w), 1.0 - 2.0 * (y * y + z * z))


def flat_distance(a: Sequence[float], b: Sequence[float]) -> float:
    """Distance in x and y, m."""
    return sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2)
