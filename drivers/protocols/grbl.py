"""GRBL 1.1: lines of G-code without numbers, and bytes that are obeyed at once.

    $J=G90 G21 X10.000 Y0.000 F600.000 LF   ok CR LF    error:15 CR LF (outside the soft limits, nothing moves)
    ?       <Run|MPos:10.000,0.000,0.000|Bf:15,128|FS:600,0> CR LF
    !  hold the feed    ~  go on    0x18  reset    0x85  cancel the jog
    Grbl 1.1h ['$' for help]   ALARM:2   [MSG:...]       unasked

Every line gets one `ok` or one `error:n`, in order, when the planner has taken it; so a host counts the characters of
unanswered lines, of which the receive buffer holds 128. One-byte commands and reports stand outside that count. After
an alarm of soft or hard limits it hears nothing but a reset, and the line that caused it is never answered.

Motions are jogs, because they alone are refused when they would leave the soft limits (G1 raises an alarm instead), and
because a feed hold throws the rest of them away. On an arm GRBL's "mm" are degrees: set $100 and the following to steps
per degree. The `$10=3` of `setup` makes reports tell machine positions and buffers, and is kept in EEPROM.
"""

import math
import re
from collections.abc import Sequence

from ..language import Activity, Event, Kind, Report, Request, Traits
from ._lines import LineParser, checked_move

LETTERS = ("X", "Y", "Z", "A", "B", "C")
HOMING = 120.0  # s that a homing cycle may take
RESTART = 2.0  # s until it is there again
SLOWEST = 6.0  # degrees/min; the last thousandth of a degree would take seconds at less
PLANNED = 5.0  # s until a full planner has room for another line

ERRORS = {
    1: "a word without a letter: check the command",
    2: "a number that does not parse: check the command",
    3: "unknown $ command: check the firmware's version with $I",
    5: "homing is not enabled: set $22=1",
    8: "only possible when idle: halt first",
    9: "locked by an alarm: home ($H) or unlock ($X) first",
    11: "line too long: send fewer words",
    15: "target outside the soft limits: choose one inside",
    16: "not allowed in a jog: check the command",
    20: "unsupported command: check the firmware's version with $I",
    22: "no feed rate: give F",
    33: "invalid target: check the command",
}
ALARMS = {
    1: "hard limit: the position is lost; free the axis by hand, reset, then home",
    2: "soft limit: the target lies outside; reset, then unlock",
    3: "reset while moving: the position is lost; home again",
    4: "probe not in its starting state: check its wiring",
    5: "probe touched nothing: check its wiring and the travel",
    6: "homing was interrupted: home again",
    7: "door opened while homing: close it, home again",
    8: "limit switch stayed closed when pulling off: check wiring and $27",
    9: "no limit switch found: check wiring, $23 and $130 to $132",
}
_STATES = {
    "Idle": Activity.IDLE,
    "Check": Activity.IDLE,
    "Run": Activity.MOVING,
    "Jog": Activity.MOVING,
    "Hold:0": Activity.HELD,
    "Hold:1": Activity.MOVING,  # still braking
    "Door:0": Activity.HELD,
    "Door:1": Activity.HELD,
    "Door:2": Activity.MOVING,
    "Door:3": Activity.MOVING,
    "Home": Activity.HOMING,
    "Alarm": Activity.ALARM,
    "Sleep": Activity.ALARM,
}
_NUMBER = r"-?\d+\.\d{3}"
_STATUS = re.compile(
    rf"<([A-Z][a-z]+(?::\d)?)\|MPos:({_NUMBER}(?:,{_NUMBER})*)(?:\|(?:Bf:\d+,\d+|F:\d+|FS:\d+,\d+|"
    rf"WCO:{_NUMBER}(?:,{_NUMBER})*|Ov:\d+,\d+,\d+|Pn:[A-Z]+|A:[A-Z]+|Ln:\d+))*>"
)
_BANNER = re.compile(r"Grbl \d\.\d\w? \[.*\]")
_NOTE = re.compile(r"\[.*\]|\$\d+=[\d.]+|\$N\d=.*|>.*:(ok|error:\d+)")
LOCKED = "the controller is locked by an alarm: clear it or home"


def _read(line: str) -> Event | None:
    if line == "ok":
        return Event(Kind.ACCEPTED, "ok")
    if found := re.fullmatch(r"error:(\d{1,2})", line):
        code = int(found[1])
        return Event(Kind.REFUSED, "ok", f"error {code}, {ERRORS.get(code, 'see the list of GRBL 1.1 error codes')}")
    if found := re.fullmatch(r"ALARM:(\d{1,2})", line):
        code = int(found[1])
        return Event(Kind.ALARM, text=f"alarm {code}, {ALARMS.get(code, 'see the list of GRBL 1.1 alarm codes')}")
    if found := _STATUS.fullmatch(line):
        activity = _STATES.get(found[1])
        if activity is None:
            return None
        joints = tuple(math.radians(float(value)) for value in found[2].split(","))
        alarms = (LOCKED,) if activity is Activity.ALARM else ()
        return Event(Kind.STATE, "?", line, Report(joints, activity, None, alarms, steps=joints))
    if _BANNER.fullmatch(line):
        return Event(Kind.READY, text=line)
    return Event(Kind.NOTE, text=line) if _NOTE.fullmatch(line) else None


class Grbl:
    """A `Language`."""

    name = "grbl"
    traits = Traits(ahead=4, letters=LETTERS)

    def parser(self) -> LineParser:
        """Return a parser for the answers of one controller."""
        return LineParser(_read)

    def setup(self, number: int) -> tuple[Request, ...]:
        """Let reports tell machine positions and buffers."""
        del number
        return (_line("$10=3"),)

    def poll(self, number: int) -> tuple[Request, ...]:
        """Ask for a report."""
        del number
        return (_byte(b"?", tag="?"),)

    def watch(self, number: int) -> tuple[Request, ...]:
        """Ask for a report."""
        return self.poll(number)

    def fences(self, number: int) -> tuple[Request, ...]:
        """A report, and a line that does nothing."""
        del number
        return (_byte(b"?", tag="?"), _line(""))

    def move(self, number: int, start: Sequence[float], goal: Sequence[float], duration: float) -> tuple[Request, ...]:
        """Jog all joints to a goal; the feed is the length of the way in joint space by time."""
        del number
        checked_move(start, goal, duration, LETTERS)
        words = " ".join(
            f"{letter}{math.degrees(value):.3f}" for letter, value in zip(LETTERS, goal, strict=False)
        ).replace("-0.000", "0.000")
        speed = math.degrees(math.dist(start, goal)) / duration * 60.0
        return (_line(f"$J=G90 G21 {words} F{max(speed, SLOWEST):.3f}", PLANNED),)

    def halt(self, number: int) -> tuple[Request, ...]:
        """Hold the feed: a jog ends and is forgotten, any other motion is held."""
        del number
        return (_byte(b"!"),)

    def forget(self, number: int) -> tuple[Request, ...]:
        """Reset: planner and receive buffer are emptied; at rest the position is kept."""
        return self.reset(number)

    def resume(self, number: int) -> tuple[Request, ...]:
        """Go on."""
        del number
        return (_byte(b"~"),)

    def enable(self, number: int, *, on: bool) -> tuple[Request, ...]:
        """Motors are on from the first motion; off is sleep, from which a reset wakes it, locked."""
        return self.clear(number) if on else (_line("$SLP"),)

    def home(self, number: int) -> tuple[Request, ...]:
        """Run the homing cycle; `ok` comes at its end."""
        del number
        return (_line("$H", HOMING),)

    def clear(self, number: int) -> tuple[Request, ...]:
        """Reset, then unlock."""
        return (*self.reset(number), _line("$X"))

    def reset(self, number: int) -> tuple[Request, ...]:
        """Start anew; while it moves this costs the position (alarm 3)."""
        del number
        return (_byte(b"\x18", tag="ready", patience=RESTART),)

    def turn(self, number: int, angle: float) -> tuple[Request, ...]:
        """Nothing: all that turns is a joint of its motions."""
        del number, angle
        return ()

    def tool(self, number: int, *, pump: bool, closed: bool) -> tuple[Request, ...]:
        """Switch the spindle output, where gripper and pump are."""
        del number, pump
        return (_line("M3 S1000" if closed else "M5", PLANNED),)


def _byte(data: bytes, *, tag: str = "", patience: float = 0.0) -> Request:
    return Request(data, tag, patience=patience)


def _line(text: str, patience: float = 0.0) -> Request:
    data = f"{text}\n".encode("ascii")
    return Request(data, "ok", room=len(data), patience=patience)


LANGUAGE = Grbl()
