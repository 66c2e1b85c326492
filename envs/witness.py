"""The witness: what is true of the cell at this tick, worked out once, however many ask.

It stands first among a station's senses, because tasks must note what a tick has done before anything is sensed of it.
"""

from collections.abc import Callable, Mapping

from ..robots.kinematics import Kinematics
from ..robots.pose import Pose
from ..robots.state import Vector
from .arm.sim_arm import SimArm
from .cell import Cell
from .task import Task, TrueTool


class Witness:
    """Sees every tick of one task in one cell; senses nothing itself."""

    name = "witness"
    fields: tuple[str, ...] = ()
    tool: TrueTool

    def __init__(
        self, task: Task, cell: Cell, arm: SimArm, kinematics: Kinematics, measured: Callable[[], Pose]
    ) -> None:
        """Take what is looked at.

        Args:
            task: Told of every tick.
            cell: Where it happens.
            arm: Gives true joint positions.
            kinematics: Chain of the arm.
            measured: TCP pose by the encoders, now.
        """
        self._task = task
        self._cell = cell
        self._arm = arm
        self._kinematics = kinematics
        self._measured = measured
        self._sensed: dict[str, Vector] | None = None

    def read(self) -> Mapping[str, Vector]:
        """Let the task see what the tick has done."""
        self.tool = TrueTool(self._kinematics, self._arm.true_positions, self._measured())
        self._task.watch(self._cell, self.tool)
        self._sensed = None
        return {}

    def sensed(self) -> dict[str, Vector]:
        """True values of what is sensed and told."""
        if self._sensed is None:
            self._sensed = self._task.sensed(self._cell)
        return self._sensed

    def achieved(self) -> Vector:
        """What the task has achieved, in the terms of its success."""
        return self._task.achieved(self._cell, self.tool)
