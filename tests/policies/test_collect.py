"""Episodes in which expert and learner take turns."""

from contextlib import closing

import numpy as np
import pytest

from genba.envs import make_vec
from genba.policies.crews.crew import LocalCrew
from genba.policies.training.collect import TURN, BatchActor, Collectors, Trajectory
from genba.robots.features import FeatureMap

CELL = {"task": "TeachPoint", "robot": "so101"}


@pytest.fixture(scope="module")
def still() -> BatchActor:
    """A learner that asks for nothing."""
    with closing(make_vec("TeachPoint", 1, robot="so101")) as cells:
        spec, task = cells.get_attr("spec_")[0], cells.get_attr("task")[0]
        size = cells.action_space.shape[0]  # type: ignore[index]
    features = FeatureMap.from_spec(spec, task.features)
    mean = np.zeros(features.size, np.float32)
    layers = ((np.zeros((size, features.size), np.float32), np.zeros(size, np.float32)),)
    return BatchActor(features=features, mean=mean, std=mean + 1.0, layers=layers)


def episodes(actor: BatchActor, mix: float, workers: int = 0) -> list[Trajectory]:
    with closing(LocalCrew(workers)) as crew, closing(Collectors(CELL, crew)) as collectors:
        return collectors.collect(range(20), actor=actor, mix=mix)


def turns(trajectory: Trajectory) -> list[bool]:
    """Whether the expert acted in each turn; one who acts is not the other, but where both ask for nothing."""
    found = []
    for k in range(0, len(trajectory), TURN):
        action, label = trajectory.action[k : k + TURN], trajectory.label[k : k + TURN]
        assert np.array_equal(action, label) or not action.any()
        found.append(bool(action.any()))
    return found


def test_whoever_has_the_turn_keeps_it_and_the_expert_labels_both(still: BatchActor) -> None:
    taken = [turn for trajectory in episodes(still, 0.5) for turn in turns(trajectory)]
    assert any(taken)
    assert not all(taken)


def test_a_mix_of_all_or_nothing_is_one_of_the_two(still: BatchActor) -> None:
    alone, relieved = episodes(still, 0.0), episodes(still, 1.0)
    assert not any(any(turns(trajectory)) for trajectory in alone)
    assert all(np.array_equal(trajectory.action, trajectory.label) for trajectory in relieved)
    assert all(trajectory.success for trajectory in relieved)


def test_turns_depend_on_the_seed_alone(still: BatchActor) -> None:
    pairs = zip(episodes(still, 0.5), episodes(still, 0.5, workers=2), strict=True)
    assert all(np.array_equal(a.action, b.action) for a, b in pairs)
