"""The command line: what it refuses, in one line and with the right exit code, and that nothing else escapes."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from genba.__main__ import main, verbs
from genba.policies.bundle import PolicyBundle


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert all(verb in text for verb in verbs())


@pytest.mark.parametrize("verb", sorted(verbs()))
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
    "rate in percent": (["evaluate", "POLICY", "--at-least", "95"], "no rate from 0 to 1"),
    "rate that is no number": (["evaluate", "POLICY", "--at-least", "nan"], "no rate from 0 to 1"),
    "grid nowhere": (["evaluate", "POLICY", "--grid", "OUT/none/grid.html"], "cannot be written"),
    "steps of imitation": (["train", "TeachPoint", "--out", "OUT", "--algo", "imitate", "--steps", "9"], "steps does"),
    "steps of a sweep of imitations": (
        [
            "sweep",
            "TeachPoint",
            "--out",
            "OUT",
            "--algo",
            "imitate",
            "--steps",
            "9",
            "--param",
            "imitation.rounds=1..3",
        ],
        "steps does",
    ),
    "sim that is no URL": (["run", "POLICY", "--port", "genba-sim://[so101"], "is no URL"),
    "time that never ends": (["calibrate", "--port", "x", "--sweep", "--seconds", "nan"], "no time"),
    "time before now": (["ports", "--unplug", "--wait", "-1"], "no time"),
    "folder of no run": (["pack", "OUT/none", "-o", "x.genba"], "there is no such folder"),
    "scan by no protocol": (["scan", "genba-sim://so101", "--protocol", "marln"], "'marlin'"),
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

    monkeypatch.setitem(verbs(), "ports", (fail, verbs()["ports"][1]))
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

    monkeypatch.setitem(verbs(), "ports", (interrupt, verbs()["ports"][1]))
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
    still: PolicyBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(still.save(tmp_path / "p.genba"))
    assert main(["evaluate", path, "--episodes", "1", "--at-least", "0.1"]) == 1
    shown = capsys.readouterr().out
    assert "success     0.0%" in shown
    assert "none, for no episode succeeded" in shown


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


ONLY_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="streams are closed by a POSIX shell")


def shell(line: str, **places: str) -> "subprocess.CompletedProcess[str]":
    """Run a line of shell in which GENBA is the program."""
    for name, value in {"GENBA": f"{sys.executable} -m genba", **places}.items():
        line = line.replace(name, value)
    return subprocess.run(["/bin/bash", "-c", line], capture_output=True, text=True, check=False)


@ONLY_POSIX
@pytest.mark.parametrize("verb", ["jog", "setup", "calibrate --sweep --port"])
def test_with_no_keyboard_at_all_a_question_is_refused(verb: str) -> None:
    done = shell(f"GENBA {verb} genba-sim://so101?time=virtual <&-")
    assert done.returncode == 3, done.stderr
    assert done.stderr.count("\n") == 1
    assert "Error" not in done.stderr


@ONLY_POSIX
def test_with_nowhere_to_complain_exit_codes_stay(proportional: PolicyBundle, tmp_path: Path) -> None:
    path = str(proportional.save(tmp_path / "p.genba"))
    assert shell("GENBA run x --port y 2>&-").returncode == 3
    done = shell("GENBA run POLICY --port genba-sim://so101?time=virtual 2>&-", POLICY=path)
    assert done.returncode == 0
    assert "confirmed" in done.stdout
    assert shell("GENBA monitor genba-sim://so101 --seconds 0.2 <&- >&- 2>&-").returncode == 0


@ONLY_POSIX
def test_a_reader_that_hangs_up_changes_no_exit_code(still: PolicyBundle, tmp_path: Path) -> None:
    path = str(still.save(tmp_path / "p.genba"))
    line = "GENBA evaluate POLICY --episodes 2 --workers 0 --json --at-least 0.5 | true; exit ${PIPESTATUS[0]}"
    done = shell(line, POLICY=path)
    assert done.returncode == 1
    assert "Error" not in done.stderr
    line = "GENBA monitor genba-sim://so101 --seconds 2 --json | head -n 1; exit ${PIPESTATUS[0]}"
    assert shell(line).returncode == 0


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs a disk that is always full")
@pytest.mark.parametrize(
    "line", ["list robots", "list policies --json", "monitor genba-sim://so101 --seconds 1 --json"]
)
def test_output_that_nobody_takes_is_one_line(line: str) -> None:
    done = shell(f"GENBA {line} > /dev/full")
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1
    assert "cannot be written (No space left on device)" in done.stderr


@ONLY_POSIX
def test_a_disk_that_is_full_costs_the_record_and_not_the_report(proportional: PolicyBundle, tmp_path: Path) -> None:
    path = str(proportional.save(tmp_path / "p.genba"))
    line = "ulimit -f 1; GENBA run POLICY --port genba-sim://so101?time=virtual --record ROWS --json"
    done = shell(line, POLICY=path, ROWS=str(tmp_path / "rows.npz"))
    assert done.returncode == 4, done.stderr
    assert done.stderr.count("\n") == 1
    assert "rows.npz: cannot be written" in done.stderr
    assert json.loads(done.stdout)["successes"] == 1
    assert [found.name for found in tmp_path.iterdir()] == ["p.genba"]


@ONLY_POSIX
def test_a_calibration_that_the_disk_does_not_take_is_one_line(tmp_path: Path) -> None:
    place = str(tmp_path / "unit.json")
    done = shell("ulimit -f 0; GENBA calibrate --port genba-sim://so101?time=virtual --file FILE", FILE=place)
    assert done.returncode == 4, done.stderr
    assert done.stderr.count("\n") == 1
    assert "unit.json: cannot be written" in done.stderr
    assert list(tmp_path.iterdir()) == []
