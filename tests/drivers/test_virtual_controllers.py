"""Virtual controllers answer as their firmware does: limits, queues, alarms, holds, restarts and wire time."""

import math
import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genba.drivers.language import Kind
from genba.drivers.protocols import language_names, load_language
from genba.drivers.protocols._dobot_frames import frame
from genba.drivers.virtual.controller import Controller, ControllerLine, load_controller
from genba.drivers.virtual.grbl import VirtualGrbl
from genba.drivers.virtual.marlin import VirtualMarlin
from genba.drivers.virtual.planner import PERIOD, Planner
from genba.drivers.virtual.uarm import VirtualUArm

every = pytest.mark.parametrize("name", language_names())


class Wire:
    """A virtual controller that is talked to by hand."""

    def __init__(self, controller: Controller) -> None:
        self.line = ControllerLine(controller)
        self.line.take(0.1)

    def ask(self, data: bytes | str, wait: float = 0.1) -> bytes:
        self.line.receive(data.encode() if isinstance(data, str) else data, self.line.now)
        end = self.line.now + wait
        heard = b""
        while self.line.now < end:
            heard += self.line.take(min(self.line.now + 0.5, end))
        return heard

    def lines(self, data: bytes | str, wait: float = 0.1) -> list[str]:
        return self.ask(data, wait).decode().split("\r\n" if isinstance(self.line.controller, VirtualGrbl) else "\n")


@pytest.fixture
def grbl() -> Wire:
    return Wire(VirtualGrbl())


@pytest.fixture
def marlin() -> Wire:
    return Wire(VirtualMarlin())


@pytest.fixture
def uarm() -> Wire:
    return Wire(VirtualUArm())


@pytest.fixture
def dobot() -> Wire:
    return Wire(load_controller("dobot"))


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("\n", "ok"), ("G21\n", "ok"), ("g1 x1 (a) f600 ; b\n", "ok"), ("N5 T1\n", "ok"), ("M3 S500\n", "ok"),
        ("?1\n", "error:1"), ("GX\n", "error:2"), ("$Q\n", "error:3"), ("$100=-1\n", "error:4"), ("$H\n", "error:5"),
        ("$20=1\n", "error:10"), (f"G1{'X' * 90}\n", "error:11"), ("$J X1 F1\n", "error:16"),
        ("$J=M3 F1\n", "error:16"), ("G99\n", "error:20"), ("M6\n", "error:20"), ("G1 A1 F1\n", "error:20"),
        ("G0 G1 X1\n", "error:21"),
        ("G1 X1\n", "error:22"), ("$J=X1\n", "error:22"), ("G93 G1 X1\n", "error:22"), ("G1 X1 X2 F1\n", "error:25"),
        ("$J=G90 F1\n", "error:26"), ("G4\n", "error:28"),
    ],
)  # fmt: skip
def test_every_line_gets_one_answer_from_grbl(grbl: Wire, asked: str, answer: str) -> None:
    lines = [line for line in grbl.lines(asked) if line and not line.startswith("<")]
    assert lines == [answer]


def test_grbl_prints_settings_as_it_keeps_them_and_reports_as_they_say(grbl: Wire) -> None:
    assert grbl.lines("?") == ["<Idle|MPos:0.000,0.000,0.000|FS:0,0|WCO:0.000,0.000,0.000>", ""]
    assert grbl.lines("?") == ["<Idle|MPos:0.000,0.000,0.000|FS:0,0|Ov:100,100,100>", ""]
    assert grbl.lines("$10=3\n") == ["ok", ""]
    assert grbl.lines("?") == ["<Idle|MPos:0.000,0.000,0.000|Bf:15,128|FS:0,0>", ""]
    printed = grbl.lines("$$\n")
    assert {"$10=3", "$20=0", "$100=250.000", "$132=200.000", "ok"} <= set(printed)
    assert grbl.lines("$I\n") == ["[VER:1.1h.20190825:]", "[OPT:V,15,128]", "ok", ""]


def test_grbl_holds_resumes_and_reads_nothing_meanwhile(grbl: Wire) -> None:
    grbl.ask("G1 X90 F3000\n")
    assert grbl.lines("!?", 0.03)[0].startswith("<Hold:1|")
    grbl.ask("", 0.1)
    assert grbl.lines("?")[0].startswith("<Hold:0|")
    assert grbl.lines("G21\n") == [""]
    assert grbl.lines("~", 0.01) == ["ok", ""]
    assert grbl.lines("?")[0].startswith("<Run|")
    grbl.ask("", 3.0)
    assert "MPos:90.000," in grbl.lines("?")[0]


def test_a_reset_of_grbl_costs_the_position_only_while_it_moves(grbl: Wire) -> None:
    grbl.ask("G1 X90 F3000\n")
    assert grbl.lines("\x18") == ["ALARM:3", "", "Grbl 1.1h ['$' for help]", "[MSG:'$H'|'$X' to unlock]", ""]
    assert grbl.lines("G1 X0 F100\n") == ["error:9", ""]
    assert grbl.lines("$J=X0 F100\n") == ["error:8", ""]
    assert grbl.lines("$X\n") == ["[MSG:Caution: Unlocked]", "ok", ""]
    assert grbl.lines("\x18") == ["", "Grbl 1.1h ['$' for help]", ""]


def test_grbl_jogs_are_refused_outside_the_limits_where_motions_alarm(grbl: Wire) -> None:
    assert isinstance(grbl.line.controller, VirtualGrbl)
    grbl.line.controller.settings[20] = 1.0
    assert grbl.lines("$J=G90 X1 F100\n") == ["error:15", ""]
    assert grbl.lines("$J=G91 X-10 F600\n") == ["ok", ""]
    assert grbl.lines("?", 0.01)[0].startswith("<Jog|")
    assert grbl.lines(b"\x85?", 0.3)[0].startswith("<Jog|")
    assert grbl.lines("?")[0].startswith("<Idle|")
    assert grbl.lines("G0 X1\n") == ["ALARM:2", "[MSG:Reset to continue]", ""]
    assert grbl.lines("?$X\n") == [""]
    assert "[MSG:'$H'|'$X' to unlock]" in grbl.lines("\x18")


def test_grbl_must_be_homed_where_that_is_set() -> None:
    wire = Wire(VirtualGrbl(homing=True, soft_limits=True))
    assert wire.lines("G0 X-1\n") == ["error:9", ""]
    assert wire.lines("$H\n", 0.1) == [""]
    assert wire.lines("?", 0.05) == [""]
    assert wire.lines("", 10.0) == ["ok", ""]
    assert "<Idle|MPos:-1.000,-1.000,-1.000|" in wire.lines("?")[0]


def test_grbl_answers_when_its_planner_has_room(grbl: Wire) -> None:
    program = b"".join(b"G1 X%d F60\n" % (k % 2) for k in range(1, 12))
    assert grbl.ask(program, 0.2).count(b"ok") == 11
    assert grbl.ask(program, 0.2).count(b"ok") == 4
    assert grbl.ask("", 2.0).count(b"ok") in {1, 2, 3}


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("M400\n", ["ok"]), ("\n", []), ("M105\n", ["ok T:0"]), ("M118 #25\n", ["#25", "ok"]),
        ("M118 E1 hello\n", ["echo:hello", "ok"]),
        ("M114\n", ["X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0", "ok"]),
        ("g1 X1\n", ['echo:Unknown command: "g1 X1"', "ok"]),
        ("M9999 ; no such\n", ['echo:Unknown command: "M9999"', "ok"]), ("M410\n", []), ("N3 T0*57\n",
         ["Error:Line Number is not Last Line Number+1, Last Line: 0", "Resend: 1", "ok"]),
        ("N1 M400\n", ["Error:No Checksum with line number, Last Line: 0", "Resend: 1", "ok"]),
        ("N1 M400*1\n", ["Error:checksum mismatch, Last Line: 0", "Resend: 1", "ok"]),
        ("N0 M110 N41*72\nM400\n", ["ok", "ok"]), ("M999\n", ["Resend: 1", "ok", "ok"]), ("M999 S1\n", ["ok"]),
        ("M211\n", ["echo:Soft endstops: On  Min:  X-180.00 Y-180.00 Z-180.00   Max:  X180.00 Y180.00 Z180.00", "ok"]),
    ],
)  # fmt: skip
def test_every_line_is_obeyed_or_asked_for_again_by_marlin(marlin: Wire, asked: str, answer: list[str]) -> None:
    assert marlin.lines(asked) == [*answer, ""]


def test_marlin_says_what_it_is_and_how_it_is_set(marlin: Wire) -> None:
    assert marlin.lines("M115\n")[0].startswith("FIRMWARE_NAME:Marlin 2.1.2 ")
    assert marlin.lines("M92 X80 Y80\nM503\n")[1:3] == ["echo:; Steps per unit:", "echo: M92 X80.00 Y80.00 Z250.00"]
    assert "Cap:EMERGENCY_PARSER:1" in marlin.lines("M115\n")
    powered = marlin.line.controller.power_on()
    assert powered[0] == b"start\n"


def test_marlin_tells_apart_where_it_is_and_where_it_was_told_to_go(marlin: Wire) -> None:
    assert marlin.lines("G1 X90 F3000\n", 0.05) == ["ok", ""]
    real, _, planned, *_ = marlin.lines("M114 R\nM114\n", 0.02)
    assert real.startswith("X:0.00 ")  # a first motion waits for others
    assert planned == "X:90.00 Y:0.00 Z:0.00 E:0.00 Count X:22500 Y:0 Z:0"
    marlin.ask("", 1.0)
    (real, *_) = marlin.lines("M114 R\n", 0.02)
    assert 20.0 < float(real[2:].split()[0]) < 70.0
    assert marlin.lines("M400\n", 0.5) == [""]
    assert marlin.lines("M118 late\n", 2.0) == ["ok", "late", "ok", ""]
    assert marlin.lines("M114 R\n")[0] == planned
    blind = Wire(VirtualMarlin(realtime=False))
    blind.ask("G1 X90 F3000\n", 0.5)
    assert blind.lines("M114 R\n")[0] == planned


def test_marlin_stops_dead_for_a_second_and_then_stands_where_it_is(marlin: Wire) -> None:
    marlin.ask("G1 X90 F3000\nG1 X0\n", 1.0)
    assert marlin.lines("N7 M410*1\nM114\n", 0.9) == ["Error:Line Number is not Last Line Number+1, Last Line: 0",
                                                       "Resend: 1", "ok", ""]  # fmt: skip
    marlin.ask("", 0.2)
    stands = marlin.line.controller.planner.positions[0]
    assert 20.0 < stands < 70.0
    assert marlin.lines("M114\n")[0].startswith(f"X:{stands:.2f} ")
    assert not marlin.line.controller.planner.moving


def test_marlin_homes_in_its_own_time_and_then_keeps_its_soft_endstops(marlin: Wire) -> None:
    assert marlin.lines("G1 X200 F18000\nM400\n", 3.0) == ["ok", "ok", ""]  # they count only once it is homed
    assert "X:200.00" in marlin.lines("M114 R\n")[0]
    assert marlin.lines("G28\nM118 homed\n", 3.0) == ["echo:busy: processing", ""]
    *_, place, done, said, _, _ = marlin.lines("", 8.0)
    assert (place, done, said) == (
        "X:-180.00 Y:-180.00 Z:-180.00 E:0.00 Count X:-45000 Y:-45000 Z:-45000",
        "ok",
        "homed",
    )
    marlin.ask("G1 X-200 Y900 F18000\n", 5.0)
    assert marlin.line.controller.planner.positions[:2] == [-180.0, 180.0]
    marlin.ask("M211 S0\nG1 X-200\n", 5.0)
    assert marlin.line.controller.planner.positions[0] == -200.0


@pytest.mark.parametrize(
    ("asked", "cause"), [("G1 X90 F600\nM112\n", "M112 Shutdown"), ("G28\nM410\n", "Homing Failed")]
)
def test_a_marlin_that_is_killed_hears_nothing_until_it_is_switched_on_again(
    marlin: Wire, asked: str, cause: str
) -> None:
    assert marlin.lines(asked, 1.5)[-3:] == [f"echo:{cause}", "Error:Printer halted. kill() called!", ""]
    assert isinstance(marlin.line.controller, VirtualMarlin)
    assert not marlin.line.controller.attached
    assert marlin.lines("M999\nM114\n") == [""]
    assert marlin.line.controller.power_on()[0] == b"start\n"
    assert marlin.lines("M400\n") == ["ok", ""]


def test_a_marlin_that_stopped_refuses_motions_until_it_is_told_to_go_on(marlin: Wire) -> None:
    assert isinstance(marlin.line.controller, VirtualMarlin)
    marlin.line.controller.stop()
    (refused, *rest) = marlin.lines("G1 X90 F3000\n", 1.0)
    assert refused.startswith("Error:Printer stopped due to errors.")
    assert (rest, marlin.line.controller.planner.positions[0]) == (["ok", ""], 0.0)
    marlin.ask("M999 S1\nG1 X90\n", 4.0)
    assert marlin.line.controller.planner.positions[0] == 90.0


def test_the_motors_of_marlin_let_go_after_two_minutes_unless_that_is_forbidden(marlin: Wire) -> None:
    assert isinstance(marlin.line.controller, VirtualMarlin)
    marlin.ask("M17\n", 119.0)
    assert marlin.line.controller.attached
    marlin.ask("", 2.0)
    assert not marlin.line.controller.attached
    marlin.ask("M84 S0\nM17\n", 200.0)
    assert marlin.line.controller.attached
    marlin.ask("M84\n")
    assert not marlin.line.controller.attached


def test_the_uarm_answers_motions_when_it_stands_and_questions_at_once(uarm: Wire) -> None:
    assert uarm.lines("#25 G0 X180 Y0 Z150 F5000\n") == [""]
    assert uarm.lines("#26 P2203\n") == ["$26 ok V4.2.0", ""]
    assert uarm.lines("", 3.0) == ["$25 ok", ""]
    (answer, _) = uarm.lines("#27 P2220\n")
    assert [float(word[1:]) for word in answer.split()[2:]] == pytest.approx([180.0, 0.0, 150.0], abs=0.3)
    assert uarm.lines("#1 P2200\n#2 P2231\n#3 M2231 V1\n#4 P2231\n")[1:] == ["$2 ok V0", "$3 ok", "$4 ok V1", ""]
    assert uarm.lines("#5 M2122 V1\n#6 G2204 X0 Y0 Z-10 F5000\n", 1.0) == ["$5 ok", "$6 ok", "@9 V0", ""]


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("#1 G0 X1000 Y0 Z0 F1000\n", "$1 E22"), ("#2 M2231 V5\n", "$2 E21"), ("#3 M2500\n", "$3 E20"),
        ("#4 P9999\n", "$4 E20"), ("#5 G2202 N0\n", "$5 E21"), ("#6 M2222 X180 Y0 Z150 P0\n", "$6 ok V1"),
        ("#7 M2222 X900 Y0 Z150 P0\n", "$7 ok V0"), ("#8 M2203 N0\n", "$8 ok V1"), ("P2400\n", "ok V0"),
        ("M17\n", "ok"), ("hello\n", ""), ("#9 X\n", "$9 E20"),
    ],
)  # fmt: skip
def test_the_uarm_refuses_by_number(uarm: Wire, asked: str, answer: str) -> None:
    assert uarm.lines(asked)[0] == answer


def test_a_reset_of_the_uarm_forgets_its_planner_but_not_the_lines_behind_it(uarm: Wire) -> None:
    far, near = "G0 X250 Y0 Z150 F300\n", "G0 X249 Y0 Z150 F300\n"
    for k in range(1, 20):
        uarm.ask(f"#{k} {near if k % 2 else far}", 0.02)
    assert isinstance(uarm.line.controller, VirtualUArm)
    waiting = len(uarm.line.controller._row)
    assert uarm.line.controller.planner.lines == 17
    assert waiting
    assert b"Grbl 0.9j" in uarm.ask("!", 0.5) + uarm.ask("\x18", 0.02)
    assert uarm.line.controller.planner.lines == waiting


def test_more_than_twenty_answers_of_the_uarm_are_lost(uarm: Wire) -> None:
    uarm.ask("#1 G0 X250 Y0 Z150 F600\n", 0.05)
    for k in range(2, 26):
        uarm.ask(f"#{k} M2232 V1\n", 0.02)
    answers = uarm.lines("", 20.0)
    assert answers[:-1] == [f"${k} ok" for k in range(6, 26)]


def test_the_steps_of_the_uarm_do_not_notice_a_hand_but_its_encoders_do(uarm: Wire) -> None:
    assert isinstance(uarm.line.controller, VirtualUArm)
    before = uarm.lines("P2200\n")[0], uarm.lines("P2220\n")[0]
    uarm.ask("M2019\n")
    uarm.line.controller.by_hand((math.pi / 2 + 0.5, math.radians(70.0), math.radians(50.0)))
    assert uarm.lines("P2200\n")[0] == before[0]
    assert uarm.lines("P2220\n")[0] != before[1]


def pose(dobot: Wire) -> tuple[float, ...]:
    return struct.unpack("<8f", dobot.ask(frame(10, 0))[5:-1])


def test_the_dobot_works_its_queue_off_in_order_and_numbers_it(dobot: Wire) -> None:
    x, y, z, r, *_ = pose(dobot)
    goals = [(x - 20.0, y + 10.0 * k, z, r) for k in (1, 2)]
    answers = [dobot.ask(frame(84, 3, struct.pack("<B4f", 2, *goal)), 0.02) for goal in goals]
    assert answers == [frame(84, 3, number.to_bytes(8, "little")) for number in (1, 2)]
    assert dobot.ask(frame(246, 0), 0.02) == frame(246, 0, bytes(8))
    dobot.ask(b"", 3.0)
    assert dobot.ask(frame(246, 0)) == frame(246, 0, (2).to_bytes(8, "little"))
    assert pose(dobot)[:4] == pytest.approx(goals[1], abs=1e-3)


def test_a_path_of_the_dobot_is_straight_and_does_not_stop_at_its_points(dobot: Wire) -> None:
    dobot.ask(frame(90, 1, struct.pack("<3fB", 200.0, 100.0, 10.0, 1)))
    x, y, z, *_ = start = pose(dobot)
    points = [(x + 10.0 * k, y + 5.0 * k, z - 5.0 * k) for k in range(1, 6)]
    for point in points:
        dobot.ask(frame(91, 3, struct.pack("<B4f", 1, *point, 60.0)), 0.0)
    seen = []
    for _ in range(28):
        dobot.ask(b"", 0.04)
        seen.append(pose(dobot))
    assert seen[-1][:3] == pytest.approx(points[-1], abs=1e-3)
    assert seen[-1][7] == pytest.approx(start[7], abs=1e-6)
    assert dobot.ask(frame(246, 0)) == frame(246, 0, (5).to_bytes(8, "little"))
    steps = [math.dist(a[:3], b[:3]) for a, b in pairwise(seen)]
    moving = [k for k, way in enumerate(steps) if way > 0.5]
    assert moving == list(range(moving[0], moving[-1] + 1))
    assert max(steps) == pytest.approx(60.0 * 0.14, rel=0.02)
    assert all(abs((b - y) - 0.5 * (a - x)) < 0.01 for a, b, *_ in seen)


def test_what_comes_between_two_points_of_a_path_ends_it(dobot: Wire) -> None:
    dobot.ask(frame(90, 1, struct.pack("<3fB", 200.0, 100.0, 10.0, 1)))
    x, y, z, *_ = pose(dobot)
    dobot.ask(frame(91, 3, struct.pack("<B4f", 0, 30.0, 0.0, 0.0, 60.0)), 0.0)
    dobot.ask(frame(63, 3, b"\x01\x01"), 0.0)
    dobot.ask(frame(91, 3, struct.pack("<B4f", 0, 0.0, 30.0, 0.0, 60.0)), 0.3)
    assert dobot.ask(frame(63, 0)) == frame(63, 0, bytes(2))
    dobot.ask(b"", 2.0)
    assert dobot.ask(frame(63, 0)) == frame(63, 0, b"\x01\x01")
    assert pose(dobot)[:3] == pytest.approx((x + 30.0, y + 30.0, z), abs=1e-3)


def test_a_dobot_tells_and_takes_points_of_its_tool(dobot: Wire) -> None:
    x, y, z, r, *_ = pose(dobot)
    dobot.ask(frame(60, 1, struct.pack("<3f", 59.7, 0.0, -20.0)))
    assert pose(dobot)[:3] == pytest.approx((x + 59.7, y, z - 20.0), abs=1e-3)
    goal = (x + 50.0, y + 60.0, z)
    dobot.ask(frame(84, 3, struct.pack("<B4f", 1, *goal, r)), 3.0)
    assert pose(dobot)[:3] == pytest.approx(goal, abs=1e-3)


def test_an_alarm_of_the_dobot_stops_its_queue_until_it_is_cleared(dobot: Wire) -> None:
    before = pose(dobot)
    dobot.ask(frame(84, 3, struct.pack("<B4f", 4, 0.0, 120.0, 0.0, 0.0)))
    dobot.ask(frame(84, 3, struct.pack("<B4f", 4, 20.0, 45.0, 45.0, 0.0)), 2.0)
    assert dobot.ask(frame(20, 0)) == frame(20, 0, (1 << 0x42).to_bytes(16, "little"))
    assert pose(dobot) == before
    assert dobot.ask(frame(20, 1)) == frame(20, 1)
    dobot.ask(b"", 2.0)
    assert pose(dobot)[4] == pytest.approx(20.0, abs=1e-3)


def test_the_dobot_is_silent_where_it_does_not_understand(dobot: Wire) -> None:
    spoilt = bytearray(frame(10, 0))
    spoilt[-1] ^= 1
    assert dobot.ask(bytes(spoilt)) == b""
    assert dobot.ask(frame(200, 0)) == b""
    assert dobot.ask(frame(20, 0)) == frame(20, 0, b"\x02" + bytes(15))
    assert dobot.ask(frame(84, 3, b"\x04")) == b""
    waits = [dobot.ask(frame(110, 3, (60_000).to_bytes(4, "little"))) for _ in range(34)]
    assert [bool(answer) for answer in waits].count(False) >= 1


@every
def test_an_answer_takes_its_time_on_the_wire(name: str) -> None:
    line = ControllerLine(load_controller(name))
    line.take(1.0)
    request = load_language(name).poll(1)[0].data
    first = len(request.split(b"\n")[0]) + 1 if request.count(b"\n") > 1 else len(request)  # the rest waits behind it
    line.receive(request, 1.0)
    came = b""
    now = 1.0
    while not came:
        now += 1e-4
        came = line.take(now)
    assert now - 1.0 >= (first + len(came)) * 10.0 / 115_200
    assert now - 1.0 <= (first + len(came)) * 10.0 / 115_200 + PERIOD


COMMANDS = st.sampled_from(
    [b"$X\n", b"$H\n", b"!", b"~", b"\x18", b"?", b"\x85", b"$J=G91 X5 F900\n", b"G1 X9 F600\n", b"G4 P0.1\n",
     b"$SLP\n", b"G28\n", b"M410\n", b"N1 G1 X9*1\n", b"G4 P100\n", b"M84\n", b"M400\n", b"G91\n", b"M999\n",
     b"#1 G0 X200 Y50 Z120 F9000\n", b"#2 M2019\n", b"#3 G2205 S1 R2 H3 F100\n", b"@", b"P2220\n", b"#", b"#\n",
     frame(84, 3, struct.pack("<B4f", 2, 200.0, 20.0, 10.0, 0.0)), frame(242, 1), frame(245, 1), frame(240, 1),
     frame(31, 3, bytes(4)), frame(80, 3, struct.pack("<8f", *[math.nan] * 8)),
     frame(83, 1, struct.pack("<2f", math.inf, 1)),
     frame(84, 3, struct.pack("<B4f", 4, math.nan, 0.0, 0.0, 0.0))]
)  # fmt: skip


@every
@settings(max_examples=30, deadline=None)
@given(talk=st.lists(COMMANDS | st.binary(max_size=20), max_size=15))
def test_a_controller_survives_any_talk_and_answers_afterwards(name: str, talk: list[bytes]) -> None:
    wire = Wire(load_controller(name))
    for data in talk:
        wire.ask(data, 0.05)
    assert all(map(math.isfinite, wire.line.controller.planner.positions))
    if vars(wire.line.controller).get("_killed"):  # nothing but its button brings it back
        wire.line.controller.power_on()
    language = load_language(name)
    wire.ask(bytes(300) + b"\n", 0.2)
    for request in (*language.reset(1), *language.clear(2)):
        wire.ask(request.data, 0.5)
    wire.ask(b"", 12.0)
    parser = language.parser()
    answers = [event for request in language.poll(50) for event in parser.feed(wire.ask(request.data))]
    assert Kind.STATE in {event.kind for event in answers}


@settings(max_examples=40, deadline=None)
@given(
    goals=st.lists(st.tuples(st.floats(-2.0, 2.0), st.floats(-2.0, 2.0)), min_size=1, max_size=5),
    speed=st.floats(0.1, 5.0),
    corner=st.sampled_from([0.0, 0.2]),
    hold=st.integers(0, 800),
)
def test_a_planner_keeps_speed_and_acceleration_and_arrives(
    goals: list[tuple[float, float]], speed: float, corner: float, hold: int
) -> None:
    planner = Planner((0.0, 0.0), top_speeds=(1.0, 2.0), accelerations=(5.0, 5.0), corner_speed=corner)
    for mark, goal in enumerate(goals, start=1):
        planner.add(goal, speed, mark=mark)
    path = [tuple(planner.positions)]
    for k in range(60_000):
        if not planner.moving and not planner.holding:
            break
        if k == hold:
            planner.hold()
        if planner.holding and not planner.speed:
            assert planner.positions == list(path[-1])
            planner.go_on()
        planner.step()
        path.append(tuple(planner.positions))
    assert planner.positions == list(goals[-1])
    assert planner.done == len(goals)
    for axis, top in enumerate((1.0, 2.0)):
        speeds = [(b[axis] - a[axis]) / PERIOD for a, b in pairwise(path)]
        assert max(map(abs, speeds), default=0.0) <= min(top, 5.0) * (1.0 + 1e-6)
