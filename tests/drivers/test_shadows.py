"""Joints with a second motor: the twin has it, the bench checks and watches it, setup makes it."""

from collections.abc import Callable

import pytest

from genba.drivers.arm import BenchArm
from genba.drivers.bus import ActuatorBus, Fault
from genba.drivers.calibration import nominal_calibration
from genba.drivers.protocols import load_protocol
from genba.drivers.shadows import mounting
from genba.drivers.virtual.dynamixel import VirtualDynamixel
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.sim_port import SimPort
from genba.drivers.wired import bus_of
from genba.robots.catalogue import load_robot, robot_names
from genba.robots.description import RobotDescription
from genba.robots.errors import BusError

DOUBLED = [name for name in robot_names() if load_robot(name).shadow_ids]
PAIRS = [(name, shadow, owner) for name in DOUBLED for shadow, owner in load_robot(name).shadow_ids.items()]
SERVOS = pytest.mark.parametrize(("name", "shadow", "owner"), PAIRS)


def wire_up(robot: RobotDescription, line: VirtualLine) -> ActuatorBus:
    wire = bus_of(robot)
    port = SimPort("wire", line, wire.baud_rate, virtual_time=True)
    return ActuatorBus(port, load_protocol(wire.protocol))


def bench(robot: RobotDescription, line: VirtualLine) -> BenchArm:
    return BenchArm(robot, wire_up(robot, line), nominal_calibration(robot))


def hold(arm: BenchArm, *, ticks: int) -> None:
    for _ in range(ticks):
        arm.read()
        arm.advance(1.0 / arm.robot.control_rate_hz)


def servo(line: VirtualLine, actuator_id: int) -> VirtualDynamixel:
    found = line.servo(actuator_id)
    assert isinstance(found, VirtualDynamixel)
    return found


def write(line: VirtualLine, robot: RobotDescription, actuator_id: int, register: str, value: int) -> None:
    wire_up(robot, line).write(actuator_id, register, value)


def test_catalogue_has_joints_with_two_motors() -> None:
    assert PAIRS


@SERVOS
def test_second_motor_obeys_the_first_ones_id_and_answers_to_its_own(name: str, shadow: int, owner: int) -> None:
    robot = load_robot(name)
    line = VirtualLine(robot)
    bus = wire_up(robot, line)
    bus.write(owner, "torque_switch", 1)
    assert bus.read(shadow, "torque_switch") == 1
    goal = bus.read(owner, "present_position") + 40
    bus.write(owner, "goal_position", goal)
    assert bus.read(shadow, "goal_position") == goal
    bus.port.clock.sleep_until(line.now + 1.0)
    first, second = bus.read(owner, "present_position"), bus.read(shadow, "present_position")
    assert first == second
    assert servo(line, owner).raw_ticks - 2048 == 2048 - servo(line, shadow).raw_ticks
    alone = VirtualLine(robot, ids=[i for i in robot.servo_names if i != owner])
    assert isinstance(wire_up(robot, alone).ping(owner), Fault)


@SERVOS
def test_limp_second_motor_leaves_half_the_torque(name: str, shadow: int, owner: int) -> None:
    """Against the same weight a joint sags twice as far with one of two motors."""
    robot = load_robot(name)
    k = robot.actuator_ids.index(owner)
    sags = []
    for limp in (False, True):
        line = VirtualLine(robot)
        arm = bench(robot, line)
        arm.connect()
        arm.arm()
        if limp:
            servo(line, shadow).memory[64] = 0
        start = robot.home[k]
        line.step(line.now + 0.15)
        sags.append(abs(line.plant.motion().positions[k] - start))
    assert sags[1] > 1.5 * sags[0] > 0.0


@pytest.mark.parametrize("name", DOUBLED)
def test_arm_with_second_motors_arms_holds_and_is_released(name: str) -> None:
    robot = load_robot(name)
    line = VirtualLine(robot)
    arm = bench(robot, line)
    arm.connect()
    arm.arm()
    assert {line.servo(i).get("torque_switch") for i in robot.servo_names} == {1}
    hold(arm, ticks=30)
    assert arm.stop().confirmed
    arm.release()
    assert {line.servo(i).get("torque_switch") for i in robot.servo_names} == {0}


def _secondary(line: VirtualLine, robot: RobotDescription, shadow: int) -> None:
    write(line, robot, shadow, "secondary_id", 255)


def _turned(line: VirtualLine, robot: RobotDescription, shadow: int) -> None:
    held = servo(line, shadow).get("drive_mode")
    write(line, robot, shadow, "drive_mode", 1 - held)


def _shifted(line: VirtualLine, robot: RobotDescription, shadow: int) -> None:
    write(line, robot, shadow, "position_offset", 200)


def _model(line: VirtualLine, robot: RobotDescription, shadow: int) -> None:
    servo(line, shadow).memory[0:2] = (1060).to_bytes(2, "little")


def _hot(line: VirtualLine, robot: RobotDescription, shadow: int) -> None:
    line.servo(shadow).temperature = 79.0


WRONG: dict[str, tuple[Callable[[VirtualLine, RobotDescription, int], None], str]] = {
    "no secondary id": (_secondary, "genba setup --joint"),
    "turned against its twin": (_turned, "genba setup --joint"),
    "counts elsewhere": (_shifted, "position_offset"),
    "another model": (_model, "fit the right servo"),
    "hot": (_hot, "let it cool down"),
}


@pytest.mark.parametrize("wrong", WRONG)
@SERVOS
def test_second_motor_that_is_not_as_it_must_be_is_refused_by_name(
    name: str, shadow: int, owner: int, wrong: str
) -> None:
    robot = load_robot(name)
    line = VirtualLine(robot)
    spoil, cure = WRONG[wrong]
    spoil(line, robot, shadow)
    with pytest.raises(BusError) as refused:
        bench(robot, line).connect()
    assert f"{robot.servo_names[shadow]} (id {shadow})" in str(refused.value)
    assert cure in str(refused.value)
    assert {line.servo(i).get("torque_switch") for i in robot.servo_names} == {0}


@SERVOS
def test_missing_second_motor_is_named(name: str, shadow: int, owner: int) -> None:
    robot = load_robot(name)
    line = VirtualLine(robot, ids=[i for i in robot.servo_names if i != shadow])
    with pytest.raises(BusError, match=rf"no answer from {robot.servo_names[shadow]} \(id {shadow}\)"):
        bench(robot, line).connect()


def _limp(line: VirtualLine, shadow: int) -> None:
    servo(line, shadow).memory[64] = 0


def _overload(line: VirtualLine, shadow: int) -> None:
    line.faults.overloaded = {shadow}


def _silent(line: VirtualLine, shadow: int) -> None:
    line.faults.silent = {shadow}


LATER: dict[str, tuple[Callable[[VirtualLine, int], None], str]] = {
    "hot": (lambda line, shadow: setattr(line.servo(shadow), "temperature", 79.0), "let it cool down"),
    "limp": (_limp, "lost its torque"),
    "overload": (_overload, "overload"),
    "silent": (_silent, "silent"),
}


@pytest.mark.parametrize("wrong", LATER)
@SERVOS
def test_second_motor_that_fails_while_the_arm_moves_stops_it(name: str, shadow: int, owner: int, wrong: str) -> None:
    robot = load_robot(name)
    line = VirtualLine(robot)
    arm = bench(robot, line)
    arm.connect()
    arm.arm()
    spoil, said = LATER[wrong]
    spoil(line, shadow)
    with pytest.raises(BusError) as raised:
        hold(arm, ticks=200)
    assert f"{robot.servo_names[shadow]} (id {shadow})" in str(raised.value)
    assert said in str(raised.value)
    assert arm.state == "stopped"


@SERVOS
def test_mounting_is_what_the_virtual_servo_has(name: str, shadow: int, owner: int) -> None:
    robot = load_robot(name)
    line = VirtualLine(robot)
    for i in (shadow, owner):
        assert mounting(robot, i)
        for register, value in mounting(robot, i).items():
            assert line.servo(i).get(register) == value
