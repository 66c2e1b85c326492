"""What can happen to an arm in mid-motion: a key, a signal, a killed process, a pulled cable, a sense that goes blind.

Runs are commands in processes of their own; a witness inside the twin tells where the joints truly are.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import numpy as np
import pytest

from genba.__main__ import main
from genba.drivers.senses import SenseServer
from genba.drivers.virtual.process import TwinProcess

pytestmark = [
    pytest.mark.slow,
    pytest.mark.realtime,
    pytest.mark.skipif(not hasattr(os, "openpty"), reason="pseudo terminals and signals are POSIX"),
]
MAX_TRAVEL = 0.05  # rad that any joint may travel after its host has died
PATIENCE = 60.0
WITNESS = Path(__file__).parent / "witness.py"
RUNAWAY = Path(__file__).parent / "drivers" / "runaway.py"
TOP_SPEED = 0.6  # rad/s of every joint of the SO-101


class Witness:
    """What the log of a watched twin says; see `witness.py`."""

    def __init__(self, path: Path) -> None:
        self.rows = np.memmap(path, np.float64, "r").reshape(-1, 7)

    def __len__(self) -> int:
        return int(self.rows[0, 0])

    def since(self, moment: float) -> np.ndarray:
        """Rows from the last one before a moment on."""
        rows = self.rows[1 : 1 + len(self)]
        return np.array(rows[max(int(np.searchsorted(rows[:, 0], moment)) - 1, 0) :])

    def travel(self, moment: float) -> np.ndarray:
        """Largest distance of each joint from where it was at a moment, rad."""
        rows = self.since(moment)[:, 1:]
        return np.abs(rows - rows[0]).max(axis=0)

    def await_motion(self, count: int, speed: float = 0.25) -> None:
        """Return once the fastest joint has been faster than `speed` in `count` steps of the plant."""
        seen, fast = len(self), 0
        deadline = time.perf_counter() + PATIENCE
        while fast < count:
            assert time.perf_counter() < deadline, "the arm did not move"
            now = len(self)
            if now - seen > 20:
                new = self.rows[1 + seen : 1 + now]
                rate = np.abs(new[20:, 1:] - new[:-20, 1:]).max(axis=1) / np.maximum(new[20:, 0] - new[:-20, 0], 0.01)
                fast = fast + int((rate > speed).sum())
                seen = now - 20
            time.sleep(0.001)

    def await_rest(self) -> None:
        """Return once no joint has moved for a while: in a cell an arm without torque first sinks onto the table."""
        deadline = time.perf_counter() + PATIENCE
        while len(self) < 100 or self.travel(self.rows[len(self), 0] - 0.3).max() > 0.003:
            assert time.perf_counter() < deadline, "the arm does not come to rest"
            time.sleep(0.02)

    def await_moment(self, moment: float) -> None:
        """Return once the plant has lived beyond a moment."""
        while self.rows[len(self), 0] < moment:
            assert time.perf_counter() < moment + PATIENCE, "the twin does not live"
            time.sleep(0.005)


def watched_twin(path: Path, kind: str, plant: str, task: str = "PickPlace") -> TwinProcess:
    """A twin with a witness, as a process."""
    return TwinProcess((str(path), kind, plant, task), command=(str(WITNESS),), senses=plant == "cell")


def genba(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "genba", *arguments]


def teach(port: str, *more: str) -> list[str]:
    return genba("run", "TeachPoint_so101", "--port", port, "--episodes", "99", "--json", *more)


@contextmanager
def host(command: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    """A process that drives an arm, and is gone afterwards."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def ended(process: "subprocess.Popen[str]", code: int) -> tuple[dict[str, object], str]:
    """The report and the one line of a run that has ended with an exit code."""
    out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    said = [line for line in err.splitlines() if "is outside the range" not in line]
    assert len(said) == 1, err
    return json.loads(out), said[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_mid_motion_stops_the_arm_and_reports(tmp_path: Path, number: int) -> None:
    with watched_twin(tmp_path / "log", "pty", "numpy") as twin, host(teach(twin.port)) as run:
        witness = Witness(tmp_path / "log")
        witness.await_motion(300)
        run.send_signal(number)
        pressed = time.perf_counter()
        report, said = ended(run, 130)
        assert report["stop_confirmed"] is True
        assert said == "genba: interrupted by the operator"
        done = time.perf_counter()
        witness.await_moment(done + 0.3)
        assert witness.travel(done).max() < 0.005  # what is reported as stopped stands
        assert witness.travel(pressed).max() < 0.1


@pytest.mark.parametrize("plant", ["numpy", "cell"])
@pytest.mark.parametrize("driver", ["policy", "runaway"])
def test_a_killed_host_leaves_every_joint_within_reach(tmp_path: Path, plant: str, driver: str) -> None:
    dice = Random(f"{plant} {driver}")
    with watched_twin(tmp_path / "log", "pty", plant) as twin:
        witness = Witness(tmp_path / "log")
        for seed in range(3):
            command = [sys.executable, str(RUNAWAY), twin.port]
            if driver == "policy":
                name = "PickPlace_so101" if plant == "cell" else "TeachPoint_so101"
                command = genba("run", name, "--port", twin.port, "--episodes", "99", "--json", "--seed", str(seed))
                command += ["--sense", twin.sense] if twin.sense else []
            witness.await_rest()
            with host(command) as process:
                witness.await_motion(dice.randint(30, 150 if plant == "cell" else 700))
                process.kill()
                moment = time.perf_counter()
                process.communicate()
            witness.await_moment(moment + 1.5)
            assert witness.travel(moment).max() <= MAX_TRAVEL, witness.travel(moment)


def test_a_pulled_cable_ends_a_run_by_the_name_of_its_port(tmp_path: Path) -> None:
    with watched_twin(tmp_path / "log", "pty", "numpy") as twin, host(teach(twin.port)) as run:
        Witness(tmp_path / "log").await_motion(300)
        twin.process.kill()
        report, said = ended(run, 4)
    assert report["stop_confirmed"] is False
    assert twin.port in said
    assert "cut its power" in said


def test_a_twin_that_slept_makes_nothing_good_in_a_burst(tmp_path: Path) -> None:
    with watched_twin(tmp_path / "log", "pty", "numpy") as twin, host(teach(twin.port)) as run:
        witness = Witness(tmp_path / "log")
        witness.await_motion(300)
        twin.process.send_signal(signal.SIGSTOP)
        moment = time.perf_counter()
        report, said = ended(run, 4)
        assert "silent" in said
        assert report["stop_confirmed"] is False
        time.sleep(max(moment + 2.0 - time.perf_counter(), 0.0))
        twin.process.send_signal(signal.SIGCONT)
        witness.await_moment(moment + 3.5)
        assert witness.travel(moment).max() <= MAX_TRAVEL, witness.travel(moment)


def test_a_host_that_slept_makes_nothing_good_in_a_burst(tmp_path: Path) -> None:
    with watched_twin(tmp_path / "log", "pty", "numpy") as twin, host(teach(twin.port)) as run:
        witness = Witness(tmp_path / "log")
        witness.await_motion(300)
        run.send_signal(signal.SIGSTOP)
        moment = time.perf_counter()
        witness.await_moment(moment + 2.0)
        assert witness.travel(moment).max() <= MAX_TRAVEL
        run.send_signal(signal.SIGCONT)
        witness.await_moment(moment + 3.0)
        rows = witness.since(moment)
        window = 100  # steps of 1 ms: the stamps of a loaded machine do not matter
        speeds = np.abs(rows[window:, 1:] - rows[:-window, 1:]) / (window * 1e-3)
        assert speeds.max() <= 1.25 * TOP_SPEED
        run.send_signal(signal.SIGINT)
        report, _ = ended(run, 130)
    assert report["stop_confirmed"] is True
    assert isinstance(report["pace"], dict)
    assert 1 <= report["pace"]["overruns"] <= 3


# ---- senses


def sensed_fields() -> dict[str, tuple[float, ...]]:
    """What PickPlace's shipped policy takes from senses, with values that it saw in training."""
    from genba.policies.catalogue import find_policy
    from genba.robots.station import is_arm_field

    manifest = find_policy("PickPlace_so101").manifest
    reference = manifest.reference[0]
    found = {}
    for group, values in (("observation", reference.observation), ("desired_goal", reference.desired_goal)):
        for name, where in manifest.spec.slices(group).items():
            if not is_arm_field(name):
                found[name] = tuple(values[where])
    return found


class Blind:
    """A sense server for PickPlace that can be told to fall silent, to hang up, or to forget a field."""

    def __init__(self) -> None:
        self.mode = "live"
        self._fields = sensed_fields()
        self.reads = 0  # since the last reset
        self.resets = 0
        self.server = SenseServer(self._sample, reset=self._reset, rate_hz=60.0)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._live)

    def _sample(self) -> dict[str, tuple[float, ...]]:
        self.reads += 1
        fields = dict(self._fields)
        if self.mode == "poorer":
            del fields["part_yaw"]
        return fields

    def _reset(self, seed: int) -> None:
        self.resets += 1
        self.reads = 0

    def _live(self) -> None:
        while not self._done.wait(0.002):
            if self.mode == "gone":
                self.server.close()
                return
            if self.mode != "silent":
                self.server.service(time.perf_counter())

    def __enter__(self) -> "Blind":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.server.close()


def test_a_missing_sense_is_refused_by_the_name_of_its_field(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "PickPlace_so101", "--port", "genba-sim://so101?time=virtual"]) == 3
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert any(f"'{name}' has no source" in said for name in sensed_fields())


@pytest.mark.parametrize(("mode", "word"), [("silent", "no sample"), ("gone", "hung up"), ("poorer", "part_yaw")])
def test_a_sense_that_dies_in_mid_run_stops_the_arm(tmp_path: Path, mode: str, word: str) -> None:
    with Blind() as blind, TwinProcess(("--serve", "pty"), command=("-m", "genba.drivers.virtual.serve")) as twin:
        command = genba("run", "PickPlace_so101", "--port", twin.port, "--sense", blind.server.url, "--json")
        with host([*command, "--episodes", "99"]) as run:
            deadline = time.perf_counter() + 60.0
            while not blind.resets or blind.reads < 30:
                assert time.perf_counter() < deadline
                assert run.poll() is None, run.communicate()
                time.sleep(0.01)
            blind.mode = mode
            report, said = ended(run, 4)
    assert report["stop_confirmed"] is True
    assert word in said


def test_a_wire_that_loses_one_reply_in_a_hundred_ends_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    port = "genba-sim://so101?time=virtual&drop=0.01&late=0.002&seed=3"
    assert main(["run", "TeachPoint_so101", "--port", port, "--episodes", "20", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["successes"] == 20
    assert report["bus"]["timeouts"] > 50
    assert report["bus"]["retries"] > 50
    assert report["stop_confirmed"] is True
