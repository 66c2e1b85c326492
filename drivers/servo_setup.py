"""Set a servo up for its joint: id and rate, a reset, and the file by which all of it is taken back.

The undo file holds every register that the servo keeps, as it was before the first write; it lies in the user's folder
under the arm's name, dated, so that none overwrites another.
"""

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..robots.errors import RefusedError
from ..robots.strict import build, load_json
from .calibration import home_folder
from .chain import Found
from .lone import LoneServo

FORMAT_VERSION = 1
PLACE = ("id", "baud_code")  # registers that decide where a servo answers; written last


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRegister:
    """One register as it was.

    Attributes:
        name: Name in the protocol's table.
        value: Value in the register's unit.
    """

    name: str
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoFile:
    """What a servo held before it was set up.

    Attributes:
        format_version: Version of the file format.
        created: UTC date and time, ISO 8601.
        protocol: Catalogue name of what it speaks.
        model_number: Its model.
        registers: Every register that it keeps over power-off.
    """

    format_version: int
    created: str
    protocol: str
    model_number: int
    registers: tuple[KeptRegister, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """What was done to one servo.

    Attributes:
        joint: Joint it is for; empty where that was not said.
        model: Trade name or number.
        from_id: Id before.
        from_baud: Rate before.
        to_id: Id now, read back.
        to_baud: Rate now, read back.
        written: Registers that changed, with value before and now.
        undo: File that takes it back; None where nothing changed.
    """

    joint: str
    model: str
    from_id: int
    from_baud: int
    to_id: int
    to_baud: int
    written: dict[str, tuple[int, int]]
    undo: str | None

    def to_json(self) -> dict[str, object]:
        """Plain values by name."""
        return asdict(self)

    def __str__(self) -> str:
        """One line for people."""
        where = f"{self.joint}: " if self.joint else ""
        now = f"{where}{self.model} is id {self.to_id} at {self.to_baud} baud"
        if not self.written:
            return f"{now} already; nothing was written"
        changes = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in self.written.items())
        return f"{now}, read back ({changes}); take it back with --undo {self.undo}"


def set_up(
    url: str,
    found: Found,
    *,
    wanted: dict[str, int] | None = None,
    reset: bool = False,
    joint: str = "",
    folder: Path | None = None,
) -> SetUp:
    """Reset a servo, or write registers that differ from what is wanted; read everything back.

    Args:
        url: Where it is, alone.
        found: The servo, from `find_alone`.
        wanted: Value by register; nothing but the reset if not given.
        reset: Whether to restore factory settings first.
        joint: Joint it is for.
        folder: Where the undo file goes; the usual place if not given.

    Raises:
        RefusedError: If it holds torque, or a value is out of range; nothing has been written.
        BusError: If a write cannot be read back.
    """
    undo: Path | None = None
    with LoneServo(url, found) as servo:
        before = servo.registers()
        changes = {name: value for name, value in (wanted or {}).items() if before.get(name) != value}
        for name, value in changes.items():
            servo.check(name, value)
        if changes or reset:
            undo = _save(found, before, folder)
        if reset:
            servo.reset()
        for name, value in sorted(changes.items(), key=lambda item: item[0] in PLACE):
            servo.set(name, value)
        after = servo.registers()
    return SetUp(
        joint=joint,
        model=found.model or str(found.model_number),
        from_id=found.actuator_id,
        from_baud=found.baud_rate,
        to_id=servo.actuator_id,
        to_baud=servo.baud_rate,
        written={name: (old, after[name]) for name, old in before.items() if after[name] != old},
        undo=str(undo) if undo else None,
    )


def baud_code(rates: tuple[int, ...], rate: int) -> int:
    """Value of the register that stands for a rate.

    Raises:
        RefusedError: If the protocol has no such rate.
    """
    if rate not in rates:
        raise RefusedError(f"baud rate {rate} does not exist here; there are {', '.join(map(str, rates))}")
    return rates.index(rate)


def take_back(url: str, found: Found, path: Path) -> SetUp:
    """Write back what an undo file holds.

    Args:
        url: Where the servo is, alone.
        found: The servo.
        path: The undo file.

    Raises:
        RefusedError: If the file is of another servo, or is none.
    """
    undo = load_undo(path)
    if (undo.protocol, undo.model_number) != (found.protocol, found.model_number):
        raise RefusedError(
            f"{path}: is of a model {undo.model_number} ({undo.protocol}), but a model {found.model_number} "
            f"({found.protocol}) is plugged in"
        )
    return set_up(url, found, wanted={kept.name: kept.value for kept in undo.registers}, folder=path.parent)


def _save(found: Found, registers: dict[str, int], folder: Path | None) -> Path:
    now = datetime.now(UTC)
    place = folder or home_folder() / "setup"
    undo = UndoFile(
        format_version=FORMAT_VERSION,
        created=now.isoformat(timespec="seconds"),
        protocol=found.protocol,
        model_number=found.model_number or 0,
        registers=tuple(KeptRegister(name=name, value=value) for name, value in registers.items()),
    )
    name = f"{now:%Y%m%d-%H%M%S-%f}-id{found.actuator_id}.json"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with (place / name).open("x", encoding="utf-8") as file:
            json.dump(asdict(undo), file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RefusedError(
            f"{place}: the undo file cannot be written ({error.strerror}); nothing was set up"
        ) from error
    return place / name


def load_undo(path: Path) -> UndoFile:
    """Read an undo file.

    Args:
        path: The file.

    Raises:
        RefusedError: If it is missing, not JSON, or does not fit.
    """
    table = load_json(path, "an undo file")
    undo = build(UndoFile, table, str(path))
    if undo.format_version != FORMAT_VERSION:
        raise RefusedError(f"{path}: format_version {undo.format_version}; this genba reads {FORMAT_VERSION}")
    return undo
