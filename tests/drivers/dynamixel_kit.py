"""What tests of the virtual Dynamixel servo share: one servo of each family, asked over its line."""

from genba.drivers.bus import ActuatorBus
from genba.drivers.protocols.dynamixel2 import FRAMING, Dynamixel2
from genba.drivers.virtual.line import VirtualLine

IDS = (1, 2, 3, 4, 5, 6)
XL430, XL330, XM430 = 1, 3, 4  # one servo of each family
MERGED = Dynamixel2(merged=True)


def answer(line: VirtualLine, request: bytes) -> bytes:
    line.receive(request, line.now)
    reply = line.take(line.now + 10.0)
    line.step(line.now + 0.01)
    return reply


def error(line: VirtualLine, request: bytes) -> int | None:
    """Error byte of the reply without data, None for silence."""
    packets = FRAMING.parser(range(253), 0).feed(answer(line, request))
    return packets[0].code if packets else None


def write(line: VirtualLine, actuator_id: int, register: str, value: int) -> int | None:
    entry = FRAMING.table(line.servo(actuator_id).get("model_number"))[register]
    data = (value % (1 << 8 * entry.size)).to_bytes(entry.size, "little")
    return error(line, FRAMING.write(actuator_id, entry.address, data))


def wait(bus: ActuatorBus, seconds: float) -> None:
    bus.port.clock.sleep_until(bus.port.clock.now() + seconds)
