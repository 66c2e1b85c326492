"""Find all that answers on a port: servos of all ids, rates and protocols, else a controller that takes commands.

    first:                 each command language, once; a controller that answers is left alone
    per protocol and rate: broadcast ping, or a roll call -> whoever answers -> single pings where answers are garbled
    per servo found:       model, firmware, supply, temperature, condition, and six reads to see whether it is one

Two servos that share an id answer a ping with the same bytes at the same time, which looks like one. What they measure
differs, so their answers to a read garble each other, every time; noise spoils a reply now and then.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass

from ..robots.description import RobotDescription
from ..robots.errors import BusError, LinkLostError
from .bus import ActuatorBus, Fault
from .calls import broadcast_ping, echoes, roll_call
from .chain import DOUBLE, READS, Found, advice
from .framing import Framing, Telemetry
from .hello import FoundController, greet
from .language import Language
from .ports import Port, open_port
from .protocols import load_language, load_protocol

LOW_IDS = range(32)  # tried singly where a broadcast is answered by garbage: ids that people give
TRIES = 3  # single pings of an id before it counts as absent
COMMON_RATE = 1_000_000  # tried first


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    """What a scan found.

    Attributes:
        port: Where.
        servos: All that answer.
        controllers: Controllers that take commands.
        tried: Protocol or language, and rate, of each look.
        skipped: Rates that the port does not take.
        hints: What to do next, one line each.
        seconds: How long it took by the port's clock.
        complete: Whether all servos of the arm answer as they must; without an arm, whether any does, once; or a
            controller without alarms.
    """

    port: str
    servos: tuple[Found, ...]
    controllers: tuple[FoundController, ...]
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
    languages: Sequence[str] = (),
    on_look: Callable[[str], None] = lambda words: None,
    opener: Callable[[str, int], Port] = open_port,
) -> ScanReport:
    """Look for servos; nothing is written to them and nothing moves.

    Args:
        url: As for `open_port`.
        looks: Protocols and rates, from `plan`.
        ids: Ids to ask singly; all by broadcast if not given.
        robot: The arm that should be there, for hints.
        languages: Command languages to try where no servo answers.
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
    # Asked first: a byte of a servo's ping can be the reset of a controller.
    controllers, spent = _controllers(url, languages, opener, awake=True)
    seconds += spent
    for name, rate in () if controllers else looks:
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
    if not controllers and not any(servo.model_number for servo in told):
        controllers, spent = _controllers(url, languages, opener, awake=False)
        seconds += spent
        told = [] if controllers else told
    if languages:
        on_look(f"{', '.join(languages)}: {len(controllers)} found")
    if controllers:
        hints = [f"{c.language} controller: {alarm}" for c in controllers for alarm in c.alarms]
    else:
        hints = advice(told, robot, garbage=garbage)
    return ScanReport(
        port=url,
        servos=tuple(told),
        controllers=tuple(controllers),
        tried=(*looks, *((name, load_language(name).traits.baud_rate) for name in languages)),
        skipped=tuple(sorted(set(skipped))),
        hints=tuple(hints),
        seconds=seconds,
        complete=bool(told or controllers) and not hints,
    )


def _controllers(
    url: str, languages: Sequence[str], opener: Callable[[str, int], Port], *, awake: bool
) -> tuple[list[FoundController], float]:
    """The controller on a port, at most one, and how long it took."""
    by_rate: dict[int, list[Language]] = {}
    for language in map(load_language, languages):
        by_rate.setdefault(language.traits.baud_rate, []).append(language)
    seconds = 0.0
    for rate, spoken in by_rate.items():
        with closing(opener(url, rate)) as port:
            begun = port.clock.now()
            found = greet(port, spoken, awake=awake)
            seconds += port.clock.now() - begun
        if found is not None:
            return [found], seconds
    return [], seconds


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
