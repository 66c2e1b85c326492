"""A cell without physics, in a module of its own because workers import what they make."""

from typing import Any

import gymnasium as gym
import numpy as np

TERMS = ("position_m", "yaw_rad", "tilt_rad", "speed_m_s", "spin_rad_s", "released", "held_s")
Step = tuple[dict[str, Any], float, bool, bool, dict[str, Any]]


class Empty(gym.Env[Any, Any]):
    """A cell without physics that returns as much as PickPlace does."""

    def __init__(self) -> None:
        sizes = {"observation": 44, "achieved_goal": 10, "desired_goal": 10}
        boxes = {name: gym.spaces.Box(-1.0, 1.0, (size,), np.float32) for name, size in sizes.items()}
        self.observation_space = gym.spaces.Dict(boxes)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (5,), np.float32)
        self._seen = {name: np.zeros(size, np.float32) for name, size in sizes.items()}
        self._count = 0

    def reset(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin."""
        self._count = 0
        return self._seen, self._info()

    def step(self, action: Any) -> Step:
        """Count."""
        self._count += 1
        return self._seen, -1.0, False, self._count >= 450, self._info()

    def _info(self) -> dict[str, Any]:
        terms = {name: {"value": 0.1 * self._count, "limit": 0.01, "ok": False} for name in TERMS}
        return {"is_success": False, "success_terms": terms, "met": False}


gym.register("Empty-v0", Empty)
