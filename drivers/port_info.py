"""What is known of a serial port before it is opened: adapter, who holds it, and what must be mended first.

    port  adapter  usb_id  unit  by_id  held_by  cures

Everything comes from the operating system's own tables. A cure is the command to type, and is made here so that
`genba ports` and `genba doctor` say the same. What a system does not tell is left out, never guessed.
"""

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from ..robots.errors import BusError
from .pace import Clock, WallClock

FTDI = 0x0403
LATENCY_MS = 1  # of an FTDI adapter: the factory's 16 ms are more than a tick's half
LOOK_EVERY = 0.2  # s between two looks while a cable is awaited
ADAPTERS = {
    (0x1A86, 0x55D3): "CH343, as on Feetech bus boards",
    (0x1A86, 0x7523): "CH340",
    (FTDI, 0x6001): "FT232R",
    (FTDI, 0x6014): "FT232H, as in the U2D2",
    (0x10C4, 0xEA60): "CP210x",
    (0x2341, 0x0042): "Arduino Mega 2560, as in the uArm",
}  # where the adapter itself gives no better name


@dataclass(frozen=True, slots=True, kw_only=True)
class PortInfo:
    """One port.

    Attributes:
        port: Name to give to the other verbs.
        adapter: What the adapter calls itself.
        usb_id: Vendor and product id, as in 1A86:55D3.
        unit: USB serial number, by which genba knows this arm from another.
        by_id: A name that stays the same whatever is plugged in beside it (Linux).
        held_by: Programs that have it open, as far as this user may see them (Linux).
        latency_ms: Time for which an FTDI adapter holds received bytes back.
        cures: Per trouble what it is and the command that mends it.
    """

    port: str
    adapter: str | None
    usb_id: str | None
    unit: str | None
    by_id: str | None
    held_by: tuple[str, ...]
    latency_ms: int | None
    cures: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, object]:
        """Plain values by name."""
        return {
            "port": self.port,
            "adapter": self.adapter,
            "usb_id": self.usb_id,
            "unit": self.unit,
            "by_id": self.by_id,
            "held_by": list(self.held_by),
            "latency_ms": self.latency_ms,
            "cures": [{"trouble": trouble, "do": cure} for trouble, cure in self.cures],
        }


def list_port_info() -> list[PortInfo]:
    """All serial ports of this machine, USB ports first."""
    ports = sorted(list_ports.comports(), key=lambda p: (p.vid is None, p.device))
    return [describe(port) for port in ports]


def describe(port: ListPortInfo, root: Path = Path("/")) -> PortInfo:
    """Look up everything about one port.

    Args:
        port: As pyserial lists it.
        root: Where the system's `dev`, `proc` and `sys` are.
    """
    usb = f"{port.vid:04X}:{port.pid:04X}" if port.vid is not None and port.pid is not None else None
    named = port.product or ADAPTERS.get((port.vid or 0, port.pid or 0))
    latency = _latency(port.device, root)
    held = list(_holders(port.device, root / "proc"))
    cures = [
        *((f"{port.device} is in use by {name} (process {pid})", f"kill {pid}") for pid, name in held),
    ]
    if (cure := permission_cure(port.device)) is not None:
        cures.append((f"{port.device}: this user may not open it", cure))
    if port.vid == FTDI and latency is not None and latency > LATENCY_MS:
        file = f"/sys/bus/usb-serial/devices/{Path(port.device).name}/latency_timer"
        cures.append((f"{port.device} holds replies back for {latency} ms", f"echo {LATENCY_MS} | sudo tee {file}"))
    elif port.vid == FTDI and latency is None:
        where = "Device Manager, this port, Port Settings, Advanced: Latency Timer 1 ms"
        cures.append((f"{port.device} may hold replies back for 16 ms, as FTDI adapters do", where))
    return PortInfo(
        port=port.device,
        adapter=named,
        usb_id=usb,
        unit=port.serial_number or None,
        by_id=_by_id(port.device, root / "dev/serial/by-id"),
        held_by=tuple(f"{name} (process {pid})" for pid, name in held),
        latency_ms=latency,
        cures=tuple(cures),
    )


def await_cable(
    names: Callable[[], Iterable[str]], wait: float, *, clock: Clock | None = None
) -> tuple[str, list[str]]:
    """Wait until a cable is pulled or plugged in, and say which port that was.

    Args:
        names: Gives the ports that are there now.
        wait: Patience, s.
        clock: What to wait on; the wall clock if not given.

    Returns:
        "unplugged" or "plugged in", and the ports that went or came.

    Raises:
        BusError: If nothing changes in time.
    """
    clock = clock or WallClock()
    before = set(names())
    give_up = clock.now() + wait
    while clock.now() < give_up:
        clock.sleep_until(clock.now() + LOOK_EVERY)
        now = set(names())
        if now != before:
            return ("unplugged", sorted(before - now)) if before - now else ("plugged in", sorted(now - before))
    there = ", ".join(sorted(before)) or "none"
    raise BusError(f"no port came or went within {wait:g} s (ports: {there}): pull the arm's cable while this waits")


def _holders(device: str, proc: Path) -> Iterable[tuple[str, str]]:
    """Id and name of the programs that have a device open, as Linux tells: own processes, or all where root looks."""
    real = os.path.realpath(device)
    for folder in sorted(proc.glob("[0-9]*"), key=lambda p: int(p.name)):
        with suppress(OSError):
            if any(os.path.realpath(link) == real for link in (folder / "fd").iterdir()):
                name = (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
                yield folder.name, name


def holders(device: str) -> list[str]:
    """Names of the programs that have a device open, as far as this system tells this user."""
    return [f"{name}, process {pid}" for pid, name in _holders(device, Path("/proc"))]


def permission_cure(device: str) -> str | None:
    """The command that lets this user open a device; None where that is not what keeps him from it."""
    if os.name != "posix" or not Path(device).exists() or os.access(device, os.R_OK | os.W_OK):
        return None
    import grp

    group = str(Path(device).stat().st_gid)
    with suppress(KeyError):
        group = grp.getgrgid(int(group)).gr_name
    return f"sudo usermod -aG {group} $USER, then log out and in again"


def _latency(device: str, root: Path) -> int | None:
    file = root / "sys/bus/usb-serial/devices" / Path(device).name / "latency_timer"
    if not sys.platform.startswith("linux"):
        return None
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _by_id(device: str, folder: Path) -> str | None:
    real = os.path.realpath(device)
    with suppress(OSError):
        for link in sorted(folder.iterdir()):
            if os.path.realpath(link) == real:
                return str(link)
    return None
