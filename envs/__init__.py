"""The arm in simulation: cell, simulated arm, parts, tasks and the Gymnasium face.

Importing this room registers every task as `genba/<Task>-v0`. Use the module form, which also works in spawned
workers: `gymnasium.make("genba.envs:genba/PickPlace-v0", robot="so101")`.
"""

from typing import TYPE_CHECKING, Any

import gymnasium

from .tasks import task_names

if TYPE_CHECKING:
    from .vector.vec_env import CellVecEnv

for _name in task_names():
    if f"genba/{_name}-v0" not in gymnasium.registry:
        gymnasium.register(id=f"genba/{_name}-v0", entry_point="genba.envs.env:CellEnv", kwargs={"task": _name})


def make_vec(id: str, n: int, workers: int = 0, *, seed: int | None = None, **options: Any) -> "CellVecEnv":  # noqa: A002
    """Make n cells as one vector environment of stable-baselines3.

    It does what SB3's `DummyVecEnv` does, observation for observation to the bit, and shares the cells out among worker
    processes. While they step, the calling process is free, or asleep in `step_wait`. Give each worker at least four
    cells, and no two of them the same processor: one worker where a learner keeps the other of two processors busy. No
    worker at all is right for one processor, and for debugging. Workers do not import the calling script, so it needs
    no `if __name__ == "__main__":`.

    Args:
        id: `PickPlace`, `genba/PickPlace-v0`, any other registered id, or `module:id`.
        n: How many cells.
        workers: Processes beside this one, at most n; with 0 all cells are here.
        seed: Cell k starts its first episode with seed + k; at random if not given. `seed()` does the same later.
        options: Keyword arguments of `CellEnv`, and those of `gymnasium.make`, such as `max_episode_steps`.

    Returns:
        The cells, not yet reset. An error in a worker is raised here, as a `GenbaError` that is also of its own kind.
        `close()` ends the workers; they also end when this process does, however it ends.

    Raises:
        UnknownNameError: If there is no such task; the text lists those there are.
        RefusedError: If n, workers or an option is not offered.
    """
    from .vector.vec_env import CellVecEnv  # brings torch along

    return CellVecEnv(id, n, workers, seed=seed, options=options)
