"""The catalogue of protocols: a file's name is its registration.

A protocol is one file here without a leading underscore. The servos of a bus speak one that holds a constant `FRAMING`;
a controller that takes commands speaks one that holds a constant `LANGUAGE`. Entry points of the groups
`genba.protocols` and `genba.languages` name such constants elsewhere.
"""

from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

from ...robots.errors import RefusedError, UnknownNameError
from ..framing import Framing
from ..language import Language


def protocol_names() -> list[str]:
    """Names of all servo protocols, sorted."""
    return _names("FRAMING", "genba.protocols")


def language_names() -> list[str]:
    """Names of all command languages, sorted."""
    return _names("LANGUAGE", "genba.languages")


def load_protocol(name: str) -> Framing:
    """Load a servo protocol by catalogue name.

    Args:
        name: Name as `genba list protocols` prints it.

    Raises:
        UnknownNameError: If no protocol has that name.
        RefusedError: If it is a command language.
    """
    framing: Framing | None = _find(name, "FRAMING", "genba.protocols")
    if framing is not None:
        return framing
    if _find(name, "LANGUAGE", "genba.languages") is not None:
        raise RefusedError(
            f"protocol {name!r} is the command language of a controller, not spoken by servos on a bus; "
            f"servo protocols: {', '.join(protocol_names())}"
        )
    raise UnknownNameError("protocol", name, protocol_names())


def load_language(name: str) -> Language:
    """Load a command language by catalogue name.

    Args:
        name: Name as `language_names` lists it.

    Raises:
        UnknownNameError: If no language has that name.
        RefusedError: If it is a servo protocol.
    """
    language: Language | None = _find(name, "LANGUAGE", "genba.languages")
    if language is not None:
        return language
    if _find(name, "FRAMING", "genba.protocols") is not None:
        raise RefusedError(
            f"protocol {name!r} is spoken by servos on a bus, it is no command language; "
            f"languages: {', '.join(language_names())}"
        )
    raise UnknownNameError("language", name, language_names())


def _module(name: str) -> ModuleType:
    return import_module(f".{name}", __package__)


def _files() -> list[str]:
    return [path.stem for path in Path(str(files(__package__))).glob("*.py") if not path.stem.startswith("_")]


def _names(constant: str, group: str) -> list[str]:
    here = {name for name in _files() if hasattr(_module(name), constant)}
    return sorted(here | {point.name for point in entry_points(group=group)})


def _find(name: str, constant: str, group: str) -> Any:
    """What a name stands for, without importing all the others; None if it is of another kind or unknown."""
    if name in _files():
        return getattr(_module(name), constant, None)
    point = next(iter(entry_points(group=group, name=name)), None)
    return point and point.load()
