"""What an expert goes by, a policy must be able to see: it is what the policy is taught to imitate."""

from contextlib import closing

import numpy as np
import pytest

from genba.envs.env import CellEnv
from genba.envs.tasks import load_task, task_names

STATES = 48


@pytest.mark.slow
@pytest.mark.parametrize("task", task_names())
def test_a_policy_sees_whatever_the_expert_goes_by(task: str) -> None:
    """A field that changes what the expert does is among the features, and of a yaw how far the hand is from it.

    Five tasks had parts whose yaw no feature told; their policies learned to grip whatever lay straight.
    """
    with closing(CellEnv(task, load_task(task).offered()[0])) as env:
        observation, _ = env.reset(seed=3)
        rows = [observation]
        over = False
        while not over:
            observation, _, ended, cut, _ = env.step(env.expert_action(observation))
            rows.append(observation)
            over = ended or cut
        some = rows[:: max(1, len(rows) // STATES)]
        batch = {g: np.stack([row[g] for row in some]) for g in ("observation", "desired_goal")}
        fields = env.fields(batch)
        expert = type(env.task).expert
        before = expert(env.robot, fields)
        rng = np.random.default_rng(0)
        told = {name for feature in env.task.features for name in (feature.a, feature.b)}
        turned = {n for f in env.task.features if f.op == "angle_difference" for n in (f.a, f.b)}
        for name, values in fields.items():
            other = values + rng.normal(0.0, 0.3, values.shape)
            if "yaw" in name:
                other /= np.linalg.norm(other, axis=1, keepdims=True)
            if np.array_equal(expert(env.robot, {**fields, name: other}), before):
                continue
            assert name in told, f"the expert goes by {name}, which no feature tells"
            if "yaw" in name and not name.startswith("tcp_"):
                assert name in turned, f"no feature tells how far the hand is turned from {name}"
