"""A crew that is let go leaves nothing behind, whatever its workers were doing."""

import threading
import time
from contextlib import closing

import pytest

from genba.policies.crews.crew import LocalCrew, postponed


def test_a_crew_can_be_let_go_in_the_middle_of_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool closes its own pipe when workers go; closing it beside the pool failed in one of the two."""
    failed: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: failed.append(args.exc_value))
    workers = []
    for bytes_each in (1, 1 << 20) * 4:  # the second does not fit into the pipe to the workers
        with closing(LocalCrew(1)) as crew:
            crew.run(len, [b""])
            pool = crew._pool
            assert pool is not None
            with postponed():
                for _ in range(3):
                    pool.submit(time.sleep, 60)
                    pool.submit(len, bytes(bytes_each))
            workers += list((pool._processes or {}).values())
            manager = pool._executor_manager_thread
        if manager is not None:
            manager.join(10)
            assert not manager.is_alive()
    assert failed == []
    assert not any(worker.is_alive() for worker in workers)
