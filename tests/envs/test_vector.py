"""The vector environment is SB3's DummyVecEnv to the bit, and what it refuses it refuses as the cell does."""

import pickle
import threading
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from vector_judge import ON_LINUX, Combination, MakeVec, gone, judge, same, together, vectors

from genba.envs import make_vec
from genba.robots.errors import BusError, GenbaError, RefusedError, SafetyError, UnknownNameError

pytestmark = ON_LINUX


# -- the same as DummyVecEnv -------------------------------------------------------------------------------------


def test_every_task_with_every_arm_steps_and_starts_again_as_in_dummy_vec_env(
    combination: Combination, vec: MakeVec
) -> None:
    task, robot = combination
    mine = vec(task, 2, 1, seed=11, robot=robot, max_episode_steps=20)
    judges = judge(f"genba.envs:genba/{task}-v0", 2, robot=robot, max_episode_steps=20)
    judges.seed(11)
    try:
        assert mine.observation_space == judges.observation_space
        assert mine.action_space == judges.action_space
        assert mine.metadata == judges.metadata
        assert mine.render_mode is None
        assert together(mine, judges, 45) == 4
    finally:
        judges.close()


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_whole_episodes_are_the_same_with_any_number_of_workers(workers: int, vec: MakeVec) -> None:
    options = {"robot": "so101", "reward": "dense", "control_rate_hz": 10}
    mine, judges = (
        vec("genba/TeachPoint-v0", 4, workers, **options),
        judge("genba.envs:genba/TeachPoint-v0", 4, **options),
    )
    try:
        for each in (mine, judges):
            each.seed(5)
        horizon = mine.get_attr("horizon")[0]
        assert together(mine, judges, horizon + 5, dtype=np.float64) >= 4
    finally:
        judges.close()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("shape", [{}, {"plain": True}, {"discrete": True}, {"heavy": 700_000}], ids=str)
def test_cells_of_any_kind_are_the_same(workers: int, shape: dict[str, Any], vec: MakeVec) -> None:
    """Pictures, single arrays, discrete actions, odd infos, and infos larger than a mailbox."""
    mine, judges = (
        vec("strange_cells:Strange-v0", 5, workers, seed=2, **shape),
        judge("strange_cells:Strange-v0", 5, **shape),
    )
    judges.seed(2)
    assert together(mine, judges, 30) > 15


@pytest.mark.parametrize("workers", [0, 2])
def test_what_was_returned_never_changes(workers: int, vec: MakeVec) -> None:
    mine = vec("strange_cells:Strange-v0", 3, workers, seed=2)
    results: list[Any] = [mine.reset()]
    frozen = [pickle.dumps(results[0])]
    for _ in range(6):
        results.append(mine.step(np.zeros((3, 2), np.float32)))
        frozen.append(pickle.dumps(results[-1]))
    for result, before in zip(results, frozen, strict=True):
        same(result, pickle.loads(before))


@pytest.mark.parametrize("workers", [0, 2])
def test_seeds_and_options_count_for_one_reset(workers: int, vec: MakeVec) -> None:
    mine, judges = vec("strange_cells:Strange-v0", 3, workers), judge("strange_cells:Strange-v0", 3)
    for each in (mine, judges):
        assert each.seed(40) == [40, 41, 42]
        each.set_options([{"goal": k} for k in range(3)])
    together(mine, judges, 3)
    for each in (mine, judges):
        each.set_options({"goal": 7})
    together(mine, judges, 3)
    together(mine, judges, 3)
    assert [info["options"] for info in mine.reset_infos] == [None] * 3


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("indices", [None, 1, -1, [4, 0, 4], range(1, 3), []], ids=str)
def test_attributes_methods_and_wrappers_are_found_as_in_dummy_vec_env(
    workers: int, indices: Any, vec: MakeVec
) -> None:
    import strange_cells  # type: ignore[import-not-found]

    mine, judges = vec("strange_cells:Odd-v0", 5, workers, seed=1), judge("strange_cells:Odd-v0", 5)
    judges.seed(1)
    together(mine, judges, 2)
    for each in (mine, judges):
        each.env_method("__setattr__", "colour", "blue", indices=indices)
        each.set_attr("length", 1, indices=indices)
    same(mine.env_method("echo", 1, indices=indices, b=[2]), judges.env_method("echo", 1, indices=indices, b=[2]))
    for name in ("step_", "given", "box", "colour"):
        assert mine.has_attr(name)
        same(mine.get_attr(name, indices), judges.get_attr(name, indices))
    assert not mine.has_attr("smell")
    for wrapper in (strange_cells.Odd, gym.Wrapper, gym.wrappers.TimeLimit):
        assert mine.env_is_wrapped(wrapper, indices) == judges.env_is_wrapped(wrapper, indices)
    assert mine.env_is_wrapped(strange_cells.Odd) == [True] * 5


@pytest.mark.parametrize("workers", [0, 2])
def test_asking_between_the_halves_of_a_step_costs_nothing_of_it(workers: int, vec: MakeVec) -> None:
    mine, judges = vec("strange_cells:Strange-v0", 3, workers, seed=1), judge("strange_cells:Strange-v0", 3)
    judges.seed(1)
    for each in (mine, judges):
        each.reset()
        each.step_async(np.ones((3, 2), np.float32))
        assert each.get_attr("colour") == ["red"] * 3
    same(mine.step_wait(), judges.step_wait())
    with pytest.raises(RefusedError, match="step_async"):
        mine.step_wait()
    mine.step_async(np.ones((3, 2), np.float32))
    judges.step_async(np.ones((3, 2), np.float32))
    same(mine.reset()["state"], judges.reset()["state"])
    with pytest.raises(RefusedError, match="step_async"):
        mine.step_wait()


@pytest.mark.parametrize("workers", [0, 2])
def test_pictures_are_tiled_as_in_dummy_vec_env(workers: int, vec: MakeVec) -> None:
    mine, judges = (
        make("strange_cells:Strange-v0", 3, *more, render_mode="rgb_array")
        for make, more in ((vec, [workers]), (judge, []))
    )
    for each in (mine, judges):
        each.seed(0)
    together(mine, judges, 3)
    same(mine.render(), judges.render())
    same(list(mine.get_images()), list(judges.get_images()))
    blind = vec("strange_cells:Strange-v0", 3, workers)
    with pytest.warns(UserWarning, match="rgb_array"):
        assert blind.get_images() == [None] * 3


def test_hindsight_rewards_are_those_of_dummy_vec_env(vec: MakeVec) -> None:
    buffers = pytest.importorskip("stable_baselines3.her.her_replay_buffer")
    mine, judges = (
        vec("TeachPoint", 2, 2, seed=3, max_episode_steps=8),
        judge("genba.envs:genba/TeachPoint-v0", 2, max_episode_steps=8),
    )
    judges.seed(3)
    samples = []
    for each in (mine, judges):
        rng = np.random.default_rng(0)
        buffer = buffers.HerReplayBuffer(200, each.observation_space, each.action_space, each, n_envs=2)
        seen = each.reset()
        for _ in range(30):
            actions = rng.uniform(-1.0, 1.0, (2, *each.action_space.shape)).astype(np.float32)
            after, rewards, dones, infos = each.step(actions)
            buffer.add(seen, after, actions, rewards, dones, infos)
            seen = after
        np.random.seed(0)  # noqa: NPY002 - what SB3 draws from
        sample = buffer.sample(64)
        samples.append([sample.rewards.numpy(), sample.actions.numpy(), sample.observations["desired_goal"].numpy()])
    judges.close()
    same(samples[0], samples[1])


def test_sb3_learns_the_same_weights(vec: MakeVec) -> None:
    algorithms = pytest.importorskip("stable_baselines3")
    weights = []
    mine, judges = (
        vec("TeachPoint", 3, 2, max_episode_steps=6),
        judge("genba.envs:genba/TeachPoint-v0", 3, max_episode_steps=6),
    )
    for each in (mine, judges):
        model = algorithms.A2C("MultiInputPolicy", vectors.VecMonitor(each), seed=4, device="cpu", n_steps=4)
        model.learn(60)
        assert len(model.ep_info_buffer) > 3
        weights.append([value.numpy() for value in model.policy.state_dict().values()])
    judges.close()
    same(weights[0], weights[1])


# -- what goes wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "kind", "said"),
    [
        (0, RefusedError, "refused: 4 mm too far"),
        (1, UnknownNameError, "no robot named 'hal'; there are: so101"),
        (2, SafetyError, "too fast"),
        (3, BusError, "silent"),
        (4, ValueError, "a value"),
        (5, KeyError, "a key"),
        (6, OSError, "a file"),
        (7, AttributeError, "an attribute"),
        (8, GenbaError, "anything"),
    ],
)
def test_error_in_a_worker_arrives_as_it_is_and_the_rest_goes_on(
    action: int, kind: type[Exception], said: str, vec: MakeVec
) -> None:
    mine = vec("strange_cells:Failing-v0", 4, 2, seed=1)
    first = mine.reset()
    with pytest.raises(GenbaError) as caught:
        mine.step(np.array([98, action, 98, 98]))
    assert isinstance(caught.value, kind)
    assert said in str(caught.value)
    if issubclass(kind, GenbaError):
        assert type(caught.value) is kind
    assert "strange_cells.py" in caught.value.__notes__[0]
    mine.seed(1)
    same(mine.reset(), first)
    mine.step(np.full(4, 98))


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_missing_is_an_attribute_error(workers: int, vec: MakeVec) -> None:
    mine = vec("strange_cells:Strange-v0", 3, workers)
    for ask in (mine.get_attr, mine.env_method):
        with pytest.raises(AttributeError, match="smell"):
            ask("smell")
    with pytest.raises(IndexError):
        mine.get_attr("colour", 3)


def test_what_cannot_be_sent_is_said_and_the_rest_goes_on(vec: MakeVec) -> None:
    mine = vec("strange_cells:Strange-v0", 2, 1)
    with pytest.raises(GenbaError, match="pickle"):
        mine.env_method("lock")
    with pytest.raises(TypeError, match="pickle"):
        mine.env_method("echo", threading.Lock())
    assert mine.get_attr("colour") == ["red", "red"]


def test_worker_that_is_killed_is_named_and_the_others_can_be_closed(vec: MakeVec) -> None:
    mine = vec("strange_cells:Failing-v0", 4, 2)
    mine.reset()
    first, _, third, _ = mine.env_method("pid")
    for _ in range(2):
        with pytest.raises(GenbaError, match="worker 1 has ended with exit code -9"):
            mine.env_method("end", indices=2)
    with pytest.raises(GenbaError, match="worker 1 has ended"):
        mine.step(np.full(4, 98))
    assert mine.env_method("pid", indices=0) == [first]
    mine.close()
    assert gone([first, third])


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"robot": "hal"}, UnknownNameError, "panda"),
        ({"reward": "money"}, RefusedError, "sparse, dense"),
        ({"smell": 3}, TypeError, "smell"),
    ],
    ids=str,
)
def test_cells_that_cannot_be_built_are_refused_as_by_the_cell(
    workers: int, options: dict[str, Any], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        make_vec("TeachPoint", 2, workers, **options)


@pytest.mark.parametrize("workers", [0, 1])
def test_observations_that_are_no_arrays_are_refused(workers: int, vec: MakeVec) -> None:
    with pytest.raises(RefusedError, match="Text"):
        vec("strange_cells:Talking-v0", 1, workers)


@pytest.mark.parametrize("name", ["TeachPoint", "teach_point", "genba/TeachPoint-v0", "genba.envs:genba/TeachPoint-v0"])
def test_task_goes_by_all_its_names(name: str, vec: MakeVec) -> None:
    assert vec(name, 1).get_attr("task_name") == ["TeachPoint"]


def test_recipe_reaches_workers_without_being_registered_there(vec: MakeVec, monkeypatch: pytest.MonkeyPatch) -> None:
    import strange_cells  # type: ignore[import-not-found]

    gym.register("Here-v0", strange_cells.Strange, kwargs={"heavy": 3})
    monkeypatch.setattr(gym.registry["Here-v0"], "max_episode_steps", 2)
    mine = vec("Here-v0", 2, 1)
    assert mine.get_attr("heavy") == [3, 3]
    assert mine.env_is_wrapped(gym.wrappers.TimeLimit) == [True, True]
    monkeypatch.setattr(strange_cells.Strange, "__module__", "__main__")
    with pytest.raises(RefusedError, match="make it in a module"):
        vec("Here-v0", 2, 1)
    assert vec("Here-v0", 2, 0).get_attr("heavy") == [3, 3]
    del gym.registry["Here-v0"]


def test_id_that_its_module_does_not_register_is_refused(vec: MakeVec) -> None:
    with pytest.raises(RefusedError, match="registers no environment 'Strangest-v0'"):
        vec("strange_cells:Strangest-v0", 2, 1)


def test_unknown_task_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match="PickPlace"):
        make_vec("PickPlaice", 2)


@pytest.mark.parametrize(("n", "workers"), [(0, 0), (-1, 0), (2, 3), (2, -1)])
def test_numbers_that_make_no_sense_are_refused(n: int, workers: int) -> None:
    with pytest.raises(RefusedError, match="at least one"):
        make_vec("TeachPoint", n, workers)


@pytest.mark.parametrize("workers", [0, 2])
def test_actions_of_another_shape_are_refused(workers: int, vec: MakeVec) -> None:
    mine = vec("strange_cells:Strange-v0", 3, workers, seed=0)
    mine.reset()
    for shape in [(2, 2), (4, 2), (3, 1), (3,), (1, 2)]:
        with pytest.raises(RefusedError, match=r"\(3, 2\)"):
            mine.step(np.zeros(shape, np.float32))
    mine.step(np.zeros((3, 2), np.float32))


@pytest.mark.parametrize("workers", [0, 2])
def test_closed_cells_say_so_and_close_again(workers: int, vec: MakeVec) -> None:
    mine = vec("strange_cells:Strange-v0", 3, workers)
    mine.close()
    mine.close()
    for ask in (mine.reset, lambda: mine.step(np.zeros((3, 2), np.float32)), lambda: mine.get_attr("colour")):
        with pytest.raises(RefusedError, match="closed"):
            ask()


# -- processes ---------------------------------------------------------------------------------------------------
