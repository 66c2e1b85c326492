"""What both files about many cells at once share: SB3's own vector as the judge, and patience with processes."""

import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

vectors = pytest.importorskip("stable_baselines3.common.vec_env")
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Bullet's wheels are for Linux")

Combination = tuple[str, str]
Vec = Any
MakeVec = Callable[..., Vec]
HERE = Path(__file__).parent


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
