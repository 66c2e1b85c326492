"""What a virtual GRBL 1.1 makes of whole lines: blocks of G-code, jogs, settings and the answer to each.

A line is read only while nothing keeps the firmware from it: a hold, a homing cycle, a dwell, or a full planner.
"""

import math
from collections import deque

from .gcode import OVERFLOW, Intake, words
from .planner import Planner

OK = b"ok\r\n"
BLOCKS = 15  # lines that its planner takes
GROUPS = ((0, 1), (4,), (17, 18, 19), (20, 21), (54,), (90, 91), (93, 94))


class GrblLines:
    """The part of the controller that reads lines."""

    planner: Planner
    settings: dict[int, float]
    axes: str
    spindle: float
    _state: str
    _origin: list[float]
    _intake: Intake
    _say: deque[bytes]
    _modal: dict[str, float]
    _feed: float
    _dwell: float
    _violated: bool
    _pending: str | None

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

    def _critical(self) -> None:
        self.planner.drop()
        self._violated = False
        self._pending = None
        self._state = "Critical"
        self._say.extend((b"ALARM:2\r\n", b"[MSG:Reset to continue]\r\n"))
