"""The virtual Dynamixel servo's memory, rule by rule: defaults, ranges, locks, modes, indirect registers."""

import pytest
from dynamixel_kit import XL330, XL430, XM430, answer, error, write

from genba.drivers.bus import ActuatorBus
from genba.drivers.framing import Packet
from genba.drivers.protocols._dynamixel_frames import status_frame
from genba.drivers.protocols._dynamixel_tables import MODELS
from genba.drivers.protocols.dynamixel2 import FRAMING
from genba.drivers.virtual.dynamixel import VirtualDynamixel
from genba.drivers.virtual.line import VirtualLine
from genba.robots.errors import BusError, RefusedError

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
