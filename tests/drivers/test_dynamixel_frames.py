"""The frames of Dynamixel Protocol 2.0: the manual's vectors, stuffing, and replies that several servos share."""

import re
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genba.drivers.framing import Packet
from genba.drivers.protocols._dynamixel_faults import FAULTS, REFUSALS
from genba.drivers.protocols._dynamixel_frames import (
    BROADCAST,
    HEADER,
    SPOILED,
    RequestParser,
    StatusParser,
    crc16,
    frame,
    merged_frame,
    status_frame,
)
from genba.drivers.protocols._dynamixel_tables import BY_NUMBER, MODELS
from genba.drivers.protocols.dynamixel2 import FRAMING, Dynamixel2, Instruction, Reset
from genba.robots.catalogue import load_robot
from genba.robots.errors import RefusedError

MERGED = Dynamixel2(merged=True)

# From the public manual of the protocol; the CRC of its fast bulk read (20 F2) is that of the example before it.
GOLDEN = [
    (FRAMING.ping(1), "FF FF FD 00 01 03 00 01 19 4E"),
    (FRAMING.ping(BROADCAST), "FF FF FD 00 FE 03 00 01 31 42"),
    (FRAMING.read(1, 132, 4), "FF FF FD 00 01 07 00 02 84 00 04 00 1D 15"),
    (FRAMING.write(1, 116, bytes((0, 2, 0, 0))), "FF FF FD 00 01 09 00 03 74 00 00 02 00 00 CA 89"),
    (FRAMING.reg_write(1, 104, bytes((0xC8, 0, 0, 0))), "FF FF FD 00 01 09 00 04 68 00 C8 00 00 00 AE 8E"),
    (FRAMING.action(1), "FF FF FD 00 01 03 00 05 02 CE"),
    (FRAMING.factory_reset(1, Reset.ALL_BUT_ID), "FF FF FD 00 01 04 00 06 01 A1 E6"),
    (FRAMING.reboot(1), "FF FF FD 00 01 03 00 08 2F 4E"),
    (FRAMING.clear(1), "FF FF FD 00 01 08 00 10 01 44 58 4C 22 B1 DC"),
    (FRAMING.sync_read([1, 2], 132, 4), "FF FF FD 00 FE 09 00 82 84 00 04 00 01 02 CE FA"),
    (
        FRAMING.sync_write(116, {1: bytes((150, 0, 0, 0)), 2: bytes((170, 0, 0, 0))}),
        "FF FF FD 00 FE 11 00 83 74 00 04 00 01 96 00 00 00 02 AA 00 00 00 82 87",
    ),
    (FRAMING.bulk_read({1: (144, 2), 2: (146, 1)}), "FF FF FD 00 FE 0D 00 92 01 90 00 02 00 02 92 00 01 00 1A 05"),
    (MERGED.sync_read([3, 7, 4], 132, 4), "FF FF FD 00 FE 0A 00 8A 84 00 04 00 03 07 04 20 F2"),
    (status_frame(1, 0, bytes((6, 4, 0x26))), "FF FF FD 00 01 07 00 55 00 06 04 26 65 5D"),
    (status_frame(2, 0, bytes((6, 4, 0x26))), "FF FF FD 00 02 07 00 55 00 06 04 26 6F 6D"),
    (status_frame(1, 0, bytes((0xA6, 0, 0, 0))), "FF FF FD 00 01 08 00 55 00 A6 00 00 00 8C C0"),
    (status_frame(2, 0, bytes((0x1F, 8, 0, 0))), "FF FF FD 00 02 08 00 55 00 1F 08 00 00 BA BE"),
    (status_frame(1, 0), "FF FF FD 00 01 04 00 55 00 A1 0C"),
    (status_frame(1, 0, bytes((0x77, 0))), "FF FF FD 00 01 06 00 55 00 77 00 C3 69"),
    (status_frame(2, 0, bytes((0x24,))), "FF FF FD 00 02 05 00 55 00 24 8B A9"),
]
MERGED_REPLY = bytes.fromhex(
    "FF FF FD 00 FE 19 00 55 00 03 A6 00 00 00 84 08 00 07 1F 08 00 00 16 CA 00 04 FF 03 00 00 D1 9E"
)
MERGED_PACKETS = [
    Packet(3, 0, bytes((0xA6, 0, 0, 0))),
    Packet(7, 0, bytes((0x1F, 8, 0, 0))),
    Packet(4, 0, bytes((0xFF, 3, 0, 0))),
]

ids = st.integers(0, 252)
codes = st.sampled_from(list(Instruction))
tricky = st.lists(st.sampled_from([b"\xff", b"\xfd", b"\x00", b"\xff\xff\xfd", b"\xff\xff\xfd\xfd", HEADER, b"\x55"]))
content = st.binary(max_size=40) | tricky.map(b"".join)


@pytest.mark.parametrize(("made", "wanted"), GOLDEN, ids=[wanted for _, wanted in GOLDEN])
def test_frames_are_the_manual_s_bytes(made: bytes, wanted: str) -> None:
    assert made.hex(" ").upper() == wanted


def test_the_fast_bulk_read_carries_the_checksum_that_belongs_to_it() -> None:
    request = MERGED.bulk_read({3: (132, 4), 7: (124, 2), 4: (146, 1)})
    assert request[7] == Instruction.FAST_BULK_READ
    assert crc16(request[:-2]) == int.from_bytes(request[-2:], "little")


def test_the_checksum_is_the_catalogued_one() -> None:
    assert crc16(b"123456789") == 0xFEE8  # check value of CRC-16/UMTS


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_a_checksum_goes_on_from_that_of_earlier_bytes(first: bytes, second: bytes) -> None:
    assert crc16(second, crc16(first)) == crc16(first + second)


@given(ids, codes, content)
def test_no_frame_holds_a_header_inside(actuator_id: int, code: Instruction, data: bytes) -> None:
    packet = frame(actuator_id, code, data)
    inside = packet[4:-2]  # a header that ends in the checksum misleads nobody: by then the frame is whole
    assert not re.search(rb"\xff\xff\xfd(?!\xfd)", inside)
    assert RequestParser().feed(packet) == [Packet(actuator_id, code, data)]


def test_a_header_that_ends_in_the_checksum_misleads_nobody() -> None:
    reply = status_frame(1, 0, bytes.fromhex("BF FF 00 FF FF"))
    request = frame(1, 3, bytes.fromhex("99 D4 00 FF FF"))
    assert reply.endswith(HEADER)
    assert request.endswith(HEADER)
    host, servo = StatusParser((1,), 5), RequestParser()
    assert [p for byte in reply + status_frame(1, 0, b"after") for p in host.feed(bytes((byte,)))] == [
        Packet(1, 0, bytes.fromhex("BF FF 00 FF FF")),
        Packet(1, 0, b"after"),
    ]
    assert [p for byte in request + FRAMING.ping(1) for p in servo.feed(bytes((byte,)))] == [
        Packet(1, 3, bytes.fromhex("99 D4 00 FF FF")),
        Packet(1, 1, b""),
    ]


@given(ids, content)
def test_stuffed_replies_come_out_as_they_went_in(actuator_id: int, data: bytes) -> None:
    parser = StatusParser((actuator_id,), len(data))
    reply = status_frame(actuator_id, 0, data)
    found = [packet for byte in reply for packet in parser.feed(bytes((byte,)))]
    assert found == [Packet(actuator_id, 0, data)]
    assert (parser.stray_bytes, parser.checksum_errors) == (0, 0)


def test_a_stuffed_reply_asks_for_its_last_bytes_only() -> None:
    data = b"\xff\xff\xfd\x00"
    parser = StatusParser((1,), len(data))
    assert parser.missing(1) == 15
    parser.feed(status_frame(1, 0, data)[:15])
    assert parser.missing(1) == 1


def test_a_merged_reply_is_the_manual_s() -> None:
    assert merged_frame([(p.actuator_id, p.code, p.data) for p in MERGED_PACKETS], 25) == MERGED_REPLY
    assert MERGED.parser((3, 7, 4), 4).feed(MERGED_REPLY) == MERGED_PACKETS
    assert MERGED.replies_size(3, 4) == len(MERGED_REPLY)


@given(st.data())
def test_a_merged_reply_is_taken_block_by_block_however_it_is_cut(data: st.DataObject) -> None:
    parser = MERGED.parser((3, 7, 4), 4)
    found: list[Packet] = []
    stream = b"\xff\x00" + MERGED_REPLY + status_frame(3, 0, b"abcd")
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += parser.feed(stream[:size])
        stream = stream[size:]
    assert found == [*MERGED_PACKETS, Packet(3, 0, b"abcd")]
    assert parser.stray_bytes == 2


@given(st.data())
def test_any_stream_around_merged_replies_gives_blocks_that_were_sent_or_nothing(data: st.DataObject) -> None:
    cut = st.builds(lambda k: MERGED_REPLY[:k], st.integers(0, len(MERGED_REPLY)))
    spoiled = st.builds(
        lambda k, b: MERGED_REPLY[:k] + bytes((b,)) + MERGED_REPLY[k + 1 :],
        st.integers(0, len(MERGED_REPLY) - 1),
        st.integers(0, 255),
    )
    single = st.builds(status_frame, st.sampled_from((3, 7, 4)), st.just(0), st.just(b"abcd"))
    parser = MERGED.parser((3, 7, 4), 4)
    sent = {*MERGED_PACKETS, *(Packet(i, 0, b"abcd") for i in (3, 7, 4))}
    for chunk in data.draw(st.lists(cut | spoiled | single | st.binary(max_size=12), max_size=12)):
        assert set(parser.feed(chunk)) <= sent
    found = [packet for _ in range(3) for packet in parser.feed(MERGED_REPLY)]
    assert found[-3:] == MERGED_PACKETS


def test_a_merged_reply_that_breaks_off_gives_what_was_whole() -> None:
    parser = MERGED.parser((3, 7, 4), 4)
    assert parser.feed(MERGED_REPLY[:25]) == MERGED_PACKETS[:2]
    assert parser.missing(1) == 7


@given(st.integers(0, len(MERGED_REPLY) - 1), st.integers(0, 7))
def test_a_turned_bit_in_a_merged_reply_costs_its_block_and_those_after(at: int, bit: int) -> None:
    spoiled = bytearray(MERGED_REPLY)
    spoiled[at] ^= 1 << bit
    assert MERGED.parser((3, 7, 4), 4).feed(bytes(spoiled)) == MERGED_PACKETS[: max(at - 8, 0) // 8]


def test_a_header_tells_that_the_frame_before_it_broke_off() -> None:
    parser = FRAMING.parser((1, 2), 60)
    assert parser.feed(status_frame(1, 0, bytes(60))[:12] + status_frame(2, 7)) == [Packet(2, 7, b"")]


def test_a_spoiled_request_is_noted_and_what_follows_is_heard() -> None:
    request = bytearray(FRAMING.ping(1))
    request[-1] ^= 1
    assert RequestParser().feed(bytes(request) + FRAMING.ping(2)) == [Packet(1, SPOILED, b""), Packet(2, 1, b"")]


def test_a_refusal_without_data_answers_any_read() -> None:
    assert FRAMING.parser((1,), 4).feed(status_frame(1, 7)) == [Packet(1, 7, b"")]
    assert FRAMING.parser((1,), 4).feed(status_frame(1, 0x80)) == []  # an alert is no refusal, so data are missing


@pytest.mark.parametrize("number", range(1, 8))
def test_every_error_number_has_words_and_a_cure(number: int) -> None:
    assert FRAMING.refusal(number) == FRAMING.refusal(number | 0x80) == REFUSALS[number]
    assert ":" in REFUSALS[number]


def test_statuses_without_a_refusal() -> None:
    assert FRAMING.refusal(0) == FRAMING.refusal(0x80) == ""
    assert "99" in FRAMING.refusal(99)


def test_hardware_errors_are_named_bit_by_bit() -> None:
    assert FRAMING.faults(0) == ()
    assert FRAMING.faults(0x3D) == tuple(FAULTS.values())
    assert all("off and on" in text for text in FAULTS.values())


@pytest.mark.parametrize("wrong", [(1, -1, 2), (1, 0, 0), (253, 0, 1), (255, 0, 1), (-1, 0, 1), (1, 70000, 1)])
def test_what_no_servo_has_is_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(RefusedError):
        FRAMING.read(*wrong)


def test_a_list_of_ids_is_checked() -> None:
    for bad in ([], [1, 1], [254], [-1]):
        with pytest.raises(RefusedError, match="once"):
            FRAMING.sync_read(bad, 132, 4)
    with pytest.raises(RefusedError, match="one size"):
        FRAMING.sync_write(116, {1: b"abcd", 2: b"ab"})


def test_the_load_of_a_model_means_what_its_manual_says() -> None:
    data = bytes((1, 0)) + (443).to_bytes(2, "little") + (100).to_bytes(2, "little") + bytes(16) + bytes((120, 0, 30))
    currents = {m.name: FRAMING.telemetry(data, 0, m.number).current for m in MODELS}
    assert currents["XL330-M288"] == pytest.approx(0.1)
    assert currents["XM430-W350"] == pytest.approx(0.269)
    assert isnan(currents["XL430-W250"])
    heard = FRAMING.telemetry(data, 0x80, 1060)
    assert (heard.load, heard.voltage, heard.temperature, heard.moving, heard.status) == (
        pytest.approx(0.5, abs=1e-3),
        pytest.approx(12.0),
        30,
        True,
        0x80,
    )


def test_settings_are_registers_of_every_model_and_in_range() -> None:
    drive = load_robot("so101").drives["sts3215"]
    for model in MODELS:
        for name, value in FRAMING.settings(drive).items():
            assert model.table[name].lower <= value <= model.table[name].upper
    assert BY_NUMBER[1060].table["position_p_gain"].default == 640
