"""One virtual STS3215: 87 bytes of memory and what writing to them does.

The servo hears whole requests (`answer`), lives through control ticks (`command`, `sense`) and mirrors what it
senses into its present registers. Counts: `raw = continuous encoder angle`, `present = (raw - offset) mod 4096`,
plus whole turns where the phase register or the limits ask for them. Protocol errors are met with silence; the
status byte tells the servo's condition only.
"""

from dataclasses import replace

from ..framing import Packet
from ..protocols import _feetech_table as table
from ..protocols._feetech_frames import BROADCAST
from ..protocols.feetech_sts import CURRENT_UNIT, Instruction
from ..registers import RegisterTable
from .plant import Command
from .servo import CENTRE, PLACED_TICKS, TICKS, RegisterServo, approach

SPEED_WINDOW = 0.02  # s over which the servo counts ticks for its speed register
REBOOT_TIME = 0.8  # s of silence after REBOOT
TORQUE_PER_AMPERE = 1.2116  # N m/A at the output, BAM m1

UNDEFINED = frozenset(range(50, 55))  # writable, too
_SILENT_LEVEL_0 = frozenset(Instruction) - {Instruction.PING, Instruction.READ, Instruction.SYNC_READ}

_FREE, _SHORT = Command(None), Command(None, short=True)


class VirtualServo(RegisterServo):
    """A servo at register level; give it a motor through a plant.

    Attributes:
        registers: Table of its series.
        gathers: Whether it answers a sync read.
    """

    registers: RegisterTable = table.REGISTERS
    gathers = True
    _extra = UNDEFINED

    def __init__(self, actuator_id: int, *, model_number: int = 777, baud_rate: int = 1_000_000) -> None:
        """Make a factory-new servo and switch it on.

        Args:
            actuator_id: Id it has been given.
            model_number: What it answers when asked for its model.
            baud_rate: One of the eight rates of the series.
        """
        super().__init__(self.registers)
        spans = [(r, range(r.address, r.address + r.size)) for r in self.registers]
        self._eeprom = frozenset(a for r, span in spans if r.access == "eeprom" for a in span)
        self._writable = frozenset(a for r, span in spans if r.writable for a in span) | self._extra
        self._lock = self.registers["lock"].address
        self._set("model_number", model_number)
        self._set("id", actuator_id)
        self._set("baud_code", table.BAUD_RATES.index(baud_rate))
        self._kept = bytes(self.memory)
        self._backup = bytes(self.memory)
        self.forced_status = 0  # condition bits that a fault injection holds up
        self.power_on(0.0)

    @property
    def actuator_id(self) -> int:
        """Id to which it answers."""
        return self.memory[5]

    @property
    def baud_rate(self) -> int:
        """Rate at which the servo listens."""
        return table.BAUD_RATES[self.memory[6] & 7]

    def power_on(self, now: float, *, silent: float = 0.0) -> None:
        """Load the kept memory, clear the rest."""
        for address in self._eeprom:
            self.memory[address] = self._kept[address]
        for register in self.registers:
            if register.access == "ram":
                self._set(register.name, register.default)
        self._limit_torque()
        self.deaf_until = now + silent
        self._turns = 0
        self._last_raw = self.raw_ticks
        self._target = float(self.present_ticks)
        self._speed = 0.0
        self._window = (0.0, self.raw_ticks)
        self._overload_time = 0.0
        self._tripped = 0
        self._pending: tuple[int, bytes] | None = None
        self._command = _FREE
        self._fold()

    def afflict(self, *, hot: bool, overloaded: bool) -> None:
        """Hold up the condition bits of over-temperature and overload."""
        self.forced_status = table.STATUS_TEMPERATURE * hot | table.STATUS_OVERLOAD * overloaded

    @property
    def present_ticks(self) -> int:
        """Position as register 56 tells it."""
        wrapped = (self.raw_ticks - self.get("position_offset")) % TICKS
        return wrapped + TICKS * self._turns if self._multi_turn else wrapped

    @property
    def _unlimited(self) -> bool:
        return self.get("min_angle") == 0 == self.get("max_angle")

    @property
    def _multi_turn(self) -> bool:
        return self._unlimited or bool(self.memory[18] & 0x10)

    # ---- the wire

    def answer(self, packet: Packet, now: float) -> bytes | None:
        """Carry out a request.

        Args:
            packet: Whole, with a good checksum; a sync request is handled by the line.
            now: Line time, s.

        Returns:
            Data of the reply (often empty), or None for silence.
        """
        code, data = packet.code, packet.data
        unicast = packet.actuator_id != BROADCAST
        if code == Instruction.READ:
            return self.read(data[0], data[1]) if len(data) >= 2 else None
        if code == Instruction.PING:
            return b""
        level = self.memory[8]
        if code == Instruction.WRITE and len(data) >= 2:
            self.write(data[0], data[1:])
        elif code == Instruction.REG_WRITE and len(data) >= 2:
            self._pending = (data[0], data[1:])
            self._set("async_flag", 1)
        elif code == Instruction.ACTION:
            if self._pending:
                self.write(*self._pending)
            self._pending = None
            self._set("async_flag", 0)
        elif code == Instruction.RECOVERY:
            keep = self.memory[5]
            self._kept = self._backup[:5] + bytes((keep,)) + self._backup[6:]
            self.power_on(now)
        elif code == Instruction.BACKUP:
            self._backup = bytes(self.memory)
        elif code == Instruction.REBOOT:
            self.power_on(now, silent=REBOOT_TIME)
            return None
        elif code == Instruction.RESET:
            self._turns = 0
            self._torque(0)
        elif code == Instruction.CALIBRATE:
            value = int.from_bytes(data[:2], "little", signed=True) if len(data) >= 2 else CENTRE
            if abs(value) <= 4095:
                self.calibrate(value)
        elif code in (Instruction.SYNC_READ, Instruction.SYNC_WRITE):
            return None
        return b"" if unicast and level == 1 else None

    def read(self, address: int, size: int) -> bytes | None:
        """Memory from an address on, cut at its end; None beyond it."""
        if address >= self.registers.size:
            return None
        self.mirror()
        return bytes(self.memory[address : address + size])

    def write(self, address: int, data: bytes) -> None:
        """Write what may be written, skip the rest, and let the registers take effect."""
        mode = self._mode
        open_lock = self.memory[self._lock] == 0
        for at, byte in enumerate(data, address):
            if at not in self._writable:
                continue
            if at == 6 and byte > 7:
                byte = 0
            if at == 40:
                self._torque(byte)
                continue
            self.memory[at] = byte
            if open_lock and at in self._eeprom:
                self._keep(at)
        if self._mode != mode:
            self._change_mode()

    def _keep(self, address: int) -> None:
        kept = bytearray(self._kept)
        kept[address] = self.memory[address]
        self._kept = bytes(kept)

    def _torque(self, value: int) -> None:
        if value == 128:
            self.calibrate(CENTRE)
            value = 0
        if value and not self.memory[40]:
            self._target = float(self.present_ticks)
        self.memory[40] = value
        self._tripped = 0
        self._overload_time = 0.0

    def calibrate(self, value: int) -> None:
        """Choose the offset so that the present position reads `value`; it is kept even behind the lock."""
        offset = (self.raw_ticks - value) % TICKS
        if offset >= CENTRE:
            offset -= TICKS
        # The series codes half a turn as -2048, as a servo at raw 0 shows.
        self._set("position_offset", offset)
        self._keep(31)
        self._keep(32)
        self._turns = 0
        self._target = float(self.present_ticks)

    # ---- what not all series have

    @property
    def _mode(self) -> int:
        """0 position, 1 speed, 2 duty, 3 step."""
        return self.memory[33]

    def _change_mode(self) -> None:
        self._set("goal_speed", 0)
        self._set("acceleration", 0)
        self._torque(0)

    def _limit_torque(self) -> None:
        self._set("torque_limit", self.get("max_torque"))

    def _mirror_more(self) -> None:
        self._set("target_position", round(self._target))
        self._set("present_current", round(self._current / CURRENT_UNIT))

    @property
    def _present(self) -> int:
        """As `present_ticks`, with the settings that were folded last."""
        present = (self.raw_ticks - self._offset) % TICKS
        return present + TICKS * self._turns if self._many_turns else present

    # ---- the control tick

    def _fold(self) -> None:
        """Decode the settings once for many control ticks."""
        memory = self.memory
        self._seen = memory[5:50]
        self._key = (0.0, -1.0)
        self._offset = self.get("position_offset")
        self._many_turns = self._multi_turn
        self._goal = float(self.get("goal_position"))
        if not self._unlimited:
            self._goal = min(max(self._goal, self.get("min_angle")), self.get("max_angle"))
        self._goal_speed = self._speed_unit(self.get("goal_speed"))
        self._goal_duty = self.get("goal_duty") / 1000.0
        self._acceleration = min(memory[41], memory[85]) * 100.0 * memory[86]
        self._limit = self.get("torque_limit") / 1000.0
        self._held_back = memory[34] / 100.0
        self._loop = Command(
            None,
            position_gain=memory[21],
            derivative_gain=memory[22],
            start_duty=memory[24] / 1000.0,
            dead_zone_ticks=float(memory[26]),
        )

    def command(self, dt: float) -> Command:
        """Advance the profile by `dt` s and say what the motor shall do."""
        memory = self.memory
        switch = memory[40]
        if switch != 1 or self._unloaded:
            return _SHORT if switch == 2 else _FREE
        if memory[5:50] != self._seen:
            self._fold()
        mode = self._mode
        if mode == 2:
            return Command(None, duty=self._goal_duty, torque_limit=self._limit)
        if mode == 1:
            self._target += self._goal_speed * dt
        elif self._goal_speed or self._acceleration:
            self._target, self._speed = approach(
                self._target,
                self._speed,
                self._goal,
                top=abs(self._goal_speed),
                acceleration=self._acceleration,
                dt=dt,
            )
        else:
            self._target, self._speed = self._goal, 0.0
        present = self._present
        limit = self._limit
        if self._tripped & table.STATUS_OVERLOAD:
            limit = min(limit, self._held_back)
        key = (self.raw_ticks - present + self._target, limit)
        if key != self._key:
            self._key = key
            self._command = replace(self._loop, goal=(key[0] - self.counts // 2) * self.tick, torque_limit=limit)
        return self._command

    @property
    def _unloaded(self) -> bool:
        return bool(self.memory[65] & self.memory[19] & (table.STATUS_TEMPERATURE | table.STATUS_VOLTAGE))

    def _speed_unit(self, value: int) -> float:
        return float(value if self.memory[18] & 4 else value * self.memory[82])

    def sense(self, position: float, velocity: float, duty: float, stall: float, no_load: float, dt: float) -> None:
        """Take in what the joint did during one step of `dt` s."""
        self.raw_ticks = round(position / self.tick) + self.counts // 2
        jump = (self.raw_ticks % self.counts) - (self._last_raw % self.counts)
        if abs(jump) > self.counts // 2:
            self._turns += -1 if jump > 0 else 1
        if dt and abs(self.raw_ticks - self._last_raw) > PLACED_TICKS:
            # The world was reset and the joint put elsewhere by hand; the servo holds there, as if just armed.
            self._target, self._speed = float(self.present_ticks), 0.0
            self._set("goal_position", self.present_ticks)
            self._window = (0.0, self.raw_ticks)
        self._last_raw = self.raw_ticks
        self._duty = duty
        self._current = stall * (duty - velocity / no_load) / TORQUE_PER_AMPERE if self.memory[40] else 0.0
        elapsed, start = self._window
        elapsed += dt
        if elapsed >= SPEED_WINDOW - 1e-9:
            counts = round((self.raw_ticks - start) / elapsed * 0.02)
            self._measured_speed = counts * 50 if abs(counts) >= 2 else 0
            self._window = (0.0, self.raw_ticks)
            self._protect(elapsed)
        else:
            self._window = (elapsed, start)

    _duty = 0.0
    _current = 0.0
    _measured_speed = 0

    def _protect(self, dt: float) -> None:
        status = self.forced_status
        if not self.memory[15] / 10.0 <= self.voltage <= self.memory[14] / 10.0:
            status |= table.STATUS_VOLTAGE
        limit = self.memory[13]
        if self.temperature > limit or (self.memory[65] & table.STATUS_TEMPERATURE and self.temperature + 5 >= limit):
            status |= table.STATUS_TEMPERATURE
        if abs(self._duty) * 100.0 > self.get("overload_torque") and abs(self._measured_speed) < 50:
            self._overload_time += dt
            if self._overload_time >= self.get("protection_time") * 0.01:
                self._tripped |= table.STATUS_OVERLOAD
        elif abs(self._duty) * 100.0 < min(self.get("holding_torque"), self.get("overload_torque")) - 1:
            self._overload_time = 0.0
            self._tripped = 0
        self.memory[65] = status | self._tripped

    @property
    def status(self) -> int:
        """The status byte of every reply."""
        return self.memory[65] | self.forced_status

    def mirror(self) -> None:
        """Write what was sensed into the present registers."""
        self._set("present_position", self.present_ticks)
        self._set("present_speed", self._measured_speed)
        self._set("present_load", -round(self._duty * 1000))
        self._set("present_voltage", round(self.voltage * 10))
        self._set("present_temperature", round(self.temperature))
        self._set("moving", int(self._measured_speed != 0))
        self._mirror_more()
        self.memory[65] |= self.forced_status
