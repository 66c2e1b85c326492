"""Environments over the whole catalogue: a new task or arm is tested by existing."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from genba.envs import make_vec
from genba.envs.env import CellEnv
from genba.envs.tasks import load_task, task_names
from genba.robots.catalogue import load_robot

sys.path.insert(0, str(Path(__file__).parent))  # in import mode "importlib" no folder is on the path

COMBINATIONS = [(task, robot) for task in task_names() for robot in load_task(task).offered()]

# Laws that take about a second for each task and arm, and whose outcome no arm of a kind can change alone.
DEAR = frozenset(
    {
        "test_fresh_process_gives_the_same_episode",
        "test_seed_gives_the_same_episode_whatever_ran_before",
        "test_every_task_with_every_arm_steps_and_starts_again_as_in_dummy_vec_env",
        "test_stable_baselines_has_no_objection",
        "test_rendering_does_not_touch_the_physics",
        "test_picture_shows_the_cell_and_changes_when_the_arm_moves",
        "test_episode_ends_at_the_horizon_of_the_task",
        "test_gymnasium_has_no_objection",
    }
)


def kind(robot: str) -> str:
    """How an arm is driven, as far as simulation knows: what differs within a kind is numbers."""
    described = load_robot(robot)
    if described.gripper.slide:
        return "cranked"
    return described.actuator_drives[0].kind


def one_of_each_kind(combinations: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of each task's arms the first of every kind."""
    found = {(task, kind(robot)): (task, robot) for task, robot in reversed(combinations)}
    return [combination for combination in combinations if combination in found.values()]


FEW = one_of_each_kind(COMBINATIONS)

Make = Callable[..., CellEnv]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that asks for `combination` or `env` for each task and arm; dear ones for one arm of each kind."""
    if {"combination", "env"} & set(metafunc.fixturenames):
        chosen = FEW if metafunc.function.__name__ in DEAR else COMBINATIONS
        names = [f"{task}-{robot}" for task, robot in chosen]
        metafunc.parametrize("combination", chosen, ids=names, scope="session")


@pytest.fixture(scope="session")
def shared() -> Iterator[dict[tuple[str, str], CellEnv]]:
    """Environments already built; resets are exact, so tests may share them."""
    built: dict[tuple[str, str], CellEnv] = {}
    yield built
    for env in built.values():
        env.close()


@pytest.fixture
def env(shared: dict[tuple[str, str], CellEnv], combination: tuple[str, str]) -> CellEnv:
    """The shared environment of a combination, in its default form."""
    if combination not in shared:
        shared[combination] = CellEnv(*combination)
    return shared[combination]


@pytest.fixture
def make() -> Iterator[Make]:
    """Build environments through Gymnasium's registry that are closed when the test ends."""
    made: list[CellEnv] = []

    def build(task: str, robot: str, **options: object) -> CellEnv:
        found = gym.make(f"genba.envs:genba/{task}-v0", robot=robot, **options).unwrapped
        assert isinstance(found, CellEnv)
        made.append(found)
        return found

    yield build
    for each in made:
        each.close()


@pytest.fixture
def vec(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Make vectors that are closed when the test ends; workers find the strange cells beside this file."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    made: list[Any] = []

    def make(*args: Any, **options: Any) -> Any:
        made.append(make_vec(*args, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()
