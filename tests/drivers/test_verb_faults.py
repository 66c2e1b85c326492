"""What can be wrong at the bench, in every verb that opens a port: one line that names it, and a still arm."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from genba.__main__ import main
from genba.drivers import ports
from genba.drivers.verbs import VERBS
from genba.drivers.virtual.faults import Faults
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.plant import ServoPlant
from genba.drivers.virtual.process import TwinProcess
from genba.drivers.virtual.sim_port import SimPort
from genba.robots import catalogue
from genba.robots.description import RobotDescription

URL = "genba-sim://arm"
# Every verb that opens a port, with what makes it run to its end without a question.
COMMANDS: dict[str, list[str]] = {
    "scan": ["scan", URL, "--robot", "arm"],
    "home": ["home", URL],
    "park": ["park", URL],
    "jog": ["jog", URL, "--x", "0.02", "--speed", "0.5"],
    "release": ["release", URL, "--yes"],
    "monitor": ["monitor", URL, "--seconds", "2"],
    "setup": ["setup", URL, "--joint", "gripper"],
    "calibrate": ["calibrate", "--port", URL],
}
SWEEP = ["calibrate", "--port", URL, "--sweep", "--seconds", "3", "--pose-seconds", "1"]
ALL = {**COMMANDS, "calibrate --sweep": SWEEP, "release --preview": ["release", URL, "--preview"]}
LONG = {"calibrate --measure": ["calibrate", "--port", URL, "--measure", "--yes"]}  # pulled early
NO_PORT = {"ports", "doctor"}
MOVES = ("home", "park", "jog")


class Cable(SimPort):
    """A port whose cable is pulled after so many requests, counted over all openings."""

    left = 1_000_000
    written = 0

    def write(self, data: bytes) -> None:
        """Send bytes while the cable holds."""
        type(self).written += 1
        self.line.faults.unplugged = type(self).written > type(self).left
        super().write(data)


@pytest.fixture
def cable() -> type[Cable]:
    """A cable of this test alone."""

    class Own(Cable):
        """Counts for itself."""

    return Own


@pytest.fixture(autouse=True)
def bench(
    monkeypatch: pytest.MonkeyPatch,
    robot: RobotDescription,
    line: VirtualLine,
    cable: type[Cable],
    tmp_path: Path,
) -> None:
    """One virtual arm that stays the same whoever opens its port, and is the only robot."""
    monkeypatch.setattr(ports, "_open_sim", lambda url, rate: cable(url, line, rate, virtual_time=True))
    monkeypatch.setattr(catalogue, "load_robot", lambda name: robot)
    monkeypatch.setenv("GENBA_HOME", str(tmp_path))


def arguments(verb: str, robot: RobotDescription, line: VirtualLine) -> list[str]:
    """A command line; where a servo must be alone, the others are unplugged."""
    words = [robot.gripper.joint if word == "gripper" else word for word in (ALL | LONG)[verb]]
    if verb == "setup":
        del line.servos[:-1]
        line.servos[0]._set("id", 77)
    return words


def still(line: VirtualLine) -> bool:
    """Whether no joint that has torque moves any more."""
    line.step(line.now + 0.5)
    before = [servo.raw_ticks for servo in line.servos]
    line.step(line.now + 0.5)
    driven = [servo.get("torque_switch") for servo in line.servos]
    pairs = zip(before, line.servos, driven, strict=True)
    return all(abs(ticks - servo.raw_ticks) <= 3 for ticks, servo, on in pairs if on)


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    assert said.startswith("genba: ")
    assert "Traceback" not in said
    assert "details are in" not in said
    return said


def test_every_verb_is_here() -> None:
    assert set(COMMANDS) | NO_PORT == set(VERBS)


@pytest.mark.parametrize("verb", sorted(ALL | LONG))
def test_a_cable_pulled_at_any_moment_is_one_line_and_exit_4(
    verb: str,
    robot: RobotDescription,
    line: VirtualLine,
    faults: Faults,
    cable: type[Cable],
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = arguments(verb, robot, line)
    count = 300 if verb in LONG else 0
    for share in (0.0, 0.1, 0.4, 0.7) if count else (1.0, 0.0, 0.1, 0.4, 0.7):
        faults.unplugged, cable.left = False, Cable.left
        for servo in line.servos:
            servo._set("torque_switch", 0)
        assert isinstance(line.plant, ServoPlant)
        for k, (at, joint) in enumerate(zip(robot.home, robot.joints, strict=True)):  # off its home, so that it moves
            line.plant._positions[k] = at + (0.2 if at < 0.5 * (joint.lower + joint.upper) else -0.2)
        if verb == "setup":
            line.servos[0]._set("id", 77)
        capsys.readouterr()
        cable.written, cable.left = 0, int(share * count) if count else Cable.left
        code = main(words)
        if share == 1.0:
            count = cable.written
            continue
        assert code == 4, share
        said = one_line(capsys)
        assert "check cable and power" in said or "torque off NOT CONFIRMED" in said
        faults.unplugged = False
        assert still(line)


@pytest.mark.parametrize("verb", sorted({*ALL, *LONG} - {"scan", "monitor", "setup", "release --preview"}))
def test_a_servo_that_is_not_there_is_named_by_its_joint(
    verb: str, robot: RobotDescription, line: VirtualLine, faults: Faults, capsys: pytest.CaptureFixture[str]
) -> None:
    faults.silent = {3}
    assert main(arguments(verb, robot, line)) == 4
    said = one_line(capsys)
    assert robot.actuator_names[2] in said or "servo 3" in said
    assert ("genba scan" in said) == (verb in (*MOVES, *LONG))
    assert still(line)


@pytest.mark.parametrize("verb", MOVES)
@pytest.mark.parametrize(
    ("wrong", "cure"),
    [
        (lambda line: setattr(line.servo(2), "voltage", 25.0), "check the power supply"),
        (lambda line: line.servo(2)._set("model_number", 4242), "fit the right servo"),
        (lambda line: line.servo(3)._set("id", 2), "in the chain"),
        (lambda line: line.faults.overloaded.add(2), ": "),
        (lambda line: line.faults.hot.add(2), ": "),
    ],
    ids=["supply", "model", "double id", "overload", "heat"],
)
def test_bad_hardware_is_named_before_anything_moves(
    verb: str,
    wrong: Callable[[VirtualLine], None],
    cure: str,
    robot: RobotDescription,
    line: VirtualLine,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong(line)
    line.step(line.now + 0.2)
    before = line.plant.motion().positions
    assert main(arguments(verb, robot, line)) == 4
    said = one_line(capsys)
    assert any(f"{name} (id {i})" in said for name, i in zip(robot.actuator_names[1:3], (2, 3), strict=True))
    assert cure in said
    assert line.plant.motion().positions == pytest.approx(before, abs=1e-3)


SPOILT = ("drop", "insert", "flip", "truncate", "late", "duplicate", "foreign", "reboot")  # what faults do to replies
SWITCHED = {"echo", "silent", "hot", "overloaded", "unplugged"}  # each has a test of its own above or below


def test_no_fault_is_left_out() -> None:
    assert {f.name for f in fields(Faults) if f.init} == {"seed", *SPOILT, *SWITCHED}


@pytest.mark.parametrize("trouble", SPOILT)
@pytest.mark.parametrize("verb", MOVES)
def test_a_wire_on_which_nothing_arrives_whole_is_named_and_the_arm_stands(
    verb: str,
    trouble: str,
    robot: RobotDescription,
    line: VirtualLine,
    faults: Faults,
    capsys: pytest.CaptureFixture[str],
) -> None:
    setattr(faults, trouble, 1.0)
    code = main(arguments(verb, robot, line))
    if trouble == "duplicate" and code == 0:  # what comes twice came
        return
    assert code == 4
    said = one_line(capsys)
    assert any(name in said or f"servo {i}" in said for i, name in robot.servo_names.items())
    assert any(cure in said for cure in ("check", "genba scan", "genba setup", "hold the arm", "switch"))
    setattr(faults, trouble, 0.0)
    assert still(line)


@pytest.mark.parametrize("verb", sorted(set(ALL) - {"scan", "setup"}))
def test_servos_at_another_rate_are_told_apart_from_an_arm_that_runs(
    verb: str, robot: RobotDescription, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = VirtualLine(robot, baud_rate=57_600)
    monkeypatch.setattr(ports, "_open_sim", lambda url, rate: SimPort(url, slow, rate, virtual_time=True))
    code = main(ALL[verb])
    shown = capsys.readouterr()
    if verb in ("monitor", "release --preview"):  # they show what there is, and that is silence
        assert code == 0
        assert "silent" in shown.out or "not known" in shown.out
        return
    assert code == 4
    assert shown.err.count("\n") == 1
    assert robot.actuator_names[0] in shown.err or "servo 1" in shown.err


@pytest.mark.parametrize("verb", sorted(ALL))
def test_a_wire_that_echoes_does_not_fool_a_verb(
    verb: str, robot: RobotDescription, line: VirtualLine, faults: Faults, capsys: pytest.CaptureFixture[str]
) -> None:
    words = arguments(verb, robot, line)
    without = main(words)
    first = capsys.readouterr()
    faults.echo = True
    for servo in line.servos:
        servo._set("torque_switch", 0)
    if verb == "setup":
        line.servos[0]._set("id", 77)
    assert main(words) == without, first
    assert capsys.readouterr().err.count("\n") == first.err.count("\n")


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_takes_json(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    assert "--json" in capsys.readouterr().out


@pytest.mark.parametrize("verb", sorted(set(COMMANDS) - {"monitor"}))
def test_json_is_one_document_and_nothing_else(
    verb: str, robot: RobotDescription, line: VirtualLine, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([*arguments(verb, robot, line), "--json"])
    shown = capsys.readouterr()
    assert (code, shown.err) == (0, "")
    assert json.loads(shown.out)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="pseudo terminals are POSIX")
def test_a_twin_that_is_killed_is_a_pulled_cable(tmp_path: Path) -> None:
    """Over a true pseudo terminal, and a process that really dies; the verb says its first sample, then that."""
    with TwinProcess(("--serve", "pty"), command=("-m", "genba.drivers.virtual.serve")) as twin:
        command = [sys.executable, "-m", "genba", "monitor", twin.port, "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert json.loads(process.stdout.readline())["joints"]
                twin.process.kill()
                _, said = process.communicate(timeout=30)
            finally:
                process.kill()
    assert process.returncode == 4
    assert said.count("\n") == 1
    assert twin.port in said
    assert "check cable and power" in said
