"""`genba doctor`: every fault it knows is found where it is made, and brings a command that mends it."""

import json
import platform
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from genba.__main__ import main
from genba.drivers import doctor
from genba.drivers.calibration import nominal_calibration
from genba.drivers.doctor import Finding
from genba.drivers.port_info import PortInfo
from genba.robots.catalogue import load_robot


def port(name: str = "/dev/ttyUSB0", *cures: tuple[str, str]) -> PortInfo:
    return PortInfo(
        port=name, adapter="CH340", usb_id=None, unit=None, by_id=None, held_by=(), latency_ms=None, cures=cures
    )


def backwards() -> Callable[[], float]:
    stamps = iter(range(100_000))
    return lambda: 1.0 - next(stamps) * 1e-6


def ticking(step: float) -> Callable[[], float]:
    stamps = iter(range(100_000))
    return lambda: next(stamps) * step


FAULTS: dict[str, tuple[Callable[[], Iterable[Finding]], str, str]] = {
    "old Python": (lambda: doctor.check_python((3, 9, 2)), "3.9.2", "python3.11"),
    "no pyserial": (
        lambda: doctor.check_packages(lambda name: None if name == "pyserial" or "opencv" in name else "1"),
        "not installed",
        "pip install pyserial",
    ),
    "both OpenCV wheels": (
        lambda: doctor.check_packages(lambda name: "5.0" if "contrib" not in name else None),
        "opencv-python opencv-python-headless",
        "pip uninstall -y opencv-python opencv-python-headless && pip install opencv-python",
    ),
    "no libGL": (
        lambda: doctor.check_opencv(
            lambda: (1, "ImportError: libGL.so.1: cannot open shared object file: No such file or directory")
        ),
        "libGL.so.1",
        "sudo apt install libgl1",
    ),
    "broken OpenCV": (
        lambda: doctor.check_opencv(lambda: (1, "ImportError: numpy.core.multiarray failed to import")),
        "multiarray",
        "pip install --force-reinstall",
    ),
    "clock that runs backwards": (lambda: doctor.check_clock(backwards(), lambda _: None), "backwards", "clocksource"),
    "coarse clock": (lambda: doctor.check_clock(ticking(0.015), lambda _: None), "15.0 ms", "virtual machine"),
    "port that is held": (
        lambda: doctor.check_ports([port("/dev/ttyUSB0", ("it is in use by arduino", "kill 42"))]),
        "arduino",
        "kill 42",
    ),
    "port that is not there": (
        lambda: doctor.check_ports([port()], "/dev/ttyNONE"),
        "/dev/ttyUSB0",
        "genba ports --unplug",
    ),
}


@pytest.mark.parametrize("case", sorted(FAULTS))
def test_a_fault_is_named_and_brings_its_cure(case: str) -> None:
    check, word, cure = FAULTS[case]
    faults = [finding for finding in check() if finding.level == "fault"]
    assert len(faults) == 1
    assert word in faults[0].text
    assert cure in faults[0].cure


def test_everything_that_is_not_well_brings_a_cure(tmp_path: Path) -> None:
    governors = tmp_path / "cpu0/cpufreq"
    governors.mkdir(parents=True)
    (governors / "scaling_governor").write_text("powersave\n")
    found = [
        *doctor.check_cpu(tmp_path, 1),
        *doctor.check_ports([]),
        *doctor.check_calibrations(tmp_path / "none"),
        *doctor.check_packages(lambda name: None),
        *doctor.check_ports([port("/dev/ttyUSB0", ("/dev/ttyUSB0 holds replies back for 16 ms", "echo 1"))]),
    ]
    assert {finding.level for finding in found} == {"warning", "fault"}
    assert all(finding.cure for finding in found)
    assert any("powersave" in finding.text for finding in found)


def test_trouble_at_another_port_is_no_fault_of_the_arm_s() -> None:
    busy = port("/dev/ttyUSB1", ("it is in use by arduino", "kill 42"))
    assert [f.level for f in doctor.check_ports([port(), busy], "/dev/ttyUSB0")] == ["ok", "warning"]


def test_calibrations_are_read_and_dated(tmp_path: Path) -> None:
    folder = tmp_path / "so101"
    made = nominal_calibration(load_robot("so101"), "A1")
    made.save(folder / "fresh.json")
    (folder / "spoiled.json").write_text("{")
    created = datetime.fromisoformat(made.created)
    by_name = {f.name: f for f in doctor.check_calibrations(tmp_path, created + timedelta(days=3))}
    assert by_name["calibration so101/fresh"].level == "ok"
    assert by_name["calibration so101/fresh"].text == "3 days old"
    assert by_name["calibration so101/spoiled"].level == "fault"
    assert "\n" not in by_name["calibration so101/spoiled"].text
    old = {f.name: f for f in doctor.check_calibrations(tmp_path, created + timedelta(days=400))}
    assert old["calibration so101/fresh"].level == "warning"
    assert "genba calibrate --robot so101" in old["calibration so101/fresh"].cure


def test_the_arm_on_the_port_must_have_a_calibration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENBA_HOME", str(tmp_path))
    robot = load_robot("so101")
    (finding,) = doctor.check_unit(robot, "/dev/ttyACM7")
    assert finding.level == "fault"
    assert finding.cure == "genba calibrate --port /dev/ttyACM7 --robot so101"
    nominal_calibration(robot, "ttyACM7").save()
    (finding,) = doctor.check_unit(robot, "/dev/ttyACM7")
    assert finding.level == "ok"


def test_the_verb_says_ok_on_a_good_machine_and_4_on_a_bad_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from genba.drivers import port_info

    monkeypatch.setenv("GENBA_HOME", str(tmp_path))
    monkeypatch.setattr(port_info, "list_port_info", lambda: [port()])
    good = [Finding(name="clock", level="ok", text="fine")]
    monkeypatch.setattr(doctor, "check_clock", lambda: good)
    monkeypatch.setattr(doctor, "check_opencv", list)
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["faults"] == 0
    assert {"name", "level", "text", "cure"} == set(report["findings"][0])
    assert main(["doctor", "--port", "/dev/ttyNONE"]) == 4
    text = capsys.readouterr().out
    assert "fault    /dev/ttyNONE" in text
    assert "mend it with: genba ports --unplug" in text


def test_the_true_machine_is_looked_over_without_a_word_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) in (0, 4)
    shown = capsys.readouterr()
    assert shown.err == ""
    assert f"python: {platform.python_version()}" in shown.out
