"""Who answers what, and when, on a wire of Dynamixel servos of Protocol 2.0.

Every reply starts after the servo's own return delay. Replies to sync and bulk reads form a chain: each servo waits
for the end of the reply before its own, and where one stays silent those behind it do, too. A merged reply is one
frame to which each servo adds its block. A broadcast ping is answered in slots by id.
"""

import struct
from collections.abc import Callable, Iterable

from ..framing import Packet
from ..protocols._dynamixel_faults import BAD_CRC
from ..protocols._dynamixel_frames import BROADCAST, SPOILED, STATUS, RequestParser, crc16, merged_frame, status_frame
from ..protocols.dynamixel2 import Instruction
from .dynamixel import VirtualDynamixel
from .row import ServoRow, Start
from .servo import RegisterServo

PING_SLOT = 0.003  # s per id that the vendor's client allows
_READS = (Instruction.SYNC_READ, Instruction.FAST_SYNC_READ, Instruction.BULK_READ, Instruction.FAST_BULK_READ)
_MERGED = (Instruction.FAST_SYNC_READ, Instruction.FAST_BULK_READ)


class DynamixelRow(ServoRow[VirtualDynamixel]):
    """Dynamixel servos on one wire."""

    def listen(self) -> RequestParser:
        """A parser as each of these servos has one."""
        return RequestParser()

    def reply(self, actuator_id: int, status: int, data: bytes) -> bytes:
        """A reply on the wire."""
        return status_frame(actuator_id, status, data)

    def relabel(self, reply: bytes, actuator_id: int) -> bytes:
        """The same reply as another servo would send it."""
        head = b"%b%c%b" % (reply[:4], actuator_id, reply[5:-2])
        return head + crc16(head).to_bytes(2, "little")

    def replies(
        self, packet: Packet, hears: Callable[[RegisterServo], bool], arrived: float, byte_time: float
    ) -> list[Start]:
        """Let the servos carry out a request; see `ServoRow.replies`."""
        listening = [servo for servo in self.servos if hears(servo)]
        if packet.code == STATUS:
            return []
        if packet.code == SPOILED:
            spoiled = [servo for servo in listening if servo.actuator_id == packet.actuator_id]
            return [_reply(servo, arrived, BAD_CRC | servo.alert, b"") for servo in spoiled if servo.answers_writes]
        for servo in listening:
            servo.heard()
        if packet.actuator_id == BROADCAST and packet.code in _READS:
            return _chain(packet, listening, arrived, byte_time)
        if packet.actuator_id == BROADCAST and packet.code in (Instruction.SYNC_WRITE, Instruction.BULK_WRITE):
            for actuator_id, address, data in _writes(packet):
                for servo in listening:
                    servo.write_as(actuator_id, address, data)
            return []
        starts = []
        for servo in listening:
            own = servo.actuator_id
            answer = servo.answer(packet, arrived)
            if answer is not None:
                slot = PING_SLOT * own if packet.actuator_id == BROADCAST else 0.0
                starts.append(_reply(servo, arrived + slot, *answer, actuator_id=own))
        return starts


def _reply(
    servo: VirtualDynamixel, arrived: float, error: int, data: bytes, *, actuator_id: int | None = None
) -> Start:
    own = servo.actuator_id if actuator_id is None else actuator_id
    return arrived + servo.return_delay, status_frame(own, error, data)


def _told(servo: VirtualDynamixel, address: int, size: int) -> tuple[int, bytes]:
    """Error byte and data of a read."""
    error, data = servo.read(address, size)
    return error | servo.alert, data


def _spans(packet: Packet) -> list[tuple[int, int, int]]:
    """Id, address and size of each read of a sync or bulk read."""
    data = packet.data
    if packet.code in (Instruction.SYNC_READ, Instruction.FAST_SYNC_READ):
        if len(data) < 5:
            return []
        address, size = struct.unpack_from("<HH", data)
        return [(i, address, size) for i in data[4:]]
    return list(struct.iter_unpack("<BHH", data[: len(data) // 5 * 5]))


def _chain(packet: Packet, listening: list[VirtualDynamixel], arrived: float, byte_time: float) -> list[Start]:
    spans = _spans(packet)
    starts: list[Start] = []
    blocks: list[tuple[int, int, bytes]] = []
    moment = begun = arrived
    for actuator_id, address, size in spans:
        asked = [servo for servo in listening if servo.actuator_id == actuator_id and servo.answers_reads]
        if not asked:
            break
        if packet.code in _MERGED:
            error, data = _told(asked[0], address, size)
            begun = begun if blocks else arrived + asked[0].return_delay
            blocks.append((actuator_id, error, data or bytes(size)))
        else:
            both = [_reply(servo, moment, *_told(servo, address, size)) for servo in asked]
            starts += both
            moment = max(start + len(reply) * byte_time for start, reply in both)
    if blocks:
        starts.append((begun, merged_frame(blocks, 1 + sum(size + 4 for _, _, size in spans))))
    return starts


def _writes(packet: Packet) -> Iterable[tuple[int, int, bytes]]:
    """Id, address and data of each write of a sync or bulk write; a ragged end is left out."""
    data = packet.data
    if packet.code == Instruction.SYNC_WRITE:
        if len(data) < 5:
            return
        address, size = struct.unpack_from("<HH", data)
        for at in range(4, len(data) - size, size + 1):
            yield data[at], address, data[at + 1 : at + 1 + size]
        return
    at = 0
    while at + 5 <= len(data):
        actuator_id, address, size = struct.unpack_from("<BHH", data, at)
        if at + 5 + size > len(data):
            return
        yield actuator_id, address, data[at + 5 : at + 5 + size]
        at += 5 + size
