"""Find every servo on a port: all ids, baud rates and protocols; tell two servos of one id from noise.

    per protocol and rate: broadcast ping -> whoever answers -> single pings where the answers are garbled
    per servo found:       model, firmware, supply, temperature, condition, and six reads to see whether it is one

Two servos that share an id answer a ping with the same bytes at the same time, which looks like one. What they measure
differs, so their answers to a read garble each other, every time; noise spoils a reply now and then.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from ..robots.description import RobotDescription
from ..robots.errors import BusError
from .bus import ActuatorBus, Fault
from .chain import DOUBLE, READS, Found, advice
from .framing import Framing, Telemetry
from .ports import LinkLostError, Port, open_port
from .protocols import _dynamixel_tables, _feetech_table, load_protocol

MARGIN = 0.03  # s beyond the last slot: USB frames and an adapter's latency timer
LOW_IDS = range(32)  # tried singly where a broadcast is answered by garbage: ids that people give
TRIES = 3  # single pings of an id before it counts as absent
RATES = {"feetech_sts": _feetech_table.BAUD_RATES, "dynamixel2": _dynamixel_tables.BAUD_RATES}
SLOTS: dict[str, Callable[[int], float]] = {
    "feetech_sts": lambda rate: 90.0 / rate,
    "dynamixel2": lambda rate: max(0.003, 140.0 / rate),
}  # s per id between the answers to a broadcast ping
COMMON_RATES = (1_000_000, 115_200, 57_600)  # of a protocol that a plug-in brings


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
        own = tuple(rates) if rates else RATES.get(protocol, COMMON_RATES)
        ordered = sorted(own, key=lambda rate: (rate != first, rate != COMMON_RATES[0], -rate))
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
    servos: list[Found] = []
    skipped: list[int] = []
    seconds = 0.0
    garbage = 0
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
            answering, stray = _answering(port, framing, ids, robot)
            garbage += stray if not answering else 0
            servos += [_examine(port, framing, i) for i in answering]
            seconds += port.clock.now() - begun
        finally:
            port.close()
        on_look(f"{name} at {rate} baud: {len(servos)} found")
    hints = advice(servos, robot, garbage=garbage)
    return ScanReport(
        port=url,
        servos=tuple(servos),
        tried=tuple(looks),
        skipped=tuple(sorted(set(skipped))),
        hints=tuple(hints),
        seconds=seconds,
        complete=bool(servos) and not hints,
    )


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
    slot = SLOTS[framing.name](port.baud_rate) if framing.name in SLOTS else (framing.ping_size + 14) * byte_time
    window = len(request) * byte_time + framing.broadcast_id * slot + MARGIN
    parser = framing.parser(range(framing.broadcast_id), framing.ping_size)
    port.flush_input()
    deadline = port.clock.now() + window
    port.write(request)
    received = b""
    while port.clock.now() < deadline:
        received += port.read(4096, deadline)
    found = {packet.actuator_id for packet in parser.feed(received.removeprefix(request))}  # a wire may echo
    return sorted(found), parser.stray_bytes


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
    port: Port, framing: Framing, ids: Sequence[int] | None, robot: RobotDescription | None
) -> tuple[list[int], int]:
    bus = ActuatorBus(port, framing)
    if ids is not None:
        return bus.scan(ids), bus.statistics.stray_bytes
    found, stray = broadcast_ping(port, framing)
    if not found and not stray:
        return found, stray
    here = set(found)
    again, more = broadcast_ping(port, framing)
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


def _examine(port: Port, framing: Framing, actuator_id: int) -> Found:
    bus = ActuatorBus(port, framing)
    broken, last = _read_often(bus, actuator_id)
    double = broken >= DOUBLE
    number: int | None = None
    firmware: str | None = None
    faults: tuple[str, ...] = ()
    if double:
        faults = (f"two servos answer to id {actuator_id}: leave one plugged in, then genba setup",)
    else:
        try:
            number = bus.read(actuator_id, "model_number")
            bus = ActuatorBus(port, framing, models={actuator_id: number})
            firmware = _firmware(bus, actuator_id)
            faults = _complaints(bus, actuator_id, last)
        except LinkLostError:
            raise
        except BusError as error:
            faults = (str(error),)
    return Found(
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


def _read_often(bus: ActuatorBus, actuator_id: int) -> tuple[int, Telemetry | None]:
    """Reads whose answer came garbled, and the last one that was whole."""
    broken = 0
    last: Telemetry | None = None
    request = bus.framing.sync_read((actuator_id,), *bus.framing.telemetry_block)
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
