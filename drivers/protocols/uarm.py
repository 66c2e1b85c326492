"""The uArm Swift Pro: numbered lines of G-code, answered by number.

    #25 G0 X180 Y0 Z150 F5000 LF          $25 ok LF    $25 E22 LF (out of range)
    #26 P2220 LF                          $26 ok X180.0000 Y0.0000 Z150.0000 LF
    @1 LF  it has started    @6 N0 V1  limit switch    @9 V0  motion finished

Written from firmware 4.2, which is GRBL 0.9 inside; its one-byte commands `?` `!` `~` 0x18 work, too. Five of its ways
decide how it is driven:

- While it is held no line is answered, only `?`.
- `ok` to any G or M line comes only when the arm stands again, `ok` to a P line at once.
- It remembers the answers to 20 lines; when more are sent while it moves, the oldest are never given.
- A reset empties the planner but not the lines behind it, which then run: no more may be sent than the planner takes.
- P2200 tells counted steps, and is wrong once somebody has moved the arm by hand; P2220 tells what the encoders see, as
  a point, from which the angles follow.

A joint is "base" (90 degrees is straight ahead), "left" (lower link above the horizontal) or "right" (upper link below
it), as the firmware counts them.
"""

import math
import re
from collections.abc import Sequence

from ...robots.errors import RefusedError
from ..language import Activity, Event, Kind, Report, Request, Traits
from . import _parallelogram
from ._lines import LineParser, checked_move

# m: lengths of the firmware's own kinematics, tool mode "normal".
BASE_HEIGHT, SHOULDER, LOWER, UPPER, FRONT, DOWN = 0.1066, 0.0132, 0.14207, 0.15881, 0.05655, 0.07455
NUMBERS = 9999
UNTIL_IDLE = 60.0  # s that an answer may take which comes when the arm stands again
RESTART = 2.0  # s until the planner is there again
SLOWEST = 120  # mm/min; what encoder and counted steps differ by would take seconds at less
FASTEST = 30_000  # mm/min

ERRORS = {
    20: "no such command: check the firmware's version with P2203",
    21: "wrong parameters: check the words of the command",
    22: "target out of range: choose a point that the arm can reach",
    23: "buffer full: send more slowly",
    24: "no power: plug in the 12 V supply and switch it on",
    25: "not carried out: switch the motors on, then try again",
}
ACTIVITIES = {
    "Idle": Activity.IDLE,
    "Check": Activity.IDLE,
    "Run": Activity.MOVING,
    "Hold": Activity.HELD,
    "Door": Activity.HELD,
    "Home": Activity.HOMING,
    "Alarm": Activity.ALARM,
}
_ANSWER = re.compile(r"\$(\d{1,4}) (?:(ok)|E(\d{2}))(?: (.*))?")
_POINT = re.compile(r"X(-?\d+\.\d{4}) Y(-?\d+\.\d{4}) Z(-?\d+\.\d{4})")
_STATUS = re.compile(
    r"<(Idle|Run|Hold|Door|Home|Alarm|Check),MPos:(-?\d+\.\d{3}),(-?\d+\.\d{3}),(-?\d+\.\d{3}),"
    r"WPos:-?\d+\.\d{3},-?\d+\.\d{3},-?\d+\.\d{3}>"
)
_NEWS = re.compile(r"@[3-9]( [A-Z]-?\d+(\.\d+)?)*|\[.*\]")


def point(base: float, left: float, right: float) -> tuple[float, float, float]:
    """Where the tool is.

    Args:
        base: Angle as the firmware counts it, rad.
        left: Elevation of the lower link, rad.
        right: Depression of the upper link, rad.

    Returns:
        x, y, z in m.
    """
    radius, height = _parallelogram.tip(left, right, LOWER, UPPER)
    radius += SHOULDER + FRONT
    turn = base - math.pi / 2.0
    return radius * math.cos(turn), radius * math.sin(turn), height + BASE_HEIGHT - DOWN


def joints(x: float, y: float, z: float) -> tuple[float, float, float] | None:
    """Angles that put the tool somewhere; None out of reach.

    Args:
        x: Ahead, m.
        y: To the left, m.
        z: Up, m.
    """
    found = _parallelogram.angles(math.hypot(x, y) - SHOULDER - FRONT, z - BASE_HEIGHT + DOWN, LOWER, UPPER)
    return None if found is None else (math.atan2(y, x) + math.pi / 2.0, *found)


def word(letter: str, value: float, digits: int = 3) -> str:
    """One word of G-code, without needless zeros."""
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return letter + ("0" if text == "-0" else text)


def command(number: int, text: str) -> bytes:
    """A numbered line.

    Args:
        number: 1 to `NUMBERS`.
        text: The command.
    """
    return f"#{number} {text}\n".encode("ascii")


def _read(line: str) -> Event | None:
    if line in {"@1", "Grbl 0.9j ['$' for help]"}:
        return Event(Kind.READY, text="the controller has started")
    if answer := _ANSWER.fullmatch(line):
        number, ok, code, rest = answer.groups()
        if ok is None:
            return Event(Kind.REFUSED, f"${number}", _error(int(code)))
        if not rest:
            return Event(Kind.ACCEPTED, f"${number}")
        found = _POINT.fullmatch(rest)
        if found is None:
            return Event(Kind.ACCEPTED, f"${number}", rest)
        x, y, z = (float(value) / 1e3 for value in found.groups())
        angles = joints(x, y, z)
        return Event(Kind.STATE, f"${number}", rest, Report(joints=angles) if angles else None)
    if status := _STATUS.fullmatch(line):
        activity = ACTIVITIES[status[1]]
        steps = tuple(float(value) for value in status.groups()[1:])
        alarms = ("the arm is locked by an alarm: clear it",) if activity is Activity.ALARM else ()
        return Event(Kind.STATE, "?", line, Report(activity=activity, alarms=alarms, steps=steps))
    if line == "E23 buffer full":
        return Event(Kind.NOTE, text=f"a line was lost: {_error(23)}")
    if line.startswith("ALARM: "):
        return Event(Kind.ALARM, text=f"{line[7:].lower()}: clear the alarm")
    return Event(Kind.NOTE, text=line) if _NEWS.fullmatch(line) else None


def _error(code: int) -> str:
    return f"E{code}, {ERRORS.get(code, 'an error this version of the firmware does not document')}"


class UArm:
    """A `Language`."""

    name = "uarm"
    # Lines leave the receive buffer at once as long as the planner has room, which `ahead` sees to.
    traits = Traits(numbers=NUMBERS, buffer=1000, ahead=15, letters=("base", "left", "right"))

    def parser(self) -> LineParser:
        """Return a parser for the answers of one controller."""
        return LineParser(_read)

    def setup(self, number: int) -> tuple[Request, ...]:
        """Ask for a report when a motion is finished."""
        return (_obeyed(number, "M2122 V1"),)

    def poll(self, number: int) -> tuple[Request, ...]:
        """Ask what the encoders see, and what the planner does."""
        return (_asked(number, "P2220"), _byte("?", tag="?"))

    def watch(self, number: int) -> tuple[Request, ...]:
        """Ask the planner only."""
        del number
        return (_byte("?", tag="?"),)

    def fences(self, number: int) -> tuple[Request, ...]:
        """Ask for the tool mode, which is numbered and so differs from all else."""
        return (_asked(number, "P2400"),)

    def move(self, number: int, start: Sequence[float], goal: Sequence[float], duration: float) -> tuple[Request, ...]:
        """Move all joints to a goal in about `duration` seconds, on the line that is straight in joint space."""
        checked_move(start, goal, duration, self.traits.letters, exact=True)
        here, there = point(*start), point(*goal)
        speed = math.dist(here, there) * 1e3 / duration * 60.0
        words = " ".join(word(a, v * 1e3) for a, v in zip("XYZ", there, strict=True))
        return (_obeyed(number, f"G0 {words} F{min(max(math.ceil(speed), SLOWEST), FASTEST)}"),)

    def halt(self, number: int) -> tuple[Request, ...]:
        """Hold the feed."""
        del number
        return (_byte("!"),)

    def forget(self, number: int) -> tuple[Request, ...]:
        """Reset: it empties the planner; the arm keeps its torque and, standing, its position."""
        return self.reset(number)

    def resume(self, number: int) -> tuple[Request, ...]:
        """Go on."""
        del number
        return (_byte("~"),)

    def enable(self, number: int, *, on: bool) -> tuple[Request, ...]:
        """Attach or detach all motors; the arm sinks when detached."""
        return (_obeyed(number, "M17" if on else "M2019"),)

    def home(self, number: int) -> tuple[Request, ...]:
        """Nothing: the encoders are absolute."""
        del number
        return ()

    def clear(self, number: int) -> tuple[Request, ...]:
        """Reset and switch the motors on."""
        return (*self.reset(number), _obeyed(number, "M17"))

    def reset(self, number: int) -> tuple[Request, ...]:
        """Start the planner anew; lines that wait behind it are not forgotten."""
        del number
        return (_byte("\x18", tag="ready", patience=RESTART),)

    def turn(self, number: int, angle: float) -> tuple[Request, ...]:
        """Turn the servo in the hand, which tells nothing; 90 degrees is straight."""
        return (_obeyed(number, f"G2202 N3 {word('V', math.degrees(angle), 2)}"),)

    def tool(self, number: int, *, pump: bool, closed: bool) -> tuple[Request, ...]:
        """Close or open the gripper, or switch the pump on or off."""
        return (_obeyed(number, f"{'M2231' if pump else 'M2232'} V{int(closed)}"),)


def _byte(character: str, *, tag: str = "", patience: float = 0.0) -> Request:
    return Request(character.encode("ascii"), tag, patience=patience)


def _asked(number: int, text: str) -> Request:
    return _line(number, text, 0.0)


def _obeyed(number: int, text: str) -> Request:
    return _line(number, text, UNTIL_IDLE)


def _line(number: int, text: str, patience: float) -> Request:
    if not 1 <= number <= NUMBERS:
        raise RefusedError(f"request number {number}: this language counts from 1 to {NUMBERS}")
    data = command(number, text)
    return Request(data, f"${number}", unique=True, room=len(data), patience=patience)


LANGUAGE = UArm()
