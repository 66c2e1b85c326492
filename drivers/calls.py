"""Questions to everyone on a wire: who is there, asked all at once or one by one, and whether the wire echoes."""

from .framing import Framing
from .ports import Port

MARGIN = 0.03  # s beyond the last slot: USB frames and an adapter's latency timer
ROLL_GAP = 0.001  # s between an answer and the next question: USB frames
LATE = 32  # byte times of silence after which no answer is on its way


def broadcast_ping(port: Port, framing: Framing) -> tuple[list[int], int]:
    """Ask all servos at once who is there.

    Args:
        port: The wire.
        framing: What they speak.

    Returns:
        Ids that answered, and how many bytes belonged to no answer.
    """
    request = framing.ping(framing.broadcast_id)
    byte_time = 10.0 / port.baud_rate
    slot = framing.ping_slot(port.baud_rate)
    window = len(request) * byte_time + framing.broadcast_id * slot + MARGIN
    parser = framing.parser(range(framing.broadcast_id), framing.ping_size)
    port.flush_input()
    deadline = port.clock.now() + window
    port.write(request)
    received = b""
    while port.clock.now() < deadline:
        chunk = port.read(4096, deadline)
        received += chunk
        if chunk:  # where answers are longer than their slots, the last come late
            deadline = max(deadline, port.clock.now() + MARGIN + LATE * byte_time)
    found = {packet.actuator_id for packet in parser.feed(received.removeprefix(request))}  # a wire may echo
    return sorted(found), parser.stray_bytes


def roll_call(port: Port, framing: Framing) -> tuple[list[int], int]:
    """Ask one id after the other who is there, and leave each just the time of its answer on the wire.

    Args:
        port: The wire.
        framing: What they speak.

    Returns:
        Ids that answered, and how many bytes belonged to no answer.
    """
    parser = framing.parser(range(framing.broadcast_id), framing.ping_size)
    clock = port.clock
    port.flush_input()
    received = b""
    moment = clock.now()
    for i in range(framing.broadcast_id):
        request = framing.ping(i)
        size = len(request) + framing.replies_size(1, framing.ping_size)
        moment += size * 10.0 / port.baud_rate + (ROLL_GAP if i < framing.broadcast_id - 1 else MARGIN)
        port.write(request)
        heard = b""
        while clock.now() < moment:
            heard += port.read(4096, moment)
        received += heard.removeprefix(request)  # a wire may echo
    return sorted({packet.actuator_id for packet in parser.feed(received)}), parser.stray_bytes


def echoes(port: Port, framing: Framing) -> bool:
    """Whether a wire returns the host's own bytes.

    Args:
        port: The wire.
        framing: Gives a frame that no servo answers.
    """
    probe = framing.probe
    port.flush_input()
    deadline = port.clock.now() + len(probe) * 10.0 / port.baud_rate + MARGIN
    port.write(probe)
    return probe in port.read(len(probe), deadline)
