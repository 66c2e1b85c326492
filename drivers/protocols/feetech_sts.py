"""Feetech STS and SMS servos: what they know beyond their kin, and how they tell and take values.

What all series have in common is in `_feetech`, frames and their parsers are in `_feetech_frames`, registers in
`_feetech_table`.
"""

import struct
from collections.abc import Mapping

from ...robots.errors import RefusedError
from ...robots.servo import Drive
from ..framing import Telemetry
from ..registers import RegisterTable
from ._feetech import Feetech, Instruction
from ._feetech_frames import encode
from ._feetech_table import MODELS, REGISTERS

__all__ = ["CURRENT_UNIT", "FRAMING", "FeetechSts", "Instruction"]

CURRENT_UNIT = 0.0065  # A per count of the current registers


class FeetechSts(Feetech):
    """The `Framing` of the STS series; stateless."""

    name = "feetech_sts"
    registers: RegisterTable = REGISTERS
    models: Mapping[str, int] = MODELS
    telemetry_block = (56, 15)

    _telemetry = struct.Struct("<HHHBBxBBxxH")

    def recovery(self, actuator_id: int) -> bytes:
        """Restore the parameters from the servo's back-up copy; the id stays."""
        return encode(actuator_id, Instruction.RECOVERY)

    def factory_reset(self, actuator_id: int) -> bytes:
        """Restore from the back-up copy, which a factory-new servo holds."""
        return self.recovery(actuator_id)

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


FRAMING = FeetechSts()
