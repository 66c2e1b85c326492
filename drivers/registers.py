"""A device's memory as data: one `Register` per fact of its manual, and the table they form.

A register knows its own number format, because that is where drivers go wrong: the STS series speaks
sign-magnitude with the sign in bit 15 or bit 10 and codes its position offset in four ranges of its own, Dynamixel
servos speak two's complement. Values here are raw integers in the register's own unit; calibration turns them into SI.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..robots.errors import RefusedError, UnknownNameError

Access = Literal["read", "eeprom", "ram"]
Sign = Literal["none", "bit10", "bit15", "offset", "twos"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """One register.

    Attributes:
        name: Name in genba; lower case with underscores.
        address: First byte.
        size: Bytes, 1, 2 or 4.
        access: "read" only, "eeprom" (kept over power-off where the servo's lock allows) or "ram".
        lower: Smallest value that may be written or is ever read.
        upper: Largest value.
        default: Value of a factory-new device.
        unit: Unit of one count, for people.
        sign: How negative values are coded.
        big_endian: True where the high byte comes first.
    """

    name: str
    address: int
    size: int
    access: Access
    lower: int
    upper: int
    default: int = 0
    unit: str = ""
    sign: Sign = "none"
    big_endian: bool = False

    @property
    def writable(self) -> bool:
        """Whether a host may write it."""
        return self.access != "read"

    def encode(self, value: int) -> bytes:
        """Turn a value into bytes in wire order.

        Args:
            value: Value in the register's unit.

        Raises:
            RefusedError: If the value is outside the register's range.
        """
        if not self.lower <= value <= self.upper:
            raise RefusedError(
                f"register {self.name}: {value} is outside {self.lower}..{self.upper} {self.unit}".rstrip()
            )
        if self.sign == "twos":
            return value.to_bytes(self.size, "big" if self.big_endian else "little", signed=True)
        raw = value
        if value < 0:
            raw = -value | (1 << 10 if self.sign == "bit10" else 1 << 15)
        if self.sign == "offset":
            raw = _offset_code(value)
        return raw.to_bytes(self.size, "big" if self.big_endian else "little")

    def decode(self, data: bytes) -> int:
        """Turn bytes in wire order into a value.

        Args:
            data: Exactly `size` bytes.
        """
        raw = int.from_bytes(data, "big" if self.big_endian else "little", signed=self.sign == "twos")
        if self.sign == "bit15":
            return -(raw & 0x7FFF) if raw & 0x8000 else raw
        if self.sign == "bit10":
            return -(raw & 0x3FF) if raw & 0x400 else raw & 0x3FF
        if self.sign == "offset":
            return _offset_value(raw)
        return raw


def _offset_code(value: int) -> int:
    if value >= 0:
        return value if value <= 2047 else value + 2048
    return 2048 - value if value >= -2047 else 4096 - value


def _offset_value(raw: int) -> int:
    raw &= 0x1FFF
    quarter, rest = divmod(raw, 2048)
    return (rest, -rest, 2048 + rest, -2048 - rest)[quarter]


class RegisterTable:
    """All registers of one device family, by name."""

    def __init__(self, title: str, size: int, registers: tuple[Register, ...], *, gaps: bool = True) -> None:
        """Index the registers.

        Args:
            title: Name of the family, for error texts.
            size: Bytes of the whole memory; reads beyond it are not answered.
            registers: In order of address.
            gaps: Whether bytes between registers can be read without a complaint.
        """
        self.title = title
        self.size = size
        self._by_name = {register.name: register for register in registers}
        self._defined = frozenset(a for r in registers for a in range(r.address, r.address + r.size))
        self._gaps = gaps
        self._windows: dict[tuple[int, int, int], int | None] = {}

    def __getitem__(self, name: str) -> Register:
        """Look a register up.

        Raises:
            UnknownNameError: If the family has no register of that name.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownNameError(f"{self.title} register", name, self._by_name) from None

    def __iter__(self) -> Iterator[Register]:
        """Iterate in order of address."""
        return iter(self._by_name.values())

    def __contains__(self, name: object) -> bool:
        """Say whether a register of that name exists."""
        return name in self._by_name

    def window(self, address: int, size: int, wanted: int) -> int | None:
        """First address of a longer read that holds a shorter one; None where the memory is too small.

        Args:
            address: First byte of the shorter read.
            size: Its bytes.
            wanted: Bytes of the longer one; reaches beyond registers only where no other read of that length exists.
        """
        key = (address, size, wanted)
        if key not in self._windows:
            highest = min(address, self.size - wanted)
            lowest = max(address + size - wanted, 0)
            first = highest if highest >= lowest else None
            if first is not None and not self._gaps:
                starts = range(highest, lowest - 1, -1)
                whole = (a for a in starts if self._defined.issuperset(range(a, a + wanted)))
                first = next(whole, first)
            self._windows[key] = first
        return self._windows[key]
