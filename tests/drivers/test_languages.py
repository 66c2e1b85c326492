"""Laws of every command language of the catalogue: what is sent, what is understood, and that noise is neither."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genba.drivers.language import Activity, Event, Kind, Language, Parser, Report
from genba.drivers.protocols import (
    dobot,
    grbl,
    language_names,
    load_language,
    load_protocol,
    marlin,
    protocol_names,
    uarm,
)
from genba.drivers.protocols._dobot_frames import frame
from genba.robots.errors import RefusedError, UnknownNameError

every = pytest.mark.parametrize("language", [load_language(name) for name in language_names()], ids=language_names())
SAID = {
    "grbl": [
        b"ok\r\n",
        b"error:15\r\n",
        b"ALARM:2\r\n",
        b"[MSG:Reset to continue]\r\n",
        b"\r\nGrbl 1.1h ['$' for help]\r\n",
        b"<Run|MPos:10.000,-0.500,0.000|Bf:15,128|FS:600,0>\r\n",
        b"<Hold:0|MPos:0.000,0.000,0.000|FS:0,0|WCO:0.000,0.000,0.000>\r\n",
    ],
    "marlin": [
        b"ok\n",
        b"X:4.20 Y:-0.50 Z:0.00 E:0.00 Count X:1050 Y:-125 Z:0\n",
        b"ok\n",
        b"X:10.00 Y:0.00 Z:0.00 E:0.00 Count X:2500 Y:0 Z:0\n",
        b"ok\n",
        b"#25\n",
        b"start\n",
        b"Error:checksum mismatch, Last Line: 12\n",
        b"Resend: 13\n",
        b"echo:busy: processing\n",
        b"Error:Printer halted. kill() called!\n",
    ],
    "uarm": [
        b"$25 ok\n",
        b"$25 E22\n",
        b"$26 ok X180.0000 Y0.0000 Z150.0000\n",
        b"$27 ok V1\n",
        b"@1\n",
        b"@9 V0\n",
        b"<Idle,MPos:0.000,0.000,0.000,WPos:0.000,0.000,0.000>\r\n",
    ],
    "dobot": [
        frame(10, 0, bytes(32)),
        frame(20, 0, b"\x01" + bytes(15)),
        frame(246, 0, (7).to_bytes(8, "little")),
        frame(84, 3, (8).to_bytes(8, "little")),
        frame(242, 1),
    ],
}


def sent_whole(name: str, language: Language, stream: bytes) -> list[Event]:
    """Every event that some whole message within a stream means, found the slow way."""
    if name == "dobot":
        ends = range(len(stream) + 1)
        pieces = [stream[a:b] for a in ends for b in ends[a + 6 :] if stream[a : a + 2] == b"\xaa\xaa"]
        return [event for piece in pieces if len(piece) == piece[2] + 4 for event in language.parser().feed(piece)]
    lines = stream.split(b"\n")
    if name == "marlin":  # what a number closes is some run of lines before it
        pieces = [b"\n".join(lines[a:b]) + b"\n" for b in range(1, len(lines) + 1) for a in range(b)]
        return [event for piece in pieces for event in language.parser().feed(piece)]
    return [event for line in lines for event in language.parser().feed(line + b"\n")]


def feed(parser: Parser, stream: bytes, data: st.DataObject) -> list[Event]:
    found = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += parser.feed(stream[:size])
        stream = stream[size:]
    return found


def streams(name: str) -> st.SearchStrategy[bytes]:
    messages = st.sampled_from(SAID[name])
    whole = st.just(b"".join(SAID[name]))
    cut = st.builds(lambda m, k: m[: k % len(m)], messages, st.integers(0, 99))
    inside = st.builds(lambda m, k, n: m[: k % len(m)] + n + m[k % len(m) :], messages, st.integers(0, 99), st.binary())
    heads = st.sampled_from([b"\n", b"\r", b"$", b"<", b"ok", b"\xaa", b"\xaa\xaa", b"\xaa\xaa\x22\x0a\x00"])
    return st.lists(st.binary(max_size=12) | heads | messages | cut | inside | whole, max_size=12).map(b"".join)


def test_each_catalogue_refuses_the_other_kind_in_one_line() -> None:
    for name in language_names():
        with pytest.raises(RefusedError, match="command language of a controller") as refused:
            load_protocol(name)
        assert "\n" not in str(refused.value)
    for name in protocol_names():
        with pytest.raises(RefusedError, match="spoken by servos on a bus"):
            load_language(name)
    with pytest.raises(UnknownNameError, match=", ".join(language_names())):
        load_language("uarmm")


@every
def test_a_language_goes_by_the_name_of_its_file_and_understands_its_controller(language: Language) -> None:
    assert load_language(language.name) is language
    parser = language.parser()
    events = [event for message in SAID[language.name] for event in parser.feed(message)]
    assert len(events) == len(SAID[language.name])
    assert parser.stray_bytes == 0


@every
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_bytes_in_any_chunks_mean_whole_messages_or_nothing(language: Language, data: st.DataObject) -> None:
    stream = data.draw(streams(language.name))
    parser = language.parser()
    possible = sent_whole(language.name, language, stream)
    for event in [*feed(parser, stream, data), *parser.end()]:
        assert event in possible
    last = SAID[language.name][0]
    again = [*parser.feed(b"\n" + last), *parser.feed(last), *parser.end(), *parser.feed(last)]
    assert language.parser().feed(last)[0] in again


@every
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_messages_between_noise_are_found_however_they_are_cut(language: Language, data: st.DataObject) -> None:
    messages = data.draw(st.lists(st.sampled_from(SAID[language.name]), max_size=6))
    if language.name == "dobot":  # what follows a real frame is a header, so noise begins with one
        noise = st.binary(max_size=6).map(lambda b: b"\xaa\xaa\xff" + b.replace(b"\xaa", b"\xab"))
    else:
        noise = st.binary(max_size=8).map(lambda b: b"\x80" + b.replace(b"\n", b"") + b"\n")
    stream = b"".join(data.draw(noise) + message for message in messages)
    parser = language.parser()
    assert [*feed(parser, stream, data), *parser.end()] == [
        event for message in messages for event in language.parser().feed(message)
    ]


@given(message=st.sampled_from(SAID["dobot"]), bit=st.integers(0, 10_000))
def test_one_turned_bit_of_a_frame_is_never_accepted(message: bytes, bit: int) -> None:
    spoilt = bytearray(message)
    spoilt[bit // 8 % len(spoilt)] ^= 1 << bit % 8
    parser = load_language("dobot").parser()
    assert [*parser.feed(bytes(spoilt)), *parser.end()] == []


PUBLISHED: list[tuple[object, object]] = [
    (uarm.command(25, "G0 X180 Y0 Z150 F5000"), b"#25 G0 X180 Y0 Z150 F5000\n"),
    (uarm.word("X", 180.0) + uarm.word("Y", -0.0) + uarm.word("Z", 10.25), "X180Y0Z10.25"),
    (dobot.LANGUAGE.poll(1)[0].data, bytes.fromhex("AAAA020A00F6")),
    (frame(84, 3, bytes.fromhex("01 00007A43 00000000 00000000 00000000")).hex(" "), "aa aa 13 54 03 01 00 00 7a 43"
     " 00 00 00 00 00 00 00 00 00 00 00 00 eb"),
    (grbl.LANGUAGE.halt(1)[0].data + grbl.LANGUAGE.resume(1)[0].data + grbl.LANGUAGE.reset(1)[0].data, b"!~\x18"),
    (grbl.LANGUAGE.move(1, (0.0,), (math.radians(10.0),), 1.0)[0].data, b"$J=G90 G21 X10.000 F600.000\n"),
    ([marlin.checksum(line) for line in ("N3 T0", "N4 G92 E0", "N0 M110 N0")], [57, 67, 125]),
    (marlin.LANGUAGE.poll(26)[0].data, b"N0 M110*35\nN1 M114 R*84\nN2 M114*37\nN3 M118 #26*47\n"),
    (marlin.LANGUAGE.halt(7)[0].data, b"\nM410\nM118 #7\n"),
]  # fmt: skip


@pytest.mark.parametrize(("made", "published"), PUBLISHED)
def test_bytes_are_those_of_the_manuals(made: object, published: object) -> None:
    assert made == published


def test_answers_mean_what_the_manuals_say() -> None:
    (status,) = grbl.LANGUAGE.parser().feed(b"<Hold:1|MPos:90.000,0.000,-180.000|FS:0,0>\r\n")
    assert status.report == Report(
        (math.pi / 2, 0.0, -math.pi), Activity.MOVING, None, (), (math.pi / 2, 0.0, -math.pi)
    )
    *_, state = marlin.LANGUAGE.parser().feed(b"".join(SAID["marlin"][:6]))
    assert state.report == Report(
        (math.radians(4.2), math.radians(-0.5), 0.0), Activity.MOVING, None, (), (1050.0, -125.0, 0.0)
    )
    (refused,) = uarm.LANGUAGE.parser().feed(b"$25 E22\n")
    assert (refused.kind, refused.tag) == (Kind.REFUSED, "$25")
    assert "out of range" in refused.text
    assert dobot.alarm_texts(bytes(8) + b"\x02" + bytes(7)) == (
        "alarm 0x41, joint 1 at its lower limit: move it back; then clear alarms",
    )


@every
def test_every_request_can_be_sent_and_told_from_the_others(language: Language) -> None:
    goal = (0.3,) * (len(language.traits.letters) if language.name != "grbl" else 3)
    builders: list[Callable[[int], object]] = [
        language.setup, language.poll, language.watch, language.fences, language.halt, language.forget,
        language.resume, language.home, language.clear, language.reset,
        lambda n: language.move(n, [0.0] * len(goal), goal, 0.5),
        lambda n: language.tool(n, pump=True, closed=True),
        lambda n: language.enable(n, on=True),
    ]  # fmt: skip
    for build in builders:
        requests = build(41)
        assert isinstance(requests, tuple)
        unique = [r.tag for r in requests if r.unique]
        assert len(set(unique)) == len(unique)
        for request in requests:
            assert 0 <= request.room <= len(request.data) <= 49 or language.name != "uarm"
            assert max(map(len, request.data.split(b"\n"))) <= 80
            assert request.room <= language.traits.buffer
    tags = [request.tag for request in language.fences(1)]
    assert len(set(tags)) == len(tags)
    assert set(tags) - {request.tag for request in language.poll(50)} or language.traits.numbers


@every
def test_a_malformed_motion_is_refused_before_anything_is_sent(language: Language) -> None:
    count = len(language.traits.letters)
    zero = (0.1,) * count
    for start, goal, duration in (
        (zero, (math.nan, *zero[1:]), 1.0),
        (zero, (math.inf, *zero[1:]), 1.0),
        (zero, zero, 0.0),
        (zero, zero, math.nan),
        (zero, (*zero, 0.0), 1.0),
        ((*zero, 0.0), (*zero, 0.0), 1.0),
        ((), (), 1.0),
    ):
        with pytest.raises(RefusedError, match="motion"):
            language.move(1, start, goal, duration)


def test_a_state_of_marlin_counts_only_if_no_line_of_it_is_missing() -> None:
    lines = SAID["marlin"][:6]
    for gone in range(1, 5):
        events = marlin.LANGUAGE.parser().feed(b"".join(lines[:gone] + lines[gone + 1 :]))
        assert Kind.STATE not in {event.kind for event in events}
    events = marlin.LANGUAGE.parser().feed(b"".join([*lines[:2], b"o?k\n", *lines[3:]]))
    assert events[-1] == Event(Kind.ACCEPTED, "#25")


def test_a_stop_of_marlin_is_the_answer_to_what_it_refused() -> None:
    stopped = b"Error:Printer stopped due to errors. Fix the error and use M999 to restart.\n"
    *_, refused = marlin.LANGUAGE.parser().feed(stopped + b"ok\n#8\n")
    assert (refused.kind, refused.tag, refused.text) == (Kind.REFUSED, "#8", marlin.STOPPED)
    *_, killed = marlin.LANGUAGE.parser().feed(SAID["marlin"][-1])
    assert (killed.kind, killed.text) == (Kind.ALARM, marlin.KILLED)


def test_a_dobot_says_how_its_motors_are_released() -> None:
    with pytest.raises(RefusedError, match="button on its forearm"):
        dobot.LANGUAGE.enable(1, on=False)


@given(
    base=st.floats(0.0, math.pi),
    left=st.floats(math.radians(10.0), math.radians(110.0)),
    right=st.floats(math.radians(-5.0), math.radians(60.0)),
)
def test_the_kinematics_of_the_uarm_return_the_angles_that_went_in(base: float, left: float, right: float) -> None:
    if left + right < math.radians(10.0) or left + right > math.radians(151.0):
        return
    x, y, z = uarm.point(base, left, right)
    if math.hypot(x, y) < uarm.SHOULDER + uarm.FRONT + 1e-3:
        return
    found = uarm.joints(x, y, z)
    assert found is not None
    assert found == pytest.approx((base, left, right), abs=1e-6)


def test_the_uarm_stands_where_its_manual_says() -> None:
    assert uarm.point(math.pi / 2, math.pi / 2, 0.0) == pytest.approx((0.22856, 0.0, 0.17412))
    assert uarm.joints(1.0, 0.0, 0.0) is None
