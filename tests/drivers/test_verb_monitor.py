"""`genba monitor`: it shows everything, silent and faulty servos included, writes nothing, and draws what it saw."""

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from genba.__main__ import main
from genba.drivers import chart, ports
from genba.drivers.monitor import Reading, Sample
from genba.drivers.virtual.faults import Faults
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.sim_port import SimPort
from genba.robots import catalogue
from genba.robots.description import RobotDescription

URL = "genba-sim://arm"


@pytest.fixture(autouse=True)
def bench(monkeypatch: pytest.MonkeyPatch, robot: RobotDescription, line: VirtualLine) -> None:
    """One virtual arm that stays the same whoever opens its port, and is the only robot."""
    monkeypatch.setattr(ports, "_open_sim", lambda url, rate: SimPort(url, line, rate, virtual_time=True))
    monkeypatch.setattr(catalogue, "load_robot", lambda name: robot)


def watch(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    assert main(["monitor", URL, "--json", *arguments]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    return [json.loads(line) for line in shown.out.splitlines()]


def test_a_line_per_sample_and_an_entry_per_joint(robot: RobotDescription, capsys: pytest.CaptureFixture[str]) -> None:
    rows = watch(capsys, "--seconds", "1", "--rate", "20")
    assert len(rows) in (20, 21)
    assert [row["time"] for row in rows] == pytest.approx([k / 20 for k in range(len(rows))], abs=0.01)
    for row in rows:
        assert tuple(row["joints"]) == robot.actuator_names
    last = rows[-1]["joints"][robot.actuator_names[1]]
    assert last["position"] == pytest.approx(robot.home[1], abs=0.01)
    assert {"position", "velocity", "load", "voltage", "temperature", "current", "faults"} == set(last)


def test_watching_writes_nothing(line: VirtualLine) -> None:
    before = [bytes(s.memory[:56]) for s in line.servos]
    assert main(["monitor", URL, "--seconds", "0.5"]) == 0
    assert [bytes(s.memory[:56]) for s in line.servos] == before


def test_silence_and_faults_are_shown_and_end_nothing(
    robot: RobotDescription, faults: Faults, line: VirtualLine, capsys: pytest.CaptureFixture[str]
) -> None:
    faults.silent, faults.hot = {5}, {2}
    line.step(line.now + 0.2)
    (row, *_) = watch(capsys, "--seconds", "0.1")
    assert row["joints"][robot.actuator_names[4]] is None
    assert row["joints"][robot.actuator_names[1]]["faults"]
    assert main(["monitor", URL, "--seconds", "0.1"]) == 0
    text = capsys.readouterr().out.splitlines()
    assert any(line.startswith(robot.actuator_names[4]) and "silent" in line for line in text)
    assert any(line.startswith(robot.actuator_names[1]) and not line.endswith(" ok") for line in text)


def test_ctrl_c_is_how_watching_ends_and_the_picture_is_drawn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from genba.drivers.monitor import Monitor

    take, count = Monitor.take, iter(range(100))

    def pressed(self: Monitor) -> Sample:
        if next(count) == 10:
            raise KeyboardInterrupt
        return take(self)

    monkeypatch.setattr(Monitor, "take", pressed)
    file = tmp_path / "arm.png"
    assert len(watch(capsys, "--plot", str(file))) == 10
    picture = cv2.imread(str(file))
    assert picture is not None
    assert picture.shape[1] == chart.WIDTH


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["--rate", "0"], "rate"), (["--rate", "nan"], "rate"), (["--seconds", "-1"], "seconds")],
)
def test_what_cannot_be_watched_is_refused(arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitor", URL, *arguments]) == 3
    assert word in capsys.readouterr().err


def test_a_picture_that_cannot_be_written_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitor", URL, "--seconds", "0.2", "--plot", str(tmp_path / "none" / "arm.png")]) == 3
    assert "cannot be written" in capsys.readouterr().err


# ---- the picture


def reading(position: float) -> Reading:
    return Reading(position=position, velocity=0.0, load=0.0, voltage=12.0, temperature=30, current=None, faults=())


def test_every_joint_has_its_line_and_silence_is_a_gap() -> None:
    samples = [
        Sample(time=k / 10, joints={"a": reading(math.sin(k / 10)), "b": None if 40 <= k < 60 else reading(0.5)})
        for k in range(100)
    ]
    picture = chart.draw(samples, "test").astype(int)
    panel = picture[chart.HEAD : chart.HEAD + chart.PANEL, chart.LEFT : chart.WIDTH - chart.RIGHT]
    for k in range(2):
        distance = np.abs(panel - np.array(chart.COLOURS[k])).sum(axis=2)
        columns = (distance < 60).any(axis=0)
        width = len(columns)
        assert columns[: width * 39 // 100].mean() > 0.9
        assert columns[width * 42 // 100 : width * 58 // 100].any() == (k == 0)


def test_one_sample_is_no_picture() -> None:
    with pytest.raises(chart.RefusedError, match="two samples"):
        chart.draw([Sample(time=0.0, joints={"a": reading(0.0)})], "test")


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.2, 4.1), (11.9, 12.1), (-1e-3, 2e-3), (0.0, 4000.0)])
def test_the_numbers_on_an_axis_are_round_and_inside(low: float, high: float) -> None:
    steps = chart.round_steps(low, high)
    assert 2 <= len(steps) <= 10
    assert all(low - 1e-9 <= step <= high + 1e-9 for step in steps)
    gap = steps[1] - steps[0]
    assert round(gap / 10.0 ** math.floor(math.log10(gap * 1.0001)), 6) in (1.0, 2.0, 5.0)
