"""A virtual Dobot Magician: frames in, frames out, and a queue that is worked off one command at a time.

Every command that goes into the queue gets a number, and motions stop at every point. A target that a joint cannot
reach raises an alarm when its turn comes; from then on nothing in the queue moves until alarms are cleared. Codes that
it does not know raise alarm 1 and are not answered, nor is a command for which the queue has no room.
"""

import math
import struct
from collections import deque
from collections.abc import Sequence

from ..protocols import _parallelogram
from ..protocols._dobot_frames import Frame, FrameParser, frame
from ..protocols.dobot import QUEUEABLE, QUEUED, READ, WRITE, Code
from .planner import PERIOD, Planner

REAR, FORE = 0.135, 0.147  # m: the two links
LIMITS = ((-125.0, 125.0), (-5.0, 90.0), (-15.0, 70.0), (-150.0, 150.0))  # degrees
HOME = (0.0, math.radians(45.0), math.radians(45.0), 0.0)  # where the search for the reference ends
ROOM = 32  # commands
WAIT = 110  # code of a pause, not in `Code` because nobody but a client's program asks for one
WAIT_SIZE = 4
SIZES = {
    Code.HOME: 4,
    Code.SUCTION: 2,
    Code.GRIPPER: 2,
    Code.JOINT_SPEEDS: 32,
    Code.LINE_SPEEDS: 16,
    Code.JUMP: 8,
    Code.SPEED_RATIO: 8,
    Code.MOVE: 17,
}
ANGLE_MODES = (3, 4, 5)


def tip(angles: Sequence[float]) -> tuple[float, float, float, float]:
    """Where the flange is: x, y, z in m and its turn in rad.

    Args:
        angles: The four joints, rad; the second counts from upright, the third from level.
    """
    radius, height = _parallelogram.tip(math.pi / 2.0 - angles[1], angles[2], REAR, FORE)
    turn = angles[0]
    return radius * math.cos(turn), radius * math.sin(turn), height, turn + angles[3]


def reach(x: float, y: float, z: float, turn: float) -> tuple[float, float, float, float] | None:
    """Joints that put the flange somewhere; None out of reach.

    Args:
        x: Ahead, m.
        y: To the left, m.
        z: Above the shoulder, m.
        turn: Of the flange, rad.
    """
    found = _parallelogram.angles(math.hypot(x, y), z, REAR, FORE)
    if found is None:
        return None
    base = math.atan2(y, x)
    return base, math.pi / 2.0 - found[0], found[1], turn - base


class VirtualDobot:
    """The inside of the controller.

    Attributes:
        planner: Its four joints, rad.
        suction: Whether the suction cup sucks.
        gripper: Whether the gripper is closed.
        alarms: Numbers of the alarms that are set.
    """

    name = "dobot"
    baud_rate = 115_200

    def __init__(self) -> None:
        """Build it; it stands where its search for the reference would end."""
        tops = [math.radians(200.0)] * 4
        self.planner = Planner(HOME, top_speeds=tops, accelerations=tops, corner_speed=0.0)
        self.power_on()

    @property
    def joints(self) -> tuple[float, ...]:
        """Where its joints are, rad."""
        return tuple(self.planner.positions)

    # ---- Controller

    def power_on(self) -> list[bytes]:
        """Start; it says nothing."""
        self.planner.drop()
        self.alarms: set[int] = set()
        self.suction = self.gripper = False
        self._parser = FrameParser()
        self._queue: deque[tuple[int, int, bytes]] = deque()
        self._given = self._done = self._current = 0
        self._running = True
        self._pause = 0.0
        self._stored = {code: bytes(SIZES[code]) for code in QUEUEABLE}
        self._stored[Code.JOINT_SPEEDS] = struct.pack("<8f", *[200.0] * 8)
        self._stored[Code.SPEED_RATIO] = struct.pack("<2f", 100.0, 100.0)
        return []

    def hear(self, data: bytes) -> list[bytes]:
        """Take bytes and return messages."""
        return [answer for asked in self._parser.feed(data) if (answer := self._answer(asked)) is not None]

    def passed(self) -> list[bytes]:
        """A period of the planner has passed: work off the queue."""
        self._pause = max(self._pause - PERIOD, 0.0)
        if self.planner.holding and self.planner.speed == 0.0:
            self.planner.drop()
            self._current = 0
        while not self.planner.lines and not self._pause:
            if self._current:
                self._done, self._current = self._current, 0
            if not (self._queue and self._running) or self.alarms:
                break
            number, code, parameters = self._queue.popleft()
            if not self._execute(code, parameters):
                break
            self._current = number
        return []

    # ---- frames

    def _answer(self, asked: Frame) -> bytes | None:
        code, control, parameters = asked
        if control == READ:
            told = self._told(code)
            return None if told is None else frame(code, control, told)
        if control == WRITE and self._ordered(code):
            return frame(code, control)
        size = WAIT_SIZE if code == WAIT else SIZES.get(Code(code)) if code in SIZES else None
        if size is None or control not in {WRITE, QUEUED}:
            self.alarms.add(0x01)
            return None
        if len(parameters) != size:
            return None
        if control == WRITE and code not in {Code.MOVE, Code.HOME, WAIT}:
            self._execute(code, parameters)
            return frame(code, control)
        if len(self._queue) >= ROOM:
            return None
        self._given += 1
        self._queue.append((self._given, code, parameters))
        return frame(code, control, self._given.to_bytes(8, "little") if control == QUEUED else b"")

    def _told(self, code: int) -> bytes | None:
        if code == Code.POSE:
            x, y, z, turn = tip(self.planner.positions)
            degrees = map(math.degrees, (turn, *self.planner.positions))
            return struct.pack("<8f", x * 1e3, y * 1e3, z * 1e3, *degrees)
        if code == Code.ALARMS:
            return sum(1 << alarm for alarm in self.alarms).to_bytes(16, "little")
        if code == Code.QUEUE_DONE:
            return self._done.to_bytes(8, "little")
        if code == Code.QUEUE_ROOM:
            return (ROOM - len(self._queue)).to_bytes(4, "little")
        if code == Code.VERSION:
            return bytes((3, 7, 0))
        if code in self._stored and code not in {Code.MOVE, Code.HOME}:
            return self._stored[Code(code)]
        self.alarms.add(0x01)
        return None

    def _ordered(self, code: int) -> bool:
        if code == Code.ALARMS:
            self.alarms.clear()
        elif code == Code.QUEUE_START:
            self._running = True
        elif code == Code.QUEUE_STOP:
            self._running = False
        elif code == Code.QUEUE_BREAK:
            self._running = False
            self._pause = 0.0
            self.planner.hold()
        elif code == Code.QUEUE_CLEAR:
            self._queue.clear()
        else:
            return False
        return True

    # ---- commands

    def _execute(self, code: int, parameters: bytes) -> bool:
        """Begin a command; False when it raised an alarm instead."""
        if code == WAIT:
            self._pause = int.from_bytes(parameters, "little") * 1e-3
        elif code == Code.HOME:
            self.planner.add(HOME, math.inf, share=0.1)
        elif code == Code.MOVE:
            return self._move(parameters[0], struct.unpack("<4f", parameters[1:]))
        else:
            self._stored[Code(code)] = parameters
            if code == Code.SUCTION:
                self.suction = parameters == b"\x01\x01"
            elif code == Code.GRIPPER:
                self.gripper = parameters == b"\x01\x01"
        return True

    def _move(self, mode: int, values: Sequence[float]) -> bool:
        here = tuple(self.planner.positions)
        goal: tuple[float, ...] | None
        if not all(map(math.isfinite, values)):
            goal = None
        elif mode in ANGLE_MODES:
            goal = tuple(map(math.radians, values))
        elif mode == 6:
            goal = tuple(h + math.radians(v) for h, v in zip(here, values, strict=True))
        else:
            x, y, z, turn = tip(here) if mode in {7, 8} else (0.0, 0.0, 0.0, 0.0)
            goal = reach(x + values[0] / 1e3, y + values[1] / 1e3, z + values[2] / 1e3, turn + math.radians(values[3]))
        if goal is None:
            self.alarms.add(0x11)
            return False
        beyond = {
            0x40 + 2 * k + (math.degrees(angle) < low)
            for k, (angle, (low, high)) in enumerate(zip(goal, LIMITS, strict=True))
            if not low - 1e-3 <= math.degrees(angle) <= high + 1e-3
        }
        if beyond:
            self.alarms |= beyond
            return False
        rates = [math.radians(_between(v, 0.1, 320.0)) for v in struct.unpack("<8f", self._stored[Code.JOINT_SPEEDS])]
        ratio = _between(struct.unpack("<2f", self._stored[Code.SPEED_RATIO])[0], 1.0, 100.0)
        self.planner.limit(rates[:4], rates[4:])
        self.planner.add(goal, math.inf, share=ratio / 100.0)
        return True


def _between(value: float, low: float, high: float) -> float:
    return min(max(value, low), high) if math.isfinite(value) else low


CONTROLLER = VirtualDobot
