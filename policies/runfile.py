"""`run.json`: what the trainer knows and the weights do not say, for `genba pack`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..envs.env import CellEnv
from ..robots.errors import RefusedError
from .eyes import Eyes
from .layers import Layers

TAUGHT_POINTS = 64
REFERENCES = 32


def write_run(
    path: Path,
    *,
    env: CellEnv,
    mean: NDArray[np.float32],
    std: NDArray[np.float32],
    x: NDArray[np.float32],
    seed: int,
    layout: Layers,
    provenance: Mapping[str, Any],
    eyes: Eyes | None = None,
    rows: Sequence[int] | None = None,
) -> None:
    """Write the table that `policies/pack.py` reads.

    Args:
        path: The file.
        env: The environment of the training.
        mean: Mean of each feature.
        std: Standard deviation of each.
        x: Observation and goal of every labelled step, as the policy was given them.
        seed: For the choice of references.
        layout: Where the actor's layers are in the model.
        provenance: Where the run comes from.
        eyes: What is made of pictures; None for a policy without eyes.
        rows: Which rows of x are references; some at random if None.

    Raises:
        RefusedError: If the disk refuses.
    """
    spec = replace(env.spec_, observation=env.seen) if eyes else env.spec_
    split = spec.size("observation")
    low, high = x.min(axis=0).tolist(), x.max(axis=0).tolist()
    if rows is None:
        rows = np.random.default_rng(seed).choice(len(x), REFERENCES, replace=False).tolist()
    table = {
        "task": {
            "name": env.task_name,
            "tolerance": env.task.tolerance,
            "max_steps": env.horizon,
            "level": env.level,
        },
        "robot": env.robot.name,
        "control": {"mode": env.control, "rate_hz": env.control_rate_hz, "gripper": env.task.gripper},
        "spec": spec.to_json(),
        "features": [asdict(f) for f in env.task.features],
        "ranges": {
            "observation": {"low": low[:split], "high": high[:split]},
            "desired_goal": {"low": low[split:], "high": high[split:]},
        },
        "normalisation": {"mean": mean.tolist(), "std": std.tolist()},
        "network": asdict(layout),
        "success": env.task.success.to_json(),
        "taught_points": _taught_points(env),
        "provenance": dict(provenance),
        "reference": [{"observation": x[r, :split].tolist(), "desired_goal": x[r, split:].tolist()} for r in rows],
    }
    if eyes is not None:
        table["eyes"] = asdict(eyes)
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(json.dumps(table, indent=1), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise RefusedError(f"{path}: cannot be written ({error.strerror}); free some space and add --resume") from error


def _taught_points(env: CellEnv) -> list[list[float]]:
    """Goals for a bench on which nothing senses the goal: a person teaches them. Empty for tasks with parts."""
    if any(f.source != "arm" for f in env.task.sensed_fields()):
        return []
    points = []
    for k in range(TAUGHT_POINTS):
        observation, _ = env.reset(seed=k)
        points.append(observation["desired_goal"].tolist())
    return points
