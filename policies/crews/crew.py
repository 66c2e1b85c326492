"""Who runs the episodes: this process, worker processes, or actors on other machines (`ray_crew.py`).

A crew runs a function once per job and gives the results in the order of the jobs. What comes out must depend on the
job alone; then it does not matter who ran it, or how often it was begun.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import forkserver, get_context, parent_process, resource_tracker
from multiprocessing.connection import wait
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ...robots.errors import GenbaError

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

J = TypeVar("J")
R = TypeVar("R")


class CrewError(GenbaError):
    """A worker has died."""

    exit_code = 4


class Crew(Protocol):
    """Somebody who runs jobs."""

    @property
    def size(self) -> int:
        """How many jobs are run at the same time; 0 where this process runs them itself."""

    def run(
        self, function: Callable[[J], R], jobs: Sequence[J], on_result: Callable[[R], None] | None = None
    ) -> list[R]:
        """Run a function of a module once per job.

        Args:
            function: Its result depends on the job alone.
            jobs: What to do; sent as a pickle.
            on_result: Called with each result as it comes.

        Returns:
            Results in the order of the jobs.

        Raises:
            CrewError: If a worker dies and nobody can take its place.
        """

    def cells(self, task: str, n: int, options: Mapping[str, Any]) -> "VecEnv":
        """Cells side by side for a learner in this process; whoever holds them, the same seeds give the same episodes.

        Args:
            task: Task name.
            n: How many.
            options: Keyword arguments of `CellEnv`.
        """

    def close(self) -> None:
        """Let everybody go; what is under way is dropped."""


class LocalCrew:
    """Processes on this machine, or none: then everything runs here."""

    def __init__(self, workers: int | None = None) -> None:
        """Prepare workers; they start when there is something to do.

        Args:
            workers: Processes beside this one; one per processor if not given, 0 to run everything in this process.
        """
        self.size = (os.cpu_count() or 1) if workers is None else workers
        self._pool: ProcessPoolExecutor | None = None
        if self.size:
            with postponed():
                _start_server()
            self._pool = ProcessPoolExecutor(self.size, mp_context=get_context("forkserver"), initializer=_serve)

    def run(
        self, function: Callable[[J], R], jobs: Sequence[J], on_result: Callable[[R], None] | None = None
    ) -> list[R]:
        """See `Crew.run`."""
        if self._pool is None:
            results = []
            for job in jobs:
                results.append(function(job))
                if on_result:
                    on_result(results[-1])
            return results
        # Interrupted in the middle of a start, the pool would not know its own worker, which nobody then ends.
        with postponed():
            futures = [self._pool.submit(function, job) for job in jobs]
        try:
            if on_result:
                for future in as_completed(futures):
                    on_result(future.result())
            return [future.result() for future in futures]
        except BrokenProcessPool as error:
            raise CrewError("a worker process was killed, perhaps for want of memory: use fewer workers") from error

    def cells(self, task: str, n: int, options: Mapping[str, Any]) -> "VecEnv":
        """See `Crew.cells`; one of the processes has to be left to the learner."""
        from ...envs import make_vec

        return make_vec(task, n, min(max(self.size - 1, 0), n), **options)

    def close(self) -> None:
        """Stop the workers."""
        if self._pool:
            # Nothing waits for episodes that nobody will see: what they would have given is not kept anyway.
            workers = list((self._pool._processes or {}).values())
            jobs = getattr(self._pool, "_call_queue", None)
            self._pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.join()
            if jobs is not None and sys.version_info < (3, 11, 5):
                # A job half written to workers that are gone would hold up the end of this process for ever
                # (python/cpython#94777). Later versions close it themselves, and closing it twice is an error.
                jobs._reader.close()


@contextmanager
def postponed() -> Iterator[None]:
    """Let Ctrl-C and a polite kill wait until the end of the block: a worker half started belongs to nobody.

    Blocking the signals would not do, because any thread may take them; ignoring them would lose them.
    """
    if current_thread() is not main_thread():  # where no handler runs
        yield
        return
    came: list[int] = []
    before = {n: signal.signal(n, lambda number, frame: came.append(number)) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def _start_server() -> None:
    """Start the process that forks workers so that Ctrl-C reaches neither it nor them from their first instruction.

    Pressed while a worker starts, it would print a traceback. A blocked signal is inherited as blocked.
    """
    resource_tracker.ensure_running()  # blocks and unblocks by itself
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve() -> None:
    """Make a worker of this process: Ctrl-C is its parent's business, and it does not outlive its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = parent_process()
    if parent is not None:
        Thread(target=_leave_with, args=(parent.sentinel,), daemon=True).start()


def _leave_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
