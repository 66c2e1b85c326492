"""A training run made of random weights: small, complete, and packed like a real one."""

import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genba.policies.bundle import PolicyBundle
from genba.policies.pack import TrainingRun, assemble
from genba.robots.catalogue import load_robot
from genba.robots.observation import ObservationSpec
from genba.robots.station import arm_fields
from genba.robots.strict import build
from genba.robots.success import GOAL_SIZE, goal_fields, goal_vector

HIDDEN = 32
LAYERS = ("actor.latent_pi.0", "actor.latent_pi.2", "actor.mu")
FEATURES = [
    {"op": "field", "a": "joint_positions"},
    {"op": "difference", "a": "goal_position", "b": "tcp_position"},
    {"op": "angle_difference", "a": "goal_yaw", "b": "tcp_yaw"},
]


@pytest.fixture
def run_table() -> dict[str, Any]:
    """What training writes into run.json, for the SO-101."""
    robot = load_robot("so101")
    spec = ObservationSpec(
        observation=arm_fields(robot),
        achieved_goal=goal_fields("achieved", "arm"),
        desired_goal=goal_fields("goal", "goal"),
    )
    count = len(robot.joints) + 3 + 2
    return {
        "task": {"name": "TeachPoint", "tolerance": "servo", "max_steps": 60},
        "robot": "so101",
        "control": {"mode": "joint_delta", "rate_hz": robot.control_rate_hz, "gripper": False},
        "spec": spec.to_json(),
        "features": FEATURES,
        "normalisation": {"mean": [0.1] * count, "std": [0.5] * count},
        "network": {"layers": list(LAYERS), "activation": "relu", "squash": "tanh"},
        "success": {"position_tolerance": 0.005, "angle_tolerance": 0.2},
        "taught_points": [list(goal_vector((0.2, 0.0, 0.1), 0.0, 1))],
        "provenance": {
            "command": "genba train TeachPoint --robot so101",
            "algorithm": "dagger",
            "seed": 7,
            "steps": 0,
            "seconds": 1.5,
            "versions": ["torch 2.13.0"],
        },
    }


@pytest.fixture
def state() -> dict[str, np.ndarray]:
    """An SB3-like state dict of an actor with two hidden layers."""
    rng = np.random.default_rng(3)
    joints = len(load_robot("so101").joints)
    sizes = (joints + 5, HIDDEN, HIDDEN, joints)
    found: dict[str, np.ndarray] = {}
    for name, inputs, outputs in zip(LAYERS, sizes, sizes[1:], strict=False):
        found[f"{name}.weight"] = (rng.normal(size=(outputs, inputs)) / inputs**0.5).astype(np.float32)
        found[f"{name}.bias"] = (0.1 * rng.normal(size=outputs)).astype(np.float32)
    return found


@pytest.fixture
def run_dir(tmp_path: Path, run_table: dict[str, Any], state: dict[str, np.ndarray]) -> Path:
    """A run directory with run.json and an SB3-like model.zip."""
    import torch

    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(run_table), encoding="utf-8")
    buffer = BytesIO()
    torch.save({name: torch.from_numpy(array) for name, array in state.items()}, buffer)
    with zipfile.ZipFile(folder / "model.zip", "w") as archive:
        archive.writestr("data", "{}")
        archive.writestr("policy.pth", buffer.getvalue())
    return folder


@pytest.fixture
def bundle(run_table: dict[str, Any], state: dict[str, np.ndarray]) -> PolicyBundle:
    """The same run, packed in memory."""
    weights = {
        f"layer{i}.{part}": state[f"{name}.{part}"] for i, name in enumerate(LAYERS) for part in ("weight", "bias")
    }
    return assemble(build(TrainingRun, run_table, "run.json"), weights)


@pytest.fixture
def observation() -> dict[str, np.ndarray]:
    """Some observation of the right shape."""
    joints = len(load_robot("so101").joints)
    return {
        "observation": np.linspace(-0.5, 0.5, 3 * joints + 1 + 1 + 3 + 2 + 2, dtype=np.float32),
        "achieved_goal": np.zeros(GOAL_SIZE, dtype=np.float32),
        "desired_goal": np.array(goal_vector((0.2, 0.1, 0.1), 0.3, 1), dtype=np.float32),
    }
