"""A virtual line survives whatever it is told: any instruction with any parameters, well framed, and noise between."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genba.drivers.protocols import _dynamixel_frames, _feetech_frames, protocol_names
from genba.drivers.virtual.line import VirtualLine
from genba.robots.description import RobotDescription

REQUESTS: dict[str, Callable[[int, int, bytes], bytes]] = {
    "feetech_sts": _feetech_frames.frame,
    "feetech_scs": _feetech_frames.frame,
    "dynamixel2": _dynamixel_frames.frame,
}  # requests of any kind, also those that no host makes
SETTLING = 1.0  # s after which any servo that restarted hears again

ids = st.sampled_from([1, 2, 3, 4, 5, 6, 9, 254])
known = st.sampled_from([1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 0x10, 0x20, 0x82, 0x83, 0x8A, 0x92, 0x93, 0x9A])
codes = known | st.integers(0, 255)
addresses = st.sampled_from([0, 5, 6, 7, 8, 10, 11, 12, 18, 20, 31, 33, 40, 42, 55, 56, 60, 64, 68, 98, 100, 116, 168])
writes = st.builds(lambda a, wide, tail: a.to_bytes(1 + wide, "little") + tail, addresses, st.booleans(), st.binary())
parameters = (
    st.binary(max_size=30) | writes | st.sampled_from([b"\x01\x44\x58\x4c\x22", b"\x01CTRL", b"\x02CTRL", b"\xff"])
)


@pytest.mark.parametrize("protocol", protocol_names())
@settings(max_examples=50, deadline=None)
@given(talk=st.lists(st.tuples(ids, codes, parameters, st.binary(max_size=3)), max_size=25))
def test_any_talk_leaves_servos_that_move_and_registers_in_range(
    arms: Callable[[str], RobotDescription], protocol: str, talk: list[tuple[int, int, bytes, bytes]]
) -> None:
    line = VirtualLine(arms(protocol))
    for actuator_id, code, data, noise in talk:
        line.receive(noise + REQUESTS[protocol](actuator_id, code, data), line.now)
        line.step(line.now + 0.02)
        line.take(line.now + 1.0)
    line.step(line.now + SETTLING)
    for servo in line.servos:
        servo.mirror()
        for register in servo._table:
            value = servo.get(register.name)
            if not protocol.startswith("feetech"):  # which take any value for a register, as the real ones do
                assert register.lower <= value <= register.upper, register.name
    own = line.servos[0].actuator_id
    line.receive(bytes(300) + REQUESTS[protocol](own, 1, b""), line.now)
    assert line.take(line.now + 2.0)
