"""What a virtual Marlin makes of whole lines: numbers and checksums, G-code, and what each line prints before its `ok`.

A command that takes time is a generator: it yields as long as the firmware would wait inside its handler.
"""

import math
import re
from collections import deque
from collections.abc import Generator, Iterator, Sequence

from ..protocols.marlin import LINEAR, checksum
from .marlin_motions import MarlinMotions
from .planner import PERIOD

OK = b"ok\n"
LOWEST, HIGHEST = -180.0, 180.0  # degrees: travel of every axis, which homing finds the lower end of
HOMING_SPEED = 50.0  # degrees/s
REPORTED = ((92, "Steps per unit"), (203, "Max feedrates (units/s)"), (201, "Max Acceleration (units/s2)"))
_WORD = re.compile(r" *([A-Z]) *([-+]?(?:\d+\.?\d*|\.\d+))?")


class MarlinLines(MarlinMotions):
    """The part of the controller that reads lines."""

    STOPPED = (
        b"Error:Printer stopped due to errors. Fix the error and use M999 to restart. "
        b"(Temperature is reset. Set it after restarting)\n"
    )

    axes: str
    realtime: bool
    pump: bool
    gripper: bool
    homed: bool
    _say: deque[bytes]
    _ring: deque[int]
    _queue: deque[str]
    _number: int
    _killed: bool
    _stopped: bool
    _relative: bool
    _soft_limits: bool
    _feed: float
    _inactive: float
    _rest: float

    def _tell(self, text: str) -> None:
        self._say.append(f"{text}\n".encode("latin-1"))

    def _kill(self, cause: str) -> None:
        self.planner.drop()
        self._killed, self.attached = True, False
        self._tell(f"echo:{cause}")
        self._tell("Error:Printer halted. kill() called!")

    # ---- what happens to a line before it is queued

    def _take(self, line: str) -> None:
        """Queue a line, or ask for it once more."""
        if line.startswith("N"):
            found = re.match(r"N *(-?\d+)", line)
            number = int(found[1]) if found else 0
            renumbers = "M110" in line
            if renumbers and (again := re.search(r"N *(-?\d+)", line[5:])):
                number = int(again[1])
            if number != self._number + 1 and not renumbers:
                return self._again("Line Number is not Last Line Number+1")
            text, star, told = line.rpartition("*")
            if not star:
                return self._again("No Checksum with line number")
            sum_ = checksum(text) if text.isascii() else -1
            if re.match(r" *(\d*)", told)[1] != str(sum_):  # type: ignore[index]
                return self._again("checksum mismatch")
            self._number = number
        if self._stopped and re.search(r"G0*[01](?!\d)", line):
            self._say.append(self.STOPPED)
        self._queue.append(line)
        return None

    def _again(self, complaint: str) -> None:
        self._tell(f"Error:{complaint}, Last Line: {self._number}")
        self._resend()

    def _resend(self) -> None:
        self._ring.clear()
        self._tell(f"Resend: {self._number + 1}")
        self._say.append(OK)

    # ---- what a queued line does

    def _obeyed(self, line: str) -> Iterator[None]:
        text = re.sub(r"^N-?\d+ *", "", line).partition("*")[0].rstrip(" ")
        found = re.match(r"([GM]) *(\d+)(?:\.\d+)?", text)
        if found is None:
            self._tell(f'echo:Unknown command: "{text}"')
        else:
            code, rest = int(found[2]), text[found.end() :].strip(" ")
            words = {name: float(value or "nan") for name, value in _WORD.findall(rest)}
            known = yield from (self._motion(code, words) if found[1] == "G" else self._setting(code, words, rest))
            if not known:
                self._tell(f'echo:Unknown command: "{text}"')
            elif (found[1], code) == ("M", 105):
                self._tell("ok T:0")
                return
        if not self._killed:
            self._say.append(OK)

    def _motion(self, code: int, words: dict[str, float]) -> Generator[None, None, bool]:
        """Obey a G command; tell whether there is such a one."""
        axes = {letter: value for letter, value in words.items() if letter in self.axes}
        if code in {0, 1}:
            yield from self._go(axes, words)
        elif code == 4:
            left = words.get("S", words.get("P", 0.0) * 1e-3)
            while not self._idle():
                yield
            while left > 0.0:
                left -= PERIOD
                yield
        elif code == 28:
            yield from self._home(axes)
        elif code in {90, 91}:
            self._relative = code == 91
        elif code == 92:
            while not self._idle():
                yield
            for k, letter in enumerate(self.axes):
                if math.isfinite(axes.get(letter, math.nan)):
                    self._target[k] = axes[letter]
                    self._origin[k] = self.planner.positions[k] - axes[letter]
        else:
            return False
        return True

    def _go(self, axes: dict[str, float], words: dict[str, float]) -> Iterator[None]:
        if self._stopped:
            return
        if words.get("F", 0.0) > 0.0:
            self._feed = words["F"] / 60.0
        goal = list(self._target)
        for k, letter in enumerate(self.axes):
            value = axes.get(letter, math.nan)
            if math.isfinite(value):
                goal[k] = value + (self._target[k] if self._relative else 0.0)
                if self._soft_limits and self.homed:
                    goal[k] = min(max(goal[k], LOWEST), HIGHEST)
        while not self._room():
            yield
        start, self._target = self._target, goal
        way = math.dist(start, goal)
        if way:
            counted = math.dist(start[:LINEAR], goal[:LINEAR]) or way
            self._add(goal, self._feed * way / counted)

    def _home(self, axes: dict[str, float]) -> Iterator[None]:
        while not self._idle():
            yield
        wanted = [k for k, letter in enumerate(self.axes) if letter in axes or not axes]
        ends = list(self._target)
        for k in wanted:
            ends[k] = LOWEST - self._origin[k]
        self._add(ends, HOMING_SPEED)
        while not self._idle():
            yield
        if any(abs(self.planner.positions[k] - LOWEST) > 1e-6 for k in wanted):
            self._kill("Homing Failed")
            return
        for k in wanted:
            self._origin[k], self._target[k] = 0.0, LOWEST
        self.homed = len(wanted) == len(self.axes)
        self._tell(self._position(self._target))

    def _setting(self, code: int, words: dict[str, float], rest: str) -> Generator[None, None, bool]:
        """Obey an M command; tell whether there is such a one."""
        if code == 17:
            self.attached = True
        elif code in {18, 84} and "S" in words:
            self._inactive, self._rest = words["S"], 0.0
        elif code in {18, 84, 400}:
            while not self._idle():
                yield
            if code != 400:
                self.attached = self.homed = False
        elif code in {92, 201, 203}:
            for k, letter in enumerate(self.axes):
                if words.get(letter, 0.0) > 0.0:
                    self.settings[code][k] = words[letter]
        elif code in {106, 107}:
            on = code == 106 and words.get("S", 255.0) > 0.0
            if words.get("P", 0.0) == 0.0:
                self.gripper = on
            elif words["P"] == 1.0:
                self.pump = on
        elif code == 114:
            self._tell(self._position() if "R" in words and self.realtime else self._position(self._target))
        elif code == 115:
            self._tell(
                "FIRMWARE_NAME:Marlin 2.1.2 (Jan  1 2023 00:00:00) SOURCE_CODE_URL:github.com/MarlinFirmware/Marlin "
                f"PROTOCOL_VERSION:1.0 MACHINE_TYPE:Arm EXTRUDER_COUNT:1 AXIS_COUNT:{len(self.axes)} "
                "UUID:cede2a2f-41a2-4748-9b12-c55c62f367ff"
            )
            for name, there in (("EEPROM", 0), ("AUTOREPORT_POS", 0), ("EMERGENCY_PARSER", 1), ("ARCS", 1)):
                self._tell(f"Cap:{name}:{there}")
        elif code == 118:
            self._tell(re.sub(r"^A1 *", "//", re.sub(r"^E1 *", "echo:", rest)))
        elif code == 211:
            self._soft_limits = words.get("S", self._soft_limits) != 0.0
            ends = [" ".join(f"{a}{end:.2f}" for a in self.axes) for end in (LOWEST, HIGHEST)]
            self._tell(f"echo:Soft endstops: {'On' if self._soft_limits else 'Off'}  Min:  {ends[0]}   Max:  {ends[1]}")
        elif code == 503:
            for of, title in REPORTED:
                values = " ".join(f"{a}{v:.2f}" for a, v in zip(self.axes, self.settings[of], strict=True))
                self._tell(f"echo:; {title}:")
                self._tell(f"echo: M{of} {values}")
        elif code == 999:
            self._stopped = False
            if words.get("S") != 1.0:
                self._resend()
        else:
            return code in {105, 110, 112, 410}
        return True

    def _position(self, planned: Sequence[float] | None = None) -> str:
        """Where it is, or will be, with counted steps."""
        where = self._where() if planned is None else planned
        steps = [round(w * s) for w, s in zip(where, self.settings[92], strict=True)]
        told = where if planned is not None else [n / s for n, s in zip(steps, self.settings[92], strict=True)]
        places = " ".join(f"{a}:{v:.2f}".replace(":-0.00", ":0.00") for a, v in zip(self.axes, told, strict=True))
        counts = " ".join(f"{a}:{n}" for a, n in zip(self.axes, steps, strict=True))
        return f"{places} E:0.00 Count {counts}"
