"""What servos do when the host that armed them falls silent, and how a host that comes back finds them."""

import pytest

from genba.drivers.arm import BenchArm
from genba.drivers.bus import ActuatorBus
from genba.drivers.calibration import nominal_calibration
from genba.drivers.dead_man import SILENCE
from genba.drivers.protocols import load_protocol, protocol_names
from genba.drivers.virtual.faults import Faults
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.sim_port import SimPort
from genba.robots.description import RobotDescription
from genba.robots.envelope import SafetyEnvelope
from genba.robots.errors import BusError
from genba.robots.kinematics import Kinematics

DT = 1.0 / 30.0
WATCHED = [name for name in protocol_names() if load_protocol(name).watchdog]
watched = pytest.mark.parametrize("robot", WATCHED, indirect=True)


@pytest.fixture
def armed(bench: BenchArm) -> BenchArm:
    bench.connect()
    bench.arm()
    return bench


def held(line: VirtualLine, arm: BenchArm) -> list[int]:
    """What each servo's watchdog register holds."""
    assert arm.bus.framing.watchdog is not None
    return [servo.get(arm.bus.framing.watchdog[0]) for servo in line.servos]


def counts(arm: BenchArm) -> int:
    assert arm.bus.framing.watchdog is not None
    return round(SILENCE / arm.bus.framing.watchdog[1])


def drive(arm: BenchArm, seconds: float, pan: float) -> float:
    """Run an armed arm towards a pan angle; return where the pan joint is."""
    kinematics = Kinematics(arm.robot)
    envelope = SafetyEnvelope(arm.robot, kinematics)
    state = arm.read()
    envelope.reset(state)
    for _ in range(round(seconds / DT)):
        target = (pan, *state.joint_positions[1:], state.gripper)
        arm.write(envelope.admit(target, state, kinematics.forward(state.joint_positions), DT))
        arm.advance(DT)
        state = arm.read()
    return state.joint_positions[0]


def another_host(robot: RobotDescription, line: VirtualLine) -> BenchArm:
    assert robot.bus is not None
    port = SimPort("sim", line, 1_000_000, virtual_time=True)
    return BenchArm(robot, ActuatorBus(port, load_protocol(robot.bus.protocol)), nominal_calibration(robot))


def test_every_watchdog_is_a_register_of_every_model(robot: RobotDescription, bus: ActuatorBus) -> None:
    watchdog = bus.framing.watchdog
    for i in robot.actuator_ids if watchdog else ():
        register = bus.table(i)[watchdog[0]]
        assert register.access == "ram"
        assert 0 == register.default < round(SILENCE / watchdog[1]) <= register.upper


@watched
def test_watchdogs_come_after_the_torque_and_a_running_arm_keeps_them_quiet(bench: BenchArm, line: VirtualLine) -> None:
    bench.connect()
    assert held(line, bench) == [0] * 6
    bench.arm()
    assert held(line, bench) == [counts(bench)] * 6
    assert [servo.get("torque_switch") for servo in line.servos] == [1] * 6
    drive(bench, 3.0, 0.8)
    assert held(line, bench) == [counts(bench)] * 6


@watched
def test_a_killed_host_leaves_an_arm_that_stops_by_itself(armed: BenchArm, line: VirtualLine) -> None:
    pan = line.servo(1)
    armed.bus.write(1, "profile_velocity", 20)  # slow, so that it is on its way for seconds
    armed.bus.write(1, "goal_position", pan.present_ticks + 1000)
    clock = armed.bus.port.clock
    clock.sleep_until(line.now + SILENCE - 0.01)
    assert held(line, armed) == [counts(armed)] * 6
    before = pan.present_ticks
    clock.sleep_until(line.now + 0.03)
    assert held(line, armed) == [-1] * 6
    stopped = pan.present_ticks
    assert stopped > before  # it was moving
    clock.sleep_until(line.now + 2.0)
    assert abs(pan.present_ticks - stopped) <= 8
    assert pan.get("torque_switch") == 1


@watched
@pytest.mark.parametrize("pause", [0.11, SILENCE + 0.05, 3.0])
def test_a_host_that_was_held_up_goes_on(armed: BenchArm, line: VirtualLine, pause: float) -> None:
    here = drive(armed, 0.5, 1.0)
    armed.bus.port.clock.sleep_until(line.now + pause)
    there = drive(armed, 1.0, 1.0)
    assert there > here + 0.2
    assert armed.state == "armed"
    assert held(line, armed) == [counts(armed)] * 6


@watched
def test_a_servo_that_missed_being_roused_is_roused_again(armed: BenchArm, line: VirtualLine, faults: Faults) -> None:
    armed.bus.port.clock.sleep_until(line.now + 1.0)
    armed.read()
    faults.silent.add(3)
    armed.hold()
    faults.silent.clear()
    assert held(line, armed)[2] == -1
    armed.hold()
    assert held(line, armed) == [counts(armed)] * 6
    assert line.servo(3).get("goal_position") == armed._goals[2]


@watched
def test_another_host_arms_what_a_killed_one_left(robot: RobotDescription, armed: BenchArm, line: VirtualLine) -> None:
    here = drive(armed, 0.5, 1.0)
    armed.bus.port.clock.sleep_until(line.now + 1.0)
    assert held(line, armed) == [-1] * 6
    second = another_host(robot, line)
    second.connect()
    assert second.stop().confirmed  # it holds already, and its goals are taken
    assert held(line, second) == [0] * 6
    second.arm()
    assert drive(second, 1.0, 1.0) > here + 0.2
    second.release()
    assert held(line, second) == [0] * 6
    assert [servo.get("torque_switch") for servo in line.servos] == [0] * 6


@watched
def test_who_leaves_in_order_leaves_none_set(armed: BenchArm, line: VirtualLine) -> None:
    drive(armed, 0.5, 1.0)
    armed.bus.close()
    assert held(line, armed) == [0] * 6
    goals = [servo.get("goal_position") for servo in line.servos]
    line.step(line.now + 0.9)
    assert [servo.get("goal_position") for servo in line.servos] == goals


@watched
def test_a_confirmed_stop_needs_no_host_any_more(armed: BenchArm, line: VirtualLine) -> None:
    drive(armed, 0.5, 1.0)
    assert armed.stop().confirmed
    goals = [servo.get("goal_position") for servo in line.servos]
    armed.bus.port.clock.sleep_until(line.now + 1.0)
    assert held(line, armed) == [0] * 6
    assert [servo.get("goal_position") for servo in line.servos] == goals


@watched
def test_a_stop_that_is_not_confirmed_leaves_them_set(armed: BenchArm, line: VirtualLine, faults: Faults) -> None:
    drive(armed, 0.5, 1.0)
    faults.silent.add(3)
    report = armed.close()
    assert report is not None
    assert not report.confirmed
    assert held(line, armed) == [counts(armed)] * 2 + [-1] + [counts(armed)] * 3
    line.step(line.now + SILENCE + 0.05)
    assert held(line, armed) == [-1] * 6


@watched
def test_a_servo_that_does_not_take_its_watchdog_is_named(
    bench: BenchArm, line: VirtualLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.connect()
    servo = line.servo(4)
    honest = servo._put
    monkeypatch.setattr(servo, "_put", lambda r, v: None if r.name == "bus_watchdog" and v else honest(r, v))
    with pytest.raises(BusError, match="servo 4: register bus_watchdog holds 0 after writing 10"):
        bench.arm()
