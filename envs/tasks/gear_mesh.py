"""GearMesh: set the middle gear on its shaft between two others, so that one turns the other through it.

Parts: a steel gear of 12 teeth, module 2.5 mm, 15 mm thick, 80 g, with a square boss to hold it by; a rack with a pin
on which it waits, turned anyhow; and a gearbox with a fixed shaft (0.5 mm thinner than the bore) between two gears on
shafts of their own, which turn freely but for friction. How they stand is drawn at random, within what lets a gear mesh
with both; encoders on both shafts tell the cell's controller the yaw at which it would. Success: within 2.5 mm of the
shaft's axis and 1 mm of its seat (Factory's GearMesh: 5 % of 20 mm), let go of, and then the cell's own test: once the
gear has been seated and free for 0.2 s a motor turns the left gear by 40 degrees, with a torque that a jam stalls, and
the right one must have gone along by 10 degrees or more ("rotate together", as the assembly task board asks).
"""

from collections.abc import Mapping
from math import cos, dist, pi, radians, sin
from typing import Any, ClassVar

import numpy as np

from ...robots.description import RobotDescription
from ...robots.errors import RefusedError
from ...robots.features import Feature
from ...robots.observation import Field
from ...robots.state import Vector
from ...robots.success import Criterion, goal_vector
from ..assembly import ASSEMBLY_FIELDS, two_places
from ..body import Body, Box, Colour, Cylinder, Mover, about_z, motion_between, yaw_and_tilt
from ..cell import Cell
from ..experts.fit import EXACT_SIZES, Fitting, fit
from ..parts.gears import (
    BORE_RADIUS,
    FEET,
    PITCH_RADIUS,
    STEP,
    TEETH,
    THICKNESS,
    TIP_RADIUS,
    GearDrive,
    gear,
    meshing_yaw,
    shaft,
)
from ..randomize import Randomization
from ..task import ARM_FEATURES, Floats, Task, TrueTool

FLOOR = 0.005  # m, of rack and gearbox below the gear
REST = FLOOR + FEET + 0.5 * THICKNESS  # m, middle of a gear that is seated or waits
SHAFT, PIN = 0.014, 0.010  # m, length of the gearbox's shaft and of the rack's pin
BOSS = 0.016  # m, width of the boss
BOSS_HEIGHT = 0.022  # m
MASS = 0.080  # kg
CENTRES = 2.0 * PITCH_RADIUS + 0.0002  # m between shafts
APART = 0.130  # m, least distance between rack and gearbox
PLAY = radians(1.5)  # by which the right gear may stand off from where it would mesh best
TURN, NEEDED = radians(40.0), radians(10.0)
DWELL = 0.2  # s
OFF_AXIS, RESIDUAL, TILT = 0.0025, 0.001, radians(5.0)
STEEL: Colour = (0.36, 0.42, 0.52, 1.0)
AMBER: Colour = (0.95, 0.62, 0.10, 1.0)
BLUE: Colour = (0.22, 0.50, 0.80, 1.0)
GROUND: Colour = (0.30, 0.32, 0.36, 1.0)
FITTING = Fitting(
    grip_above=0.0215, depth=THICKNESS + 0.001, socket=PIN + 0.002, travel=0.080, aim=0.0008, square=0.010
)


class GearMesh(Task):
    """Mesh a gear with two others."""

    title = "set a gear on its shaft between two others, so that one turns the other through it"
    robots = ("panda", "ur5e")
    gripper = True
    symmetry = 4
    pose = False
    horizon_s = 15.0
    tolerances: ClassVar[Mapping[str, tuple[float, float]]] = dict.fromkeys(
        ("servo", "lab", "industrial"), (OFF_AXIS, TILT)
    )
    randomization: ClassVar[Mapping[str, Randomization]] = EXACT_SIZES
    criteria: ClassVar[tuple[Criterion, ...]] = (
        Criterion(name="off_axis_m", unit="m", weight=1.0, high=4.0),
        Criterion(name="residual_m", unit="m", weight=1.0, high=4.0),
        Criterion(name="leaning_rad", unit="rad", high=4.0),
        Criterion(name="turned_rad", unit="rad", at_least=True, weight=0.2, high=4.0),
    )
    option_names = ("joint_positions", "part_pose", "phase", "seat_pose")
    features = (
        *ARM_FEATURES,
        Feature("field", "tcp_following_error"),
        Feature("angle_difference", "mesh_yaw", "tcp_yaw_x12"),
        Feature("difference", "part_position", "tcp_position"),
        Feature("difference", "seat_position", "part_position"),
        Feature("difference", "seat_position", "tcp_position"),
        Feature("local_difference", "part_position", "tcp_position"),
        Feature("local_difference", "rack_position", "tcp_position"),
        Feature("local_difference", "seat_position", "part_position"),
        Feature("local_difference", "seat_position", "tcp_position"),
        Feature("angle_difference", "part_yaw", "tcp_yaw_x4"),
        Feature("fine_difference", "rack_position", "tcp_position"),
        Feature("fine_difference", "seat_position", "tcp_position"),
        Feature("fine_angle", "part_yaw", "tcp_yaw_x4"),
        Feature("fine_angle", "mesh_yaw", "tcp_yaw_x12"),
    )

    def sensed_fields(self) -> tuple[Field, ...]:
        """The gear's pose, where rack and shaft are, and the yaw, of `TEETH` alike, at which the gear would mesh."""
        return (
            *ASSEMBLY_FIELDS,
            Field(name="tcp_yaw_x12", size=2, unit="1", low=-1.0, high=1.0),
            Field(name="seat_position", size=3, unit="m", low=-2.0, high=2.0, source="job"),
            Field(name="mesh_yaw", size=2, unit="1", low=-1.0, high=1.0, source="job"),
            Field(name="drive_done", size=1, unit="1", low=0.0, high=1.0, source="job"),
        )

    def build(self, cell: Cell) -> None:
        """Gear, rack and gearbox with its drive."""
        half, up = (0.5 * BOSS, 0.5 * BOSS, 0.5 * BOSS_HEIGHT), 0.5 * (THICKNESS + BOSS_HEIGHT)
        boss = Box(half=half, at=(0.0, 0.0, up), colour=AMBER)
        cell.add(Body(name="gear", boxes=(*gear(AMBER, AMBER), boss), mass=MASS))
        foot = Box(half=(TIP_RADIUS, TIP_RADIUS, 0.5 * FLOOR), at=(0.0, 0.0, 0.5 * FLOOR), colour=GROUND)
        cell.add(Body(name="rack", boxes=(foot, *shaft(PIN, FLOOR, STEEL, cone=False)), friction=0.12))
        long = CENTRES + TIP_RADIUS
        plate = Box(half=(long, 1.1 * TIP_RADIUS, 0.5 * FLOOR), at=(0.0, 0.0, 0.5 * FLOOR), colour=GROUND)
        movers = tuple(
            Mover(
                name=name,
                shapes=(
                    *gear(BLUE, STEEL, facing=facing),
                    Cylinder(radius=BORE_RADIUS, height=1.02 * THICKNESS, colour=STEEL, solid=False),
                ),
                mass=0.08,
                kind="hinge",
                axis=(0.0, 0.0, 1.0),
                at=(x, 0.0, REST),
                friction=0.005,
            )
            for name, x, facing in (("left", -CENTRES, 0.0), ("right", CENTRES, pi))
        )
        cell.add(Body(name="gearbox", boxes=(plate, *shaft(SHAFT, FLOOR, STEEL)), friction=0.12, movers=movers))
        self._drive = GearDrive(cell, "gearbox", "left", "right", angle=TURN, speed=0.6, torque=0.08, drag=0.005)
        cell.devices.append(self._drive)

    def place(self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]) -> None:
        """Draw where rack and gearbox stand, how the gear is turned on its pin, and how the others stand."""
        (gx, gy, _, gyaw), (px, py, _, pyaw) = two_places(
            self, rng, options, seat=("seat_pose", REST), rack=("part_pose", REST), apart=APART
        )
        phase = self._phase_option(options)
        left = rng.uniform(-0.5 * STEP, 0.5 * STEP) if phase is None else phase
        self.desired = goal_vector((0.0, 0.0, 0.0), 0.0, self.symmetry, (OFF_AXIS, RESIDUAL, TILT, NEEDED))
        cell.place("gearbox", (gx, gy, 0.0), about_z(gyaw))
        cell.set_mover("gearbox", "left", left)
        cell.set_mover("gearbox", "right", left + rng.uniform(-PLAY, PLAY))
        cell.place("rack", (px, py, 0.0), about_z(pyaw))
        cell.place("gear", (px, py, REST), about_z(pyaw))
        self.memory = {
            "rack": (px, py, REST),
            "seat": (gx, gy, REST),
            "yaw": gyaw,
            "free": 0,
            "tested": False,
            "pose": cell.pose("gear"),
        }

    def _phase_option(self, options: Mapping[str, Any]) -> float | None:
        """Angle of the left gear given to `reset`, rad."""
        if "phase" not in options:
            return None
        value = options["phase"]
        if not isinstance(value, int | float) or not abs(value) <= 0.5 * STEP:
            raise RefusedError(f"option 'phase' is {value!r}; expected rad within half a tooth, +-{0.5 * STEP:.4f}")
        return float(value)

    def watch(self, cell: Cell, truth: TrueTool) -> None:
        """The cell's controller: once the gear has stood seated and free for a while, try whether the gears turn."""
        pose = cell.pose("gear")
        self._motion = motion_between(self.memory["pose"], pose, self.dt)
        self.memory["pose"] = pose
        self._free = not cell.touches_arm("gear")
        seated = self._free and self._off(pose) <= OFF_AXIS and self._residual(pose) <= RESIDUAL
        self.memory["free"] = self.memory["free"] + 1 if seated else 0
        if not seated:
            self.memory["tested"] = False
        elif not self.memory["tested"] and self.memory["free"] * self.dt >= DWELL:
            self.memory["tested"] = True
            self._drive.begin()

    def _off(self, pose: tuple[Any, Any]) -> float:
        return dist(pose[0][:2], self.memory["seat"][:2])

    def _residual(self, pose: tuple[Any, Any]) -> float:
        return abs(float(pose[0][2]) - REST)

    def show(self, cell: Cell, row: Mapping[str, Floats]) -> None:
        """Put gearbox, rack and gear where they were seen; of the gearbox's own turn only the teeth tell."""
        x, y, _ = row["seat_position"].tolist()
        cell.place("gearbox", (x, y, 0.0))
        x, y, _ = row["rack_position"].tolist()
        cell.place("rack", (x, y, 0.0))
        s, c = row["part_yaw"].tolist()
        cell.place("gear", row["part_position"].tolist(), about_z(float(np.arctan2(s, c)) / self.symmetry))

    def sensed(self, cell: Cell) -> dict[str, Vector]:
        """True values of `sensed_fields`."""
        position, orientation = self.memory["pose"]
        yaw, _ = yaw_and_tilt(orientation, 1)
        mesh = self.memory["yaw"] + meshing_yaw(cell.mover("gearbox", "left")[0], cell.mover("gearbox", "right")[0])
        return {
            "part_position": position,
            "part_yaw": (sin(self.symmetry * yaw), cos(self.symmetry * yaw)),
            "rack_position": self.memory["rack"],
            "seat_position": self.memory["seat"],
            "mesh_yaw": (sin(TEETH * mesh), cos(TEETH * mesh)),
            "drive_done": (1.0 if self.memory["tested"] and not self._drive.running else 0.0,),
        }

    def achieved(self, cell: Cell, truth: TrueTool) -> Vector:
        """The gear's motion, where it is to its seat, and how far the far gear has been turned."""
        pose = self.memory["pose"]
        _, tilt = yaw_and_tilt(pose[1], 1)
        return (
            0.0,
            0.0,
            0.0,
            0.0,
            1.0,
            0.0,
            *self._motion,
            1.0 if self._free else 0.0,
            min(dist(pose[0], truth.measured.position), 4.0),
            min(self._off(pose), 4.0),
            min(self._residual(pose), 4.0),
            tilt,
            min(max(self._drive.turned, 0.0), 4.0),
        )

    @classmethod
    def expert(cls, robot: RobotDescription, fields: Mapping[str, Floats]) -> Floats:
        """Take the gear by its boss and let it down at the nearest yaw at which it meshes."""
        tool = np.arctan2(fields["tcp_yaw"][:, 0], fields["tcp_yaw"][:, 1])
        mesh = np.arctan2(fields["mesh_yaw"][:, 0], fields["mesh_yaw"][:, 1]) / TEETH
        yaw = tool + (mesh - tool + 0.5 * STEP) % STEP - 0.5 * STEP
        turned = cls.symmetry * yaw
        seen = {
            **fields,
            "rack_yaw": fields["part_yaw"],
            "seat_yaw": np.stack([np.sin(turned), np.cos(turned)], axis=1),
        }
        width = np.full(len(tool), BOSS)
        return fit(robot, seen, width=width, symmetry=cls.symmetry, fitting=FITTING)
