"""Several cells in one process, one after the other, and everything that a vector environment asks of them.

Nothing here imports torch or stable-baselines3: a worker stays small and starts fast.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO

# What multiprocessing itself sends between the processes of one program; nothing here reads a file.
from multiprocessing.reduction import ForkingPickler
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.wrappers import OrderEnforcing

from ...robots.errors import RefusedError

Space = spaces.Space[Any]
Block = npt.NDArray[np.void]
Info = dict[str, Any]


def parts(observation: Space) -> dict[str | None, Space]:
    """The arrays of an observation by key; the only key is None where the space is not a Dict.

    Raises:
        RefusedError: If a part is not an array of a fixed shape.
    """
    found: dict[str | None, Space] = {None: observation}
    if isinstance(observation, spaces.Dict):
        found = dict(observation.spaces.items())
    for key, space in found.items():
        if space.shape is None or space.dtype is None:
            raise RefusedError(f"observation {key or ''} is a {type(space).__name__}; cells side by side need arrays")
    return found


def row(observation: Space, action: Space) -> np.dtype[np.void]:
    """What a cell has in the shared block: its observation part by part, its action, reward and done."""
    fields: list[Any] = [(f"observation {key}", space.dtype, space.shape) for key, space in parts(observation).items()]
    fields += [("action", action.dtype, action.shape), ("reward", np.float32), ("done", np.bool_)]
    return np.dtype(fields, align=True)


class Cells:
    """Cells that are stepped one after the other, and everything that may be asked of them.

    `picked` always holds indices among these cells.
    """

    def __init__(self) -> None:
        """There are none before `build`."""
        self.envs: list[gym.Env[Any, Any]] = []

    def build(self, spec: EnvSpec, options: Mapping[str, Any], count: int) -> tuple[Space, Space, dict[str, Any]]:
        """Build the cells.

        Args:
            spec: Gymnasium's recipe.
            options: Keyword arguments of `gymnasium.make`.
            count: How many.

        Returns:
            Spaces of observation and action, and the metadata.
        """
        for _ in range(count):
            env: gym.Env[Any, Any] = gym.make(spec, **{"disable_env_checker": True, **options})
            # Attributes are to be set on the cell, and a vector is reset before it is stepped.
            self.envs.append(env.env if isinstance(env, OrderEnforcing) else env)
        first = self.envs[0]
        return first.observation_space, first.action_space, dict(first.metadata)

    def attach(self, block: Block) -> None:
        """Work on these rows."""
        first = self.envs[0]
        self._observations = [(key, block[f"observation {key}"]) for key in parts(first.observation_space)]
        self._actions, self._rewards, self._dones = block["action"], block["reward"], block["done"]

    def step(self, actions: npt.NDArray[Any] | None = None) -> tuple[list[Info], dict[int, Info]]:
        """Step every cell and reset those whose episode is over.

        Args:
            actions: One per cell; those in the block if not given.

        Returns:
            All infos, and by cell the infos of the resets.
        """
        given = self._actions.copy() if actions is None else actions  # a cell may keep the action it was given
        # First all steps and then all the rest: after each step the caches hold Bullet, and the rest runs cold.
        results = [env.step(action) for env, action in zip(self.envs, given, strict=True)]
        resets: dict[int, Info] = {}
        for k, (observation, _, terminated, truncated, info) in enumerate(results):
            info["TimeLimit.truncated"] = truncated and not terminated
            if terminated or truncated:
                info["terminal_observation"] = observation
                observation, resets[k] = self.envs[k].reset()
            self._show(k, observation)
        self._rewards[:] = [result[1] for result in results]
        self._dones[:] = [result[2] or result[3] for result in results]
        return [result[4] for result in results], resets

    def _show(self, k: int, observation: Any) -> None:
        for key, array in self._observations:
            array[k] = observation if key is None else observation[key]

    def reset(self, seeds: Sequence[int | None], options: Sequence[Info]) -> list[Info]:
        """Start an episode in every cell and return the infos."""
        infos = []
        for k, (env, seed, chosen) in enumerate(zip(self.envs, seeds, options, strict=True)):
            observation, info = env.reset(seed=seed, options=chosen) if chosen else env.reset(seed=seed)
            self._show(k, observation)
            infos.append(info)
        return infos

    def get(self, picked: Sequence[int], name: str) -> list[Any]:
        """An attribute of some cells."""
        return [self.envs[k].get_wrapper_attr(name) for k in picked]

    def has(self, picked: Sequence[int], name: str) -> list[bool]:
        """Whether cells have an attribute."""
        return [self.envs[k].has_wrapper_attr(name) for k in picked]

    def put(self, picked: Sequence[int], name: str, value: Any) -> list[None]:
        """Set an attribute of some cells."""
        for k in picked:
            setattr(self.envs[k], name, value)
        return [None] * len(picked)

    def call(self, picked: Sequence[int], name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
        """Call a method of some cells."""
        return [self.envs[k].get_wrapper_attr(name)(*args, **kwargs) for k in picked]

    def wrapped(self, picked: Sequence[int], name: str) -> list[bool]:
        """Whether cells wear a wrapper, which goes by its full name lest its module be imported here."""
        return [name in _worn(self.envs[k]) for k in picked]

    def close(self) -> None:
        """Close all cells."""
        while self.envs:
            self.envs.pop().close()


class Packer:
    """Makes bytes of anything, with one pickler for ever: a new one each time costs as much as the infos of a step."""

    def __init__(self) -> None:
        self._buffer = BytesIO()
        self._pickler = ForkingPickler(self._buffer, 5)

    def __call__(self, thing: Any) -> bytes:
        """Bytes for `ForkingPickler.loads`."""
        self._buffer.seek(0)
        self._buffer.truncate()
        self._pickler.clear_memo()  # before, too: Ctrl-C may have come after the last dump
        self._pickler.dump(thing)
        self._pickler.clear_memo()
        return self._buffer.getvalue()


class Chunk(Protocol):
    """Some of the cells of a vector environment, wherever they are; one thing is asked at a time."""

    count: int

    def ask(self, name: str, *args: Any) -> None:
        """Ask for a method of `Cells`; without an argument, "step" takes the actions from the block."""

    def answer(self) -> Any:
        """Wait for what it says; the rows of the block are then up to date."""

    def leave(self) -> None:
        """Let it end once it has done what it was asked."""

    def close(self) -> None:
        """Wait until it has ended."""


class Here:
    """Cells in this process, asked like those of a worker."""

    def __init__(self, count: int) -> None:
        """There will be so many cells."""
        self.count = count
        self.cells = Cells()
        self._pack = Packer()
        self._todo: tuple[str, tuple[Any, ...]] = ("close", ())

    def ask(self, name: str, *args: Any) -> None:
        """Note what is to be done; `answer` does it."""
        self._todo = name, args

    def answer(self) -> Any:
        """Do it."""
        name, args = self._todo
        result = getattr(self.cells, name)(*args)
        # A task may fill the same info again and again; a copy by pickling costs a seventh of a deepcopy.
        return ForkingPickler.loads(self._pack(result)) if name == "step" else result

    def leave(self) -> None:
        """Nothing to do before `close`."""

    def close(self) -> None:
        """Close the cells."""
        self.cells.close()


def full_name(kind: type) -> str:
    """Module and name of a class."""
    return f"{kind.__module__}.{kind.__qualname__}"


def _worn(env: gym.Env[Any, Any]) -> set[str]:
    found: set[str] = set()
    while isinstance(env, gym.Wrapper):
        found |= {full_name(kind) for kind in type(env).__mro__}
        env = env.env
    return found
