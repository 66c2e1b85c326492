"""A bar on stderr while a person waits; nothing where nobody looks, so that logs and --json stay clean."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WIDTH = 30  # characters

Advance = Callable[[str], None]


@contextmanager
def bar(total: int, label: str) -> Iterator[Advance]:
    """Show how far a piece of work is, on one line that is wiped at the end.

    Args:
        total: Steps in all.
        label: What is being done.

    Yields:
        A function to call after each step with a few words on how it stands.
    """
    if not sys.stderr.isatty():
        yield lambda words: None
        return
    done = 0

    def advance(words: str) -> None:
        nonlocal done
        done += 1
        full = min(WIDTH, WIDTH * done // max(total, 1))
        sys.stderr.write(f"\r\x1b[K{label} [{'#' * full}{'.' * (WIDTH - full)}] {words}")
        sys.stderr.flush()

    try:
        yield advance
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
