"""A virtual Dobot Magician: frames in, frames out, and a queue that is worked off one command at a time.

Every command that goes into the queue gets a number. Motions from point to point stop at every point; points of a path
that follow one another are looked ahead over. A target that a joint cannot reach raises an alarm when its turn comes;
from then on nothing in the queue moves until alarms are cleared. Codes that it does not know raise alarm 1 and are not
answered, nor is a command for which the queue has no room.
"""

import math
import struct
from collections import deque
from collections.abc import Sequence

from ..protocols._dobot_arm import Pose, reach, tip
from ..protocols._dobot_frames import Frame, FrameParser, frame
from ..protocols.dobot import ABSOLUTE, QUEUEABLE, QUEUED, READ, WRITE, Code
from .course import Course
from .planner import PERIOD

LIMITS = ((-125.0, 125.0), (-5.0, 90.0), (-15.0, 70.0), (-150.0, 150.0))  # degrees
HOME = (0.0, math.radians(45.0), math.radians(45.0), 0.0)  # where the search for the reference ends
ROOM = 32  # commands
WAIT = 110  # code of a pause, not in `Code` because nobody but a client's program asks for one
WAIT_SIZE = 4
SIZES = {
    Code.HOME: 4,
    Code.TOOL_OFFSET: 12,
    Code.SUCTION: 2,
    Code.GRIPPER: 2,
    Code.JOINT_SPEEDS: 32,
    Code.LINE_SPEEDS: 16,
    Code.JUMP: 8,
    Code.SPEED_RATIO: 8,
    Code.MOVE: 17,
    Code.PATH_LIMITS: 13,
    Code.PATH: 17,
}
ANGLE_MODES = (3, 4, 5)
MOTIONS = (Code.HOME, Code.MOVE, Code.PATH)


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
        self.planner = Course(HOME, tip, reach, top_speeds=tops, accelerations=tops)
        self.power_on()

    @property
    def joints(self) -> tuple[float, ...]:
        """Where its joints are, rad."""
        return tuple(self.planner.positions)

    # ---- Controller

    def power_on(self) -> list[bytes]:
        """Start; it says nothing."""
        self.planner.drop()
        self.planner.done = 0
        self.alarms: set[int] = set()
        self.suction = self.gripper = False
        self._parser = FrameParser()
        self._queue: deque[tuple[int, int, bytes]] = deque()
        self._given = self._done = self._current = 0
        self._running = True
        self._along = False
        self._pause = 0.0
        self._stored = {code: bytes(SIZES[code]) for code in QUEUEABLE}
        self._stored[Code.JOINT_SPEEDS] = struct.pack("<8f", *[200.0] * 8)
        self._stored[Code.SPEED_RATIO] = struct.pack("<2f", 100.0, 100.0)
        self._stored[Code.PATH_LIMITS] = struct.pack("<3fB", 20.0, 20.0, 20.0, 0)
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
        while not self._pause:
            following = bool(self._along and self._queue) and self._queue[0][1] == Code.PATH
            if self.planner.lines and not following:
                break
            if self._current and not self.planner.lines:
                self._done, self._current = self._current, 0
            if not (self._queue and self._running) or self.alarms:
                break
            number, code, parameters = self._queue.popleft()
            self._along = code == Code.PATH
            if not self._execute(code, parameters, number):
                break
            self._current = number
        if self._along:
            self._done = max(self._done, self.planner.done)
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
        if control == WRITE and code not in {*MOTIONS, WAIT}:
            self._execute(code, parameters, 0)
            return frame(code, control)
        if len(self._queue) >= ROOM:
            return None
        self._given += 1
        self._queue.append((self._given, code, parameters))
        return frame(code, control, self._given.to_bytes(8, "little") if control == QUEUED else b"")

    def _told(self, code: int) -> bytes | None:
        if code == Code.POSE:
            x, y, z, turn = self._shifted(tip(self.planner.positions), 1.0)
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
        if code in self._stored and code not in MOTIONS:
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

    def _shifted(self, pose: Pose, sign: float) -> Pose:
        """A pose of the flange carried out along the arm to the tool, or (-1) that of the tool carried back."""
        ahead, _, up = (sign * v / 1e3 for v in struct.unpack("<3f", self._stored[Code.TOOL_OFFSET]))
        x, y, z, turn = pose
        radius, base = math.hypot(x, y) + ahead, math.atan2(y, x)
        return radius * math.cos(base), radius * math.sin(base), z + up, turn

    def _execute(self, code: int, parameters: bytes, number: int) -> bool:
        """Begin a command; False when it raised an alarm instead."""
        if code == WAIT:
            self._pause = int.from_bytes(parameters, "little") * 1e-3
        elif code == Code.HOME:
            self.planner.add(HOME, math.inf, share=0.1)
        elif code == Code.MOVE:
            return self._move(parameters[0], struct.unpack("<4f", parameters[1:]))
        elif code == Code.PATH:
            return self._follow(parameters[0], struct.unpack("<4f", parameters[1:]), number)
        else:
            self._stored[Code(code)] = parameters
            if code == Code.SUCTION:
                self.suction = parameters == b"\x01\x01"
            elif code == Code.GRIPPER:
                self.gripper = parameters == b"\x01\x01"
        return True

    def _move(self, mode: int, values: Sequence[float]) -> bool:
        here = tuple(self.planner.positions)
        goal: Pose | None
        if not all(map(math.isfinite, values)):
            goal = None
        elif mode in ANGLE_MODES:
            a, b, c, d = map(math.radians, values)
            goal = a, b, c, d
        elif mode == 6:
            a, b, c, d = (h + math.radians(v) for h, v in zip(here, values, strict=True))
            goal = a, b, c, d
        else:
            start = self._shifted(tip(here), 1.0) if mode in {7, 8} else (0.0, 0.0, 0.0, 0.0)
            goal = self._reach(start, values)
        if not self._allowed(goal) or goal is None:
            return False
        rates = [math.radians(_between(v, 0.1, 320.0)) for v in struct.unpack("<8f", self._stored[Code.JOINT_SPEEDS])]
        ratio = _between(struct.unpack("<2f", self._stored[Code.SPEED_RATIO])[0], 1.0, 100.0)
        self.planner.limit(rates[:4], rates[4:])
        self.planner.add(goal, math.inf, share=ratio / 100.0)
        return True

    def _reach(self, start: Pose, way: Sequence[float]) -> Pose | None:
        """Joints that put the tool at a pose plus a way in mm and degrees."""
        x, y, z, turn = (s + w for s, w in zip(start, (*(v / 1e3 for v in way[:3]), math.radians(way[3])), strict=True))
        return reach(*self._shifted((x, y, z, turn), -1.0))

    def _allowed(self, goal: Pose | None) -> bool:
        """Whether the joints can be there; an alarm if not."""
        if goal is None:
            self.alarms.add(0x11)
            return False
        beyond = {
            0x40 + 2 * k + (math.degrees(angle) < low)
            for k, (angle, (low, high)) in enumerate(zip(goal, LIMITS, strict=True))
            if not low - 1e-3 <= math.degrees(angle) <= high + 1e-3
        }
        self.alarms |= beyond
        return not beyond

    def _follow(self, mode: int, values: Sequence[float], number: int) -> bool:
        """Go on along a path; the fourth joint stays."""
        hand = self.planner.positions[3]
        x, y, z = self.planner.tool_end
        start = (0.0, 0.0, 0.0, 0.0) if mode == ABSOLUTE else self._shifted((x, y, z, 0.0), 1.0)
        goal = self._reach(start, (*values[:3], 0.0)) if all(map(math.isfinite, values)) else None
        if goal is not None:
            goal = (*goal[:3], hand)
        if not self._allowed(goal) or goal is None:
            return False
        fastest, corner, own, real_time = struct.unpack("<3fB", self._stored[Code.PATH_LIMITS])
        push = _between(fastest if real_time else min(fastest, own), 1.0, 1000.0) / 1e3
        self.planner.line_to(
            tip(goal)[:3],
            _between(values[3], 1.0, 500.0) / 1e3,
            acceleration=push,
            corner_speed=_between(corner, 0.0, 500.0) / 1e3,
            mark=number,
        )
        return True


def _between(value: float, low: float, high: float) -> float:
    return min(max(value, low), high) if math.isfinite(value) else low


CONTROLLER = VirtualDobot
