"""The control table of one virtual Dynamixel servo: what may be read and written, and with which error if not.

A write is carried out whole or not at all. It must cover whole registers; EEPROM is locked while the torque is on;
a value outside the register's range and one beyond a limit register have errors of their own. Bytes between registers
read as 0. Indirect data bytes are other registers' bytes wherever the indirect addresses point.
"""

from abc import abstractmethod

from ...robots.errors import RefusedError
from ..protocols._dynamixel_faults import ALERT, DATA_LENGTH, DATA_LIMIT, DATA_RANGE, NO_ACCESS
from ..protocols._dynamixel_tables import BAUD_RATES, BY_NUMBER
from ..registers import Register
from .servo import RegisterServo

RAM = 64  # first address behind the EEPROM
GOALS = ("goal_pwm", "goal_current", "goal_velocity", "goal_position")
_LIMITS = {"goal_pwm": "pwm_limit", "goal_current": "current_limit", "goal_velocity": "velocity_limit"}
_TRIPPED = 0xFF  # bus_watchdog = -1


class DynamixelMemory(RegisterServo):
    """The registers of a servo, by the rules of the manual."""

    def __init__(self, actuator_id: int, *, model_number: int, baud_rate: int) -> None:
        """Make factory-new registers.

        Args:
            actuator_id: Id it has been given.
            model_number: Which model it is.
            baud_rate: One of the rates of the series.

        Raises:
            RefusedError: If there is no such model.
        """
        if model_number not in BY_NUMBER:
            known = ", ".join(f"{number} ({model.name})" for number, model in sorted(BY_NUMBER.items()))
            raise RefusedError(f"no virtual Dynamixel servo of model {model_number}; there are {known}")
        self.model = BY_NUMBER[model_number]
        super().__init__(self.model.table)
        self._starts = {register.address: register for register in self.model.table}
        self._factory = bytes(self.memory)
        self._set("id", actuator_id)
        self._set("baud_code", BAUD_RATES.index(baud_rate))
        self._kept = bytes(self.memory[:RAM])

    @property
    def actuator_id(self) -> int:
        """Id to which it answers."""
        return self.memory[7]

    @property
    def baud_rate(self) -> int:
        """Rate at which it listens."""
        return BAUD_RATES[self.memory[8]]

    @property
    def return_delay(self) -> float:
        """Silence before a reply, s."""
        return self.memory[9] * 2e-6

    @property
    def answers_reads(self) -> bool:
        """Whether its response level allows replies to reads."""
        return self.memory[68] >= 1

    @property
    def answers_writes(self) -> bool:
        """Whether it allows replies to everything else."""
        return self.memory[68] >= 2

    @property
    def alert(self) -> int:
        """The bit of the error byte that tells of a hardware error."""
        return ALERT if self.memory[70] else 0

    @abstractmethod
    def mirror(self) -> None:
        """Renew the present registers."""

    @abstractmethod
    def _put(self, register: Register, value: int) -> None:
        """Store a value that may be written and let it take effect."""

    def _targets(self, address: int, size: int) -> list[int]:
        """Addresses behind a span, indirect ones resolved."""
        pointers, memory = self.model.indirect, self.memory
        span = range(address, address + size)
        return [int.from_bytes(memory[p : p + 2], "little") if (p := pointers.get(a)) else a for a in span]

    def read(self, address: int, size: int) -> tuple[int, bytes]:
        """Memory from an address on.

        Returns:
            Error number, and the data where it is 0.
        """
        if size == 0 or address + size > len(self.memory):
            return NO_ACCESS, b""
        self.mirror()
        return 0, bytes(self.memory[a] for a in self._targets(address, size))

    def write(self, address: int, data: bytes, *, shadow: bool = False) -> int:
        """Write whole registers, or nothing.

        Args:
            address: First byte.
            data: The bytes.
            shadow: Whether the request came to the secondary id, which reaches RAM only.

        Returns:
            Error number, 0 where it was done.
        """
        error, changes = self.examine(address, data, shadow=shadow)
        if not error:
            for register, value in changes:
                self._put(register, value)
        return error

    def write_as(self, actuator_id: int, address: int, data: bytes) -> None:
        """Write if an id of a sync or bulk write is this servo's first or second."""
        if actuator_id == self.memory[7]:
            self.write(address, data)
        elif actuator_id == self.memory[12] < 253:
            self.write(address, data, shadow=True)

    def examine(self, address: int, data: bytes, *, shadow: bool = False) -> tuple[int, list[tuple[Register, int]]]:
        """Split a write into registers and values, and say whether it may be done, without doing it."""
        changes: list[tuple[Register, int]] = []
        if not data or address + len(data) > len(self.memory):
            return NO_ACCESS, changes
        targets = self._targets(address, len(data))
        at = 0
        while at < len(data):
            first = targets[at]
            register = self._starts.get(first)
            if register is None:
                inside = any(r.address < first < r.address + r.size for r in self.model.table)
                return (DATA_LENGTH if inside else NO_ACCESS), changes
            if targets[at : at + register.size] != list(range(first, first + register.size)):
                return DATA_LENGTH, changes
            value = register.decode(data[at : at + register.size])
            if error := self._objection(register, value, shadow=shadow):
                return error, changes
            changes.append((register, value))
            at += register.size
        return 0, changes

    def _objection(self, register: Register, value: int, *, shadow: bool) -> int:
        name = register.name
        if not register.writable or (register.access == "eeprom" and (self.memory[64] or shadow)):
            return NO_ACCESS
        if not self._in_range(register, value):
            return DATA_RANGE
        if name in GOALS and self.memory[98] == _TRIPPED:
            return DATA_RANGE
        if name in _LIMITS and abs(value) > self.get(_LIMITS[name]):
            return DATA_LIMIT
        one_turn = name == "goal_position" and self.memory[11] == 3
        if one_turn and not self.get("min_position") <= value <= self.get("max_position"):
            return DATA_LIMIT
        return 0

    def _in_range(self, register: Register, value: int) -> bool:
        name = register.name
        if name == "operating_mode":
            return value in self.model.modes
        if name == "protocol_type":
            return value in self.model.protocols
        if name == "bus_watchdog" and self.memory[98] == _TRIPPED:
            return value == 0
        return (0 if name == "bus_watchdog" else register.lower) <= value <= register.upper
