"""Many cells as one vector environment of stable-baselines3, several in each worker process.

A control step takes about 0.2 ms, and it takes as long to send its outcome through a pipe. Hence observations, actions
and rewards lie in shared memory, a worker is woken once for all its cells (`vector/worker.py`), and nobody spins while
waiting, so that a learner in the calling process has its processor to itself. What comes out is what SB3's DummyVecEnv
gives, to the bit.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from importlib import import_module
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.envs.registration import EnvSpec
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvObs, VecEnvStepReturn

from ...robots.errors import RefusedError
from ..tasks import load_task, task_names
from .cells import Block, Chunk, Here, Info, Space, full_name, parts, row
from .worker import Memory, Worker

Wrapper = gym.Wrapper[Any, Any, Any, Any]


class CellVecEnv(VecEnv):
    """Cells side by side, in worker processes or in this one; what SB3 asks of a VecEnv and nothing else."""

    def __init__(
        self, env_id: str, n: int, workers: int = 0, *, seed: int | None = None, options: Mapping[str, Any]
    ) -> None:
        """Start workers and build cells; `genba.envs.make_vec` says what the arguments are."""
        self._crews: list[Chunk] = []
        self._stepping = False
        self._stepped: VecEnvStepReturn | None = None
        if n < 1 or not 0 <= workers <= n:
            raise RefusedError(f"{n} cells in {workers} workers: give at least one cell, and at least one to a worker")
        try:
            block, (observation_space, action_space, metadata) = self._open(
                spec_of(env_id, elsewhere=workers > 0), n, workers, options
            )
            self._observations = {key: block[f"observation {key}"] for key in parts(observation_space)}
            self._actions, self._rewards, self._dones = block["action"], block["reward"], block["done"]
            super().__init__(n, observation_space, action_space)
        except BaseException:
            self.close()
            raise
        self.metadata = metadata
        if seed is not None:
            self.seed(seed)

    def _open(
        self, spec: EnvSpec, n: int, workers: int, options: Mapping[str, Any]
    ) -> tuple[Block, tuple[Space, Space, dict[str, Any]]]:
        """Build all cells; workers do it at the same time."""
        if not workers:
            here = Here(n)
            self._crews.append(here)
            built = here.cells.build(spec, options, n)
            block = np.zeros(n, row(*built[:2]))
            here.cells.attach(block)
            return block, built
        with closing(Memory()) as memory:
            for k in range(workers):
                self._crews.append(Worker(memory, k, n // workers + (k < n % workers)))
            built = self._all("build", lambda first, last: (spec, options, last - first))[0]
            block = memory.block(workers, n, *built[:2])
            self._all("share", lambda first, last: (workers, n, first))
        return block, built

    def _staff(self) -> list[Chunk]:
        if not self._crews:
            raise RefusedError("these cells are closed: make new ones")
        return self._crews

    def _all(self, name: str, args: Callable[[int, int], tuple[Any, ...]]) -> list[Any]:
        """Ask everybody for something and wait for it; what they need to know hangs on their first and last cell."""
        self._ask_all(name, args)
        return _answers(self._crews)

    def _ask_all(self, name: str, args: Callable[[int, int], tuple[Any, ...]]) -> None:
        first = 0
        for crew in self._staff():
            last = first + crew.count
            crew.ask(name, *args(first, last))
            first = last

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        """Let all cells begin a step.

        Args:
            actions: One row per cell.

        Raises:
            RefusedError: If there is not one action of the right size for each cell.
        """
        self._staff()
        actions = np.asarray(actions)
        if actions.shape != self._actions.shape:
            raise RefusedError(f"actions are {actions.shape}; these cells take {self._actions.shape}")
        shared = actions.dtype == self._actions.dtype  # others, such as float64, arrive in every bit by the mailbox
        if shared:
            self._actions[:] = actions
        self._ask_all("step", lambda first, last: () if shared else (actions[first:last],))
        self._stepping, self._stepped = True, None

    def step_wait(self) -> VecEnvStepReturn:
        """Wait, asleep, until all cells have stepped.

        Returns:
            Observations, rewards (n) float32, dones (n) bool and a dict per cell. Where an episode is over, the
            observation is the first of the next one, and the last one stands in the dict.
        """
        result = self._stepped or self._finish()
        self._stepped = None
        return result

    def _finish(self) -> VecEnvStepReturn:
        if not self._stepping:
            raise RefusedError("there is no step to wait for: call step_async first")
        self._stepping = False
        infos: list[Info] = []
        for some, resets in _answers(self._crews):
            for k, info in resets.items():
                self.reset_infos[len(infos) + k] = info
            infos += some
        return self._seen(), self._rewards.copy(), self._dones.copy(), infos

    def _seen(self) -> VecEnvObs:
        if None in self._observations:
            return self._observations[None].copy()
        return {str(key): array.copy() for key, array in self._observations.items()}

    def reset(self) -> VecEnvObs:
        """Start an episode in all cells, with the seeds and options set for it; a step that is under way is dropped."""
        self._stepping, self._stepped = False, None
        seeds, options = self._seeds, self._options
        answers = self._all("reset", lambda first, last: (seeds[first:last], options[first:last]))
        self.reset_infos = [info for some in answers for info in some]
        self._reset_seeds()
        self._reset_options()
        return self._seen()

    def close(self) -> None:
        """Close all cells and wait until the workers have ended; may be called twice."""
        crews, self._crews = self._crews, []
        for crew in crews:
            crew.leave()
        for crew in crews:
            crew.close()
        for array in ("_observations", "_actions", "_rewards", "_dones"):
            self.__dict__.pop(array, None)  # the last that holds the memory

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()

    def get_images(self) -> Sequence[npt.NDArray[np.uint8] | None]:
        """A picture of every cell; None where the render mode is not "rgb_array"."""
        if self.render_mode != "rgb_array":
            warnings.warn(f"no pictures in render mode {self.render_mode}; make the cells with rgb_array", stacklevel=2)
            return [None] * self.num_envs
        return self.env_method("render")

    def has_attr(self, attr_name: str) -> bool:
        """Whether all cells have an attribute."""
        return all(self._spread("has", None, attr_name))

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of each of the cells that are named, of all if none is; from a worker it is a copy."""
        return self._spread("get", indices, attr_name)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the cells."""
        self._spread("put", indices, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Call a method of the cells and return what each says."""
        return self._spread("call", indices, method_name, args, kwargs)

    def env_is_wrapped(self, wrapper_class: type[Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """Whether the cells wear a wrapper."""
        return self._spread("wrapped", indices, full_name(wrapper_class))

    def _spread(self, name: str, indices: VecEnvIndices, *args: Any) -> list[Any]:
        """Ask the cells that are named, by way of their processes, and return the answers in the order of the names."""
        places = [(crew, k) for crew in self._staff() for k in range(crew.count)]
        if self._stepping:
            self._stepped = self._finish()
        wanted = [places[k] for k in self._get_indices(indices)]
        picked: dict[Chunk, list[int]] = {}
        for crew, k in wanted:
            picked.setdefault(crew, []).append(k)
        for crew, cells in picked.items():
            crew.ask(name, cells, *args)
        found = {crew: iter(answer) for crew, answer in zip(picked, _answers(list(picked)), strict=True)}
        return [next(found[crew]) for crew, _ in wanted]


def _answers(crews: Sequence[Chunk]) -> list[Any]:
    """What all of them say; an error is raised when the others have been heard, so that none is left in the middle."""
    found, wrong = [], None
    for crew in crews:
        try:
            found.append(crew.answer())
        except Exception as error:
            wrong = wrong or error
    if wrong is not None:
        raise wrong
    return found


def spec_of(name: str, *, elsewhere: bool) -> EnvSpec:
    """Gymnasium's recipe of a task, or of anything else that is registered or that a module registers, as `module:id`.

    Args:
        name: See `genba.envs.make_vec`.
        elsewhere: Whether other processes must be able to follow the recipe.

    Raises:
        UnknownNameError: If there is no such task.
        RefusedError: If the module does not register the id, or if other processes have no way to what it makes.
    """
    module, _, env_id = name.rpartition(":")
    if module:
        import_module(module)
        if env_id not in gym.registry:
            raise RefusedError(f"module {module!r} registers no environment {env_id!r}")
    elif env_id not in gym.registry:
        wanted = load_task(name)
        env_id = next(f"genba/{task}-v0" for task in task_names() if load_task(task) is wanted)
    spec = gym.spec(env_id)
    if elsewhere and getattr(spec.entry_point, "__module__", "") == "__main__":
        raise RefusedError(f"{env_id} is made in the calling script, which workers do not import: make it in a module")
    return spec
