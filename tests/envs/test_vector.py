"""The vector environment is SB3's DummyVecEnv to the bit, whatever happens to the processes behind it."""

import gc
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from genba.envs import make_vec
from genba.robots.errors import BusError, GenbaError, RefusedError, SafetyError, UnknownNameError

vectors = pytest.importorskip("stable_baselines3.common.vec_env")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Bullet's wheels are for Linux")

Combination = tuple[str, str]
Vec = Any
MakeVec = Callable[..., Vec]
HERE = Path(__file__).parent


@pytest.fixture
def vec(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeVec]:
    """Make vectors that are closed when the test ends; workers find the strange cells beside this file."""
    monkeypatch.syspath_prepend(HERE)
    made: list[Vec] = []

    def make(*args: Any, **options: Any) -> Vec:
        made.append(make_vec(*args, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def judge(name: str, n: int, **options: Any) -> Vec:
    """SB3's own vector of the same cells."""
    return vectors.DummyVecEnv([lambda: gym.make(name, disable_env_checker=True, **options) for _ in range(n)])


def same(a: Any, b: Any) -> None:
    """The same in type, dtype and every bit."""
    if isinstance(b, dict):
        assert isinstance(a, dict)
        assert list(a) == list(b)
        for key in b:
            same(a[key], b[key])
        return
    assert type(a) is type(b), (a, b)
    if isinstance(b, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == b.tobytes()
    elif isinstance(b, (list, tuple)):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            same(one, other)
    else:
        assert a == b


def together(one: Vec, other: Vec, steps: int, *, seed: int = 0, dtype: Any = np.float32) -> int:
    """Step both alike and compare everything; how many episodes ended."""
    rng = np.random.default_rng(seed)
    shape = (one.num_envs, *one.action_space.shape)
    same(one.reset(), other.reset())
    same(one.reset_infos, other.reset_infos)
    ends = 0
    for _ in range(steps):
        if isinstance(one.action_space, gym.spaces.Discrete):
            actions = rng.integers(0, one.action_space.n, shape)
        else:
            actions = rng.uniform(-1.2, 1.2, shape).astype(dtype)
        mine, judges = one.step(actions), other.step(actions)
        same(mine, judges)
        same(one.reset_infos, other.reset_infos)
        ends += int(mine[2].sum())
    return ends


def gone(pids: list[int]) -> bool:
    """Whether processes, of whomever, have ended within a minute."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if not select.select([handle], [], [], 60.0)[0]:
                return False
        finally:
            os.close(handle)
    return True


# -- the same as DummyVecEnv -------------------------------------------------------------------------------------


def test_every_task_with_every_arm_steps_and_starts_again_as_in_dummy_vec_env(
    combination: Combination, vec: MakeVec
) -> None:
    task, robot = combination
    mine = vec(task, 3, 2, seed=11, robot=robot, max_episode_steps=20)
    judges = judge(f"genba.envs:genba/{task}-v0", 3, robot=robot, max_episode_steps=20)
    judges.seed(11)
    try:
        assert mine.observation_space == judges.observation_space
        assert mine.action_space == judges.action_space
        assert mine.metadata == judges.metadata
        assert mine.render_mode is None
        assert together(mine, judges, 45) == 6
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


def test_worker_has_no_torch_and_several_cells(vec: MakeVec) -> None:
    mine = vec("strange_cells:Strange-v0", 5, 2)
    pids = mine.env_method("pid")
    assert [pids.count(pid) for pid in sorted(set(pids))] == [3, 2]
    assert os.getpid() not in pids
    assert mine.env_method("heavy_modules") == [[]] * 5


def test_cells_step_while_the_caller_does_something_else(vec: MakeVec, tmp_path: Path) -> None:
    """The cell steps when its gate is opened, and the gate is opened after `step_async` has returned."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    mine = vec("strange_cells:Waiting-v0", 1, 1, gate=str(gate))
    mine.reset()
    mine.step_async(np.zeros((1, 2), np.float32))
    gate.write_bytes(b"open")
    assert mine.step_wait()[3][0]["step"] == 1


@pytest.mark.parametrize("then", ["reset", "close"])
def test_ctrl_c_while_waiting_is_raised_and_the_cells_are_whole_after_it(
    then: str, vec: MakeVec, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    mine = vec("strange_cells:Waiting-v0", 1, 1, gate=str(gate))
    mine.seed(6)
    first = mine.reset()
    pids = mine.env_method("pid")

    def press() -> None:
        """Once the cell waits for the gate; another one holds it shut until then."""
        with gate.open("wb") as held:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            pressed.wait()
            held.write(b"open")

    pressed = threading.Event()
    finger = threading.Thread(target=press)
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        mine.step(np.zeros((1, 2), np.float32))
    pressed.set()
    if then == "reset":
        mine.seed(6)
        same(mine.reset(), first)
        assert mine.env_method("pid") == pids
    mine.close()
    finger.join()
    assert gone(pids)


def test_ctrl_c_at_any_moment_leaves_the_cells_whole(vec: MakeVec) -> None:
    """Also in the middle of a message that goes in pieces, and before or after the one byte that wakes."""
    mine, actions = vec("strange_cells:Strange-v0", 4, 2, seed=1), np.ones((4, 2), np.float32)
    wanted = mine.reset(), mine.step(actions)[:3]

    def go_on_for_ever(press_after: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, press_after)
        while True:
            mine.step(actions)
            mine.env_method("echo", bytes(2_500_000), indices=0)

    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for press_after in np.random.default_rng(0).uniform(1e-5, 4e-3, 150):
            with pytest.raises(KeyboardInterrupt):
                go_on_for_ever(press_after)
            mine.seed(1)
            same((mine.reset(), mine.step(actions)[:3]), wanted)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_vector_that_nobody_holds_ends_its_workers(vec: MakeVec) -> None:
    mine = make_vec("strange_cells:Strange-v0", 2, 2)
    pids = mine.env_method("pid")
    del mine
    gc.collect()
    assert gone(pids)


def left() -> tuple[set[Path], int]:
    """Named pieces of shared memory, and how many descriptors are open."""
    return set(Path("/dev/shm").iterdir()), len(list(Path("/proc/self/fd").iterdir()))


def test_nothing_is_left_of_a_closed_vector(vec: MakeVec) -> None:
    gc.collect()
    before = left()
    mine = vec("strange_cells:Strange-v0", 4, 2)
    mine.reset()
    pids = mine.env_method("pid")
    assert left()[0] == before[0]
    mine.close()
    assert gone(pids)
    assert left() == before
    with suppress(RefusedError):
        make_vec("TeachPoint", 2, 1, reward="money")
    gc.collect()
    assert left() == before


# A script as people write it: workers must not run it again, so it needs no guard.
PARENT = """
import sys, numpy as np
sys.path.insert(0, {here!r})
from genba.envs import make_vec

vec = make_vec("strange_cells:Strange-v0", 4, 2, seed=1)
vec.reset()
actions = np.zeros((4, 2), np.float32)
print(*vec.env_method("pid"), flush=True)
try:
    while True:
        vec.step(actions)
except KeyboardInterrupt:
    print(*vec.env_method("pid"), flush=True)
    vec.reset()
    vec.step(actions)
    {end}
    print("ended", flush=True)
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Callable[[str], tuple["subprocess.Popen[str]", list[int]]]]:
    """A program in a group of its own that steps for ever; it and the pids of its workers."""
    started: list[subprocess.Popen[str]] = []

    def start(end: str = "pass") -> tuple["subprocess.Popen[str]", list[int]]:
        script = tmp_path / "program.py"
        script.write_text(PARENT.format(here=str(HERE), end=end))
        program = subprocess.Popen(
            [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
        )
        started.append(program)
        assert program.stdout is not None
        return program, [int(pid) for pid in program.stdout.readline().split()]

    yield start
    for program in started:
        program.kill()
        program.communicate()


def test_workers_end_when_their_parent_is_killed(parent: Any) -> None:
    program, pids = parent()
    before = left()[0]
    program.kill()
    program.wait()
    assert len(set(pids)) == 2
    assert gone(pids)
    assert left()[0] <= before


@pytest.mark.parametrize("end", ["vec.close()", "pass", "del vec"])
def test_ctrl_c_reaches_the_parent_alone(end: str, parent: Any) -> None:
    """As a terminal sends it: to every process of the group."""
    program, pids = parent(end)
    os.killpg(program.pid, signal.SIGINT)
    out, err = program.communicate(timeout=120)
    assert err == ""
    assert [int(pid) for pid in out.split()[:-1]] == pids
    assert out.split()[-1] == "ended"
    assert program.returncode == 0
    assert gone(pids)


def test_ctrl_c_while_workers_start_is_not_lost_and_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from genba.envs import vector

    honest, started = vector.Worker, []

    def pressed(*args: Any) -> Any:
        if started:
            signal.raise_signal(signal.SIGINT)
        worker = honest(*args)
        started.append(worker._process.pid)
        return worker

    monkeypatch.setattr(vector, "Worker", pressed)
    with pytest.raises(KeyboardInterrupt):
        make_vec("TeachPoint", 2, 2)
    assert len(started) == 1
    assert gone(started)
