"""The catalogue of servo protocols: a file's name is its registration.

A protocol is one file here without a leading underscore, or an entry point of the group `genba.protocols`; either
holds (or names) a constant `FRAMING`.
"""

from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path

from ...robots.errors import RefusedError, UnknownNameError
from ..framing import Framing


def protocol_names() -> list[str]:
    """Names of all protocols, sorted."""
    here = {path.stem for path in Path(str(files(__package__))).glob("*.py") if not path.stem.startswith("_")}
    return sorted(here | {point.name for point in entry_points(group="genba.protocols")})


def load_protocol(name: str) -> Framing:
    """Load a protocol by catalogue name.

    Args:
        name: Name as `genba list protocols` prints it.

    Raises:
        UnknownNameError: If no protocol has that name.
        RefusedError: If its module holds no FRAMING.
    """
    if name not in protocol_names():
        raise UnknownNameError("protocol", name, protocol_names())
    if (Path(str(files(__package__))) / f"{name}.py").is_file():
        module = import_module(f".{name}", __package__)
        framing: Framing | None = getattr(module, "FRAMING", None)
    else:
        framing = next(iter(entry_points(group="genba.protocols", name=name))).load()
    if framing is None:
        raise RefusedError(f"protocol {name!r}: its module holds no constant FRAMING")
    return framing
