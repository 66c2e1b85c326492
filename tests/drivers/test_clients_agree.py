"""Two implementations agree: the vendors' clients and our framing say the same bytes to the twin, and hear the same."""

# ruff: noqa: N802 - the names of a port handler are the vendors'
from collections.abc import Callable, Sequence
from types import ModuleType

import pytest

from genba.drivers.framing import Framing
from genba.drivers.protocols import load_protocol
from genba.drivers.protocols.dynamixel2 import FRAMING as DYNAMIXEL
from genba.drivers.virtual.line import VirtualLine
from genba.robots.description import RobotDescription

IDS = (1, 2, 3, 4, 5, 6)
Talk = list[tuple[str, str]]  # hex of each request and of what came back


class Wire:
    """What a vendor's port handler offers its packet handler, on a twin in virtual time, with all that was said."""

    def __init__(self, line: VirtualLine) -> None:
        self.line = line
        self.talk: Talk = []
        self.is_using = False
        self._heard = b""

    def writePort(self, packet: Sequence[int]) -> int:
        self.line.receive(bytes(packet), self.line.now)
        self._heard = self.line.take(self.line.now + 1.0)
        self.line.step(self.line.now + 0.01)
        self.talk.append((bytes(packet).hex(" "), self._heard.hex(" ")))
        return len(packet)

    def readPort(self, length: int) -> bytes:
        out, self._heard = self._heard[:length], self._heard[length:]
        return out

    def isPacketTimeout(self) -> bool:
        return not self._heard

    def setPacketTimeout(self, length: int) -> None:
        """Virtual time has all answers at once."""

    def setPacketTimeoutMillis(self, milliseconds: float) -> None:
        """Virtual time has all answers at once."""

    def clearPort(self) -> None:
        """Nothing stays."""

    def getBaudRate(self) -> int:
        return 1_000_000


def say(line: VirtualLine, requests: Sequence[bytes]) -> Talk:
    """Say what our framing makes."""
    wire = Wire(line)
    for request in requests:
        wire.writePort(request)
    return wire.talk


def feetech(wire: Wire, sdk: ModuleType, end: int) -> None:
    packets = sdk.PacketHandler(end)
    packets.ping(wire, 1)
    for address, size in ((3, 2), (40, 1), (56, 2)):
        packets.readTxRx(wire, 2, address, size)
    packets.write2ByteTxRx(wire, 1, 42, 600)
    packets.write1ByteTxRx(wire, 1, 40, 1)
    packets.regWriteTxRx(wire, 2, 42, 2, [1, 2])
    packets.action(wire, 254)
    if end == 0:
        reader = sdk.GroupSyncRead(wire, packets, 56, 15)
        for i in IDS:
            reader.addParam(i)
        assert reader.txRxPacket() == 0
    writer = sdk.GroupSyncWrite(wire, packets, 42, 2)
    for i in IDS:
        writer.addParam(i, [2, i])
    assert writer.txPacket() == 0
    packets.ping(wire, 9)


def as_feetech(framing: Framing) -> list[bytes]:
    order = "big" if framing.registers["goal_position"].big_endian else "little"
    requests = [framing.ping(1), framing.read(1, 3, 2)]  # the vendor's ping asks for the model, too
    requests += [framing.read(2, address, size) for address, size in ((3, 2), (40, 1), (56, 2))]
    requests += [framing.write(1, 42, (600).to_bytes(2, order)), framing.write(1, 40, b"\x01")]
    requests += [framing.reg_write(2, 42, b"\x01\x02"), framing.action()]  # type: ignore[attr-defined]
    if framing.gathers:
        requests.append(framing.sync_read(IDS, 56, 15))
    requests += [framing.sync_write(42, {i: bytes((2, i)) for i in IDS}), framing.ping(9)]
    return requests


def dynamixel(wire: Wire, sdk: ModuleType) -> None:
    packets = sdk.PacketHandler(2.0)
    packets.ping(wire, 1)
    packets.read4ByteTxRx(wire, 1, 132)
    packets.write4ByteTxRx(wire, 1, 116, 2100)
    packets.write1ByteTxRx(wire, 1, 64, 1)
    packets.write4ByteTxRx(wire, 1, 116, 9000)  # refused
    packets.regWriteTxRx(wire, 1, 116, 4, list((2050).to_bytes(4, "little")))
    packets.action(wire, 254)
    reader = sdk.GroupSyncRead(wire, packets, 122, 25)
    bulk = sdk.GroupBulkRead(wire, packets)
    writer = sdk.GroupSyncWrite(wire, packets, 116, 4)
    for i in IDS:
        reader.addParam(i)
        bulk.addParam(i, 132, i % 4 + 1)
        writer.addParam(i, [i, 8, 0, 0])
    assert reader.txRxPacket() == 0
    assert bulk.txRxPacket() == 0
    assert writer.txPacket() == 0
    packets.clearMultiTurn(wire, 2)
    packets.factoryReset(wire, 6, 2)
    packets.reboot(wire, 5)
    packets.ping(wire, 9)


def as_dynamixel() -> list[bytes]:
    f = DYNAMIXEL
    return [
        f.ping(1),
        f.read(1, 132, 4),
        f.write(1, 116, (2100).to_bytes(4, "little")),
        f.write(1, 64, b"\x01"),
        f.write(1, 116, (9000).to_bytes(4, "little")),
        f.reg_write(1, 116, (2050).to_bytes(4, "little")),
        f.action(),
        f.sync_read(IDS, 122, 25),
        f.bulk_read({i: (132, i % 4 + 1) for i in IDS}),
        f.sync_write(116, {i: bytes((i, 8, 0, 0)) for i in IDS}),
        f.clear(2),
        f.factory_reset(6),
        f.reboot(5),
        f.ping(9),
    ]


@pytest.mark.parametrize(("protocol", "end"), [("feetech_sts", 0), ("feetech_scs", 1)])
def test_feetech_servo_sdk_and_we_say_and_hear_the_same(
    arms: Callable[[str], RobotDescription], protocol: str, end: int
) -> None:
    sdk = pytest.importorskip("scservo_sdk")
    theirs = Wire(VirtualLine(arms(protocol)))
    feetech(theirs, sdk, end)
    assert theirs.talk == say(VirtualLine(arms(protocol)), as_feetech(load_protocol(protocol)))
    assert sum(bool(reply) for _, reply in theirs.talk) >= 8


def test_dynamixel_sdk_and_we_say_and_hear_the_same(every_model: RobotDescription) -> None:
    sdk = pytest.importorskip("dynamixel_sdk")
    theirs = Wire(VirtualLine(every_model))
    dynamixel(theirs, sdk)
    assert theirs.talk == say(VirtualLine(every_model), as_dynamixel())
    assert sum(bool(reply) for _, reply in theirs.talk) >= 11
