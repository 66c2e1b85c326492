"""TeachPoint: bring the tool to a taught pose and stay there.

Parts: none. Success: TCP within 5 mm and 5 degrees (servo), 2 mm and 3 degrees (lab) or 1 mm and 2 degrees
(industrial) of the taught pose, below 10 mm/s and 0.1 rad/s, for 0.5 s. The 5 mm follow from the backlash and
sag of hobby servos, the 1 mm and 2 degrees from what a small industrial arm repeats with room to spare; the
50 mm of older reaching tasks would let an arm miss the part altogether.
"""

from collections.abc import Mapping
from math import radians
from typing import Any, ClassVar

import numpy as np

from ...robots.description import RobotDescription
from ...robots.features import Feature
from ...robots.state import Vector
from ...robots.success import goal_vector
from ..body import Body, Box, about_z
from ..cell import Cell
from ..experts.skills import angle_between, motion_action
from ..task import Floats, Task, TrueTool, yaw_of

GAIN = 0.18  # share of the remaining way asked for in one tick; more would overshoot behind the drives' lag


class TeachPoint(Task):
    """Bring the TCP to a taught pose and hold it."""

    title = "bring the tool to a taught pose and hold it for half a second"
    gripper = False
    feels = False
    horizon_s = 5.0
    tolerances: ClassVar[Mapping[str, tuple[float, float]]] = {
        "servo": (0.005, radians(5.0)),
        "lab": (0.002, radians(3.0)),
        "industrial": (0.001, radians(2.0)),
    }
    features = (
        Feature("field", "joint_positions"),
        Feature("field", "joint_velocities"),
        Feature("field", "following_error"),
        Feature("difference", "goal_position", "tcp_position"),
        Feature("local_difference", "goal_position", "tcp_position"),
        Feature("angle_difference", "goal_yaw", "tcp_yaw"),
        Feature("field", "tcp_tilt"),
    )

    def build(self, cell: Cell) -> None:
        """Mark the taught point with a small cross that nothing can touch."""
        amber = (1.0, 0.65, 0.05, 1.0)
        arms = (
            Box(half=(0.020, 0.002, 0.002), colour=amber, solid=False),
            Box(half=(0.002, 0.012, 0.002), colour=amber, solid=False),
            Box(half=(0.002, 0.002, 0.012), colour=amber, solid=False),
        )
        cell.add(Body(name="taught", boxes=arms))

    def place(self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]) -> None:
        """Draw a taught pose, or take the one asked for."""
        given = self.pose_option(options, "goal")
        x, y, z, yaw = given or self.sample_pose(rng)
        self.desired = goal_vector((x, y, z), yaw, self.symmetry)
        cell.place("taught", (x, y, z), about_z(yaw))

    def show(self, cell: Cell, row: Mapping[str, Floats]) -> None:
        """Put the mark where the goal was."""
        cell.place("taught", row["goal_position"].tolist(), about_z(yaw_of(row["goal_yaw"], self.symmetry)))

    def achieved(self, cell: Cell, truth: TrueTool) -> Vector:
        """Pose and speed of the true TCP; there is nothing to let go of."""
        pose = truth.pose
        x, y, _ = pose.x_axis
        norm = float(np.hypot(x, y)) or 1.0
        return (*pose.position, y / norm, x / norm, pose.tilt, *truth.motion, 1.0, 0.0)

    @classmethod
    def expert(cls, robot: RobotDescription, fields: Mapping[str, Floats]) -> Floats:
        """Straight to the goal, slowing down in proportion to what is left."""
        way = fields["goal_position"] - fields["tcp_position"]
        turn = angle_between(fields["goal_yaw"], fields["tcp_yaw"])
        return motion_action(robot, way, turn[:, 0], GAIN)
