"""What can be wrong with an arm behind its own controller, in every verb: one line that names it, and the cure."""

from collections.abc import Callable
from pathlib import Path

import pytest

from genba.__main__ import main
from genba.drivers import ports
from genba.drivers.protocols import language_names
from genba.drivers.verbs import VERBS as DRIVER_VERBS
from genba.drivers.virtual.controller import ControllerLine, load_controller
from genba.drivers.virtual.dobot import VirtualDobot
from genba.drivers.virtual.sim_port import SimPort
from genba.policies.bundle import PolicyBundle
from genba.robots.catalogue import load_robot, robot_names

BUSES = {name: bus for name in robot_names() if (bus := load_robot(name).bus) is not None}
ARMS = [name for name, bus in BUSES.items() if bus.protocol in language_names()]
URL = "genba-sim://arm"
VERBS: dict[str, list[str]] = {
    "run": ["run", "POLICY", "--port", URL, "--episodes", "3"],
    "scan": ["scan", URL],
    "home": ["home", URL],
    "park": ["park", URL],
    "jog": ["jog", URL, "--x", "0.02", "--speed", "0.5"],
    "jog --joint": ["jog", URL, "--joint", "JOINT", "--by", "0.2", "--speed", "0.5"],
    "release": ["release", URL, "--yes"],
    "monitor": ["monitor", URL, "--seconds", "2"],
    "calibrate": ["calibrate", "--port", URL, "--yes"],
}


class Cable(SimPort):
    """A port whose cable is pulled after so many requests."""

    wire: ControllerLine
    left = 1_000_000
    written = 0
    pulled: tuple[float, ...] | None = None  # where the joints were at that moment, rad

    def write(self, data: bytes) -> None:
        """Send bytes while the cable holds."""
        own = type(self)
        own.written += 1
        self.line.faults.unplugged = own.written > own.left
        if self.line.faults.unplugged and own.pulled is None:
            own.pulled = own.wire.controller.joints
        super().write(data)


def live(line: ControllerLine, duration: float) -> None:
    """Let time pass without a host, s."""
    for _ in range(round(duration / 0.5)):
        line.step(line.now + 0.5)


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

        wire = line

    monkeypatch.setattr(ports, "_open_sim", lambda url, rate: Own(url, Own.wire, rate, virtual_time=True))
    return Own


@pytest.fixture
def words(verb: str, name: str, bowing: Callable[[str], PolicyBundle], tmp_path: Path) -> list[str]:
    """The command line of a verb."""
    given = {"JOINT": load_robot(name).joint_names[0], "POLICY": str(tmp_path / "bow.genba")}
    if verb == "run":
        bowing(name).save(tmp_path / "bow.genba")
        return [given.get(word, word) for word in VERBS[verb]]
    return [*(given.get(word, word) for word in VERBS[verb]), "--robot", name]


@pytest.fixture
def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> Callable[[], tuple[int, str]]:
    """Run the verb, which must fail: its exit code and its one line."""

    def run() -> tuple[int, str]:
        code = main(words)
        said = capsys.readouterr().err
        assert said.count("\n") == 1, said
        assert said.startswith("genba: ")
        assert "Traceback" not in said
        return code, said

    return run


def test_every_verb_is_here() -> None:
    moves = {verb for verb in DRIVER_VERBS if verb not in {"ports", "doctor", "setup"}}  # controllers have no ids
    assert set(VERBS) == {*moves, "run", "jog --joint"}


@pytest.mark.parametrize("verb", VERBS)
def test_a_cable_pulled_at_any_moment_is_one_line_exit_4_and_an_arm_that_stands(
    verb: str, words: list[str], cable: type[Cable], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    robot = load_robot(name)

    def run(left: int) -> int:
        cable.wire = ControllerLine(load_controller(BUSES[name].protocol))
        live(cable.wire, 1.0)
        cable.written, cable.left, cable.pulled = 0, left, None
        capsys.readouterr()
        return main(words)

    assert run(Cable.left) in {0, 1, 3}  # a policy that only bows reaches no goal; not every motor can be released
    count = cable.written
    for left in (*(int(share * count) for share in (0.0, 0.05, 0.1, 0.3, 0.5, 0.7)), *range(count - 4, count)):
        assert run(left) == 4, left
        said = [text for text in capsys.readouterr().err.splitlines() if not text.startswith("run: ")]
        assert len(said) == 1, said
        assert said[0].startswith("genba: ")
        assert "check cable and power" in said[0]
        assert cable.pulled is not None
        live(cable.wire, 60.0 if verb == "calibrate" else 2.0)  # a search for the reference ends by itself
        stands = cable.wire.controller.joints
        for was, is_, reach in zip(cable.pulled, stands, robot.limits.look_ahead, strict=False):
            assert abs(is_ - was) <= reach or verb == "calibrate"
        live(cable.wire, 1.0)
        assert cable.wire.controller.joints == stands


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"monitor", "scan"}))
def test_a_port_at_another_rate_is_one_line_and_exit_4(
    verb: str,
    line: ControllerLine,
    monkeypatch: pytest.MonkeyPatch,
    refused: Callable[[], tuple[int, str]],
) -> None:
    monkeypatch.setattr(ports, "_open_sim", lambda url, rate: SimPort(url, line, 9600, virtual_time=True))
    before = line.controller.joints
    code, said = refused()
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
    words: list[str], name: str, magician: VirtualDobot, refused: Callable[[], tuple[int, str]]
) -> None:
    magician.alarms.add(0x50)
    code, said = refused()
    assert code == 4
    assert "joint 1 has lost steps" in said
    assert f"genba calibrate --port {URL} --robot {name}" in said
    magician.alarms.clear()
    magician.planner.place((0.0, 0.8, 0.8, 0.4))
    code, said = refused()
    assert code == 4
    assert "j4 stands at 23 degrees" in said
    assert "genba calibrate" in said
    magician.alarms.add(0x50)
    assert main([*VERBS["calibrate"], "--robot", name]) == 0
    assert main(words) == 0
