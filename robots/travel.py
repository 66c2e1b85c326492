"""Fingers that are only switched open or shut and tell nothing: where they are is what their travel time says.

Simulation, virtual controllers and the bench ask this one model, so a policy sees the same on all of them: the fingers
seem to go all the way however thick the part between them is. That it is held, it must learn from the part.
"""

from .description import Gripper


class Travel:
    """Fingers between their ends, by the time since they were switched.

    Attributes:
        shut: What they were told last.
        position: Where they are believed to be, rad or m.
    """

    __slots__ = ("_middle", "_speed", "closed", "open", "position", "shut")

    def __init__(self, gripper: Gripper) -> None:
        """Stand open.

        Args:
            gripper: Whose `travel_time` is above 0.
        """
        self.closed, self.open = gripper.closed, gripper.open
        self._middle = 0.5 * (gripper.closed + gripper.open)
        self._speed = abs(gripper.open - gripper.closed) / gripper.travel_time
        self.shut = False
        self.position = gripper.open

    def wants_shut(self, goal: float) -> bool:
        """Whether a goal means shut: anything nearer to that end.

        Args:
            goal: Of the gripper's joint, rad or m.
        """
        return (goal < self._middle) == (self.closed < self.open)

    def place(self, position: float) -> None:
        """Put the fingers somewhere, at rest; from there they go to the nearer end."""
        self.position = position
        self.shut = self.wants_shut(position)

    def switch(self, *, shut: bool) -> None:
        """Tell the fingers to go to an end."""
        self.shut = shut

    def pass_time(self, dt: float) -> float:
        """Let `dt` seconds pass and return where they are believed to be then, rad or m."""
        end, way = (self.closed if self.shut else self.open), self._speed * dt
        gap = end - self.position
        self.position = end if abs(gap) <= way else self.position + (way if gap > 0.0 else -way)
        return self.position
