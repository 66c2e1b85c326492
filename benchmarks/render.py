"""What a picture of the cell costs without GL, 84 x 84 RGB as a policy would see it."""

import sys

from _measure import Row, Slice, cpu_per_call, medians, show

from genba.envs.env import CellEnv
from genba.envs.view import Camera
from genba.robots.description import robot_names

PICTURES = 30
SIZE = 84


def looking(env: CellEnv) -> Slice:
    """Thirty pictures of the whole working area."""
    camera = Camera.overview(env.robot)
    env.reset(seed=0)

    def run() -> int:
        for _ in range(PICTURES):
            camera.picture(env.cell, SIZE, SIZE)
        return PICTURES

    return run


def main() -> None:
    """Measure in turns and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    envs = {robot: CellEnv("PickPlace", robot) for robot in robot_names()}
    cost = medians(cpu_per_call({name: looking(env) for name, env in envs.items()}, rounds=rounds))
    show(
        f"{SIZE} x {SIZE} RGB of the PickPlace cell, no GL",
        [Row(what=name, measured=seconds * 1e3, wanted=1.0, unit="ms") for name, seconds in cost.items()],
    )


if __name__ == "__main__":
    main()
