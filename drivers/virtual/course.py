"""A planner of joints whose tool can also be taken along straight lines, one after the other without a stop.

Lines of joints and lines of the tool do not mix: the controller begins the one when the other is finished. Joints
beyond the third stay while the tool goes straight.
"""

from collections.abc import Callable, Sequence

from ..protocols._dobot_arm import Pose
from .planner import Planner


class Course(Planner):
    """A `Planner` of joints, and one of the tool's point."""

    def __init__(
        self,
        positions: Sequence[float],
        tip: Callable[[Sequence[float]], Pose],
        reach: Callable[[float, float, float, float], Pose | None],
        *,
        top_speeds: Sequence[float],
        accelerations: Sequence[float],
    ) -> None:
        """Stand.

        Args:
            positions: Where the joints are, rad.
            tip: Tells x, y, z in m and the turn in rad at joint positions.
            reach: Tells joint positions at x, y, z and turn; None out of reach.
            top_speeds: Limit of each joint, rad/s.
            accelerations: Limit of each joint, rad/s^2.
        """
        super().__init__(positions, top_speeds=top_speeds, accelerations=accelerations, corner_speed=0.0)
        self._tip, self._reach = tip, reach
        self._tool = Planner(tip(positions)[:3], top_speeds=[1.0] * 3, accelerations=[1.0] * 3, corner_speed=0.0)

    @property
    def lines(self) -> int:
        """How many lines are not finished, of either kind."""
        return super().lines + self._tool.lines

    @property
    def moving(self) -> bool:
        """Whether it moves, or will without being told anything else."""
        return super().moving or self._tool.moving

    @property
    def tool_end(self) -> tuple[float, float, float]:
        """Where the tool will stand when all lines are finished, m."""
        x, y, z = self._tool.end if self._tool.lines else self._tip(self.end)[:3]
        return x, y, z

    def line_to(
        self, point: Sequence[float], speed: float, *, acceleration: float, corner_speed: float, mark: int = 0
    ) -> None:
        """Queue a straight line of the tool.

        Args:
            point: x, y, z at its end, m.
            speed: m/s.
            acceleration: m/s^2.
            corner_speed: Change of speed along every axis that may be made at once between two lines, m/s.
            mark: What the line is known by once it is done.
        """
        if not self._tool.lines:
            self._tool.place(self._tip(self.positions)[:3])
        self._tool.limit([speed] * 3, [acceleration] * 3, corner_speed)
        self._tool.add(point, speed, mark=mark)

    def hold(self) -> None:
        """Brake on the line."""
        super().hold()
        self._tool.hold()

    def go_on(self) -> None:
        """Accelerate again."""
        super().go_on()
        self._tool.go_on()

    def drop(self) -> None:
        """Forget all lines where it is; what moves stops dead."""
        super().drop()
        self._tool.drop()

    def place(self, positions: Sequence[float]) -> None:
        """Put the joints somewhere."""
        super().place(positions)
        self._tool.drop()

    def step(self) -> None:
        """Let one `PERIOD` pass; where a line leaves the reach, stop dead."""
        if not self._tool.lines:
            super().step()
            return
        self._tool.step()
        x, y, z = self._tool.positions
        joints = self._reach(x, y, z, 0.0)
        if joints is None:
            self.drop()
            return
        self.positions[:3] = joints[:3]
        self._begin()
        self.speed = self._tool.speed
        if self._tool.done:
            self.done, self._tool.done = self._tool.done, 0
