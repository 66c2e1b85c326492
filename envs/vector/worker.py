"""A process with several cells, seen from both ends: shared memory, a mailbox and two bells.

    who asks                                            the worker
    actions -> block, request -> mailbox, asked += 1    sleeps in read() on its bell
    rings  -------------------------------------------> wakes and steps its cells
    sleeps in read(), or learns meanwhile               observations, rewards, dones -> block
                                                        infos -> mailbox, answered = asked
    wakes  <------------------------------------------- rings back

The counters say what has been asked and answered; a bell is a byte in a pipe that only wakes. A byte too many, or one
lost to Ctrl-C, therefore does no harm, and when either process is gone the other reads the end of the pipe at once.
What does not fit into a mailbox goes in pieces. The memory has no name, so nobody's death leaves any behind.
"""

import mmap
import os
import subprocess
import sys
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np

from ...robots.errors import GenbaError
from .cells import Block, Cells, Packer, Space, row
from .errors import raised, told

MAILBOX = 1 << 20  # bytes; what is never written is never taken from the machine
HEADER = 64  # bytes of a mailbox before its body
ASKED, ANSWERED, WORD, LENGTH, OFFSET, FAILED = range(6)  # the header, int64 each
STEP, CALL, PART, MORE = range(4)  # words


class Memory:
    """Memory that goes with its last user; a worker inherits the descriptor."""

    def __init__(self, descriptor: int | None = None) -> None:
        """Make some, or take a descriptor over."""
        self.descriptor = os.memfd_create("genba") if descriptor is None else descriptor

    def map(self, offset: int, size: int) -> mmap.mmap:
        """Look at a part of it, which is made longer where it ends too early.

        Args:
            offset: A multiple of the page size, bytes.
            size: Bytes.
        """
        if os.fstat(self.descriptor).st_size < offset + size:
            os.ftruncate(self.descriptor, offset + size)
        return mmap.mmap(self.descriptor, size, offset=offset)

    def mailbox(self, number: int) -> tuple[memoryview, memoryview]:
        """Header and body of a worker's mailbox."""
        view = memoryview(self.map(number * MAILBOX, MAILBOX))
        return view[:HEADER].cast("q"), view[HEADER:]

    def block(self, workers: int, n: int, observation: Space, action: Space) -> Block:
        """The rows of all cells, which lie behind the mailboxes."""
        each = row(observation, action)
        return np.ndarray(n, each, self.map(workers * MAILBOX, n * each.itemsize))

    def close(self) -> None:
        """Close the descriptor; what is mapped stays."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1


class SharedCells(Cells):
    """Cells of a worker, on rows of memory that others see."""

    def __init__(self, memory: Memory) -> None:
        """Prepare; `memory` is where the block of all cells will be."""
        super().__init__()
        self.memory = memory

    def share(self, workers: int, n: int, first: int) -> None:
        """Work on the rows from `first` in the block of n cells."""
        env = self.envs[0]
        block = self.memory.block(workers, n, env.observation_space, env.action_space)
        self.attach(block[first : first + len(self.envs)])
        self.memory.close()


class Worker:
    """A process with cells, seen by who asks; one thing is asked at a time."""

    def __init__(self, memory: Memory, number: int, count: int) -> None:
        """Start it.

        A program of its own rather than a child of `multiprocessing`, which would import the caller's script again,
        torch and all, in every worker. Its own process group keeps it out of Ctrl-C's way.

        Args:
            memory: To share.
            number: Of this worker, and of its mailbox.
            count: How many cells it will have.
        """
        self.count = count
        self._number = number
        self._pack = Packer()
        self._header, self._body = memory.mailbox(number)
        bell, self._bell = Pipe(duplex=False)
        self._back, back = Pipe(duplex=False)
        inherited = memory.descriptor, bell.fileno(), back.fileno()
        with bell, back:  # closed here, else the end of the worker would not be the end of the pipe
            self._process = subprocess.Popen(  # noqa: S603 - this very file
                [sys.executable, "-P", "-m", __name__, *map(str, (number, *inherited))],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
                stdin=subprocess.DEVNULL,
                pass_fds=inherited,
                process_group=0,
            )

    def ask(self, name: str, *args: Any) -> None:
        """Ask for something; `answer` waits for it.

        Whatever was asked before and never waited for, as after Ctrl-C, is waited for first and forgotten.
        """
        request = b"" if name == "step" and not args else self._pack((name, args))
        if self._header[ASKED] != self._header[ANSWERED]:
            self._ring()
            self._wait()
        sent, room = 0, len(self._body)
        while len(request) - sent > room:
            self._put(PART, request[sent : sent + room], sent)
            self._wait()
            sent += room
        self._put(CALL if request else STEP, request[sent:], sent)

    def answer(self) -> Any:
        """Wait, asleep, for what was asked.

        Raises:
            GenbaError: Of the kind and with the text of what went wrong in the worker, or because it ended.
        """
        self._wait()
        size, failed, room = self._header[LENGTH], self._header[FAILED], len(self._body)
        content: memoryview | bytearray = self._body[: min(size, room)]
        if size > room:
            content = bytearray(content)
            while len(content) < size:
                self._put(MORE, b"", len(content))
                self._wait()
                content += self._body[: min(size - len(content), room)]
        found = ForkingPickler.loads(content)
        if failed:
            raise raised(found, f"worker {self._number}")
        return found

    def _put(self, word: int, piece: bytes, offset: int) -> None:
        header = self._header
        self._body[: len(piece)] = piece
        header[WORD], header[LENGTH], header[OFFSET] = word, len(piece), offset
        header[ASKED] += 1
        self._ring()

    def _ring(self) -> None:
        try:
            os.write(self._bell.fileno(), b".")
        except BrokenPipeError:
            raise self._ended() from None

    def _wait(self) -> None:
        header = self._header
        while header[ANSWERED] != header[ASKED]:
            if not os.read(self._back.fileno(), 64):
                raise self._ended()

    def _ended(self) -> GenbaError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        code = self._process.returncode
        return GenbaError(f"worker {self._number} has ended with exit code {code}: close these cells and make new ones")

    def leave(self) -> None:
        """Let it end once it has done what it was asked."""
        self._bell.close()
        self._back.close()

    def close(self) -> None:
        """End it and wait until it has ended."""
        self.leave()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._header = self._body = memoryview(b"")  # the memory goes with its last view


def serve(number: int, memory: int, bell: int, back: int) -> None:
    """Answer until the bell's other end is closed: the whole life of a worker.

    Args:
        number: Of this worker, and of its mailbox.
        memory: Descriptor of the memory.
        bell: Descriptor to read from; rings when something is asked.
        back: Descriptor to write to when it is answered.
    """
    cells = SharedCells(Memory(memory))
    header, body = cells.memory.mailbox(number)
    request, answer, pack = bytearray(), b"", Packer()
    with suppress(BrokenPipeError):
        while _asked(header, bell):
            word, offset = header[WORD], header[OFFSET]
            if word in (CALL, PART):
                request[offset:] = body[: header[LENGTH]]
            if word in (STEP, CALL):
                answer, header[FAILED] = _answer(cells, request if word == CALL else None, pack)
                header[LENGTH], offset = len(answer), 0
            piece = answer[offset : offset + len(body)]
            body[: len(piece)] = piece
            header[ANSWERED] = header[ASKED]
            os.write(back, b".")
    cells.close()


def _asked(header: memoryview, bell: int) -> bool:
    """Sleep until something is asked; False when nobody is left to ask."""
    while header[ANSWERED] == header[ASKED]:
        if not os.read(bell, 64):
            return False
    return True


def _answer(cells: Cells, request: bytearray | None, pack: Packer) -> tuple[bytes, bool]:
    """Do what was asked, by default a step; an error is an answer, too."""
    try:
        name, args = ForkingPickler.loads(request) if request else ("step", ())
        return pack(getattr(cells, name)(*args)), False
    except Exception as error:
        return pack(told(error)), True


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:]))
