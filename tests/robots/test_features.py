"""Features are exact: differences to the bit, angles to rounding, in numpy and in torch alike."""

from math import cos, pi, sin, tanh

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genba.robots.errors import RefusedError
from genba.robots.features import FINE_ANGLE, FINE_SCALE, Feature, FeatureMap
from genba.robots.observation import Field, ObservationSpec

angles = st.floats(-pi, pi)
values = st.floats(-2.0, 2.0, width=32)


def field(name: str, size: int) -> Field:
    return Field(name=name, size=size, unit="1", low=-9.0, high=9.0)


SPEC = ObservationSpec(
    observation=(field("tcp", 3), field("yaw", 2), field("opening", 1)),
    desired_goal=(field("goal", 3), field("goal_yaw", 2)),
)
X = 11


@given(angles, angles)
def test_angle_difference_is_that_of_mathematics(a: float, b: float) -> None:
    features = FeatureMap.from_spec(SPEC, [Feature(op="angle_difference", a="goal_yaw", b="yaw")])
    x = np.zeros(X)
    x[9:11] = sin(a), cos(a)
    x[3:5] = sin(b), cos(b)
    assert features(x) == pytest.approx([sin(a - b), cos(a - b)], abs=1e-15)


@given(st.lists(values, min_size=X, max_size=X))
def test_difference_and_field_are_exact(x: list[float]) -> None:
    features = FeatureMap.from_spec(
        SPEC, [Feature(op="difference", a="goal", b="tcp"), Feature(op="field", a="opening")]
    )
    row = np.array(x, dtype=np.float32)
    assert np.array_equal(features(row), [*(row[6:9] - row[0:3]), row[5]])


@given(st.integers(0, 2**32 - 1))
def test_torch_computes_the_same(seed: int) -> None:
    torch = pytest.importorskip("torch")
    from genba.policies.training.actor import Features

    features = FeatureMap.from_spec(
        SPEC,
        [
            Feature(op="field", a="yaw"),
            Feature(op="difference", a="goal", b="tcp"),
            Feature(op="angle_difference", a="goal_yaw", b="yaw"),
            Feature(op="local_difference", a="goal", b="tcp"),
            Feature(op="fine_angle", a="goal_yaw", b="yaw"),
            Feature(op="fine_difference", a="goal", b="tcp"),
        ],
    )
    batch = 0.02 * np.random.default_rng(seed).normal(size=(7, X)).astype(np.float32)
    space = gym.spaces.Box(-9.0, 9.0, (X,), np.float32)
    actor = Features(space, features, np.zeros(features.size).tolist(), np.ones(features.size).tolist())
    assert np.allclose(features(batch), actor(torch.from_numpy(batch)).numpy(), rtol=0, atol=2e-6)


@given(angles, st.floats(-1e-2, 1e-2), st.floats(-1e-3, 1e-3))
def test_fine_features_tell_tenths_of_millimetres_and_milliradians(a: float, turn: float, off: float) -> None:
    features = FeatureMap.from_spec(
        SPEC, [Feature(op="fine_angle", a="goal_yaw", b="yaw"), Feature(op="fine_difference", a="goal", b="tcp")]
    )
    x = np.zeros(X)
    x[9:11] = sin(a + turn), cos(a + turn)
    x[3:5] = sin(a), cos(a)
    x[6], x[0] = 0.3 + off, 0.3
    assert features(x) == pytest.approx([tanh(sin(turn) / FINE_ANGLE), tanh(off / FINE_SCALE), 0.0, 0.0], abs=1e-9)


def test_a_batch_is_its_rows() -> None:
    features = FeatureMap.from_spec(SPEC, [Feature(op="angle_difference", a="goal_yaw", b="yaw")])
    batch = np.random.default_rng(0).normal(size=(4, 5, X)).astype(np.float32)
    assert features(batch).shape == (4, 5, 2)
    assert np.array_equal(features(batch)[2, 3], features(batch[2, 3]))


def test_no_features_means_every_field() -> None:
    features = FeatureMap.from_spec(SPEC, [])
    x = np.arange(X, dtype=np.float32)
    assert np.array_equal(features(x), x)


def test_a_difference_with_itself_is_nothing() -> None:
    features = FeatureMap.from_spec(SPEC, [Feature(op="difference", a="goal", b="goal")])
    assert not features(np.ones(X, dtype=np.float32)).any()


@pytest.mark.parametrize(
    ("feature", "named"),
    [
        (Feature(op="cross", a="tcp", b="goal"), "op is 'cross'"),
        (Feature(op="field", a="part"), "no field named 'part'"),
        (Feature(op="field", a="tcp", b="goal"), "takes one field"),
        (Feature(op="difference", a="tcp"), "no field named ''"),
        (Feature(op="difference", a="tcp", b="yaw"), "3 values"),
        (Feature(op="angle_difference", a="tcp", b="goal"), r"\(sin, cos\) pair"),
        (Feature(op="fine_angle", a="tcp", b="goal"), r"\(sin, cos\) pair"),
    ],
)
def test_a_feature_that_makes_no_sense_is_refused(feature: Feature, named: str) -> None:
    with pytest.raises(RefusedError, match=named):
        FeatureMap.from_spec(SPEC, [feature])
