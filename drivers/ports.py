"""Open a port by URL and give it one face: flush, write, read until a deadline, close.

    /dev/ttyACM0  COM5  socket://127.0.0.1:7000  rfc2217://...       what pyserial knows
    genba-sim://so101?ids=1,2&seed=3&time=virtual                    virtual servos in this process
    genba-sim://so101?drop=0.01&late=0.005                           on a bad wire: chances per reply
    genba-sim://grbl?time=virtual                                    a bare controller, by its command language

Where the operating system has `poll`, a read sleeps in it; it never spins. Modem lines are never touched, because a
pseudo terminal has none. However a cable is pulled - pyserial has three ways to say so - it becomes `LinkLostError`.
"""

import os
import select
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

import serial
from serial.tools import list_ports

from ..robots.errors import BusError, LinkLostError, RefusedError
from .pace import Clock, WallClock

WRITE_TIMEOUT = 0.5  # s after which a port that takes no bytes is given up
SIM_SCHEME = "genba-sim"
# What may go wrong on a virtual wire.
CHANCES = ("drop", "duplicate", "flip", "foreign", "insert", "late", "reboot", "truncate")
READ_SIZE = 4096

if sys.platform == "win32":
    LINK_ERRORS: tuple[type[Exception], ...] = (serial.SerialException, OSError)
else:
    import termios

    LINK_ERRORS = (serial.SerialException, OSError, termios.error)


class Port(Protocol):
    """One open port; `clock` is the time in which its deadlines count."""

    @property
    def name(self) -> str:
        """The URL it was opened by."""

    @property
    def baud_rate(self) -> int:
        """Bits per second."""

    @property
    def clock(self) -> Clock:
        """The clock of its deadlines: the wall's, or virtual time."""

    def flush_input(self) -> None:
        """Throw away what has been received."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def read(self, size: int, deadline: float) -> bytes:
        """Return what is there once `size` bytes are, or at the deadline, which may be nothing."""

    def close(self) -> None:
        """Give the port back; a second call does nothing."""


class SerialPort:
    """A port that pyserial opens; on POSIX it waits on the file descriptor, elsewhere in pyserial's own read."""

    def __init__(self, url: str, baud_rate: int) -> None:
        """Open the port for this process alone.

        Raises:
            BusError: If it is busy, missing or will not take the rate.
        """
        self.name = url
        self.baud_rate = baud_rate
        self.clock: Clock = WallClock()
        try:
            device = serial.serial_for_url(
                url,
                baudrate=baud_rate,
                timeout=0,
                write_timeout=WRITE_TIMEOUT,
                exclusive=None if os.name == "nt" else True,
            )
        except (*LINK_ERRORS, ValueError) as error:
            raise _cannot_open(url, error) from error
        self._device: serial.SerialBase | None = device
        self._poll: select.poll | None = None
        self._fd = -1
        if hasattr(select, "poll"):
            with suppress(AttributeError, OSError, ValueError):
                self._fd = device.fileno()
                self._poll = select.poll()
                self._poll.register(self._fd, select.POLLIN)
        if url.startswith("socket://") and self._fd >= 0:
            with socket.socket(fileno=os.dup(self._fd)) as twin:
                twin.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _open(self) -> serial.SerialBase:
        if self._device is None:
            raise LinkLostError(f"port {self.name} is closed")
        return self._device

    def _lost(self, error: Exception | None = None) -> LinkLostError:
        detail = f" ({error})" if error else ""
        return LinkLostError(f"port {self.name} is gone{detail}: check cable and power, then connect again")

    def flush_input(self) -> None:
        """Throw away what has been received."""
        device = self._open()
        if self._poll is None:
            try:
                device.read(READ_SIZE)
            except LINK_ERRORS as error:
                raise self._lost(error) from error
        elif self._poll.poll(0):
            while len(self._take()) == READ_SIZE:
                pass

    def write(self, data: bytes) -> None:
        """Send bytes."""
        device = self._open()
        try:
            if self._poll is None:
                device.write(data)
                return
            with suppress(BlockingIOError):
                sent = os.write(self._fd, data)
                if sent == len(data):
                    return
                data = data[sent:]
            device.write(data)
        except LINK_ERRORS as error:
            raise self._lost(error) from error

    def _take(self) -> bytes:
        try:
            data = os.read(self._fd, READ_SIZE)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._lost(error) from error
        if not data:
            raise self._lost()
        return data

    def read(self, size: int, deadline: float) -> bytes:
        """Return what is there once `size` bytes are, or at the deadline, which may be nothing."""
        device = self._open()
        if self._poll is None:
            try:
                device.timeout = max(deadline - time.perf_counter(), 0.0)
                return bytes(device.read(size))
            except LINK_ERRORS as error:
                raise self._lost(error) from error
        data = b""
        while True:
            left = (deadline - time.perf_counter()) * 1e3
            if self._poll.poll(left if left > 0.0 else 0):
                data += self._take()
                if len(data) >= size:
                    return data
            if left <= 0.0:
                return data

    def close(self) -> None:
        """Give the port back; a second call does nothing."""
        if self._device is not None:
            raw = getattr(self._device, "_socket", None)
            with suppress(*LINK_ERRORS):
                self._device.close()
            if raw is not None:
                raw.close()  # pyserial leaves it open where the other end has gone first
            self._device = None


def open_port(url: str, baud_rate: int) -> Port:
    """Open a port.

    Args:
        url: A device name, any pyserial URL, or `genba-sim://robot`.
        baud_rate: Bits per second.

    Raises:
        BusError: If the port is busy or missing; the text names the cure and the ports that exist.
        RefusedError: If the URL does not parse.
    """
    if url.startswith(f"{SIM_SCHEME}:"):
        return _open_sim(url, baud_rate)
    return SerialPort(url, baud_rate)


def _open_sim(url: str, baud_rate: int) -> Port:
    from ..robots.catalogue import load_robot, robot_names
    from .protocols import language_names
    from .virtual.controller import ControllerLine, load_controller
    from .virtual.faults import Faults
    from .virtual.line import VirtualLine
    from .virtual.sim_port import Line, SimPort

    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise RefusedError(
            f"{url}: is no URL ({error}); give {SIM_SCHEME}://ROBOT, such as {SIM_SCHEME}://so101"
        ) from error
    known = {"ids", "seed", "time", *CHANCES}
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for key in options:
        if key not in known:
            raise RefusedError(f"{url}: unknown option {key!r}; allowed: {', '.join(sorted(known))}")
    if options.get("time", "wall") not in ("wall", "virtual"):
        raise RefusedError(f"{url}: time is {options['time']!r}; allowed: wall, virtual")
    try:
        ids = [int(item) for item in options["ids"].split(",")] if "ids" in options else None
        seed = int(options.get("seed", "0"))
    except ValueError as error:
        raise RefusedError(f"{url}: ids and seed must be whole numbers, as in ids=1,2,3&seed=4") from error
    faults = Faults(seed=seed)
    for name in CHANCES:
        if name in options:
            setattr(faults, name, _chance(url, name, options[name]))
    line: Line
    language = parts.netloc
    if language in robot_names():
        robot = load_robot(language)
        language = robot.bus.protocol if robot.bus is not None else ""
    if language in language_names():
        line = ControllerLine(load_controller(language), faults=faults)
    else:
        line = VirtualLine(load_robot(parts.netloc), ids=ids, faults=faults)
    return SimPort(url, line, baud_rate, virtual_time=options.get("time") == "virtual")


def _chance(url: str, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise RefusedError(f"{url}: {name} is {text!r}; it is a chance per reply, a number from 0 to 1")
    return value


def port_names() -> list[str]:
    """Names of the serial ports of this machine, USB ports first."""
    ports = sorted(list_ports.comports(), key=lambda p: (p.vid is None, p.device))
    return [port.device for port in ports]


def usb_serial(url: str) -> str | None:
    """Key of the unit behind a port: the USB serial number of its adapter, where it has one.

    Args:
        url: As for `open_port`.
    """
    for port in list_ports.comports():
        if port.serial_number and port.device in (url, os.path.realpath(url)):
            return str(port.serial_number)
    return None


def _cannot_open(url: str, error: Exception) -> BusError | RefusedError:
    from .port_info import holders, permission_cure

    there = ", ".join(port_names()) or "none"
    text = str(error).lower()
    if "exclusively lock" in text or "access is denied" in text or "busy" in text:
        who = ", ".join(holders(url))
        return BusError(f"port {url} is in use by another program{who and f' ({who})'}: close that program first")
    if "permission" in text:
        cure = permission_cure(url) or "add your user to the group that owns it"
        return BusError(f"port {url}: permission denied: {cure}")
    if "://" in url and not Path(url).exists():
        if isinstance(error, ValueError):
            return RefusedError(f"port {url}: not a URL pyserial knows ({error})")
        return BusError(f"port {url}: nothing answers there; start it first (genba twin), or check host and port")
    if isinstance(error, ValueError):
        return RefusedError(f"port {url}: {error}")
    if isinstance(error, OSError) and not Path(url).exists():
        return BusError(f"port {url} does not exist; ports on this machine: {there}")
    return BusError(f"port {url} cannot be opened ({error}); ports on this machine: {there}")
