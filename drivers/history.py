"""Keep what a new calibration replaces: dated, in a folder beside it, never overwritten."""

from datetime import UTC, datetime
from pathlib import Path

from ..robots.errors import RefusedError
from ..robots.files import check_target

FOLDER = "history"


def keep_old(path: Path) -> Path | None:
    """Copy a file that is about to be replaced, and see that its folder takes files, before anything else is changed.

    Args:
        path: The file.

    Returns:
        The copy; None where there was no file.

    Raises:
        RefusedError: If the copy, or the file itself, cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        check_target(path)
        if not path.is_file():
            return None
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        copy = path.parent / FOLDER / f"{path.stem}-{written:%Y%m%d-%H%M%S-%f}{path.suffix}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    except OSError as error:
        raise RefusedError(f"{path}: cannot be written ({error.strerror}); name a file in another folder") from error
    return copy
