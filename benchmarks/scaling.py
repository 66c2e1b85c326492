"""What a Ray cluster costs: steps of cells in two actors against two workers, and whole episodes by either.

The whole machine is the cluster; `python benchmarks/scaling.py 48` gives each process 48 cells. Rates are medians over
turns that alternate, so that a busy machine is unjust to both.
"""

import statistics
import sys
import time
from contextlib import closing
from typing import Any

import numpy as np

from genba.envs import make_vec
from genba.policies.crews.crew import Crew, LocalCrew
from genba.policies.crews.ray_crew import RayCrew
from genba.policies.crews.ray_vector import RayVecEnv
from genba.policies.training.collect import Collectors

TASKS = ("TeachPoint", "PickPlace")
PROCESSES, STEPS, TURNS, EPISODES = 2, 100, 5, 64
EACH = int(sys.argv[1]) if len(sys.argv) > 1 else 16  # cells of a process


def steps_per_second(cells: Any) -> float:
    """Cell steps a second with random actions."""
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (cells.num_envs, *cells.action_space.shape))
    started = time.perf_counter()
    for _ in range(STEPS):
        cells.step(actions.astype(np.float32))
    return STEPS * cells.num_envs / (time.perf_counter() - started)


def rollouts_per_second(crew: Crew, task: str, seed: int) -> float:
    """Cell steps a second in whole episodes of the expert."""
    with closing(Collectors({"task": task, "robot": "so101"}, crew)) as collectors:
        started = time.perf_counter()
        done = collectors.collect(range(seed, seed + EPISODES))
        return sum(map(len, done)) / (time.perf_counter() - started)


def show(label: str, ray: list[float], local: list[float], cells: int) -> None:
    """Print one line of the table."""
    ratio = statistics.median(a / b for a, b in zip(ray, local, strict=True))
    lost = statistics.median(cells * 1e6 * (1 / a - 1 / b) for a, b in zip(ray, local, strict=True))
    print(
        f"{label:26} Ray {statistics.median(ray):7,.0f} steps/s, local {statistics.median(local):7,.0f}, "
        f"ratio {ratio:.2f}, {lost:6,.0f} us more for {cells} steps"
    )


def compare_steps(label: str, name: str, each: int, **options: Any) -> None:
    """Step as many cells in actors and in workers by turns.

    Args:
        label: Of the line.
        name: As for `genba.envs.make_vec`.
        each: Cells of a process.
        **options: Of the cells.
    """
    n = PROCESSES * each
    with (
        closing(RayVecEnv(name, n, PROCESSES, seed=0, options=options)) as there,
        closing(make_vec(name, n, PROCESSES, seed=0, **options)) as here,
    ):
        there.reset()
        here.reset()
        pairs = [(steps_per_second(there), steps_per_second(here)) for _ in range(TURNS)]
        show(f"{label}, 2 x {each}", *map(list, zip(*pairs, strict=True)), n)
        began = time.process_time()
        steps_per_second(there)
        spent = (time.process_time() - began) / STEPS / PROCESSES
        print(f"{'':26} of it the driver computes {spent * 1e6:.0f} us an actor")


def main() -> None:
    """Measure all."""
    with closing(RayCrew("local")) as far, closing(LocalCrew(PROCESSES)) as near:
        for each in (1, 4, 16):
            compare_steps("empty cells", "_empty_cell:Empty-v0", each)
        for task in TASKS:
            compare_steps(task, task, EACH, robot="so101")
            rollouts_per_second(far, task, 0)  # builds the cells
            rollouts_per_second(near, task, 0)
            pairs = [
                (rollouts_per_second(far, task, 100 * k), rollouts_per_second(near, task, 100 * k))
                for k in range(1, TURNS)
            ]
            show(f"{task}, whole episodes", *map(list, zip(*pairs, strict=True)), 1)


if __name__ == "__main__":
    main()
