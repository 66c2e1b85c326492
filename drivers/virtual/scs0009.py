"""One virtual SCS0009: a potentiometer of 300 degrees instead of an encoder, and no more than a position loop.

It shares life, wire and protections with the STS3215. Sync read and broadcast ping are among the things that it does
not know: the vendor's client does not offer them for this series, so nobody may rely on them.
"""

from math import pi

from ..framing import Packet
from ..protocols import _feetech_scs_table as table
from ..protocols._feetech_frames import BROADCAST
from ..protocols.feetech_sts import Instruction
from ..registers import RegisterTable
from .plant import Command
from .sts3215 import VirtualServo

RANGE = 300.0 * pi / 180.0  # rad of the potentiometer
_UNKNOWN = (Instruction.RECOVERY, Instruction.BACKUP, Instruction.RESET, Instruction.CALIBRATE)


class VirtualScs(VirtualServo):
    """A servo at register level; give it a motor through a plant."""

    registers: RegisterTable = table.REGISTERS
    counts, tick = 1024, RANGE / 1024
    gathers = False
    _extra: frozenset[int] = frozenset()

    def __init__(self, actuator_id: int, *, model_number: int = 1284, baud_rate: int = 1_000_000) -> None:
        """Make a factory-new servo and switch it on."""
        super().__init__(actuator_id, model_number=model_number, baud_rate=baud_rate)
        self.voltage = 6.0

    def answer(self, packet: Packet, now: float) -> bytes | None:
        """Carry out a request; one that the series does not know is met with silence."""
        asked_all = packet.code == Instruction.PING and packet.actuator_id == BROADCAST
        return None if asked_all or packet.code in _UNKNOWN else super().answer(packet, now)

    @property
    def present_ticks(self) -> int:
        """Position as register 56 tells it; beyond its ends the potentiometer stays at them."""
        return min(max(self.raw_ticks, 0), self.counts - 1)

    @property
    def _present(self) -> int:
        return self.present_ticks

    @property
    def _mode(self) -> int:
        return 2 if self.get("min_angle") == 0 == self.get("max_angle") else 0

    def _change_mode(self) -> None:
        self._torque(0)

    def _limit_torque(self) -> None:
        pass

    def _mirror_more(self) -> None:
        pass

    def _fold(self) -> None:
        get = self.get
        self._seen = self.memory[5:50]
        self._key = (0.0, -1.0)
        self._goal = float(min(max(get("goal_position"), get("min_angle")), get("max_angle")))
        way, time = abs(self._goal - self._target), get("goal_time")
        self._goal_speed = float(get("goal_speed")) or (1000.0 * way / time if time > 0 else 0.0)
        self._acceleration = 0.0
        self._goal_duty = time / 1000.0
        self._limit = get("max_torque") / 1000.0
        self._held_back = get("holding_torque") / 100.0
        self._loop = Command(
            None,
            position_gain=get("position_gain"),
            derivative_gain=get("derivative_gain"),
            start_duty=get("start_force") / 1000.0,
            dead_zone_ticks=float(get("dead_zone_cw")),
        )
