"""The same seed and actions give the same episode to the bit: whatever ran before, in any process, after a restore."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from genba.envs.env import CellEnv
from genba.robots.errors import RefusedError

Make = Callable[..., CellEnv]
Combination = tuple[str, str]
Grasp = Callable[[str, int, int], tuple[CellEnv, dict[str, np.ndarray]]]
STEPS = 90


def actions(env: CellEnv, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, env.action_space.shape[0])).astype(np.float32)


def rollout(env: CellEnv, *, seed: int, steps: int = STEPS) -> list[bytes]:
    """Every number of an episode half by the expert, who touches parts, and half at random."""
    observation, info = env.reset(seed=seed)
    rows = [exactly(observation, 0.0, info)]
    noise = actions(env, steps, seed)
    for k in range(steps):
        action = env.expert_action(observation) if k % 30 < 20 else noise[k]
        observation, reward, *_, info = env.step(action)
        rows.append(exactly(observation, reward, info))
    return rows


def exactly(observation: dict[str, np.ndarray], reward: float, info: dict[str, object]) -> bytes:
    terms = json.dumps(info["success_terms"]).encode()
    return b"".join(observation[group].tobytes() for group in sorted(observation)) + repr(reward).encode() + terms


def disturb(env: CellEnv, seed: int) -> None:
    """Random episodes of different lengths, and experts that carry parts about."""
    for k in range(3):
        rollout(env, seed=1000 + seed + k, steps=25 + 40 * k)
    env.reset(seed=seed + 77)
    for action in actions(env, 30, seed):
        env.step(np.round(action))


def test_seed_gives_the_same_episode_whatever_ran_before(env: CellEnv) -> None:
    first = rollout(env, seed=5)
    disturb(env, 1)
    assert rollout(env, seed=5) == first
    disturb(env, 2)
    env.reset(seed=5)
    assert rollout(env, seed=5) == first
    assert rollout(env, seed=6) != first


def test_level_asked_for_once_does_not_stay(env: CellEnv) -> None:
    """The level of a reset is its own: the next one that names none is the one it always was."""
    offered = env.task.levels_for(env.robot)
    if len(offered) < 2:
        return
    first = rollout(env, seed=5)
    other = next(level for level in offered if level != env.level)
    env.reset(seed=5, options={"level": other})
    assert rollout(env, seed=5) == first


def test_moment_is_restored_after_an_episode_of_another_layout_and_level(env: CellEnv) -> None:
    """What a task keeps of its layout belongs to the moment, not to the episode that ran last."""
    observation, _ = env.reset(seed=31)
    for _ in range(20):
        observation = env.step(env.expert_action(observation))[0]
    saved = env.save_state()

    def future() -> list[bytes]:
        seen, rows = observation, []
        for _ in range(40):
            seen, reward, *_, info = env.step(env.expert_action(seen))
            rows.append(exactly(seen, reward, info))
        return rows

    first = future()
    for level in env.task.levels_for(env.robot) or ("",):
        env.reset(seed=32, options={"level": level} if level else {})
        env.step(np.ones(env.action_space.shape, np.float32))
        env.restore_state(saved)
        assert future() == first
    env.remove_state(saved)


def test_two_environments_in_one_process_do_not_disturb_each_other(combination: Combination, make: Make) -> None:
    one, two = make(*combination), make(*combination)
    alone = rollout(one, seed=8)
    disturb(two, 3)
    a, info = one.reset(seed=8)
    b, _ = two.reset(seed=9)
    assert exactly(a, 0.0, info) == alone[0]
    noise = actions(one, STEPS, 8)
    for k in range(30):
        a, reward, *_, info = one.step(one.expert_action(a) if k % 30 < 20 else noise[k])
        b = two.step(two.expert_action(b))[0]
        assert exactly(a, reward, info) == alone[k + 1]


def test_episodes_without_a_seed_follow_from_the_last_one_given(env: CellEnv) -> None:
    def sequence() -> list[bytes]:
        env.reset(seed=21)
        found = []
        for _ in range(4):
            observation, info = env.reset()
            found.append(exactly(observation, 0.0, info))
            env.step(np.ones(env.action_space.shape, np.float32))
        return found

    first = sequence()
    assert len(set(first)) == 4
    disturb(env, 4)
    assert sequence() == first


FRESH = """
import hashlib, importlib.util, json, sys
spec = importlib.util.spec_from_file_location("judge", sys.argv[1])
judge = importlib.util.module_from_spec(spec)
spec.loader.exec_module(judge)
from genba.envs.env import CellEnv
print(json.dumps([judge.fingerprint(CellEnv(*pair)) for pair in json.loads(sys.argv[2])]))
"""


def fingerprint(env: CellEnv) -> str:
    return hashlib.sha256(b"".join(rollout(env, seed=12))).hexdigest()


def test_fresh_process_gives_the_same_episode(env: CellEnv, combination: Combination) -> None:
    disturb(env, 5)
    command = [sys.executable, "-c", FRESH, __file__, json.dumps([combination])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout) == [fingerprint(env)]


@pytest.mark.parametrize("robot", ["so101", "panda"])
def test_forkserver_workers_give_the_same_episodes(robot: str) -> None:
    """Through SB3's vector environment and the module form of the id, which needs no import in the worker."""
    gym = pytest.importorskip("gymnasium")
    vectors = pytest.importorskip("stable_baselines3.common.vec_env")

    def build() -> object:
        return gym.make("genba.envs:genba/PickPlace-v0", robot=robot)

    vector = vectors.SubprocVecEnv([build, build], start_method="forkserver")
    here = [CellEnv("PickPlace", robot) for _ in range(2)]
    try:
        disturb(here[0], 6)
        vector.seed(30)
        there = vector.reset()
        observed = [env.reset(seed=30 + k)[0] for k, env in enumerate(here)]
        noise = actions(here[0], 60, 7)
        for k in range(60):
            for group in observed[0]:
                assert (there[group] == np.array([o[group] for o in observed])).all()
            chosen = [env.expert_action(o) if k % 30 < 20 else noise[k] for env, o in zip(here, observed, strict=True)]
            there, rewards, *_ = vector.step(np.array(chosen))
            results = [env.step(action) for env, action in zip(here, chosen, strict=True)]
            observed = [result[0] for result in results]
            assert rewards.tolist() == [result[1] for result in results]
    finally:
        vector.close()
        for env in here:
            env.close()


# -- saved moments ---------------------------------------------------------------------------------------------


@pytest.fixture
def grasping(make: Make) -> Grasp:
    """An environment in which the expert has had the part between its fingers for some ticks."""

    def grasp(robot: str, seed: int, ticks: int) -> tuple[CellEnv, dict[str, np.ndarray]]:
        env = make("PickPlace", robot)
        observation, _ = env.reset(seed=seed)
        for _ in range(env.horizon):
            fingers = [env.arm.joints.links[link] for link in env.robot.gripper.finger_links]
            if env.cell.touches_fingers("block", fingers) == 2:
                break
            observation = env.step(env.expert_action(observation))[0]
        else:
            raise AssertionError("the expert never gripped the part")
        for _ in range(ticks):
            observation = env.step(env.expert_action(observation))[0]
        return env, observation

    return grasp


def go_on(env: CellEnv, observation: dict[str, np.ndarray], steps: int = 40) -> list[bytes]:
    rows = []
    for _ in range(steps):
        observation, reward, *_, info = env.step(env.expert_action(observation))
        rows.append(exactly(observation, reward, info) + repr(env.cell.pose("block")).encode())
    return rows


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("robot", ["so101", "panda"])
def test_moment_in_the_middle_of_a_grasp_is_restored_to_the_bit(robot: str, seed: int, grasping: Grasp) -> None:
    """Gripping, lifting, carrying: what follows is the same each time, whatever came in between."""
    for ticks in (0, 5, 20):
        env, observation = grasping(robot, seed, ticks)
        saved = env.save_state()
        first = go_on(env, observation)
        env.restore_state(saved)
        assert go_on(env, observation) == first  # and again, though the first future ended elsewhere
        env.restore_state(saved)
        assert go_on(env, observation) == first
        disturb(env, 9)
        env.restore_state(saved)
        assert go_on(env, observation) == first
        env.remove_state(saved)


@pytest.mark.parametrize("robot", ["so101", "panda"])
def test_saving_does_not_move_anything(robot: str, grasping: Grasp) -> None:
    env, _ = grasping(robot, 0, 10)
    before = env.cell.pose("block"), env.arm.true_positions(), env.arm.read(), env.station.envelope.snapshot()
    env.remove_state(env.save_state())
    assert (env.cell.pose("block"), env.arm.true_positions(), env.arm.read(), env.station.envelope.snapshot()) == before


def test_any_moment_is_restored_with_its_random_numbers(env: CellEnv) -> None:
    observation, _ = env.reset(seed=14)
    moments = []
    for k in range(3):
        for _ in range(7 * k + 1):
            observation = env.step(env.expert_action(observation))[0]
        moments.append((env.save_state(), observation))

    def futures(moment: tuple[int, dict[str, np.ndarray]]) -> list[bytes]:
        seen = moment[1]
        env.restore_state(moment[0])
        rows = []
        for _ in range(12):
            seen, reward, *_, info = env.step(env.expert_action(seen))
            rows.append(exactly(seen, reward, info))
        nxt, info = env.reset()
        return [*rows, exactly(nxt, 0.0, info)]

    first = [futures(moment) for moment in moments]
    disturb(env, 10)
    assert [futures(moment) for moment in reversed(moments)] == first[::-1]
    for saved, _ in moments:
        env.remove_state(saved)


def test_unknown_or_forgotten_moment_is_refused_with_those_there_are(combination: Combination, make: Make) -> None:
    env = make(*combination)
    env.reset(seed=0)
    with pytest.raises(RefusedError, match="none"):
        env.restore_state(3)
    kept, gone = env.save_state(), env.save_state()
    env.remove_state(gone)
    env.remove_state(gone)
    with pytest.raises(RefusedError, match=f"there are: {kept}"):
        env.restore_state(gone)


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - not a file of ours
        return int(file.read().split()[1]) * 4096


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_ten_thousand_resets_and_a_thousand_moments_cost_no_memory(make: Make) -> None:
    env = make("PickPlace", "so101")

    def work(resets: int) -> None:
        for k in range(resets):
            env.reset(seed=k)
            if k % 10 == 0:
                env.step(np.ones(env.action_space.shape, np.float32))
                env.remove_state(env.save_state())

    work(500)
    before = resident_bytes()
    work(10_000)
    assert resident_bytes() - before < 5_000_000
