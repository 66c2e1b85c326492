"""What is seen from elsewhere, and that nothing remembers it."""

from contextlib import closing
from typing import Any

import numpy as np
import pytest

from genba.envs.env import CellEnv
from genba.envs.glance import Glances
from genba.robots.catalogue import robot_names
from genba.robots.observation import Observation

ASIDE = (0.012, -0.009, 0.015, 0.1)
ARMS = robot_names()


def make(robot: str, task: str = "PickPlace") -> CellEnv:
    return CellEnv(task, robot, obs="rgb", noise=False)


def expert(env: CellEnv, ticks: int, observation: Observation) -> Observation:
    for _ in range(ticks):
        observation, *_ = env.step(env.expert_action(observation))
    return observation


def holding(env: CellEnv) -> None:
    """Run the expert until the part is off the table."""
    observation, _ = env.reset(seed=5)
    for _ in range(env.horizon):
        observation = expert(env, 1, observation)
        if env.cell.pose("block")[0][2] > 0.025:
            return
    raise AssertionError("never lifted")


def equal(one: Any, other: Any) -> None:
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], other[key], err_msg=key)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["PickPlace", "Sort"])
def test_an_episode_does_not_notice(task: str) -> None:
    """It goes on as from a moment that was saved, whatever was looked at meanwhile."""
    with closing(make("panda", task)) as one, closing(make("panda", task)) as other:
        a, _ = one.reset(seed=7)
        b, _ = other.reset(seed=7)
        for _ in range(6):
            a, b = expert(one, 12, a), expert(other, 12, b)
            one.remove_state(one.save_state())
            with Glances(other) as look:
                look(ASIDE)
                look((-0.03, 0.02, 0.04, -0.4))
        equal(expert(one, 5, a), expert(other, 5, b))


@pytest.mark.parametrize("robot", ARMS)
def test_a_glance_from_where_the_hand_is_shows_what_is_there(robot: str) -> None:
    with closing(make(robot)) as env:
        observation, _ = env.reset(seed=3)
        observation = expert(env, 15, observation)
        whole = env.behind()
        with Glances(env) as look:
            seen, behind = look((0.0, 0.0, 0.0, 0.0))
        equal(seen, observation)
        equal(behind, whole)


@pytest.mark.slow
@pytest.mark.parametrize("robot", ARMS)
def test_the_hand_is_measured_and_seen_where_it_is_looked_at_and_takes_its_part_along(robot: str) -> None:
    with closing(make(robot)) as env:
        holding(env)
        before = env.fields({k: v[None] for k, v in env.behind().items()})
        pictures = env.see(env.behind())
        with Glances(env) as look:
            seen, behind = look(ASIDE)
        after = env.fields({k: v[None] for k, v in behind.items()})
        moved = (after["tcp_position"] - before["tcp_position"])[0]
        np.testing.assert_allclose(moved, ASIDE[:3], atol=0.006)
        for key in ("joint_velocities", "gripper_opening", "goal_position"):
            np.testing.assert_array_equal(after[key], before[key])
        np.testing.assert_allclose(after["following_error"], before["following_error"], atol=1e-6)

        # Seen from the hand the part has not moved.
        def in_hand(fields: dict[str, np.ndarray]) -> np.ndarray:
            from genba.robots.kinematics import Kinematics

            pose = Kinematics(env.robot).forward(fields["joint_positions"][0].tolist())
            axes = np.array([pose.x_axis, pose.y_axis, pose.z_axis])
            return axes @ (fields["part_position"][0] - np.array(pose.position))

        np.testing.assert_allclose(in_hand(after), in_hand(before), atol=2e-3)
        assert any((seen[k] != pictures[k]).any() for k in seen if k.endswith("_rgb"))
