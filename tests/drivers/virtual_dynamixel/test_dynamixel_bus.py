"""The virtual Dynamixel servo on its bus, rule by rule: who answers what, when, and what else may be asked."""

import pytest
from dynamixel_kit import IDS, MERGED, answer, error, wait, write

from genba.drivers.bus import ActuatorBus, Fault
from genba.drivers.framing import Packet
from genba.drivers.protocols._dynamixel_frames import status_frame
from genba.drivers.protocols.dynamixel2 import FRAMING, Dynamixel2, Instruction, Reset, encode
from genba.drivers.virtual.dynamixel import REBOOT_TIME
from genba.drivers.virtual.faults import Faults
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.sim_port import SimPort
from genba.drivers.wired import models_of
from genba.robots.description import RobotDescription
from genba.robots.errors import RefusedError

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
