"""Environments that do all that Gymnasium permits, for the vector environment; workers import this file by name."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from genba.robots.errors import BusError, RefusedError, SafetyError, UnknownNameError

Step = tuple[Any, float, bool, bool, dict[str, Any]]


class Strange(gym.Env[Any, Any]):
    """Pictures beside numbers, one observation and one info filled again and again, and infos of every kind."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 7}

    def __init__(self, *, plain: bool = False, discrete: bool = False, heavy: int = 0, render_mode: str | None = None):
        self.render_mode = render_mode
        self.colour = "red"
        self.box = spaces.Box(-9.0, 9.0, (3,), np.float64)
        picture = spaces.Box(0, 255, (5, 4, 3), np.uint8)
        self.observation_space = (
            self.box if plain else spaces.Dict(picture=picture, box=self.box, state=spaces.Discrete(9))
        )
        self.action_space = spaces.Discrete(5) if discrete else spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.plain, self.heavy = plain, heavy
        self.seen: dict[str, Any] = {"picture": np.zeros((5, 4, 3), np.uint8), "box": np.zeros(3), "state": 0}
        self.info: dict[str, Any] = {}
        self.given: list[Any] = []

    def look(self) -> Any:
        self.seen["picture"][:] = self.np_random.integers(0, 256, (5, 4, 3))
        self.seen["box"][:] = self.np_random.normal(size=3)
        self.seen["state"] = self.step_ % 9
        return self.seen["box"] if self.plain else self.seen

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.step_, self.given = 0, []
        self.length = int(self.np_random.integers(2, 9))
        return self.look(), {"options": options, "randomization": {"mass": float(self.np_random.uniform())}}

    def step(self, action: Any) -> Step:
        self.given.append(action)
        self.step_ += 1
        self.info.update(step=self.step_, nested={"a": {"value": 0.1 * self.step_, "ok": True}}, given=self.given)
        self.info["array"] = np.arange(self.step_)
        if self.heavy:
            self.info["heavy"] = self.np_random.bytes(self.heavy)
        if self.step_ == 2:
            self.info["failure"] = "dropped"
        else:
            self.info.pop("failure", None)
        over = self.step_ >= self.length
        ended, cut = over and self.length % 3 != 0, over and self.length % 3 != 1
        return self.look(), float(np.sum(action)) + self.step_ / 3, ended, cut, self.info

    def render(self) -> Any:
        return np.full((6, 8, 3), self.step_, np.uint8) if self.render_mode else None

    def heavy_modules(self) -> list[str]:
        return [name for name in ("torch", "stable_baselines3") if name in sys.modules]

    def echo(self, *args: Any, **kwargs: Any) -> Any:
        return args, kwargs, self.colour

    def lock(self) -> Any:
        return threading.Lock()

    def pid(self) -> int:
        return os.getpid()


class Odd(gym.Wrapper[Any, Any, Any, Any]):
    """A wrapper to be found."""


class Mishap(Exception):  # noqa: N818 - an error of a stranger
    """Not known to anybody."""


class Failing(Strange):
    """Goes wrong in the way that its action names."""

    def __init__(self) -> None:
        super().__init__(plain=True, discrete=True)
        self.action_space = spaces.Discrete(99)

    def step(self, action: Any) -> Step:
        wrong: list[Exception] = [
            RefusedError("refused: 4 mm too far"),
            UnknownNameError("robot", "hal", ["so101"]),
            SafetyError("too fast"),
            BusError("silent"),
            ValueError("a value"),
            KeyError("a key"),
            OSError("a file"),
            AttributeError("an attribute"),
            Mishap("anything"),
        ]
        if action < len(wrong):
            raise wrong[action]
        return super().step(0)

    def end(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Waiting(Strange):
    """Steps when somebody has written to a pipe in the file system."""

    def __init__(self, *, gate: str) -> None:
        super().__init__()
        self.gate = Path(gate)

    def step(self, action: Any) -> Step:
        self.gate.read_bytes()
        return super().step(action)


class Talking(Strange):
    """Says what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.Dict(box=self.box, words=spaces.Text(9))


def odd(**options: Any) -> Odd:
    return Odd(Strange(**options))


for _name, _entry in (
    ("Strange", Strange),
    ("Odd", odd),
    ("Failing", Failing),
    ("Waiting", Waiting),
    ("Talking", Talking),
):
    gym.register(id=f"{_name}-v0", entry_point=_entry)
