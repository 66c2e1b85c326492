"""What can go wrong, by who must act: each error is a GenbaError, its builtin kin, and an exit code.

Exit codes of the command line: 0 ok, 1 task failed, 2 safety violated, 3 refused, 4 infrastructure.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class GenbaError(Exception):
    """Root of every error that genba raises on purpose; its text is one line fit for a technician."""

    exit_code = 4


class RefusedError(GenbaError, ValueError):
    """An input that does not fit: nothing has moved and nothing has been written."""

    exit_code = 3


class UnknownNameError(RefusedError, LookupError):
    """A name that no catalogue holds; the text lists what exists."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Say what was asked for and what exists.

        Args:
            kind: What sort of thing was looked up, such as "robot".
            name: The name that was asked for.
            known: The names that exist.
        """
        names = sorted(known)
        near = get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        super().__init__(f"no {kind} named {name!r}; there are: {', '.join(names) or 'none'}{hint}")


class SafetyError(GenbaError, RuntimeError):
    """A limit that protects people or the arm was reached; the arm has been told to stop."""

    exit_code = 2


class BusError(GenbaError, OSError):
    """The wire or a device on it does not answer as it must."""

    exit_code = 4


class LinkLostError(BusError):
    """The port is gone: unplugged, or the process behind it has ended."""


class DiskError(GenbaError, OSError):
    """A file could not be written after the work for it was done; what was there before is untouched."""

    exit_code = 4


class TaskFailedError(GenbaError, RuntimeError):
    """Everything worked and the task was not achieved."""

    exit_code = 1
