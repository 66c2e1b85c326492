"""What a task is: a work instruction that a cell can carry out and an observer can check.

A task file reads top to bottom: which parts stand where, what the policy observes, what success is, how the
scripted expert does it. It talks to a `Cell`, never to the physics engine.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import atan2, cos, isfinite, pi, sin, sqrt
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..robots.catalogue import load_robot, robot_names
from ..robots.description import RobotDescription
from ..robots.errors import RefusedError
from ..robots.features import Feature
from ..robots.kinematics import Kinematics
from ..robots.observation import Field, ObservationSpec
from ..robots.pose import Pose
from ..robots.state import Vector
from ..robots.station import arm_fields
from ..robots.success import Criterion, Success, goal_fields
from .cell import Cell
from .randomize import PRESETS, Randomization
from .render.mount import CameraMount, standard_mounts

Floats = npt.NDArray[np.float64]

# What a policy that grips makes of the arm's own fields.
ARM_FEATURES: tuple[Feature, ...] = tuple(
    Feature("field", name)
    for name in (
        "joint_positions",
        "joint_velocities",
        "following_error",
        "gripper_opening",
        "tcp_position",
        "tcp_yaw",
        "tcp_tilt",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SenseNoise:
    """How badly a part's pose is known: declared with the task, printed in every report.

    Attributes:
        position_bias: Standard deviation of an error fixed for an episode, m.
        position_noise: Standard deviation of the error of one reading, m.
        yaw_bias: The same for yaw, rad.
        yaw_noise: The same for one reading, rad.
        delay_ticks: Least and greatest age of a reading in control ticks, drawn per episode.
    """

    position_bias: float = 0.001
    position_noise: float = 0.0005
    yaw_bias: float = 0.01
    yaw_noise: float = 0.005
    delay_ticks: tuple[int, int] = (1, 2)


class TrueTool:
    """The tool as it truly is, free of play, ticks and delay; computed as far as it is asked for."""

    def __init__(self, kinematics: Kinematics, joints: Callable[[], tuple[Vector, Vector]], measured: Pose) -> None:
        """Take what it is computed from.

        Args:
            kinematics: Chain of the arm.
            joints: Gives true joint positions in rad and speeds in rad/s.
            measured: TCP pose by the encoders, good enough where a millimetre does not matter, and free.
        """
        self._kinematics = kinematics
        self._joints = joints
        self.measured = measured

    @cached_property
    def pose(self) -> Pose:
        """TCP pose."""
        self._positions, self._speeds = self._joints()
        return self._kinematics.forward(self._positions)

    @property
    def motion(self) -> tuple[float, float]:
        """Speed of the TCP in m/s and its angular speed in rad/s."""
        rows = self.pose.jacobian_rows
        vx, vy, vz, wx, wy, wz = [sum([j * w for j, w in zip(row, self._speeds, strict=True)]) for row in rows]
        return sqrt(vx * vx + vy * vy + vz * vz), sqrt(wx * wx + wy * wy + wz * wz)


class Task(ABC):
    """One job in the cell.

    Class attributes:
        title: One sentence for people.
        robots: Arms that can do it; empty for all with enough reach.
        depth: How far the arm's reach must extend outward, from nearest to farthest, for the layout to fit, m.
        turns: Whether fixtures or parts lie in ways that ask for a tool which can be turned about itself.
        gripper: Whether actions drive the gripper.
        feels: Whether fingers must tell what is between them: arms whose fingers are only switched are left out.
        symmetry: Yaw turns under which the handled part looks the same.
        horizon_s: Length of an episode, s.
        tolerances: Position in m and angle in rad for each tolerance class.
        features: What a policy computes from the raw observation.
        noise: How parts are sensed.
        told_by_camera: Fields that give away what pictures show; a policy that sees only pictures lacks them.
        levels: Names of its degrees of difficulty, easiest first; empty where there is only one.
        randomization: Ranges of what may differ between episodes, by preset.
        pose: Whether the goal is a pose.
        criteria: What is judged beside it.
    """

    title: ClassVar[str]
    robots: ClassVar[tuple[str, ...]] = ()
    depth: ClassVar[float] = 0.0
    turns: ClassVar[bool] = False
    gripper: ClassVar[bool]
    feels: ClassVar[bool] = True
    symmetry: ClassVar[int] = 1
    horizon_s: ClassVar[float]
    tolerances: ClassVar[Mapping[str, tuple[float, float]]]
    features: ClassVar[tuple[Feature, ...]]
    noise: ClassVar[SenseNoise] = SenseNoise()
    option_names: ClassVar[tuple[str, ...]] = ("goal", "joint_positions")
    told_by_camera: ClassVar[tuple[str, ...]] = ()
    levels: ClassVar[tuple[str, ...]] = ()
    randomization: ClassVar[Mapping[str, Randomization]] = PRESETS
    pose: ClassVar[bool] = True
    criteria: ClassVar[tuple[Criterion, ...]] = ()

    @classmethod
    def suits(cls, robot: RobotDescription) -> bool:
        """Whether an arm can do it.

        Args:
            robot: The arm.
        """
        near, far = robot.reach.radius
        least, most = robot.reach.yaw
        able = far - near >= cls.depth and (most > least or not cls.turns) and not (cls.feels and blind(robot))
        return able and (not cls.robots or robot.name in cls.robots)

    @classmethod
    def offered(cls) -> tuple[str, ...]:
        """Names of all arms of the catalogue that can do it."""
        return tuple(name for name in robot_names() if cls.suits(load_robot(name)))

    def __init__(self, robot: RobotDescription, tolerance: str, level: str | None = None) -> None:
        """Check that this arm, this tolerance class and this level exist for the task.

        Args:
            robot: The arm.
            tolerance: One of the keys of `tolerances`.
            level: One of `levels`; the arm's own if not given.

        Raises:
            RefusedError: If one of them is not offered.
        """
        name = type(self).__name__
        if not self.suits(robot):
            raise RefusedError(
                f"{name} is not offered for {robot.name}; arms that can do it: {', '.join(self.offered())}"
            )
        if tolerance not in self.tolerances:
            raise RefusedError(f"{name} has no tolerance {tolerance!r}; there are: {', '.join(self.tolerances)}")
        self.robot = robot
        self.tolerance = tolerance
        self.level = self.level_index(self.default_level(robot) if level is None else level) if self.levels else 0
        if level is not None and not self.levels:
            raise RefusedError(f"{name} has no levels, found level={level!r}; leave it out")
        position, angle = self.tolerances[tolerance]
        self.success = Success(
            position_tolerance=position,
            angle_tolerance=angle,
            symmetry=self.symmetry,
            pose=self.pose,
            criteria=self.criteria,
        )
        self.desired: Vector = ()
        self.dt = 1.0 / robot.control_rate_hz
        # What has happened so far and no physical state tells: plain values only, they belong to every saved moment.
        self.memory: dict[str, Any] = {}

    @cached_property
    def cameras(self) -> tuple[CameraMount, ...]:
        """Cameras of the cell: one that stands over it and one on the hand, unless a task says otherwise."""
        return standard_mounts(self.robot)

    @classmethod
    def levels_for(cls, robot: RobotDescription) -> tuple[str, ...]:
        """The levels that an arm can do, easiest first; all by default."""
        return cls.levels

    @classmethod
    def default_level(cls, robot: RobotDescription) -> str:
        """The level at which the task is judged with an arm if none is named; the hardest it can do by default."""
        return cls.levels_for(robot)[-1]

    def level_index(self, level: object) -> int:
        """Place of a level's name among `levels`.

        Raises:
            RefusedError: If there is no such level for this arm.
        """
        offered = self.levels_for(self.robot)
        if level not in offered:
            raise RefusedError(
                f"{type(self).__name__} has no level {level!r} for {self.robot.name}; there are: {', '.join(offered)}"
            )
        return self.levels.index(str(level))

    def sensed_fields(self) -> tuple[Field, ...]:
        """Fields that a sense beside the arm must give; none by default."""
        return ()

    def spec(self) -> ObservationSpec:
        """The observation: the arm's own fields, the sensed ones, and the goal."""
        return ObservationSpec(
            observation=(*arm_fields(self.robot, symmetry=self.symmetry), *self.sensed_fields()),
            achieved_goal=goal_fields("achieved", "truth", privileged=True, criteria=self.criteria),
            desired_goal=goal_fields("goal", "goal", criteria=self.criteria),
        )

    @abstractmethod
    def build(self, cell: Cell) -> None:
        """Put the task's bodies into the cell, once."""

    @abstractmethod
    def place(self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]) -> None:
        """Lay out a new episode: draw what is random, place bodies, set `desired` and begin `memory` anew."""

    def watch(self, cell: Cell, truth: "TrueTool") -> None:
        """Note in `memory` what happened; called once after each tick and once at the start, before anything is sensed.

        Args:
            cell: The cell.
            truth: The tool.
        """

    @abstractmethod
    def achieved(self, cell: Cell, truth: TrueTool) -> Vector:
        """Goal vector of what is, from ground truth.

        Args:
            cell: The cell.
            truth: The tool.
        """

    @abstractmethod
    def show(self, cell: Cell, row: Mapping[str, Floats]) -> None:
        """Put everything where a recording saw it.

        Args:
            cell: The cell.
            row: Observed and goal fields of one tick by name.
        """

    def sensed(self, cell: Cell) -> dict[str, Vector]:
        """True values of `sensed_fields`; noise and delay are added by the sense."""
        return {}

    def shown(self, cell: Cell) -> dict[str, Vector]:
        """What pictures of this moment tell of `sensed_fields`, to label them with; the true values by default.

        A task overrides it where the cell's controller knows what nobody can see, such as which of two parts that look
        alike is meant.
        """
        return self.sensed(cell)

    @classmethod
    @abstractmethod
    def expert(cls, robot: RobotDescription, fields: Mapping[str, Floats]) -> Floats:
        """Actions of the scripted expert, a function of the observation alone.

        Args:
            robot: The arm.
            fields: Observed fields and goal fields by name, each (batch, size).

        Returns:
            (batch, action size), within [-1, 1].
        """

    def sample_pose(
        self, rng: np.random.Generator, height: tuple[float, float] | None = None
    ) -> tuple[float, float, float, float]:
        """Draw x, y, z in m and yaw in rad where a downward tool of this arm can work."""
        reach = self.robot.reach
        low, high = height or reach.height
        r = rng.uniform(*reach.radius)
        azimuth = rng.uniform(*reach.azimuth)
        z = rng.uniform(low, high)
        yaw = azimuth + rng.uniform(*reach.yaw)
        return reach.axis[0] + r * cos(azimuth), reach.axis[1] + r * sin(azimuth), z, yaw

    def pose_option(self, options: Mapping[str, Any], key: str) -> tuple[float, float, float, float] | None:
        """Read a pose given to `reset`: x, y, z in m and yaw in rad.

        Raises:
            RefusedError: If it is malformed, not finite or out of the arm's reach; the text says what is allowed.
        """
        if key not in options:
            return None
        try:
            values = [float(v) for v in options[key]]
        except (TypeError, ValueError):
            values = []
        if len(values) != 4 or not all(isfinite(v) for v in values):
            raise RefusedError(f"option {key!r} is {options[key]!r}; expected finite x, y, z in m and yaw in rad")
        x, y, z, yaw = values
        reach = self.robot.reach
        r = float(np.hypot(x - reach.axis[0], y - reach.axis[1]))
        azimuth = float(np.arctan2(y - reach.axis[1], x - reach.axis[0]))
        slack = 0.02
        inside = (
            reach.radius[0] - slack <= r <= reach.radius[1] + slack
            and reach.azimuth[0] - 0.1 <= azimuth <= reach.azimuth[1] + 0.1
            and 0.0 <= z <= reach.height[1] + slack
            and abs(yaw) <= 2.0 * pi
        )
        if not inside:
            raise RefusedError(
                f"option {key!r} {tuple(values)} is out of reach of {self.robot.name}: distance from "
                f"{reach.axis} {reach.radius[0]}..{reach.radius[1]} m, azimuth {reach.azimuth[0]}..{reach.azimuth[1]} "
                f"rad, height 0..{reach.height[1]} m"
            )
        return x, y, z, yaw


def blind(robot: RobotDescription) -> bool:
    """Whether an arm's fingers are only switched and tell nothing."""
    return robot.gripper.travel_time > 0.0


def yaw_of(pair: Floats, symmetry: int) -> float:
    """Yaw in rad of a (sin, cos) pair of its multiple."""
    return atan2(float(pair[0]), float(pair[1])) / symmetry
