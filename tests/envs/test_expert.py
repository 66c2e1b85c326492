"""Every task can be done: its scripted expert does it, with the senses as poor and late as declared."""

from collections.abc import Callable

import numpy as np
import pytest

from genba.envs.env import CellEnv
from genba.policies.statistics import wilson_interval

Make = Callable[..., CellEnv]
Combination = tuple[str, str]


def failures(env: CellEnv, seeds: range) -> list[int]:
    """Seeds at which the expert did not get there in time."""
    failed = []
    for seed in seeds:
        observation, _ = env.reset(seed=seed)
        done = truncated = False
        while not (done or truncated):
            observation, _, done, truncated, info = env.step(env.expert_action(observation))
        if not info["is_success"]:
            failed.append(seed)
    return failed


def test_expert_does_its_task(env: CellEnv) -> None:
    """One episode of two proves little, but that nothing is broken; the proof takes an hour, see below."""
    assert not (failures(env, range(1)) and failures(env, range(1, 2)))


@pytest.mark.suite
def test_expert_does_its_task_in_95_of_100_cases(env: CellEnv) -> None:
    """Over 200 seeds, of which four may fail: the one-sided lower bound at 95 % confidence then lies above 95 %."""
    failed = failures(env, range(10_000, 10_200))
    assert wilson_interval(200 - len(failed), 200, z=1.645)[0] >= 0.95, f"seeds {failed}"


def test_expert_is_a_function_of_the_observation_alone_and_of_batches_too(env: CellEnv) -> None:
    rows = []
    for seed in range(3):
        observation, _ = env.reset(seed=seed)
        for _ in range(25):
            action = env.expert_action(observation)
            assert (action == env.expert_action(observation)).all()
            assert action.dtype == np.float32
            assert env.action_space.contains(action)
            rows.append((observation, action))
            observation = env.step(action)[0]
    batch = {g: np.array([o[g] for o, _ in rows]) for g in ("observation", "desired_goal")}
    together = type(env.task).expert(env.robot, env.fields(batch)).astype(np.float32)
    assert (together == np.array([a for _, a in rows])).all()
