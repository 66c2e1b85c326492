"""The Dobot Magician: binary frames and a queue of commands that it numbers itself.

    AA AA 02 0A 00 F6                                pose?     -> x y z r j1 j2 j3 j4, float32, mm and degrees
    AA AA 13 54 03 01 00 00 7A 43 ... EB             move      -> the same code, and the command's number as uint64
    AA AA 02 F6 00 0A                                executed? -> number of the last command that was carried out

Requests are not numbered, but an answer repeats code and control, and consecutive requests of the link differ in them.
A target out of range is queued like any other and raises an alarm when its turn comes, after which nothing in the queue
moves until alarms are cleared (code 20 with the write bit). Motors cannot be released by command.

A motion of all four joints goes from point to point (84) and stands at each, so that a stream of them crawls: every
0.05 s and with 200 degrees/s^2 it goes 0.04 rad/s. A stream is therefore a continuous path (91) in real-time mode:
points of the flange, which the controller looks ahead over while nothing else comes between them. A path has no word
for the fourth joint, which turns the tool; motions of the other three joints are paths.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum

from ...robots.errors import RefusedError
from ..language import Event, Kind, Report, Request, Traits
from ._dobot_arm import tip
from ._dobot_frames import Frame, FrameParser, frame
from ._lines import checked_move

READ, WRITE, QUEUED = 0, 1, 3
TOP_SPEED = 200.0  # degrees/s of every joint at 100 %
TOP_ACCELERATION = 200.0  # degrees/s^2
MOVE_JOINTS = 4  # the point-to-point mode that takes joint angles and moves all joints together
ARM = 3  # joints that a path moves
ABSOLUTE = 1  # a path's points count from the base
# mm/s^2, mm/s, ms and "real time": a path is begun at once and planned on as its points come.
PATH_ACCELERATION, PATH_CORNER, PATH_PERIOD, REAL_TIME = 200.0, 100.0, 10.0, 1
SLOWEST, FASTEST = 1.0, 200.0  # mm/s on a path
CATCHING_UP = 2.0  # times the speed of a line; at its own, what a change of direction costs is never made up for


class Code(IntEnum):
    """What a frame is about."""

    VERSION = 2
    POSE = 10
    ALARMS = 20
    HOME = 31
    TOOL_OFFSET = 60
    SUCTION = 62
    GRIPPER = 63
    JOINT_SPEEDS = 80
    LINE_SPEEDS = 81
    JUMP = 82
    SPEED_RATIO = 83
    MOVE = 84
    PATH_LIMITS = 90
    PATH = 91
    QUEUE_START = 240
    QUEUE_STOP = 241
    QUEUE_BREAK = 242
    QUEUE_CLEAR = 245
    QUEUE_DONE = 246
    QUEUE_ROOM = 247


READ_SIZES = {
    Code.VERSION: 3,
    Code.POSE: 32,
    Code.ALARMS: 16,
    Code.TOOL_OFFSET: 12,
    Code.SUCTION: 2,
    Code.GRIPPER: 2,
    Code.JOINT_SPEEDS: 32,
    Code.LINE_SPEEDS: 16,
    Code.JUMP: 8,
    Code.SPEED_RATIO: 8,
    Code.PATH_LIMITS: 13,
    Code.QUEUE_DONE: 8,
    Code.QUEUE_ROOM: 4,
}
NEVER_QUEUED = (
    Code.ALARMS,
    Code.QUEUE_START,
    Code.QUEUE_STOP,
    Code.QUEUE_BREAK,
    Code.QUEUE_CLEAR,
)
QUEUEABLE = (
    Code.HOME,
    Code.TOOL_OFFSET,
    Code.SUCTION,
    Code.GRIPPER,
    Code.JOINT_SPEEDS,
    Code.LINE_SPEEDS,
    Code.JUMP,
    Code.SPEED_RATIO,
    Code.MOVE,
    Code.PATH_LIMITS,
    Code.PATH,
)
# Parameters in bytes of every answer, by code and control.
ANSWERS: Mapping[tuple[int, int], int] = {
    **{(code, READ): size for code, size in READ_SIZES.items()},
    **{(code, WRITE): 0 for code in (*NEVER_QUEUED, *QUEUEABLE)},
    **{(code, QUEUED): 8 for code in QUEUEABLE},
}
ALARMS = {
    0x00: "it has restarted: home it",
    0x01: "unknown instruction: check the firmware's version",
    0x04: "angle sensor: switch it off and on, then home it",
    0x10: "target at a singularity: choose another point",
    0x11: "target out of reach: choose another point",
    0x12: "target beyond a joint's limit: choose another point",
    0x17: "the straight line leaves the reach: move joint by joint",
    0x20: "motion through a singularity: choose another way",
    0x21: "motion out of reach: choose another way",
    0x22: "motion beyond a joint's limit: choose another way",
    **{0x30 + k: f"joint {k + 1} too fast: lower the speed" for k in range(4)},
    **{0x40 + 2 * k: f"joint {k + 1} at its upper limit: move it back" for k in range(4)},
    **{0x41 + 2 * k: f"joint {k + 1} at its lower limit: move it back" for k in range(4)},
    **{0x50 + k: f"joint {k + 1} has lost steps: home the arm" for k in range(4)},
}


def alarm_texts(bits: bytes) -> tuple[str, ...]:
    """Name the alarms that are set, each with its cure.

    Args:
        bits: Sixteen bytes, the lowest bit of the first is alarm 0.
    """
    number = int.from_bytes(bits, "little")
    return tuple(
        f"alarm {k:#04x}, {ALARMS.get(k, 'see the list of Magician alarms')}; then clear alarms"
        for k in range(8 * len(bits))
        if number >> k & 1
    )


def _event(answer: Frame) -> Event:
    code, control, data = answer
    tag = f"{code}.{control}"
    if control == READ and code == Code.POSE:
        values = struct.unpack("<8f", data)
        if not all(map(math.isfinite, values)):
            return Event(Kind.ACCEPTED, tag)
        joints = tuple(map(math.radians, values[4:]))
        return Event(Kind.STATE, tag, report=Report(joints=joints, steps=joints))
    if control == READ and code == Code.ALARMS:
        return Event(Kind.STATE, tag, report=Report(alarms=alarm_texts(data)))
    if control == READ and code == Code.QUEUE_DONE:
        return Event(Kind.STATE, tag, report=Report(executed=int.from_bytes(data, "little")))
    if control == QUEUED:
        return Event(Kind.ACCEPTED, tag, queued=int.from_bytes(data, "little"))
    return Event(Kind.ACCEPTED, tag)


class DobotParser:
    """Finds answers in a stream of bytes."""

    def __init__(self) -> None:
        """Start empty."""
        self._frames = FrameParser(ANSWERS)

    @property
    def stray_bytes(self) -> int:
        """Bytes that belonged to no answer."""
        return self._frames.stray_bytes

    @property
    def checksum_errors(self) -> int:
        """Frames whose checksum was wrong."""
        return self._frames.checksum_errors

    def feed(self, chunk: bytes) -> list[Event]:
        """Take any bytes and return the events they complete; never raises."""
        return [_event(answer) for answer in self._frames.feed(chunk)]

    def end(self) -> list[Event]:
        """Nothing more comes for now: look behind a frame that has begun."""
        return [_event(answer) for answer in self._frames.end()]


class Dobot:
    """A `Language`."""

    name = "dobot"
    traits = Traits(ahead=16, checked=True, boot=1.0, letters=("j1", "j2", "j3", "j4"))

    def parser(self) -> DobotParser:
        """Return a parser for the answers of one controller."""
        return DobotParser()

    def setup(self, number: int) -> tuple[Request, ...]:
        """Empty the queue, start it, and set what 100 % of speed means, that points are the flange's, and paths."""
        del number
        tops = struct.pack("<8f", *(TOP_SPEED,) * 4, *(TOP_ACCELERATION,) * 4)
        path = struct.pack("<3fB", PATH_ACCELERATION, PATH_CORNER, PATH_PERIOD, REAL_TIME)
        return (
            _request(Code.QUEUE_CLEAR, WRITE),
            _request(Code.QUEUE_START, WRITE),
            _request(Code.JOINT_SPEEDS, WRITE, tops),
            _request(Code.TOOL_OFFSET, WRITE, bytes(12)),
            _request(Code.PATH_LIMITS, WRITE, path),
        )

    def poll(self, number: int) -> tuple[Request, ...]:
        """Ask for the pose, what of the queue is done, and the alarms."""
        del number
        return (_request(Code.POSE), _request(Code.QUEUE_DONE), _request(Code.ALARMS))

    def watch(self, number: int) -> tuple[Request, ...]:
        """Ask for the pose, with another question between two of them."""
        del number
        return (_request(Code.POSE), _request(Code.QUEUE_DONE))

    def fences(self, number: int) -> tuple[Request, ...]:
        """Ask for what does not change."""
        del number
        asked = (Code.VERSION, Code.QUEUE_ROOM, Code.SPEED_RATIO, Code.JUMP, Code.LINE_SPEEDS, Code.SUCTION)
        return tuple(_request(code) for code in asked)

    def move(self, number: int, start: Sequence[float], goal: Sequence[float], duration: float) -> tuple[Request, ...]:
        """Move all joints to a goal, point to point, the longest way sets the speed; or three of them along a path."""
        del number
        letters = self.traits.letters[:ARM] if len(goal) == ARM else self.traits.letters
        checked_move(start, goal, duration, letters, exact=True)
        if len(goal) == ARM:
            here, there = tip((*start, 0.0))[:3], tip((*goal, 0.0))[:3]
            speed = min(max(CATCHING_UP * math.dist(here, there) * 1e3 / duration, SLOWEST), FASTEST)
            return (_request(Code.PATH, QUEUED, struct.pack("<B4f", ABSOLUTE, *(v * 1e3 for v in there), speed)),)
        way = max(abs(g - s) for s, g in zip(start, goal, strict=True))
        ratio = min(max(100.0 * math.degrees(way) / duration / TOP_SPEED, 1.0), 100.0)
        degrees = struct.pack("<B4f", MOVE_JOINTS, *map(math.degrees, goal))
        return (
            _request(Code.SPEED_RATIO, QUEUED, struct.pack("<2f", ratio, 100.0)),
            _request(Code.MOVE, QUEUED, degrees),
        )

    def halt(self, number: int) -> tuple[Request, ...]:
        """Break off the command under way."""
        del number
        return (_request(Code.QUEUE_BREAK, WRITE),)

    def forget(self, number: int) -> tuple[Request, ...]:
        """Empty the queue."""
        del number
        return (_request(Code.QUEUE_CLEAR, WRITE),)

    def resume(self, number: int) -> tuple[Request, ...]:
        """Start the queue."""
        del number
        return (_request(Code.QUEUE_START, WRITE),)

    def enable(self, number: int, *, on: bool) -> tuple[Request, ...]:
        """Motors are on while there is power."""
        del number
        if on:
            return ()
        raise RefusedError("a Dobot Magician cannot release its motors by command: hold the button on its forearm")

    def home(self, number: int) -> tuple[Request, ...]:
        """Queue the search for the reference, which takes some 20 s."""
        del number
        return (_request(Code.HOME, QUEUED, bytes(4)),)

    def clear(self, number: int) -> tuple[Request, ...]:
        """Clear all alarms, empty the queue and start it."""
        del number
        return (
            _request(Code.ALARMS, WRITE),
            _request(Code.QUEUE_CLEAR, WRITE),
            _request(Code.QUEUE_START, WRITE),
        )

    def reset(self, number: int) -> tuple[Request, ...]:
        """Nothing: it has no such command."""
        del number
        return ()

    def turn(self, number: int, angle: float) -> tuple[Request, ...]:
        """Nothing: all that turns is a joint of its motions."""
        del number, angle
        return ()

    def tool(self, number: int, *, pump: bool, closed: bool) -> tuple[Request, ...]:
        """Queue a change of the gripper or the suction cup; its pump runs with both."""
        del number
        code = Code.SUCTION if pump else Code.GRIPPER
        return (_request(code, QUEUED, bytes((1, closed))),)


def _request(code: Code, control: int = READ, parameters: bytes = b"") -> Request:
    data = frame(code, control, parameters)
    return Request(data, f"{code}.{control}", room=len(data))


LANGUAGE = Dobot()
