"""Feetech SCS servos (SC09, SC15): high bytes first, 10 bits, one read a servo, and no offset, mode or current.

What all series have in common is in `_feetech`, frames and their parsers are in `_feetech_frames`, registers in
`_feetech_scs_table`.
"""

import struct
from collections.abc import Mapping
from math import nan

from ...robots.servo import Drive
from ..framing import Telemetry
from ..registers import RegisterTable
from ._feetech import Feetech
from ._feetech_scs_table import MODELS, REGISTERS


class FeetechScs(Feetech):
    """The `Framing` of the SCS series; stateless."""

    name = "feetech_scs"
    registers: RegisterTable = REGISTERS
    models: Mapping[str, int] = MODELS
    telemetry_block = (56, 11)
    gathers = False
    identity = ("byte_order", 1)
    offset_register = None
    offset_sign = 0

    _telemetry = struct.Struct(">HHHBBxBB")

    def centre(self, drive: Drive) -> int:
        """Count in the middle of what a servo measures: of 300 degrees, whatever a turn would be."""
        del drive
        return 512

    def settings(self, drive: Drive) -> dict[str, int]:
        """Registers of the position loop; behind the closed lock they live until power-off and wear no EEPROM."""
        return {
            "position_gain": round(drive.position_gain),
            "derivative_gain": round(drive.derivative_gain),
            "start_force": round(drive.start_duty * 1000),
            "dead_zone_cw": round(drive.dead_zone_ticks),
            "dead_zone_ccw": round(drive.dead_zone_ticks),
            "goal_time": 0,
            "goal_speed": 0,
        }

    def telemetry(self, data: bytes, status: int, model_number: int) -> Telemetry:
        """Decode registers 56..66."""
        del model_number
        position, speed, load, voltage, temperature, condition, moving = self._telemetry.unpack_from(data)
        return Telemetry(
            position,
            32768 - speed if speed & 0x8000 else speed,
            (load & 0x3FF) * (0.001 if load & 0x400 else -0.001),
            voltage * 0.1,
            temperature,
            moving != 0,
            nan,
            status | condition,
        )


FRAMING = FeetechScs()
