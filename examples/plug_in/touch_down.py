"""A task of your own: one class, one line in pyproject.toml, and every verb and test of genba knows it.

The mark, the judge and the scripted expert are TeachPoint's. `pip install -e examples/plug_in` makes it
`genba train TouchDown ...` and "genba.envs:genba/TouchDown-v0".
"""

from collections.abc import Mapping
from math import radians
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from genba.envs.body import about_z
from genba.envs.cell import Cell
from genba.envs.tasks.teach_point import TeachPoint
from genba.robots.success import goal_vector


class TouchDown(TeachPoint):
    """Bring the TCP low over the table, as before gripping, and hold it."""

    title = "bring the tool low over the table and hold it"
    tolerances: ClassVar[Mapping[str, tuple[float, float]]] = {
        "servo": (0.004, radians(4.0)),
        "industrial": (0.001, radians(2.0)),
    }

    def place(self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]) -> None:
        """Draw a pose at one height."""
        x, y, z, yaw = self.pose_option(options, "goal") or self.sample_pose(rng, (0.025, 0.025))
        self.desired = goal_vector((x, y, z), yaw, self.symmetry)
        cell.place("taught", (x, y, z), about_z(yaw))


if __name__ == "__main__":
    env = gym.make("genba.envs:genba/TouchDown-v0", robot="so101")
    observation, _ = env.reset(seed=0)
    print("goal", observation["desired_goal"][:3])
