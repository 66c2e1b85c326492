"""The link on virtual controllers, in virtual time: states are fresh, stops are sure, and a bad wire is survived."""

import math
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genba.drivers.answers import SilentError
from genba.drivers.controller_state import SLACK, TOP_SPEED
from genba.drivers.language import Activity, Kind, Request
from genba.drivers.link import Link
from genba.drivers.ports import open_port
from genba.drivers.protocols import language_names, load_language
from genba.drivers.virtual.controller import ControllerLine, load_controller
from genba.drivers.virtual.faults import Faults
from genba.drivers.virtual.grbl import VirtualGrbl
from genba.drivers.virtual.marlin import VirtualMarlin
from genba.drivers.virtual.process import TwinProcess
from genba.drivers.virtual.sim_port import SimPort
from genba.drivers.virtual.uarm import ENCODER, VirtualUArm
from genba.robots.errors import BusError, LinkLostError, RefusedError, SafetyError, UnknownNameError

every = pytest.mark.parametrize("name", language_names())
NEAR = 3.0 * ENCODER  # rad: what an encoder of 4096 steps, read as a point, may be off


class Bench:
    """A link and the virtual controller at its other end."""

    def __init__(self, name: str, faults: Faults | None = None, *, connect: bool = True) -> None:
        self.controller = load_controller(name)
        self.line = ControllerLine(self.controller, faults=faults)
        self.port = SimPort("sim", self.line, 115_200, virtual_time=True)
        self.link = Link(self.port, load_language(name))
        self.scale = math.radians(1.0) if name in {"grbl", "marlin"} else 1.0
        self.home = self.link.connect().joints if connect else ()

    def true(self) -> list[float]:
        """Where the joints really are, rad."""
        return [position * self.scale for position in self.controller.planner.positions]

    def aim(self, turn: float) -> tuple[float, ...]:
        return (self.home[0] + turn, *self.home[1:])

    def wait(self, duration: float) -> None:
        self.port.clock.sleep_until(self.port.clock.now() + duration)


@every
def test_a_motion_ends_at_its_goal_in_about_its_time(name: str) -> None:
    bench = Bench(name)
    goal = bench.aim(0.4)
    assert bench.link.move(goal, 1.0)
    bench.wait(0.5)
    assert bench.link.state().activity is Activity.MOVING
    bench.wait(1.5)
    state = bench.link.state()
    assert state.activity is Activity.IDLE
    assert state.joints == pytest.approx(goal, abs=NEAR)
    assert bench.true() == pytest.approx(goal, abs=1e-4)
    assert bench.link.collect() == ()
    assert bench.link.statistics.timeouts == 0


@every
def test_motions_at_a_rate_are_taken_until_the_controller_has_enough(name: str) -> None:
    bench = Bench(name)
    taken = 0
    for k in range(60):
        taken += bench.link.move(bench.aim(0.01 * k), 0.05)
        bench.link.state()
        bench.wait(0.02)
        assert bench.link.collect() == ()
    assert taken >= 15
    bench.wait(3.0)
    state = bench.link.state()
    assert state.activity is Activity.IDLE
    assert bench.link.move(bench.home, 1.0)


@every
@settings(max_examples=12, deadline=None)
@given(motions=st.integers(0, 5), moment=st.floats(0.0, 1.2))
def test_a_halt_at_any_moment_leaves_an_arm_that_stands_and_has_nothing_to_do(
    name: str, motions: int, moment: float
) -> None:
    bench = Bench(name)
    for k in range(motions):
        bench.link.move(bench.aim(0.3 * (-1) ** k), 0.4)
        bench.link.state()
    bench.wait(moment)
    report = bench.link.halt()
    assert report.confirmed, report.text
    there = bench.true()
    assert report.joints == pytest.approx(there, abs=NEAR)
    bench.wait(2.0)
    assert bench.true() == there
    with pytest.raises(RefusedError, match="resume it first"):
        bench.link.move(bench.home, 1.0)
    bench.link.resume()
    bench.wait(1.0)
    assert bench.true() == there  # what was under way is gone
    assert bench.link.move(bench.home, 1.0)
    bench.wait(3.0)
    assert bench.link.state().joints == pytest.approx(bench.home, abs=NEAR)


@every
def test_a_halt_brakes_and_does_not_run_on(name: str) -> None:
    bench = Bench(name)
    bench.link.move(bench.aim(0.8), 0.8)
    bench.wait(0.4)
    before = bench.true()[0]
    assert bench.link.halt().confirmed
    assert abs(bench.true()[0] - before) < 0.2  # rad: 1 rad/s, braked at 3.5 rad/s^2


def drive(bench: Bench, seed: int) -> list[tuple[tuple[float, ...], list[float], list[float], float]]:
    """Move to and fro; return each state with the range of the joints since it was asked for, and its age."""
    told = []
    passed = bench.controller.passed
    lows: list[float] = []
    highs: list[float] = []

    def watched() -> list[bytes]:
        true = bench.true()
        lows[:] = map(min, lows, true)
        highs[:] = map(max, highs, true)
        return passed()

    last = bench.port.clock.now()
    complaints: list[str] = []
    for k in range(20):
        try:
            bench.link.move(bench.aim(0.2 * math.sin(0.3 * k + seed)), 0.2)
            lows, highs = bench.true(), bench.true()
            vars(bench.controller)["passed"] = watched
            state = bench.link.state()
            told.append((state.joints, list(lows), list(highs), bench.port.clock.now() - last))
            last = bench.port.clock.now()
        except (BusError, SafetyError) as error:
            complaints.append(str(error))
        vars(bench.controller).pop("passed", None)
        bench.wait(0.05)
        bench.link.collect()
    assert not any("\n" in complaint for complaint in complaints)
    return told


@every
@pytest.mark.parametrize("kind", ["late", "duplicate"])
@pytest.mark.parametrize("seed", range(3))
def test_no_old_state_is_taken_for_a_new_one(name: str, kind: str, seed: int) -> None:
    faults = Faults(seed=seed)
    bench = Bench(name, faults)
    setattr(faults, kind, 0.2)
    told = drive(bench, seed)
    assert len(told) > 10
    for joints, lows, highs, _ in told:
        assert all(low - NEAR <= j <= high + NEAR for j, low, high in zip(joints, lows, highs, strict=True))
    assert bench.link.halt().confirmed
    assert not bench.controller.planner.moving
    assert bench.link.statistics.late_answers > 0


@every
@pytest.mark.parametrize("kind", ["drop", "flip", "insert", "truncate"])
@pytest.mark.parametrize("seed", range(2))
def test_a_garbled_state_is_dropped_or_off_by_no_more_than_a_joint_could_have_gone(
    name: str, kind: str, seed: int
) -> None:
    faults = Faults(seed=seed)
    bench = Bench(name, faults)
    setattr(faults, kind, 0.1)
    told = drive(bench, seed)
    assert len(told) > 10
    since = 0.0
    for joints, lows, highs, age in told:
        since += age
        # Two states in a row may lean the same way, each within what a joint could have gone since the one before.
        slack = NEAR if bench.link.language.traits.checked else 2.0 * (TOP_SPEED * since + SLACK)
        assert all(low - slack <= j <= high + slack for j, low, high in zip(joints, lows, highs, strict=True))
        since = age
    assert bench.link.halt().confirmed
    assert not bench.controller.planner.moving


@every
def test_a_dead_wire_is_told_in_one_line_and_a_pulled_cable_at_once(name: str) -> None:
    faults = Faults()
    bench = Bench(name, faults)
    faults.silent = {1}
    with pytest.raises(SilentError, match="check cable, power and baud rate"):
        bench.link.state()
    report = bench.link.halt()
    assert not report.confirmed
    assert "switch its power off" in report.text
    faults.silent = set()
    assert bench.link.state().activity in Activity
    faults.unplugged = True
    for call in (bench.link.state, bench.link.halt, bench.link.collect, bench.link.clear):
        with pytest.raises(LinkLostError, match="check cable and power"):
            call()


@every
def test_a_controller_at_another_rate_is_silent(name: str) -> None:
    line = ControllerLine(load_controller(name))
    link = Link(SimPort("sim", line, 57_600, virtual_time=True), load_language(name))
    with pytest.raises(BusError, match="check cable, power and baud rate"):
        link.connect()


@pytest.mark.parametrize("name", ["grbl", "marlin", "uarm"])
def test_a_controller_that_restarts_is_noticed(name: str) -> None:
    bench = Bench(name)
    bench.link.move(bench.aim(0.5), 1.0)
    bench.wait(0.3)
    bench.line._say(bench.controller.power_on(), bench.line.now)
    bench.wait(0.1)
    news = bench.link.collect()
    assert [event.kind for event in news] == [Kind.READY]
    assert bench.link.statistics.restarts == 1
    assert bench.link.state().activity is Activity.IDLE


@every
def test_tools_and_everything_else_are_obeyed(name: str) -> None:
    bench = Bench(name)
    bench.link.tool(closed=True)
    bench.link.tool(pump=True, closed=True)
    assert bench.link.home().activity is Activity.IDLE if name != "grbl" else True
    bench.wait(0.1)
    values = {key: value for key, value in vars(bench.controller).items() if key in {"pump", "suction", "gripper"}}
    if name == "grbl":
        assert vars(bench.controller)["spindle"] == 1000.0
    else:
        assert list(values.values()) == [True, True]
    bench.link.tool(closed=False)
    bench.link.reset()
    bench.link.clear()
    assert bench.link.state().alarms == ()


def test_targets_out_of_reach_are_refused_as_each_controller_does() -> None:
    bench = Bench("uarm")
    bench.link.move((bench.home[0], math.radians(130.0), math.radians(90.0)), 1.0)
    bench.wait(0.2)
    (refusal,) = bench.link.collect()
    assert refusal.kind is Kind.REFUSED
    assert "E22, target out of range" in refusal.text

    bench = Bench("grbl")
    assert isinstance(bench.controller, VirtualGrbl)
    bench.controller.settings[20] = 1.0
    bench.link.move((1.0, 0.0, 0.0), 1.0)
    bench.wait(0.2)
    (refusal,) = bench.link.collect()
    assert "error 15, target outside the soft limits" in refusal.text

    bench = Bench("dobot")
    bench.link.move((3.0, 0.5, 0.5, 0.0), 1.0)
    bench.wait(0.2)
    state = bench.link.state()
    assert state.activity is Activity.ALARM
    assert "joint 1 at its upper limit" in state.alarms[0]
    bench.link.clear()
    bench.link.move(bench.aim(0.2), 1.0)
    bench.wait(2.5)
    assert bench.link.state().joints == pytest.approx(bench.aim(0.2), abs=NEAR)


def test_after_an_alarm_of_its_limits_grbl_is_stopped_and_cleared() -> None:
    bench = Bench("grbl")
    assert isinstance(bench.controller, VirtualGrbl)
    bench.controller.settings[20] = 1.0
    with pytest.raises(SafetyError, match="alarm 2, soft limit"):
        bench.link.stream([Request(b"G0X10\n", "ok", room=6)])
    with pytest.raises(SilentError, match="it last raised alarm 2"):
        bench.link.state()
    assert bench.link.halt().confirmed
    assert bench.link.state().activity is Activity.ALARM
    bench.link.clear()
    bench.link.resume()
    assert bench.link.state().activity is Activity.IDLE
    assert bench.link.move((-0.2, 0.0, 0.0), 1.0)


def test_a_marlin_that_stopped_refuses_motions_and_one_that_was_killed_is_not_said_to_stand() -> None:
    bench = Bench("marlin")
    assert isinstance(bench.controller, VirtualMarlin)
    bench.controller.stop()
    bench.link.move(bench.aim(0.3), 1.0)
    bench.wait(0.2)
    (refusal,) = bench.link.collect()
    assert (refusal.kind, "clear it" in refusal.text) == (Kind.REFUSED, True)
    bench.link.clear()
    bench.link.move(bench.aim(0.3), 0.5)
    bench.wait(1.0)
    assert bench.link.state().joints == pytest.approx(bench.aim(0.3), abs=NEAR)
    bench.port.write(b"M112\n")
    bench.wait(0.1)
    with pytest.raises(SafetyError, match=r"raised a shutdown .*press its reset button"):
        bench.link.state()
    assert not bench.link.halt().confirmed
    bench.line._say(bench.controller.power_on(), bench.line.now)
    bench.wait(0.2)
    assert bench.link.connect().activity is Activity.IDLE


def test_a_marlin_that_homes_is_asked_nothing_meanwhile() -> None:
    bench = Bench("marlin")
    before = bench.link.statistics.requests
    assert bench.link.home().joints == pytest.approx([-math.pi] * 3, abs=1e-4)
    assert bench.link.statistics.requests == before + 2
    assert bench.link.statistics.timeouts == 0


def test_a_program_is_streamed_within_the_receive_buffer_and_stopped_at_the_first_refusal() -> None:
    bench = Bench("grbl")
    assert isinstance(bench.controller, VirtualGrbl)
    lines = [f"G1 X{k % 7} Y{k % 3} F{3000 + k}\n".encode() for k in range(60)]
    bench.link.stream([Request(line, "ok", room=len(line), patience=5.0) for line in lines])
    assert bench.controller._intake.lost == 0
    bad = [Request(line, "ok", room=len(line), patience=5.0) for line in (b"G1 X1\n", b"G99\n", b"G1 X2\n")]
    with pytest.raises(RefusedError, match="refused request 2 of the program: error 20"):
        bench.link.stream(bad)


def test_homing_of_grbl_is_waited_for() -> None:
    controller = VirtualGrbl(homing=True)
    controller.planner.place([-30.0, -20.0, -10.0])
    controller.power_on()
    line = ControllerLine(controller)
    link = Link(SimPort("sim", line, 115_200, virtual_time=True), load_language("grbl"))
    state = link.connect()
    assert state.activity is Activity.ALARM
    state = link.home()
    assert state.activity is Activity.IDLE
    assert state.joints == pytest.approx([math.radians(-1.0)] * 3, abs=1e-5)


def test_the_uarm_tells_where_a_hand_has_put_it() -> None:
    bench = Bench("uarm")
    assert isinstance(bench.controller, VirtualUArm)
    bench.link.enable(on=False)
    there = (bench.home[0] + 0.3, bench.home[1] - 0.2, bench.home[2])
    bench.controller.by_hand(there)
    bench.wait(1.0)
    assert bench.link.state().joints == pytest.approx(there, abs=NEAR)


@every
def test_a_bare_controller_is_a_port_by_its_language(name: str) -> None:
    port = open_port(f"genba-sim://{name}?time=virtual&late=0.05&seed=2", 115_200)
    link = Link(port, load_language(name))
    assert link.connect().alarms == ()
    link.close()
    with pytest.raises(LinkLostError):
        link.state()


def test_an_unknown_controller_is_refused_by_a_list() -> None:
    with pytest.raises(UnknownNameError, match="dobot, grbl, marlin, uarm"):
        load_controller("marlyn")


@every
@pytest.mark.parametrize(
    "kind", [pytest.param("pty", marks=pytest.mark.skipif(not hasattr(os, "openpty"), reason="no ptys here")), "tcp"]
)
def test_a_served_controller_moves_and_stops(name: str, kind: str) -> None:
    arguments = ("--controller", name, "--serve", kind)
    with TwinProcess(arguments, command=("-m", "genba.drivers.virtual.serve")) as served:
        link = Link(open_port(served.port, 115_200), load_language(name))
        home = link.connect().joints
        assert link.move((home[0] + 0.5, *home[1:]), 1.0)
        assert link.halt().confirmed
        assert link.statistics.checksum_errors == link.statistics.stray_bytes == 0
        link.close()
