"""The columns of a dataset: what each is called, how long it is, and what its numbers are.

    observation.state               what a policy sees, before it acts
    observation.environment_state   what the task wants
    observation.images.<camera>     what a camera sees, as PNG
    action                          what was sent, in [-1, 1], noise included
    expert.action                   what the expert asked for, without the noise
    target, admitted                where the controller wanted the joints, and where the envelope let them go
    stamp, measured.*               the arm's own clock and encoders, before the action
    privileged.*                    what no bench can tell
    next.*                          what came of the action

LeRobot takes every name that begins with `action` for a policy's output, hence `expert.action`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...envs.env import CellEnv
from ...robots.description import RobotDescription
from ...robots.observation import GROUPS, Field

STATE, GOAL, ACTION, LABEL = "observation.state", "observation.environment_state", "action", "expert.action"
IMAGES = "observation.images."
WHOLE_STATE, ACHIEVED = "privileged.state", "privileged.achieved"
PICTURE = "_rgb"  # ending of a camera's picture in an observation


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column.

    Attributes:
        name: Its name.
        dtype: "float32", "float64", "int64", "bool", "string" or "image".
        shape: Of one row; (1,) is a plain number.
        names: Of its numbers, if they have any.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] = (1,)
    names: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """How `info.json` says it."""
        return {
            "dtype": self.dtype,
            "shape": list(self.shape),
            "names": None if self.names is None else list(self.names),
        }


# What LeRobot itself asks of every dataset, in this order; `timestamp` is frame_index / fps and nothing else.
COMMON = (
    Column(name="timestamp", dtype="float32"),
    Column(name="frame_index", dtype="int64"),
    Column(name="episode_index", dtype="int64"),
    Column(name="index", dtype="int64"),
    Column(name="task_index", dtype="int64"),
)


def columns_of(env: CellEnv) -> tuple[Column, ...]:
    """All columns of a dataset of this environment.

    Args:
        env: Its observation mode says whether there are pictures.
    """
    robot, spec = env.robot, env.spec_
    actuators, joints = robot.actuator_names, robot.joint_names
    axes = actuators if env.control != "ee_delta" else ("x", "y", "z", "yaw", robot.gripper.joint)
    axes = axes[: env.action_space.shape[0]]  # type: ignore[index]
    pictures = [
        Column(
            name=f"{IMAGES}{name.removesuffix(PICTURE)}",
            dtype="image",
            shape=tuple(env.observation_space[name].shape),  # type: ignore[index]
            names=("height", "width", "channels"),
        )
        for name in picture_names(env)
    ]
    whole = [_vector(WHOLE_STATE, field_names(spec.observation, robot))] if env.seen != spec.observation else []
    return (
        _vector(STATE, field_names(env.seen, robot)),
        _vector(GOAL, field_names(spec.desired_goal, robot)),
        *pictures,
        _vector(ACTION, axes),
        _vector(LABEL, axes),
        _vector("target", actuators, "float64"),
        _vector("admitted", actuators, "float64"),
        Column(name="admitted.reasons", dtype="string"),
        Column(name="stamp", dtype="float64"),
        _vector("measured.positions", actuators, "float64"),
        _vector("measured.velocities", joints, "float64"),
        _vector("measured.efforts", joints, "float64"),
        *whole,
        _vector(ACHIEVED, field_names(spec.achieved_goal, robot)),
        Column(name="next.reward", dtype="float32"),
        Column(name="next.done", dtype="bool"),
        Column(name="next.success", dtype="bool"),
        *COMMON,
    )


def picture_names(env: CellEnv) -> list[str]:
    """What the cameras' pictures are called in an observation."""
    return [name for name in env.observation_space.spaces if name not in GROUPS]  # type: ignore[attr-defined]


def _vector(name: str, names: Iterable[str], dtype: str = "float32") -> Column:
    names = tuple(names)
    return Column(name=name, dtype=dtype, shape=(len(names),), names=names)


def field_names(fields: Iterable[Field], robot: RobotDescription) -> list[str]:
    """A name for every number of packed fields, such as `joint_positions.elbow_flex` or `goal_position.z`."""
    found: list[str] = []
    for field in fields:
        if field.size == 1:
            found.append(field.name)
            continue
        parts: Iterable[object] = range(field.size)
        if field.name in ("joint_positions", "joint_velocities"):
            parts = robot.joint_names
        elif field.name == "following_error":
            parts = robot.actuator_names
        elif field.size == 3:
            parts = "xyz"
        elif "yaw" in field.name and field.size == 2:
            parts = ("sin", "cos")
        found += [f"{field.name}.{part}" for part in parts]
    return found


def plain(column: Column) -> bool:
    """Whether a column holds numbers, which have a mean."""
    return column.dtype not in ("string", "image")


def as_array(column: Column, rows: Iterable[object]) -> np.ndarray[Any, np.dtype[Any]]:
    """Rows of a column of numbers, (T,) or (T, n)."""
    array = np.array(list(rows), column.dtype)
    return array if column.shape == (1,) else array.reshape(-1, *column.shape)
