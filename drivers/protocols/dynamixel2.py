"""Dynamixel Protocol 2.0 (XL330, XL430, XM430): what a host asks, and what the answers mean.

Frames and their parsers are in `_dynamixel_frames`, registers in `_dynamixel_tables`. Each reply to a sync or bulk
read waits for the one before it, so a servo that stays silent silences those behind it. With `merged` the servos
answer such a read in one frame (fast sync read): 11 bytes less for each but the first, from firmware 45 (XL330: 46) on.
"""

import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import nan, pi
from typing import ClassVar

from ...robots.errors import RefusedError
from ...robots.servo import Drive
from ..framing import Telemetry
from ..registers import RegisterTable
from ._dynamixel_faults import FAULTS, REFUSALS
from ._dynamixel_frames import BROADCAST, StatusParser, frame
from ._dynamixel_tables import BAUD_RATES, BY_NUMBER, MODELS, PWM_UNITS, SHARED, VELOCITY_UNIT

TICKS = 4096
SPEED_UNIT = VELOCITY_UNIT * TICKS / (2.0 * pi)  # ticks/s per count of a velocity register
# Gain registers per unit of `Drive`: the P and D of a drive count duty per mille and tick as 1/4 and 1/8 over 20 ms.
P_UNIT = 128 * PWM_UNITS / 4000.0
CONTROL_PERIOD = 0.001  # s between two errors whose difference the D gain weighs; the manual does not give it
D_UNIT = 16 * PWM_UNITS * 0.02 / (8000.0 * CONTROL_PERIOD)
CLEAR_TURNS = b"\x01\x44\x58\x4c\x22"
BACKUP_KEY = b"CTRL"
_SPAN = struct.Struct("<HH")


class Instruction(IntEnum):
    """Everything a host may ask."""

    PING = 0x01
    READ = 0x02
    WRITE = 0x03
    REG_WRITE = 0x04
    ACTION = 0x05
    FACTORY_RESET = 0x06
    REBOOT = 0x08
    CLEAR = 0x10
    CONTROL_TABLE_BACKUP = 0x20
    SYNC_READ = 0x82
    SYNC_WRITE = 0x83
    FAST_SYNC_READ = 0x8A
    BULK_READ = 0x92
    BULK_WRITE = 0x93
    FAST_BULK_READ = 0x9A


class Reset(IntEnum):
    """What a factory reset resets."""

    ALL = 0xFF
    ALL_BUT_ID = 0x01
    ALL_BUT_ID_AND_BAUD = 0x02


def encode(actuator_id: int, instruction: int, parameters: bytes | bytearray = b"") -> bytes:
    """Frame a request.

    Args:
        actuator_id: 0..252, or 254 for all.
        instruction: One of `Instruction`.
        parameters: At most 1000 bytes.

    Raises:
        RefusedError: If the id or length does not fit.
    """
    if not (0 <= actuator_id < 253 or actuator_id == BROADCAST):
        raise RefusedError(f"actuator id {actuator_id} is outside 0..252; 254 means all servos")
    if len(parameters) > 1000:
        raise RefusedError(f"{len(parameters)} parameter bytes do not fit one packet; send at most 1000")
    return frame(actuator_id, instruction, parameters)


def _span(address: int, size: int) -> bytes:
    if not (0 <= address <= 0xFFFF and 1 <= size <= 0xFFFF):
        raise RefusedError(f"registers {address}..{address + size - 1} are outside 0..65535")
    return _SPAN.pack(address, size)


def _ids(actuator_ids: Collection[int]) -> bytes:
    unlike = len(set(actuator_ids)) == len(actuator_ids) > 0
    if not unlike or min(actuator_ids) < 0 or max(actuator_ids) > 252:
        raise RefusedError(f"servo ids {tuple(actuator_ids)}: give each servo of 0..252 once, and at least one")
    return bytes(actuator_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamixel2:
    """The `Framing` of Protocol 2.0.

    Attributes:
        merged: Whether several servos are asked to answer with one frame.
    """

    merged: bool = False

    name: ClassVar[str] = "dynamixel2"
    registers: ClassVar[RegisterTable] = SHARED
    models: ClassVar[Mapping[str, int]] = {model.name: model.number for model in MODELS}
    condition_register: ClassVar[str] = "hardware_error"
    watchdog: ClassVar[tuple[str, float]] = ("bus_watchdog", 0.02)
    chained: ClassVar[bool] = True
    baud_rates: ClassVar[tuple[int, ...]] = BAUD_RATES
    gathers: ClassVar[bool] = True
    identity: ClassVar[None] = None
    offset_register: ClassVar[str] = "position_offset"
    offset_sign: ClassVar[int] = 0  # it is added behind the wrap and cannot move it
    ping_size: ClassVar[int] = 3
    broadcast_id: ClassVar[int] = BROADCAST
    telemetry_block: ClassVar[tuple[int, int]] = (122, 25)
    probe: ClassVar[bytes] = frame(BROADCAST, Instruction.ACTION)[:-2] + b"\x00\x00"  # a wrong checksum to nobody

    _telemetry: ClassVar[struct.Struct] = struct.Struct("<BxhhiixxxxxxxxHB")

    def table(self, model_number: int) -> RegisterTable:
        """The registers of one model; those that all models share where it is not known."""
        model = BY_NUMBER.get(model_number)
        return model.table if model else SHARED

    def centre(self, drive: Drive) -> int:
        """Count in the middle of what a servo measures."""
        return drive.ticks_per_turn // 2

    def ping_slot(self, baud_rate: int) -> float:
        """Time in s between the answers of two ids to a broadcast ping, as the vendor's client has it."""
        del baud_rate
        return 0.003

    # ---- one servo

    def ping(self, actuator_id: int) -> bytes:
        """Ask one servo whether it is there, or all; each answers with model number and firmware version."""
        return encode(actuator_id, Instruction.PING)

    def read(self, actuator_id: int, address: int, size: int) -> bytes:
        """Ask one servo for memory."""
        return encode(actuator_id, Instruction.READ, _span(address, size))

    def write(self, actuator_id: int, address: int, data: bytes) -> bytes:
        """Set memory of one servo, or of all with the broadcast id."""
        return encode(actuator_id, Instruction.WRITE, _span(address, len(data))[:2] + data)

    def reg_write(self, actuator_id: int, address: int, data: bytes) -> bytes:
        """Prepare a write that `action` carries out."""
        return encode(actuator_id, Instruction.REG_WRITE, _span(address, len(data))[:2] + data)

    def action(self, actuator_id: int = BROADCAST) -> bytes:
        """Carry out the prepared writes."""
        return encode(actuator_id, Instruction.ACTION)

    def factory_reset(self, actuator_id: int, what: Reset = Reset.ALL_BUT_ID_AND_BAUD) -> bytes:
        """Restore factory settings; the servo then restarts."""
        return encode(actuator_id, Instruction.FACTORY_RESET, bytes((what,)))

    def reboot(self, actuator_id: int) -> bytes:
        """Restart the servo: the only way to torque after a hardware error."""
        return encode(actuator_id, Instruction.REBOOT)

    def clear(self, actuator_id: int) -> bytes:
        """Forget whole turns, so that the position lies within one turn; refused while the joint moves."""
        return encode(actuator_id, Instruction.CLEAR, CLEAR_TURNS)

    def backup(self, actuator_id: int, *, restore: bool = False) -> bytes:
        """Store the control table as the servo's back-up copy, or restore it from there."""
        return encode(actuator_id, Instruction.CONTROL_TABLE_BACKUP, bytes((1 + restore,)) + BACKUP_KEY)

    # ---- several servos

    def sync_read(self, actuator_ids: Sequence[int], address: int, size: int) -> bytes:
        """Ask several servos for the same memory; they answer in the order of the list."""
        code = Instruction.FAST_SYNC_READ if self._merges(len(actuator_ids)) else Instruction.SYNC_READ
        return encode(BROADCAST, code, _span(address, size) + _ids(actuator_ids))

    def sync_write(self, address: int, values: Mapping[int, bytes]) -> bytes:
        """Set the same memory of several servos to a value each; no one answers.

        Raises:
            RefusedError: If the values differ in size or an id does not fit.
        """
        size = len(next(iter(values.values()), b""))
        _ids(values)
        body = bytearray(_span(address, size))
        for actuator_id, data in values.items():
            body.append(actuator_id)
            body += data
        if len(body) != 4 + len(values) * (size + 1):
            raise RefusedError("a sync write needs values of one size")
        return encode(BROADCAST, Instruction.SYNC_WRITE, body)

    def bulk_read(self, spans: Mapping[int, tuple[int, int]]) -> bytes:
        """Ask several servos for different memory.

        Args:
            spans: Address and size by id, in the order in which they answer.
        """
        _ids(spans)
        code = Instruction.FAST_BULK_READ if self._merges(len(spans)) else Instruction.BULK_READ
        return encode(BROADCAST, code, b"".join(bytes((i,)) + _span(*span) for i, span in spans.items()))

    def bulk_write(self, values: Mapping[int, tuple[int, bytes]]) -> bytes:
        """Set different memory of several servos; no one answers.

        Args:
            values: Address and data by id.
        """
        _ids(values)
        rows = (bytes((i,)) + _span(address, len(data)) + data for i, (address, data) in values.items())
        return encode(BROADCAST, Instruction.BULK_WRITE, b"".join(rows))

    # ---- replies

    def _merges(self, count: int) -> bool:
        return self.merged and count > 1

    def replies_size(self, replies: int, size: int) -> int:
        """Bytes on the wire of so many replies to one request, if nothing is stuffed."""
        return 8 + replies * (size + 4) if self._merges(replies) else replies * (size + 11)

    def reply_gap(self, replies: int, size: int, baud_rate: int) -> float:
        """Silence in s: none once register return_delay is 0; the bus's patience covers the factory's 0.5 ms each."""
        del replies, size, baud_rate
        return 0.0

    def parser(self, actuator_ids: Collection[int], size: int) -> StatusParser:
        """Return a parser that accepts replies of exactly these servos with exactly this many data bytes, or none."""
        return StatusParser(actuator_ids, size, merged=self._merges(len(actuator_ids)))

    def settings(self, drive: Drive) -> dict[str, int]:
        """Registers of the position loop; the EEPROM among them is worn only where it holds something else."""
        return {
            "bus_watchdog": 0,  # one that has tripped locks the goals
            "operating_mode": 3,
            "drive_mode": 0,
            "return_delay": 0,
            "position_p_gain": round(drive.position_gain * P_UNIT),
            "position_d_gain": round(drive.derivative_gain * D_UNIT),
            "position_i_gain": 0,
            "feedforward_1st_gain": 0,
            "feedforward_2nd_gain": 0,
            "goal_pwm": round(min(drive.max_duty, 1.0) * PWM_UNITS),
            "profile_acceleration": 0,  # no profile of the servo's own: the goals already have one
            "profile_velocity": 0,
        }

    def telemetry(self, data: bytes, status: int, model_number: int) -> Telemetry:
        """Decode registers 122..146."""
        moving, pwm, current, velocity, position, voltage, temperature = self._telemetry.unpack_from(data)
        model = BY_NUMBER.get(model_number)
        unit = model.current_unit if model else None
        return Telemetry(
            position,
            round(velocity * SPEED_UNIT),
            pwm / PWM_UNITS,
            voltage * 0.1,
            temperature,
            moving != 0,
            nan if unit is None else current * unit,
            status,
        )

    def refusal(self, status: int) -> str:
        """Say why a request was not carried out, with the cure; empty where it was."""
        number = status & 0x7F
        return REFUSALS.get(number, f"error number {number}, which the manual does not list") if number else ""

    def faults(self, conditions: int) -> tuple[str, ...]:
        """Name the bits of register hardware_error, each with its cure."""
        return tuple(text for bit, text in FAULTS.items() if conditions & bit)


FRAMING = Dynamixel2()
