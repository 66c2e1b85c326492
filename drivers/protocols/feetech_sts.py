"""Feetech STS and SMS servos on one half-duplex wire, 8N1: what a host asks, and what the answers mean.

Frames and their parsers are in `_feetech_frames`, registers in `_feetech_table`.
"""

import struct
from collections.abc import Collection, Mapping, Sequence
from enum import IntEnum

from ...robots.errors import RefusedError
from ...robots.servo import Drive
from ..framing import Telemetry
from ..registers import RegisterTable
from ._feetech_frames import BROADCAST, ReplyParser, encode
from ._feetech_table import (
    MODELS,
    REGISTERS,
    STATUS_CURRENT,
    STATUS_ENCODER,
    STATUS_OVERLOAD,
    STATUS_TEMPERATURE,
    STATUS_VOLTAGE,
)

CURRENT_UNIT = 0.0065  # A per count of the current registers

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


def _span(address: int, size: int) -> None:
    if not (0 <= address < REGISTERS.size and 1 <= size <= REGISTERS.size - address):
        raise RefusedError(f"registers {address}..{address + size - 1} are outside 0..{REGISTERS.size - 1}")


class FeetechSts:
    """The `Framing` of the STS series; stateless."""

    name = "feetech_sts"
    registers: RegisterTable = REGISTERS
    models: Mapping[str, int] = MODELS
    condition_register = None
    watchdog = None
    chained = False
    ping_size = 0
    broadcast_id = BROADCAST
    telemetry_block = (56, 15)
    probe = b"\xff\xff\xfe\x02\x01\x00"  # a broadcast ping with a wrong checksum

    _telemetry = struct.Struct("<HHHBBxBBxxH")

    def table(self, model_number: int) -> RegisterTable:
        """The registers of one model: all of the series are alike."""
        del model_number
        return REGISTERS

    def ping(self, actuator_id: int) -> bytes:
        """Ask one servo whether it is there."""
        return encode(actuator_id, Instruction.PING)

    def read(self, actuator_id: int, address: int, size: int) -> bytes:
        """Ask one servo for memory."""
        _span(address, size)
        return encode(actuator_id, Instruction.READ, bytes((address, size)))

    def write(self, actuator_id: int, address: int, data: bytes) -> bytes:
        """Set memory of one servo, or of all with the broadcast id."""
        _span(address, len(data))
        return encode(actuator_id, Instruction.WRITE, bytes((address,)) + data)

    def reg_write(self, actuator_id: int, address: int, data: bytes) -> bytes:
        """Prepare a write that `action` carries out."""
        _span(address, len(data))
        return encode(actuator_id, Instruction.REG_WRITE, bytes((address,)) + data)

    def action(self, actuator_id: int = BROADCAST) -> bytes:
        """Carry out the prepared writes."""
        return encode(actuator_id, Instruction.ACTION)

    def recovery(self, actuator_id: int) -> bytes:
        """Restore the parameters from the servo's back-up copy; the id stays."""
        return encode(actuator_id, Instruction.RECOVERY)

    def reboot(self, actuator_id: int) -> bytes:
        """Restart the servo; it is silent for about 0.8 s."""
        return encode(actuator_id, Instruction.REBOOT)

    def backup(self, actuator_id: int) -> bytes:
        """Store the parameters as the servo's back-up copy."""
        return encode(actuator_id, Instruction.BACKUP)

    def reset(self, actuator_id: int) -> bytes:
        """Clear the turn counter."""
        return encode(actuator_id, Instruction.RESET)

    def calibrate(self, actuator_id: int, position_ticks: int | None = None) -> bytes:
        """Set the offset so that the present position reads `position_ticks`, or 2048.

        Args:
            actuator_id: The servo.
            position_ticks: -4095..4095.

        Raises:
            RefusedError: If the position is outside the servo's range.
        """
        if position_ticks is None:
            return encode(actuator_id, Instruction.CALIBRATE)
        if not -4095 <= position_ticks <= 4095:
            raise RefusedError(f"calibration position {position_ticks} is outside -4095..4095 ticks")
        return encode(actuator_id, Instruction.CALIBRATE, position_ticks.to_bytes(2, "little", signed=True))

    def sync_read(self, actuator_ids: Sequence[int], address: int, size: int) -> bytes:
        """Ask several servos for the same memory; they answer in the order of the list."""
        _span(address, size)
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
        _span(address, size)
        return encode(BROADCAST, Instruction.SYNC_WRITE, body)

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

    def settings(self, drive: Drive) -> dict[str, int]:
        """Registers of the position loop; behind the closed lock they live until power-off and wear no EEPROM."""
        return {
            "mode": 0,
            "position_gain": round(drive.position_gain),
            "derivative_gain": round(drive.derivative_gain),
            "start_force": round(drive.start_duty * 1000),
            "dead_zone_cw": round(drive.dead_zone_ticks),
            "dead_zone_ccw": round(drive.dead_zone_ticks),
            "torque_limit": round(min(drive.max_duty, 1.0) * 1000),
            "acceleration": 0,  # no profile of the servo's own: the goals already have one
            "goal_speed": 0,
        }

    def telemetry(self, data: bytes, status: int, model_number: int) -> Telemetry:
        """Decode registers 56..70."""
        del model_number
        position, speed, load, voltage, temperature, condition, moving, current = self._telemetry.unpack_from(data)
        return Telemetry(
            32768 - position if position & 0x8000 else position,
            32768 - speed if speed & 0x8000 else speed,
            (load & 0x3FF) * (0.001 if load & 0x400 else -0.001),
            voltage * 0.1,
            temperature,
            moving != 0,
            (32768 - current if current & 0x8000 else current) * CURRENT_UNIT,
            status | condition,
        )

    def refusal(self, status: int) -> str:
        """Nothing is refused: what this series does not carry out it does not answer."""
        del status
        return ""

    def faults(self, conditions: int) -> tuple[str, ...]:
        """Name the bits of a servo's condition, each with its cure."""
        return tuple(text for bit, text in _FAULTS.items() if conditions & bit)


FRAMING = FeetechSts()
