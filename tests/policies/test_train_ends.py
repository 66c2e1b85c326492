"""However a training ends - Ctrl-C, a signal, a kill, a full disk - it says so in one line and leaves nothing over."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genba.policies.crews import crew
from genba.policies.crews.crew import LocalCrew
from genba.policies.training.checkpoint import load_checkpoint
from genba.policies.training.collect import Collectors
from genba.robots.errors import RefusedError

# Rounds that are short and never end, so that a signal always finds one.
BRIEF = [
    text
    for key in ("demonstrations=8", "episodes=8", "first_updates=400", "updates=100", "rounds=999", "sure=999")
    for text in ("--set", f"imitation.{key}")
]
PATIENCE = 120.0
posix = pytest.mark.skipif(os.name != "posix", reason="signals to a process group are POSIX")

SMALL = """
import resource, sys
from genba.__main__ import main
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.exit(main(sys.argv[1:]))
"""


@posix
@pytest.mark.slow
def test_a_disk_that_fills_up_ends_a_training_in_one_line(tmp_path: Path) -> None:
    arguments = ["train", "TeachPoint", "--out", str(tmp_path / "run"), "--algo", "imitate", *BRIEF]
    done = subprocess.run(
        [sys.executable, "-c", SMALL, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "checkpoint.pt: cannot be written" in done.stderr
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt")["begun"] is False
    assert not list((tmp_path / "run").glob("*.partial"))


def _members(session: int) -> list[int]:
    """Living processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(stat.parent.name))
    return found


def _await(ready: Callable[[], bool], what: str) -> None:
    deadline = time.perf_counter() + PATIENCE
    while not ready():
        assert time.perf_counter() < deadline, what
        time.sleep(0.02)


def _stage(out: Path) -> int:
    """-2 before the demonstrations are in, then the rounds that were saved."""
    try:
        content = load_checkpoint(out / "checkpoint.pt")
    except RefusedError:
        return -3
    return int(content.get("round", -2))


def _start(out: Path) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-m", "genba", "train", "TeachPoint", "--out", str(out), "--algo", "imitate", *BRIEF]
    return subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@posix
def test_ctrl_c_while_workers_are_being_started_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew.forkserver, "ensure_running", lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        LocalCrew(1)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@posix
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="counts processes by /proc")
def test_ctrl_c_while_a_worker_starts_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = crew.ProcessPoolExecutor.submit

    def pressed(pool: Any, *args: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return honest(pool, *args)

    monkeypatch.setattr(crew.ProcessPoolExecutor, "submit", pressed)
    staff = LocalCrew(2)
    collectors = Collectors({"task": "TeachPoint", "robot": "so101"}, staff)
    with pytest.raises(KeyboardInterrupt):
        collectors.collect(range(2))
    workers = list(staff._pool._processes.values())  # type: ignore[union-attr]
    staff.close()
    assert len(workers) >= 1
    assert not any(worker.is_alive() for worker in workers)


@posix
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="counts processes by /proc")
@pytest.mark.parametrize(
    ("stage", "number"),
    [(-2, signal.SIGINT), (-1, signal.SIGTERM), (0, signal.SIGINT), (1, signal.SIGTERM)],
    ids=["demonstrations-SIGINT", "first fit-SIGTERM", "round-SIGINT", "round-SIGTERM"],
)
def test_a_signal_ends_a_training_in_one_line_without_orphans(tmp_path: Path, stage: int, number: int) -> None:
    out = tmp_path / "run"
    process = _start(out)
    _await(lambda: _stage(out) >= stage or process.poll() is not None, "no checkpoint")
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does, to the workers as well
    else:
        process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    said = [line for line in err.splitlines() if not line.startswith("train TeachPoint on")]
    assert len(said) == 1, err
    assert said[0].startswith("genba: interrupted; go on with: genba train TeachPoint")
    assert said[0].endswith("--resume")
    _await(lambda: not _members(process.pid), "orphans")
    assert _stage(out) >= stage
    assert not list(out.glob("*.partial"))


@posix
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="counts processes by /proc")
def test_workers_do_not_outlive_a_killed_training(tmp_path: Path) -> None:
    process = _start(tmp_path / "run")
    _await(lambda: _stage(tmp_path / "run") >= -1 or process.poll() is not None, "no checkpoint")
    assert len(_members(process.pid)) > 1
    process.kill()
    process.communicate(timeout=30)
    _await(lambda: not _members(process.pid), "orphans")
