"""Whose demonstrations a dataset holds: the table `genba` of its `meta/info.json`."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ... import __version__
from ...envs.env import CellEnv
from ...robots.errors import RefusedError
from ...robots.observation import GROUPS, ObservationSpec
from ..manifest import Control

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a dataset was made of.

    Attributes:
        format: Version of this table and of what the columns mean.
        version: Version of genba that wrote it.
        task: Task name.
        tolerance: Tolerance class.
        level: Degree of difficulty, empty where the task has one only.
        randomize: What differs between episodes.
        obs: Observation mode.
        robot: Robot name.
        robot_hash: SHA-256 of its description and URDF.
        control: What an action is.
        spec: Fields of the packed vectors.
        seed: Seed of the set; its episodes are the first of the block of a training with this seed.
        episodes: Episodes in all.
        noise: Standard deviation of the noise on what is sent in the second half of them.
        files: SHA-256 of every file of the dataset but `info.json`, by its path in it.
    """

    format: int
    version: str
    task: str
    tolerance: str
    level: str
    randomize: str
    obs: str
    robot: str
    robot_hash: str
    control: Control
    spec: ObservationSpec
    seed: int
    episodes: int
    noise: float
    files: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        table = asdict(self)
        table["spec"] = self.spec.to_json()
        return table


def identity_of(env: CellEnv, *, obs: str, randomize: str, seed: int, episodes: int, noise: float) -> Identity:
    """What a dataset of this environment would be made of; see `Identity` for the arguments."""
    return Identity(
        format=FORMAT,
        version=__version__,
        task=env.task_name,
        tolerance=env.task.tolerance,
        level=env.level,
        randomize=randomize,
        obs=obs,
        robot=env.robot.name,
        robot_hash=env.robot.hash,
        control=Control(mode=env.control, rate_hz=env.control_rate_hz, gripper=env.task.gripper),
        spec=env.spec_,
        seed=seed,
        episodes=episodes,
        noise=noise,
    )


def check_fits(found: Identity, env: CellEnv, path: Path) -> None:
    """Refuse demonstrations that are not of this environment.

    Raises:
        RefusedError: The text names the first thing that differs.
    """
    for key, there, here in _pairs(found, env):
        if there != here:
            raise RefusedError(
                f"{path}: holds demonstrations with {key} {there!r}, this training has {here!r}; "
                f"make others: genba demos {env.task_name} --robot {env.robot.name}"
            )


def _pairs(found: Identity, env: CellEnv) -> Iterator[tuple[str, object, object]]:
    yield "task", found.task, env.task_name
    yield "robot", found.robot, env.robot.name
    yield "robot.hash", found.robot_hash, env.robot.hash
    yield "level", found.level, env.level
    yield "tolerance", found.tolerance, env.task.tolerance
    yield "control.mode", found.control.mode, env.control
    yield "control.rate_hz", found.control.rate_hz, env.control_rate_hz
    yield "control.gripper", found.control.gripper, env.task.gripper
    for group in GROUPS:
        there, here = found.spec.group(group), env.spec_.group(group)
        yield f"fields of {group}", [f.name for f in there], [f.name for f in here]
        for one, other in zip(there, here, strict=False):
            yield f"spec of {one.name}", asdict(one), asdict(other)


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
