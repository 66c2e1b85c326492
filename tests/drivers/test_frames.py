"""Laws that hold for the frames and registers of every protocol of the catalogue, whatever bytes come."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genba.drivers.framing import Framing, Packet, Parser
from genba.drivers.protocols import load_protocol, protocol_names
from genba.drivers.registers import RegisterTable
from genba.drivers.virtual.row import ServoRow, make_row
from genba.robots.errors import RefusedError

EVERY = [(load_protocol(name), make_row(name, {}, 1_000_000)) for name in protocol_names()]
TABLES = list(
    dict.fromkeys(
        table for framing, _ in EVERY for table in (framing.registers, *map(framing.table, framing.models.values()))
    )
)
every = pytest.mark.parametrize(("framing", "dialect"), EVERY, ids=protocol_names())
ids = st.integers(0, 252)


def streams(dialect: ServoRow[Any]) -> st.SearchStrategy[list[bytes]]:
    """Chunks of noise, of headers, of replies, and of replies that are cut, spoiled or nested."""
    replies = st.builds(dialect.reply, st.integers(1, 6), st.integers(0, 255), st.binary(max_size=12))
    nested = st.builds(dialect.reply, st.integers(1, 6), st.integers(0, 255), replies)
    cut = st.builds(lambda reply, k: reply[: k % len(reply)], replies | nested, st.integers(0, 1000))
    spoiled = st.builds(
        lambda reply, k, b: reply[: (n := k % len(reply))] + bytes((b,)) + reply[n + 1 :],
        replies,
        st.integers(0, 1000),
        st.integers(0, 255),
    )
    heads = st.sampled_from(
        [b"\xff", b"\xff\xff", b"\xff\xff\xfd", b"\xff\xff\xfd\x00", b"\xff\xff\xfd\x00\x01\xff\x0f"]
    )
    return st.lists(st.binary(max_size=20) | heads | replies | nested | cut | spoiled, max_size=20)


def feed(parser: Parser, stream: bytes, data: st.DataObject) -> list[Packet]:
    """Feed a stream in pieces of any size."""
    found = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += parser.feed(stream[:size])
        stream = stream[size:]
    return found


@every
def test_a_protocol_goes_by_the_name_of_its_file(framing: Framing, dialect: ServoRow[Any]) -> None:
    assert load_protocol(framing.name) is framing
    if framing.offset_register:
        assert framing.offset_register in framing.registers
    for name in ("model_number", "torque_switch", "goal_position", "present_position"):
        assert name in framing.registers
    assert dialect.listen().feed(framing.probe) in ([], [Packet(framing.broadcast_id, -1, b"")])


@every
@given(data=st.data())
def test_any_bytes_in_any_chunks_end_in_whole_replies_or_nothing(
    framing: Framing, dialect: ServoRow[Any], data: st.DataObject
) -> None:
    whole = b"".join(data.draw(streams(dialect)))
    asked = data.draw(st.sets(st.integers(1, 6), min_size=1, max_size=6))
    size = data.draw(st.integers(0, 12))
    parser = framing.parser(sorted(asked), size)
    for packet in feed(parser, whole, data):
        assert packet.actuator_id in asked
        assert len(packet.data) == size or (not packet.data and framing.refusal(packet.code))
        assert dialect.reply(*packet) in whole
    assert parser.missing(1) >= 1


@every
@given(
    replies=st.lists(st.tuples(st.integers(1, 6), st.just(0), st.binary(min_size=4, max_size=4)), max_size=8),
    data=st.data(),
)
def test_replies_between_noise_are_found_however_they_are_cut(
    framing: Framing, dialect: ServoRow[Any], replies: list[tuple[int, int, bytes]], data: st.DataObject
) -> None:
    noise = st.binary(max_size=6).map(lambda b: b.replace(b"\xff", b"\xfe"))
    # A longer piece of a Feetech frame passes for a whole one, together with what follows, once in 256 times.
    longest = 8 if framing.name.startswith("feetech") else 14
    broken = st.builds(lambda k: dialect.reply(1, 0, b"gone")[:k], st.integers(0, longest))
    # What follows a real Feetech frame is a header or nothing, so noise begins with one.
    stream = b"".join(b"\xff\xff" + data.draw(noise) + data.draw(broken) + dialect.reply(*r) for r in replies)
    parser = framing.parser(range(1, 7), 4)
    assert feed(parser, stream, data) == [Packet(*reply) for reply in replies]


@every
@given(i=ids, status=st.integers(0, 255), content=st.binary(max_size=60))
def test_a_reply_survives_its_journey(
    framing: Framing, dialect: ServoRow[Any], i: int, status: int, content: bytes
) -> None:
    parser = framing.parser((i,), len(content))
    reply = dialect.reply(i, status, content)
    assert parser.missing(1) == framing.replies_size(1, len(content))
    assert parser.feed(reply) == [Packet(i, status, content)]
    assert (parser.stray_bytes, parser.checksum_errors) == (0, 0)


@every
@given(content=st.binary(max_size=15), data=st.data())
def test_one_turned_bit_is_never_accepted(
    framing: Framing, dialect: ServoRow[Any], content: bytes, data: st.DataObject
) -> None:
    packet = bytearray(dialect.reply(1, 0, content))
    packet[data.draw(st.integers(0, len(packet) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert framing.parser((1, 2, 3), len(content)).feed(bytes(packet)) == []


@every
@given(data=st.data())
def test_a_servo_survives_any_bytes_and_hears_what_comes_after(
    framing: Framing, dialect: ServoRow[Any], data: st.DataObject
) -> None:
    parser = dialect.listen()
    feed_all = data.draw(streams(dialect))
    for chunk in feed_all:
        parser.feed(chunk)
    last = [packet for _ in range(3) for packet in parser.feed(framing.ping(1))][-1]
    assert (last.actuator_id, last.code, last.data) == (1, 1, b"")


@every
@given(i=ids, address=st.integers(0, 40), content=st.binary(min_size=1, max_size=20))
def test_what_a_host_writes_a_servo_reads(
    framing: Framing, dialect: ServoRow[Any], i: int, address: int, content: bytes
) -> None:
    try:
        request = framing.write(i, address, content)
    except RefusedError:
        assert b"\xff\xff" in bytes((i, len(content) + 3, 3, address)) + content + b"\xff"
        return
    parser = dialect.listen()
    (packet,) = [packet for byte in request for packet in parser.feed(bytes((byte,)))]
    assert dialect.listen().feed(request) == [packet]
    assert (packet.actuator_id, packet.code) == (i, 3)
    assert packet.data.endswith(content)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.title)
def test_every_register_returns_the_value_that_went_in(table: RegisterTable) -> None:
    for register in table:
        span = (register.upper - register.lower) // 97 + 1
        for value in {register.lower, register.upper, register.default, *range(register.lower, register.upper, span)}:
            coded = register.encode(value)
            assert len(coded) == register.size
            assert register.decode(coded) == value, register.name
        for value in (register.lower - 1, register.upper + 1):
            with pytest.raises(RefusedError, match=f"register {register.name}: {value} is outside"):
                register.encode(value)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.title)
def test_registers_do_not_overlap_and_lie_in_the_memory(table: RegisterTable) -> None:
    taken: set[int] = set()
    for register in table:
        span = set(range(register.address, register.address + register.size))
        assert not span & taken
        assert max(span) < table.size
        assert register.lower <= register.default <= register.upper
        taken |= span


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.title)
def test_a_longer_read_holds_the_shorter_one(table: RegisterTable) -> None:
    for register in table:
        for wanted in range(register.size, register.size + 13):
            first = table.window(register.address, register.size, wanted)
            assert first is not None
            assert 0 <= first <= register.address
            assert register.address + register.size <= first + wanted <= table.size


@every
def test_the_block_of_telemetry_can_be_read_in_many_lengths_without_a_gap(
    framing: Framing, dialect: ServoRow[Any]
) -> None:
    address, size = framing.telemetry_block
    for table in (framing.registers, *map(framing.table, framing.models.values())):
        defined = {a for r in table for a in range(r.address, r.address + r.size)}
        windows = {wanted: table.window(address, size, wanted) for wanted in range(size, size + 6)}
        if framing.name.startswith("feetech"):  # answers for the bytes between registers, too
            assert set(windows.values()) == {address}
        else:
            assert all(first is not None and {*range(first, first + n)} <= defined for n, first in windows.items())
