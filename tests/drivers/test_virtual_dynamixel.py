"""The virtual Dynamixel servo rule by rule: memory, errors, modes, profiles, protections, and who answers when."""

from dataclasses import replace

import pytest

from genba.drivers.bus import ActuatorBus, Fault
from genba.drivers.framing import Packet, Telemetry
from genba.drivers.protocols._dynamixel_faults import FAULTS, OVERHEATING, OVERLOAD, REFUSALS, VOLTAGE
from genba.drivers.protocols._dynamixel_frames import status_frame
from genba.drivers.protocols._dynamixel_tables import MODELS
from genba.drivers.protocols.dynamixel2 import FRAMING, Dynamixel2, Instruction, Reset, encode
from genba.drivers.virtual.dynamixel import REBOOT_TIME, VirtualDynamixel
from genba.drivers.virtual.dynamixel_motion import OVERLOAD_TIME, WATCHDOG_UNIT
from genba.drivers.virtual.faults import Faults
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.plant import Motion
from genba.drivers.virtual.servo import TICK
from genba.drivers.virtual.sim_port import SimPort
from genba.drivers.wired import models_of
from genba.robots.description import RobotDescription
from genba.robots.errors import BusError, RefusedError

IDS = (1, 2, 3, 4, 5, 6)
XL430, XL330, XM430 = 1, 3, 4  # one servo of each family
MERGED = Dynamixel2(merged=True)


@pytest.fixture(scope="session")
def robot(every_model: RobotDescription) -> RobotDescription:
    return every_model


@pytest.fixture(autouse=True)
def _no_delay(line: VirtualLine) -> None:
    for servo in line.servos:
        servo._set("return_delay", 0)


def answer(line: VirtualLine, request: bytes) -> bytes:
    line.receive(request, line.now)
    reply = line.take(line.now + 10.0)
    line.step(line.now + 0.01)
    return reply


def error(line: VirtualLine, request: bytes) -> int | None:
    """Error byte of the reply without data, None for silence."""
    packets = FRAMING.parser(range(253), 0).feed(answer(line, request))
    return packets[0].code if packets else None


def write(line: VirtualLine, actuator_id: int, register: str, value: int) -> int | None:
    entry = FRAMING.table(line.servo(actuator_id).get("model_number"))[register]
    data = (value % (1 << 8 * entry.size)).to_bytes(entry.size, "little")
    return error(line, FRAMING.write(actuator_id, entry.address, data))


def wait(bus: ActuatorBus, seconds: float) -> None:
    bus.port.clock.sleep_until(bus.port.clock.now() + seconds)


# ---- memory


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_a_new_servo_holds_the_defaults_of_its_model(model) -> None:
    servo = VirtualDynamixel(7, model_number=model.number)
    given = {"id": 7, "goal_position": 2048, "present_position": 0}
    for register in model.table:
        assert servo.get(register.name) == given.get(register.name, register.default), register.name


def test_an_unknown_model_is_refused_with_those_there_are() -> None:
    with pytest.raises(RefusedError, match=r"1060 \(XL430-W250\)"):
        VirtualDynamixel(1, model_number=777)


def test_ping_gives_model_and_firmware(line: VirtualLine) -> None:
    assert answer(line, FRAMING.ping(1)) == status_frame(1, 0, bytes((0x24, 0x04, 52)))


@pytest.mark.parametrize("actuator_id", [XL430, XL330, XM430])
def test_every_writable_register_returns_what_was_written(bus: ActuatorBus, actuator_id: int) -> None:
    own = {
        "id": (actuator_id,),
        "baud_code": (3,),
        "operating_mode": (1, 3),
        "protocol_type": (2,),
        "response_level": (2,),
        "bus_watchdog": (0, 127),
        "goal_position": (0, 4095),
        "goal_velocity": (-200, 200),  # within velocity_limit
    }
    for register in bus.table(actuator_id):
        if register.writable and not register.name.startswith("indirect_data"):
            for value in own.get(register.name, (register.lower, register.upper, register.default)):
                bus.write(actuator_id, register.name, value)
                if register.name == "torque_switch":
                    bus.write(actuator_id, register.name, 0)


@pytest.mark.parametrize("actuator_id", [XL430, XL330, XM430])
def test_a_value_outside_its_range_is_refused_and_nothing_written(line: VirtualLine, actuator_id: int) -> None:
    servo = line.servo(actuator_id)
    for register in FRAMING.table(servo.get("model_number")):
        most = (1 << 8 * register.size) - 1
        if not register.writable or register.upper >= most:
            continue
        before = servo.get(register.name)
        assert write(line, actuator_id, register.name, register.upper + 1) == 4
        if register.sign == "twos":
            assert write(line, actuator_id, register.name, register.lower - 1) == 4
        assert servo.get(register.name) == before


@pytest.mark.parametrize("name", ["model_number", "present_position", "hardware_error", "realtime_tick"])
def test_what_is_read_only_is_refused(line: VirtualLine, name: str) -> None:
    assert write(line, 1, name, 1) == 7


def test_a_part_of_a_register_is_refused(line: VirtualLine) -> None:
    before = bytes(line.servo(1).memory[116:120])
    assert error(line, FRAMING.write(1, 116, b"\x01\x02")) == 5
    assert error(line, FRAMING.write(1, 117, b"\x01\x02\x03")) == 5
    assert error(line, FRAMING.write(1, 112, bytes(6))) == 5  # profile_velocity whole, goal_position in part
    assert bytes(line.servo(1).memory[112:120]) == bytes(4) + before


def test_gaps_between_registers_read_as_nothing_and_take_nothing(line: VirtualLine) -> None:
    reply = answer(line, FRAMING.read(1, 14, 6))
    assert FRAMING.parser((1,), 6).feed(reply) == [Packet(1, 0, bytes(6))]
    assert error(line, FRAMING.write(1, 14, b"\x01")) == 7
    assert error(line, FRAMING.read(1, 661, 2)) == 7  # beyond the memory


def test_several_registers_are_written_at_once_or_not_at_all(line: VirtualLine) -> None:
    good = (5).to_bytes(4, "little") + (6).to_bytes(4, "little") + (2100).to_bytes(4, "little")
    assert error(line, FRAMING.write(1, 108, good)) == 0
    assert [line.servo(1).get(n) for n in ("profile_acceleration", "profile_velocity", "goal_position")] == [5, 6, 2100]
    bad = (7).to_bytes(4, "little") + (8).to_bytes(4, "little") + (5000).to_bytes(4, "little")
    assert error(line, FRAMING.write(1, 108, bad)) == 6
    assert line.servo(1).get("profile_acceleration") == 5


def test_torque_locks_the_eeprom(bus: ActuatorBus) -> None:
    bus.write(1, "max_temperature", 60)
    bus.write(1, "torque_switch", 1)
    with pytest.raises(BusError, match=r"writing max_temperature = 50: servo 1 refused: .* switch its torque off"):
        bus.write(1, "max_temperature", 50)
    assert bus.read(1, "max_temperature") == 60


def test_eeprom_survives_power_off_and_ram_does_not(bus: ActuatorBus, line: VirtualLine) -> None:
    bus.write(1, "max_temperature", 60)
    bus.write(1, "led", 1)
    line.servo(1).power_on(line.now)
    assert (bus.read(1, "max_temperature"), bus.read(1, "led")) == (60, 0)


def test_limits_bind_the_goals(bus: ActuatorBus) -> None:
    bus.write(XM430, "current_limit", 500)
    bus.write(XM430, "velocity_limit", 100)
    bus.write(XM430, "pwm_limit", 400)
    bus.write(XM430, "max_position", 3000)
    for name, most in (("goal_current", 500), ("goal_velocity", 100), ("goal_pwm", 400), ("goal_position", 3000)):
        bus.write(XM430, name, most)
        with pytest.raises(BusError, match=f"writing {name} = {most + 1}: .*limit"):
            bus.write(XM430, name, most + 1)


def test_several_turns_are_goals_in_the_modes_that_have_them(line: VirtualLine) -> None:
    assert write(line, 1, "goal_position", 5000) == 6
    assert write(line, 1, "operating_mode", 4) == 0
    assert write(line, 1, "goal_position", -1_048_575) == 0
    assert write(line, 1, "goal_position", 1_048_576) == 4


def test_an_operating_mode_that_the_model_lacks_is_refused(line: VirtualLine) -> None:
    assert write(line, XL430, "operating_mode", 5) == 4
    assert write(line, XM430, "operating_mode", 5) == 0
    assert write(line, XM430, "operating_mode", 2) == 4


def test_another_mode_starts_gains_profile_and_goals_afresh(bus: ActuatorBus) -> None:
    for name in ("position_p_gain", "profile_velocity", "goal_pwm"):
        bus.write(1, name, 33)
    bus.write(1, "operating_mode", 4)
    assert [bus.read(1, n) for n in ("position_p_gain", "profile_velocity", "goal_pwm")] == [640, 0, 885]


# ---- indirect registers


def test_indirect_data_are_the_bytes_they_point_to(bus: ActuatorBus, line: VirtualLine) -> None:
    for k, address in enumerate((132, 133, 134, 135, 65)):
        bus.write(1, f"indirect_address_{k + 1}", address)
    data = bus.read_bytes((1,), 224, 5)[1]
    assert isinstance(data, Packet)
    assert int.from_bytes(data.data[:4], "little") == bus.read(1, "present_position")
    bus.write(1, "indirect_data_5", 1)
    assert line.servo(1).get("led") == 1
    assert error(line, FRAMING.write(1, 224, bytes(4))) == 7  # present_position stays read-only


def test_a_goal_is_written_through_indirect_data_as_a_whole(bus: ActuatorBus, line: VirtualLine) -> None:
    for k in range(4):
        bus.write(XL330, f"indirect_address_{k + 1}", 116 + k)
    first = bus.table(XL330)["indirect_data_1"].address
    assert first == 208
    assert error(line, FRAMING.write(XL330, first, (2222).to_bytes(4, "little"))) == 0
    assert bus.read(XL330, "goal_position") == 2222
    assert error(line, FRAMING.write(XL330, first, b"\x00\x01")) == 5
    with pytest.raises(RefusedError, match="different addresses"):
        bus.sync_read("indirect_data_1", (XL430, XL330))


def test_eeprom_cannot_be_pointed_to(line: VirtualLine) -> None:
    assert write(line, 1, "indirect_address_1", 63) == 4


# ---- who answers


def test_response_levels(line: VirtualLine) -> None:
    assert write(line, 1, "response_level", 1) == 0  # this reply still follows the old level
    assert write(line, 1, "led", 1) is None
    assert answer(line, FRAMING.read(1, 65, 1)) == status_frame(1, 0, b"\x01")
    line.servo(1)._set("response_level", 0)
    assert answer(line, FRAMING.read(1, 65, 1)) == b""
    assert answer(line, FRAMING.ping(1))


def test_a_spoiled_request_and_an_unknown_instruction_are_told(line: VirtualLine) -> None:
    spoiled = bytearray(FRAMING.read(1, 65, 1))
    spoiled[-1] ^= 0x40
    assert error(line, bytes(spoiled)) == 3
    assert error(line, encode(1, 0x77)) == 2
    assert error(line, FRAMING.action(1)) == 2  # nothing was prepared
    assert error(line, encode(1, Instruction.READ, b"\x01")) == 5


def test_broadcasts_are_obeyed_in_silence(line: VirtualLine) -> None:
    assert answer(line, FRAMING.write(254, 65, b"\x01")) == b""
    assert [s.get("led") for s in line.servos] == [1] * 6
    assert answer(line, FRAMING.read(254, 65, 1)) == b""


def test_a_broadcast_ping_is_answered_one_by_one(line: VirtualLine) -> None:
    reply = answer(line, FRAMING.ping(254))
    assert [p.actuator_id for p in FRAMING.parser(IDS, 3).feed(reply)] == list(IDS)


def test_replies_wait_for_the_return_delay(line: VirtualLine) -> None:
    request = FRAMING.ping(1)
    line.servo(1)._set("return_delay", 250)
    line.receive(request, 0.0)
    assert line.next_due() == pytest.approx((len(request) + 14) * 10e-6 + 500e-6)


def test_replies_to_a_sync_read_form_a_chain(line: VirtualLine) -> None:
    request = FRAMING.sync_read(IDS, 132, 4)
    for servo in line.servos:
        servo._set("return_delay", 10)
    line.receive(request, 0.0)
    assert line.next_due() == pytest.approx(len(request) * 10e-6 + 20e-6 + 150e-6)
    assert len(line.take(len(request) * 10e-6 + 6 * 170e-6 + 1e-9)) == 6 * 15


def test_a_silent_servo_silences_those_behind_it(line: VirtualLine, faults: Faults) -> None:
    faults.silent.add(3)
    for framing in (FRAMING, MERGED):
        reply = answer(line, framing.sync_read(IDS, 132, 4))
        assert [p.actuator_id for p in framing.parser(IDS, 4).feed(reply)] == [1, 2]


@pytest.mark.parametrize("framing", [FRAMING, MERGED], ids=["single", "merged"])
def test_sync_and_bulk_reads_give_the_same(line: VirtualLine, framing: Dynamixel2) -> None:
    positions = [Packet(s.actuator_id, 0, s.read(132, 4)[1]) for s in line.servos]
    for request in (framing.sync_read(IDS, 132, 4), framing.bulk_read(dict.fromkeys(IDS, (132, 4)))):
        assert framing.parser(IDS, 4).feed(answer(line, request)) == positions


def test_the_bus_reads_merged_replies_and_goes_round_a_silent_servo(
    robot: RobotDescription, line: VirtualLine, faults: Faults
) -> None:
    port = SimPort("sim", line, 1_000_000, virtual_time=True)
    plain = ActuatorBus(port, FRAMING, models=models_of(robot)).telemetry(IDS)
    bus = ActuatorBus(port, MERGED, models=models_of(robot))
    begun = line.now
    assert repr(bus.telemetry(IDS)) == repr(plain)
    assert line.now - begun < (20 + 6 * 36) * 10e-6  # six frames of their own take longer
    faults.silent.add(2)
    results = bus.telemetry(IDS)
    assert [i for i, result in results.items() if isinstance(result, Fault)] == [2]


def test_a_servo_is_held_to_its_own_table_once_its_model_is_known(line: VirtualLine) -> None:
    bus = ActuatorBus(SimPort("sim", line, 1_000_000, virtual_time=True), FRAMING)
    bus.sync_write("goal_velocity", {1: 2000})  # an XL330 would take it
    bus.know({1: 1060})
    with pytest.raises(RefusedError, match=r"2000 is outside -1023\.\.1023"):
        bus.sync_write("goal_velocity", {1: 2000})


def test_sync_and_bulk_writes(line: VirtualLine) -> None:
    values = {1: (2000).to_bytes(4, "little"), 4: (2100).to_bytes(4, "little")}
    assert answer(line, FRAMING.sync_write(116, values)) == b""
    assert (line.servo(1).get("goal_position"), line.servo(4).get("goal_position")) == (2000, 2100)
    assert answer(line, FRAMING.bulk_write({1: (65, b"\x01"), 3: (116, (1999).to_bytes(4, "little"))})) == b""
    assert (line.servo(1).get("led"), line.servo(3).get("goal_position")) == (1, 1999)


def test_the_secondary_id_reaches_ram_of_a_group_and_is_never_answered(line: VirtualLine) -> None:
    for i in (1, 2, 3):
        assert write(line, i, "secondary_id", 5) == 0
    assert error(line, FRAMING.write(5, 65, b"\x01")) == 0  # by servo 5 itself
    assert [s.get("led") for s in line.servos] == [1, 1, 1, 0, 1, 0]
    assert error(line, FRAMING.write(5, 31, b"\x32")) == 0
    assert [s.get("max_temperature") for s in line.servos] == [72, 72, 70, 80, 50, 70]
    for i in (1, 2, 3):
        assert write(line, i, "secondary_id", 100) == 0
    assert answer(line, FRAMING.write(100, 65, b"\x00")) == b""
    assert answer(line, FRAMING.ping(100)) == b""
    assert [s.get("led") for s in line.servos] == [0, 0, 0, 0, 1, 0]
    answer(line, FRAMING.sync_write(65, {100: b"\x01", 4: b"\x01"}))
    assert [s.get("led") for s in line.servos] == [1, 1, 1, 1, 1, 0]


def test_a_new_id_is_answered_with_the_old_one(line: VirtualLine) -> None:
    assert answer(line, FRAMING.write(1, 7, b"\x09")) == status_frame(1, 0)
    assert answer(line, FRAMING.ping(1)) == b""
    assert answer(line, FRAMING.ping(9))


# ---- other instructions


def test_a_prepared_write_waits_for_action(bus: ActuatorBus, line: VirtualLine) -> None:
    assert bus.command(FRAMING.reg_write(1, 65, b"\x01"), 1) == 0
    assert (bus.read(1, "async_flag"), bus.read(1, "led")) == (1, 0)
    assert bus.command(FRAMING.action(1), 1) == 0
    assert (bus.read(1, "async_flag"), bus.read(1, "led")) == (0, 1)
    assert error(line, FRAMING.action(1)) == 2  # once only
    assert error(line, FRAMING.reg_write(1, 65, b"\x07")) == 4
    assert bus.read(1, "async_flag") == 0


@pytest.mark.parametrize(
    ("what", "kept"), [(Reset.ALL, (1, 1)), (Reset.ALL_BUT_ID, (2, 1)), (Reset.ALL_BUT_ID_AND_BAUD, (2, 3))]
)
def test_factory_reset(line: VirtualLine, what: Reset, kept: tuple[int, int]) -> None:
    servo = line.servo(2)
    servo.write(31, b"\x32")
    assert error(line, FRAMING.factory_reset(2, what)) == 0
    assert (servo.get("id"), servo.get("baud_code")) == kept
    assert servo.get("max_temperature") == 72


def test_a_factory_reset_of_everything_is_not_broadcast(line: VirtualLine) -> None:
    answer(line, FRAMING.factory_reset(254, Reset.ALL))
    assert [s.actuator_id for s in line.servos] == list(IDS)


def test_a_reboot_is_answered_then_silent_and_forgets_ram(bus: ActuatorBus) -> None:
    bus.write(1, "led", 1)
    assert bus.command(FRAMING.reboot(1), 1) == 0
    assert isinstance(bus.ping(1), Fault)
    wait(bus, REBOOT_TIME)
    assert bus.ping(1) == 0
    assert bus.read(1, "led") == 0


def test_a_backup_is_stored_and_restored(bus: ActuatorBus, line: VirtualLine) -> None:
    assert error(line, FRAMING.backup(1, restore=True)) == 1  # there is none
    bus.write(1, "max_temperature", 60)
    assert bus.command(FRAMING.backup(1), 1) == 0
    assert bus.read(1, "backup_ready") == 1
    bus.write(1, "max_temperature", 50)
    assert bus.command(FRAMING.backup(1, restore=True), 1) == 0
    wait(bus, REBOOT_TIME)
    assert bus.read(1, "max_temperature") == 60
    assert error(line, encode(1, Instruction.CONTROL_TABLE_BACKUP, b"\x01CTRX")) == 4
    bus.write(1, "torque_switch", 1)
    assert error(line, FRAMING.backup(1, restore=True)) == 1


def test_startup_configuration_restores_ram_and_switches_on(bus: ActuatorBus, line: VirtualLine) -> None:
    bus.write(1, "position_p_gain", 500)
    bus.write(1, "startup_configuration", 3)
    assert bus.command(FRAMING.backup(1), 1) == 0
    line.servo(1).power_on(line.now)
    assert (bus.read(1, "position_p_gain"), bus.read(1, "torque_switch")) == (500, 1)


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
