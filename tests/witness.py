"""A twin that writes down where its joints are at every step: `witness.py LOG pty|tcp numpy|cell TASK`.

Row 0 of the log holds the count of rows; each further row a moment of the monotonic clock, then every joint's position.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genba.drivers.senses import SenseServer
from genba.drivers.virtual.plant import ServoPlant
from genba.drivers.virtual.serve import serve
from genba.robots.catalogue import load_robot
from genba.robots.plant import Command, Motion, Plant

ROWS = 200_000
JOINTS = 6


class Watched:
    """A plant that tells the witness where its encoders are."""

    def __init__(self, plant: Plant, path: Path) -> None:
        self._plant = plant
        self._rows = np.memmap(path, np.float64, "w+", shape=(ROWS, 1 + JOINTS))
        self.period = plant.period
        self.motion = plant.motion

    def step(self, commands: Sequence[Command]) -> Motion:
        motion = self._plant.step(commands)
        count = int(self._rows[0, 0]) + 1
        if count < ROWS:
            self._rows[count, 0] = time.perf_counter()
            self._rows[count, 1:] = motion.positions
            self._rows[0, 0] = count
        return motion


def main(path: str, kind: str, plant: str, task: str) -> None:
    robot = load_robot("so101")
    if plant == "numpy":
        serve(robot, kind=kind, plant=Watched(ServoPlant(robot), Path(path)))
        return
    from genba.envs.world import CellWorld

    with CellWorld(task, robot) as world:
        senses = SenseServer(world.sample, reset=world.reset, judge=world.judge, rate_hz=robot.control_rate_hz)
        serve(robot, kind=kind, plant=Watched(world, Path(path)), sense_server=senses)


if __name__ == "__main__":
    main(*sys.argv[1:])
