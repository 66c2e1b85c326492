"""A cell whose parts a director puts where he likes, with the arm still at home; shared by the tests beside it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from genba.envs.body import UPRIGHT, Quaternion, Triple, about_z
from genba.envs.env import CellEnv
from genba.envs.many import PartsTask
from genba.robots.errors import RefusedError

Info = dict[str, object]


class Stage:
    """One environment, one episode after another."""

    def __init__(self, env: CellEnv) -> None:
        self.env = env
        assert isinstance(env.task, PartsTask)
        self.task: PartsTask = env.task
        self.hold = round(self.task.success.hold_s * env.control_rate_hz)

    def begin(self, **options: object) -> None:
        """A new episode with the arm at home."""
        self.observation, _ = self.env.reset(seed=0, options={"joint_positions": self.env.robot.home, **options})

    def put(self, k: int, at: Triple, turn: Quaternion = UPRIGHT) -> None:
        """Set a part somewhere, at rest."""
        self.env.cell.place(self.task.parts[k].name, at, turn)

    def seat(
        self, k: int, *, along: float = 0.0, across: float = 0.0, up: float = 0.0, turn: float = 0.0, place: int = -1
    ) -> None:
        """Set part k into its seat or into that of another; offsets in the seat's own frame, m and rad."""
        x, y, z, yaw = self.task.memory["seats"][k if place < 0 else place]
        c, s = np.cos(yaw), np.sin(yaw)
        self.put(k, (x + c * along - s * across, y + s * along + c * across, z + up), about_z(yaw + turn))

    def wait(self, seconds: float, each: Callable[[], None] = lambda: None) -> Info:
        """Let time pass; `each` is called before every tick."""
        still = np.zeros(self.env.action_space.shape, np.float32)
        info: Info = {}
        for _ in range(max(1, round(seconds / self.env.dt))):
            each()
            *_, info = self.env.step(still)
        return info

    def carry(self, hold_on: Callable[[Triple], bool], seconds: float) -> Info:
        """The expert works, but never opens its hand again once `hold_on` says so of the part whose turn it is."""
        stuck = False
        info: Info = {}
        for _ in range(round(seconds / self.env.dt)):
            action = self.env.expert_action(self.observation)
            name = self.task.parts[self.task.memory["current"]].name
            stuck = stuck or hold_on(self.env.cell.pose(name)[0])
            if stuck:
                action[-1] = -1.0
            self.observation, *_, info = self.env.step(action)
            assert info["is_success"] is False
        assert stuck  # it came to that
        return info


def failed(info: Info) -> set[str]:
    """Names of the conditions that do not hold; there must be no success."""
    assert info["is_success"] is False
    return {name for name, row in info["success_terms"].items() if not row["ok"]}


@contextmanager
def staged(task: str, robot: str, **options: object) -> Iterator[Stage]:
    """A stage that is closed at the end; success does not end its episodes."""
    env = CellEnv(task, robot, terminate_on_success=False, **options)
    yield Stage(env)
    env.close()


def refuses(task: str, options: dict[str, object], said: str) -> None:
    """Check that a reset with these options is refused with a text that says what is allowed."""
    env = CellEnv(task, "so101")
    with pytest.raises(RefusedError, match=said):
        env.reset(seed=0, options=options)
    env.close()


def comes_back(stage: Stage) -> None:
    """Check that a restored moment has its own memory again, and that the same things follow from it."""
    env, still = stage.env, np.zeros(stage.env.action_space.shape, np.float32)
    kept = env.save_state()
    before = repr(sorted(env.task.memory.items()))
    first = [env.step(still) for _ in range(5)]
    after = repr(sorted(env.task.memory.items()))
    stage.begin()
    stage.wait(0.3)
    env.restore_state(kept)
    assert repr(sorted(env.task.memory.items())) == before
    again = [env.step(still) for _ in range(5)]
    assert repr(sorted(env.task.memory.items())) == after
    for (a, *_, x), (b, *_, y) in zip(first, again, strict=True):
        assert all((a[group] == b[group]).all() for group in a)
        assert x["success_terms"] == y["success_terms"]
    env.remove_state(kept)
