"""A calibration belongs to one unit, survives its file, and is refused by the name of what does not fit."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genba.drivers.bus import ActuatorBus
from genba.drivers.calibration import (
    ActuatorCalibration,
    calibrate_to_nominal,
    calibration_path,
    load_calibration,
    nominal_calibration,
)
from genba.robots.catalogue import load_robot
from genba.robots.description import RobotDescription
from genba.robots.errors import RefusedError

ROW = ActuatorCalibration(
    actuator_id=1, joint="a", zero_ticks=2048.0, sign=1, lower_ticks=800, upper_ticks=3300, ticks_per_turn=4096,
    model_number=777, offset_ticks=0,
)  # fmt: skip


@given(st.integers(800, 3300), st.sampled_from([-1, 1]), st.floats(1900, 2200))
def test_ticks_survive_the_way_through_radians(ticks: int, sign: int, zero: float) -> None:
    row = replace(ROW, sign=sign, zero_ticks=zero)
    assert row.to_ticks(row.to_position(ticks)) == ticks


@given(st.floats(-1e6, 1e6))
def test_no_angle_leads_out_of_the_range(position: float) -> None:
    assert ROW.lower_ticks <= ROW.to_ticks(position) <= ROW.upper_ticks


def test_nominal_means_the_centre_count_at_zero(robot: RobotDescription) -> None:
    calibration = nominal_calibration(robot)
    calibration.check(robot)
    for row, joint in zip(calibration.actuators, robot.joints, strict=False):
        assert row.to_ticks(0.0) == row.zero_ticks
        assert row.to_position(round(row.zero_ticks + row.ticks_per_turn / 4)) == pytest.approx(math.pi / 2, abs=0.002)
        assert joint.lower <= row.to_position(row.lower_ticks) < row.to_position(row.upper_ticks) <= joint.upper


def test_a_file_gives_back_what_was_saved(robot: RobotDescription, tmp_path: Path) -> None:
    calibration = nominal_calibration(robot, "A1B2")
    path = calibration.save(tmp_path / "deep" / "unit.json")
    assert load_calibration(path) == calibration
    assert [p.name for p in path.parent.iterdir()] == ["unit.json"]


def test_the_home_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENBA_HOME", str(tmp_path))
    assert calibration_path("so101", "a/../b").is_relative_to(tmp_path / "calibration" / "so101")
    assert calibration_path("so101", "a/../b").parent == tmp_path / "calibration" / "so101"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda t: t.update(extra=1), "extra"),
        (lambda t: t.update(format_version=9), "format_version 9"),
        (lambda t: t.pop("robot"), "robot"),
        (lambda t: t["actuators"][2].update(sign=2), "elbow_flex"),
        (lambda t: t["actuators"][2].update(lower_ticks=4000), "elbow_flex"),
        (lambda t: t["actuators"][0].update(zero_ticks=float("nan")), "NaN"),
        (lambda t: t["actuators"][0].update(zero_ticks="2048"), "zero_ticks"),
        (lambda t: t["actuators"][0].update(ticks_per_turn=0), "ticks_per_turn"),
    ],
)
def test_a_spoiled_file_is_refused_by_name(robot: RobotDescription, tmp_path: Path, change, word: str) -> None:
    path = nominal_calibration(robot).save(tmp_path / "unit.json")
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))
    with pytest.raises(RefusedError, match=word):
        load_calibration(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format_version": Infinity}', "[" * 5000])
def test_what_is_no_calibration_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "unit.json"
    path.write_text(text)
    with pytest.raises(RefusedError, match=r"unit\.json"):
        load_calibration(path)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="genba calibrate"):
        load_calibration(tmp_path / "none.json")


def test_another_arm_s_calibration_is_refused(robot: RobotDescription) -> None:
    calibration = nominal_calibration(robot)
    first, *rest = calibration.actuators
    cases = [
        (replace(calibration, robot="so100"), "so100"),
        (replace(calibration, actuators=(replace(first, actuator_id=11), *rest)), "actuator ids"),
        (replace(calibration, actuators=(replace(first, joint="hip"), *rest)), "hip"),
        (replace(calibration, actuators=(replace(first, model_number=2825), *rest)), "2825"),
    ]
    for wrong, word in cases:
        with pytest.raises(RefusedError, match=word):
            wrong.check(robot)


def test_an_arm_without_a_bus_has_nothing_to_calibrate() -> None:
    with pytest.raises(RefusedError, match="panda"):
        nominal_calibration(load_robot("panda"))


def test_calibrating_reads_and_never_writes(robot: RobotDescription, bus: ActuatorBus, line, tmp_path: Path) -> None:
    before = [bytes(s.memory[:56]) for s in line.servos]
    calibration, path = calibrate_to_nominal(robot, bus, "twin", tmp_path / "twin.json")
    assert load_calibration(path) == calibration
    assert [bytes(s.memory[:56]) for s in line.servos] == before


def test_calibrating_refuses_an_arm_under_torque(robot: RobotDescription, bus: ActuatorBus, tmp_path: Path) -> None:
    bus.write(4, "goal_position", bus.read(4, "present_position"))
    bus.write(4, "torque_switch", 1)
    with pytest.raises(RefusedError, match="wrist_flex"):
        calibrate_to_nominal(robot, bus, "twin", tmp_path / "twin.json")
    assert not list(tmp_path.iterdir())


def test_calibrating_refuses_a_horn_mounted_elsewhere(
    robot: RobotDescription,
    bus: ActuatorBus,
    tmp_path: Path,
) -> None:
    row = nominal_calibration(robot).actuators[1]
    register = bus.framing.offset_register
    if register is None:
        return  # such a servo cannot be shifted without its horn
    for away in (1.5, -1.5):  # some servos add the offset, others subtract it
        bus.write(2, register, round(away / (2 * math.pi) * row.ticks_per_turn))
        if not row.lower_ticks - 200 <= bus.read(2, "present_position") <= row.upper_ticks + 200:
            break
    with pytest.raises(RefusedError, match="shoulder_lift"):
        calibrate_to_nominal(robot, bus, "twin", tmp_path / "twin.json")
