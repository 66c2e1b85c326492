"""Marlin 2: blocks of numbered lines with checksums, each closed by a number that the controller prints.

    N0 M110*35 LF  N1 G1 X10.000 Y0.000 F600.000*87 LF  N2 M118 #25*45 LF       ok  ok  #25  ok
    N0 M110*35 LF  N1 M114 R*84 LF  N2 M114*37 LF  N3 M118 #26*47 LF
        X:4.20 Y:0.00 Z:0.00 E:0.00 Count X:1050 Y:0 Z:0   ok      where the axes are
        X:10.00 Y:0.00 Z:0.00 E:0.00 Count X:2500 Y:0 Z:0  ok      where the last line told them to go
        #26  ok
    start   Error:Printer halted. kill() called!   echo:busy: processing       unasked

An `ok` tells nothing of the line it answers. `M118` prints any text once all lines before it are done, so a block that
ends with a number has an answer of its own. A line out of turn or with a wrong checksum is answered by `Error:...` and
`Resend: n` and not obeyed, nor are those behind it; `M110` begins the count anew, so every block stands for itself.

Six of its ways decide how it is driven:

- `ok` to a motion comes when the planner has room for it, not when it is done; lines are obeyed one after the other, so
  nothing is answered while it homes (G28) or waits (M400), when it says `echo:busy: processing` every two seconds.
- `M114` tells where the last line sends it, `M114 R` where it is: it moves while their steps differ. `R` needs a
  firmware built with M114_REALTIME, or the arm seems always to have arrived.
- Targets beyond the soft endstops (M211) are cut to them in silence.
- There is no hold. `M410` stops the steppers without braking, and for a second nothing else is done. It is obeyed at
  once where EMERGENCY_PARSER is built in, else when the four lines before it are read.
- Motors that stand for two minutes are let go unless `M84 S0` forbids it.
- After `M112`, or a fault that kills it, it hears nothing until its reset button is pressed; `M999` ends only a stop.

Sources: marlinfw.org/docs/gcode (M110, M112, M114, M118, M211, M410, M999) and Marlin's queue.cpp, planner.cpp
(quick_stop), motion.cpp, e_parser.h and MarlinCore.cpp. On an arm its "mm" are degrees: set M92 to steps per degree.
"""

import math
import re
from collections.abc import Sequence
from functools import reduce
from operator import xor

from ...robots.errors import RefusedError
from ..language import Activity, Event, Kind, Report, Request, Traits
from ._lines import LineParser, checked_move

LETTERS = ("X", "Y", "Z", "A", "B", "C")
LINEAR = 3  # axes whose way the feed rate counts; that of the others only where these rest
NUMBERS = 9999
HOMING = 120.0  # s that homing may take
PLANNED = 5.0  # s until a full planner has room for another motion
UNTIL_IDLE = 60.0  # s until all motions are finished
STOPPING = 1.2  # s: for one of them it refuses all motions
SLOWEST = 6.0  # degrees/min; the last thousandth of a degree would take seconds at less

KILLED = "a shutdown (M112, or a fault of its own): press its reset button or switch it off and on; then home it"
STOPPED = "stopped by an error of its own: find its cause, then clear it"
_AXES = "".join(f"(?: {letter}:-?\\d+\\.\\d\\d)?" for letter in (*LETTERS[LINEAR:], "E"))
_POSITION = re.compile(
    rf"X:-?\d+\.\d\d Y:-?\d+\.\d\d Z:-?\d+\.\d\d{_AXES} Count [XA]: ?-?\d+ [YB]: ?-?\d+ [ZC]: ?-?\d+(?: [A-C]: ?-?\d+)*"
)
_PLACE = re.compile(r"[XYZABC]:(-?\d+\.\d\d)")
_STEPS = re.compile(r": ?(-?\d+)")
_NOTE = re.compile(
    r"echo:.*|Resend: \d+|ok T:[ -~]*|Cap:\w+:\d|FIRMWARE_NAME:Marlin .*|Marlin [\w.\-]+|M110 N\d+|wait|//.*|PowerUp"
    r"| (?:External|Brown out|Watchdog|Software) Reset|(?:Error:)?(?:Line Number is not Last Line Number\+1"
    r"|checksum mismatch|No Checksum with line number), Last Line: \d+"
)


def checksum(text: str) -> int:
    """What stands behind the `*` of a numbered line.

    Args:
        text: The line before it.
    """
    return reduce(xor, text.encode("ascii"), 0)


def numbered(lines: Sequence[str]) -> bytes:
    """Lines counted from 0 by an `M110` before them, each with its checksum.

    Args:
        lines: Commands.
    """
    whole = (f"N{k} {line}" for k, line in enumerate(("M110", *lines)))
    return "".join(f"{line}*{checksum(line)}\n" for line in whole).encode("ascii")


class BlockParser(LineParser):
    """Finds the number that closes a block, and with it what the lines before it said."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__(self._line)
        self._block: list[str] = []  # what was understood since the last number, line by line

    def _event(self, line: bytes) -> Event | None:
        event = super()._event(line)
        if event is None and line.strip():
            self._block.clear()  # a line is missing, whichever it was
        return event

    def _line(self, line: str) -> Event | None:
        if closing := re.fullmatch(r"#(\d{1,4})", line):
            block, self._block = self._block, []
            return _closed(f"#{closing[1]}", block)
        if line == "start":
            self._block.clear()
            return Event(Kind.READY, text="the controller has started")
        if line == "Error:Printer halted. kill() called!":
            return Event(Kind.ALARM, text=KILLED)
        if line == "ok" or _POSITION.fullmatch(line):
            self._block.append(line)
            return Event(Kind.NOTE, text=line)
        if _NOTE.fullmatch(line):
            return Event(Kind.NOTE, text=line)
        if line.startswith("Error:") and line.isprintable():
            self._block.append(line)
            return Event(Kind.NOTE, text=line)
        return None


def _closed(tag: str, block: Sequence[str]) -> Event:
    """What a whole block means."""
    complaints = [line.removeprefix("Error:") for line in block if line.startswith("Error:")]
    texts = tuple(STOPPED if text.startswith("Printer stopped") else f"an error: {text}" for text in complaints)
    said = [line for line in block if not line.startswith("Error:")]
    if len(said) >= 4 and said[-3] == said[-1] == "ok" and said[-4] != "ok" and said[-2] != "ok":
        real, planned = said[-4], said[-2]
        (place, _, steps), (_, _, goal) = real.partition("Count"), planned.partition("Count")
        counted = tuple(float(n) for n in _STEPS.findall(steps))
        moves = counted != tuple(float(n) for n in _STEPS.findall(goal))
        joints = tuple(math.radians(float(angle)) for angle in _PLACE.findall(place))
        activity = Activity.ALARM if texts else Activity.MOVING if moves else Activity.IDLE
        return Event(Kind.STATE, tag, real, Report(joints, activity, None, texts, steps=counted))
    return Event(Kind.REFUSED, tag, texts[0]) if texts else Event(Kind.ACCEPTED, tag)


class Marlin:
    """A `Language`."""

    name = "marlin"
    # One motion waits at most: what stands behind a full planner is still obeyed after a stop.
    traits = Traits(numbers=NUMBERS, buffer=128, ahead=1, in_order=True, letters=LETTERS)

    def parser(self) -> BlockParser:
        """Return a parser for the answers of one controller."""
        return BlockParser()

    def setup(self, number: int) -> tuple[Request, ...]:
        """Absolute targets, and motors that never let go by themselves."""
        return (_block(number, "G90", "M84 S0"),)

    def poll(self, number: int) -> tuple[Request, ...]:
        """Ask where it is and where it will be."""
        return (_block(number, "M114 R", "M114"),)

    def watch(self, number: int) -> tuple[Request, ...]:
        """Ask where it is and where it will be."""
        return self.poll(number)

    def fences(self, number: int) -> tuple[Request, ...]:
        """A block without a command."""
        return (_block(number),)

    def move(self, number: int, start: Sequence[float], goal: Sequence[float], duration: float) -> tuple[Request, ...]:
        """Move all joints to a goal on the line that is straight in joint space."""
        checked_move(start, goal, duration, LETTERS)
        words = " ".join(
            f"{letter}{math.degrees(value):.3f}" for letter, value in zip(LETTERS, goal, strict=False)
        ).replace("-0.000", "0.000")
        way = math.dist(start[:LINEAR], goal[:LINEAR]) or math.dist(start, goal)
        speed = math.degrees(way) / duration * 60.0
        return (_block(number, f"G1 {words} F{max(speed, SLOWEST):.3f}", patience=PLANNED),)

    def halt(self, number: int) -> tuple[Request, ...]:
        """Stop the steppers dead and forget all motions; without numbers, so that it is obeyed whatever came before."""
        data = f"\nM410\nM118 #{_valid(number)}\n".encode("ascii")
        return (Request(data, f"#{number}", unique=True, room=len(data), patience=STOPPING),)

    def forget(self, number: int) -> tuple[Request, ...]:
        """Nothing: a stop has thrown everything away."""
        del number
        return ()

    def resume(self, number: int) -> tuple[Request, ...]:
        """Nothing: a stop is over when it is answered."""
        del number
        return ()

    def enable(self, number: int, *, on: bool) -> tuple[Request, ...]:
        """Switch all motors on, or off when all motions are finished."""
        return (_block(number, "M17" if on else "M84", patience=UNTIL_IDLE),)

    def home(self, number: int) -> tuple[Request, ...]:
        """Find all reference switches."""
        return (_block(number, "G28", patience=HOMING),)

    def clear(self, number: int) -> tuple[Request, ...]:
        """End a stop, without throwing away what is in its buffer, and switch the motors on."""
        return (_block(number, "M999 S1", "M17"),)

    def reset(self, number: int) -> tuple[Request, ...]:
        """Nothing: as it is usually built, only its button starts it anew."""
        del number
        return ()

    def turn(self, number: int, angle: float) -> tuple[Request, ...]:
        """Nothing: all that turns is a joint of its motions."""
        del number, angle
        return ()

    def tool(self, number: int, *, pump: bool, closed: bool) -> tuple[Request, ...]:
        """Switch a fan output: the first, where the gripper is, or the second, where the pump is."""
        return (_block(number, f"{'M106' if closed else 'M107'} P{int(pump)}"),)


def _valid(number: int) -> int:
    if not 1 <= number <= NUMBERS:
        raise RefusedError(f"request number {number}: this language counts from 1 to {NUMBERS}")
    return number


def _block(number: int, *lines: str, patience: float = 0.0) -> Request:
    data = numbered((*lines, f"M118 #{_valid(number)}"))
    return Request(data, f"#{number}", unique=True, room=len(data), patience=patience)


LANGUAGE = Marlin()
