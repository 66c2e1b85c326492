"""The motions of a virtual Marlin: its planner, what waits before it, and where the last line told it to go.

A first motion waits for others, so that the planner has something to look ahead over; after a quick stop nothing is
taken for a second, and then the target is where the steppers stand.
"""

from .planner import PERIOD, Planner

BLOCKS = 15  # motions that its planner takes
CLEANING = 1.0  # s after a quick stop during which nothing is obeyed
PATIENCE = 0.1  # s for which a first motion waits for others
TOGETHER = 3  # motions for which it does not wait
# Per axis, by the command that sets them: steps/degree, top speed in degrees/s, acceleration in degrees/s^2.
SETTINGS = {92: 250.0, 203: 180.0, 201: 720.0}


class MarlinMotions:
    """The part of the controller that moves."""

    planner: Planner
    settings: dict[int, list[float]]
    attached: bool
    _origin: list[float]
    _target: list[float]
    _first: list[tuple[list[float], float]]
    _delay: float
    _cleaning: float

    def _where(self) -> list[float]:
        """Where it is, degrees as it counts them."""
        return [p - o for p, o in zip(self.planner.positions, self._origin, strict=True)]

    def _room(self) -> bool:
        return self.planner.lines + len(self._first) < BLOCKS

    def _idle(self) -> bool:
        return not self.planner.lines and not self._first and self._cleaning <= 0.0

    def _add(self, goal: list[float], speed: float) -> None:
        """Queue a motion, goal in degrees as it counts them."""
        self.attached = True
        if not self.planner.lines and not self._first:
            self._delay = PATIENCE
        self._first.append((goal, speed))
        self._deliver()

    def _deliver(self) -> None:
        if self._first and (self._delay <= 0.0 or self.planner.lines or len(self._first) >= TOGETHER):
            self.planner.limit(self.settings[203], self.settings[201])
            for goal, speed in self._first:
                self.planner.add([g + o for g, o in zip(goal, self._origin, strict=True)], speed)
            self._first.clear()

    def _let_pass(self) -> None:
        """A period of the planner has passed."""
        self._delay -= PERIOD
        self._deliver()
        if self._cleaning > 0.0:
            self._cleaning -= PERIOD
            if self._cleaning <= 0.0:
                self._target = self._where()
