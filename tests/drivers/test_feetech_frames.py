"""The frames of Feetech servos: known vectors, and laws that hold for any bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genba.drivers.framing import Packet
from genba.drivers.protocols._feetech_frames import BROADCAST, HEADER, ReplyParser, RequestParser, encode, frame
from genba.drivers.protocols.feetech_sts import FRAMING, Instruction
from genba.robots.errors import RefusedError

GOLDEN = [
    (FRAMING.ping(1), "FF FF 01 02 01 FB"),
    (FRAMING.read(1, 56, 2), "FF FF 01 04 02 38 02 BE"),
    (FRAMING.write(1, 42, bytes.fromhex("00 08 00 00 E8 03")), "FF FF 01 09 03 2A 00 08 00 00 E8 03 D5"),
    (FRAMING.action(), "FF FF FE 02 05 FA"),
    (FRAMING.reset(1), "FF FF 01 02 0A F2"),
    (FRAMING.write(1, 40, b"\x80"), "FF FF 01 04 03 28 80 4F"),
    (FRAMING.sync_read([1, 2, 3], 56, 2), "FF FF FE 07 82 38 02 01 02 03 38"),
    (FRAMING.recovery(1), "FF FF 01 02 06 F6"),
    (FRAMING.reboot(1), "FF FF 01 02 08 F4"),
    (FRAMING.backup(1), "FF FF 01 02 09 F3"),
    (FRAMING.calibrate(1), "FF FF 01 02 0B F1"),
    (FRAMING.calibrate(1, -2), "FF FF 01 04 0B FE FF F2"),
    (FRAMING.reg_write(1, 42, b"\x00\x08"), "FF FF 01 05 04 2A 00 08 C3"),
    (FRAMING.sync_write(42, {1: b"\x00\x08", 2: b"\x00\x04"}), "FF FF FE 0A 83 2A 02 01 00 08 02 00 04 39"),
]

ids = st.integers(0, 253)
codes = st.sampled_from(list(Instruction))


@pytest.mark.parametrize(("made", "wanted"), GOLDEN, ids=[wanted for _, wanted in GOLDEN])
def test_requests_are_the_manual_s_bytes(made: bytes, wanted: str) -> None:
    assert made.hex(" ").upper() == wanted


@given(ids, codes, st.binary(max_size=60))
def test_no_request_carries_a_header_inside(actuator_id: int, code: Instruction, data: bytes) -> None:
    if HEADER in frame(actuator_id, code, data)[2:]:
        with pytest.raises(RefusedError, match="FF FF"):
            encode(actuator_id, code, data)
    else:
        packet = encode(actuator_id, code, data)
        assert RequestParser().feed(packet) == [Packet(actuator_id, code, data)]


def test_a_goal_of_all_ones_is_refused_with_the_cure() -> None:
    with pytest.raises(RefusedError, match="change the value"):
        FRAMING.write(1, 42, b"\xff\xff")


@pytest.mark.parametrize("wrong", [(1, 87, 1), (1, 56, 40), (1, -1, 2), (255, 0, 1), (-1, 0, 1)])
def test_what_no_servo_has_is_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(RefusedError):
        FRAMING.read(*wrong)


def test_sign_bits_are_where_the_table_puts_them() -> None:
    registers = FRAMING.registers
    assert registers["goal_position"].encode(-100) == bytes.fromhex("64 80")
    assert registers["goal_duty"].encode(-100) == bytes.fromhex("64 04")
    assert registers["position_offset"].encode(-2048) == bytes.fromhex("00 18")
    assert registers["position_offset"].encode(-2047) == bytes.fromhex("FF 0F")
    assert registers["position_offset"].encode(2048) == bytes.fromhex("00 10")


def test_the_table_covers_memory_without_overlap() -> None:
    taken: set[int] = set()
    for register in FRAMING.registers:
        span = set(range(register.address, register.address + register.size))
        assert not span & taken
        taken |= span
    assert set(range(87)) - taken == set(range(50, 55)) | set(range(71, 80))


def test_broadcast_is_not_a_servo() -> None:
    assert FRAMING.broadcast_id == BROADCAST == 254
    assert RequestParser().feed(FRAMING.probe) == []


def test_a_frame_with_rubbish_at_its_heels_is_doubted() -> None:
    parser = ReplyParser({1, 2}, 2)
    assert parser.feed(frame(1, 0, b"ab") + b"\x00" + frame(2, 0, b"cd")) == [Packet(2, 0, b"cd")]
    assert parser.checksum_errors == 1
