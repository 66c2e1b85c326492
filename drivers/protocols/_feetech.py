"""What a host asks Feetech servos of every series on one half-duplex wire, 8N1, and what their condition means."""

from collections.abc import Collection, Mapping, Sequence
from enum import IntEnum

from ...robots.errors import RefusedError
from ...robots.servo import Drive
from ..registers import RegisterTable
from ._feetech_frames import BROADCAST, ReplyParser, encode
from ._feetech_table import (
    BAUD_RATES,
    STATUS_CURRENT,
    STATUS_ENCODER,
    STATUS_OVERLOAD,
    STATUS_TEMPERATURE,
    STATUS_VOLTAGE,
)

_FAULTS = {
    STATUS_VOLTAGE: "supply voltage out of range: check the power supply's voltage and its cable",
    STATUS_ENCODER: "encoder error: power-cycle the servo; if it stays, replace it",
    STATUS_TEMPERATURE: "too hot: release the arm in its rest position and let it cool down",
    STATUS_CURRENT: "over-current: free the joint, then power-cycle the servo",
    STATUS_OVERLOAD: "overload: take the load off the joint, then arm again",
}


class Instruction(IntEnum):
    """Everything a host may ask."""

    PING = 0x01
    READ = 0x02
    WRITE = 0x03
    REG_WRITE = 0x04
    ACTION = 0x05
    RECOVERY = 0x06
    REBOOT = 0x08
    BACKUP = 0x09
    RESET = 0x0A
    CALIBRATE = 0x0B
    SYNC_READ = 0x82
    SYNC_WRITE = 0x83


class Feetech:
    """What the series have in common; stateless."""

    registers: RegisterTable
    condition_register = None
    watchdog = None
    chained = False
    baud_rates = BAUD_RATES
    gathers = True
    identity = ("byte_order", 0)
    offset_register: str | None = "position_offset"
    offset_sign = -1
    ping_size = 0
    broadcast_id = BROADCAST
    probe = b"\xff\xff\xfe\x02\x01\x00"  # a broadcast ping with a wrong checksum

    def table(self, model_number: int) -> RegisterTable:
        """The registers of one model: all of a series are alike."""
        del model_number
        return self.registers

    def centre(self, drive: Drive) -> int:
        """Count in the middle of what a servo measures."""
        return drive.ticks_per_turn // 2

    def ping_slot(self, baud_rate: int) -> float:
        """Time in s: a broadcast ping is answered after nine byte times for each id."""
        return 90.0 / baud_rate

    def _span(self, address: int, size: int) -> None:
        end = self.registers.size
        if not (0 <= address < end and 1 <= size <= end - address):
            raise RefusedError(f"registers {address}..{address + size - 1} are outside 0..{end - 1}")

    def ping(self, actuator_id: int) -> bytes:
        """Ask one servo whether it is there."""
        return encode(actuator_id, Instruction.PING)

    def read(self, actuator_id: int, address: int, size: int) -> bytes:
        """Ask one servo for memory."""
        self._span(address, size)
        return encode(actuator_id, Instruction.READ, bytes((address, size)))

    def write(self, actuator_id: int, address: int, data: bytes) -> bytes:
        """Set memory of one servo, or of all with the broadcast id."""
        self._span(address, len(data))
        return encode(actuator_id, Instruction.WRITE, bytes((address,)) + data)

    def reg_write(self, actuator_id: int, address: int, data: bytes) -> bytes:
        """Prepare a write that `action` carries out."""
        self._span(address, len(data))
        return encode(actuator_id, Instruction.REG_WRITE, bytes((address,)) + data)

    def action(self, actuator_id: int = BROADCAST) -> bytes:
        """Carry out the prepared writes."""
        return encode(actuator_id, Instruction.ACTION)

    def sync_read(self, actuator_ids: Sequence[int], address: int, size: int) -> bytes:
        """Ask several servos for the same memory; they answer in the order of the list."""
        self._span(address, size)
        return encode(BROADCAST, Instruction.SYNC_READ, bytes((address, size, *actuator_ids)))

    def sync_write(self, address: int, values: Mapping[int, bytes]) -> bytes:
        """Set the same memory of several servos to a value each; no one answers.

        Raises:
            RefusedError: If the values differ in size or are too many.
        """
        size = len(next(iter(values.values()), b""))
        body = bytearray((address, size))
        for actuator_id, data in values.items():
            body.append(actuator_id)
            body += data
        if len(body) != 2 + len(values) * (size + 1):
            raise RefusedError("a sync write needs values of one size")
        self._span(address, size)
        return encode(BROADCAST, Instruction.SYNC_WRITE, body)

    def factory_reset(self, actuator_id: int) -> bytes | None:
        """None: a series that has such a request says so."""
        del actuator_id
        return None

    def replies_size(self, replies: int, size: int) -> int:
        """Bytes on the wire of so many replies to one request that carry `size` bytes each."""
        return replies * (size + 6)

    def reply_gap(self, replies: int, size: int, baud_rate: int) -> float:
        """Silence in s: a sync read is answered in open-loop slots, each three bytes longer than its reply."""
        del size
        return (1 + 3 * (replies - 1)) * 10.0 / baud_rate

    def parser(self, actuator_ids: Collection[int], size: int) -> ReplyParser:
        """Return a parser that accepts replies of exactly these servos with exactly this many data bytes."""
        return ReplyParser(actuator_ids, size)

    def refusal(self, status: int) -> str:
        """Nothing is refused: what this series does not carry out it does not answer."""
        del status
        return ""

    def faults(self, conditions: int) -> tuple[str, ...]:
        """Name the bits of a servo's condition, each with its cure."""
        return tuple(text for bit, text in _FAULTS.items() if conditions & bit)
