"""Jog by keys: the arm moves while a key is held and stops when it is not.

    1..9 joint   left/right turn it | w s  a d  r f  tool +-x +-y +-z | o c  gripper | + -  speed | space stop | q quit

A terminal tells no release, so each press or repeat drives the arm for `HOLD_S` and no longer: whoever lets go, falls
asleep or loses the connection leaves an arm that stands.
"""

from collections.abc import Callable

from .guide import MIN_SPEED, Guide
from .keys import Keys

HOLD_S = 0.3  # s for which one press or repeat of a key moves the arm
FASTER = 1.25  # per press of + or -
TOOL = {
    "w": (1.0, 0.0, 0.0), "s": (-1.0, 0.0, 0.0),
    "a": (0.0, 1.0, 0.0), "d": (0.0, -1.0, 0.0),
    "r": (0.0, 0.0, 1.0), "f": (0.0, 0.0, -1.0),
}  # fmt: skip
HELP = "1-9 joint, arrows turn it | w s a d r f tool x y z | o c gripper | + - speed | space stop | q quit"


class Jogger:
    """What the keys have asked for, tick by tick."""

    def __init__(self, guide: Guide) -> None:
        """Choose the first joint and stand still.

        Args:
            guide: Moves the arm.
        """
        self._guide = guide
        self._held = ""
        self._since_held = 0.0
        self.joint = 0
        self.done = False

    @property
    def moving(self) -> str:
        """The key that moves the arm now; empty while it is to stand."""
        return self._held

    def tick(self, keys: list[str]) -> None:
        """Take the keys that came since the last tick and do one tick.

        Args:
            keys: Names as `keys.names` gives them.
        """
        guide = self._guide
        self._since_held += guide.dt
        for key in keys:
            self._press(key)
        if self._since_held > HOLD_S:
            self._held = ""
        if self._held in TOOL:
            # Farther than one tick can go: `drift` cuts it to the speed limit.
            guide.drift(TOOL[self._held])
            return
        target = list(guide.target)
        k, sign = {"right": (self.joint, 1), "left": (self.joint, -1), "o": (-1, 1), "c": (-1, -1)}.get(
            self._held, (0, 0)
        )
        low, high = guide.ranges[k]
        if k == -1 and guide.robot.gripper.open < guide.robot.gripper.closed:
            sign = -sign
        if sign:
            target[k] = high if sign > 0 else low  # the envelope cuts it to the speed limit
        guide.toward(target)

    def _press(self, key: str) -> None:
        guide = self._guide
        if key in ("q", "escape"):
            self.done = True
        elif key == "space":
            self._held = ""
        elif key in ("+", "="):
            guide.set_speed(min(guide.speed * FASTER, 1.0))
        elif key == "-":
            guide.set_speed(max(guide.speed / FASTER, MIN_SPEED))
        elif key.isdigit() and 0 < int(key) <= len(guide.ranges):
            self.joint, self._held = int(key) - 1, ""
        elif key in TOOL or key in ("left", "right", "o", "c"):
            self._held, self._since_held = key, 0.0

    def line(self) -> str:
        """How things stand, one line."""
        guide = self._guide
        x, y, z = guide.kinematics.forward(guide.measured[:-1]).position
        name = guide.robot.actuator_names[self.joint]
        unit = guide.robot.gripper_unit if self.joint == len(guide.robot.joints) else "rad"
        return (
            f"{name} {guide.measured[self.joint]:+.3f} {unit} | tool {x:+.3f} {y:+.3f} {z:+.3f} m | "
            f"speed {guide.speed:.0%} | {self._held or 'stands'}"
        )


def jog(guide: Guide, keys: Keys, show: Callable[[str], None]) -> None:
    """Jog until somebody quits.

    Args:
        guide: Moves the arm.
        keys: Gives the keys pressed since the last call.
        show: Takes a line that replaces the last one.
    """
    jogger = Jogger(guide)
    while not jogger.done:
        jogger.tick(keys())
        show(jogger.line())
