"""Read a TOML table into a frozen dataclass and refuse whatever does not belong: unknown keys, NaN, wrong types."""

import dataclasses
import json
import math
import tomllib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import RefusedError

T = TypeVar("T")

MAX_TOML_BYTES = 1_000_000
MAX_JSON_BYTES = 100_000
LARGEST = 2**63  # no count, id or length of a robot needs more, and a float holds it


def load_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: The file.

    Raises:
        RefusedError: If the file is missing, too large, nested too deeply, not UTF-8 or not TOML; the text names
            file and line.
    """
    try:
        if path.stat().st_size > MAX_TOML_BYTES:
            raise RefusedError(f"{path}: larger than {MAX_TOML_BYTES} bytes, not a description")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RefusedError(f"{path}: cannot be read ({error.strerror})") from error
    except RecursionError as error:
        raise RefusedError(f"{path}: tables or lists nested too deeply; a description needs three levels") from error
    except ValueError as error:  # not TOML, not UTF-8, or an integer with more digits than Python converts
        raise RefusedError(f"{path}: not valid TOML: {error}") from error


def load_json(path: Path, what: str, *, missing: str = "cannot be read", cure: str = "") -> Any:
    """Read a small JSON file, all of whose numbers are finite.

    Args:
        path: The file.
        what: What it should be, with its article, for the error text.
        missing: What to say where it cannot be read.
        cure: What to do then.

    Raises:
        RefusedError: If the file is missing, too large or not such JSON; the text names the file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise RefusedError(f"{path}: {missing} ({error.strerror})" + (f"; {cure}" if cure else "")) from error
    if len(content) > MAX_JSON_BYTES:
        raise RefusedError(f"{path}: larger than {MAX_JSON_BYTES} bytes, not {what}")
    try:
        return json.loads(content.decode("utf-8"), parse_constant=_not_finite)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"{path}: not valid JSON: {error}") from error


def _not_finite(text: str) -> float:
    raise ValueError(f"the number {text} is not finite")


def build(kind: type[T], table: object, where: str) -> T:
    """Turn a parsed table into a dataclass instance, field by field.

    Args:
        kind: A dataclass whose annotations use str, int, float, bool, tuples, optional and nested dataclasses.
        table: What the parser returned.
        where: File and table, for the error text.

    Raises:
        RefusedError: If a key is unknown or missing, or a value has the wrong type or is not finite.
    """
    if not isinstance(table, Mapping):
        raise RefusedError(f"{where}: expected a table, found {type(table).__name__}")
    hints = get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            raise RefusedError(f"{where}: unknown key {_short(key)}; allowed: {', '.join(sorted(fields))}")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _convert(hints[name], table[name], f"{where}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise RefusedError(f"{where}: key {name!r} is missing")
    return kind(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        inner = [h for h in get_args(hint) if h is not type(None)]
        return _convert(inner[0], value, where)
    if origin is tuple:
        args = get_args(hint)
        if not isinstance(value, list):
            raise RefusedError(f"{where}: expected a list, found {_short(value)}")
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_convert(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
        if len(args) != len(value):
            raise RefusedError(f"{where}: expected {len(args)} values, found {len(value)}")
        return tuple(_convert(a, item, f"{where}[{i}]") for i, (a, item) in enumerate(zip(args, value, strict=True)))
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where)  # type: ignore[arg-type]
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not _fits(value):
            raise RefusedError(f"{where}: expected a finite number, found {_short(value)}")
        return float(value)
    if hint is int and (isinstance(value, bool) or not isinstance(value, int) or not _fits(value)):
        raise RefusedError(f"{where}: expected a whole number, found {_short(value)}")
    if hint in (str, bool) and not isinstance(value, hint):
        raise RefusedError(f"{where}: expected {hint.__name__}, found {_short(value)}")
    return value


def _fits(value: float) -> bool:
    """Whether a number can be a float; an integer of 400 digits cannot."""
    return -LARGEST < value < LARGEST if isinstance(value, int) else math.isfinite(value)


def _short(value: object) -> str:
    """A value as one line of an error text."""
    if isinstance(value, int) and not _fits(value):
        return f"a whole number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
