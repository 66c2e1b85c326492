"""A twin in a process of its own, for as long as a `with` block lasts."""

import subprocess
import sys
from collections.abc import Sequence
from threading import Thread
from types import TracebackType
from typing import Self

from ...robots.errors import BusError

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
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        lines: list[str] = []

        def listen() -> None:
            if self.process.stdout is not None:
                lines.extend(self.process.stdout.readline() for _ in range(self._lines))

        reader = Thread(target=listen, daemon=True)
        reader.start()
        reader.join(self._timeout)
        if len(lines) < self._lines or not all(lines):
            self.process.kill()
            _, complaint = self.process.communicate()
            raise BusError(f"the twin did not start: {complaint.strip() or 'no word from it'}")
        self.port = lines[0].split()[-1]
        if self._lines == 2:
            self.sense = lines[1].split()[-1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it; kill it if it will not."""
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
