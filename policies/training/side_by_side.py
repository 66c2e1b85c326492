"""Observation and goal in one vector, for algorithms of the library that take no dict."""

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvStepReturn, VecEnvWrapper

GROUPS = ("observation", "desired_goal")


class SideBySide(VecEnvWrapper):
    """Cells whose observations are `observation` and `desired_goal`, one behind the other."""

    def __init__(self, cells: VecEnv) -> None:
        """Wrap cells; closing this closes them."""
        space: Any = cells.observation_space
        low, high = (np.concatenate([getattr(space[group], side) for group in GROUPS]) for side in ("low", "high"))
        super().__init__(cells, spaces.Box(low, high, dtype=np.float32))

    def reset(self) -> NDArray[np.float32]:
        """Start episodes in all cells."""
        return _joined(self.venv.reset(), 1)

    def step_wait(self) -> VecEnvStepReturn:
        """Wait until all cells have stepped."""
        observation, rewards, dones, infos = self.venv.step_wait()
        for info in infos:
            if "terminal_observation" in info:
                info["terminal_observation"] = _joined(info["terminal_observation"], 0)
        return _joined(observation, 1), rewards, dones, infos


def _joined(observation: Any, axis: int) -> NDArray[np.float32]:
    return np.concatenate([observation[group] for group in GROUPS], axis=axis)
