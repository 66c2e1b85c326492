"""ScrewDrive: take a power driver with a bolt on its bit, drive the bolt home until the clutch clicks, put it back.

Parts: a driver of 130 g with a square handle, hanging by its flange in a holder, an M16 bolt of 2 mm pitch on its
magnetic bit; and a block with a tapped hole whose mouth takes the bolt's point, elsewhere. The driver starts when it is
pressed on; a torque arm, not modelled, takes its reaction, which two fingers could not. What thread and clutch do is
`parts/thread.py`. Success: the bolt within 0.75 mm of its seat (0.375 of the pitch, as Factory's NutThread), tightened
with 1.5 +- 0.15 N m (10 % is what work standards give a clutch; its setting differs by 3 % from episode to episode),
not cross-threaded (it caught the thread within 2 degrees of upright), and the driver back in its holder, let go of and
at rest. Torque beyond 1.65 N m and a crossed thread are for good. The cell does not know the torque; it knows the
clutch's switch.
"""

from collections.abc import Mapping
from math import cos, dist, radians, sin
from typing import Any, ClassVar

import numpy as np

from ...robots.description import RobotDescription
from ...robots.errors import RefusedError
from ...robots.features import Feature
from ...robots.observation import Field
from ...robots.state import Vector
from ...robots.success import Criterion, goal_vector
from ..assembly import ASSEMBLY_FIELDS, two_places
from ..body import Body, Colour, about_z, motion_between, yaw_and_tilt
from ..cell import Cell
from ..experts.fit import EXACT_SIZES, Fitting, fit
from ..parts.driver import BIT, HANDLE, HANDLE_HEIGHT, HEAD, LENGTH, TIP, bolt_shapes, driver_shapes, socket_shapes
from ..parts.fixtures import hole_block
from ..parts.thread import PITCH, Thread
from ..randomize import Randomization
from ..task import ARM_FEATURES, Floats, Task, TrueTool, yaw_of

FEED = 3.0 * PITCH  # m from the first catch to the seat
BORE, BORE_DEPTH = 0.0113, 0.005  # m, of the mouth that takes the point
BLOCK_FLOOR = 0.020  # m, height of the thread's beginning
HOLDER_TOP = 0.068  # m
REST = HOLDER_TOP + 0.5 * HANDLE_HEIGHT  # m, the origin of a driver that hangs in its holder
CATCH = BLOCK_FLOOR + TIP  # m, its height when the thread catches
PLAY = 0.0003  # m, of the bolt's head in the holder
MASSES = (0.130, 0.100)  # kg, with and without bolt
APART = 0.110  # m
TORQUE, BAND, SCATTER = 1.5, 0.15, 0.03
BACK = 0.006  # m from where it hung within which the driver is back
GROUND: Colour = (0.30, 0.32, 0.36, 1.0)
OUT = TIP - 0.5 * HANDLE_HEIGHT  # m that bit and bolt reach into the holder
BEYOND = 0.004  # m below the seat to which the hand presses, lest it stop short
GRIP = 0.008  # m above the handle's middle
DRIVE = Fitting(
    grip_above=GRIP,
    depth=FEED + BORE_DEPTH + BEYOND,
    socket=OUT + 0.002,
    travel=0.135,
    around=0.045,
    search=0.0003,
    wiggle=0.0,
    aim=0.0008,
    square=0.010,
)
RETURN = Fitting(grip_above=GRIP, depth=OUT + 0.002, socket=0.0, travel=0.135, deep=0.0012, aim=0.0008, square=0.010)


class ScrewDrive(Task):
    """Drive a bolt home."""

    title = "drive a bolt home with a power driver until its clutch clicks, and put the driver back"
    robots = ("panda", "ur5e")
    gripper = True
    symmetry = 4
    pose = False
    horizon_s = 24.0
    tolerances: ClassVar[Mapping[str, tuple[float, float]]] = dict.fromkeys(
        ("servo", "lab", "industrial"), (0.375 * PITCH, radians(2.0))
    )
    randomization: ClassVar[Mapping[str, Randomization]] = EXACT_SIZES
    criteria: ClassVar[tuple[Criterion, ...]] = (
        Criterion(name="from_seat_m", unit="m", weight=20.0, high=4.0),
        Criterion(name="tightened_n_m", unit="N m", at_least=True, weight=0.2, high=100.0),
        Criterion(name="torque_n_m", unit="N m", weight=1.0, high=100.0),
        Criterion(name="cross_threaded", weight=1.0, high=1.0),
        Criterion(name="from_holder_m", unit="m", weight=0.5, high=4.0),
    )
    option_names = ("clutch", "joint_positions", "part_pose", "seat_pose")
    features = (
        *ARM_FEATURES,
        Feature("field", "tcp_following_error"),
        Feature("field", "clutch"),
        Feature("difference", "part_position", "tcp_position"),
        Feature("difference", "seat_position", "part_position"),
        Feature("difference", "rack_position", "part_position"),
        Feature("local_difference", "part_position", "tcp_position"),
        Feature("local_difference", "seat_position", "tcp_position"),
        Feature("local_difference", "rack_position", "tcp_position"),
        Feature("angle_difference", "part_yaw", "tcp_yaw_x4"),
        Feature("angle_difference", "seat_yaw", "tcp_yaw_x4"),
        Feature("angle_difference", "rack_yaw", "tcp_yaw_x4"),
        Feature("fine_difference", "rack_position", "tcp_position"),
        Feature("fine_difference", "seat_position", "tcp_position"),
        Feature("fine_angle", "rack_yaw", "tcp_yaw_x4"),
        Feature("fine_angle", "seat_yaw", "tcp_yaw_x4"),
    )

    def sensed_fields(self) -> tuple[Field, ...]:
        """The driver's pose, where holder and bolt's seat are, and whether the clutch has clicked."""
        return (
            *ASSEMBLY_FIELDS,
            Field(name="rack_yaw", size=2, unit="1", low=-1.0, high=1.0, source="job"),
            Field(name="seat_position", size=3, unit="m", low=-2.0, high=2.0, source="job"),
            Field(name="seat_yaw", size=2, unit="1", low=-1.0, high=1.0, source="job"),
            Field(name="clutch", size=1, unit="1", low=0.0, high=1.0, source="job"),
        )

    def build(self, cell: Cell) -> None:
        """The driver with and without its bolt, the bolt in the thread, block and holder."""
        cell.add(Body(name="loaded", boxes=(*driver_shapes(), *bolt_shapes(-BIT)), mass=MASSES[0], friction=1.0))
        cell.add(Body(name="empty", boxes=driver_shapes(), mass=MASSES[1], friction=1.0))
        cell.add(Body(name="bolt", boxes=(*bolt_shapes(LENGTH), *socket_shapes(LENGTH)), friction=0.05))
        cell.add(hole_block("block", BORE, depth=BORE_DEPTH, floor=BLOCK_FLOOR, wall=0.016, chamfer=0.002))
        pocket = HEAD + 2.0 * PLAY
        cell.add(
            hole_block("holder", pocket, depth=HOLDER_TOP - 0.002, wall=0.010, chamfer=0.0, friction=0.4, colour=GROUND)
        )
        self._thread = Thread(
            cell, loaded="loaded", empty="empty", bolt="bolt", block="block", tip=TIP, head=BIT, feed=FEED
        )
        cell.devices.append(self._thread)

    def place(self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]) -> None:
        """Draw where holder and block stand and at which torque the clutch trips."""
        (gx, gy, _, gyaw), (px, py, _, pyaw) = two_places(
            self, rng, options, seat=("seat_pose", BLOCK_FLOOR), rack=("part_pose", REST), apart=APART
        )
        drawn = TORQUE * (1.0 + SCATTER * float(np.clip(rng.standard_normal(), -2.5, 2.5)))
        setting = self._clutch_option(options)
        self._thread.setting = drawn if setting is None else setting
        self._thread.start = (gx, gy, BLOCK_FLOOR)
        limits = (0.375 * PITCH, TORQUE - BAND, TORQUE + BAND, 0.0, BACK)
        self.desired = goal_vector((0.0, 0.0, 0.0), 0.0, self.symmetry, limits)
        cell.place("block", (gx, gy, 0.0), about_z(gyaw))
        cell.place("holder", (px, py, 0.0), about_z(pyaw))
        cell.hide("bolt")
        jx, jy = rng.uniform(-0.8 * PLAY, 0.8 * PLAY, 2).tolist()
        cell.place("loaded", (px + jx, py + jy, REST), about_z(pyaw))
        self.memory = {"rack": (px, py, pyaw), "seat": (gx, gy, gyaw), "pose": cell.pose("loaded")}

    def _clutch_option(self, options: Mapping[str, Any]) -> float | None:
        """Setting of the clutch given to `reset`, N m."""
        if "clutch" not in options:
            return None
        value = options["clutch"]
        if not isinstance(value, int | float) or not 0.5 <= value <= 3.0:
            raise RefusedError(f"option 'clutch' is {value!r}; expected 0.5..3.0 N m")
        return float(value)

    def watch(self, cell: Cell, truth: TrueTool) -> None:
        """Follow the driver by its poses."""
        pose = cell.pose(self._thread.driver)
        self._motion = motion_between(self.memory["pose"], pose, self.dt)
        self.memory["pose"] = pose

    def show(self, cell: Cell, row: Mapping[str, Floats]) -> None:
        """Put block, holder and driver where they were seen."""
        x, y, _ = row["seat_position"].tolist()
        cell.place("block", (x, y, 0.0), about_z(yaw_of(row["seat_yaw"], self.symmetry)))
        x, y, _ = row["rack_position"].tolist()
        cell.place("holder", (x, y, 0.0), about_z(yaw_of(row["rack_yaw"], self.symmetry)))
        cell.place("loaded", row["part_position"].tolist(), about_z(yaw_of(row["part_yaw"], self.symmetry)))

    def sensed(self, cell: Cell) -> dict[str, Vector]:
        """True values of `sensed_fields`."""
        position, orientation = self.memory["pose"]
        yaw, _ = yaw_and_tilt(orientation, 1)
        (px, py, pyaw), (gx, gy, gyaw) = self.memory["rack"], self.memory["seat"]
        s = self.symmetry
        return {
            "part_position": position,
            "part_yaw": (sin(s * yaw), cos(s * yaw)),
            "rack_position": (px, py, REST),
            "rack_yaw": (sin(s * pyaw), cos(s * pyaw)),
            "seat_position": (gx, gy, CATCH - FEED),
            "seat_yaw": (sin(s * gyaw), cos(s * gyaw)),
            "clutch": (1.0 if self._thread.clicks else 0.0,),
        }

    def achieved(self, cell: Cell, truth: TrueTool) -> Vector:
        """The driver's motion, how far and how tight the bolt is, and how far the driver is from its holder."""
        thread, (position, _) = self._thread, self.memory["pose"]
        px, py, _ = self.memory["rack"]
        left = FEED - thread.depth if thread.caught else min(FEED + dist(position[:2], thread.start[:2]), 4.0)
        torque = min(thread.torque, 100.0)
        return (
            0.0,
            0.0,
            0.0,
            0.0,
            1.0,
            0.0,
            *self._motion,
            0.0 if cell.touches_arm(thread.driver) else 1.0,
            min(dist(position, truth.measured.position), 4.0),
            left,
            torque,
            torque,
            1.0 if thread.crossed else 0.0,
            min(dist(position, (px, py, REST)), 4.0),
        )

    @classmethod
    def expert(cls, robot: RobotDescription, fields: Mapping[str, Floats]) -> Floats:
        """Take the driver, press the bolt on until the clutch clicks, and hang the driver into its holder again."""
        clicked = fields["clutch"][:, 0] > 0.5
        width = np.full(len(clicked), HANDLE)
        rack, seat = fields["rack_position"], fields["seat_position"]
        down = {**fields, "seat_position": seat - np.array([0.0, 0.0, BEYOND])}
        drive = fit(robot, down, width=width, symmetry=cls.symmetry, fitting=DRIVE, keep=~clicked)
        away = rack + np.array([1.0, 1.0, -1.0])
        back = {**fields, "seat_position": rack, "seat_yaw": fields["rack_yaw"], "rack_position": away}
        hang = fit(robot, back, width=width, symmetry=cls.symmetry, fitting=RETURN)
        # Off the bolt gently: a jerk would twist the driver in the hand.
        above = np.maximum(fields["part_position"][:, 2] - seat[:, 2], 0.0)
        over = np.hypot(*(fields["part_position"] - seat)[:, :2].T) < 0.020
        gentle = np.minimum(hang[:, 2], (0.0006 + 0.12 * above) / robot.ee_step)
        hang[:, 2] = np.where(over, gentle, hang[:, 2])
        return np.where(clicked[:, None], hang, drive)
