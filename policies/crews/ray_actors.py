"""What runs on the machines of a cluster: an actor that does jobs, and one that keeps cells.

Nothing here imports torch or stable-baselines3: an actor stays small and starts fast. What is sent is packed by hand,
because arrays that Ray unpacks lie in memory that nobody may write to.
"""

import platform
from collections.abc import Callable
from contextlib import suppress

# What multiprocessing itself sends between the processes of one program; nothing here reads a file.
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

from ... import __version__
from ...envs.vector.cells import Block, Cells, Packer, row
from ...envs.vector.errors import told
from .ray_line import Door, Way

SHARE = 0.5  # of a processor, for an actor of either kind: those with cells wait while those with jobs work
TRIES = 4  # actors that may be lost over one thing to do
PATIENCE_S = 60.0  # until a cluster gives a processor


class Hand:
    """Does jobs."""

    def greet(self) -> tuple[str, str]:
        """Version of genba, and name of the machine."""
        return __version__, platform.node()

    def work(self, function: Callable[[Any], Any], kind: type | None, shared: bytes, own: bytes) -> bytes:
        """Put a job together, do it, and pack what comes out.

        Args:
            function: What to do.
            kind: Class of the job, or None where `own` is all of it.
            shared: Fields that it has in common with others.
            own: Its other fields.
        """
        mine = ForkingPickler.loads(own)
        job = mine if kind is None else kind(**ForkingPickler.loads(shared), **mine)
        return packed(function(job))


class Stable:
    """Keeps cells, and the rows that they fill."""

    def __init__(self) -> None:
        """There are no cells before "build" is asked."""
        self._cells = Cells()
        self._pack = Packer()
        self._block: Block = np.zeros(0, [("done", np.bool_)])

    def work(self, request: bytes) -> bytes:
        """Do what is asked; an error is an answer, too.

        Returns:
            Packed: whether it went wrong, what `Cells` says or what is told of the error, and the rows as they are now.
        """
        try:
            name, args = ForkingPickler.loads(request)
            said = getattr(self._cells, name)(*args)
            if name == "build":
                self._block = np.zeros(len(self._cells.envs), row(*said[:2]))
                self._cells.attach(self._block)
            return self._pack((False, said, self._block.tobytes()))
        except Exception as error:
            return self._pack((True, told(error), b""))

    def door(self) -> Way:
        """Make ready for a connection; `serve` takes it."""
        self._door = Door()
        return self._door.way

    def serve(self, patience: float) -> None:
        """Work for who comes by the connection until it ends, or give up when nobody comes for so many seconds."""
        pipe = self._door.wait(patience)
        if pipe is None:
            return
        with pipe, suppress(EOFError, OSError):
            while True:
                pipe.send_bytes(self.work(pipe.recv_bytes()))


def packed(thing: Any) -> bytes:
    """Bytes for `ForkingPickler.loads`."""
    return bytes(ForkingPickler.dumps(thing, 5))


def hire(kind: type) -> Any:
    """Start an actor on the machine with the most to spare; it is not started again when it is lost."""
    import ray

    return ray.remote(kind).options(num_cpus=SHARE, max_restarts=0, scheduling_strategy="SPREAD").remote()
