"""Inspect: look at four spots of a workpiece and report each as good or defective.

Parts: a workpiece of four steps of different height, anywhere in reach and turned; each step carries a mark, good or
defective. The camera sits on the hand, 90 mm behind the tool point. A view counts when the camera is 150 mm from the
mark, within 10 mm, and looks at it within 10 degrees, for 0.3 s without a break. The verdict is given with the hand:
open for good, closed for defective, unchanged during the view. Success: four views, no wrong verdict, the workpiece
never touched. 150 +- 10 mm is the depth of field of a common 12 mm inspection lens, 10 degrees keeps glare out of it,
and 0.3 s are three exposures.
"""

from collections.abc import Mapping
from math import acos, dist, hypot, isfinite, radians
from typing import Any, ClassVar

import numpy as np

from ...robots.description import RobotDescription
from ...robots.errors import RefusedError
from ...robots.features import Feature
from ...robots.observation import Field
from ...robots.state import Vector
from ...robots.success import Criterion, goal_vector
from ..body import Body, Box, Colour, about_z
from ..cell import Cell
from ..experts.skills import motion_action
from ..task import Floats, Task, TrueTool

LENS = 0.090  # m behind the tool point at which the camera sits
STAND_OFF = 0.150  # m from lens to mark
DEPTH = 0.010  # m by which the stand-off may differ
AXIS = radians(10.0)  # by which the camera may look past the mark
DWELL_S = 0.3
VIEWS = 4
STEPS = ((-0.036, -0.018, 0.010), (-0.012, 0.016, 0.016), (0.012, -0.016, 0.007), (0.036, 0.018, 0.020))
HALF = 0.011  # m, half width of a step
WAIT = 0.022  # m below the view height at which it waits for its own fingers, nearer than a view may be
GAIN = 0.16  # share of the remaining way asked for in one tick
GREEN: Colour = (0.15, 0.72, 0.32, 1.0)
RED: Colour = (0.80, 0.12, 0.10, 1.0)


class Inspect(Task):
    """Look at four marks and give a verdict on each."""

    title = "look at four marks on a workpiece from the right distance and report each as good or defective"
    gripper = True
    feels = False
    pose = False
    horizon_s = 10.0
    tolerances: ClassVar[Mapping[str, tuple[float, float]]] = dict.fromkeys(
        ("servo", "lab", "industrial"), (DEPTH, AXIS)
    )
    criteria: ClassVar[tuple[Criterion, ...]] = (
        Criterion(name="viewed", at_least=True, weight=0.2, high=float(VIEWS)),
        Criterion(name="wrong_verdicts", weight=1.0, high=float(VIEWS)),
    )
    option_names = ("joint_positions", "part_pose", "labels")
    told_by_camera = ("view_label",)
    features = (
        Feature("field", "joint_positions"),
        Feature("field", "joint_velocities"),
        Feature("field", "following_error"),
        Feature("field", "gripper_opening"),
        Feature("field", "tcp_tilt"),
        Feature("field", "view_label"),
        Feature("field", "viewed"),
        Feature("difference", "view_position", "tcp_position"),
        Feature("local_difference", "view_position", "tcp_position"),
    )

    def sensed_fields(self) -> tuple[Field, ...]:
        """Where the hand must be for the next view, what the mark there looks like, and which views are done."""
        return (
            Field(name="view_position", size=3, unit="m", low=-2.0, high=2.0, source="parts"),
            Field(name="view_label", size=2, unit="1", low=0.0, high=1.0, source="parts"),
            Field(name="viewed", size=VIEWS, unit="1", low=0.0, high=1.0, source="job"),
        )

    def build(self, cell: Cell) -> None:
        """The workpiece, and a mark of either kind for each of its steps."""
        steel: Colour = (0.45, 0.49, 0.55, 1.0)
        steps = [
            Box(half=(HALF, HALF, 0.5 * z), at=(x, y, 0.5 * z), colour=(0.62 + 4 * z, 0.66 + 4 * z, 0.72 + 4 * z, 1.0))
            for x, y, z in STEPS
        ]
        plate = Box(half=(0.052, 0.034, 0.002), at=(0.0, 0.0, 0.002), colour=steel)
        cell.add(Body(name="workpiece", boxes=(plate, *steps)))
        for k in range(VIEWS):
            disc = Box(half=(0.006, 0.006, 0.0004), colour=GREEN, solid=False)
            cell.add(Body(name=f"good_{k}", boxes=(disc,)))
            cross = tuple(
                Box(half=(0.0075, 0.0022, 0.0004), turn=about_z(turn), colour=RED, solid=False)
                for turn in (radians(45.0), radians(-45.0))
            )
            cell.add(Body(name=f"defect_{k}", boxes=cross))

    def place(self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]) -> None:
        """Draw where the workpiece lies and which marks are good."""
        given = self.pose_option(options, "part_pose")
        x, y, _, yaw = self.sample_pose(rng, (0.0, 0.0))
        reach = self.robot.reach
        middle = 0.5 * (reach.radius[0] + reach.radius[1])
        # All four views must be in reach, those farther out as well: the arm is short where the hand is high.
        azimuth = float(np.arctan2(y - reach.axis[1], x - reach.axis[0]))
        r = middle - 0.015 + rng.uniform(-0.015, 0.015)
        x, y = reach.axis[0] + r * np.cos(azimuth), reach.axis[1] + r * np.sin(azimuth)
        if given:
            x, y, z, yaw = given
            if z != 0.0:
                raise RefusedError(f"option 'part_pose' has z {z}; the workpiece stands on the table, z 0")
        labels = rng.integers(0, 2, VIEWS).tolist()
        labels = self._labels_option(options) if "labels" in options else labels
        turn = about_z(yaw)
        cell.place("workpiece", (x, y, 0.0), turn)
        c, s = np.cos(yaw), np.sin(yaw)
        marks = []
        for k, (a, b, z) in enumerate(STEPS):
            at = (float(x + c * a - s * b), float(y + s * a + c * b), z)
            far = hypot(at[0] - reach.axis[0], at[1] - reach.axis[1])
            if given and far > reach.radius[1]:
                raise RefusedError(
                    f"option 'part_pose' {given} puts mark {k} {far:.3f} m from {reach.axis}, where {self.robot.name} "
                    f"cannot look down on it; all marks must be within {reach.radius[1]} m"
                )
            marks.append(at)
            shown, other = ("good", "defect") if labels[k] else ("defect", "good")
            cell.place(f"{shown}_{k}", (at[0], at[1], z + 0.0004), turn)
            cell.hide(f"{other}_{k}")
        self.memory = {"marks": marks, "labels": labels, "verdicts": [-1] * VIEWS, "dwell": 0, "now": -1}
        self.memory["touched"] = False
        self.desired = goal_vector((0.0, 0.0, 0.0), 0.0, 1, (float(VIEWS), 0.0))

    def _labels_option(self, options: Mapping[str, Any]) -> list[int]:
        given = options["labels"]
        try:
            labels = [float(v) for v in given]
        except (TypeError, ValueError):
            labels = []
        if len(labels) != VIEWS or not all(isfinite(v) and v in (0.0, 1.0) for v in labels):
            raise RefusedError(f"option 'labels' is {given!r}; expected {VIEWS} values, 1 for good and 0 for defective")
        return [int(v) for v in labels]

    def _next(self) -> int:
        """The first view without a verdict; the last one if all have one."""
        verdicts: list[int] = self.memory["verdicts"]
        return next((k for k, v in enumerate(verdicts) if v < 0), VIEWS - 1)

    def watch(self, cell: Cell, truth: TrueTool) -> None:
        """Count the ticks of an unbroken view, take the verdict when it has lasted long enough, and note a touch."""
        memory, k = self.memory, self._next()
        memory["touched"] = memory["touched"] or cell.touches_arm("workpiece")
        pose = truth.pose
        x, y, z = pose.position
        ax, ay, az = pose.z_axis
        lens = (x - LENS * ax, y - LENS * ay, z - LENS * az)
        mark = memory["marks"][k]
        far = dist(lens, mark)
        looks = sum([(m - p) * a for m, p, a in zip(mark, lens, pose.z_axis, strict=True)]) / far
        seen = abs(far - STAND_OFF) <= DEPTH and acos(min(1.0, max(-1.0, looks))) <= AXIS
        hand = int(self._hand_open(cell)) if seen else -1
        memory["dwell"] = memory["dwell"] + 1 if seen and hand == memory["now"] else int(seen)
        memory["now"] = hand
        if memory["dwell"] >= round(DWELL_S / self.dt) and memory["verdicts"][k] < 0:
            memory["verdicts"][k] = hand
            memory["dwell"], memory["now"] = 0, -1

    def _hand_open(self, cell: Cell) -> bool:
        """Whether the hand stands more open than closed, by its true position."""
        g = self.robot.gripper
        return cell.gripper() >= 0.5 * (g.closed + g.open)

    def sensed(self, cell: Cell) -> dict[str, Vector]:
        """True values of `sensed_fields`."""
        k = self._next()
        x, y, z = self.memory["marks"][k]
        good = float(self.memory["labels"][k])
        return {
            "view_position": (x, y, z + STAND_OFF - LENS),
            "view_label": (good, 1.0 - good),
            "viewed": tuple([1.0 if v >= 0 else 0.0 for v in self.memory["verdicts"]]),
        }

    def achieved(self, cell: Cell, truth: TrueTool) -> Vector:
        """Views that are done, wrong verdicts, the hand's way to the next view, and whether nothing was touched."""
        memory = self.memory
        verdicts, labels = memory["verdicts"], memory["labels"]
        viewed = sum(v >= 0 for v in verdicts)
        wrong = sum(v >= 0 and v != label for v, label in zip(verdicts, labels, strict=True))
        x, y, z = memory["marks"][self._next()]
        way = 0.0 if viewed == VIEWS else dist(truth.measured.position, (x, y, z + STAND_OFF - LENS))
        free = 0.0 if memory["touched"] else 1.0
        return (0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, free, min(way, 4.0), float(viewed), float(wrong))

    def show(self, cell: Cell, row: Mapping[str, Floats]) -> None:
        """Put the mark of the next view where it was seen; what lies beyond was not in view."""
        x, y, z = row["view_position"].tolist()
        shown, other = ("good_0", "defect_0") if row["view_label"][0] > 0.5 else ("defect_0", "good_0")
        cell.place(shown, (x, y, z + LENS - STAND_OFF))
        cell.hide(other)

    @classmethod
    def expert(cls, robot: RobotDescription, fields: Mapping[str, Floats]) -> Floats:
        """Go to the next view, but too near for it until the hand stands as the verdict will be."""
        way = fields["view_position"] - fields["tcp_position"]
        good = fields["view_label"][:, 0] > 0.5
        g = robot.gripper
        middle = float(np.interp(0.5, np.linspace(0.0, 1.0, len(g.opening)), g.opening))
        margin = 0.1 * (g.opening[-1] - g.opening[0])
        opening = fields["gripper_opening"][:, 0]
        ready = np.where(good, opening > middle + margin, opening < middle - margin)
        way[:, 2] += np.where(ready, 0.0, -WAIT)
        hand = np.where(good, 1.0, -1.0)
        motion = motion_action(robot, way, np.zeros(len(way)), GAIN)
        return np.concatenate([motion, hand[:, None]], axis=1)
