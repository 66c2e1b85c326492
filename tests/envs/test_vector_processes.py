"""The processes behind the vector environment: interrupted, killed or dropped, they end and leave nothing."""

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vector_judge import HERE, ON_LINUX, MakeVec, gone, same

from genba.envs import make_vec
from genba.robots.errors import RefusedError

pytestmark = ON_LINUX


def test_worker_has_no_torch_and_several_cells(vec: MakeVec) -> None:
    mine = vec("strange_cells:Strange-v0", 5, 2)
    pids = mine.env_method("pid")
    assert [pids.count(pid) for pid in sorted(set(pids))] == [3, 2]
    assert os.getpid() not in pids
    assert mine.env_method("heavy_modules") == [[]] * 5


def test_cells_step_while_the_caller_does_something_else(vec: MakeVec, tmp_path: Path) -> None:
    """The cell steps when its gate is opened, and the gate is opened after `step_async` has returned."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    mine = vec("strange_cells:Waiting-v0", 1, 1, gate=str(gate))
    mine.reset()
    mine.step_async(np.zeros((1, 2), np.float32))
    gate.write_bytes(b"open")
    assert mine.step_wait()[3][0]["step"] == 1


@pytest.mark.parametrize("then", ["reset", "close"])
def test_ctrl_c_while_waiting_is_raised_and_the_cells_are_whole_after_it(
    then: str, vec: MakeVec, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    mine = vec("strange_cells:Waiting-v0", 1, 1, gate=str(gate))
    mine.seed(6)
    first = mine.reset()
    pids = mine.env_method("pid")

    def press() -> None:
        """Once the cell waits for the gate; another one holds it shut until then."""
        with gate.open("wb") as held:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            pressed.wait()
            held.write(b"open")

    pressed = threading.Event()
    finger = threading.Thread(target=press)
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        mine.step(np.zeros((1, 2), np.float32))
    pressed.set()
    if then == "reset":
        mine.seed(6)
        same(mine.reset(), first)
        assert mine.env_method("pid") == pids
    mine.close()
    finger.join()
    assert gone(pids)


def test_ctrl_c_at_any_moment_leaves_the_cells_whole(vec: MakeVec) -> None:
    """Also in the middle of a message that goes in pieces, and before or after the one byte that wakes."""
    mine, actions = vec("strange_cells:Strange-v0", 4, 2, seed=1), np.ones((4, 2), np.float32)
    wanted = mine.reset(), mine.step(actions)[:3]

    def go_on_for_ever(press_after: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, press_after)
        while True:
            mine.step(actions)
            mine.env_method("echo", bytes(2_500_000), indices=0)

    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    gc.collect()
    gc.disable()  # Python drops what is raised while it collects a cell that another test has left
    try:
        for press_after in np.random.default_rng(0).uniform(1e-5, 4e-3, 150):
            with pytest.raises(KeyboardInterrupt):
                go_on_for_ever(press_after)
            mine.seed(1)
            same((mine.reset(), mine.step(actions)[:3]), wanted)
    finally:
        gc.enable()
        signal.signal(signal.SIGALRM, before)


def test_vector_that_nobody_holds_ends_its_workers(vec: MakeVec) -> None:
    mine = make_vec("strange_cells:Strange-v0", 2, 2)
    pids = mine.env_method("pid")
    del mine
    gc.collect()
    assert gone(pids)


def left() -> tuple[set[Path], int]:
    """Named pieces of shared memory, and how many descriptors are open."""
    return set(Path("/dev/shm").iterdir()), len(list(Path("/proc/self/fd").iterdir()))


def test_nothing_is_left_of_a_closed_vector(vec: MakeVec) -> None:
    gc.collect()
    before = left()
    mine = vec("strange_cells:Strange-v0", 4, 2)
    mine.reset()
    pids = mine.env_method("pid")
    assert left()[0] == before[0]
    mine.close()
    assert gone(pids)
    assert left() == before
    with suppress(RefusedError):
        make_vec("TeachPoint", 2, 1, reward="money")
    gc.collect()
    assert left() == before


# A script as people write it: workers must not run it again, so it needs no guard.
PARENT = """
import sys, numpy as np
sys.path.insert(0, {here!r})
from genba.envs import make_vec

vec = make_vec("strange_cells:Strange-v0", 4, 2, seed=1)
vec.reset()
actions = np.zeros((4, 2), np.float32)
pids = vec.env_method("pid")
try:
    print(*pids, flush=True)  # whoever reads it may press Ctrl-C at once
    while True:
        vec.step(actions)
except KeyboardInterrupt:
    print(*vec.env_method("pid"), flush=True)
    vec.reset()
    vec.step(actions)
    {end}
    print("ended", flush=True)
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Callable[[str], tuple["subprocess.Popen[str]", list[int]]]]:
    """A program in a group of its own that steps for ever; it and the pids of its workers."""
    started: list[subprocess.Popen[str]] = []

    def start(end: str = "pass") -> tuple["subprocess.Popen[str]", list[int]]:
        script = tmp_path / "program.py"
        script.write_text(PARENT.format(here=str(HERE), end=end))
        program = subprocess.Popen(
            [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
        )
        started.append(program)
        assert program.stdout is not None
        return program, [int(pid) for pid in program.stdout.readline().split()]

    yield start
    for program in started:
        program.kill()
        program.communicate()


def test_workers_end_when_their_parent_is_killed(parent: Any) -> None:
    program, pids = parent()
    before = left()[0]
    program.kill()
    program.wait()
    assert len(set(pids)) == 2
    assert gone(pids)
    assert left()[0] <= before


@pytest.mark.parametrize("end", ["vec.close()", "pass", "del vec"])
def test_ctrl_c_reaches_the_parent_alone(end: str, parent: Any) -> None:
    """As a terminal sends it: to every process of the group."""
    program, pids = parent(end)
    os.killpg(program.pid, signal.SIGINT)
    out, err = program.communicate(timeout=120)
    assert err == ""
    assert [int(pid) for pid in out.split()[:-1]] == pids
    assert out.split()[-1] == "ended"
    assert program.returncode == 0
    assert gone(pids)


def test_ctrl_c_while_workers_start_is_not_lost_and_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from genba.envs.vector import vec_env as vector

    honest, started = vector.Worker, []

    def pressed(*args: Any) -> Any:
        if started:
            signal.raise_signal(signal.SIGINT)
        worker = honest(*args)
        started.append(worker._process.pid)
        return worker

    monkeypatch.setattr(vector, "Worker", pressed)
    with pytest.raises(KeyboardInterrupt):
        make_vec("TeachPoint", 2, 2)
    assert len(started) == 1
    assert gone(started)
