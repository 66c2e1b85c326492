"""Tasks with several parts, taken one after another: each has a seat, and the cell's controller says whose turn it is.

A real cell has a controller beside the arm that knows the job: which part is next, where it belongs, which seats are
filled. Its words are fields of the source "job": known without noise, because nobody measures them. Where the parts
lie is measured, and as uncertain as the task declares. The part whose turn it is has fields of its own; the turn
passes on when it is seated and the hand has left it.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from math import cos, dist, hypot, pi, sin
from typing import Any, ClassVar

import numpy as np

from ..robots.description import RobotDescription
from ..robots.errors import RefusedError
from ..robots.features import Feature
from ..robots.observation import Field
from ..robots.state import Vector
from ..robots.success import Criterion, goal_vector
from .body import Quaternion, Triple, about_z, motion_between, yaw_and_tilt
from .cell import Cell
from .experts.skills import Bools, Handling, transfer
from .layout import ABSENT, Part, Seat, around, closing_direction
from .task import ARM_FEATURES, Floats, Task, TrueTool, yaw_of

LEFT_BY = 0.028  # m above the part that the hand must be before the turn passes on

PART_FEATURES: tuple[Feature, ...] = (
    *ARM_FEATURES,
    Feature("field", "part_seated"),
    Feature("field", "part_width"),
    Feature("difference", "part_position", "tcp_position"),
    Feature("difference", "seat_position", "part_position"),
    Feature("difference", "seat_position", "tcp_position"),
    Feature("local_difference", "part_position", "tcp_position"),
    Feature("local_difference", "seat_position", "part_position"),
    Feature("local_difference", "seat_position", "tcp_position"),
)


def yaw_features(symmetry: int) -> tuple[Feature, ...]:
    """How part and seat are turned to the hand, for parts that look the same under so many turns, at least 2."""
    tool = f"tcp_yaw_x{symmetry}"
    return (
        Feature("angle_difference", "part_yaw", tool),
        Feature("angle_difference", "seat_yaw", tool),
        Feature("angle_difference", "seat_yaw", "part_yaw"),
    )


class PartsTask(Task):
    """Bring every part to its seat.

    Class attributes:
        kinds: How many types of parts there are.
        handling: How parts are gripped and carried.
    """

    turns = True
    gripper = True
    pose = False
    symmetry = 4
    kinds: ClassVar[int] = 1
    handling: ClassVar[Handling] = Handling()
    criteria: ClassVar[tuple[Criterion, ...]] = (Criterion(name="placed", at_least=True, weight=0.2, high=100.0),)
    features = (*PART_FEATURES, *yaw_features(4))
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
        if seated[k] and self.left(k):
            self.memory["current"] = self.choose(cell, seated)

    def left(self, k: int) -> bool:
        """Whether the hand has gone away from part k."""
        x, y, z = self._poses[k][0]
        return self._tool[2] - z > LEFT_BY or hypot(self._tool[0] - x, self._tool[1] - y) > 2.0 * LEFT_BY

    def _measure_motion(self, poses: list[tuple[Triple, Quaternion]]) -> None:
        """Greatest speed and spin of any part over the last tick.

        Not the engine's own velocities: of a part that lies still against others these are what its solver will take
        back in the next substep.
        """
        before = self.memory["poses"]
        self.memory["poses"] = poses
        motions = [motion_between(old, new, self.dt) for old, new in zip(before, poses, strict=True)]
        self._speed = max(speed for speed, _ in motions)
        self._spin = max(spin for _, spin in motions)

    def note(self, cell: Cell, truth: TrueTool) -> None:
        """Note what else has happened; poses, touches and seats of this tick are known."""

    def sensed(self, cell: Cell) -> dict[str, Vector]:
        """True values of `sensed_fields`."""
        k: int = self.memory["current"]
        return self.fields_of(k, self.memory["seats"][k])

    def fields_of(self, k: int, seat: Seat) -> dict[str, Vector]:
        """True values of `sensed_fields` if it were the turn of part k and this its seat."""
        part = self.parts[k]
        position, orientation = self._poses[k]
        yaw, _ = yaw_and_tilt(orientation, self.symmetry)
        x, y, z, seat_yaw = seat
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
            self._speed,
            self._spin,
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
            handling=cls.handling_for(robot),
            let_be=cls.let_be(fields),
        )

    @classmethod
    def handling_for(cls, robot: RobotDescription) -> Handling:
        """How an arm handles the parts."""
        return cls.handling

    @classmethod
    def let_be(cls, fields: Mapping[str, Floats]) -> Bools:
        """Where the hand lets go and leaves, (batch,): the part is where it belongs."""
        done: Bools = fields["part_seated"][:, 0] > 0.5
        return done

    # ---- helpers for layouts

    @cached_property
    def closing(self) -> float:
        """Yaw of the closing direction at home, rad, see `layout.closing_direction`."""
        return closing_direction(self.robot)

    def around(self, out: float, arc: float) -> tuple[float, float, float]:
        """x, y in m and azimuth in rad of a place, see `layout.around`."""
        return around(self.robot, out, arc)

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
