"""A virtual GRBL 1.1 that drives an arm: every line answered as the firmware answers it, degrees where it says mm.

Power-on with homing enabled, and every reset in the midst of a motion, end in an alarm that only `$X` or `$H` unlocks.
G0 and G1 beyond the soft limits raise alarm 2, after which nothing but a reset is heard; a jog there is refused by
error 15. While it holds, homes or waits for room in its planner, no line is read.
"""

import math
from collections import deque
from collections.abc import Iterable

from .gcode import Intake
from .grbl_lines import BLOCKS, OK, GrblLines
from .planner import PERIOD, Planner

BANNER = b"\r\nGrbl 1.1h ['$' for help]\r\n"
LOCKED = b"[MSG:'$H'|'$X' to unlock]\r\n"
RESET, JOG_CANCEL = 0x18, 0x85
SETTINGS = {
    **{0: 10.0, 1: 25.0, 2: 0.0, 3: 0.0, 4: 0.0, 5: 0.0, 6: 0.0, 10: 1.0, 11: 0.01, 12: 0.002, 13: 0.0},
    **{20: 0.0, 21: 0.0, 22: 0.0, 23: 0.0, 24: 25.0, 25: 500.0, 26: 250.0, 27: 1.0, 30: 1000.0, 31: 0.0, 32: 0.0},
}
PER_AXIS = {100: 250.0, 110: 10_800.0, 120: 720.0, 130: 200.0}  # steps/degree, degrees/min, degrees/s^2, degrees


class VirtualGrbl(GrblLines):
    """The inside of the controller.

    Attributes:
        planner: Its joints, in degrees that are counted as rad inside the planner only.
        settings: What `$$` prints.
        spindle: What the spindle output turns at; on an arm the gripper or the pump hangs there.
    """

    name = "grbl"
    baud_rate = 115_200

    def __init__(self, axes: int = 3, *, soft_limits: bool = False, homing: bool = False) -> None:
        """Build it.

        Args:
            axes: Joints, at most six.
            soft_limits: Whether targets outside the travel are refused.
            homing: Whether it must be homed or unlocked after power-on.
        """
        self.settings = dict(SETTINGS)
        for first, value in PER_AXIS.items():
            self.settings |= {first + k: value for k in range(axes)}
        self.settings[20] = float(soft_limits)
        self.settings[22] = float(homing)
        self.axes = "XYZABC"[:axes]
        self.planner = Planner([0.0] * axes, top_speeds=[1.0] * axes, accelerations=[1.0] * axes, corner_speed=0.0)
        self.spindle = 0.0
        self._origin = [0.0] * axes
        self._intake = Intake()
        self._say: deque[bytes] = deque()
        self.power_on()
        self._say.clear()

    @property
    def joints(self) -> tuple[float, ...]:
        """Where its joints are, rad."""
        return tuple(math.radians(angle) for angle in self.planner.positions)

    @property
    def gripper(self) -> bool:
        """Whether what hangs at the spindle output is closed."""
        return self.spindle > 0.0

    # ---- Controller

    def power_on(self) -> list[bytes]:
        """Start; the joints stand where they stood, and that is called zero."""
        self.planner.drop()
        self._origin = list(self.planner.positions)
        self._state = "Alarm" if self.settings[22] else "Idle"
        self._begin()
        return self._said()

    def hear(self, data: bytes) -> list[bytes]:
        """Take bytes and return messages."""
        for byte in data:
            if byte == ord("?"):
                if self._state not in {"Home", "Critical"}:
                    self._say.append(self._report())
            elif byte in {ord("!"), JOG_CANCEL}:
                self._hold(jog_only=byte == JOG_CANCEL)
            elif byte == ord("~"):
                self._go_on()
            elif byte == RESET:
                self._reset()
            elif byte < 0x80:
                self._intake.put(byte)
        self._work()
        return self._said()

    def passed(self) -> list[bytes]:
        """A period of the planner has passed."""
        planner = self.planner
        if self._dwell > 0.0 and not planner.moving:
            self._dwell -= PERIOD
        if planner.holding and planner.speed == 0.0:
            if self._violated:
                self._critical()
            elif self._state == "Jog":
                planner.drop()
        if self._state in {"Run", "Jog"} and not planner.lines:
            self._state = "Idle"
        elif self._state == "Home" and not planner.lines:
            self._origin = [0.0] * len(self.axes)
            self._state = "Idle"
            self._say.append(OK)
        self._work()
        return self._said()

    def _said(self) -> list[bytes]:
        said = list(self._say)
        self._say.clear()
        return said

    # ---- one-byte commands

    def _hold(self, *, jog_only: bool) -> None:
        if self._state == "Jog" or (self._state == "Run" and not jog_only):
            self.planner.hold()
        if self._state in {"Run", "Idle"} and not jog_only:
            self._state = "Hold"

    def _go_on(self) -> None:
        if self._state == "Hold" and self.planner.speed == 0.0:
            self.planner.go_on()
            self._state = "Run" if self.planner.lines else "Idle"

    def _reset(self) -> None:
        if self.planner.speed > 0.0 and self._state != "Critical":
            self._say.append(b"ALARM:6\r\n" if self._state == "Home" else b"ALARM:3\r\n")
            self._state = "Alarm"
        elif self._state in {"Critical", "Sleep"}:
            self._state = "Alarm"
        elif self._state != "Alarm":
            self._state = "Idle"
        self.planner.drop()
        self._begin()

    def _begin(self) -> None:
        self._intake.clear()
        self._modal = {"motion": 0.0, "distance": 90.0, "feed": 94.0, "units": 21.0}
        self._feed = 0.0
        self._dwell = 0.0
        self._violated = False
        self._pending: str | None = None
        self._until_wco = self._until_overrides = 0
        self.spindle = 0.0
        self._say.append(BANNER)
        if self._state == "Alarm":
            self._say.append(LOCKED)

    def _report(self) -> bytes:
        planner = self.planner
        state = self._state
        if state == "Hold":
            state = "Hold:1" if planner.speed else "Hold:0"
        fields = [state, "MPos:" + self._numbers(p - o for p, o in zip(planner.positions, self._origin, strict=True))]
        if int(self.settings[10]) & 2:
            fields.append(f"Bf:{BLOCKS - planner.lines},{self._intake.free}")
        fields.append(f"FS:{planner.speed * 60.0:.0f},{self.spindle:.0f}")
        busy = self._state in {"Run", "Jog", "Hold"}
        if self._until_wco > 0:
            self._until_wco -= 1
        else:
            self._until_wco = 29 if busy else 9
            self._until_overrides = max(self._until_overrides, 1)
            fields.append("WCO:" + self._numbers([0.0] * len(self.axes)))
        if self._until_overrides > 0:
            self._until_overrides -= 1
        else:
            self._until_overrides = 19 if busy else 9
            fields.append("Ov:100,100,100")
        return f"<{'|'.join(fields)}>\r\n".encode("ascii")

    @staticmethod
    def _numbers(values: Iterable[float]) -> str:
        return ",".join(f"{value:.3f}".replace("-0.000", "0.000") for value in values)


CONTROLLER = VirtualGrbl
