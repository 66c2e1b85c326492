"""Files that are written whole or not at all, and refused beforehand where they never could be."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import DiskError, GenbaError, RefusedError


def check_target(path: Path) -> None:
    """Refuse, before any work, a file that could not be written after it.

    Args:
        path: The file.

    Raises:
        RefusedError: If its folder takes no files, or something that is no file has its name.
    """
    _check_kind(path)
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise RefusedError(f"{path}: cannot be written ({error.strerror}); name a file in another folder") from error


@contextmanager
def whole(path: Path, *, folders: bool = False) -> Iterator[Path]:
    """Give a draft to write, which takes the file's place when all has gone well and leaves nothing when not.

    Args:
        path: The file.
        folders: Make the folders in which it lies.

    Yields:
        Path of the draft, in the same folder.

    Raises:
        RefusedError: If something that is no file has its name.
        DiskError: If the disk does not take it; what was there before is untouched.
    """
    _check_kind(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if folders:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        sync(draft)
        draft.replace(path)
    except BaseException as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        if not isinstance(error, OSError) or isinstance(error, GenbaError):
            raise
        cure = "free some space, or name a file in another folder"
        raise DiskError(f"{path}: cannot be written ({error.strerror or error}); {cure}") from error


def sync(path: Path) -> None:
    """Wait until the disk has what is in a file."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _check_kind(path: Path) -> None:
    if path.is_dir():
        raise RefusedError(f"{path}: is a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise RefusedError(f"{path}: is a device or a pipe; name a file")
