"""An arm behind its own controller is the same arm: it goes where it is told, stands when told, says what is wrong."""

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest

from genba.__main__ import main
from genba.drivers.controller_arm import ControllerArm
from genba.drivers.guide import Guide
from genba.drivers.link import Link
from genba.drivers.protocols import language_names, load_language
from genba.drivers.virtual.controller import ControllerLine, load_controller
from genba.drivers.virtual.marlin import VirtualMarlin
from genba.drivers.virtual.sim_port import SimPort
from genba.robots.catalogue import load_robot, robot_names
from genba.robots.description import RobotDescription
from genba.robots.envelope import SafetyEnvelope
from genba.robots.errors import BusError, RefusedError, SafetyError
from genba.robots.kinematics import Kinematics

BUSES = {name: bus for name in robot_names() if (bus := load_robot(name).bus) is not None}
ARMS = [name for name, bus in BUSES.items() if bus.protocol in language_names()]


def releases(robot: RobotDescription) -> bool:
    """Whether its controller can let go of the motors by command."""
    assert robot.bus is not None
    try:
        load_language(robot.bus.protocol).enable(1, on=False)
    except RefusedError:
        return False
    return True


@pytest.fixture(params=ARMS)
def robot(request: pytest.FixtureRequest) -> RobotDescription:
    return load_robot(request.param)


@pytest.fixture
def line(robot: RobotDescription) -> ControllerLine:
    assert robot.bus is not None
    return ControllerLine(load_controller(robot.bus.protocol))


@pytest.fixture
def arm(robot: RobotDescription, line: ControllerLine) -> Iterator[ControllerArm]:
    assert robot.bus is not None
    port = SimPort("sim", line, robot.bus.baud_rate, virtual_time=True)
    found = ControllerArm(robot, Link(port, load_language(robot.bus.protocol)))
    found.connect()
    found.arm()
    yield found
    found.close()


def test_there_is_such_an_arm() -> None:
    assert ARMS


def test_it_goes_home_and_to_park_and_its_fingers_shut(arm: ControllerArm, line: ControllerLine) -> None:
    robot, guide = arm.robot, Guide(arm)
    for place, fingers in ((robot.home, robot.gripper.open), (robot.park, robot.gripper.closed)):
        guide.move_to((*place, fingers))
        assert guide.measured == pytest.approx((*place, fingers), abs=0.004)
        assert line.controller.gripper == (fingers == robot.gripper.closed)
        counted = [q + zero for q, zero in zip(place, BUSES[robot.name].zeros, strict=True)]
        assert line.controller.joints[: len(counted)] == pytest.approx(counted, abs=0.004)


def test_connecting_and_arming_move_nothing(robot: RobotDescription, line: ControllerLine, arm: ControllerArm) -> None:
    before = line.controller.joints
    envelope = SafetyEnvelope(robot, Kinematics(robot))
    for _ in range(5):
        arm.write(envelope.reset(arm.read()))
        arm.advance(1.0 / robot.control_rate_hz)
    assert line.controller.joints == pytest.approx(before, abs=0.002)


def test_an_arm_that_turns_back_again_and_again_falls_no_farther_behind(arm: ControllerArm) -> None:
    robot, guide = arm.robot, Guide(arm)
    guide.move_to((*robot.home, robot.gripper.open))
    there = tuple(min(q + 0.5, joint.upper) for q, joint in zip(robot.home, robot.joints, strict=True))
    gaps = []
    for swing in range(16):
        goal = robot.home if swing % 2 else there
        gap = 0.0
        for _ in range(20):
            guide.toward((*goal, robot.gripper.open))
            gap = max(gap, *(abs(t - m) for t, m in zip(guide.target[:-1], guide.measured[:-1], strict=True)))
        gaps.append(gap)
    assert max(gaps[-4:]) < 1.2 * max(gaps[:4])


def test_a_program_that_dies_leaves_at_most_the_look_ahead(arm: ControllerArm, line: ControllerLine) -> None:
    robot, guide = arm.robot, Guide(arm)
    for _ in range(12):
        guide.toward((*robot.home, robot.gripper.open))
    here = guide.measured
    line.step(line.now + 5.0)
    zeros = BUSES[robot.name].zeros
    rest = [abs(j - z - q) for j, z, q in zip(line.controller.joints, zeros, here, strict=False)]
    assert max(rest) > 0.0
    assert all(way <= reach for way, reach in zip(rest, robot.limits.look_ahead, strict=False))


def test_a_stop_in_mid_motion_is_confirmed_and_lasts_until_it_is_armed_anew(
    arm: ControllerArm, line: ControllerLine
) -> None:
    robot, guide = arm.robot, Guide(arm)
    for _ in range(8):
        guide.toward((*robot.home, robot.gripper.open))
    report = arm.stop()
    assert report.confirmed
    stands = line.controller.joints
    line.step(line.now + 3.0)
    assert line.controller.joints == pytest.approx(stands, abs=1e-6)
    with pytest.raises(SafetyError, match="stopped, not armed"):
        guide.toward((*robot.home, robot.gripper.open))
    arm.arm()
    Guide(arm).move_to((*robot.home, robot.gripper.open))


def test_a_silent_controller_is_one_line_with_the_cure(arm: ControllerArm, line: ControllerLine) -> None:
    line.faults.silent = True
    with pytest.raises(BusError, match="check cable, power and baud rate"):
        arm.read()
    assert arm.state == "stopped"


def test_an_arm_on_a_marlin_board_moves_stops_and_moves_again() -> None:
    robot = load_robot("uarm_swift_pro")
    assert robot.bus is not None
    robot = replace(robot, bus=replace(robot.bus, protocol="marlin", zeros=(0.0,) * len(robot.joints)))
    line = ControllerLine(VirtualMarlin(axes=len(robot.joints)))
    stands = " ".join(f"{letter}{math.degrees(q):.3f}" for letter, q in zip("XYZA", robot.park, strict=True))
    line.receive(f"G92 {stands}\n".encode(), 0.0)
    arm = ControllerArm(robot, Link(SimPort("sim", line, 115_200, virtual_time=True), load_language("marlin")))
    with arm:
        arm.arm()
        guide = Guide(arm)
        guide.move_to((*robot.home, robot.gripper.closed))
        assert guide.measured == pytest.approx((*robot.home, robot.gripper.closed), abs=0.004)
        assert line.controller.gripper
        for _ in range(8):
            guide.toward((*robot.park, robot.gripper.open))
        assert arm.stop().confirmed
        stopped = line.controller.joints
        line.step(line.now + 3.0)
        assert line.controller.joints == stopped
        arm.arm()
        Guide(arm).move_to((*robot.park, robot.gripper.open))


@pytest.mark.parametrize("verb", ["home", "park", "release", "calibrate", "monitor"])
def test_every_verb_takes_it(robot: RobotDescription, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"genba-sim://{robot.name}?time=virtual"
    where = ["--port", url] if verb == "calibrate" else [url]
    more = {"release": ["--yes"], "calibrate": ["--yes"], "monitor": ["--seconds", "0.2"]}.get(verb, [])
    unable = verb == "release" and not releases(robot)
    assert main([verb, *where, "--robot", robot.name, *more]) == (3 if unable else 0)
    told = capsys.readouterr()
    assert told.out.strip() or (unable and "hold the button on its forearm" in told.err)
