"""An error in a process with cells: told there, and raised again where the cells were asked."""

import traceback
from typing import Any

from ...robots.errors import GenbaError

Told = tuple[type[Exception], str, str]  # kind, text and trace


def told(error: Exception) -> Told:
    """What can be sent of an error: its nearest kind that every process knows, its text and its trace."""
    kind = next(c for c in type(error).__mro__ if issubclass(c, GenbaError) or c.__module__ == "builtins")
    return kind, str(error), traceback.format_exc()


def raised(what: Told, where: str) -> GenbaError:
    """The error to raise for one that was told: of its kind and a GenbaError, too, with the trace as a note.

    Args:
        what: As told.
        where: The process, in words.
    """
    kind, text, trace = what
    both: Any = kind
    if kind is Exception:
        both = GenbaError
    elif not issubclass(kind, GenbaError):
        both = type(kind.__name__, (GenbaError, kind), {})
    found: GenbaError = both.__new__(both, text)
    found.args = (text,)
    found.add_note(f"in {where}:\n{trace}")
    return found
