"""One bus cycle of six servos as each client runs it: a read of what the servos measure and a write of their goals.

genba and the vendors' clients read position, speed, load, voltage, temperature, current and status at once. rustypot
reads one register a call: once only the position, the least it could be asked for, and once all that the others read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import dynamixel_sdk  # type: ignore[import-untyped]
import rustypot  # type: ignore[import-untyped]
import scservo_sdk  # type: ignore[import-untyped]

from genba.drivers.bus import ActuatorBus, Fault
from genba.drivers.framing import Framing
from genba.drivers.ports import open_port
from genba.drivers.protocols import load_protocol
from genba.drivers.protocols.dynamixel2 import Dynamixel2

IDS = (1, 2, 3, 4, 5, 6)
BAUD_RATE = 1_000_000
FEETECH_FIELDS = ((56, 2), (58, 2), (60, 2), (62, 1), (63, 1), (65, 1), (69, 2))
DYNAMIXEL_FIELDS = ((132, 4), (128, 4), (124, 2), (126, 2), (144, 2), (146, 1), (122, 1))
_COMMON = ("present_position", "present_temperature", "present_current")
FEETECH_CALLS = (*_COMMON, "present_speed", "present_load", "present_voltage", "status")
DYNAMIXEL_CALLS = (*_COMMON, "present_velocity", "present_pwm", "present_input_voltage", "moving")

Cycle = Callable[[], None]
Start = Callable[[str], tuple[Cycle, Callable[[], None]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One contestant.

    Attributes:
        start: Opens a port; returns a cycle and what closes the port.
        byte_times: Least time of its cycle on the wire, in times of one byte.
    """

    start: Start
    byte_times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Clients of one servo family.

    Attributes:
        robot: The arm whose twin they drive.
        vendor: Name of the vendor's client.
        clients: All, by name.
    """

    robot: str
    vendor: str
    clients: Mapping[str, Client]


def _genba(framing: Framing) -> Start:
    def start(port: str) -> tuple[Cycle, Callable[[], None]]:
        bus = ActuatorBus(open_port(port, BAUD_RATE), framing)
        goals = dict.fromkeys(IDS, 2048)

        def cycle() -> None:
            if any(isinstance(result, Fault) for result in bus.telemetry(IDS).values()):
                raise RuntimeError(f"a servo was silent: {bus.statistics}")
            bus.sync_write("goal_position", goals)

        return cycle, bus.close

    return start


def _feetech_sdk(port: str) -> tuple[Cycle, Callable[[], None]]:
    handler = scservo_sdk.PortHandler(port)
    handler.openPort()
    handler.setBaudRate(BAUD_RATE)
    packets = scservo_sdk.PacketHandler(0)
    reader = scservo_sdk.GroupSyncRead(handler, packets, 56, 15)
    writer = scservo_sdk.GroupSyncWrite(handler, packets, 42, 2)
    for i in IDS:
        reader.addParam(i)
        writer.addParam(i, [0, 8])

    def cycle() -> None:
        reader.txRxPacket()
        for i in IDS:
            for address, size in FEETECH_FIELDS:
                reader.getData(i, address, size)
            writer.changeParam(i, [0, 8])
        writer.txPacket()

    return cycle, handler.closePort


def _dynamixel_sdk(*, merged: bool) -> Start:
    def start(port: str) -> tuple[Cycle, Callable[[], None]]:
        handler = dynamixel_sdk.PortHandler(port)
        handler.openPort()
        handler.setBaudRate(BAUD_RATE)
        packets = dynamixel_sdk.PacketHandler(2.0)
        reader = dynamixel_sdk.GroupSyncRead(handler, packets, 122, 25)
        writer = dynamixel_sdk.GroupSyncWrite(handler, packets, 116, 4)
        for i in IDS:
            reader.addParam(i)
            writer.addParam(i, [0, 8, 0, 0])
        ask = reader.fastSyncRead if merged else reader.txRxPacket

        def cycle() -> None:
            ask()
            for i in IDS:
                for address, size in DYNAMIXEL_FIELDS:
                    reader.getData(i, address, size)
                writer.changeParam(i, [0, 8, 0, 0])
            writer.txPacket()

        return cycle, handler.closePort

    return start


def _rustypot(controller: str, registers: Sequence[str] = ("present_position",)) -> Start:
    def start(port: str) -> tuple[Cycle, Callable[[], None]]:
        host = getattr(rustypot, controller)(port, BAUD_RATE, 0.2)
        reads = [getattr(host, f"sync_read_{name}") for name in registers]
        ids, goals = list(IDS), [0.0] * len(IDS)

        def cycle() -> None:
            for read in reads:
                read(ids)
            host.sync_write_goal_position(ids, goals)

        return cycle, lambda: None  # it gives the port back when it is collected

    return start


def feetech_bytes(*sizes: int) -> int:
    """Byte times of a cycle: reads of so many bytes of each servo, in slots three bytes longer, and a write of two."""
    return sum((8 + 6) + 1 + 6 * (6 + size) + 5 * 3 for size in sizes) + (8 + 6 * 3)


def dynamixel_bytes(*sizes: int, merged: bool = False) -> int:
    """Byte times of a cycle: reads of so many bytes of each servo, and a write of four."""
    replies = sum(8 + 6 * (4 + size) if merged else 6 * (11 + size) for size in sizes)
    return (14 + 6) * len(sizes) + replies + (14 + 6 * 5)


FAMILIES = {
    "Feetech STS3215": Family(
        robot="so101",
        vendor="feetech-servo-sdk",
        clients={
            "feetech-servo-sdk": Client(start=_feetech_sdk, byte_times=feetech_bytes(15)),
            "rustypot, position only": Client(start=_rustypot("Sts3215PyController"), byte_times=feetech_bytes(2)),
            "rustypot, all": Client(
                start=_rustypot("Sts3215PyController", FEETECH_CALLS), byte_times=feetech_bytes(2, 2, 2, 1, 1, 1, 2)
            ),
            "genba": Client(start=_genba(load_protocol("feetech_sts")), byte_times=feetech_bytes(15)),
        },
    ),
    "Dynamixel XL430 and XL330": Family(
        robot="koch",
        vendor="dynamixel-sdk",
        clients={
            "dynamixel-sdk": Client(start=_dynamixel_sdk(merged=False), byte_times=dynamixel_bytes(25)),
            "dynamixel-sdk, fast sync read": Client(
                start=_dynamixel_sdk(merged=True), byte_times=dynamixel_bytes(25, merged=True)
            ),
            "rustypot, position only": Client(start=_rustypot("Xl330PyController"), byte_times=dynamixel_bytes(4)),
            "rustypot, all": Client(
                start=_rustypot("Xl330PyController", DYNAMIXEL_CALLS),
                byte_times=dynamixel_bytes(4, 4, 2, 2, 2, 1, 1),
            ),
            "genba": Client(start=_genba(load_protocol("dynamixel2")), byte_times=dynamixel_bytes(25)),
            "genba, fast sync read": Client(
                start=_genba(Dynamixel2(merged=True)), byte_times=dynamixel_bytes(25, merged=True)
            ),
        },
    ),
}
