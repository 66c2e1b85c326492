"""Who answers what, and when, on a wire of Feetech servos.

A unicast reply starts one byte after the request; replies to a sync read start in slots of `k * (reply + 3)` byte
times whatever the others do; a broadcast ping is answered after `9 * id` byte times.
"""

from collections.abc import Callable

from ..framing import Packet
from ..protocols._feetech_frames import BROADCAST, RequestParser, frame
from ..protocols._feetech_table import BAUD_RATES
from ..protocols.feetech_sts import Instruction
from .row import ServoRow, Start
from .servo import RegisterServo
from .sts3215 import VirtualServo

SLOT_BYTE_TIMES = (10e-6, 20e-6, 40e-6, 79e-6, 87e-6, 131e-6, 174e-6, 261e-6)


class FeetechRow(ServoRow[VirtualServo]):
    """Feetech servos on one wire."""

    def listen(self) -> RequestParser:
        """A parser as each of these servos has one."""
        return RequestParser()

    def reply(self, actuator_id: int, status: int, data: bytes) -> bytes:
        """A reply on the wire."""
        return frame(actuator_id, status, data)

    def relabel(self, reply: bytes, actuator_id: int) -> bytes:
        """The same reply as another servo would send it."""
        return frame(actuator_id, reply[4], reply[5:-1])

    def replies(
        self, packet: Packet, hears: Callable[[RegisterServo], bool], arrived: float, byte_time: float
    ) -> list[Start]:
        """Let the servos carry out a request; see `ServoRow.replies`."""
        listening = [servo for servo in self.servos if hears(servo)]
        starts: list[Start] = []
        data = packet.data
        if packet.code == Instruction.SYNC_READ and packet.actuator_id == BROADCAST and len(data) >= 3:
            for servo in listening:
                slot = (data[1] + 9) * SLOT_BYTE_TIMES[BAUD_RATES.index(servo.baud_rate)]
                for k, wanted in enumerate(data[2:]):
                    if wanted == servo.actuator_id and servo.gathers:
                        content = servo.read(data[0], data[1])
                        if content is not None:
                            starts.append((arrived + byte_time + k * slot, frame(wanted, servo.status, content)))
            return starts
        if packet.code == Instruction.SYNC_WRITE and packet.actuator_id == BROADCAST and len(data) >= 3:
            step = data[1] + 1
            for servo in listening:
                for at in range(2, len(data), step):
                    if data[at] == servo.actuator_id and data[at + 1 : at + step]:
                        servo.write(data[0], data[at + 1 : at + step])
            return starts
        for servo in listening:
            own = servo.actuator_id
            if packet.actuator_id in (own, BROADCAST):
                content = servo.answer(packet, arrived)
                if content is not None:
                    wait = 9 * own if packet.actuator_id == BROADCAST and packet.code == Instruction.PING else 0
                    starts.append((arrived + (1 + wait) * byte_time, frame(own, servo.status, content)))
        return starts
