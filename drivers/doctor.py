"""Look over a computer before an arm is plugged in: each finding says what is wrong and the command that mends it.

    check -> findings (name, level, text, cure); "fault" keeps an arm from running, "warning" makes it run badly

Nothing is changed and no port is opened. OpenCV is imported in a process of its own, because a broken one takes the
process with it.
"""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Literal

from ..robots.description import RobotDescription
from ..robots.errors import RefusedError
from .calibration import find_calibration, home_folder, load_calibration
from .opening import has_controller
from .port_info import PortInfo

PYTHON = (3, 11)
NEEDED = ("numpy", "pyserial", "safetensors")
OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
SYSTEM_PACKAGES = {"libGL.so.1": "libgl1", "libgthread-2.0.so.0": "libglib2.0-0", "libEGL.so.1": "libegl1"}
RESOLUTION = 1e-3  # s: a coarser clock cannot keep a tick of 10 ms
OVERSLEPT = 5e-3  # s beyond the asked time that a tick does not forgive
OLD_DAYS = 180  # horns creep and screws settle
MIN_CORES = 2  # the tick and the policy, beside the desktop

Level = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What was looked at.
        level: "ok", "warning" or "fault".
        text: How it stands, one line.
        cure: The command that mends it; empty where nothing is to be mended.
    """

    name: str
    level: Level
    text: str
    cure: str = ""

    def to_json(self) -> dict[str, object]:
        """Plain values by name."""
        return asdict(self)


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Iterable[Finding]:
    """The interpreter."""
    text = ".".join(map(str, version[:3]))
    wanted = ".".join(map(str, PYTHON))
    if tuple(version[:2]) < PYTHON:
        yield Finding(name="python", level="fault", text=f"{text}, older than {wanted}", cure=f"python{wanted} -m venv")
    else:
        yield Finding(name="python", level="ok", text=text)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_packages(version: Callable[[str], str | None] = _version) -> Iterable[Finding]:
    """What the way to the bench needs, and the two wheels of OpenCV that overwrite each other."""
    for package in NEEDED:
        found = version(package)
        if found is None:
            yield Finding(name=package, level="fault", text="not installed", cure=f"pip install {package}")
        else:
            yield Finding(name=package, level="ok", text=found)
    wheels = [name for name in OPENCV if version(name) is not None]
    if len(wheels) > 1:
        names = " ".join(wheels)
        cure = f"pip uninstall -y {names} && pip install {wheels[0]}"
        yield Finding(name="opencv", level="fault", text=f"{names} overwrite each other's files", cure=cure)
    elif not wheels:
        yield Finding(name="opencv", level="warning", text="no camera without it", cure="pip install opencv-python")


def _import_opencv() -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", "import cv2; print(cv2.__version__)"], capture_output=True, text=True, check=False
    )
    return done.returncode, (done.stdout if not done.returncode else done.stderr).strip()


def check_opencv(attempt: Callable[[], tuple[int, str]] = _import_opencv) -> Iterable[Finding]:
    """Whether OpenCV starts; where it does not, most often a system library is missing (libGL)."""
    code, said = attempt()
    if code == 0:
        yield Finding(name="opencv import", level="ok", text=said)
        return
    last = (said.splitlines() or ["no word from it"])[-1]
    missing = re.search(r"(lib[\w.+-]+\.so[.\d]*)", last)
    if missing:
        library = missing[1]
        cure = f"sudo apt install {SYSTEM_PACKAGES.get(library, library.split('.so')[0].lower())}"
        yield Finding(name="opencv import", level="fault", text=f"{library} is missing", cure=cure)
    elif "No module named 'cv2'" not in last:
        cure = "pip install --force-reinstall opencv-python"
        yield Finding(name="opencv import", level="fault", text=last, cure=cure)


def check_clock(
    now: Callable[[], float] = time.perf_counter, sleep: Callable[[float], None] = time.sleep
) -> Iterable[Finding]:
    """Whether the clock only goes forward, in small steps, and whether a short sleep is short."""
    stamps = [now() for _ in range(10_000)]
    steps = [b - a for a, b in pairwise(stamps)]
    finest = min((s for s in steps if s > 0.0), default=float("inf"))
    if min(steps) < 0.0:
        cure = "echo hpet | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource"
        yield Finding(name="clock", level="fault", text="it runs backwards", cure=cure)
    elif finest > RESOLUTION:
        text = f"its steps are {finest * 1e3:.1f} ms, a tick needs {RESOLUTION * 1e3:g} ms"
        yield Finding(name="clock", level="fault", text=text, cure="run genba outside the virtual machine")
    else:
        yield Finding(name="clock", level="ok", text=f"monotonic, steps of {finest * 1e9:.0f} ns")
    late = []
    for _ in range(20):
        begun = now()
        sleep(1e-3)
        late.append(now() - begun - 1e-3)
    typical = sorted(late)[len(late) // 2]
    if typical > OVERSLEPT:
        text = f"a sleep of 1 ms takes {typical * 1e3:.0f} ms longer"
        yield Finding(name="sleep", level="warning", text=text, cure="close other programs")
    else:
        yield Finding(name="sleep", level="ok", text=f"a sleep of 1 ms takes {typical * 1e3:.2f} ms longer")


def check_cpu(root: Path = Path("/sys/devices/system/cpu"), cores: int | None = None) -> Iterable[Finding]:
    """Cores, and governors that let them doze between two ticks."""
    count = cores or os.cpu_count() or 1
    if count < MIN_CORES:
        text = f"{count} core: what else runs delays the tick"
        yield Finding(name="cpu", level="warning", text=text, cure="close other programs while the arm runs")
    else:
        yield Finding(name="cpu", level="ok", text=f"{count} cores")
    governors = set()
    for file in sorted(root.glob("cpu[0-9]*/cpufreq/scaling_governor")):
        with suppress(OSError):
            governors.add(file.read_text(encoding="ascii").strip())
    if "powersave" in governors:
        cure = f"echo performance | sudo tee {root}/cpu*/cpufreq/scaling_governor"
        yield Finding(name="governor", level="warning", text="powersave: cores wake up late", cure=cure)
    elif governors:
        yield Finding(name="governor", level="ok", text=", ".join(sorted(governors)))


def check_ports(ports: Iterable[PortInfo], wanted: str | None = None) -> Iterable[Finding]:
    """Adapters, who holds them, and whether this user may open them.

    Args:
        ports: What is plugged in.
        wanted: The port that must be there; a fault of another one is a warning then.
    """
    listed = list(ports)
    seen = False
    for info in listed:
        ours = wanted in (info.port, info.by_id)
        seen |= ours
        for trouble, cure in info.cures:
            level: Level = "warning" if "holds replies" in trouble or (wanted and not ours) else "fault"
            yield Finding(name=info.port, level=level, text=trouble, cure=cure)
        if not info.cures:
            yield Finding(name=info.port, level="ok", text=info.adapter or "no USB adapter")
    if wanted and not seen and not Path(wanted).exists() and "://" not in wanted:
        there = ", ".join(info.port for info in listed) or "none"
        text = f"it does not exist; ports on this machine: {there}"
        yield Finding(name=wanted, level="fault", text=text, cure="genba ports --unplug")
    elif not listed and not wanted:
        text = "no serial port: the adapter is not plugged in, or its driver is missing"
        yield Finding(name="ports", level="warning", text=text, cure="genba ports --unplug")


def check_calibrations(folder: Path | None = None, now: datetime | None = None) -> Iterable[Finding]:
    """Every calibration file of this user: whether it can be read, and how old it is."""
    place = folder or home_folder() / "calibration"
    files = sorted(place.glob("*/*.json"))
    today = now or datetime.now(UTC)
    for file in files:
        name, again = f"calibration {file.parent.name}/{file.stem}", f"genba calibrate --robot {file.parent.name}"
        try:
            made = datetime.fromisoformat(load_calibration(file).created)
        except (RefusedError, ValueError) as error:
            yield Finding(name=name, level="fault", text=" ".join(str(error).split()), cure=f"{again} --port PORT")
            continue
        days = (today - (made if made.tzinfo else made.replace(tzinfo=UTC))).days
        if days > OLD_DAYS:
            yield Finding(name=name, level="warning", text=f"{days} days old", cure=f"{again} --port PORT")
        else:
            yield Finding(name=name, level="ok", text=f"{days} days old")
    if not files:
        yield Finding(
            name="calibration", level="warning", text="no arm is calibrated yet", cure="genba calibrate --port PORT"
        )


def check_unit(robot: RobotDescription, url: str) -> Iterable[Finding]:
    """Whether the arm on a port has a calibration that fits it.

    Args:
        robot: The arm.
        url: Its port.
    """
    again = f"genba calibrate --port {url} --robot {robot.name}"
    if has_controller(robot):
        yield Finding(name=f"calibration of {url}", level="ok", text="the arm's controller keeps its own")
        return
    try:
        made = find_calibration(robot, url)
    except RefusedError as error:
        yield Finding(name=f"calibration of {url}", level="fault", text=" ".join(str(error).split()), cure=again)
    else:
        yield Finding(name=f"calibration of {url}", level="ok", text=f"unit {made.unit}, made {made.created}")


def as_report(findings: Iterable[Finding]) -> str:
    """One JSON object, for machines: the findings and how many faults there are."""
    rows = [finding.to_json() for finding in findings]
    return json.dumps({"faults": sum(row["level"] == "fault" for row in rows), "findings": rows}, indent=1)
