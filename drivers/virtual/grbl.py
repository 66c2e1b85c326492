"""A virtual GRBL 1.1 that drives an arm: every line answered as the firmware answers it, degrees where it says mm.

Power-on with homing enabled, and every reset in the midst of a motion, end in an alarm that only `$X` or `$H` unlocks.
G0 and G1 beyond the soft limits raise alarm 2, after which nothing but a reset is heard; a jog there is refused by
error 15. While it holds, homes or waits for room in its planner, no line is read.
"""

import math
from collections import deque
from collections.abc import Iterable

from .gcode import OVERFLOW, Intake, words
from .planner import PERIOD, Planner

BANNER = b"\r\nGrbl 1.1h ['$' for help]\r\n"
LOCKED = b"[MSG:'$H'|'$X' to unlock]\r\n"
OK = b"ok\r\n"
BLOCKS = 15  # lines that its planner takes
RESET, JOG_CANCEL = 0x18, 0x85
GROUPS = ((0, 1), (4,), (17, 18, 19), (20, 21), (54,), (90, 91), (93, 94))
SETTINGS = {
    **{0: 10.0, 1: 25.0, 2: 0.0, 3: 0.0, 4: 0.0, 5: 0.0, 6: 0.0, 10: 1.0, 11: 0.01, 12: 0.002, 13: 0.0},
    **{20: 0.0, 21: 0.0, 22: 0.0, 23: 0.0, 24: 25.0, 25: 500.0, 26: 250.0, 27: 1.0, 30: 1000.0, 31: 0.0, 32: 0.0},
}
PER_AXIS = {100: 250.0, 110: 10_800.0, 120: 720.0, 130: 200.0}  # steps/degree, degrees/min, degrees/s^2, degrees


class VirtualGrbl:
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

    def _critical(self) -> None:
        self.planner.drop()
        self._violated = False
        self._pending = None
        self._state = "Critical"
        self._say.extend((b"ALARM:2\r\n", b"[MSG:Reset to continue]\r\n"))

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

    # ---- lines

    def _work(self) -> None:
        """Read lines, as long as nothing keeps it from that."""
        while self._state in {"Idle", "Run", "Jog", "Alarm", "Sleep"} and not self._violated and self._dwell <= 0.0:
            line = self._pending
            self._pending = None
            if line is None:
                line = self._intake.line()
            if line is None:
                return
            if self._must_wait(line):
                self._pending = line
                return
            answer = self._system(line) if line.startswith("$") else self._block(line)
            if answer is not None:
                self._say.append(OK if answer == 0 else f"error:{answer}\r\n".encode("ascii"))

    def _must_wait(self, line: str) -> bool:
        if self.planner.lines >= BLOCKS:
            return line.startswith("$J=") or not line.startswith("$")
        return "G4" in line and bool(self.planner.lines)

    def _system(self, line: str) -> int | None:
        if self._state == "Sleep":
            return 9
        if line.startswith("$J"):
            return self._jog(line)
        if line == "$":
            self._say.append(b"[HLP:$$ $# $G $I $N $x=val $Nx=line $J=line $SLP $C $X $H ~ ! ? ctrl-x]\r\n")
            return 0
        if line == "$G":
            modes = " ".join(f"G{self._modal[k]:.0f}" for k in ("motion", "units", "distance", "feed"))
            self._say.append(f"[GC:{modes} G54 G17 M5 M9 T0 F{self._feed:.0f} S{self.spindle:.0f}]\r\n".encode())
            return 0
        if self._state not in {"Idle", "Alarm"}:
            return 8
        if line == "$X":
            if self._state == "Alarm":
                self._state = "Idle"
                self._say.append(b"[MSG:Caution: Unlocked]\r\n")
            return 0
        if line == "$H":
            return self._home()
        if line == "$SLP":
            self._state = "Sleep"
            self._say.append(b"[MSG:Sleeping]\r\n")
            return 0
        if line == "$I":
            self._say.extend((b"[VER:1.1h.20190825:]\r\n", f"[OPT:V,{BLOCKS},128]\r\n".encode()))
            return 0
        if line == "$$":
            for number, value in sorted(self.settings.items()):
                text = f"{value:.3f}" if number in {11, 12, 24, 25, 27} or number >= 100 else f"{value:.0f}"
                self._say.append(f"${number}={text}\r\n".encode())
            return 0
        return self._set(line)

    def _set(self, line: str) -> int:
        name, equals, value = line[1:].partition("=")
        if not (equals and name.isdigit() and int(name) in self.settings):
            return 3
        parsed = words("X" + value)
        if isinstance(parsed, int) or len(parsed) != 1:
            return 2
        if parsed[0][1] < 0.0:
            return 4
        if int(name) == 20 and parsed[0][1] and not self.settings[22]:
            return 10
        self.settings[int(name)] = parsed[0][1]
        return 0

    def _home(self) -> int | None:
        if not self.settings[22]:
            return 5
        self._limits()
        self._state = "Home"
        self.planner.add([-self.settings[27]] * len(self.axes), self.settings[25] / 60.0)
        return None

    def _jog(self, line: str) -> int:
        if self._state not in {"Idle", "Jog"}:
            return 8
        if not line.startswith("$J="):
            return 16
        parsed = words(line[3:])
        if isinstance(parsed, int):
            return parsed
        if any(w not in {("G", 20.0), ("G", 21.0), ("G", 90.0), ("G", 91.0)} for w in parsed if w[0] in "GMST"):
            return 16
        values = {letter: value for letter, value in parsed if letter != "G"}
        modes = [value for letter, value in parsed if letter == "G"]
        if not values.get("F"):
            return 22
        if not values.keys() & set(self.axes):
            return 26
        scale = 25.4 if 20.0 in modes else 1.0
        goal = self._goal(values, scale=scale, relative=91.0 in modes)
        if self._outside(goal):
            return 15
        self._limits()
        self.planner.add(goal, values["F"] * scale / 60.0)
        self._state = "Jog" if self.planner.lines else "Idle"
        return 0

    def _block(self, line: str) -> int | None:
        if line == OVERFLOW:
            return 11
        if not line:
            return 0
        if self._state not in {"Idle", "Run"}:
            return 9
        parsed = words(line)
        if isinstance(parsed, int):
            return parsed
        commands = [value for letter, value in parsed if letter == "G"]
        if any(c not in {g for group in GROUPS for g in group} for c in commands):
            return 20
        if any(sum(c in group for c in commands) > 1 for group in GROUPS):
            return 21
        letters = [letter for letter, _ in parsed if letter not in "GM"]
        if any(m not in {3.0, 4.0, 5.0} for letter, m in parsed if letter == "M"):
            return 20
        if len(set(letters)) < len(letters):
            return 25
        if any(letter not in f"{self.axes}FSNTP" for letter in letters):
            return 20
        return self._run(commands, dict(parsed), parsed)

    def _run(self, commands: list[float], values: dict[str, float], parsed: list[tuple[str, float]]) -> int | None:
        modal = dict(self._modal)
        for command in commands:
            for name, group in (("motion", (0, 1)), ("distance", (90, 91)), ("feed", (93, 94)), ("units", (20, 21))):
                if command in group:
                    modal[name] = command
        scale = 25.4 if modal["units"] == 20.0 else 1.0
        moves = bool(values.keys() & set(self.axes))
        feed = values.get("F", self._feed / scale if modal["feed"] == 94.0 else 0.0)
        if moves and modal["motion"] == 1.0 and not feed:
            return 22
        if 4.0 in commands and "P" not in values:
            return 28
        self._modal = modal
        self._feed = feed * scale if modal["feed"] == 94.0 else 0.0
        spindle = [m for letter, m in parsed if letter == "M"]
        if spindle:
            self.spindle = 0.0 if spindle[-1] == 5.0 else values.get("S", self.spindle)
        if 4.0 in commands:
            self._dwell = values["P"]
        if not moves:
            return 0
        goal = self._goal(values, scale=scale, relative=modal["distance"] == 91.0)
        if self._outside(goal):
            self._violated = True
            self.planner.hold()
            if not self.planner.speed:
                self._critical()
            return None
        self._limits()
        speed = math.inf if modal["motion"] == 0.0 else feed * scale / 60.0
        if modal["motion"] == 1.0 and modal["feed"] == 93.0:
            speed = math.dist(goal, self.planner.end) * feed / 60.0
        self.planner.add(goal, speed)
        self._state = "Run"
        return 0

    def _goal(self, values: dict[str, float], *, scale: float, relative: bool) -> list[float]:
        goal = list(self.planner.end)
        for k, letter in enumerate(self.axes):
            if letter in values:
                goal[k] = values[letter] * scale + (goal[k] if relative else self._origin[k])
        return goal

    def _outside(self, goal: list[float]) -> bool:
        """Machine space lies between minus the travel and zero, as GRBL has it."""
        if not self.settings[20]:
            return False
        ends = zip(goal, self._origin, strict=True)
        return any(not -self.settings[130 + k] <= g - o <= 0.0 for k, (g, o) in enumerate(ends))

    def _limits(self) -> None:
        count = range(len(self.axes))
        self.planner.limit([self.settings[110 + k] / 60.0 for k in count], [self.settings[120 + k] for k in count])


CONTROLLER = VirtualGrbl
