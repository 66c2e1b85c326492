"""Serve a virtual line to other processes: as a pty, or as a TCP socket that takes one client at a time.

One thread does everything in turn - bytes, plant, senses - so a physics world needs no lock. The first line that is
announced ends with the pty's path or `socket://host:port`; the second, where there are senses, is `sense URL`.
A pty tells the host's baud rate, and servos at another rate stay silent, as on a real wire. The loop keeps its own
end of the pty open, or reading would fail whenever no host is there.
"""

import argparse
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Protocol

from ...robots.catalogue import load_robot
from ...robots.description import RobotDescription
from ...robots.errors import GenbaError, RefusedError
from ..protocols import language_names
from ..senses import SenseServer
from .bare import bare_servos
from .controller import ControllerLine, Follower, load_controller
from .faults import Faults
from .line import VirtualLine
from .plant import Plant
from .sim_port import Line

IDLE_STEP = 0.01  # s between steps of the plant while the wire is quiet
KINDS = ("pty", "tcp")
PARENT = "GENBA_TWIN_PARENT"  # environment variable: id of a process without which the twin must not live on


class Wire(Protocol):
    """The twin's end of a pty or socket."""

    address: str

    def sources(self) -> list[int]:
        """File descriptors to wait on."""

    def read(self) -> bytes:
        """Bytes from the host; none if there are none."""

    def write(self, data: bytes) -> None:
        """Bytes to the host; dropped when it does not read."""

    def baud_rate(self) -> int | None:
        """The host's rate where it can be known."""

    def close(self) -> None:
        """Take the wire away."""


class PtyWire:
    """A pseudo terminal, which any program opens as a serial port."""

    def __init__(self) -> None:
        """Make it raw before a host can open it.

        Raises:
            RefusedError: On a system without pseudo terminals.
        """
        if not hasattr(os, "openpty"):
            raise RefusedError("this system has no pseudo terminals; serve tcp instead")
        import tty

        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.address = os.ttyname(self._slave)

    def sources(self) -> list[int]:
        """File descriptors to wait on."""
        return [self._master]

    def read(self) -> bytes:
        """Bytes from the host; none if there are none."""
        try:
            return os.read(self._master, 4096)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """Bytes to the host; dropped when it does not read."""
        with suppress(OSError):
            os.write(self._master, data)

    def baud_rate(self) -> int | None:
        """The host's rate, as Linux tells it; elsewhere it is not known."""
        if sys.platform != "linux":
            return None
        import fcntl
        import struct

        raw = fcntl.ioctl(self._slave, 0x802C542A, bytes(44))  # TCGETS2
        return int(struct.unpack_from("I", raw, 40)[0])

    def close(self) -> None:
        """Take the wire away."""
        os.close(self._master)
        os.close(self._slave)


class TcpWire:
    """A socket on the loopback for one client at a time; a second is turned away."""

    def __init__(self, port: int = 0) -> None:
        """Listen.

        Args:
            port: TCP port; any free one if 0.
        """
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.setblocking(False)
        self._client: socket.socket | None = None
        self.address = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"

    def sources(self) -> list[int]:
        """File descriptors to wait on."""
        return [s.fileno() for s in (self._listener, self._client) if s is not None]

    def read(self) -> bytes:
        """Bytes from the host; none if there are none."""
        with suppress(BlockingIOError):
            client, _ = self._listener.accept()
            if self._client is not None:
                client.close()
            else:
                client.setblocking(False)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._client = client
        if self._client is None:
            return b""
        try:
            data = self._client.recv(4096)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._client.close()
            self._client = None
        return data

    def write(self, data: bytes) -> None:
        """Bytes to the host; dropped when it does not read."""
        if self._client is not None:
            with suppress(OSError):
                self._client.send(data)

    def baud_rate(self) -> int | None:
        """Not known behind a socket."""
        return None

    def close(self) -> None:
        """Take the wire away."""
        self._listener.close()
        if self._client is not None:
            self._client.close()


def _say(text: str) -> None:
    """Print a line at once, also into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def serve(
    robot: RobotDescription,
    *,
    ids: Sequence[int] | None = None,
    kind: str = "pty",
    baud_rate: int | None = None,
    plant: Plant | None = None,
    sense_server: SenseServer | None = None,
    faults: Faults | None = None,
    latency: float = 0.0,
    announce: Callable[[str], None] = _say,
) -> None:
    """Serve virtual servos until SIGINT or SIGTERM.

    Args:
        robot: The arm.
        ids: The servos that are present; all if not given.
        kind: "pty" or "tcp".
        baud_rate: Rate the servos are set to; the arm's own if not given.
        plant: What they move; a `ServoPlant` if not given.
        sense_server: Senses to serve beside the bus.
        faults: What goes wrong on the wire.
        latency: Time in s for which the virtual adapter holds received bytes back.
        announce: Takes the lines that tell where to connect.

    Raises:
        RefusedError: If the kind, an id or the rate does not exist.
    """
    if robot.bus is not None and robot.bus.protocol in language_names():
        follower = plant if isinstance(plant, Follower) else None
        serve_controller(
            robot.bus.protocol,
            kind=kind,
            faults=faults,
            latency=latency,
            announce=announce,
            follower=follower,
            sense_server=sense_server,
        )
        return
    now = time.perf_counter()
    line = VirtualLine(robot, ids=ids, baud_rate=baud_rate, plant=plant, faults=faults, latency=latency, now=now)
    present = ", ".join(str(s.actuator_id) for s in line.servos)
    _serve(line, f"virtual {robot.name}, servos {present} at {line.baud_rate} baud", kind, sense_server, announce)


def serve_controller(
    name: str,
    *,
    kind: str = "pty",
    faults: Faults | None = None,
    latency: float = 0.0,
    announce: Callable[[str], None] = _say,
    follower: Follower | None = None,
    sense_server: SenseServer | None = None,
) -> None:
    """Serve a virtual controller that takes commands until SIGINT or SIGTERM.

    Args:
        name: Its command language.
        kind: "pty" or "tcp".
        faults: What goes wrong on the wire.
        latency: Time in s for which the virtual adapter holds received bytes back.
        announce: Takes the lines that tell where to connect.
        follower: A world whose arm moves with the controller's joints.
        sense_server: Senses to serve beside it.

    Raises:
        RefusedError: If the name or the kind does not exist.
    """
    controller, now = load_controller(name), time.perf_counter()
    line = ControllerLine(controller, faults=faults, latency=latency, now=now, follower=follower)
    _serve(line, f"virtual {name} controller at {line.baud_rate} baud", kind, sense_server, announce)


def _serve(
    line: Line, title: str, kind: str, sense_server: SenseServer | None, announce: Callable[[str], None]
) -> None:
    if kind not in KINDS:
        raise RefusedError(f"cannot serve {kind!r}; allowed: {', '.join(KINDS)}")
    clock = time.perf_counter
    wire: Wire = PtyWire() if kind == "pty" else TcpWire()
    with _until_signal() as stopped:
        try:
            announce(f"{title} on {wire.address}")
            if sense_server is not None:
                announce(f"sense {sense_server.url}")
            parent = int(os.environ.get(PARENT, "0"))
            while not stopped and not (parent and os.getppid() != parent):
                _turn(line, wire, sense_server, clock)
        finally:
            wire.close()
            if sense_server is not None:
                sense_server.close()


def _turn(line: Line, wire: Wire, sense_server: SenseServer | None, clock: Callable[[], float]) -> None:
    now = clock()
    waits = [IDLE_STEP]
    due = line.next_due()
    if due is not None:
        waits.append(max(due - now, 0.0))
    sources: list[int | socket.socket] = [*wire.sources()]
    if sense_server is not None:
        sources.extend(sense_server.sockets())
        if (wait := sense_server.wait_time(now)) is not None:
            waits.append(wait)
    ready, _, _ = select.select(sources, [], [], min(waits))
    now = clock()
    if any(isinstance(source, int) for source in ready):
        data = wire.read()
        if data:
            line.receive(data, now, wire.baud_rate())
    due = line.next_due()
    if due is not None and due <= clock():
        wire.write(line.take(clock()))
    if due is None or due - clock() > 0.002:
        line.step(clock())
        if sense_server is not None:
            sense_server.service(clock())


@contextmanager
def _until_signal() -> Iterator[list[int]]:
    """Yield a list that stays empty until SIGINT or SIGTERM comes."""
    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        seen.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve from the command line: `python -m genba.drivers.virtual.serve --robot so101 --serve pty`.

    Args:
        arguments: Without the program's name; the process's own if not given.

    Returns:
        Exit code.
    """
    parser = argparse.ArgumentParser(prog="genba twin", description="Serve virtual servos.")
    parser.add_argument("--robot", default="so101")
    parser.add_argument("--controller", help="a bare controller by its command language, instead of a robot")
    parser.add_argument("--servos", metavar="PROTOCOL", help="a row of bare servos, instead of a robot")
    parser.add_argument("--ids", type=lambda text: [int(item) for item in text.split(",")])
    parser.add_argument("--serve", choices=KINDS, default="pty")
    parser.add_argument("--baud", type=int)
    parser.add_argument("--latency", type=float, default=0.0)
    chosen = parser.parse_args(arguments)

    try:
        if chosen.controller:
            serve_controller(chosen.controller, kind=chosen.serve, latency=chosen.latency)
            return 0
        serve(
            bare_servos(chosen.servos, chosen.baud) if chosen.servos else load_robot(chosen.robot),
            ids=chosen.ids,
            kind=chosen.serve,
            baud_rate=chosen.baud,
            latency=chosen.latency,
        )
    except GenbaError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
