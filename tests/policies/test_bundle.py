"""A bundle says the same after every journey, and runs only where it fits."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genba.policies.bundle import PolicyBundle
from genba.policies.manifest import EnvelopeLimits
from genba.policies.pack import TrainingRun, assemble, pack
from genba.robots.catalogue import load_robot
from genba.robots.errors import RefusedError, SafetyError
from genba.robots.strict import build

from .conftest import LAYERS

Observation = dict[str, np.ndarray]


def test_round_trip_keeps_everything(bundle: PolicyBundle, observation: Observation, tmp_path: Path) -> None:
    again = PolicyBundle.load(bundle.save(tmp_path / "a.genba"))
    assert again.manifest == bundle.manifest
    assert np.array_equal(again.act(observation), bundle.act(observation))
    assert again.verify() <= 1e-6


def test_equal_bundles_are_equal_files(bundle: PolicyBundle, tmp_path: Path) -> None:
    first, second = tmp_path / "a.genba", tmp_path / "b.genba"
    bundle.save(first)
    PolicyBundle.load(first).save(second)
    assert first.read_bytes() == second.read_bytes()


def test_packing_a_run_agrees_with_torch(run_dir: Path, tmp_path: Path) -> None:
    packed = pack(run_dir, tmp_path / "p.genba")
    assert packed.verify() <= 1e-6
    assert packed.manifest.robot.name == "so101"


def test_a_reference_is_as_exact_as_what_it_proves(run_table: dict[str, Any], state: dict[str, np.ndarray]) -> None:
    """What float32 rounds off was magnified to 1.7e-4 by the deviations and weights of a gear that fits: refused."""
    size = len(run_table["normalisation"]["mean"])
    run_table["normalisation"] = {"mean": [0.1] * size, "std": [0.0005] * size}
    weights = {
        f"layer{i}.{part}": state[f"{name}.{part}"] for i, name in enumerate(LAYERS) for part in ("weight", "bias")
    }
    weights["layer2.weight"] = weights["layer2.weight"] / 400.0
    assert assemble(build(TrainingRun, run_table, "run.json"), weights).verify() <= 1e-6


def test_numpy_agrees_with_torch_over_many_observations(run_dir: Path) -> None:
    import torch

    packed = pack(run_dir)
    low, high = (np.array(x) for x in (packed.manifest.ranges.observation.low, packed.manifest.ranges.observation.high))
    rng = np.random.default_rng(0)
    weights = {name: torch.from_numpy(array) for name, array in packed.weights.items()}
    features = packed.features
    worst = 0.0
    for _ in range(1000):
        own = rng.uniform(low, high).astype(np.float32) * 0.1
        goal = rng.uniform(-0.5, 0.5, 10).astype(np.float32)
        x = torch.from_numpy(features(np.concatenate((own, goal))))
        x = (x - 0.1) / 0.5
        for i in range(3):
            x = torch.nn.functional.linear(x, weights[f"layer{i}.weight"], weights[f"layer{i}.bias"])
            x = torch.relu(x) if i < 2 else torch.tanh(x)
        action = packed.act({"observation": own, "desired_goal": goal})
        worst = max(worst, float(np.abs(action - x.numpy()).max()))
    assert worst <= 1e-6


def test_actions_are_float32_in_bounds(bundle: PolicyBundle, observation: Observation) -> None:
    action = bundle.act(observation)
    assert action.dtype == np.float32
    assert action.shape == (5,)
    assert np.abs(action).max() <= 1.0


@pytest.mark.parametrize("key", ["observation", "desired_goal"])
def test_an_observation_of_another_shape_is_refused(bundle: PolicyBundle, observation: Observation, key: str) -> None:
    for wrong in (observation[key][:-1], observation[key][None], np.float32(1.0), observation[key][:1]):
        with pytest.raises(RefusedError, match="shapes"):
            bundle.act({**observation, key: np.asarray(wrong)})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_observation_that_is_not_finite_never_becomes_an_action(
    bundle: PolicyBundle, observation: Observation, value: float
) -> None:
    for key in ("observation", "desired_goal"):
        broken = observation[key].copy()
        broken[0] = value
        with pytest.raises(SafetyError, match="not finite"), np.errstate(all="ignore"):
            bundle.act({**observation, key: broken})


def test_a_changed_weight_fails_the_proof(bundle: PolicyBundle) -> None:
    weights = {name: array.copy() for name, array in bundle.weights.items()}
    weights["layer2.bias"][0] += 0.01
    with pytest.raises(RefusedError, match="reference actions differ"):
        PolicyBundle(bundle.manifest, weights).verify()


def test_it_runs_on_its_own_robot(bundle: PolicyBundle) -> None:
    robot = load_robot("so101")
    bundle.check_robot(robot, robot.control_rate_hz, "joint_delta")


def test_another_robot_rate_or_control_is_refused_by_name(bundle: PolicyBundle) -> None:
    robot = load_robot("so101")
    with pytest.raises(RefusedError, match=r"robot\.name"):
        bundle.check_robot(load_robot("panda"))
    with pytest.raises(RefusedError, match=r"control\.rate_hz"):
        bundle.check_robot(robot, rate_hz=50)
    with pytest.raises(RefusedError, match=r"control\.mode"):
        bundle.check_robot(robot, control="ee_delta")


@pytest.mark.parametrize("key", ["hash", "actuator_names"])
def test_another_description_is_refused_by_name(bundle: PolicyBundle, key: str) -> None:
    other = {"hash": "0" * 64, "actuator_names": ("a",)}[key]
    match = dataclasses.replace(bundle.manifest.robot, **{key: other})
    changed = PolicyBundle(dataclasses.replace(bundle.manifest, robot=match), bundle.weights)
    with pytest.raises(RefusedError, match=rf"robot\.{key}"):
        changed.check_robot(load_robot("so101"))


@pytest.mark.parametrize("key", sorted(EnvelopeLimits.__dataclass_fields__))
def test_another_envelope_is_refused_by_name(bundle: PolicyBundle, key: str) -> None:
    value = getattr(bundle.manifest.envelope, key)
    other = value * 2 if isinstance(value, float) else tuple(2 * v + 1 for v in value)
    limits = dataclasses.replace(bundle.manifest.envelope, **{key: other})
    changed = PolicyBundle(dataclasses.replace(bundle.manifest, envelope=limits), bundle.weights)
    with pytest.raises(RefusedError, match=rf"envelope\.{key}"):
        changed.check_robot(load_robot("so101"))


def test_deciding_takes_microseconds(bundle: PolicyBundle, observation: Observation) -> None:
    times = []
    for _ in range(3000):
        start = time.perf_counter()
        bundle.act(observation)
        times.append(time.perf_counter() - start)
    # Median over a loaded machine; the figure of docs/benchmarks.md is 20 us.
    assert sorted(times)[len(times) // 2] < 100e-6
