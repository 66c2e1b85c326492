"""A curriculum: harder levels of a task as the learner gets better, easier ones when it falls behind.

Success-based, as in IndustReal: up a level when at least 80 % of the newest episodes succeeded, down when fewer than
half did. Its state is plain values and belongs into every checkpoint; a curriculum that starts anew after each
resumption is a known source of runs that nobody can repeat.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...robots.errors import RefusedError


@dataclass(slots=True, kw_only=True)
class Curriculum:
    """Where a learner stands among the levels of a task.

    Attributes:
        levels: Names, easiest first.
        goal: Place of the level that shall be mastered; harder ones are not asked for.
        at: Place of the present level.
        window: Episodes by which the present level is judged.
        up: Success rate from which the next level follows.
        down: Success rate below which the last one comes again.
        newest: Outcomes at the present level, oldest first, at most `window`.
    """

    levels: tuple[str, ...]
    goal: int
    at: int = 0
    window: int = 40
    up: float = 0.8
    down: float = 0.5
    newest: list[bool] = field(default_factory=list)

    @classmethod
    def to(cls, levels: Sequence[str], goal: str) -> "Curriculum":
        """From the easiest level to a wanted one.

        Args:
            levels: Names, easiest first.
            goal: The level to master.

        Raises:
            RefusedError: If the task has no levels or not this one.
        """
        if goal not in levels:
            known = ", ".join(levels) or "none, so it needs no curriculum"
            raise RefusedError(f"no level {goal!r} to lead to; levels of this task: {known}")
        return cls(levels=tuple(levels), goal=levels.index(goal))

    @property
    def level(self) -> str:
        """Name of the present level."""
        return self.levels[self.at]

    @property
    def finished(self) -> bool:
        """Whether the wanted level is reached and held."""
        rate = sum(self.newest) / len(self.newest) if self.newest else 0.0
        return self.at == self.goal and len(self.newest) >= self.window and rate >= self.up

    def record(self, outcomes: Iterable[bool]) -> None:
        """Take outcomes of episodes at the present level and move if they say so.

        Args:
            outcomes: Whether each episode succeeded, oldest first.
        """
        for outcome in outcomes:
            self.newest = [*self.newest, bool(outcome)][-self.window :]
        if len(self.newest) < self.window:
            return
        rate = sum(self.newest) / self.window
        if rate >= self.up and self.at < self.goal:
            self.at, self.newest = self.at + 1, []
        elif rate < self.down and self.at > 0:
            self.at, self.newest = self.at - 1, []

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {"levels": list(self.levels), "goal": self.goal, "at": self.at, "newest": list(self.newest)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on where a checkpoint was taken.

        Raises:
            RefusedError: If it belongs to other levels.
        """
        if tuple(state["levels"]) != self.levels or state["goal"] != self.goal:
            raise RefusedError(
                f"the checkpoint's curriculum leads through {', '.join(state['levels'])}, this one through "
                f"{', '.join(self.levels[: self.goal + 1])}; resume with the level it was begun with"
            )
        self.at, self.newest = int(state["at"]), [bool(v) for v in state["newest"]]
