"""A progress bar on stderr where a person looks, a line now and then where a log is kept, nothing where neither is."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[str], None]

LINE_EVERY_S = 10.0


@contextmanager
def progress_bar(total: int, label: str, *, quiet: bool = False) -> Iterator[Advance]:
    """Show how far a piece of work is.

    Args:
        total: Steps in all.
        label: What is being done.
        quiet: Show nothing.

    Yields:
        A function to call after each step with a few words on how it stands.
    """
    if quiet:
        yield lambda words: None
        return
    bar = _tqdm(total, label) if sys.stderr.isatty() else None
    if bar is None:
        yield _plain(total, label)
        return
    advance, close = bar
    try:
        yield advance
    finally:
        close()


def _tqdm(total: int, label: str) -> tuple[Advance, Callable[[], None]] | None:
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    bar = tqdm(total=total, desc=label, leave=True, dynamic_ncols=True)

    def advance(words: str) -> None:
        bar.set_postfix_str(words, refresh=False)
        bar.update()

    return advance, bar.close


def _plain(total: int, label: str) -> Advance:
    started = said = time.monotonic()
    done = 0

    def advance(words: str) -> None:
        nonlocal done, said
        done += 1
        now = time.monotonic()
        if done == total or now - said >= LINE_EVERY_S:
            said = now
            sys.stderr.write(f"{label}: {done}/{total} in {now - started:.0f} s, {words}\n")
            sys.stderr.flush()

    return advance
