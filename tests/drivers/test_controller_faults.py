"""What can be wrong with an arm behind its own controller, in every verb: one line that names it, and the cure."""

from collections.abc import Callable

import pytest

from genba.__main__ import main
from genba.drivers import ports
from genba.drivers.protocols import language_names
from genba.drivers.virtual.controller import ControllerLine, load_controller
from genba.drivers.virtual.dobot import VirtualDobot
from genba.drivers.virtual.sim_port import SimPort
from genba.robots.description import load_robot, robot_names

BUSES = {name: bus for name in robot_names() if (bus := load_robot(name).bus) is not None}
ARMS = [name for name, bus in BUSES.items() if bus.protocol in language_names()]
URL = "genba-sim://arm"
VERBS: dict[str, list[str]] = {
    "home": ["home", URL],
    "park": ["park", URL],
    "jog": ["jog", URL, "--x", "0.02", "--speed", "0.5"],
    "release": ["release", URL, "--yes"],
    "monitor": ["monitor", URL, "--seconds", "2"],
    "calibrate": ["calibrate", "--port", URL, "--yes"],
}


class Cable(SimPort):
    """A port whose cable is pulled after so many requests."""

    left = 1_000_000
    written = 0

    def write(self, data: bytes) -> None:
        """Send bytes while the cable holds."""
        type(self).written += 1
        self.line.faults.unplugged = type(self).written > type(self).left
        super().write(data)


@pytest.fixture(params=ARMS)
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def line(name: str) -> ControllerLine:
    return ControllerLine(load_controller(BUSES[name].protocol))


@pytest.fixture
def cable(line: ControllerLine, monkeypatch: pytest.MonkeyPatch) -> type[Cable]:
    """The port of this test, whoever opens it."""

    class Own(Cable):
        """Counts for itself."""

    monkeypatch.setattr(ports, "_open_sim", lambda url, rate: Own(url, line, rate, virtual_time=True))
    return Own


@pytest.fixture
def refused(name: str, capsys: pytest.CaptureFixture[str]) -> Callable[[str], tuple[int, str]]:
    """Run a verb that must fail: its exit code and its one line."""

    def run(verb: str) -> tuple[int, str]:
        code = main([*VERBS[verb], "--robot", name])
        said = capsys.readouterr().err
        assert said.count("\n") == 1, said
        assert said.startswith("genba: ")
        assert "Traceback" not in said
        return code, said

    return run


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("left", [0, 2, 5, 9, 30])
def test_a_cable_pulled_at_any_moment_is_one_line_and_exit_4(
    verb: str, left: int, cable: type[Cable], line: ControllerLine, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cable.left = left
    code = main([*VERBS[verb], "--robot", name])
    said = capsys.readouterr().err
    if cable.written <= left:  # it was done before
        assert code in {0, 3}
        return
    assert code == 4
    assert said.count("\n") == 1, said
    assert "check cable and power" in said
    line.step(line.now + 2.0)
    stands = line.controller.joints
    line.step(line.now + 1.0)
    assert line.controller.joints == stands


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"monitor"}))
def test_a_port_at_another_rate_is_one_line_and_exit_4(
    verb: str,
    line: ControllerLine,
    monkeypatch: pytest.MonkeyPatch,
    refused: Callable[[str], tuple[int, str]],
) -> None:
    monkeypatch.setattr(ports, "_open_sim", lambda url, rate: SimPort(url, line, 9600, virtual_time=True))
    before = line.controller.joints
    code, said = refused(verb)
    assert code == 4
    assert "check cable, power and baud rate" in said
    assert line.controller.joints == before


def test_a_monitor_at_another_rate_shows_silence(
    name: str, line: ControllerLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ports, "_open_sim", lambda url, rate: SimPort(url, line, 9600, virtual_time=True))
    assert main([*VERBS["monitor"], "--robot", name]) == 0
    assert "silent" in capsys.readouterr().out


@pytest.fixture
def magician(line: ControllerLine, cable: type[Cable]) -> VirtualDobot:
    """A controller that keeps alarms, behind the port."""
    del cable
    assert isinstance(line.controller, VirtualDobot)
    return line.controller


@pytest.mark.parametrize("name", [name for name in ARMS if BUSES[name].protocol == "dobot"], indirect=True)
@pytest.mark.parametrize("verb", ["home", "park", "jog"])
def test_an_alarm_and_a_tool_askew_name_what_homes_the_arm_and_it_does(
    verb: str, name: str, magician: VirtualDobot, refused: Callable[[str], tuple[int, str]]
) -> None:
    magician.alarms.add(0x50)
    code, said = refused(verb)
    assert code == 4
    assert "joint 1 has lost steps" in said
    assert f"genba calibrate --port {URL} --robot {name}" in said
    magician.alarms.clear()
    magician.planner.place((0.0, 0.8, 0.8, 0.4))
    code, said = refused(verb)
    assert code == 4
    assert "j4 stands at 23 degrees" in said
    assert "genba calibrate" in said
    magician.alarms.add(0x50)
    assert main([*VERBS["calibrate"], "--robot", name]) == 0
    assert main([*VERBS[verb], "--robot", name]) == 0
