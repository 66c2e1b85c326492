"""`genba setup`: one servo at a time, read back, kept over power-off, and taken back by its undo file."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from genba.__main__ import main
from genba.drivers import ports
from genba.drivers.protocols import load_protocol
from genba.drivers.servo_setup import load_undo
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.plant import Command, Motion
from genba.drivers.virtual.servo import RegisterServo
from genba.drivers.virtual.sim_port import SimPort
from genba.robots import catalogue
from genba.robots.description import RobotDescription
from genba.robots.errors import RefusedError

URL = "genba-sim://arm"


class Stood:
    """Joints that stand at home, so that long scans cost nothing."""

    period = 0.01

    def __init__(self, robot: RobotDescription) -> None:
        count = len(robot.actuator_ids)
        self._motion = Motion((*robot.home, robot.gripper.home), (0.0,) * count, (0.0,) * count)

    def motion(self) -> Motion:
        return self._motion

    def step(self, commands: Sequence[Command]) -> Motion:
        del commands
        return self._motion


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, robot: RobotDescription, tmp_path: Path) -> Path:
    monkeypatch.setattr(catalogue, "load_robot", lambda name: robot)
    monkeypatch.setenv("GENBA_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch, robot: RobotDescription) -> Callable[..., VirtualLine]:
    """Plug in servos, at a rate; the port then leads to them."""

    def wire(*ids: int, baud_rate: int = 57_600) -> VirtualLine:
        line = VirtualLine(robot, ids=ids, baud_rate=baud_rate, plant=Stood(robot))
        monkeypatch.setattr(ports, "_open_sim", lambda url, rate: SimPort(url, line, rate, virtual_time=True))
        return line

    return wire


def switch_off_and_on(line: VirtualLine) -> RegisterServo:
    """The one servo after a loss of power."""
    (servo,) = line.servos
    servo.power_on(line.now)
    return servo


def done(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    code = main(["setup", URL, "--json", *arguments])
    shown = capsys.readouterr()
    assert (code, shown.err) == (0, "")
    (row,) = json.loads(shown.out)
    return row


def test_a_servo_gets_its_id_and_rate_and_keeps_them(
    plug: Callable[..., VirtualLine], robot: RobotDescription, capsys: pytest.CaptureFixture[str]
) -> None:
    line = plug(3)
    (servo,) = line.servos
    servo._set("id", 77)
    row = done(capsys, "--joint", robot.actuator_names[2])
    assert (row["from_id"], row["from_baud"], row["to_id"], row["to_baud"]) == (77, 57_600, 3, 1_000_000)
    servo = switch_off_and_on(line)
    assert (servo.actuator_id, servo.baud_rate) == (3, 1_000_000)
    again = done(capsys, "--joint", robot.actuator_names[2])
    assert again["written"] == {}
    assert again["undo"] is None


def test_the_undo_file_takes_it_back(
    plug: Callable[..., VirtualLine], robot: RobotDescription, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = plug(2)
    row = done(capsys, "--joint", robot.actuator_names[1], "--baud", "115200")
    file = Path(str(row["undo"]))
    assert file.is_relative_to(home)
    assert {kept.name: kept.value for kept in load_undo(file).registers}["id"] == 2
    assert switch_off_and_on(line).baud_rate == 115_200
    assert done(capsys, "--undo", str(file))["to_baud"] == 57_600
    assert switch_off_and_on(line).baud_rate == 57_600


def test_a_reset_asks_first_and_can_be_taken_back(
    plug: Callable[..., VirtualLine], robot: RobotDescription, capsys: pytest.CaptureFixture[str]
) -> None:
    line = plug(4, baud_rate=1_000_000)
    hot = line.servos[0].get("max_temperature")
    from genba.drivers.lone import LoneServo, find_alone

    assert robot.bus is not None
    with LoneServo(URL, find_alone(URL, robot.bus.protocol)) as servo:
        servo.set("max_temperature", 55)
    assert main(["setup", URL, "--factory-reset"]) == 3
    assert "--yes" in capsys.readouterr().err
    assert line.servos[0].get("max_temperature") == 55
    if load_protocol(robot.bus.protocol).factory_reset(4) is None:
        assert main(["setup", URL, "--factory-reset", "--yes"]) == 3
        assert "has no factory reset" in capsys.readouterr().err
        return
    row = done(capsys, "--factory-reset", "--yes")
    assert row["written"]["max_temperature"] == [55, hot]
    assert row["to_id"] == 4
    assert switch_off_and_on(line).get("max_temperature") == hot
    done(capsys, "--undo", str(row["undo"]))
    assert switch_off_and_on(line).get("max_temperature") == 55


@pytest.mark.parametrize("double", [False, True])
def test_more_than_one_servo_is_refused_and_nothing_is_written(
    double: bool, plug: Callable[..., VirtualLine], robot: RobotDescription, capsys: pytest.CaptureFixture[str]
) -> None:
    line = plug(1, 2)
    if double:
        line.servos[1]._set("id", 1)
    before = [bytes(s.memory[:50]) for s in line.servos]
    assert main(["setup", URL, "--joint", robot.actuator_names[0]]) == 3
    said = capsys.readouterr().err
    assert "more than one servo answers" in said
    assert said.count("\n") == 1
    assert [bytes(s.memory[:50]) for s in line.servos] == before


def test_a_servo_of_another_model_is_refused(
    plug: Callable[..., VirtualLine], robot: RobotDescription, capsys: pytest.CaptureFixture[str]
) -> None:
    line = plug(1)
    line.servos[0]._set("model_number", 4242)
    assert main(["setup", URL, "--joint", robot.actuator_names[0]]) == 3
    said = capsys.readouterr().err
    assert "4242" in said
    assert robot.actuator_names[0] in said


def test_a_servo_under_torque_is_refused(
    plug: Callable[..., VirtualLine], robot: RobotDescription, capsys: pytest.CaptureFixture[str]
) -> None:
    line = plug(1)
    line.servos[0]._set("torque_switch", 1)
    assert main(["setup", URL, "--joint", robot.actuator_names[0]]) == 3
    assert "holds torque" in capsys.readouterr().err


def test_no_servo_is_a_fault_of_the_bench(
    plug: Callable[..., VirtualLine], robot: RobotDescription, capsys: pytest.CaptureFixture[str]
) -> None:
    plug(1).faults.silent = {1}
    assert main(["setup", URL, "--joint", robot.actuator_names[0]]) == 4
    assert "own power" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--joint", "hip"], "shoulder_pan"),
        (["--joint", "shoulder_pan", "--baud", "12345"], "12345"),
        (["--joint", "shoulder_pan", "--factory-reset"], "one thing at a time"),
        (["--undo", "missing.json"], "missing.json"),
        ([], "--joint NAME"),
    ],
)
def test_what_cannot_be_set_up_is_refused(
    arguments: list[str], word: str, plug: Callable[..., VirtualLine], capsys: pytest.CaptureFixture[str]
) -> None:
    plug(1)
    assert main(["setup", URL, *arguments]) == 3
    said = capsys.readouterr().err
    assert word in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("text", ["", "[]", '{"format_version": 9}', '{"a": 1}'])
def test_a_spoiled_undo_file_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "undo.json"
    file.write_text(text)
    with pytest.raises(RefusedError, match=r"undo\.json"):
        load_undo(file)


def test_an_undo_file_of_another_servo_is_refused(
    plug: Callable[..., VirtualLine], robot: RobotDescription, capsys: pytest.CaptureFixture[str]
) -> None:
    plug(1)
    row = done(capsys, "--joint", robot.actuator_names[0])
    plug(1).servos[0]._set("model_number", 4242)
    assert main(["setup", URL, "--undo", str(row["undo"])]) == 3
    assert "4242" in capsys.readouterr().err


def test_people_plug_servos_in_one_by_one_from_the_tip(
    plug: Callable[..., VirtualLine],
    robot: RobotDescription,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Person:
        """Plugs in the next servo and presses Enter."""

        def __init__(self) -> None:
            self.left = list(reversed(robot.actuator_ids))
            self.lines: list[VirtualLine] = []

        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            line = plug(self.left.pop(0))
            self.lines.append(line)
            return "\n"

    person = Person()
    monkeypatch.setattr("sys.stdin", person)
    assert main(["setup", URL]) == 0
    assert not person.left
    assert all(line.servos[0].baud_rate == 1_000_000 for line in person.lines)
    said = capsys.readouterr().err
    assert [said.index(name) for name in reversed(robot.actuator_names)] == sorted(
        said.index(name) for name in robot.actuator_names
    )


def test_a_cable_pulled_between_two_writes_is_made_good_by_the_next_run(
    plug: Callable[..., VirtualLine],
    robot: RobotDescription,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from genba.drivers.lone import LoneServo

    line = plug(5)
    line.servos[0]._set("id", 77)
    write = LoneServo.set

    def pulled(self: LoneServo, name: str, value: int) -> None:
        write(self, name, value)
        line.faults.unplugged = name == "id"

    monkeypatch.setattr(LoneServo, "set", pulled)
    assert main(["setup", URL, "--joint", robot.actuator_names[4]]) == 4
    assert "is gone" in capsys.readouterr().err
    monkeypatch.setattr(LoneServo, "set", write)
    line.faults.unplugged = False
    assert done(capsys, "--joint", robot.actuator_names[4])["from_id"] == 5
    assert switch_off_and_on(line).baud_rate == 1_000_000


def test_every_rate_can_be_given(robot: RobotDescription) -> None:
    assert robot.bus is not None
    assert robot.bus.baud_rate in load_protocol(robot.bus.protocol).baud_rates
