"""The command line: what it refuses, in one line and with the right exit code, and that nothing else escapes."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from genba.__main__ import VERBS, main
from genba.policies.bundle import PolicyBundle


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert all(verb in text for verb in VERBS)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([verb, "--help"])
    assert end.value.code == 0
    assert f"genba {verb}" in capsys.readouterr().out


def test_help_is_quick() -> None:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "genba", "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    # The figure is 0.3 s; a loaded machine of continuous integration gets three tries and some air.
    assert min(times) < 0.5


BAD = {
    "no verb": ([], "VERB"),
    "unknown verb": (["dance"], "dance"),
    "unknown option": (["ports", "--fast"], "--fast"),
    "unknown list": (["list", "planets"], "planets"),
    "unknown task": (["train", "Juggle", "--out", "OUT"], "TeachPoint"),
    "unknown robot": (["train", "TeachPoint", "--robot", "so102", "--out", "OUT"], "so101"),
    "unknown policy": (["evaluate", "missing.genba"], "missing.genba"),
    "unknown policy to run": (["run", "missing.genba", "--port", "genba-sim://so101"], "missing.genba"),
    "no such run": (["pack", "OUT/none"], "run.json"),
    "no episodes": (["evaluate", "POLICY", "--episodes", "0"], "at least 1"),
    "half an episode": (["evaluate", "POLICY", "--episodes", "0.5"], "0.5"),
    "unknown sim": (["run", "POLICY", "--port", "genba-sim://nothing"], "nothing"),
    "unknown scheme": (["run", "POLICY", "--port", "gopher://x", "--calibration", "OUT/c.json"], "c.json"),
    "arm without calibration": (["run", "POLICY", "--port", "/dev/ttyNONE"], "genba calibrate"),
    "sense that is no loopback": (
        ["run", "POLICY", "--port", "genba-sim://so101", "--sense", "socket://8.8.8.8:1"],
        "8.8",
    ),
    "twin of another arm": (["twin", "--robot", "so102"], "so101"),
    "twin of an arm without a bus": (["twin", "--robot", "panda"], "panda"),
    "twin with a strange servo": (["twin", "--ids", "1,99"], "99"),
    "twin at a strange rate": (["twin", "--baud", "12345"], "12345"),
    "scan for no arm": (["scan", "genba-sim://so101", "--robot", "so102"], "so101"),
    "scan of no id": (["scan", "genba-sim://so101", "--ids", "1-"], "1-6,9"),
    "home of no arm": (["home", "genba-sim://so101", "--robot", "panda"], "panda"),
    "park too fast": (["park", "genba-sim://so101", "--speed", "2"], "0.02 to 1"),
    "jog of no joint": (["jog", "genba-sim://so101", "--joint", "hip", "--by", "0.1"], "shoulder_pan"),
    "jog of a real arm without calibration": (["jog", "/dev/ttyNONE", "--x", "0.01"], "genba calibrate"),
    "monitor at no rate": (["monitor", "genba-sim://so101", "--rate", "0"], "rate"),
    "setup of no joint": (["setup", "genba-sim://so101", "--joint", "hip"], "shoulder_pan"),
    "sweep and import": (["calibrate", "--port", "genba-sim://so101", "--sweep", "--import", "x"], "one way"),
    "calibration of no bus": (["calibrate", "--port", "x", "--robot", "panda"], "panda"),
    "text for bundle": (["evaluate", "TEXT"], "not a policy bundle"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_input_gets_one_line_and_exit_code_3(
    case: str, proportional: PolicyBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, named = BAD[case]
    (tmp_path / "text.genba").write_text("hello")
    places = {
        "POLICY": str(proportional.save(tmp_path / "p.genba")),
        "OUT": str(tmp_path / "out"),
        "TEXT": str(tmp_path / "text.genba"),
    }
    filled = [next((a.replace(k, v) for k, v in places.items() if k in a), a) for a in arguments]
    assert main(filled) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert shown.err.startswith("genba: ")
    assert named in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.parametrize("verb", [["calibrate", "--port"], ["scan"], ["setup", "--joint", "gripper"]])
def test_a_port_that_is_not_there_is_a_fault_of_the_bench(verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*verb, "/dev/ttyNONE"]) == 4
    assert "ports on this machine" in capsys.readouterr().err


def test_what_nobody_foresaw_is_one_line_and_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(options: object) -> tuple[str, int]:
        """Fail."""
        raise ZeroDivisionError("a wheel came off")

    monkeypatch.setitem(VERBS, "ports", (fail, VERBS["ports"][1]))
    assert main(["ports"]) == 4
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "a wheel came off" in shown
    log = Path(shown.split()[-1])
    assert "Traceback" in log.read_text(encoding="utf-8")
    log.unlink()


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(options: object) -> tuple[str, int]:
        """Be interrupted."""
        raise KeyboardInterrupt

    monkeypatch.setitem(VERBS, "ports", (interrupt, VERBS["ports"][1]))
    assert main(["ports"]) == 130
    assert capsys.readouterr().err == "genba: interrupted\n"


@pytest.mark.parametrize("what", ["robots", "tasks", "protocols", "policies"])
def test_lists_are_json_when_asked(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", what, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert all({"name"} <= set(row) for row in rows)
    if what == "policies":
        assert all({"path", "task", "robot", "success"} <= set(row) for row in rows)
    assert main(["list", what]) == 0


def test_evaluate_prints_json(proportional: PolicyBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(proportional.save(tmp_path / "p.genba"))
    assert main(["evaluate", path, "--episodes", "2", "--seed", "5", "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert table["rate"]["episodes"] == 2
    assert [trial["seed"] for trial in table["trials"]] == [5, 6]


def test_a_rate_below_what_was_asked_is_exit_code_1(
    proportional: PolicyBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(proportional.save(tmp_path / "p.genba"))
    assert main(["evaluate", path, "--episodes", "1", "--at-least", "1.1"]) == 1
    assert "success" in capsys.readouterr().out


def test_run_over_virtual_servos_and_record(
    proportional: PolicyBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, rows = str(proportional.save(tmp_path / "p.genba")), tmp_path / "rows.npz"
    port = "genba-sim://so101?time=virtual"
    assert main(["run", path, "--port", port, "--episodes", "4", "--json", "--record", str(rows)]) == 0
    table = json.loads(capsys.readouterr().out)
    assert table["successes"] == 4
    assert table["stop_confirmed"] is True
    assert table["bus"]["timeouts"] == 0
    assert table["pace"]["overruns"] == 0
    with np.load(rows, allow_pickle=False) as columns:
        assert len(columns["stamp"]) == table["ticks"]
    assert main(["run", path, "--port", port]) == 0
    assert "1/1" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo terminals and SIGINT to a child are POSIX")
def test_ctrl_c_stops_the_virtual_arm_and_reports(proportional: PolicyBundle, tmp_path: Path) -> None:
    path = str(proportional.save(tmp_path / "p.genba"))
    command = [sys.executable, "-m", "genba", "run", path, "--port", "genba-sim://so101", "--episodes", "99", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(4.0)
        try:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130
    assert err == "genba: interrupted by the operator\n"
    assert json.loads(out)["stop_confirmed"] is True
