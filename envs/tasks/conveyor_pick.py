"""ConveyorPick: take five parts off a running belt and set them into the slots of a tray.

Parts: five 24 mm blocks of 37 g (aluminium). A feeder puts them on the belt one after another, at random intervals,
turned and off the middle at random; the belt's encoder tells how fast it runs. Levels are nominal belt speeds in mm/s:
hobby servos do 50, industrial arms 150, whose tool may do 250; 350 is what Isaac Lab's conveyor task runs at. Success:
the belt is empty, at least four parts stand in their slots (10 mm and 20 degrees for servos, 6 mm and 10 degrees else),
let go of, and none was ever carried off the downstream end.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import cos, hypot, radians, sin
from typing import Any, ClassVar

import numpy as np

from ...robots.description import RobotDescription
from ...robots.features import Feature
from ...robots.observation import Field
from ...robots.state import Vector
from ...robots.success import Criterion
from ..body import Body, Box, Colour, Quaternion, Triple, about_z
from ..cell import Cell
from ..experts.skills import Handling, grip_action, look
from ..layout import ABSENT, Part, Seat
from ..many import PART_FEATURES, PartsTask, yaw_features
from ..options import number_option, rows_option
from ..parts.belt import Belt, carried_along, led
from ..parts.fixtures import tray
from ..task import Floats, TrueTool

COUNT = 5
ENOUGH = 4
WIDTH = 0.024  # m, edge of a part
MASS = 0.037  # kg, aluminium
TOP, BELT_WIDTH = 0.004, 0.046  # m
FLOOR, RIM, WALL = 0.001, 0.005, 0.003  # m, of the tray
OFF, TURN = 0.006, 0.30  # m and rad by which a part may lie off the middle of the belt and turned
SPREAD = 0.10  # share by which the belt may run slower or faster than its level says
LONGEST = 3.0  # s that the feeder may take longer than the least interval
FEED = {"pause in s": (0.0, LONGEST), "off in m": (-OFF, OFF), "turn in rad": (-TURN, TURN)}
DELAY = 1.5  # ticks, mean age of a reading, see `SenseNoise`
PALE: Colour = (0.88, 0.90, 0.88, 1.0)
GREEN: Colour = (0.55, 0.78, 0.66, 1.0)


class ConveyorPick(PartsTask):
    """Track, pick and place parts from a moving belt."""

    title = "take five parts off a running belt and set them into a tray"
    depth = 0.08
    horizon_s = 75.0
    levels = ("50", "80", "150", "250", "350")
    handling = Handling(open_by=0.016, release_by=0.014, travel=0.050, lift=0.046, slack=0.12, near=0.030)
    features = (*PART_FEATURES, *yaw_features(4), Feature("field", "belt_velocity"))
    tolerances: ClassVar[Mapping[str, tuple[float, float]]] = {
        "servo": (0.010, radians(20.0)),
        "lab": (0.006, radians(10.0)),
        "industrial": (0.006, radians(10.0)),
    }
    criteria: ClassVar[tuple[Criterion, ...]] = (
        Criterion(name="placed", at_least=True, weight=0.2, high=5.0),
        Criterion(name="to_come", weight=0.1, high=5.0),
        Criterion(name="lost", weight=1.0, high=5.0),
    )
    option_names = ("joint_positions", "belt_speed", "feed")

    @classmethod
    def default_level(cls, robot: RobotDescription) -> str:
        """As fast as the arm can follow with time left to grip."""
        return "50" if robot.tolerance == "servo" else "150"

    @property
    def nominal_speed(self) -> float:
        """Of the belt at this level, m/s."""
        return 0.001 * float(self.levels[self.level])

    @staticmethod
    def belt(robot: RobotDescription) -> Belt:
        """The belt in front of an arm: tangent to the arc of its reach, a little farther out than the middle."""
        reach = robot.reach
        x = reach.axis[0] + 0.5 * (reach.radius[0] + reach.radius[1]) + (0.02 if _short(robot) else 0.04)
        end = 0.19 if _short(robot) else 0.34
        return Belt(x=x, first=end, last=-0.16 if _short(robot) else -0.30, width=BELT_WIDTH, top=TOP, travel=36.0)

    @staticmethod
    def window(robot: RobotDescription) -> float:
        """How far up and down the belt from the middle the arm reaches, m."""
        return 0.095 if _short(robot) else 0.20

    def make_parts(self) -> tuple[Part, ...]:
        """Five blocks with a bright top."""
        h = 0.5 * WIDTH
        top = Box(half=(0.6 * h, 0.6 * h, 0.0004), at=(0.0, 0.0, h), colour=(0.98, 0.93, 0.80, 1.0), solid=False)
        return tuple(
            Part(name=f"part_{k}", size=(WIDTH,) * 3, mass=MASS, colour=(0.93, 0.50, 0.13, 1.0), marking=(top,))
            for k in range(COUNT)
        )

    def limits(self) -> tuple[float, ...]:
        """Four in the tray, none to come, none lost."""
        return float(ENOUGH), 0.0, 0.0

    def build(self, cell: Cell) -> None:
        """Belt, tray and parts."""
        self.line.build(cell)
        inner = (WIDTH + 0.016, (COUNT - 1) * self.pitch + WIDTH + 0.016)
        cell.add(tray("tray", inner=inner, wall=WALL, rim=RIM, floor=FLOOR, colour=(0.13, 0.40, 0.30, 1), ground=PALE))
        nests = [
            Box(half=(0.5 * WIDTH + 0.002, 0.5 * WIDTH + 0.002, 0.0002), at=(0.0, self._slot(k), 0.0), colour=GREEN,
                solid=False)
            for k in range(COUNT)
        ]  # fmt: skip
        cell.add(Body(name="slots", boxes=tuple(nests)))
        super().build(cell)

    @cached_property
    def line(self) -> Belt:
        """The belt in front of this arm."""
        return self.belt(self.robot)

    @property
    def pitch(self) -> float:
        """Between slots, m: fingers that close along the row need room in it."""
        return 0.034 if self.closing == 0.0 else 0.052

    def _slot(self, k: int) -> float:
        return (0.5 * (COUNT - 1) - k) * self.pitch

    def seats(self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]) -> Sequence[Seat]:
        """A row of slots beside the belt, on the arm's side."""
        belt = self.line
        x = belt.x - (0.065 if _short(self.robot) else 0.105)
        cell.place("tray", (x, 0.0, 0.0))
        cell.place("slots", (x, 0.0, FLOOR + 0.0002))
        return [(x, self._slot(k), FLOOR + 0.5 * WIDTH, self.closing) for k in range(COUNT)]

    def starts(
        self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]
    ) -> Sequence[tuple[Triple, Quaternion]]:
        """All parts still in the feeder; when and how each will come is drawn now."""
        feed = rng.uniform((0.0, -OFF, -TURN), (LONGEST, OFF, TURN), (COUNT, 3)).tolist()
        low, high = (1.0 - SPREAD) * self.nominal_speed, (1.0 + SPREAD) * self.nominal_speed
        speed = float(rng.uniform(low, high))
        if "belt_speed" in options:
            speed = number_option(options, "belt_speed", (low, high), "m/s at this level")
        if "feed" in options:
            feed = rows_option(options, "feed", COUNT, FEED)
        self.line.start(cell, speed)
        # The next part comes when the last one has had time to be taken away.
        least = 8.0 if _short(self.robot) else 4.5
        due = np.cumsum([0.3 * feed[0][0], *[least + pause for pause, _, _ in feed[1:]]]).tolist()
        self.memory.update(speed=speed, feed=feed, due=due, ticks=0, released=0, lost=[False] * COUNT)
        self.memory["present"] = [False] * COUNT
        return [((3.0 + k, 0.0, -50.0), about_z(0.0)) for k in range(COUNT)]

    def is_seated(self, k: int, position: Triple, orientation: Quaternion) -> bool:
        """In its slot and standing on the tray's floor."""
        return abs(position[2] - self.memory["seats"][k][2]) <= 0.003 and super().is_seated(k, position, orientation)

    def note(self, cell: Cell, truth: TrueTool) -> None:
        """Feed parts that are due, take away those that ran off the end, and turn to the part that is next."""
        memory, belt = self.memory, self.line
        memory["ticks"] += 1
        k = memory["released"]
        if k < COUNT and memory["ticks"] * self.dt >= memory["due"][k]:
            _, off, turn = memory["feed"][k]
            pose = (belt.x + off, belt.feed, TOP + 0.5 * WIDTH), about_z(self.closing + turn)
            cell.place(self.parts[k].name, *pose)
            memory["present"][k] = True
            memory["released"] = k + 1
            memory["poses"][k] = self._poses[k] = pose
        for k, (position, _) in enumerate(self._poses):
            if memory["present"][k] and (belt.left(position) or position[2] < 0.0):
                cell.place(self.parts[k].name, (3.0 + k, 0.0, -50.0))
                memory["present"][k] = memory["seated"][k] = False
                memory["lost"][k] = True
                memory["poses"][k] = self._poses[k] = ABSENT
        at = self._poses[memory["current"]][0]
        busy = memory["present"][memory["current"]] and hypot(at[0] - self._tool[0], at[1] - self._tool[1]) < 0.040
        if not busy:
            memory["current"] = self.choose(cell, memory["seated"])

    def choose(self, cell: Cell, seated: Sequence[bool]) -> int:
        """What rides comes first, the farthest first; then what lies about; then what is to come."""
        memory, belt = self.memory, self.line
        open_ = [k for k in range(COUNT) if not seated[k] and not memory["lost"][k]]
        here = [k for k in open_ if memory["present"][k]]
        riding = [k for k in here if belt.carries(self._poses[k][0], WIDTH)]
        ranks = (riding, here, open_)
        current: int = memory["current"]
        return next((rank[0] for rank in ranks if rank), current)

    def sensed_fields(self) -> tuple[Field, ...]:
        """The parts, and what the belt's encoder tells."""
        return (
            *super().sensed_fields(),
            Field(name="belt_velocity", size=3, unit="m/s", low=-1.0, high=1.0, source="job"),
        )

    def sensed(self, cell: Cell) -> dict[str, Vector]:
        """What is there; a part that is still to come is told to be at the feeder."""
        k = self.memory["current"]
        values = super().sensed(cell)
        values["belt_velocity"] = (0.0, -self.memory["speed"], 0.0)
        if not self.memory["present"][k]:
            belt = self.line
            values["part_position"] = (belt.x, belt.first, TOP + 0.5 * WIDTH)
            values["part_yaw"] = (sin(self.symmetry * self.closing), cos(self.symmetry * self.closing))
        return values

    def measure(self, cell: Cell, seated: Sequence[bool]) -> tuple[float, ...]:
        """Parts in their slots, parts on the belt or in the feeder, parts lost."""
        memory, belt = self.memory, self.line
        riding = sum(
            here and belt.carries(at, WIDTH) for (at, _), here in zip(self._poses, memory["present"], strict=True)
        )
        return float(sum(seated)), float(COUNT - memory["released"] + riding), float(sum(memory["lost"]))

    @classmethod
    def expert(cls, robot: RobotDescription, fields: Mapping[str, Floats]) -> Floats:
        """Wait where the part will come, ride along with it, take it, set it down."""
        belt, window = cls.belt(robot), cls.window(robot)
        part = fields["part_position"]
        riding = (np.abs(part[:, 0] - belt.x) < 0.5 * BELT_WIDTH + 0.010) & (part[:, 2] < TOP + WIDTH)
        seen = led(fields, seconds=DELAY / robot.control_rate_hz, riding=riding)
        grip = look(robot, seen, width=fields["part_width"][:, 0], symmetry=cls.symmetry, handling=cls.handling)
        # A held part is where the hand has it, however old its reading.
        seen = led(fields, seconds=DELAY / robot.control_rate_hz, riding=riding & ~grip.held)
        early = riding & (seen["part_position"][:, 1] > window)
        wait = seen["part_position"].copy()
        wait[:, 1] = np.minimum(wait[:, 1], window)
        wait[:, 2] += 0.030
        seen["part_position"] = np.where(early[:, None], wait, seen["part_position"])
        action = super().expert(robot, seen)
        low = np.clip(1.0 - (fields["tcp_position"][:, 2] - TOP - 0.5 * WIDTH - 0.010) / 0.010, 0.0, 1.0)
        share = np.where(grip.held, low, 1.0) * (riding & ~early)
        action = carried_along(robot, action, fields["belt_velocity"] * share[:, None])
        opened = grip_action(robot, fields["part_width"][:, 0] + cls.handling.open_by)
        action[:, 4] = np.where(early, opened, action[:, 4])
        return action


def _short(robot: RobotDescription) -> bool:
    """Whether the arm is a desktop one."""
    return robot.reach.radius[1] < 0.3
