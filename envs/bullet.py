"""PyBullet, imported without its chatter: it prints on the process's own stdout, where JSON is to go."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Swallow what C code prints on file descriptor 1 meanwhile, its stdio buffer included."""
    sys.stdout.flush()
    flush = ctypes.CDLL(None).fflush
    flush(None)
    kept = os.dup(1)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path
            os.dup2(nowhere.fileno(), 1)
            yield
            flush(None)
    finally:
        os.dup2(kept, 1)
        os.close(kept)


with quiet():
    import pybullet as bullet

__all__ = ["bullet", "quiet"]
