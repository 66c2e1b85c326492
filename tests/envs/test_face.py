"""The Gymnasium face of every task with every arm, as the checkers of Gymnasium and SB3 and a stranger see it."""

import copy
import pickle
import warnings
from collections.abc import Callable
from math import inf, nan

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check

from genba.envs.cell import Cell
from genba.envs.env import CellEnv
from genba.envs.randomize import Randomization
from genba.envs.tasks import load_task, task_names
from genba.robots.catalogue import load_robot, robot_names
from genba.robots.errors import RefusedError

Make = Callable[..., CellEnv]
Combination = tuple[str, str]


def everything(env: CellEnv) -> tuple[object, ...]:
    """All that could have moved."""
    return (
        env.arm.true_positions(),
        env.arm.read(),
        env.station.envelope.snapshot(),
        env.station.admitted,
        [env.cell.pose(name) for name in env.cell._parts],
        env.np_random.bit_generator.state,
        env._step,
    )


def test_gymnasium_has_no_objection(combination: Combination, make: Make) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gymnasium_check(make(*combination), skip_render_check=False)


@pytest.mark.parametrize("reward", ["sparse", "dense"])
def test_stable_baselines_has_no_objection(combination: Combination, make: Make, reward: str) -> None:
    check = pytest.importorskip("stable_baselines3.common.env_checker").check_env
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(make(*combination, reward=reward), warn=True)


def test_spec_makes_the_same_environment_again(combination: Combination) -> None:
    task, robot = combination
    first = gym.make(f"genba.envs:genba/{task}-v0", robot=robot, reward="dense")
    assert first.spec is not None
    second = gym.make(gym.spec(f"genba/{task}-v0"), robot=robot, reward="dense")
    again = gym.make(first.spec.from_json(first.spec.to_json()))
    try:
        for other in (second, again):
            assert other.observation_space == first.observation_space
            a, b = (e.reset(seed=5)[0] for e in (first, other))
            assert all((a[g] == b[g]).all() for g in a)
    finally:
        for each in (first, second, again):
            each.close()


def test_pickled_and_copied_environments_are_new_cells_built_alike(combination: Combination, make: Make) -> None:
    env = make(*combination, reward="dense", control="joint_delta", noise=False)
    twins = [pickle.loads(pickle.dumps(env)), copy.deepcopy(env)]
    try:
        assert len({each.cell.client for each in (env, *twins)}) == 3
        observations = [each.reset(seed=3)[0] for each in (env, *twins)]
        action = np.full(env.action_space.shape, 0.3, np.float32)
        results = [each.step(action) for each in (env, *twins)]
        for other, result in zip(observations[1:], results[1:], strict=True):
            assert all((observations[0][g] == other[g]).all() for g in other)
            assert result[1] == results[0][1]
            assert all((results[0][0][g] == result[0][g]).all() for g in other)
    finally:
        for each in twins:
            each.close()


def test_observations_stay_inside_their_space(env: CellEnv) -> None:
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    for _ in range(60):
        assert env.observation_space.contains(observation)
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        assert type(reward) is float
        assert type(terminated) is bool
        assert type(truncated) is bool


def test_episode_ends_at_the_horizon_of_the_task(combination: Combination, make: Make) -> None:
    env = make(*combination)
    env.reset(seed=1)
    still = np.zeros(env.action_space.shape, np.float32)
    ends = [env.step(still)[3] for _ in range(env.horizon)]
    assert ends.index(True) == env.horizon - 1
    assert env.horizon == round(env.task.horizon_s * env.control_rate_hz)


def test_success_is_told_as_a_bool_with_every_condition_by_name(env: CellEnv) -> None:
    _, info = env.reset(seed=0)
    for _ in range(3):
        assert type(info["is_success"]) is bool
        success = env.task.success
        pose = {"position_m", "yaw_rad", "tilt_rad"} if success.pose else set()
        always = {"speed_m_s", "spin_rad_s", "released", "held_s"}
        assert set(info["success_terms"]) == pose | always | {c.name for c in success.criteria}
        for row in info["success_terms"].values():
            assert set(row) == {"value", "limit", "ok"}
            assert type(row["value"]) is float
            assert type(row["ok"]) is bool
        info = env.step(np.zeros(env.action_space.shape, np.float32))[4]


# -- bad input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_action_that_is_not_finite_is_a_value_error_and_nothing_moves(env: CellEnv, bad: float) -> None:
    env.reset(seed=2)
    env.step(np.zeros(env.action_space.shape, np.float32))
    before = everything(env)
    for k in range(env.action_space.shape[0]):
        action = np.zeros(env.action_space.shape, np.float32)
        action[k] = bad
        with pytest.raises(ValueError, match="not finite"):
            env.step(action)
    assert everything(env) == before


def test_action_of_another_shape_is_refused_and_nothing_moves(env: CellEnv) -> None:
    env.reset(seed=2)
    before = everything(env)
    size = env.action_space.shape[0]
    for shape in ((size - 1,), (size + 1,), (1, size), (0,)):
        with pytest.raises(RefusedError, match=rf"needs \({size},\)"):
            env.step(np.zeros(shape, np.float32))
    assert everything(env) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gaol": (0.2, 0.0, 0.05, 0.0)}, "unknown reset option 'gaol'; there are"),
        ({"goal": (nan, 0.0, 0.05, 0.0)}, "x, y, z in m and yaw"),
        ({"goal": (0.2, inf, 0.05, 0.0)}, "x, y, z in m and yaw"),
        ({"goal": (0.2, 0.0, 0.05)}, "x, y, z in m and yaw"),
        ({"goal": "here"}, "x, y, z in m and yaw"),
        ({"goal": None}, "x, y, z in m and yaw"),
        ({"goal": 3}, "x, y, z in m and yaw"),
        ({"goal": (5.0, 0.0, 0.05, 0.0)}, "out of reach"),
        ({"goal": (-0.2, 0.0, 0.05, 0.0)}, "azimuth"),
        ({"goal": (0.2, 0.0, -0.1, 0.0)}, "height"),
        ({"joint_positions": (0.0,)}, "allowed, in rad"),
        ({"joint_positions": "home"}, "allowed, in rad"),
        ({"joint_positions": [[0.0] * 5]}, "allowed, in rad"),
    ],
)
def test_reset_option_that_does_not_fit_is_refused_with_what_is_allowed(
    env: CellEnv, options: dict[str, object], said: str
) -> None:
    if "goal" in options and "goal" not in env.task.option_names:
        said = "unknown reset option 'goal'"
    env.reset(seed=0)
    with pytest.raises(RefusedError, match=said) as refused:
        env.reset(seed=0, options=options)
    assert "\n" not in str(refused.value)


def test_unknown_reset_option_is_refused_with_the_list_of_what_there_is(env: CellEnv) -> None:
    with pytest.raises(RefusedError, match=", ".join(env.task.option_names)):
        env.reset(options={"weather": "fine"})


@pytest.mark.parametrize("bad", [nan, inf, 99.0])
def test_joint_start_out_of_range_is_refused_joint_by_joint(env: CellEnv, bad: float) -> None:
    for k, joint in enumerate(env.robot.joints):
        start = list(env.robot.home)
        start[k] = bad
        with pytest.raises(RefusedError, match=rf"{joint.name} {joint.lower}\.\.{joint.upper}"):
            env.reset(options={"joint_positions": start})


def test_goal_and_start_are_where_they_were_asked_for(env: CellEnv) -> None:
    rng = np.random.default_rng(0)
    start = [j.home + 0.01 for j in env.robot.joints]
    env.reset(seed=0, options={"joint_positions": start})
    assert env.arm.true_positions()[0] == pytest.approx(start, abs=1e-12)
    if "goal" not in env.task.option_names:
        return
    for seed in range(5):
        z = env.task.desired[2] if env.task.gripper else None
        x, y, z, yaw = env.task.sample_pose(rng, (z, z) if z else None)
        observation, _ = env.reset(seed=seed, options={"goal": (x, y, z, yaw), "joint_positions": start})
        assert observation["desired_goal"][:3] == pytest.approx((x, y, z), abs=1e-6)
        assert env.arm.true_positions()[0] == pytest.approx(start, abs=1e-12)
        again, _ = env.reset(seed=seed, options={"goal": (x, y, z, yaw), "joint_positions": start})
        assert all((again[g] == observation[g]).all() for g in again)


@pytest.mark.parametrize("robot", robot_names())
def test_part_lies_where_it_was_asked_for_and_never_in_the_nest(robot: str, make: Make) -> None:
    env = make("PickPlace", robot)
    reach = env.robot.reach
    radius = sum(reach.radius) / 2
    at = (reach.axis[0] + radius, reach.axis[1] + 0.05, 0.012, 0.2)
    env.reset(seed=0, options={"part_pose": at})
    assert env.cell.pose("block")[0] == pytest.approx(at[:3], abs=1e-9)
    with pytest.raises(RefusedError, match="part_pose"):
        env.reset(options={"part_pose": (*at[:2], 0.2, 0.0)})
    with pytest.raises(RefusedError, match="closer than"):
        env.reset(options={"part_pose": at, "goal": (*at[:2], 0.013, 0.0)})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"robot": "hal"}, "panda, so101"),
        ({"tolerance": "cosmic"}, "servo, lab, industrial"),
        ({"obs": "smell"}, "state, rgb, state\\+rgb"),
        ({"depth": True}, "needs cameras"),
        ({"camera_backend": "magic", "obs": "rgb"}, "cpu, gl"),
        ({"level": "trivial"}, "level"),
        ({"randomize": "a bit"}, "off, nominal, wide"),
        ({"reward": "money"}, "sparse, dense"),
        ({"control": "telepathy"}, "ee_delta"),
        ({"render_mode": "ascii"}, "human, rgb_array"),
        ({"control_rate_hz": 37}, "does not divide"),
        ({"control_rate_hz": -30}, "does not divide"),
        ({"physics_rate_hz": -240}, "does not divide"),
    ],
)
@pytest.mark.parametrize("task", task_names())
def test_unknown_choice_is_refused_with_those_there_are(task: str, options: dict[str, object], said: str) -> None:
    robots = load_task(task).offered()
    with pytest.raises(RefusedError, match=said):
        CellEnv(**{"task": task, "robot": robots[0], **options})


@pytest.mark.parametrize("task", task_names())
def test_arm_that_cannot_do_a_task_is_refused_with_those_that_can(task: str) -> None:
    offered = load_task(task).offered()
    assert offered
    for robot in set(robot_names()) - set(offered):
        with pytest.raises(RefusedError, match=", ".join(offered)):
            CellEnv(task, robot)


def test_unknown_task_is_refused_with_those_there_are() -> None:
    with pytest.raises(RefusedError, match=r"PickPlace.*TeachPoint"):
        CellEnv("TeachPint")
    assert load_task("teach_point") is load_task("genba/TeachPoint-v0") is load_task("TeachPoint")


# -- reward ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reward", ["sparse", "dense"])
def test_batched_reward_is_the_reward_of_the_step(combination: Combination, make: Make, reward: str) -> None:
    env = make(*combination, reward=reward)
    achieved, desired, rewards = [], [], []
    for seed in range(3):
        observation, _ = env.reset(seed=seed)
        for _ in range(25):
            observation, value, *_ = env.step(env.expert_action(observation))
            assert env.compute_reward(observation["achieved_goal"], observation["desired_goal"], {}) == value
            achieved.append(observation["achieved_goal"])
            desired.append(observation["desired_goal"])
            rewards.append(value)
    a, d = np.array(achieved), np.array(desired)
    infos = [{}] * len(a)
    assert env.compute_reward(a, d, infos).tolist() == rewards
    assert env.compute_reward(a[:0], d[:0], []).shape == (0,)
    grid = env.compute_reward(a[:60].reshape(12, 5, -1), d[:60].reshape(12, 5, -1), None)
    assert grid.shape == (12, 5)
    assert grid.ravel().tolist() == rewards[:60]
    assert isinstance(env.compute_reward(a[0], d[0], None), float)


# -- pictures and ends ------------------------------------------------------------------------------------------


def test_picture_shows_the_cell_and_changes_when_the_arm_moves(combination: Combination, make: Make) -> None:
    env = make(*combination, render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    assert first is not None
    assert first.shape == (360, 480, 3)
    assert first.dtype == np.uint8
    assert (env.render() == first).all()
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 20
    for _ in range(15):
        env.step(np.ones(env.action_space.shape, np.float32))
    assert (env.render() != first).any()


def test_rendering_does_not_touch_the_physics(combination: Combination, make: Make) -> None:
    seen, blind = make(*combination, render_mode="rgb_array"), make(*combination)
    assert blind.render() is None
    for each in (seen, blind):
        each.reset(seed=4)
    action = np.full(seen.action_space.shape, 0.5, np.float32)
    for tick in range(10):
        if tick % 4 == 0:
            seen.render()
        a, b = seen.step(action)[0], blind.step(action)[0]
        assert all((a[g] == b[g]).all() for g in a)


def test_closing_twice_is_fine(combination: Combination) -> None:
    env = CellEnv(*combination)
    env.reset(seed=0)
    env.close()
    env.close()
    cell = Cell(load_robot(combination[1]))
    with cell:
        pass
    cell.close()


@pytest.mark.parametrize("display", [None, "", ":4711"], ids=["unset", "empty", "nobody-there"])
def test_window_without_a_display_is_refused_in_one_line(display: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bullet itself would end the process."""
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    if display is not None:
        monkeypatch.setenv("DISPLAY", display)
    with pytest.raises(RefusedError, match="rgb_array") as refused:
        CellEnv("TeachPoint", "so101", render_mode="human")
    assert "\n" not in str(refused.value)
    env = CellEnv("TeachPoint", "so101")
    assert env.metadata["render_modes"] == ["rgb_array"]
    env.close()


# -- what differs between episodes, and what cameras see -----------------------------------------------------------


@pytest.mark.parametrize("preset", ["nominal", "wide"])
def test_what_was_drawn_is_told_once_and_belongs_to_seed_and_saved_moment(
    combination: Combination, make: Make, preset: str
) -> None:
    env = make(*combination, randomize=preset)
    observation, info = env.reset(seed=3)
    told = info["randomization"]
    assert len(told["actuator_gain"]) == len(env.robot.actuator_names)
    assert len(told["part_mass"]) == len(env.cell.parts)
    assert "randomization" not in env.step(np.zeros(env.action_space.shape, np.float32))[4]
    saved = env.save_state()

    def future() -> list[bytes]:
        seen, rows = observation, []
        for _ in range(12):
            seen = env.step(env.expert_action(seen))[0]
            rows.append(b"".join(seen[group].tobytes() for group in sorted(seen)))
        return rows

    first = future()
    assert env.reset(seed=4)[1]["randomization"] != told
    future()
    again, info = env.reset(seed=3)
    assert info["randomization"] == told
    assert all((again[group] == observation[group]).all() for group in again)
    env.restore_state(saved)
    assert future() == first
    env.remove_state(saved)


def test_randomization_that_is_off_says_nothing_and_changes_nothing(combination: Combination, make: Make) -> None:
    plain, ranges = make(*combination), make(*combination, randomize=Randomization())
    a, info = plain.reset(seed=2)
    b, _ = ranges.reset(seed=2)
    assert info["randomization"] == {}
    assert all((a[group] == b[group]).all() for group in a)


def test_cameras_add_pictures_and_take_away_what_they_show(combination: Combination, make: Make) -> None:
    both, only = make(*combination, obs="state+rgb"), make(*combination, obs="rgb", depth=True)
    plain = make(*combination)
    state, _ = plain.reset(seed=1)
    seen, _ = both.reset(seed=1)
    blind, _ = only.reset(seed=1)
    assert all((seen[group] == state[group]).all() for group in state)
    assert both.observation_space.contains(seen)
    assert only.observation_space.contains(blind)
    hidden = sum(f.size for f in plain.spec_.observation if f.source == "parts" or f.name in plain.task.told_by_camera)
    assert len(blind["observation"]) == len(state["observation"]) - hidden
    for mount in plain.task.cameras:
        assert (blind[f"{mount.name}_rgb"] == seen[f"{mount.name}_rgb"]).all()
        assert blind[f"{mount.name}_rgb"].std() > 5.0
        assert blind[f"{mount.name}_depth"].min() > 0.0
    assert (only.expert_action(blind) == plain.expert_action(state)).all()
