"""`genba scan`: who answers, in what state, where the chain breaks, and two servos of one id told from noise."""

import json
from collections.abc import Sequence

import pytest

from genba.__main__ import main
from genba.drivers import ports, scan
from genba.drivers.protocols import language_names, load_protocol, protocol_names
from genba.drivers.virtual.controller import ControllerLine, load_controller
from genba.drivers.virtual.faults import Faults
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.plant import Command, Motion
from genba.drivers.virtual.sim_port import SimPort
from genba.robots import catalogue
from genba.robots.description import RobotDescription

URL = "genba-sim://arm"
MOST_SECONDS = 15.0  # by the port's own clock, for everything there is


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
def bench(monkeypatch: pytest.MonkeyPatch, robot: RobotDescription, line: VirtualLine) -> None:
    """One virtual arm that stays the same whoever opens its port, and is the only robot."""
    monkeypatch.setattr(ports, "_open_sim", lambda url, rate: SimPort(url, line, rate, virtual_time=True))
    monkeypatch.setattr(catalogue, "load_robot", lambda name: robot)
    line.plant = Stood(robot)


def look(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, object]]:
    code = main(["scan", URL, "--json", *arguments])
    shown = capsys.readouterr()
    assert shown.err == ""
    return code, json.loads(shown.out)


def test_every_servo_is_found_whatever_its_protocol_and_rate(
    robot: RobotDescription, capsys: pytest.CaptureFixture[str]
) -> None:
    assert robot.bus is not None
    code, report = look(capsys)
    assert code == 0
    assert [s["actuator_id"] for s in report["servos"]] == sorted(robot.actuator_ids)
    assert {(s["protocol"], s["baud_rate"]) for s in report["servos"]} == {(robot.bus.protocol, robot.bus.baud_rate)}
    names = {d.model for d in robot.actuator_drives}
    assert {s["model"] for s in report["servos"]} == names
    assert all(s["firmware"] and s["voltage"] and s["temperature"] and not s["double"] for s in report["servos"])
    assert len(report["tried"]) == sum(len(load_protocol(name).baud_rates) for name in protocol_names()) + len(
        language_names()
    )
    assert report["seconds"] <= MOST_SECONDS


def test_nothing_is_written(line: VirtualLine) -> None:
    before = [bytes(s.memory[:56]) for s in line.servos]
    assert main(["scan", URL]) == 0
    assert [bytes(s.memory[:56]) for s in line.servos] == before


def test_servos_at_another_rate_are_found_and_told_to_be_set_up(
    monkeypatch: pytest.MonkeyPatch, robot: RobotDescription, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = VirtualLine(robot, baud_rate=57_600, plant=Stood(robot))
    monkeypatch.setattr(ports, "_open_sim", lambda url, rate: SimPort(url, slow, rate, virtual_time=True))
    code, report = look(capsys, "--robot", "arm")
    assert code == 4
    assert {s["baud_rate"] for s in report["servos"]} == {57_600}
    assert all("answers at 57600 baud, not 1000000: genba setup" in hint for hint in report["hints"])
    assert len(report["hints"]) == len(robot.actuator_ids)
    assert report["seconds"] <= MOST_SECONDS


@pytest.mark.parametrize(("silent", "cure"), [((3, 4, 5, 6), "cable between"), ((3,), "its own plug")])
def test_the_first_silent_one_in_the_chain_is_named(
    robot: RobotDescription, faults: Faults, capsys: pytest.CaptureFixture[str], silent: tuple[int, ...], cure: str
) -> None:
    faults.silent = set(silent)
    code, report = look(capsys, "--robot", "arm")
    assert code == 4
    (hint,) = report["hints"]
    assert f"{robot.actuator_names[2]} (id 3)" in hint
    assert cure in hint


def test_no_power_says_so(faults: Faults, robot: RobotDescription, capsys: pytest.CaptureFixture[str]) -> None:
    faults.silent = set(robot.actuator_ids)
    code, report = look(capsys)
    assert code == 4
    assert "own power" in report["hints"][0]


def test_two_servos_of_one_id_are_told_from_noise(line: VirtualLine, capsys: pytest.CaptureFixture[str]) -> None:
    line.servo(3)._set("id", 2)  # its joint stands elsewhere than that of servo 2
    code, report = look(capsys, "--robot", "arm")
    assert code == 4
    doubles = [s["actuator_id"] for s in report["servos"] if s["double"]]
    assert doubles == [2]
    assert any("two servos answer to id 2" in hint for hint in report["hints"])


@pytest.mark.parametrize("seed", range(4))
def test_noise_hides_nobody_and_doubles_nobody(
    faults: Faults, robot: RobotDescription, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    faults.__init__(seed=seed, drop=0.05, flip=0.05)  # type: ignore[misc]
    _, report = look(capsys, "--robot", "arm")
    assert [s["actuator_id"] for s in report["servos"]] == sorted(robot.actuator_ids)
    assert not any(s["double"] for s in report["servos"])


def test_a_wrong_supply_and_a_hot_servo_are_named_by_their_joint(
    line: VirtualLine, robot: RobotDescription, faults: Faults, capsys: pytest.CaptureFixture[str]
) -> None:
    line.servo(2).voltage = 18.0
    faults.hot = {4}
    _, report = look(capsys, "--robot", "arm")
    text = "\n".join(report["hints"])
    assert f"{robot.actuator_names[1]} (id 2): supply is 18.0 V" in text
    assert f"{robot.actuator_names[3]} (id 4)" in text


def test_single_ids_and_rates_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = look(capsys, "--ids", "2-3,9", "--baud", "1000000")
    assert code == 0
    assert [s["actuator_id"] for s in report["servos"]] == [2, 3]
    assert {rate for _, rate in report["tried"]} == {1_000_000}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--ids", "1-x"], "1-6,9"),
        (["--ids", "300"], "0..252"),
        (["--baud", "0"], "baud"),
        (["--protocol", "smoke"], "feetech_sts"),
    ],
)
def test_what_cannot_be_scanned_is_refused(arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", URL, *arguments]) == 3
    shown = capsys.readouterr().err
    assert word in shown
    assert shown.count("\n") == 1


def test_a_servo_of_another_model_is_named(
    robot: RobotDescription, line: VirtualLine, capsys: pytest.CaptureFixture[str]
) -> None:
    line.servo(1)._set("model_number", 4242)
    _, report = look(capsys, "--robot", "arm")
    assert any(f"{robot.actuator_names[0]} (id 1) is a model 4242" in hint for hint in report["hints"])


def test_people_get_a_table(robot: RobotDescription, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", URL, "--robot", "arm"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["id", "protocol", "baud", "model"]
    assert len(lines) == 2 + len(robot.actuator_ids)


def test_a_socket_has_no_rate_to_try() -> None:
    looks = scan.plan("socket://127.0.0.1:7000", protocol_names(), first=1_000_000)
    assert looks == [(name, 1_000_000) for name in protocol_names()]


def test_the_arm_s_own_rate_comes_first() -> None:
    assert scan.plan("COM5", ["feetech_sts"], first=500_000)[0] == ("feetech_sts", 500_000)


@pytest.mark.parametrize("name", language_names())
def test_a_controller_is_found_where_no_servo_answers(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ControllerLine(load_controller(name))
    monkeypatch.setattr(ports, "_open_sim", lambda url, rate: SimPort(url, line, rate, virtual_time=True))
    code, report = look(capsys)
    assert code == 0, report["hints"]
    assert [(c["language"], c["baud_rate"]) for c in report["controllers"]] == [(name, line.baud_rate)]
    assert report["servos"] == []
    assert report["seconds"] <= MOST_SECONDS
    assert not line.controller.planner.moving
    assert main(["scan", URL, "--protocol", name]) == 0
    assert name in capsys.readouterr().out


def test_an_empty_port_takes_no_longer_than_a_full_one(
    faults: Faults, robot: RobotDescription, capsys: pytest.CaptureFixture[str]
) -> None:
    faults.silent = set(robot.actuator_ids)
    _, report = look(capsys)
    assert {name for name, _ in report["tried"]} == {*protocol_names(), *language_names()}
    assert report["seconds"] <= MOST_SECONDS
