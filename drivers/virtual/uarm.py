"""A virtual uArm Swift Pro with firmware 4.2: GRBL 0.9 inside, answers by number, and the ways of that firmware.

G and M lines wait in a row of twenty and are answered when the arm stands; the answers to more than twenty are lost.
A reset empties the planner but not that row. P lines are answered at once, but nothing is read while it holds or while
the planner is full. P2200 counts steps, which go wrong when somebody moves the arm by hand; P2220 tells what the
encoders see.
"""

import math
import re
from collections import deque
from collections.abc import Sequence

from ..protocols.uarm import joints, point
from .gcode import OVERFLOW, Intake
from .planner import PERIOD, Planner

BANNER = b"\r\nGrbl 0.9j ['$' for help]\r\n"
ROW = 20  # lines that wait, and answers that wait
BLOCKS = 17  # lines that its planner takes
ENCODER = 2.0 * math.pi / 4096  # rad per step of the encoders
REST = (math.pi / 2.0, math.radians(70.0), math.radians(50.0))  # how it stands at power-on: base, left, right
TOP_SPEED = math.radians(120.0)
ACCELERATION = math.radians(600.0)
# Degrees that the firmware allows: base, left, right, and the sum of left and right.
LIMITS = ((0.0, 180.0), (0.0, 135.6), (0.0, 100.7), (10.0, 151.0))
STRINGS = {2201: "SwiftPro", 2202: "3.3.0", 2203: "V4.2.0", 2204: "V4.0.4", 2205: "0123456789AB"}
_WORDS = re.compile(r"(?:[A-Z][-+]?(?:\d+\.?\d*|\.\d+))+")
_WORD = re.compile(r"([A-Z])([-+]?(?:\d+\.?\d*|\.\d+))")


def legal(angles: Sequence[float] | None) -> bool:
    """Whether the firmware lets the motors go there.

    Args:
        angles: Base, left and right, rad; None out of reach.
    """
    if angles is None:
        return False
    degrees = [math.degrees(angle) for angle in angles]
    return all(low <= d <= high for d, (low, high) in zip((*degrees, degrees[1] + degrees[2]), LIMITS, strict=True))


class VirtualUArm:
    """The inside of the controller.

    Attributes:
        planner: Its joints by counted steps, rad: base, left, right.
        pump: Whether the pump is on.
        gripper: Whether the gripper is closed.
        hand: Angle of the servo that turns the tool, rad.
        attached: Whether the motors hold.
    """

    name = "uarm"
    baud_rate = 115_200

    def __init__(self) -> None:
        """Build it; it stands as on its rest."""
        self.planner = Planner(
            REST, top_speeds=[TOP_SPEED] * 3, accelerations=[ACCELERATION] * 3, corner_speed=math.radians(5.0)
        )
        self._true = list(REST)
        self._counted = list(REST)
        self._say: deque[bytes] = deque()
        self._intake = Intake()
        self.power_on()
        self._say.clear()

    def by_hand(self, angles: Sequence[float]) -> None:
        """Push the arm somewhere, which its step counters do not notice.

        Args:
            angles: Base, left and right, rad.
        """
        self._true[:] = angles

    @property
    def joints(self) -> tuple[float, ...]:
        """Where its joints are, as it counts them, the hand last, rad."""
        return (*self._true, self.hand)

    # ---- Controller

    def power_on(self) -> list[bytes]:
        """Start: steps are counted from what the encoders see, the motors hold."""
        self._row: deque[tuple[str, str]] = deque()
        self._answers: deque[str] = deque(maxlen=ROW)
        self.pump = self.gripper = False
        self.hand = math.pi / 2.0
        self.attached = True
        self._mode = 0
        self._tell_end = self._ran = False
        self._report_every = self._until_report = self._delay = 0.0
        self._feed = 1000.0
        self.planner.place(self._true)
        self._begin()
        self._say.append(b"@1\n")
        return self._said()

    def hear(self, data: bytes) -> list[bytes]:
        """Take bytes and return messages."""
        for byte in data:
            if byte == ord("?"):
                self._say.append(self._status())
            elif byte == ord("!"):
                self._hold = True
                self.planner.hold()
            elif byte == ord("~"):
                if not self.planner.speed:
                    self._hold = False
                    self.planner.go_on()
            elif byte == 0x18:
                if self.planner.speed:
                    self._say.append(b"ALARM: Abort during cycle\r\n")
                self._begin()
            elif byte == ord("@"):  # its safety door, which nobody closes: held until a reset
                self._hold = True
                self.planner.hold()
            else:
                self._intake.put(byte)
        self._work()
        return self._said()

    def passed(self) -> list[bytes]:
        """A period of the planner has passed: steps move the arm where the motors hold."""
        planner = self.planner
        if self.attached:
            for k, (now, before) in enumerate(zip(planner.positions, self._counted, strict=True)):
                self._true[k] += now - before
        self._counted = list(planner.positions)
        self._delay = max(self._delay - PERIOD, 0.0)
        if self._report_every:
            self._until_report -= PERIOD
            if self._until_report <= 0.0:
                self._until_report += self._report_every
                self._say.append(f"@3 {self._point()} R90.0000\n".encode("ascii"))
        self._work()
        return self._said()

    def _said(self) -> list[bytes]:
        said = list(self._say)
        self._say.clear()
        return said

    def _begin(self) -> None:
        self._hold = False
        self._intake.clear()
        self.planner.drop()
        self._counted = list(self.planner.positions)
        self._say.append(BANNER)

    def _status(self) -> bytes:
        state = "Hold" if self._hold else "Run" if self.planner.moving else "Idle"
        base, left, right = (math.degrees(angle) for angle in self.planner.positions)
        place = f"{left:.3f},{right:.3f},{base - 90.0:.3f}".replace("-0.000", "0.000")
        return f"<{state},MPos:{place},WPos:{place}>\r\n".encode("ascii")

    # ---- lines

    def _work(self) -> None:
        while not self._hold:
            if self._blocked():
                return
            line = self._intake.line()
            if line is not None:
                self._receive(line)
            if self._blocked():
                return
            if self._row and not self._delay:
                self._parse(*self._row.popleft())
            elif line is None:
                break
        if not self._hold and not self.planner.moving:
            self._say.extend(answer.encode("ascii") for answer in self._answers)
            self._answers.clear()
            if self._ran:
                self._ran = False
                if self._tell_end:
                    self._say.append(b"@9 V0\n")

    def _blocked(self) -> bool:
        """Whether the firmware waits for room in its planner, and reads nothing meanwhile."""
        return self.planner.lines >= BLOCKS and bool(self._row) and self._row[0][1].startswith("G")

    def _receive(self, line: str) -> None:
        number = ""
        if line == OVERFLOW:
            self._say.append(b"error: Line overflow\r\n")
            return
        if line.startswith("#"):
            number = re.match(r"#(\d*)", line).group(1)  # type: ignore[union-attr]
            line = line[1 + len(number) :]
        elif line[:1] not in {"G", "M", "P"} or not line:
            return
        head = f"${number} " if number else ""
        if line.startswith("P"):
            self._say.append(f"{head}{self._execute(line)}\n".encode("ascii"))
        elif len(self._row) >= ROW:
            self._say.append(b"E23 buffer full\r\n")
        else:
            self._row.append((head, line))

    def _parse(self, head: str, line: str) -> None:
        self._answers.append(f"{head}{self._execute(line)}\n")

    def _execute(self, line: str) -> str:
        if not _WORDS.fullmatch(line):
            return "E20"
        (letter, number), *rest = _WORD.findall(line)
        values = {name: float(value) for name, value in rest}
        code = float(number)
        if letter == "P":
            return self._query(int(code))
        if letter == "G":
            return self._motion(code, values)
        return self._setting(int(code), values) if letter == "M" else "E20"

    def _point(self, *, counted: bool = False) -> str:
        angles = self.planner.positions if counted else [round(a / ENCODER) * ENCODER for a in self._true]
        x, y, z = (value * 1e3 for value in point(*angles))
        return f"X{x:.4f} Y{y:.4f} Z{z:.4f}".replace("-0.0000", "0.0000")

    def _query(self, code: int) -> str:
        base, left, right = (math.degrees(angle) for angle in self.planner.positions)
        answers = {
            2200: f"B{base:.4f} L{left:.4f} R{right:.4f}",
            2220: self._point(),
            2231: f"V{int(self.pump)}",
            2232: f"V{int(self.gripper)}",
            2233: "V0",
            2234: "V1",
            2400: f"V{self._mode}",
            **STRINGS,
        }
        return f"ok {answers[code]}" if code in answers else "E20"

    def _motion(self, code: float, values: dict[str, float]) -> str:
        if code == 2004:
            self._delay = values.get("P", 0.0) * 1e-3
            return "ok" if "P" in values else "E21"
        x, y, z = (value * 1e3 for value in point(*self.planner.end))
        if code in {0, 1}:
            target = (values.get("X", x), values.get("Y", y), values.get("Z", z))
        elif code == 2204 and {"X", "Y", "Z", "F"} <= values.keys():
            target = (x + values["X"], y + values["Y"], z + values["Z"])
        elif code in {2201, 2205} and {"S", "R", "H", "F"} <= values.keys():
            near = code == 2205
            turn = math.radians(values["R"]) + (math.atan2(y, x) if near else -math.pi / 2.0)
            radius = values["S"] + (math.hypot(x, y) if near else 0.0)
            target = (radius * math.cos(turn), radius * math.sin(turn), values["H"] + (z if near else 0.0))
        elif code == 2202 and values.get("N") == 3.0 and "V" in values:
            self.hand = math.radians(min(max(values["V"], 0.0), 180.0))
            return "ok"
        elif code == 2202 and {"N", "V", "F"} <= values.keys() and values["N"] in {0.0, 1.0, 2.0}:
            angles = list(self.planner.end)
            angles[int(values["N"])] = math.radians(values["V"])
            self._feed = values["F"]
            return self._go(tuple(angles))
        else:
            return "E21" if code in {2201, 2202, 2204, 2205} else "E20"
        self._feed = values.get("F", self._feed) or self._feed
        return self._go(joints(*(value / 1e3 for value in target)))

    def _go(self, angles: tuple[float, ...] | None) -> str:
        if angles is None or not legal(angles):
            return "E22"
        way = math.dist(point(*self.planner.end), point(*angles)) * 1e3
        turn = math.dist(self.planner.end, angles)
        duration = way / self._feed * 60.0
        self.planner.add(angles, turn / duration if duration > 0.0 else math.inf)
        self._ran = True
        return "ok"

    def _setting(self, code: int, values: dict[str, float]) -> str:
        switch = values.get("V")
        if code in {17, 18, 2019}:
            self.attached = code == 17
        elif code in {2122, 2231, 2232}:
            if switch not in {0.0, 1.0}:
                return "E21"
            if code == 2122:
                self._tell_end, self._ran = bool(switch), False
            elif code == 2231:
                self.pump = bool(switch)
            else:
                self.gripper = bool(switch)
        elif code == 2120:
            if switch is None:
                return "E21"
            self._report_every = self._until_report = switch
        elif code == 2121:
            self._report_every = 0.0
        elif code == 2203:
            return f"ok V{int(self.attached)}" if values.get("N") in {0.0, 1.0, 2.0, 3.0} else "E21"
        elif code == 2222:
            if not {"X", "Y", "Z"} <= values.keys():
                return "E21"
            return f"ok V{int(legal(joints(values['X'] / 1e3, values['Y'] / 1e3, values['Z'] / 1e3)))}"
        elif code == 2400:
            if values.get("S") not in {0.0, 1.0, 2.0, 3.0}:
                return "E21"
            self._mode = int(values["S"])
        elif code not in {204, 2210, 2215, 2220, 2221, 2233, 2401, 2410, 2411}:
            return "E20"
        return "ok"


CONTROLLER = VirtualUArm
