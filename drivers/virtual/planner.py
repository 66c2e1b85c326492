"""What a controller's planner makes of motions: straight lines in joint space, with speed, acceleration and corners.

    rest -> accelerate -> top speed -> brake -> corner -> accelerate -> top speed -> brake -> rest

Each line is entered and left as fast as the corner between two of them allows, and never faster than the lines behind
it can be braked from. A hold brakes on the line and keeps what is left of it. Positions are in rad, or in whatever unit
the controller counts in throughout.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

PERIOD = 0.002  # s per integration step


@dataclass(slots=True)
class Line:
    """One motion, as the planner sees it.

    Attributes:
        goal: Joint positions at its end, rad.
        length: Way in joint space, rad.
        heading: Share of each joint in the way.
        speed: Speed asked for, as far as all joints allow it, rad/s.
        acceleration: The same, rad/s^2.
        exit_speed: Speed at its end, rad/s.
        mark: What the controller wants to know it by.
    """

    goal: tuple[float, ...]
    length: float
    heading: tuple[float, ...]
    speed: float
    acceleration: float
    mark: int
    exit_speed: float = 0.0


class Planner:
    """Joints that follow lines.

    Attributes:
        positions: Where they are, rad.
        speed: Speed on the present line, rad/s.
        holding: Whether it brakes, or stands, until it may go on.
        done: Mark of the last line that was finished.
    """

    def __init__(
        self,
        positions: Sequence[float],
        *,
        top_speeds: Sequence[float],
        accelerations: Sequence[float],
        corner_speed: float,
    ) -> None:
        """Stand.

        Args:
            positions: Where the joints are, rad.
            top_speeds: Limit of each joint, rad/s.
            accelerations: Limit of each joint, rad/s^2.
            corner_speed: Change of speed that every joint may make at once, rad/s; 0 stops at every corner.
        """
        self.positions = list(positions)
        self.speed = 0.0
        self.holding = False
        self.done = 0
        self._tops = tuple(top_speeds)
        self._accelerations = tuple(accelerations)
        self._corner = corner_speed
        self._lines: deque[Line] = deque()
        self._gone = 0.0  # rad of the present line
        self._start = tuple(self.positions)

    @property
    def lines(self) -> int:
        """How many lines are not finished."""
        return len(self._lines)

    @property
    def moving(self) -> bool:
        """Whether it moves, or will without being told anything else."""
        return self.speed > 0.0 or (bool(self._lines) and not self.holding)

    @property
    def end(self) -> tuple[float, ...]:
        """Where it will stand when all lines are finished, rad."""
        return self._lines[-1].goal if self._lines else tuple(self.positions)

    def limit(
        self, top_speeds: Sequence[float], accelerations: Sequence[float], corner_speed: float | None = None
    ) -> None:
        """Set the limits of lines that are queued from now on.

        Args:
            top_speeds: Of each joint, rad/s.
            accelerations: Of each joint, rad/s^2.
            corner_speed: Change of speed that every joint may make at once, rad/s; as before if not given.
        """
        self._tops, self._accelerations = tuple(top_speeds), tuple(accelerations)
        self._corner = self._corner if corner_speed is None else corner_speed

    def add(self, goal: Sequence[float], speed: float, *, mark: int = 0, share: float = 1.0) -> None:
        """Queue a line.

        Args:
            goal: Joint positions at its end, rad.
            speed: Speed in joint space, rad/s; infinite for as fast as possible.
            mark: What the line is known by once it is done.
            share: Share of the top speeds that it may use.
        """
        start = self.end
        length = math.dist(start, goal)
        heading = tuple((g - s) / length if length else 0.0 for s, g in zip(start, goal, strict=True))
        shares = [abs(h) for h in heading]
        top = min((t * share / h for t, h in zip(self._tops, shares, strict=True) if h), default=1.0)
        push = min((a / h for a, h in zip(self._accelerations, shares, strict=True) if h), default=1.0)
        self._lines.append(Line(tuple(goal), length, heading, min(speed, top), push, mark))
        self._plan()

    def _plan(self) -> None:
        """Set the speeds at all corners, from the last one, where it stands, to the first."""
        after: Line | None = None
        for line in reversed(self._lines):
            line.exit_speed = 0.0
            if after is not None:
                turn = max(abs(a - b) for a, b in zip(line.heading, after.heading, strict=True))
                braked = math.sqrt(after.exit_speed**2 + 2.0 * after.acceleration * after.length)
                corner = self._corner / turn if turn > 1e-9 else math.inf
                line.exit_speed = min(line.speed, after.speed, braked, corner if self._corner else 0.0)
            after = line

    def hold(self) -> None:
        """Brake on the line."""
        self.holding = True

    def go_on(self) -> None:
        """Accelerate again."""
        self.holding = False

    def drop(self) -> None:
        """Forget all lines where it is; what moves stops dead."""
        self._lines.clear()
        self._begin()
        self.speed = 0.0
        self.holding = False

    def place(self, positions: Sequence[float]) -> None:
        """Put the joints somewhere, as a hand does, or a homing cycle that renumbers them."""
        self._lines.clear()
        self.positions[:] = positions
        self._begin()
        self.speed = 0.0

    def _begin(self) -> None:
        self._start = tuple(self.positions)
        self._gone = 0.0

    def step(self) -> None:
        """Let one `PERIOD` pass."""
        if not self._lines:
            return
        line = self._lines[0]
        if self.holding:
            self.speed = max(self.speed - line.acceleration * PERIOD, 0.0)
        else:
            left = max(line.length - self._gone, 0.0)
            brake = math.sqrt(line.exit_speed**2 + 2.0 * line.acceleration * left)
            floor = line.acceleration * PERIOD  # without it the last bit of the way would take for ever
            self.speed = max(min(self.speed + floor, line.speed, brake), min(floor, line.speed))
        self._gone += self.speed * PERIOD
        if self._gone >= line.length and not (self.holding and self.speed == 0.0 and line.length):
            self._lines.popleft()
            self.positions[:] = line.goal
            self.done = line.mark
            self._begin()
            self.speed = min(self.speed, line.exit_speed) if self._lines else 0.0
            return
        for k, (start, share) in enumerate(zip(self._start, line.heading, strict=True)):
            self.positions[k] = start + share * self._gone
