"""The virtual STS3215 byte for byte: vectors of the fact sheet, and each rule of its memory."""

from collections.abc import Callable

import pytest

from genba.drivers.bus import ActuatorBus, Fault
from genba.drivers.framing import Packet
from genba.drivers.protocols._feetech_frames import ReplyParser, encode, frame
from genba.drivers.protocols._feetech_table import BAUD_RATES
from genba.drivers.protocols.feetech_sts import FRAMING, Instruction
from genba.drivers.virtual.faults import Faults
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.plant import ServoPlant
from genba.drivers.virtual.servo import TICK
from genba.drivers.virtual.sim_port import SimPort
from genba.drivers.virtual.sts3215 import REBOOT_TIME, VirtualServo
from genba.robots.description import RobotDescription
from genba.robots.errors import RefusedError

Talk = Callable[[str], str]

VECTORS = [
    ("FF FF 01 02 01 FB", "FF FF 01 02 00 FC"),
    ("FF FF 01 09 03 2A 00 08 00 00 E8 03 D5", "FF FF 01 02 00 FC"),
    ("FF FF FE 02 05 FA", ""),
    ("FF FF 01 02 0A F2", "FF FF 01 02 00 FC"),
    ("FF FF 01 04 03 28 80 4F", "FF FF 01 02 00 FC"),
    ("FF FF 01 05 03 2A FF FF CE", ""),
    ("FF FF 01 02 01 FA", ""),  # bad checksum
    ("FF FF 01 01 FD", ""),  # length below 2
    ("FF FF 63 02 01 99", ""),  # nobody's id
    ("FF FF 01 04 02 57 01 A0", ""),  # read at 87
    ("FF FF FF FF 01 02 01 FB", "FF FF 01 02 00 FC"),  # leading FF are harmless
    ("FF FF 01 09 03 FF FF 01 02 01 FB", "FF FF 01 02 00 FC"),  # a truncated packet, then a good one
    ("FF FF 01 02 77 85", "FF FF 01 02 00 FC"),  # an unknown instruction gets a status
]


@pytest.fixture(scope="session")
def robot(arms: Callable[[str], RobotDescription]) -> RobotDescription:
    return arms("feetech_sts")


@pytest.mark.parametrize(("request_", "reply"), VECTORS)
def test_vectors(talk: Talk, request_: str, reply: str) -> None:
    assert talk(request_) == reply


def test_present_position_vector(line: VirtualLine, talk: Talk) -> None:
    line.servo(1).raw_ticks = 1304
    assert talk("FF FF 01 04 02 38 02 BE") == "FF FF 01 04 00 18 05 DD"


def test_overload_flag_rides_on_every_reply_and_the_data_stay_valid(talk: Talk, faults: Faults) -> None:
    talk("FF FF 01 02 01 FB")
    faults.overloaded.add(1)
    talk("FF FF 01 02 01 FB")
    assert talk("FF FF 01 02 01 FB") == "FF FF 01 02 20 DC"
    assert talk("FF FF 01 04 02 38 02 BE").startswith("FF FF 01 04 20 00 08")


def test_reads_are_cut_at_the_end_of_memory(talk: Talk) -> None:
    reply = bytes.fromhex(talk(encode(1, Instruction.READ, bytes((84, 20))).hex()))
    assert ReplyParser({1}, 3).feed(reply)[0].data == bytes((150, 100, 1))


@pytest.mark.parametrize("register", [r for r in FRAMING.registers if r.writable], ids=lambda r: r.name)
def test_every_writable_register_returns_what_was_written(bus: ActuatorBus, register) -> None:
    special = {"id": (1,), "baud_code": (0,), "torque_switch": (0, 1, 2), "response_level": (1,)}
    for value in special.get(register.name, (register.lower, register.upper, (register.lower + register.upper) // 2)):
        bus.write(1, register.name, value)
        assert bus.read(1, register.name) == value


@pytest.mark.parametrize("register", [r for r in FRAMING.registers if not r.writable], ids=lambda r: r.name)
def test_read_only_bytes_are_skipped_with_a_good_status(bus: ActuatorBus, line: VirtualLine, register) -> None:
    before = bytes(line.servo(1).memory)
    request = encode(1, Instruction.WRITE, bytes((register.address,)) + b"\x55" * register.size)
    assert bus.command(request, 1) == 0
    assert bytes(line.servo(1).memory) == before


def test_factory_defaults() -> None:
    servo = VirtualServo(7)
    for register in FRAMING.registers:
        assert servo.get(register.name) == (7 if register.name == "id" else register.default), register.name


def test_the_lock_decides_what_survives_power_off(bus: ActuatorBus, line: VirtualLine) -> None:
    bus.write(1, "max_temperature", 60)
    line.servo(1).power_on(line.now)
    assert bus.read(1, "max_temperature") == 70
    bus.write(1, "lock", 0)
    bus.write(1, "max_temperature", 60)
    line.servo(1).power_on(line.now)
    assert bus.read(1, "max_temperature") == 60
    assert bus.read(1, "lock") == 1


def test_a_new_id_holds_at_once_but_the_reply_carries_the_old_one(talk: Talk) -> None:
    assert talk(FRAMING.write(1, 5, b"\x09").hex()) == "FF FF 01 02 00 FC"
    assert talk(FRAMING.ping(1).hex()) == ""
    assert talk(FRAMING.ping(9).hex()) == frame(9, 0).hex(" ").upper()


def test_baud_codes(line: VirtualLine, talk: Talk) -> None:
    assert talk(FRAMING.write(1, 6, b"\x08").hex())
    assert line.servo(1).baud_rate == 1_000_000
    for code, rate in enumerate(BAUD_RATES):
        line.servo(1).memory[6] = code
        assert line.servo(1).baud_rate == rate


def test_a_host_at_another_rate_hears_nothing(robot: RobotDescription, line: VirtualLine) -> None:
    wrong = ActuatorBus(SimPort("sim", line, 500_000, virtual_time=True), FRAMING)
    assert isinstance(wrong.ping(1), Fault)
    line.servo(1).memory[6] = 1
    assert wrong.ping(1) == 0


def test_response_level_0_leaves_ping_and_reads(talk: Talk) -> None:
    talk(FRAMING.write(1, 8, b"\x00").hex())  # this reply still follows the old level
    assert talk(FRAMING.write(1, 40, b"\x00").hex()) == ""
    assert talk(FRAMING.ping(1).hex())
    assert talk(FRAMING.read(1, 56, 2).hex())
    assert talk(FRAMING.sync_read([1], 56, 2).hex())


def test_a_prepared_write_waits_for_action(bus: ActuatorBus) -> None:
    assert bus.command(FRAMING.reg_write(1, 42, b"\x34\x02"), 1) == 0
    assert bus.read(1, "async_flag") == 1
    assert bus.read(1, "goal_position") == 0
    bus.port.write(FRAMING.action())
    assert bus.read(1, "goal_position") == 0x234
    assert bus.read(1, "async_flag") == 0


@pytest.mark.parametrize("raw", [0, 1, 1304, 2047, 2048, 4095])
def test_calibration_makes_the_present_position_the_wanted_one(bus: ActuatorBus, line: VirtualLine, raw: int) -> None:
    servo = line.servo(1)
    servo.raw_ticks = raw
    line.plant = _Frozen(line, {1: raw})
    bus.write(1, "torque_switch", 128, verify=False)
    assert bus.read(1, "present_position") == 2048
    assert bus.read(1, "torque_switch") == 0
    assert bus.read(1, "position_offset") == ((raw - 2048 + 2048) % 4096) - 2048
    assert bus.command(FRAMING.calibrate(1, 100), 1) == 0
    assert bus.read(1, "present_position") == 100
    servo.power_on(line.now)
    assert bus.read(1, "present_position") == 100  # kept although the lock was closed


class _Frozen:
    """A plant in which chosen encoders stand at chosen counts."""

    period = 0.001

    def __init__(self, line: VirtualLine, raw: dict[int, int]) -> None:
        motion = line.plant.motion()
        ids = line.robot.actuator_ids
        positions = [(raw[i] - 2048) * TICK if i in raw else p for i, p in zip(ids, motion.positions, strict=True)]
        self._motion = type(motion)(positions, motion.velocities, motion.duties)

    def motion(self):
        return self._motion

    def step(self, commands):
        return self._motion


def test_recovery_restores_the_backup_and_keeps_the_id(bus: ActuatorBus) -> None:
    bus.write(1, "position_gain", 16)
    assert bus.command(FRAMING.backup(1), 1) == 0
    bus.write(1, "position_gain", 50)
    bus.write(1, "lock", 0)
    bus.write(1, "goal_position", 99)
    assert bus.command(FRAMING.recovery(1), 1) == 0
    assert bus.read(1, "position_gain") == 16
    assert (bus.read(1, "goal_position"), bus.read(1, "torque_switch"), bus.read(1, "lock")) == (0, 0, 1)


def test_a_reboot_is_silent_and_forgets_ram(bus: ActuatorBus, line: VirtualLine) -> None:
    bus.write(1, "torque_limit", 300)
    assert isinstance(bus.command(FRAMING.reboot(1), 1), Fault)
    assert isinstance(bus.ping(1), Fault)
    bus.port.clock.sleep_until(line.now + REBOOT_TIME)
    assert bus.ping(1) == 0
    assert bus.read(1, "torque_limit") == 1000


def test_a_mode_change_lets_go(bus: ActuatorBus) -> None:
    bus.write(1, "goal_position", 2048)
    bus.write(1, "torque_switch", 1)
    bus.write(1, "acceleration", 20)
    bus.write(1, "mode", 1)
    assert (bus.read(1, "torque_switch"), bus.read(1, "acceleration"), bus.read(1, "goal_speed")) == (0, 0, 0)


def test_goals_are_clamped_to_the_limits_of_the_servo(bus: ActuatorBus, line: VirtualLine) -> None:
    bus.write(1, "max_angle", 2200)
    bus.write(1, "goal_position", 3000)
    bus.write(1, "torque_switch", 1)
    bus.port.clock.sleep_until(line.now + 1.0)
    assert bus.read(1, "target_position") == 2200
    assert abs(bus.read(1, "present_position") - 2200) <= 12


def test_a_free_joint_takes_no_orders_and_a_driven_one_moves(bus: ActuatorBus, line: VirtualLine) -> None:
    bus.write(1, "goal_position", 2300)
    bus.port.clock.sleep_until(line.now + 0.5)
    assert bus.read(1, "present_position") == 2048
    bus.write(1, "torque_switch", 1)
    bus.port.clock.sleep_until(line.now + 0.06)
    moving = bus.telemetry([1])[1]
    assert not isinstance(moving, Fault)
    assert moving.moving
    assert moving.speed_ticks > 500
    assert moving.speed_ticks % 50 == 0
    assert moving.current > 0.1


def test_speed_and_acceleration_shape_the_way(bus: ActuatorBus, line: VirtualLine) -> None:
    bus.write(1, "goal_position", 2048)
    bus.write(1, "torque_switch", 1)
    bus.write(1, "goal_speed", 500)
    bus.write(1, "acceleration", 20)
    bus.write(1, "goal_position", 2548)
    bus.port.clock.sleep_until(line.now + 0.5)
    assert 2120 < bus.read(1, "present_position") < 2400
    bus.port.clock.sleep_until(line.now + 1.0)
    assert abs(bus.read(1, "present_position") - 2548) <= 12


def test_overload_trips_holds_back_and_clears(bus: ActuatorBus, line: VirtualLine) -> None:
    bus.write(1, "goal_position", 4000)
    bus.write(1, "torque_switch", 1)
    bus.port.clock.sleep_until(line.now + 4.0)  # against the end stop
    assert line.servo(1).status & 32
    load = bus.telemetry([1])[1]
    assert not isinstance(load, Fault)
    assert abs(load.load) <= 0.21
    bus.write(1, "torque_switch", 0)
    bus.port.clock.sleep_until(line.now + 0.1)
    assert line.servo(1).status == 0


def test_sync_read_slots(line: VirtualLine) -> None:
    request = FRAMING.sync_read([1, 2, 3], 56, 2)
    line.servos = [s for s in line.servos if s.memory[5] != 2]  # a missing servo leaves its slot empty
    line.receive(request, 0.0)
    sent = len(request) * 10e-6
    assert line.next_due() == pytest.approx(sent + 10e-6 + 80e-6)
    assert len(line.take(line.next_due() or 0.0)) == 8
    assert line.next_due() == pytest.approx(sent + 10e-6 + 2 * 110e-6 + 80e-6)


def test_broadcast_ping_slots(line: VirtualLine) -> None:
    line.receive(FRAMING.ping(254), 0.0)
    assert line.next_due() == pytest.approx(60e-6 + 10e-6 + 90e-6 + 60e-6)
    assert len(ReplyParser(range(1, 7), 0).feed(line.take(1.0))) == 6


def test_a_broadcast_read_collides(line: VirtualLine) -> None:
    line.receive(FRAMING.read(254, 56, 2), 0.0)
    assert ReplyParser(range(1, 7), 2).feed(line.take(1.0)) == []


def test_a_ragged_sync_write_writes_what_it_has(line: VirtualLine) -> None:
    line.receive(encode(254, Instruction.SYNC_WRITE, bytes((42, 2, 1, 0x10, 0x02, 2, 0x20))), 0.0)
    assert line.servo(1).get("goal_position") == 0x210
    assert line.servo(2).get("goal_position") == 0x20


def test_strangers_are_refused(robot: RobotDescription) -> None:
    with pytest.raises(RefusedError, match="no servo 9"):
        VirtualLine(robot, ids=[1, 9])
    with pytest.raises(RefusedError, match="baud rate 12345"):
        VirtualLine(robot, baud_rate=12345)


def test_answers_do_not_depend_on_how_requests_are_cut(robot: RobotDescription) -> None:
    request = FRAMING.ping(1) + FRAMING.read(2, 3, 2)
    whole, cut = VirtualLine(robot), VirtualLine(robot)
    whole.receive(request, 0.0)
    for byte in request:
        cut.receive(bytes((byte,)), 0.0)
    assert whole.take(1.0) == cut.take(1.0)
    assert Packet(1, 0, b"") in ReplyParser({1}, 0).feed(frame(1, 0))


def test_a_joint_put_elsewhere_by_a_reset_stays_there(bus: ActuatorBus, line: VirtualLine) -> None:
    bus.write(1, "goal_position", 2048)
    bus.write(1, "torque_switch", 1)
    plant = line.plant
    assert isinstance(plant, ServoPlant)
    plant._positions[0] = 0.5
    bus.port.clock.sleep_until(line.now + 0.5)
    assert abs(bus.read(1, "present_position") - 2048 - 326) <= 12
