"""A twin in a process of its own, for as long as a `with` block lasts."""

import os
import queue
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Thread
from types import TracebackType
from typing import IO, Self

from ...robots.errors import BusError
from .serve import PARENT

STOP_TIMEOUT = 5.0  # s a twin may take to end before it is killed


class TwinProcess:
    """Starts a twin, learns where it listens, and ends it.

    Attributes:
        port: URL or path to give to `open_port`.
        sense: URL to give to `RemoteSense`, where the twin has senses.
        process: The process.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        command: Sequence[str] = ("-m", "genba", "twin"),
        senses: bool = False,
        timeout: float = 60.0,
    ) -> None:
        """Remember how to start it; `with` does.

        Args:
            arguments: What follows `genba twin`, such as `("--robot", "so101", "--serve", "pty")`.
            command: What the interpreter is told before them.
            senses: Whether to wait for a second line that names a sense.
            timeout: Patience for the lines, s.
        """
        self._command = [sys.executable, *command, *arguments]
        self._lines = 2 if senses else 1
        self._timeout = timeout
        self.port = ""
        self.sense: str | None = None

    def __enter__(self) -> Self:
        """Start it and wait until it listens.

        Raises:
            BusError: If it ends or says nothing in time; the text holds what it said.
        """
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own arguments
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | ({PARENT: str(os.getpid())} if os.name == "posix" else {}),
        )
        said: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        complaints: deque[str] = deque(maxlen=5)
        self._readers = [
            Thread(target=_listen, args=(self.process.stdout, said.put), daemon=True),
            Thread(
                target=_listen,
                args=(self.process.stderr, lambda t: complaints.append(t) if t else None),
                daemon=True,
            ),
        ]
        for reader in self._readers:
            reader.start()
        addresses: list[str] = []
        deadline = time.monotonic() + self._timeout
        while len(addresses) < self._lines:
            try:
                line = said.get(timeout=max(deadline - time.monotonic(), 0.0))
            except queue.Empty:
                line = None
            if line is None:
                self._end(kill=True)
                raise BusError(f"the twin did not start: {' '.join(complaints) or 'no word from it'}")
            last = (line.split() or [""])[-1]
            if "://" in last or last.startswith("/"):  # libraries of a plant may print, too
                addresses.append(last)
        self.port = addresses[0]
        if self._lines == 2:
            self.sense = addresses[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it; kill it if it will not."""
        self._end()

    def _end(self, *, kill: bool = False) -> None:
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def _listen(stream: IO[str] | None, tell: Callable[[str | None], None]) -> None:
    """Pass on each line of a stream, and None at its end, so that its pipe never fills up."""
    for line in stream or ():
        tell(line.strip())
    tell(None)
