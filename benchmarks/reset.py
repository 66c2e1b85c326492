"""What an exact reset costs, the first observation included, for every task and arm."""

import sys

from _measure import Row, Slice, cpu_per_call, medians, show

from genba.envs.env import CellEnv
from genba.envs.tasks import load_task, task_names

RESETS = 100


def resetting(env: CellEnv) -> Slice:
    """A hundred seeded resets."""

    def run() -> int:
        for seed in range(RESETS):
            env.reset(seed=seed)
        return RESETS

    return run


def main() -> None:
    """Measure in turns and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    envs = {f"{task} {robot}": CellEnv(task, robot) for task in task_names() for robot in load_task(task).offered()}
    cost = medians(cpu_per_call({name: resetting(env) for name, env in envs.items()}, rounds=rounds))
    show(
        "CellEnv.reset, bit-exact, observation included",
        [Row(what=name, measured=seconds * 1e3, wanted=0.5, unit="ms") for name, seconds in cost.items()],
    )


if __name__ == "__main__":
    main()
