"""One virtual Dynamixel servo of the X series: the instructions it obeys and what it remembers.

How it moves is in `dynamixel_motion`, what may be written in `dynamixel_memory`. A hardware error whose bit is set in
the shutdown mask switches the torque off for good: only a reboot brings it back. Times that the manual does not give
(reboot, overload) are assumptions, marked where they stand.
"""

from ..framing import Packet
from ..protocols._dynamixel_faults import BAD_INSTRUCTION, DATA_LENGTH, DATA_RANGE, OVERHEATING, OVERLOAD, RESULT_FAIL
from ..protocols._dynamixel_frames import BROADCAST
from ..protocols.dynamixel2 import BACKUP_KEY, CLEAR_TURNS, Instruction, Reset
from ..registers import Register
from .dynamixel_memory import GOALS, RAM
from .dynamixel_motion import DynamixelMotion

REBOOT_TIME = 0.5  # s of silence after a reboot or factory reset; an assumption

_UNSHADOWED = frozenset(Instruction) - {Instruction.WRITE, Instruction.REG_WRITE, Instruction.ACTION}


class VirtualDynamixel(DynamixelMotion):
    """A servo at register level; give it a motor through a plant."""

    def __init__(self, actuator_id: int, *, model_number: int = 1060, baud_rate: int = 57_600) -> None:
        """Make a factory-new servo and switch it on.

        Args:
            actuator_id: Id it has been given.
            model_number: Which model it is; an XL430-W250 if not given.
            baud_rate: One of the rates of the series.

        Raises:
            RefusedError: If there is no such model.
        """
        super().__init__(actuator_id, model_number=model_number, baud_rate=baud_rate)
        self.voltage = self.model.supply
        self._backup: bytes | None = None
        self.power_on(0.0)

    def power_on(self, now: float, *, silent: float = 0.0) -> None:
        """Load the kept memory, clear the rest."""
        self.memory[RAM:] = self._factory[RAM:]
        self.memory[:RAM] = self._kept
        startup = self.get("startup_configuration")
        if self._backup is not None:
            self._set("backup_ready", 1)
            if startup & 2:
                self._restore_ram()
        self._reset_goals()
        self.deaf_until = now + silent
        self._pending: tuple[int, bytes] | None = None
        self._elapsed = 0.0
        self._start_motion()
        if startup & 1:
            self._switch(1)

    def mount(self, *, turned: bool, obeys: int | None) -> None:
        """Be set up for the place where it is mounted: reverse mode and secondary id."""
        self._set("drive_mode", int(turned))
        self._set("secondary_id", 255 if obeys is None else obeys)
        self._kept = bytes(self.memory[:RAM])
        self._start_motion()

    def afflict(self, *, hot: bool, overloaded: bool) -> None:
        """Hold up the conditions of overheating and overload."""
        self.forced_error = OVERHEATING * hot | OVERLOAD * overloaded

    def _restore_ram(self) -> None:
        """Fill the writable RAM from the back-up copy; the torque stays as it is."""
        for register in self.model.table:
            if register.access == "ram" and register.name != "torque_switch" and self._backup is not None:
                span = slice(register.address, register.address + register.size)
                self.memory[span] = self._backup[span]

    # ---- instructions

    def answer(self, packet: Packet, now: float) -> tuple[int, bytes] | None:
        """Carry out a request that is not a sync or bulk one.

        Args:
            packet: Whole, with a good checksum.
            now: Line time, s.

        Returns:
            Error byte and data of the reply, or None for silence.
        """
        code, to = packet.code, packet.actuator_id
        if to not in (self.actuator_id, BROADCAST):
            if to == self.memory[12] < 253 and code not in _UNSHADOWED:
                self._obey(packet, now, shadow=True)
            return None
        replies = self.answers_reads if code == Instruction.READ else self.answers_writes
        alert = self.alert
        if code == Instruction.PING:
            return alert, bytes((*self.memory[:2], self.memory[6]))
        if to == BROADCAST and code == Instruction.READ:
            return None
        error, data = self._obey(packet, now, shadow=False)
        return (error | alert, data) if replies and to != BROADCAST else None

    def _obey(self, packet: Packet, now: float, *, shadow: bool) -> tuple[int, bytes]:
        code, data = packet.code, packet.data
        address = int.from_bytes(data[:2], "little")
        if code == Instruction.READ:
            return self.read(address, int.from_bytes(data[2:4], "little")) if len(data) == 4 else (DATA_LENGTH, b"")
        error = 0
        if code in (Instruction.WRITE, Instruction.REG_WRITE):
            if len(data) < 3:
                error = DATA_LENGTH
            elif code == Instruction.WRITE:
                error = self.write(address, data[2:], shadow=shadow)
            else:
                error, _ = self.examine(address, data[2:], shadow=shadow)
                if not error:
                    self._pending = (address, data[2:])
                    self._set("async_flag", 1)
        elif code == Instruction.ACTION:
            if self._pending is None:
                return BAD_INSTRUCTION, b""
            error = self.write(*self._pending, shadow=shadow)
            self._pending = None
            self._set("async_flag", 0)
        elif code == Instruction.FACTORY_RESET:
            error = self._factory_reset(data, now, everyone=packet.actuator_id == BROADCAST)
        elif code == Instruction.REBOOT:
            self.power_on(now, silent=REBOOT_TIME)
        elif code == Instruction.CLEAR:
            if data != CLEAR_TURNS:
                return DATA_RANGE, b""
            self.mirror()
            error = RESULT_FAIL if self.get("moving") else 0
            if not error:
                self._fold()
        elif code == Instruction.CONTROL_TABLE_BACKUP:
            error = self._back_up(data, now)
        else:
            error = BAD_INSTRUCTION
        return error, b""

    def _factory_reset(self, data: bytes, now: float, *, everyone: bool) -> int:
        if len(data) != 1 or data[0] not in list(Reset):
            return DATA_RANGE
        if everyone and data[0] == Reset.ALL:
            return RESULT_FAIL
        kept = bytearray(self._factory[:RAM])
        if data[0] != Reset.ALL:
            kept[7] = self._kept[7]
        if data[0] == Reset.ALL_BUT_ID_AND_BAUD:
            kept[8] = self._kept[8]
        self._kept = bytes(kept)
        self.power_on(now, silent=REBOOT_TIME)
        return 0

    def _back_up(self, data: bytes, now: float) -> int:
        if data[1:] != BACKUP_KEY or data[0] not in (1, 2):
            return DATA_RANGE
        if data[0] == 1:
            self._backup = bytes(self.memory)
            self._set("backup_ready", 1)
            return 0
        if self._backup is None or self.memory[64]:
            return RESULT_FAIL
        self._kept = self._backup[:RAM]
        self.power_on(now, silent=REBOOT_TIME)
        return 0

    # ---- what registers do

    def _put(self, register: Register, value: int) -> None:
        """Store a value that may be written and let it take effect."""
        name = register.name
        if name == "torque_switch":
            self._switch(value)
            return
        if name in GOALS and not self.memory[64] and self.memory[10] & 8:
            self._switch(1)
        before = self.memory[11]
        self._set(name, value)
        if register.access == "eeprom":
            self._kept = bytes(self.memory[:RAM])
        if name == "operating_mode" and value != before:
            self._change_mode()
        elif name == "goal_position":
            self._plan()
        elif name in ("drive_mode", "position_offset"):
            self._start_motion()
        elif name == "bus_watchdog":
            self.heard()

    def _reset_goals(self) -> None:
        self._set("goal_pwm", self.get("pwm_limit"))
        if self.model.current_unit is not None:
            self._set("goal_current", self.get("current_limit"))

    def _change_mode(self) -> None:
        """Gains, profile and goals start afresh in another mode."""
        for register in self.model.table:
            if register.name.endswith("_gain") or register.name.startswith("profile_"):
                self._set(register.name, register.default)
        self._reset_goals()
        self._set("goal_velocity", 0)
        self._start_motion()
