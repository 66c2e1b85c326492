"""Ports: what opens, what is refused with which words, and how a lost link looks from above."""

import os
import socket
import threading
import time

import pytest
import serial

from genba.drivers.bus import ActuatorBus
from genba.drivers.ports import LINK_ERRORS, SerialPort, open_port, port_names, usb_serial
from genba.drivers.protocols.feetech_sts import FRAMING
from genba.robots.errors import BusError, LinkLostError, RefusedError, UnknownNameError

needs_pty = pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo terminals")


@pytest.fixture
def pty():
    import tty

    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    for fd in (master, slave):
        try:
            os.close(fd)
        except OSError:
            continue


@needs_pty
def test_a_read_ends_when_the_bytes_are_there_or_at_the_deadline(pty) -> None:
    master, path = pty
    port = open_port(path, 1_000_000)
    os.write(master, b"abc")
    assert port.read(3, time.perf_counter() + 5.0) == b"abc"
    begun = time.perf_counter()
    spent = time.process_time()
    assert port.read(1, begun + 0.1) == b""
    assert 0.1 <= time.perf_counter() - begun < 1.0
    assert time.process_time() - spent < 0.02  # it waited asleep
    os.write(master, b"stale")
    port.flush_input()
    assert port.read(1, 0.0) == b""
    port.write(b"xyz")
    assert os.read(master, 10) == b"xyz"
    port.close()
    port.close()
    with pytest.raises(LinkLostError, match="closed"):
        port.write(b"x")


@needs_pty
def test_a_port_is_ours_alone(pty) -> None:
    _, path = pty
    port = open_port(path, 1_000_000)
    with pytest.raises(BusError, match="in use by another program"):
        open_port(path, 1_000_000)
    port.close()
    open_port(path, 1_000_000).close()


@needs_pty
@pytest.mark.parametrize("error", LINK_ERRORS, ids=lambda e: e.__name__)
@pytest.mark.parametrize("call", ["write", "read", "flush"])
def test_every_way_of_losing_a_link_has_one_name(pty, monkeypatch, error, call: str) -> None:
    _, path = pty
    port = SerialPort(path, 1_000_000)

    def fail(*_: object) -> None:
        raise error(5, "gone") if error is not serial.SerialException else error("gone")

    port._poll = None
    monkeypatch.setattr(port._device, "write", fail)
    monkeypatch.setattr(port._device, "read", fail)
    calls = {
        "write": lambda: port.write(b"x"),
        "read": lambda: port.read(1, time.perf_counter() + 0.01),
        "flush": port.flush_input,
    }
    with pytest.raises(LinkLostError, match="check cable"):
        calls[call]()
    port.close()


@needs_pty
def test_an_unplugged_pty_is_a_lost_link(pty) -> None:
    master, path = pty
    port = open_port(path, 1_000_000)
    os.close(master)
    with pytest.raises(LinkLostError):
        port.read(1, time.perf_counter() + 1.0)
    port.close()


def test_a_socket_is_a_port_until_its_other_end_goes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = open_port(f"socket://127.0.0.1:{server.getsockname()[1]}", 1_000_000)
        other, _ = server.accept()
        port.write(b"ping")
        assert other.recv(10) == b"ping"
        other.sendall(b"pong")
        assert port.read(4, time.perf_counter() + 5.0) == b"pong"
        threading.Timer(0.05, other.close).start()
        with pytest.raises(LinkLostError):
            port.read(1, time.perf_counter() + 5.0)
        port.close()


@pytest.mark.parametrize(
    ("url", "error", "word"),
    [
        ("/dev/ttyNONE7", BusError, "ports on this machine"),
        ("socket://127.0.0.1:1", BusError, "nothing answers"),
        ("nonsense://x", RefusedError, "not a URL"),
        ("genba-sim://so999", UnknownNameError, "so101"),
        ("genba-sim://panda", RefusedError, "no servo bus"),
        ("genba-sim://so101?ids=a", RefusedError, "whole numbers"),
        ("genba-sim://so101?ids=9", RefusedError, "no servo 9"),
        ("genba-sim://so101?speed=2", RefusedError, "unknown option 'speed'"),
        ("genba-sim://so101?time=slow", RefusedError, "wall, virtual"),
    ],
)
def test_what_does_not_open_says_why(url: str, error: type[Exception], word: str) -> None:
    with pytest.raises(error, match=word) as caught:
        open_port(url, 1_000_000)
    assert "\n" not in str(caught.value)


def test_the_virtual_port_lives_on_the_wall_clock_too() -> None:
    bus = ActuatorBus(open_port("genba-sim://so101?ids=1,2", 1_000_000), FRAMING)
    assert bus.scan(range(1, 4)) == [1, 2]
    bus.close()
    with pytest.raises(LinkLostError):
        bus.ping(1)


def test_looking_for_ports_never_fails() -> None:
    assert isinstance(port_names(), list)
    assert usb_serial("/dev/ttyNONE7") is None
