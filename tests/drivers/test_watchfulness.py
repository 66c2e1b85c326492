"""What an armed arm notices itself - a joint that is held, a servo gone limp or hot - and what a dead host leaves."""

from collections.abc import Callable, Sequence

import pytest

from genba.drivers.arm import BenchArm
from genba.drivers.bus import ActuatorBus
from genba.drivers.calibration import nominal_calibration
from genba.drivers.protocols import load_protocol
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.plant import ServoPlant
from genba.drivers.virtual.sim_port import SimPort
from genba.robots.description import RobotDescription
from genba.robots.envelope import SafetyEnvelope
from genba.robots.errors import BusError, SafetyError
from genba.robots.gravity import Gravity
from genba.robots.kinematics import Kinematics

DT = 1.0 / 30.0
MAX_TRAVEL = 0.05
FAR = (1.9, 0.3, -0.4, 0.4, 2.7, 0.6)
Drive = Callable[[BenchArm, float, tuple[float, ...]], None]


@pytest.fixture
def drive(robot: RobotDescription) -> Drive:
    kinematics = Kinematics(robot)

    def run(arm: BenchArm, seconds: float, target: tuple[float, ...]) -> None:
        envelope = SafetyEnvelope(robot, kinematics)
        state = arm.read()
        envelope.reset(state)
        for _ in range(round(seconds / DT)):
            arm.write(envelope.admit(target, state, kinematics.forward(state.joint_positions), DT))
            arm.advance(DT)
            state = arm.read()

    return run


def plant(line: VirtualLine) -> ServoPlant:
    assert isinstance(line.plant, ServoPlant)
    return line.plant


@pytest.fixture
def armed(bench: BenchArm) -> BenchArm:
    bench.connect()
    bench.arm()
    return bench


@pytest.mark.parametrize("joint", range(5))
def test_a_joint_that_is_held_stops_the_arm_by_name(
    armed: BenchArm, line: VirtualLine, drive: Drive, robot: RobotDescription, joint: int
) -> None:
    drive(armed, 0.5, FAR)
    here = plant(line)._positions[joint]
    plant(line)._stops[joint] = (here - 0.01, here + 0.01)
    held = line.now
    with pytest.raises(SafetyError, match=f"{robot.actuator_names[joint]} .* behind its goal .* holding"):
        drive(armed, 3.0, FAR)
    assert line.now - held < 1.2
    assert armed.state == "stopped"


def test_the_gripper_may_squeeze(armed: BenchArm, line: VirtualLine, drive: Drive, robot: RobotDescription) -> None:
    plant(line)._stops[5] = (0.25, 0.35)
    drive(armed, 1.5, (*robot.home, 0.0))
    assert armed.state == "armed"


@pytest.mark.parametrize("reach", [(0.0, 0.5, -0.5, 0.2), (0.0, -0.7, 0.75, 1.52), (1.0, -1.2, 1.4, 1.0)])
def test_an_arm_that_only_sags_is_not_stopped(
    armed: BenchArm, drive: Drive, robot: RobotDescription, reach: tuple[float, ...]
) -> None:
    drive(armed, 8.0, (*reach, 0.0, robot.gripper.home))
    assert armed.state == "armed"


def test_a_servo_that_reboots_is_noticed_and_its_stop_not_claimed(
    armed: BenchArm, line: VirtualLine, drive: Drive
) -> None:
    drive(armed, 0.5, FAR)
    line.servo(2).power_on(line.now)
    with pytest.raises((SafetyError, BusError), match="shoulder_lift") as caught:
        drive(armed, 3.0, FAR)
    assert "NOT CONFIRMED" in str(caught.value)


def test_heat_stops_the_arm_below_the_servos_own_limit(armed: BenchArm, line: VirtualLine, drive: Drive) -> None:
    drive(armed, 0.2, FAR)
    line.servo(3).temperature = 64.0
    drive(armed, 0.2, FAR)
    line.servo(3).temperature = 65.0
    with pytest.raises(BusError, match=r"elbow_flex .*65 degC, limit 65.* holding"):
        drive(armed, 0.2, FAR)
    assert armed.state == "stopped"


def sags(robot: RobotDescription, positions: Sequence[float]) -> list[float]:
    """How far weight presses each joint under its goal, rad: a watchdog that trips makes what is measured the goal."""
    weights = (*Gravity(robot).torques(positions[:-1]), 0.0)
    return [abs(weight) / drive.stiffness for weight, drive in zip(weights, robot.actuator_drives, strict=True)]


@pytest.mark.parametrize("target", [FAR, (-1.5, 0.9, -0.9, 1.0, -2.0, -0.1), (0.5, -1.6, 1.6, 1.5, 1.0, 0.6)])
def test_wherever_the_host_dies_no_joint_goes_far(robot: RobotDescription, target: tuple[float, ...]) -> None:
    """Each command is the last one, from the moment it was sent: the worst of all moments to die."""
    kinematics = Kinematics(robot)
    worst = 0.0
    for tick in range(2, 62, 3):
        line = VirtualLine(robot)
        bus = ActuatorBus(SimPort("sim", line, 1_000_000, virtual_time=True), load_protocol(robot.bus.protocol))
        with BenchArm(robot, bus, nominal_calibration(robot)) as arm:
            arm.arm()
            clock, joints = bus.port.clock, line.plant
            envelope = SafetyEnvelope(robot, kinematics)
            state = arm.read()
            envelope.reset(state)
            for _ in range(tick):
                arm.write(envelope.admit(target, state, kinematics.forward(state.joint_positions), DT))
                arm.advance(DT)
                state = arm.read()
            arm.write(envelope.admit(target, state, kinematics.forward(state.joint_positions), DT))
            if tick % 2:  # in the middle of the tick, when the second half has been sent
                clock.sleep_until(arm._written + 0.5 * DT)
                arm._send(arm._rest or [])
            here = joints.motion().positions
            sag = sags(robot, here) if bus.framing.watchdog else [0.0] * len(here)
            for _ in range(40):
                clock.sleep_until(clock.now() + 0.02)
                there = joints.motion().positions
                worst = max(worst, *(abs(a - b) - s for a, b, s in zip(there, here, sag, strict=True)))
    assert 0.02 < worst <= MAX_TRAVEL


def test_a_joint_nobody_has_driven_rests_and_a_released_one_sinks(armed: BenchArm, line: VirtualLine) -> None:
    fresh = ServoPlant(line.robot)
    from genba.robots.plant import Command

    for _ in range(500):
        fresh.step([Command(None)] * 6)
    home = (*line.robot.home, line.robot.gripper.home)
    assert max(abs(a - b) for a, b in zip(fresh.motion().positions, home, strict=True)) < 1e-3
    before = list(plant(line)._positions)
    armed.release()
    armed.bus.port.clock.sleep_until(line.now + 0.5)
    assert abs(plant(line)._positions[2] - before[2]) > 0.05
