"""`genba ports`: what is known of a port, told from made-up system tables, and the cable that is pulled."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from serial.tools.list_ports_common import ListPortInfo

from genba.__main__ import main
from genba.drivers import port_info
from genba.drivers.port_info import await_cable, describe
from genba.drivers.ports import open_port
from genba.robots.errors import BusError

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the tables of Linux")


def plugged(device: str, vid: int | None = None, pid: int | None = None, product: str | None = None) -> ListPortInfo:
    port = ListPortInfo(device)
    port.vid, port.pid, port.product, port.serial_number = vid, pid, product, "A1B2"
    return port


class StepClock:
    """A clock that jumps to whatever it is asked to wait for."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep_until(self, moment: float) -> None:
        self.time = moment


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A system with one FTDI adapter, held by the program 42."""
    (tmp_path / "dev/serial/by-id").mkdir(parents=True)
    device = tmp_path / "dev/ttyUSB0"
    device.write_text("")
    (tmp_path / "dev/serial/by-id/usb-arm").symlink_to(device)
    timer = tmp_path / "sys/bus/usb-serial/devices/ttyUSB0"
    timer.mkdir(parents=True)
    (timer / "latency_timer").write_text("16\n")
    for process, name in ((42, "arduino"), (43, "bash")):
        (tmp_path / f"proc/{process}/fd").mkdir(parents=True)
        (tmp_path / f"proc/{process}/comm").write_text(f"{name}\n")
    (tmp_path / "proc/42/fd/7").symlink_to(device)
    return tmp_path


@linux
def test_a_port_tells_its_adapter_its_holder_and_its_latency(system: Path) -> None:
    info = describe(plugged(str(system / "dev/ttyUSB0"), 0x0403, 0x6014), system)
    assert info.adapter == "FT232H, as in the U2D2"
    assert info.usb_id == "0403:6014"
    assert info.unit == "A1B2"
    assert info.by_id == str(system / "dev/serial/by-id/usb-arm")
    assert info.held_by == ("arduino (process 42)",)
    assert info.latency_ms == 16
    cures = dict(info.cures)
    assert "kill 42" in cures.values()
    assert "echo 1 | sudo tee /sys/bus/usb-serial/devices/ttyUSB0/latency_timer" in cures.values()


@linux
def test_a_quick_timer_needs_no_cure(system: Path) -> None:
    (system / "sys/bus/usb-serial/devices/ttyUSB0/latency_timer").write_text("1\n")
    (system / "proc/42/fd/7").unlink()
    info = describe(plugged(str(system / "dev/ttyUSB0"), 0x0403, 0x6001, "TTL232R"), system)
    assert (info.adapter, info.cures) == ("TTL232R", ())


def test_a_port_one_may_not_open_names_its_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("grp")
    device = tmp_path / "ttyACM0"
    device.write_text("")
    monkeypatch.setattr(os, "access", lambda *_: False)
    ((trouble, cure),) = describe(plugged(str(device), 0x1A86, 0x55D3), tmp_path).cures
    assert "may not open" in trouble
    assert cure.startswith("sudo usermod -aG ")


def test_an_adapter_without_a_visible_timer_is_told_of_all_the_same(tmp_path: Path) -> None:
    ((trouble, cure),) = describe(plugged("COM7", 0x0403, 0x6001), tmp_path).cures
    assert "COM7" in trouble
    assert "Latency Timer" in cure


@linux
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo terminal")
def test_this_very_program_is_seen_holding_its_port() -> None:
    master, slave = os.openpty()
    try:
        held = describe(ListPortInfo(os.ttyname(slave))).held_by
        assert any(f"(process {os.getpid()})" in who for who in held)
    finally:
        os.close(master)
        os.close(slave)


@linux
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo terminal")
def test_a_port_that_cannot_be_opened_names_who_holds_it() -> None:
    master, slave = os.openpty()
    path = os.ttyname(slave)
    port = open_port(path, 1_000_000)
    try:
        with pytest.raises(BusError, match=rf"in use by another program \(.*process {os.getpid()}.*\)"):
            open_port(path, 1_000_000)
    finally:
        port.close()
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (["COM3", "COM5"], ["COM3"], ("unplugged", ["COM5"])),
        (["COM3"], ["COM3", "COM5"], ("plugged in", ["COM5"])),
    ],
)
def test_the_cable_that_moves_is_the_arm_s(before: list[str], after: list[str], said: tuple[str, list[str]]) -> None:
    looks: Iterator[list[str]] = iter([before, before, before, after])
    assert await_cable(lambda: next(looks), 30.0, clock=StepClock()) == said


def test_nobody_waits_for_a_cable_for_ever() -> None:
    clock = StepClock()
    with pytest.raises(BusError, match="COM3"):
        await_cable(lambda: ["COM3"], 5.0, clock=clock)
    assert clock.time == pytest.approx(5.0, abs=0.3)


def test_the_verb_lists_and_speaks_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ports = [plugged("COM3", 0x1A86, 0x55D3, "USB Single Serial"), plugged("COM7", 0x0403, 0x6001)]
    monkeypatch.setattr(port_info.list_ports, "comports", lambda: ports)
    assert main(["ports"]) == 0
    text = capsys.readouterr().out
    assert "USB Single Serial" in text
    assert "1A86:55D3" in text
    assert "Latency Timer" in text
    assert main(["ports", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["port"] for row in rows] == ["COM3", "COM7"]
    assert {"adapter", "usb_id", "unit", "by_id", "held_by", "latency_ms", "cures"} <= set(rows[0])


def test_the_verb_finds_the_arm_by_its_cable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from genba.drivers import ports

    here, gone = plugged("COM3"), plugged("COM5", 0x1A86, 0x55D3, "USB Single Serial")
    monkeypatch.setattr(port_info.list_ports, "comports", lambda: [here, gone])
    looks = iter([["COM3", "COM5"], ["COM3"]])
    monkeypatch.setattr(ports, "port_names", lambda: next(looks))
    assert main(["ports", "--unplug", "--wait", "1", "--json"]) == 0
    shown = capsys.readouterr()
    assert "now" in shown.err
    found = json.loads(shown.out)
    assert found["happened"] == "unplugged"
    assert [row["port"] for row in found["ports"]] == ["COM5"]


def test_the_verb_ends_when_no_cable_moves(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ports", "--unplug", "--wait", "0"]) == 4
    assert "no port came or went" in capsys.readouterr().err
