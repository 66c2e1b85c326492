"""MachineTend: open a machine's hood, take the finished part out, put a raw one in, shut the hood, press start.

Parts: two 24 mm blocks of 37 g (aluminium): a finished one in the vice, a raw one in an infeed nest where it may lie
a few millimetres off and turned. The machine's controller tells how far the hood is open and what is to be done next.
Success: the raw part in the vice within 4 mm and 8 degrees (servo), 3 mm and 5 degrees (lab) or 2 mm and 3 degrees
(industrial), the finished part within 6 mm and 10 degrees of its place in the outfeed, both let go of; the hood within
2 mm of shut; the machine started. Forbidden, and never made good: a hand under the hood before it is open, start
pressed with the hood open or without a raw part in the vice, the hood opened on a running machine. Nests are probed
from near, so parts are known twice as well as elsewhere.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import cos, dist, pi, radians, sin
from typing import Any, ClassVar

import numpy as np

from ...robots.description import RobotDescription
from ...robots.features import Feature
from ...robots.observation import Field
from ...robots.state import Vector
from ...robots.success import Criterion
from ..body import Body, Box, Colour, Quaternion, Triple, about_z, yaw_and_tilt
from ..cell import Cell
from ..experts.pushing import press, push, rise
from ..experts.skills import Handling, transfer
from ..layout import Part, Seat
from ..many import PART_FEATURES, PartsTask, yaw_features
from ..options import rows_option
from ..parts.machine import BUTTON_TOP, CLEAR, OPENED, POST, POST_AT, PRESSED, SHUT, STROKE, VICE, Machine
from ..task import Floats, SenseNoise, TrueTool

STEPS = ("open", "unload", "load", "close", "start", "done")
WIDTH = 0.024  # m, edge of a part
MASS = 0.037  # kg, aluminium
OUT_WITHIN = (0.006, radians(10.0))  # m and rad, for the finished part
PLATE = 0.001  # m, of the trays
SHIFT = 0.006  # m by which the machine may stand off its nominal place
OFF, TURN = 0.005, 0.25  # m and rad by which the raw part may lie off
PUSH_AT, PASS_AT = 0.052, 0.080  # m, height of the TCP when it pushes the post and when it passes over it
SPEED = 0.06  # m/s with which the hood is pushed
COLUMNS = {"x in m": (-SHIFT, SHIFT), "y in m": (-SHIFT, SHIFT)}
RAW = {"x in m": (-OFF, OFF), "y in m": (-OFF, OFF), "turn in rad": (-TURN, TURN)}


class MachineTend(PartsTask):
    """Serve a machine with an interlocked hood."""

    title = "open a machine, change the finished part for a raw one, shut it and press start"
    robots = ("panda", "so101", "ur5e")
    depth = 0.08
    horizon_s = 40.0
    noise = SenseNoise(position_bias=0.0005, position_noise=0.0003, yaw_bias=0.005, yaw_noise=0.003)
    handling = Handling(
        open_by=0.012,
        release_by=0.012,
        travel=0.078,
        lift=0.058,
        slack=0.12,
        retreat=0.060,
        seat_within=0.002,
        gain=0.12,
        slip=0.010,
    )
    features = (
        *PART_FEATURES,
        *yaw_features(4),
        Feature("field", "machine_step"),
        Feature("field", "hood_position"),
        Feature("difference", "post_position", "tcp_position"),
        Feature("local_difference", "post_position", "tcp_position"),
        Feature("difference", "button_position", "tcp_position"),
        Feature("local_difference", "button_position", "tcp_position"),
    )
    tolerances: ClassVar[Mapping[str, tuple[float, float]]] = {
        "servo": (0.004, radians(8.0)),
        "lab": (0.003, radians(5.0)),
        "industrial": (0.002, radians(3.0)),
    }
    criteria: ClassVar[tuple[Criterion, ...]] = (
        Criterion(name="placed", at_least=True, weight=0.2, high=2.0),
        Criterion(name="hood_m", unit="m", weight=1.0, high=1.0),
        Criterion(name="started", at_least=True, weight=0.3, high=1.0),
        Criterion(name="violations", weight=1.0, high=3.0),
    )
    option_names = ("joint_positions", "machine_shift", "raw_part")

    @staticmethod
    def layout(robot: RobotDescription) -> tuple[float, tuple[float, float], tuple[float, float], tuple[float, float]]:
        """Turn of the machine in rad, and where infeed, outfeed and button are in its frame, m.

        Desktop arms close outward: hood and nests follow one another along the arc. The others close along the arc.
        """
        if robot.reach.radius[1] < 0.3:
            return 0.0, (0.0, -0.072), (0.0, -0.114), (0.0, 0.122)
        return -0.5 * np.pi, (-0.125, 0.0), (0.125, 0.0), (0.0, -0.085)

    @cached_property
    def machine(self) -> Machine:
        """Where it nominally stands."""
        turn, _, _, button = self.layout(self.robot)
        x, y, _ = self.around(0.0, 0.0)
        return Machine(frame=(x, y, 0.0, turn), button=button)

    def make_parts(self) -> tuple[Part, ...]:
        """The finished part, turned bright with a bore, and the raw one."""
        h = 0.5 * WIDTH
        bore = Box(half=(0.4 * h, 0.4 * h, 0.0004), at=(0.0, 0.0, h), colour=(0.15, 0.16, 0.18, 1.0), solid=False)
        size = (WIDTH, WIDTH, WIDTH)
        return (
            Part(name="finished", size=size, mass=MASS, colour=(0.86, 0.88, 0.92, 1.0), marking=(bore,)),
            Part(name="raw", size=size, mass=MASS, colour=(0.72, 0.45, 0.22, 1.0)),
        )

    def limits(self) -> tuple[float, ...]:
        """Both parts in place, hood shut, started, nothing forbidden."""
        return 2.0, SHUT, 1.0, 0.0

    def build(self, cell: Cell) -> None:
        """Machine, nests and parts."""
        cell.add(
            self.machine.body(WIDTH, self.success.position_tolerance, open_sides=self.robot.gripper.approach > 0.0)
        )
        for name, colour in (("infeed", (0.80, 0.66, 0.50, 1.0)), ("outfeed", (0.62, 0.74, 0.86, 1.0))):
            half = 0.5 * WIDTH + 0.007
            frame: Colour = (0.6 * colour[0], 0.6 * colour[1], 0.6 * colour[2], 1.0)
            plate = Box(half=(half, half, 0.5 * PLATE), at=(0.0, 0.0, 0.5 * PLATE), colour=frame)
            place = Box(half=(0.5 * WIDTH, 0.5 * WIDTH, 0.0002), at=(0.0, 0.0, PLATE), colour=colour, solid=False)
            cell.add(Body(name=name, boxes=(plate, place)))
        super().build(cell)

    def seats(self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]) -> Sequence[Seat]:
        """The outfeed for the finished part, the vice for the raw one."""
        shift = rng.uniform(-SHIFT, SHIFT, 2).tolist()
        if "machine_shift" in options:
            shift = rows_option({"machine_shift": [options["machine_shift"]]}, "machine_shift", 1, COLUMNS)[0]
        x, y, _, turn = self.machine.frame
        self._stood = Machine(frame=(x + shift[0], y + shift[1], 0.0, turn), button=self.machine.button)
        self._stood.place(cell)
        _, infeed, outfeed, _ = self.layout(self.robot)
        cell.place("infeed", self._stood.point(*infeed), about_z(turn))
        cell.place("outfeed", self._stood.point(*outfeed), about_z(turn))
        return [
            (*self._stood.point(*outfeed, PLATE + 0.5 * WIDTH), turn),
            (*self._stood.point(0.0, 0.0, VICE + 0.5 * WIDTH), turn),
        ]

    def starts(
        self, cell: Cell, rng: np.random.Generator, options: Mapping[str, Any]
    ) -> Sequence[tuple[Triple, Quaternion]]:
        """The finished part somewhere in the vice's clearance, the raw one about its nest."""
        room = 0.7 * self.success.position_tolerance
        dx, dy = rng.uniform(-room, room, 2).tolist()
        off = rng.uniform((-OFF, -OFF, -TURN), (OFF, OFF, TURN)).tolist()
        if "raw_part" in options:
            off = list(rows_option({"raw_part": [options["raw_part"]]}, "raw_part", 1, RAW)[0])
        machine, (turn, infeed, _, _) = self._stood, self.layout(self.robot)
        self.memory.update(frame=machine.frame, step=0, started=False, broken=[False, False, False], hood=0.0)
        return [
            (machine.point(dx, dy, VICE + 0.5 * WIDTH), about_z(turn)),
            (machine.point(infeed[0] + off[0], infeed[1] + off[1], PLATE + 0.5 * WIDTH), about_z(turn + off[2])),
        ]

    def is_seated(self, k: int, position: Triple, orientation: Quaternion) -> bool:
        """The raw part by the tolerances, the finished one on its place in the outfeed."""
        if k == 1:
            return super().is_seated(k, position, orientation)
        x, y, z, yaw = self.memory["seats"][k]
        seen, tilt = yaw_and_tilt(orientation, self.symmetry)
        turn = abs((seen - yaw + 0.25 * pi) % (0.5 * pi) - 0.25 * pi)
        return dist(position, (x, y, z)) <= OUT_WITHIN[0] and max(turn, tilt) <= OUT_WITHIN[1]

    def note(self, cell: Cell, truth: TrueTool) -> None:
        """The machine's controller: interlocks, start, and what is to be done next."""
        memory = self.memory
        machine = Machine(frame=memory["frame"], button=self.machine.button)
        hood, _ = cell.mover("machine", "hood")
        pressed = cell.mover("machine", "button")[0] >= PRESSED
        memory["hood"] = hood
        seated, broken = memory["seated"], memory["broken"]
        inside = machine.inside(truth.measured.position)
        ready = hood <= SHUT and seated[1] and not machine.inside(self._poses[0][0])
        broken[0] = broken[0] or (inside and hood < CLEAR)
        broken[1] = broken[1] or (pressed and not ready and not memory["started"])
        broken[2] = broken[2] or (memory["started"] and hood > SHUT)
        memory["started"] = memory["started"] or (pressed and ready)
        if memory["started"]:
            memory["step"] = 5
        elif all(seated) and not inside:
            memory["step"] = 4 if hood <= 0.5 * SHUT else 3
        elif hood < (CLEAR if memory["step"] in (1, 2) else OPENED):
            memory["step"] = 0
        else:
            memory["step"] = 1 + memory["current"]

    def sensed_fields(self) -> tuple[Field, ...]:
        """The parts and what the machine tells: where it is, its button, and the post by which its hood is pushed."""
        return (
            *super().sensed_fields(),
            Field(name="machine_step", size=len(STEPS), unit="1", low=0.0, high=1.0, source="job"),
            Field(name="machine_position", size=2, unit="m", low=-2.0, high=2.0, source="job"),
            Field(name="hood_position", size=1, unit="m", low=-0.1, high=0.2, source="job"),
            Field(name="post_position", size=3, unit="m", low=-2.0, high=2.0, source="job"),
            Field(name="button_position", size=3, unit="m", low=-2.0, high=2.0, source="job"),
        )

    def sensed(self, cell: Cell) -> dict[str, Vector]:
        """What is there and what the machine tells."""
        memory = self.memory
        turn, _, _, at = self.layout(self.robot)
        x, y = memory["frame"][:2]
        hood = memory["hood"]
        return {
            **super().sensed(cell),
            "machine_step": tuple([1.0 if k == memory["step"] else 0.0 for k in range(len(STEPS))]),
            "machine_position": (x, y),
            "hood_position": (hood,),
            "post_position": (x - hood * sin(turn), y + hood * cos(turn), POST_AT),
            "button_position": (
                x + at[0] * cos(turn) - at[1] * sin(turn),
                y + at[0] * sin(turn) + at[1] * cos(turn),
                BUTTON_TOP,
            ),
        }

    def measure(self, cell: Cell, seated: Sequence[bool]) -> tuple[float, ...]:
        """Parts in place, opening of the hood, whether it was started, kinds of violations."""
        memory = self.memory
        hood = min(max(memory["hood"], 0.0), 1.0)
        return float(sum(seated)), hood, float(memory["started"]), float(sum(memory["broken"]))

    def show(self, cell: Cell, row: Mapping[str, Floats]) -> None:
        """Parts, machine and hood as they were told."""
        super().show(cell, row)
        frame = (*row["machine_position"].tolist(), 0.0, self.machine.frame[3])
        Machine(frame=frame, button=self.machine.button).place(cell)
        cell.set_mover("machine", "hood", float(row["hood_position"][0]))

    @classmethod
    def expert(cls, robot: RobotDescription, fields: Mapping[str, Floats]) -> Floats:
        """Do what the machine says is next."""
        turn = cls.layout(robot)[0]
        hood, step = fields["hood_position"][:, 0], fields["machine_step"] > 0.5
        post, button = fields["post_position"], fields["button_position"]
        along = np.array([-sin(turn), cos(turn), 0.0])
        closing = step[:, 3]
        way = np.where(closing, -1.0, 1.0)[:, None] * along
        left = np.where(closing, hood, STROKE - hood)
        pushed = push(
            robot, fields, post=post, direction=way, half=POST[1], low=PUSH_AT, high=PASS_AT, left=left, speed=SPEED
        )
        pressed = press(robot, fields, button=button, high=PASS_AT, speed=0.03)
        rest = rise(robot, fields, PASS_AT)
        # In the vice the jaws hold a part to its seat once it is low enough; the outfeed asks for less.
        position, angle = cls.tolerances[robot.tolerance]
        position *= 1.0 if robot.gripper.approach > 0.0 else 2.0
        action = transfer(
            robot,
            fields,
            width=fields["part_width"][:, 0],
            symmetry=cls.symmetry,
            position_tolerance=np.where(
                step[:, 1], OUT_WITHIN[0], (1.0 if robot.gripper.approach > 0.0 else 1.5) * position
            ),
            angle_tolerance=np.where(step[:, 1], OUT_WITHIN[1], angle),
            handling=cls.handling,
            let_be=fields["part_seated"][:, 0] > 0.5,
        )
        # Fingers that were closed to push must be open before they come down around a part.
        away = np.linalg.norm(fields["part_position"] - fields["tcp_position"], axis=1) > 0.028
        narrow = away & (fields["gripper_opening"][:, 0] < WIDTH + cls.handling.open_by - 0.003)
        action[:, 2] = np.where(narrow, np.maximum(action[:, 2], 0.0), action[:, 2])
        for chosen, instead in ((step[:, 0] | closing, pushed), (step[:, 4], pressed), (step[:, 5], rest)):
            action = np.where(chosen[:, None], instead, action)
        return action
