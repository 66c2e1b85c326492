"""The arm on the bench: what it checks, in which order it arms, and how it ends when something fails."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from genba.drivers.arm import BenchArm
from genba.drivers.bus import ActuatorBus
from genba.drivers.calibration import nominal_calibration
from genba.drivers.framing import Packet
from genba.drivers.protocols import load_protocol
from genba.drivers.virtual.faults import Faults
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.sim_port import SimPort
from genba.robots.arm import Arm
from genba.robots.description import RobotDescription
from genba.robots.envelope import SafetyEnvelope
from genba.robots.errors import BusError, LinkLostError, RefusedError, SafetyError
from genba.robots.gravity import Gravity
from genba.robots.kinematics import Kinematics
from genba.robots.state import ArmState

DT = 1.0 / 30.0
READ, WRITE, SYNC_WRITE = 0x02, 0x03, 0x83  # in every protocol of bus servos
Drive = Callable[[BenchArm, float], ArmState]


class Tap:
    """Hears every request on its way to the line."""

    def __init__(self, line: VirtualLine) -> None:
        self.packets: list[Packet] = []
        self._receive = line.receive
        self._parser = type(line._talk._parser)()
        line.receive = self.receive  # type: ignore[method-assign]

    def receive(self, data: bytes, now: float, baud_rate: int | None = None) -> None:
        self.packets += self._parser.feed(data)
        self._receive(data, now, baud_rate)

    def writes(self, address: int) -> list[Packet]:
        """Unicast and sync writes that begin at a register below 256."""
        return [p for p in self.packets if p.code in (WRITE, SYNC_WRITE) and p.data[0] == address]


def at(bench: BenchArm, register: str) -> int:
    return bench.bus.framing.registers[register].address


def takes_no_goal(monkeypatch: pytest.MonkeyPatch, bench: BenchArm, servo) -> None:
    honest = servo.write
    goal = at(bench, "goal_position")
    monkeypatch.setattr(servo, "write", lambda a, d, **more: 0 if a == goal else honest(a, d, **more))


@pytest.fixture
def drive(robot: RobotDescription) -> Drive:
    """Run an armed arm through the envelope toward a target that is far away."""
    envelope = SafetyEnvelope(robot, Kinematics(robot))
    kinematics = Kinematics(robot)

    def run(arm: BenchArm, seconds: float, pan: float = 1.5) -> ArmState:
        state = arm.read()
        envelope.reset(state)
        for _ in range(round(seconds / DT)):
            target = (pan, *state.joint_positions[1:], state.gripper)
            arm.write(envelope.admit(target, state, kinematics.forward(state.joint_positions), DT))
            arm.advance(DT)
            state = arm.read()
        return state

    return run


def test_it_is_an_arm(bench: BenchArm) -> None:
    assert isinstance(bench, Arm)


def test_torque_comes_after_a_goal_that_was_read_back(
    bench: BenchArm, line: VirtualLine, robot: RobotDescription
) -> None:
    goal_at, torque_at = at(bench, "goal_position"), at(bench, "torque_switch")
    for servo in line.servos:  # a stale goal from another life
        servo._set("goal_position", 1024)
    tap = Tap(line)
    before = [s.raw_ticks for s in line.servos]
    bench.connect()
    assert not tap.writes(torque_at)
    assert not tap.writes(goal_at)
    bench.arm()
    for servo in line.servos:
        own = [p for p in tap.packets if p.actuator_id == servo.actuator_id]
        goal = next(k for k, p in enumerate(own) if p.code == WRITE and p.data[0] == goal_at)
        torque = next(k for k, p in enumerate(own) if p.code == WRITE and p.data[0] == torque_at)
        # Address and size of a read are one byte each, or two; low bytes first, and all are small.
        reads = [(p.data[0], p.data[len(p.data) // 2]) for p in own[goal:torque] if p.code == READ]
        assert goal < torque
        assert any(first <= goal_at < first + size for first, size in reads)
        assert any(p.code == READ for p in own[torque:])
    for _ in range(20):
        bench.advance(0.05)
        bench.read()
    # It sinks into its servos by what its weight asks of their springs, and no joint jumps.
    weights = (*Gravity(robot).torques(robot.home), 0.0)
    for servo, start, weight, drive in zip(line.servos, before, weights, robot.actuator_drives, strict=True):
        assert abs(servo.raw_ticks - start) <= abs(weight) / drive.stiffness / drive.tick + 4


def test_arming_stops_where_a_goal_is_not_taken(bench: BenchArm, line: VirtualLine, monkeypatch) -> None:
    bench.connect()
    line.servo(3)._set("goal_position", 1024)
    takes_no_goal(monkeypatch, bench, line.servo(3))
    with pytest.raises(BusError, match="servo 3: register goal_position"):
        bench.arm()
    assert [line.servo(i).get("torque_switch") for i in (3, 4, 5, 6)] == [0, 0, 0, 0]


def test_it_follows_admitted_goals(bench: BenchArm, drive: Drive) -> None:
    bench.connect()
    bench.arm()
    state = drive(bench, 2.0)
    assert 0.8 < state.joint_positions[0] < 1.3
    assert 0.4 < state.joint_velocities[0] < 0.8
    assert state.joint_efforts[0] > 0.0
    assert state.stamp > 0.0


def test_only_admitted_commands_pass(bench: BenchArm) -> None:
    bench.connect()
    bench.arm()
    with pytest.raises(TypeError, match="Admitted"):
        bench.write((0.0,) * 6)  # type: ignore[arg-type]


def test_an_arm_that_is_not_armed_takes_no_command(bench: BenchArm, robot: RobotDescription) -> None:
    bench.connect()
    state = bench.read()
    admitted = SafetyEnvelope(robot, Kinematics(robot)).reset(state)
    with pytest.raises(SafetyError, match="not armed"):
        bench.write(admitted)


def test_no_goal_is_farther_than_the_look_ahead(bench: BenchArm, robot: RobotDescription, line: VirtualLine) -> None:
    bench.connect()
    bench.arm()
    state = bench.read()
    far = replace(state, joint_positions=tuple(q + 0.5 for q in state.joint_positions), gripper=state.gripper - 0.4)
    admitted = SafetyEnvelope(robot, Kinematics(robot)).reset(far)
    measured = bench._watch.ticks
    bench.write(admitted)
    for servo, here, reach in zip(line.servos, measured, robot.limits.look_ahead, strict=True):
        assert abs(servo.get("goal_position") - here) * 2 * 3.141592653589793 / 4096 <= reach
    assert bench.clamps == 1


def test_a_stop_is_confirmed_by_reading_back(bench: BenchArm, drive: Drive, line: VirtualLine) -> None:
    bench.connect()
    bench.arm()
    moving = drive(bench, 1.0)
    report = bench.stop()
    assert report.confirmed
    assert abs(report.positions[0] - moving.joint_positions[0]) < 0.05
    assert all(s.get("torque_switch") == 1 for s in line.servos)  # a stop is not a release
    assert bench.state == "stopped"


def test_a_stop_that_is_not_taken_is_not_reported_as_done(
    bench: BenchArm, drive: Drive, line: VirtualLine, monkeypatch
) -> None:
    bench.connect()
    bench.arm()
    drive(bench, 1.0)
    pan = line.servo(1)
    speed = next(name for name in ("goal_speed", "profile_velocity") if name in bench.bus.table(1))
    slow = 300 * pan.counts // 4096 if speed == "goal_speed" else 20  # about 0.4 rad/s
    bench.bus.write(1, speed, slow)
    bench.bus.write(1, "goal_position", pan.counts * 3 // 4)  # far away
    takes_no_goal(monkeypatch, bench, pan)
    report = bench.stop()
    assert not report.confirmed
    assert "shoulder_pan" in report.text


@pytest.mark.parametrize("silent", [1, 2, 3, 4, 5, 6])
def test_a_silent_joint_holds_then_stops_the_arm_by_name(
    bench: BenchArm, drive: Drive, faults: Faults, line: VirtualLine, robot: RobotDescription, silent: int
) -> None:
    bench.connect()
    bench.arm()
    drive(bench, 0.5)
    before = line.now
    stamp = bench.read().stamp
    faults.silent.add(silent)

    def live() -> None:
        for _ in range(10):
            assert bench.read().stamp == pytest.approx(stamp)  # no stale value passes as fresh
            bench.advance(0.01)

    with pytest.raises(BusError, match=robot.actuator_names[silent - 1]) as caught:
        live()
    assert "NOT CONFIRMED" in str(caught.value)
    assert bench.state == "stopped"
    assert line.now - before < 1.6


def test_one_lost_reply_is_asked_for_once_more(bench: BenchArm, drive: Drive, faults: Faults) -> None:
    bench.connect()
    bench.arm()
    faults.drop = 0.02
    drive(bench, 3.0)
    assert bench.bus.statistics.retries > 0
    assert bench.state == "armed"


@pytest.mark.parametrize(("fault", "word"), [("hot", "too hot"), ("overloaded", "overload")])
def test_a_fault_bit_stops_the_arm_and_names_joint_and_cure(
    bench: BenchArm, drive: Drive, faults: Faults, fault: str, word: str
) -> None:
    bench.connect()
    bench.arm()
    drive(bench, 0.5)
    getattr(faults, fault).add(4)
    with pytest.raises(BusError, match=f"wrist_flex .*{word}"):
        drive(bench, 0.5)
    assert bench.state == "stopped"
    with pytest.raises(BusError, match="wrist_flex"):
        bench.connect()


def test_an_unplugged_cable_ends_the_run_in_one_cycle(bench: BenchArm, drive: Drive, faults: Faults) -> None:
    bench.connect()
    bench.arm()
    drive(bench, 0.2)
    faults.unplugged = True
    with pytest.raises(LinkLostError):
        bench.read()
    assert bench.state == "stopped"
    assert not bench.stop().confirmed
    faults.unplugged = False
    with pytest.raises(SafetyError, match="not armed"):  # a cable put back does not resume the motion
        drive(bench, 0.2)


def test_what_was_decided_before_a_hold_up_is_not_done_after_it(
    bench: BenchArm, drive: Drive, robot: RobotDescription, line: VirtualLine
) -> None:
    bench.connect()
    bench.arm()
    state = drive(bench, 0.5)
    old = SafetyEnvelope(robot, Kinematics(robot)).reset(state)
    bench.bus.port.clock.sleep_until(line.now + 5.0)
    here = [s.present_ticks for s in line.servos]
    bench.write(old)
    assert bench.holds == 1
    assert [s.get("goal_position") for s in line.servos] == here


def test_one_lost_reply_after_a_pause_stops_nothing(
    bench: BenchArm, drive: Drive, line: VirtualLine, faults: Faults
) -> None:
    bench.connect()
    bench.arm()
    drive(bench, 0.2)
    bench.bus.port.clock.sleep_until(line.now + 1.0)
    faults.silent.add(3)
    bench.read()
    faults.silent.clear()
    bench.read()
    assert bench.state == "armed"


def test_a_corrupt_jump_is_not_believed(bench: BenchArm, drive: Drive, line: VirtualLine, monkeypatch) -> None:
    bench.connect()
    bench.arm()
    state = drive(bench, 0.5)
    pan = line.servo(1)
    honest = pan.mirror

    def lie() -> None:
        honest()
        pan._set("present_position", 3900)

    monkeypatch.setattr(pan, "mirror", lie)
    assert bench.read().joint_positions[0] == pytest.approx(state.joint_positions[0])


def test_a_missing_servo_is_named(robot: RobotDescription) -> None:
    line = VirtualLine(robot, ids=[1, 2, 4, 5, 6])
    framing = load_protocol(robot.bus.protocol)
    bus = ActuatorBus(SimPort("sim", line, 1_000_000, virtual_time=True), framing)
    with pytest.raises(BusError, match=r"elbow_flex \(id 3\)"):
        BenchArm(robot, bus, nominal_calibration(robot)).connect()


def test_a_servo_of_another_model_is_named_with_what_was_found(bench: BenchArm, line: VirtualLine) -> None:
    right = line.servo(2).get("model_number")
    line.servo(2)._set("model_number", 2825)
    with pytest.raises(BusError, match=rf"shoulder_lift \(id 2\) answers as model 2825, expected {right}"):
        bench.connect()


def test_a_wrong_supply_is_named(bench: BenchArm, line: VirtualLine) -> None:
    line.servo(5).voltage = 17.0
    bench.bus.port.clock.sleep_until(line.now + 0.1)
    with pytest.raises(BusError, match=r"wrist_roll .*voltage"):
        bench.connect()


def test_another_eeprom_offset_needs_another_calibration(bench: BenchArm) -> None:
    register = bench.bus.framing.offset_register
    if register is None:
        return
    bench.bus.write(1, register, 40)
    with pytest.raises(RefusedError, match=r"shoulder_pan .*calibrate again"):
        bench.connect()


def test_release_switches_off_all_that_answer_and_names_the_rest(
    bench: BenchArm, line: VirtualLine, faults: Faults
) -> None:
    bench.connect()
    bench.arm()
    faults.silent.add(2)
    with pytest.raises(BusError, match=r"shoulder_lift \(id 2\)"):
        bench.release()
    assert [line.servo(i).get("torque_switch") for i in (1, 3, 4, 5, 6)] == [0] * 5


def test_leaving_the_block_stops_and_never_releases(bench: BenchArm, drive: Drive, line: VirtualLine) -> None:
    tap = Tap(line)

    def fail() -> None:
        with bench:
            bench.arm()
            drive(bench, 0.5)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert all(s.get("torque_switch") == 1 for s in line.servos)
    assert all(p.data[-1] == 1 for p in tap.writes(at(bench, "torque_switch")))
    with pytest.raises(RefusedError, match="not connected"):
        bench.read()


def test_arming_again_holds_and_never_lets_go(bench: BenchArm, drive: Drive, line: VirtualLine) -> None:
    bench.connect()
    bench.arm()
    state = drive(bench, 1.0)
    tap = Tap(line)
    bench.arm()
    assert all(p.data[-1] == 1 for p in tap.writes(at(bench, "torque_switch")))
    bench.advance(0.3)
    assert bench.read().joint_positions[0] == pytest.approx(state.joint_positions[0], abs=0.04)


def test_one_reply_in_a_hundred_lost_stops_nothing(bench: BenchArm, drive: Drive, faults: Faults) -> None:
    bench.connect()
    bench.arm()
    faults.drop = faults.flip = faults.insert = 0.004
    for pan in (1.0, -1.0, 0.5):
        drive(bench, 20.0, pan)
    assert bench.state == "armed"
    assert bench.bus.statistics.retries > 20


def test_the_same_run_gives_the_same_numbers(robot: RobotDescription, drive: Drive) -> None:
    ends = []
    for _ in range(2):
        line = VirtualLine(robot)
        bus = ActuatorBus(SimPort("sim", line, 1_000_000, virtual_time=True), load_protocol(robot.bus.protocol))
        with BenchArm(robot, bus, nominal_calibration(robot)) as arm:
            arm.arm()
            ends.append(drive(arm, 1.0))
    assert ends[0] == ends[1]
