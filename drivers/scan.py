"""Find every servo on a port: all ids, baud rates and protocols; tell two servos of one id from noise.

    per protocol and rate: broadcast ping, or a roll call -> whoever answers -> single pings where answers are garbled
    per servo found:       model, firmware, supply, temperature, condition, and six reads to see whether it is one

Two servos that share an id answer a ping with the same bytes at the same time, which looks like one. What they measure
differs, so their answers to a read garble each other, every time; noise spoils a reply now and then.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from ..robots.description import RobotDescription
from ..robots.errors import BusError
from .bus import ActuatorBus, Fault
from .chain import DOUBLE, READS, Found, advice
from .framing import Framing, Telemetry
from .ports import LinkLostError, Port, open_port
from .protocols import load_protocol

MARGIN = 0.03  # s beyond the last slot: USB frames and an adapter's latency timer
ROLL_GAP = 0.001  # s between an answer and the next question: USB frames
LATE = 32  # byte times of silence after which no answer is on its way
LOW_IDS = range(32)  # tried singly where a broadcast is answered by garbage: ids that people give
TRIES = 3  # single pings of an id before it counts as absent
COMMON_RATE = 1_000_000  # tried first


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    """What a scan found.

    Attributes:
        port: Where.
        servos: All that answer.
        tried: Protocol and rate of each look.
        skipped: Rates that the port does not take.
        hints: What to do next, one line each.
        seconds: How long it took by the port's clock.
        complete: Whether all servos of the arm answer as they must; without an arm, whether any does, once.
    """

    port: str
    servos: tuple[Found, ...]
    tried: tuple[tuple[str, int], ...]
    skipped: tuple[int, ...]
    hints: tuple[str, ...]
    seconds: float
    complete: bool

    def to_json(self) -> dict[str, object]:
        """Plain values by name."""
        return asdict(self)


def plan(
    url: str, protocols: Sequence[str], rates: Sequence[int] | None = None, first: int | None = None
) -> list[tuple[str, int]]:
    """Protocols and rates in the order in which they are tried.

    Args:
        url: Where; a socket has no rate, so one look per protocol is all there is.
        protocols: Catalogue names.
        rates: The rates; all that each protocol knows if not given.
        first: The rate that comes first.
    """
    looks = []
    for protocol in protocols:
        own = tuple(rates) if rates else load_protocol(protocol).baud_rates
        ordered = sorted(own, key=lambda rate: (rate != first, rate != COMMON_RATE, -rate))
        looks += [(protocol, rate) for rate in ordered]
    if url.startswith("socket://"):
        looks = [next(look for look in looks if look[0] == protocol) for protocol in protocols]
    return looks


def scan(
    url: str,
    looks: Sequence[tuple[str, int]],
    *,
    ids: Sequence[int] | None = None,
    robot: RobotDescription | None = None,
    on_look: Callable[[str], None] = lambda words: None,
    opener: Callable[[str, int], Port] = open_port,
) -> ScanReport:
    """Look for servos; nothing is written to them and nothing moves.

    Args:
        url: As for `open_port`.
        looks: Protocols and rates, from `plan`.
        ids: Ids to ask singly; all by broadcast if not given.
        robot: The arm that should be there, for hints.
        on_look: Called after each look with a few words.
        opener: Opens the port at a rate.

    Raises:
        BusError: If the port cannot be opened, or is lost.
    """
    servos: list[tuple[Found, int]] = []
    skipped: list[int] = []
    seconds = 0.0
    garbage = 0
    heard: dict[tuple[bytes, int], tuple[list[int], int]] = {}
    opened = False
    for name, rate in looks:
        try:
            port = opener(url, rate)
        except BusError:
            if not opened:
                raise
            skipped.append(rate)
            continue
        opened = True
        begun = port.clock.now()
        try:
            framing = load_protocol(name)
            look = (framing.ping(0), rate)
            if look not in heard:  # what answers is heard once for all protocols whose frames look the same
                gathers = all(load_protocol(n).gathers for n, r in looks if (load_protocol(n).ping(0), r) == look)
                heard[look] = _answering(port, framing, ids, robot, broadcast_ping if gathers else roll_call)
                garbage += heard[look][1] if not heard[look][0] else 0
            answering = heard[look][0]
            servos += [_examine(port, framing, i) for i in answering]
            seconds += port.clock.now() - begun
        finally:
            port.close()
        on_look(f"{name} at {rate} baud: {len(servos)} found")
    told = one_protocol_each(servos)
    hints = advice(told, robot, garbage=garbage)
    return ScanReport(
        port=url,
        servos=tuple(told),
        tried=tuple(looks),
        skipped=tuple(sorted(set(skipped))),
        hints=tuple(hints),
        seconds=seconds,
        complete=bool(servos) and not hints,
    )


def one_protocol_each(servos: Sequence[tuple[Found, int]]) -> list[Found]:
    """Each servo once, where it was found in the words of several protocols whose frames look the same.

    Args:
        servos: What was found, and how surely it is of its protocol.
    """
    sure = Counter[str]()
    for servo, certainty in servos:
        sure[servo.protocol] += certainty
    best: dict[tuple[bytes, int, int], tuple[Found, tuple[int, int]]] = {}
    for servo, certainty in servos:
        key = (load_protocol(servo.protocol).ping(0), servo.baud_rate, servo.actuator_id)
        rank = (certainty, sure[servo.protocol])
        if key not in best or rank > best[key][1]:
            best[key] = (servo, rank)
    return [servo for servo, _ in best.values()]


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


def _answering(
    port: Port,
    framing: Framing,
    ids: Sequence[int] | None,
    robot: RobotDescription | None,
    call: Callable[[Port, Framing], tuple[list[int], int]],
) -> tuple[list[int], int]:
    bus = ActuatorBus(port, framing)
    if ids is not None:
        return bus.scan(ids), bus.statistics.stray_bytes
    found, stray = call(port, framing)
    if not found and not stray:
        return found, stray
    here = set(found)
    again, more = call(port, framing)
    stray += more
    doubtful = here.symmetric_difference(again) | set(LOW_IDS if stray else ())
    here.intersection_update(again)
    if robot is not None:
        doubtful |= set(robot.actuator_ids)
    own = len(framing.ping(0)) if echoes(port, framing) else 0
    garbled = dict.fromkeys(doubtful, 0)
    for _ in range(TRIES):  # on a bad wire one answer in ten is lost
        for i in sorted(doubtful - here):
            before = bus.statistics.stray_bytes
            if bus.scan((i,)):
                here.add(i)
            garbled[i] += bus.statistics.stray_bytes > before + own
    # Where every ping is answered by garbage there are two servos, of two models.
    return sorted(here | {i for i, count in garbled.items() if count == TRIES}), stray


def _examine(port: Port, framing: Framing, actuator_id: int) -> tuple[Found, int]:
    """A servo, and how surely it is of this protocol: 2 by its model, 1 by its identity."""
    bus = ActuatorBus(port, framing)
    broken, last = _read_often(bus, actuator_id)
    double = broken >= DOUBLE
    certainty = 0
    number: int | None = None
    firmware: str | None = None
    faults: tuple[str, ...] = ()
    if double:
        faults = (f"two servos answer to id {actuator_id}: leave one plugged in, then genba setup",)
    else:
        try:
            number = bus.read(actuator_id, "model_number")
            certainty = 2 if number in framing.models.values() else int(_is_kin(bus, actuator_id))
            bus = ActuatorBus(port, framing, models={actuator_id: number})
            firmware = _firmware(bus, actuator_id)
            faults = _complaints(bus, actuator_id, last)
        except LinkLostError:
            raise
        except BusError as error:
            faults = (str(error),)
    found = Found(
        protocol=framing.name,
        baud_rate=port.baud_rate,
        actuator_id=actuator_id,
        model_number=number,
        model=next((name for name, n in framing.models.items() if n == number), None),
        firmware=firmware,
        voltage=None if last is None or double else round(last.voltage, 2),
        temperature=None if last is None or double else last.temperature,
        faults=faults,
        double=double,
        broken_reads=broken,
    )
    return found, certainty


def _is_kin(bus: ActuatorBus, actuator_id: int) -> bool:
    identity = bus.framing.identity
    return identity is None or bus.read(actuator_id, identity[0]) == identity[1]


def _read_often(bus: ActuatorBus, actuator_id: int) -> tuple[int, Telemetry | None]:
    """Reads whose answer came garbled, and the last one that was whole."""
    broken = 0
    last: Telemetry | None = None
    block = bus.framing.telemetry_block
    request = bus.framing.sync_read((actuator_id,), *block)
    if not bus.framing.gathers:
        request = bus.framing.read(actuator_id, *block)
    own = len(request) if echoes(bus.port, bus.framing) else 0
    for _ in range(READS):
        count = bus.statistics
        before = count.stray_bytes + count.checksum_errors + own
        result = bus.telemetry((actuator_id,))[actuator_id]
        if not isinstance(result, Fault):
            last = result
        elif count.stray_bytes + count.checksum_errors > before:
            broken += 1
    return broken, last


def _firmware(bus: ActuatorBus, actuator_id: int) -> str:
    table = bus.table(actuator_id)
    names = [n for n in ("firmware_version", "firmware_major", "firmware_minor") if n in table]
    return ".".join(str(bus.read(actuator_id, name)) for name in names)


def _complaints(bus: ActuatorBus, actuator_id: int, last: Telemetry | None) -> tuple[str, ...]:
    if last is None:
        return ("it answers a ping but no read: check its plug",)
    out = list(bus.diagnose(actuator_id, last.status))
    table = bus.table(actuator_id)
    low, high = (table[f"{end}_voltage"].default / 10.0 for end in ("min", "max"))
    if not low <= last.voltage <= high:
        out.append(f"supply is {last.voltage:.1f} V, outside {low:g}..{high:g} V: check the power supply")
    hot = table["max_temperature"].default
    if last.temperature >= hot:
        out.append(f"it is at {last.temperature} degC, limit {hot}: let it cool down")
    return tuple(out)
