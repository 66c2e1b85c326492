"""The virtual Dynamixel servo in motion, rule by rule: modes, profiles, limits and protections."""

from dataclasses import replace

import pytest
from dynamixel_kit import XL330, XL430, XM430, wait, write

from genba.drivers.bus import ActuatorBus, Fault
from genba.drivers.framing import Telemetry
from genba.drivers.protocols._dynamixel_faults import FAULTS, OVERHEATING, OVERLOAD, REFUSALS, VOLTAGE
from genba.drivers.protocols.dynamixel2 import FRAMING
from genba.drivers.virtual.dynamixel import REBOOT_TIME
from genba.drivers.virtual.dynamixel_motion import OVERLOAD_TIME, WATCHDOG_UNIT
from genba.drivers.virtual.faults import Faults
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.plant import Motion
from genba.drivers.virtual.servo import TICK
from genba.robots.description import RobotDescription
from genba.robots.errors import BusError

# ---- motion


class Placed:
    """A plant whose first joint stands where it is put."""

    period = 0.001

    def __init__(self, line: VirtualLine) -> None:
        motion = line.plant.motion()
        self.positions = list(motion.positions)
        self.rest = (motion.velocities, motion.duties)

    def motion(self) -> Motion:
        return Motion(tuple(self.positions), *self.rest)

    def step(self, commands) -> Motion:
        self.commands = commands
        return self.motion()


def put(bus: ActuatorBus, plant: Placed, ticks: int) -> None:
    plant.positions[0] = (ticks - 2048) * TICK
    wait(bus, 0.01)


def test_a_goal_is_reached_and_told(bus: ActuatorBus) -> None:
    bus.write(1, "torque_switch", 1)
    bus.write(1, "goal_position", 2300)
    wait(bus, 0.06)
    moving = bus.telemetry((1,))[1]
    assert isinstance(moving, Telemetry)
    assert moving.moving
    assert moving.speed_ticks > 500
    assert moving.load > 0.05
    wait(bus, 1.5)
    assert abs(bus.read(1, "present_position") - 2300) <= 12
    assert bus.read(1, "moving") == 0
    assert bus.read(1, "moving_status") & 0x0B == 0x01


def test_torque_on_holds_where_the_joint_is_whatever_the_goal_was(bus: ActuatorBus) -> None:
    bus.write(1, "goal_position", 3000)
    bus.write(1, "torque_switch", 1)
    assert bus.read(1, "goal_position") == 2048
    wait(bus, 0.3)
    assert abs(bus.read(1, "present_position") - 2048) <= 2


def test_torque_comes_with_the_goal_where_the_drive_mode_says_so(bus: ActuatorBus) -> None:
    bus.write(1, "drive_mode", 8)
    bus.write(1, "goal_position", 2200)
    assert (bus.read(1, "torque_switch"), bus.read(1, "goal_position")) == (1, 2200)


def test_a_profile_keeps_its_speed_and_has_its_shape(bus: ActuatorBus) -> None:
    bus.write(1, "torque_switch", 1)
    bus.write(1, "profile_acceleration", 20)
    bus.write(1, "profile_velocity", 32)  # 500 ticks/s
    bus.write(1, "goal_position", 2548)
    wait(bus, 0.6)
    assert bus.read(1, "moving_status") & 0x32 == 0x32  # trapezoid, running
    assert bus.read(1, "velocity_trajectory") == 32
    assert 2240 < bus.read(1, "position_trajectory") < 2348
    wait(bus, 1.2)
    assert bus.read(1, "moving_status") & 0x3B == 0x01
    bus.write(1, "goal_position", 2528)
    assert bus.read(1, "moving_status") & 0x32 == 0x22  # too short to reach the speed


def test_a_profile_by_time_takes_that_time(bus: ActuatorBus) -> None:
    bus.write(1, "drive_mode", 4)
    bus.write(1, "torque_switch", 1)
    bus.write(1, "profile_velocity", 1000)
    bus.write(1, "profile_acceleration", 250)
    bus.write(1, "goal_position", 2648)
    wait(bus, 0.5)
    assert bus.read(1, "velocity_trajectory") == 51  # 600 ticks in 1 s less one flank
    wait(bus, 0.4)
    assert abs(bus.read(1, "position_trajectory") - 2648) > 5
    wait(bus, 0.15)
    assert bus.read(1, "position_trajectory") == 2648


def test_velocity_mode_turns_at_its_goal(bus: ActuatorBus) -> None:
    bus.write(1, "operating_mode", 1)
    bus.write(1, "torque_switch", 1)
    bus.write(1, "goal_velocity", 25)
    wait(bus, 1.0)
    assert abs(bus.read(1, "present_velocity") - 25) <= 2
    bus.write(1, "goal_velocity", 0)
    wait(bus, 1.0)
    assert abs(bus.read(1, "present_velocity")) <= 1


def test_a_speed_is_approached_at_the_acceleration_of_the_profile(bus: ActuatorBus) -> None:
    bus.write(1, "operating_mode", 1)
    bus.write(1, "profile_acceleration", 10)  # 3.7451 rad/s2
    bus.write(1, "torque_switch", 1)
    bus.write(1, "goal_velocity", 200)
    wait(bus, 0.5)
    assert bus.read(1, "velocity_trajectory") == pytest.approx(0.5 * 3.7451 / 0.0239691, abs=1.0)
    wait(bus, 1.0)
    assert bus.read(1, "velocity_trajectory") == 200


@pytest.mark.parametrize("actuator_id", [XL430, XL330, XM430])
def test_settings_give_the_motor_the_gains_of_the_drive(
    bus: ActuatorBus, robot: RobotDescription, line: VirtualLine, actuator_id: int
) -> None:
    drive = replace(robot.actuator_drives[0], position_gain=25.0, derivative_gain=8.0, max_duty=0.6)
    line.servo(actuator_id).memory[98] = 0xFF  # a watchdog that has tripped
    for name, value in FRAMING.settings(drive).items():
        bus.write(actuator_id, name, value)
    bus.write(actuator_id, "torque_switch", 1)
    command = line.servo(actuator_id).command(0.001)
    assert command.position_gain == pytest.approx(25.0, abs=0.02)
    assert command.derivative_gain == pytest.approx(8.0, abs=0.02)
    assert command.torque_limit == pytest.approx(0.6, abs=0.001)


def test_the_integral_term_moves_the_goal_up_to_the_whole_output(bus: ActuatorBus, line: VirtualLine) -> None:
    plant = Placed(line)
    line.plant = plant
    bus.write(1, "position_p_gain", 400)
    bus.write(1, "position_i_gain", 400)
    bus.write(1, "torque_switch", 1)
    bus.write(1, "goal_position", 2148)  # 100 ticks from where the joint is held
    shift = 100 * 1.0 * 400 / 65536 / (400 / 128)  # ticks per ms
    before = plant.commands[0].goal / TICK
    wait(bus, 0.2)
    assert plant.commands[0].goal / TICK - before == pytest.approx(200 * shift, rel=0.02)
    wait(bus, 4.0)
    assert plant.commands[0].goal / TICK == pytest.approx(100 + 885 / (400 / 128), abs=0.1)


def test_pwm_mode_drives_at_its_duty(bus: ActuatorBus) -> None:
    bus.write(1, "operating_mode", 16)
    bus.write(1, "torque_switch", 1)
    bus.write(1, "goal_pwm", -200)
    wait(bus, 0.3)
    assert bus.read(1, "present_pwm") == -200
    assert bus.read(1, "present_velocity") < -10


def test_current_limits_the_push_of_a_soft_position(bus: ActuatorBus, line: VirtualLine) -> None:
    line.plant._stops[3] = (1.4, 1.6)  # joint 4 meets a wall on the way
    bus.write(XM430, "operating_mode", 5)
    bus.write(XM430, "torque_switch", 1)
    bus.write(XM430, "goal_current", 100)
    bus.write(XM430, "goal_position", 3500)
    wait(bus, 1.5)
    assert bus.read(XM430, "present_current") == pytest.approx(100, abs=6)
    assert bus.read(XM430, "hardware_error") == 0


def test_current_mode_pushes_with_its_current(bus: ActuatorBus, line: VirtualLine) -> None:
    line.plant._stops[3] = (1.4, 1.6)
    bus.write(XM430, "operating_mode", 0)
    bus.write(XM430, "torque_switch", 1)
    bus.write(XM430, "goal_current", -150)
    wait(bus, 1.0)
    assert bus.read(XM430, "present_current") == pytest.approx(-150, abs=6)


def test_the_offset_moves_the_position_and_joints_take_a_quarter_turn_of_it(
    bus: ActuatorBus, line: VirtualLine
) -> None:
    bus.write(1, "position_offset", 1000)
    assert bus.read(1, "present_position") == 3048
    bus.write(1, "position_offset", 1025)
    assert bus.read(1, "present_position") == 2048
    bus.write(1, "operating_mode", 4)
    assert bus.read(1, "present_position") == 3073
    assert line.servo(1).raw_ticks == 2048


def test_reverse_turns_counts_and_commands_round(bus: ActuatorBus, line: VirtualLine) -> None:
    plant = Placed(line)
    line.plant = plant
    put(bus, plant, 1500)
    bus.write(1, "drive_mode", 1)
    assert bus.read(1, "present_position") == 4096 - 1500
    bus.write(1, "torque_switch", 1)
    bus.write(1, "goal_position", 4096 - 1400)
    wait(bus, 0.01)
    goal = plant.commands[0].goal
    assert goal == pytest.approx((1400 - 2048) * TICK)


def test_turns_are_counted_cleared_and_lost_with_the_power(bus: ActuatorBus, line: VirtualLine) -> None:
    plant = Placed(line)
    line.plant = plant
    bus.write(1, "operating_mode", 4)
    for ticks in range(2048, 9001, 50):
        put(bus, plant, ticks)
    assert bus.read(1, "present_position") == 8998
    assert bus.command(FRAMING.clear(1), 1) == 0
    assert bus.read(1, "present_position") == 8998 % 4096
    put(bus, plant, 9048)
    put(bus, plant, 12_000)
    line.servo(1).power_on(line.now)
    assert bus.read(1, "present_position") == 12_000 % 4096


def test_clear_is_refused_on_the_way(bus: ActuatorBus) -> None:
    bus.write(1, "torque_switch", 1)
    bus.write(1, "goal_position", 2600)
    wait(bus, 0.06)
    fault = bus.command(FRAMING.clear(1), 1)
    assert isinstance(fault, Fault)
    assert REFUSALS[1] in fault.text


def test_the_tick_counts_milliseconds(bus: ActuatorBus) -> None:
    before = bus.read(1, "realtime_tick")
    wait(bus, 0.25)
    assert bus.read(1, "realtime_tick") - before == pytest.approx(250, abs=2)


# ---- protections


def test_a_watchdog_stops_and_locks_the_goals_until_it_is_cleared(bus: ActuatorBus, line: VirtualLine) -> None:
    bus.write(1, "torque_switch", 1)
    bus.write(1, "profile_velocity", 20)
    bus.write(1, "bus_watchdog", 5)
    bus.write(1, "goal_position", 3000)
    for _ in range(5):
        wait(bus, 4 * WATCHDOG_UNIT)
        bus.read(2, "led")  # any instruction on the wire keeps it quiet
    assert bus.read(1, "bus_watchdog") == 5
    wait(bus, 6 * WATCHDOG_UNIT)
    here = bus.read(1, "present_position")
    assert bus.read(1, "bus_watchdog") == -1
    wait(bus, 0.3)
    assert abs(bus.read(1, "present_position") - here) <= 8
    assert write(line, 1, "goal_position", 2500) == 4
    assert write(line, 1, "bus_watchdog", 5) == 4
    bus.write(1, "bus_watchdog", 0)
    bus.write(1, "goal_position", 2500)


def test_a_watchdog_sleeps_without_torque(bus: ActuatorBus) -> None:
    bus.write(1, "bus_watchdog", 1)
    wait(bus, 1.0)
    assert bus.read(1, "bus_watchdog") == 1


def test_heat_is_latched_told_with_every_reply_and_ends_with_a_reboot(bus: ActuatorBus, line: VirtualLine) -> None:
    bus.write(1, "torque_switch", 1)
    line.servo(1).temperature = 73.0
    wait(bus, 0.01)
    status = bus.ping(1)
    assert status == 0x80
    assert bus.diagnose(1, 0x80) == (FAULTS[OVERHEATING],)
    assert bus.read(1, "torque_switch") == 0
    line.servo(1).temperature = 30.0
    wait(bus, 0.01)
    with pytest.raises(BusError, match="torque_switch holds 0 after writing 1"):
        bus.write(1, "torque_switch", 1)
    assert bus.command(FRAMING.reboot(1), 1) == 0x80
    wait(bus, REBOOT_TIME)
    assert bus.ping(1) == 0
    bus.write(1, "torque_switch", 1)


def test_an_error_outside_the_shutdown_mask_is_told_and_passes(bus: ActuatorBus, line: VirtualLine) -> None:
    bus.write(XL430, "torque_switch", 1)
    line.servo(XL430).voltage = 5.0
    wait(bus, 0.01)
    assert bus.diagnose(XL430, 0x80) == (FAULTS[VOLTAGE],)
    assert bus.read(XL430, "torque_switch") == 1  # not in the mask of an XL430
    line.servo(XL430).voltage = 12.0
    wait(bus, 0.01)
    assert bus.ping(XL430) == 0
    bus.write(XL330, "torque_switch", 1)
    line.servo(XL330).voltage = 12.0
    wait(bus, 0.01)
    assert bus.read(XL330, "torque_switch") == 0  # but in that of an XL330


def test_overload_trips_after_a_while_against_a_wall(bus: ActuatorBus, line: VirtualLine) -> None:
    line.plant._stops[0] = (-0.1, 0.1)
    bus.write(1, "torque_switch", 1)
    bus.write(1, "goal_position", 4000)
    wait(bus, OVERLOAD_TIME - 0.5)
    assert bus.read(1, "hardware_error") == 0
    wait(bus, 1.0)
    assert bus.diagnose(1, 0x80) == (FAULTS[OVERLOAD],)
    assert bus.read(1, "torque_switch") == 0


def test_injected_faults_are_hardware_errors(bus: ActuatorBus, faults: Faults) -> None:
    faults.hot, faults.overloaded = {1}, {2}
    wait(bus, 0.01)
    assert bus.read(1, "hardware_error") == OVERHEATING
    assert bus.read(2, "hardware_error") == OVERLOAD
    assert bus.read(3, "hardware_error") == 0
