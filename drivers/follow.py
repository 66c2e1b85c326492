"""Whether the joints of an armed arm follow their goals: one that stays behind is held, or its motor is limp."""

from collections.abc import Sequence

from ..robots.description import RobotDescription
from ..robots.errors import SafetyError
from .calibration import TWO_PI, Calibration
from .watch import JointWatch

FOLLOW_ERROR = 0.15  # rad between goal and measurement beyond which a joint does not follow,
FOLLOW_SHARE = 0.9  # or this share of its look-ahead where that is less: gravity alone takes at most half of it
FOLLOW_TIME = 0.3  # s for which it may last
FOLLOW_SPEED = 0.05  # rad/s toward the goal from which a joint counts as on its way


class Following:
    """Since when each joint has been far behind its goal without coming closer.

    The gripper is left out: it stays behind its goal whenever it holds a part, under a torque limit of its own.
    """

    def __init__(self, robot: RobotDescription, calibration: Calibration, look_ahead: Sequence[int]) -> None:
        """Nobody is behind.

        Args:
            robot: Gives ids and names.
            calibration: Of this unit.
            look_ahead: How far a goal may be from the measured position, ticks, per actuator.
        """
        self._ids, self._names, self._rows = robot.actuator_ids, robot.actuator_names, calibration.actuators
        self._limits = [
            int(min(FOLLOW_ERROR * row.ticks_per_turn / TWO_PI, FOLLOW_SHARE * reach))
            for row, reach in zip(self._rows[:-1], look_ahead, strict=False)
        ]
        self.forget()

    def forget(self) -> None:
        """Nobody is behind, as when goals have just been put where the joints are."""
        self._since: list[float | None] = [None] * len(self._limits)

    def check(self, goals: Sequence[int], watch: JointWatch, now: float) -> None:
        """Look at every joint once.

        Args:
            goals: Goals as sent, ticks, per actuator.
            watch: What the joints said last.
            now: Time, s.

        Raises:
            SafetyError: If one has been behind for too long.
        """
        for k, limit in enumerate(self._limits):
            lag = goals[k] - watch.ticks[k]
            toward = watch.velocities[k] * self._rows[k].sign * (1 if lag > 0 else -1)
            if abs(lag) < limit or toward > FOLLOW_SPEED or watch.misses[k]:
                self._since[k] = None
                continue
            since = self._since[k]
            if since is None:
                self._since[k] = now
            elif now - since >= FOLLOW_TIME:
                error = abs(lag) * TWO_PI / self._rows[k].ticks_per_turn
                raise SafetyError(
                    f"{self._names[k]} (id {self._ids[k]}) has been {error:.2f} rad behind its goal for "
                    f"{now - since:.1f} s: free what holds it, or look for a servo without power"
                )
