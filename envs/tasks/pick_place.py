"""PickPlace: take a block and set it into the nest of a fixture.

Parts: a 24 mm aluminium block of 37 g anywhere in reach, and a nest, a plate with a low rim, elsewhere in
reach and turned. Success: block within 10 mm and 10 degrees (servo), 7 mm and 6 degrees (lab) or 5 mm and
4 degrees (industrial) of its seat, not touched by the arm, below 10 mm/s and 0.1 rad/s, for 0.5 s. 10 mm follows
Ravens' position tolerance and a published SO-101 placement error of 1 to 2 cm; 4 degrees is the tolerance of
ManiSkill's AssemblingKits.
"""

from collections.abc import Mapping
from math import cos, radians, sin
from typing import Any, ClassVar

import numpy as np

from ...robots.description import RobotDescription
from ...robots.errors import RefusedError
from ...robots.features import Feature
from ...robots.observation import Field
from ...robots.state import Vector
from ...robots.success import goal_vector
from ..body import Body, Box, Quaternion, about_z, yaw_and_tilt
from ..cell import Cell
from ..experts.skills import Handling, transfer
from ..task import ARM_FEATURES, Floats, Task, TrueTool, yaw_of

WIDTH = 0.024  # m, edge of the block
MASS = 0.037  # kg, aluminium
FLOOR = 0.001  # m, thickness of the nest's plate
RIM = 0.002  # m, height of its rim above the plate
APART = 0.065  # m, least distance between block and nest at the start

HANDLING = Handling()


class PickPlace(Task):
    """Set a block into a nest."""

    title = "take a block from the table and set it into the nest of a fixture"
    gripper = True
    feels = False
    symmetry = 4
    horizon_s = 12.0
    tolerances: ClassVar[Mapping[str, tuple[float, float]]] = {
        "servo": (0.010, radians(10.0)),
        "lab": (0.007, radians(6.0)),
        "industrial": (0.005, radians(4.0)),
    }
    option_names = ("goal", "joint_positions", "part_pose")
    features = (
        *ARM_FEATURES,
        Feature("difference", "part_position", "tcp_position"),
        Feature("difference", "goal_position", "part_position"),
        Feature("difference", "goal_position", "tcp_position"),
        Feature("local_difference", "part_position", "tcp_position"),
        Feature("local_difference", "goal_position", "part_position"),
        Feature("local_difference", "goal_position", "tcp_position"),
        Feature("angle_difference", "part_yaw", "tcp_yaw_x4"),
        Feature("angle_difference", "goal_yaw", "tcp_yaw_x4"),
        Feature("angle_difference", "goal_yaw", "part_yaw"),
    )

    _lying: tuple[Quaternion, tuple[float, float]] = ((0.0, 0.0, 0.0, 0.0), (0.0, 0.0))

    def sensed_fields(self) -> tuple[Field, ...]:
        """The block's pose; the tool's plain yaw is added for the side its fixed finger is on."""
        return (
            Field(name="tcp_yaw", size=2, unit="1", low=-1.0, high=1.0),
            Field(name="part_position", size=3, unit="m", low=-2.0, high=2.0, source="parts"),
            Field(name="part_yaw", size=2, unit="1", low=-1.0, high=1.0, source="parts"),
        )

    def build(self, cell: Cell) -> None:
        """Make the block and a nest whose rim leaves the tolerance as clearance."""
        green = (0.18, 0.68, 0.32, 1.0)
        steel, blue = (0.30, 0.34, 0.40, 1.0), (0.16, 0.42, 0.72, 1.0)
        h = 0.5 * WIDTH
        cell.add(Body(name="block", boxes=(Box(half=(h, h, h), colour=green),), mass=MASS))
        inner = h + self.success.position_tolerance
        wall = 0.0025
        outer = inner + 2 * wall
        z, half_z = 0.5 * (FLOOR + RIM), 0.5 * (FLOOR + RIM)
        rim = [
            Box(half=(outer, wall, half_z), at=(0.0, side * (inner + wall), z), colour=blue) for side in (-1.0, 1.0)
        ] + [Box(half=(wall, inner, half_z), at=(side * (inner + wall), 0.0, z), colour=blue) for side in (-1.0, 1.0)]
        plate = Box(half=(outer, outer, 0.5 * FLOOR), at=(0.0, 0.0, 0.5 * FLOOR), colour=steel)
        cell.add(Body(name="nest", boxes=(plate, *rim)))

    def place(self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]) -> None:
        """Draw where block and nest stand, far enough apart to be two places."""
        h = 0.5 * WIDTH
        seat = FLOOR + h
        goal, part = self.pose_option(options, "goal"), self.pose_option(options, "part_pose")
        for _ in range(200):
            gx, gy, _, gyaw = goal or self.sample_pose(rng, (seat, seat))
            px, py, _, pyaw = part or self.sample_pose(rng, (h, h))
            if np.hypot(gx - px, gy - py) >= APART:
                break
            if goal and part:
                raise RefusedError(f"options 'goal' and 'part_pose' are closer than {APART} m in x and y")
        else:
            raise RefusedError("no room for both block and nest around the given pose; name another")
        if goal and abs(goal[2] - seat) > 1e-3:
            raise RefusedError(f"option 'goal' has z {goal[2]}; the block's seat in the nest is z {seat}")
        if part and abs(part[2] - h) > 1e-3:
            raise RefusedError(f"option 'part_pose' has z {part[2]}; a block on the table has z {h}")
        self.desired = goal_vector((gx, gy, seat), gyaw, self.symmetry)
        cell.place("nest", (gx, gy, 0.0), about_z(gyaw))
        cell.place("block", (px, py, h), about_z(pyaw))

    def show(self, cell: Cell, row: Mapping[str, Floats]) -> None:
        """Put nest and block where they were seen."""
        x, y, _ = row["goal_position"].tolist()
        cell.place("nest", (x, y, 0.0), about_z(yaw_of(row["goal_yaw"], self.symmetry)))
        cell.place("block", row["part_position"].tolist(), about_z(yaw_of(row["part_yaw"], self.symmetry)))

    def sensed(self, cell: Cell) -> dict[str, Vector]:
        """True pose of the block."""
        position, orientation = cell.pose("block")
        yaw, _ = self._lie(orientation)
        angle = self.symmetry * yaw
        return {"part_position": position, "part_yaw": (sin(angle), cos(angle))}

    def _lie(self, orientation: Quaternion) -> tuple[float, float]:
        """Yaw and tilt of the block; sense and judge ask for the same moment, so the last answer is kept."""
        if orientation != self._lying[0]:
            self._lying = (orientation, yaw_and_tilt(orientation, self.symmetry))
        return self._lying[1]

    def achieved(self, cell: Cell, truth: TrueTool) -> Vector:
        """The block's true pose and motion, whether the arm touches it, and how far the tool is."""
        position, orientation = cell.pose("block")
        yaw, tilt = self._lie(orientation)
        angle = self.symmetry * yaw
        x, y, z = position
        tx, ty, tz = truth.measured.position
        reach = ((x - tx) ** 2 + (y - ty) ** 2 + (z - tz) ** 2) ** 0.5
        return (
            x,
            y,
            z,
            sin(angle),
            cos(angle),
            tilt,
            *cell.speed("block"),
            0.0 if cell.touches_arm("block") else 1.0,
            reach,
        )

    @classmethod
    def expert(cls, robot: RobotDescription, fields: Mapping[str, Floats]) -> Floats:
        """Take the block and set it into the nest, see `skills.transfer`."""
        position, angle = cls.tolerances[robot.tolerance]
        seen = {**fields, "seat_position": fields["goal_position"], "seat_yaw": fields["goal_yaw"]}
        return transfer(
            robot,
            seen,
            width=np.full(len(fields["tcp_position"]), WIDTH),
            symmetry=cls.symmetry,
            position_tolerance=position,
            angle_tolerance=angle,
            handling=HANDLING,
        )
