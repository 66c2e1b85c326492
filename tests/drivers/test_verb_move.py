"""`genba home`, `park`, `jog`, `release`: never faster than asked, through the envelope, stopped at the end."""

import io
import json
import os
from collections.abc import Iterator

import numpy as np
import pytest

from genba.__main__ import main
from genba.drivers import keys as keyboard
from genba.drivers import ports
from genba.drivers.drop import preview
from genba.drivers.guide import Guide
from genba.drivers.jog import HOLD_S, TOOL, Jogger
from genba.drivers.jog import jog as jog_by
from genba.drivers.lead import led
from genba.drivers.virtual.faults import Faults
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.sim_port import SimPort
from genba.robots import catalogue
from genba.robots.description import RobotDescription
from genba.robots.kinematics import Kinematics

URL = "genba-sim://arm"


@pytest.fixture(autouse=True)
def bench(monkeypatch: pytest.MonkeyPatch, robot: RobotDescription, line: VirtualLine) -> None:
    """One virtual arm that stays the same whoever opens its port, and is the only robot."""
    monkeypatch.setattr(ports, "_open_sim", lambda url, rate: SimPort(url, line, rate, virtual_time=True))
    monkeypatch.setattr(catalogue, "load_robot", lambda name: robot)


@pytest.fixture
def path(line: VirtualLine, monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, ...]]:
    """Where the joints were at every step of the plant, as the arm's own witness saw it."""
    rows: list[tuple[float, ...]] = []
    step = line.plant.step

    def watched(commands: object) -> object:
        motion = step(commands)
        rows.append(tuple(motion.positions))
        return motion

    monkeypatch.setattr(line.plant, "step", watched)
    return rows


def torques(line: VirtualLine) -> set[int]:
    return {servo.get("torque_switch") for servo in line.servos}


def done(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main([*arguments, "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    return json.loads(shown.out)


@pytest.mark.parametrize("place", ["home", "park"])
def test_home_and_park_lie_in_the_workspace(place: str, robot: RobotDescription) -> None:
    tool, limits = Kinematics(robot).forward(getattr(robot, place)).position, robot.limits
    inside = zip(limits.workspace_lower, tool, limits.workspace_upper, strict=True)
    assert all(low <= at <= high for low, at, high in inside), f"{robot.name}: tool at {tool} in its {place} position"


@pytest.mark.parametrize("verb", ["home", "park"])
def test_the_arm_gets_there_and_holds(
    verb: str, robot: RobotDescription, line: VirtualLine, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = robot.home if verb == "home" else robot.park
    report = done(capsys, verb, URL, "--speed", "1")
    assert report["stop_confirmed"] is True
    for joint, target in zip(robot.joints, wanted, strict=True):
        assert report["joint_positions"][joint.name] == pytest.approx(target, abs=0.1)  # it sags under its weight
    assert torques(line) == {1}


@pytest.mark.parametrize("speed", [0.1, 0.5])
def test_no_joint_and_no_tool_is_faster_than_asked(
    speed: float, robot: RobotDescription, line: VirtualLine, path: list[tuple[float, ...]]
) -> None:
    for k, joint in enumerate(robot.joints):
        line.plant._positions[k] = joint.home + (0.3 if joint.home < 0.5 * (joint.lower + joint.upper) else -0.3)
    assert main(["home", URL, "--speed", str(speed)]) == 0
    rows = np.array(path)
    window = round(0.1 / 0.001)
    rates = np.abs(rows[window:] - rows[:-window]) / 0.1
    # At the start and at the stop the goal is the measured position, and the arm sinks by what carries its weight.
    rates = rates[1000:-500]
    tops = np.array([j.max_velocity for j in robot.joints]) * speed
    assert (rates[:, :-1].max(axis=0) <= 1.3 * tops + 0.03).all()
    tool = np.array([Kinematics(robot).forward(row[:-1]).position for row in rows[1000:-500:window]])
    assert np.linalg.norm(np.diff(tool, axis=0), axis=1).max() / 0.1 <= 1.3 * robot.limits.tcp_speed * speed + 0.01


@pytest.mark.parametrize("speed", ["0", "1.5", "-1", "nan"])
@pytest.mark.parametrize("verb", ["home", "park", "jog"])
def test_a_speed_beyond_the_limits_is_refused_before_anything_is_sent(
    verb: str, speed: str, line: VirtualLine, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--x", "0.01"] if verb == "jog" else []
    assert main([verb, URL, "--speed", speed, *more]) == 3
    assert "0.02 to 1" in capsys.readouterr().err
    assert torques(line) == {0}


def test_ctrl_c_holds_the_arm_where_it_is(
    monkeypatch: pytest.MonkeyPatch, line: VirtualLine, capsys: pytest.CaptureFixture[str]
) -> None:
    ticks = iter(range(1000))
    toward = Guide.toward

    def pressed(self: Guide, target: object) -> None:
        if next(ticks) == 40:
            raise KeyboardInterrupt
        toward(self, target)

    monkeypatch.setattr(Guide, "toward", pressed)
    assert main(["park", URL]) == 130
    assert capsys.readouterr().err == "genba: interrupted; stopped, holding\n"
    assert torques(line) == {1}
    before = [servo.get("present_position") for servo in line.servos]
    line.step(line.now + 1.0)
    assert [servo.get("present_position") for servo in line.servos] == pytest.approx(before, abs=3)


def test_an_arm_that_is_held_is_not_pushed_for_long(
    robot: RobotDescription, line: VirtualLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plant = line.plant
    step = plant.step

    def jammed(commands: object) -> object:
        held = plant._positions[2]
        motion = step(commands)
        plant._positions[2], plant._velocities[2] = held, 0.0
        return motion

    monkeypatch.setattr(plant, "step", jammed)
    assert main(["park", URL]) == 2
    said = capsys.readouterr().err
    assert robot.actuator_names[2] in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("verb", ["home", "park", "jog"])
def test_a_servo_in_fault_is_named_by_its_joint_and_nothing_moves(
    verb: str, robot: RobotDescription, faults: Faults, line: VirtualLine, capsys: pytest.CaptureFixture[str]
) -> None:
    faults.hot = {3}
    line.step(line.now + 0.1)
    more = ["--x", "0.01"] if verb == "jog" else []
    assert main([verb, URL, *more]) == 4
    said = capsys.readouterr().err
    assert robot.actuator_names[2] in said
    assert said.count("\n") == 1
    assert torques(line) == {0}


# ---- jog


@pytest.mark.parametrize("by", [0.2, -0.15])
def test_a_joint_turns_by_what_was_asked_and_no_other_does(
    by: float, robot: RobotDescription, capsys: pytest.CaptureFixture[str]
) -> None:
    home = done(capsys, "home", URL)["joint_positions"]
    name = robot.actuator_names[0]
    after = done(capsys, "jog", URL, "--joint", name, "--by", str(by), "--speed", "0.5")["joint_positions"]
    assert after[name] - home[name] == pytest.approx(by, abs=0.02)
    others = [after[other] - home[other] for other in robot.actuator_names if other != name]
    assert others == pytest.approx([0.0] * len(others), abs=0.01)


def test_many_small_commands_let_nothing_creep(robot: RobotDescription, capsys: pytest.CaptureFixture[str]) -> None:
    home = done(capsys, "home", URL)["joint_positions"]
    name = robot.actuator_names[4]
    for by in (0.05, 0.05, 0.05, -0.15):
        after = done(capsys, "jog", URL, "--joint", name, "--by", str(by), "--speed", "1")["joint_positions"]
        assert main(["jog", URL, "--joint", name, "--by", "9"]) == 3  # nor does a refusal
        capsys.readouterr()
    assert list(after.values()) == pytest.approx(list(home.values()), abs=0.01)


def test_what_the_gripper_holds_it_goes_on_holding(
    robot: RobotDescription, line: VirtualLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = line.plant
    step = plant.step
    part = robot.gripper.home - 0.05  # the jaw cannot close any further

    def blocked(commands: object) -> object:
        motion = step(commands)
        if plant._positions[-1] < part:
            plant._positions[-1], plant._velocities[-1] = part, 0.0
        return motion

    monkeypatch.setattr(plant, "step", blocked)
    assert main(["home", URL]) == 0
    assert main(["jog", URL, "--joint", robot.gripper.joint, "--by", "-0.15", "--speed", "1"]) == 0
    squeezing = line.servos[-1].get("goal_position")
    assert line.servos[-1].get("present_position") - squeezing > line.servos[-1].counts // 100
    assert main(["jog", URL, "--joint", robot.actuator_names[0], "--by", "0.1", "--speed", "1"]) == 0
    assert line.servos[-1].get("goal_position") == pytest.approx(squeezing, abs=2)


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_the_tool_moves_straight(axis: str, robot: RobotDescription, line: VirtualLine) -> None:
    way = tuple(0.02 if name == axis else 0.0 for name in "xyz")
    with led(robot, URL, None, speed=0.5) as guide:
        start = guide.kinematics.forward(guide.target[:-1]).position
        guide.slide(way)
        end = guide.kinematics.forward(guide.target[:-1]).position
    assert [e - s for s, e in zip(start, end, strict=True)] == pytest.approx(way, abs=1e-3)


def test_the_tool_stops_where_its_workspace_ends(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jog", URL, "--y", "0.9", "--speed", "1"]) == 1
    said = capsys.readouterr().err
    assert "mm before the end of its way" in said
    assert said.count("\n") == 1


def test_what_is_refused_for_where_a_joint_stands_moves_nothing(
    robot: RobotDescription, line: VirtualLine, capsys: pytest.CaptureFixture[str]
) -> None:
    line.step(line.now + 3.0)
    before = list(line.plant.motion().positions)
    assert main(["jog", URL, "--joint", robot.actuator_names[1], "--by", "9"]) == 3
    assert f"{robot.actuator_names[1]} stands at" in capsys.readouterr().err
    assert torques(line) == {0}
    assert list(line.plant.motion().positions) == pytest.approx(before, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--joint", "hip", "--by", "0.1"], "shoulder_pan"),
        (["--joint", "shoulder_pan"], "--by"),
        (["--by", "0.1"], "--joint"),
        (["--joint", "shoulder_pan", "--by", "0.1", "--x", "0.1"], "a joint or the tool"),
        (["--joint", "shoulder_pan", "--by", "9"], "--by may be"),
        (["--x", "nan"], "finite"),
        ([], "no keyboard"),
    ],
)
def test_what_cannot_be_jogged_is_refused(
    arguments: list[str], word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["jog", URL, *arguments]) == 3
    said = capsys.readouterr().err
    assert word in said
    assert said.count("\n") == 1


@pytest.fixture
def guide(robot: RobotDescription) -> Iterator[Guide]:
    with led(robot, URL, None, speed=1.0) as led_arm:
        yield led_arm


@pytest.mark.parametrize("key", ["right", "left", "o", "c", *TOOL])
def test_a_key_that_is_let_go_of_stops_the_arm(key: str, guide: Guide) -> None:
    jogger = Jogger(guide)
    start = guide.target
    jogger.tick([key])
    for _ in range(round(HOLD_S / guide.dt) + 1):
        assert jogger.moving == key
        jogger.tick([])
    assert jogger.moving == ""
    for _ in range(round(0.2 / guide.dt)):
        jogger.tick([])
    there = guide.target
    assert there != start
    for _ in range(10):
        jogger.tick([])
    assert guide.target == pytest.approx(there, abs=1e-9)


def test_a_key_that_is_held_goes_on_and_space_stops_it(guide: Guide) -> None:
    jogger = Jogger(guide)
    for _ in range(30):
        jogger.tick(["right"])
    far = guide.target[0]
    assert far > 0.3
    jogger.tick(["space"])
    assert jogger.moving == ""
    for _ in range(10):
        jogger.tick([])
    assert guide.target[0] - far < 0.05


def test_the_slider_changes_the_speed_in_mid_motion(guide: Guide) -> None:
    jogger = Jogger(guide)

    def way(count: int) -> float:
        before = guide.target[0]
        for _ in range(count):
            jogger.tick(["right"])
        return guide.target[0] - before

    way(10)
    fast = way(10)
    for _ in range(12):
        jogger.tick(["-"])
    way(10)
    assert way(10) < 0.2 * fast
    for _ in range(40):
        jogger.tick(["+"])
    assert guide.speed == 1.0


def test_keys_drive_until_somebody_quits(guide: Guide, robot: RobotDescription) -> None:
    pressed = iter([["2"], ["right"], [], ["q"], ["right"]])
    shown: list[str] = []
    jog_by(guide, lambda: next(pressed), shown.append)
    assert len(shown) == 4
    assert all(robot.actuator_names[1] in text for text in shown)


def test_arrows_and_letters_have_names() -> None:
    assert keyboard.names("a\x1b[C\x1b[D\x1bOA \x1b[Z1") == ["a", "right", "left", "up", "space", "1"]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo terminal")
def test_a_terminal_gives_its_keys_at_once_and_gets_its_settings_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import termios

    master, slave = os.openpty()
    with os.fdopen(slave, "r", encoding="ascii") as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        before = termios.tcgetattr(slave)
        with keyboard.pressed() as read:
            assert read() == []
            os.write(master, b"w\x1b[C")
            assert read() == ["w", "right"]
        assert termios.tcgetattr(slave) == before
    os.close(master)


# ---- release


def test_release_tells_the_drop_and_asks(line: VirtualLine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["home", URL]) == 0
    capsys.readouterr()
    assert main(["release", URL]) == 3
    said = capsys.readouterr().err
    assert "will fall" in said
    assert "--yes" in said
    assert torques(line) == {1}
    assert done(capsys, "release", URL, "--preview")["released"] is False
    assert torques(line) == {1}
    assert done(capsys, "release", URL, "--yes")["released"] is True
    assert torques(line) == {0}


def test_an_arm_that_is_limp_is_released_without_a_question(
    line: VirtualLine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["release", URL]) == 0
    assert "no joint holds torque" in capsys.readouterr().out


def test_the_drop_that_was_told_is_the_drop_that_happens(
    robot: RobotDescription, line: VirtualLine, capsys: pytest.CaptureFixture[str]
) -> None:
    start = done(capsys, "home", URL)
    told = done(capsys, "release", URL, "--yes")["drop"]
    forward = Kinematics(robot).forward
    lowest = start["tcp_position"][2]
    for _ in range(400):
        line.step(line.now + 0.01)
        lowest = min(lowest, forward(list(line.plant.motion().positions)[:-1]).position[2])
    assert told["height"] == pytest.approx(start["tcp_position"][2], abs=5e-3)
    assert max(lowest, 0.0) == pytest.approx(told["lowest"], abs=0.01)


def test_a_parked_arm_hardly_falls(robot: RobotDescription) -> None:
    high = preview(robot, (*robot.home, robot.gripper.home))
    parked = preview(robot, (*robot.park, robot.gripper.home))
    assert parked.drop < high.drop


def test_an_arm_in_fault_can_be_released(faults: Faults, line: VirtualLine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["home", URL]) == 0
    capsys.readouterr()
    faults.hot, faults.overloaded = {2}, {4}
    line.step(line.now + 0.1)
    assert done(capsys, "release", URL, "--yes")["released"] is True
    assert torques(line) == {0}


def test_a_typed_answer_counts(
    line: VirtualLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Person:
        """Types one word."""

        def __init__(self, word: str) -> None:
            self.word = word

        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return f"{self.word}\n"

    assert main(["home", URL]) == 0
    monkeypatch.setattr("sys.stdin", Person("y"))
    assert main(["release", URL]) == 3
    assert torques(line) == {1}
    monkeypatch.setattr("sys.stdin", Person("yes"))
    assert main(["release", URL]) == 0
    assert torques(line) == {0}
    assert "type yes" in capsys.readouterr().err
