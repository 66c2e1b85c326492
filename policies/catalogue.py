"""The policies that come with genba, and those of a folder, as a list."""

import dataclasses
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..robots.errors import RefusedError, UnknownNameError
from .bundle import PolicyBundle


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One policy of the catalogue.

    Attributes:
        name: Its file's stem.
        path: The file.
        task: Task it does.
        robot: Arm it was trained for.
        tolerance: Tolerance class.
        success: Measured success rate in simulation; None when nobody has measured.
        low: Lower end of the 95 % interval of it; None likewise.
        cycle_time: Mean time to success, s; None likewise.
        fits: Whether this genba's description of the arm is the one it was trained with.
    """

    name: str
    path: str
    task: str
    robot: str
    tolerance: str
    success: float | None
    low: float | None
    cycle_time: float | None
    fits: bool

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return dataclasses.asdict(self)


def zoo() -> Path:
    """Folder of the policies that come with genba."""
    return Path(str(files(__package__))) / "zoo"


def policy_files() -> list[Path]:
    """Shipped bundles, by name."""
    return sorted(zoo().glob("*.genba"))


def policies() -> Iterator[Entry]:
    """Every shipped policy that can be read."""
    for path in policy_files():
        yield describe(PolicyBundle.load(path))


def describe(bundle: PolicyBundle) -> Entry:
    """The catalogue's row of a bundle."""
    from ..robots.catalogue import load_robot

    manifest = bundle.manifest
    measured = manifest.measured
    try:
        bundle.check_robot(load_robot(manifest.robot.name))
        fits = True
    except RefusedError:
        fits = False
    path = bundle.source or Path()
    return Entry(
        name=path.stem,
        path=str(path),
        task=manifest.task.name,
        robot=manifest.robot.name,
        tolerance=manifest.task.tolerance,
        success=measured.successes / measured.episodes if measured and measured.episodes else None,
        low=measured.low if measured else None,
        cycle_time=measured.cycle_time if measured else None,
        fits=fits,
    )


def find_policy(name: str) -> PolicyBundle:
    """Load a bundle by path, or a shipped one by its name.

    Args:
        name: Path of a `*.genba` file, or a name as `genba list policies` prints it.

    Raises:
        UnknownNameError: If there is neither such a file nor such a policy.
        RefusedError: If the file is no sound bundle.
    """
    if Path(name).exists():
        return PolicyBundle.load(name)
    shipped = {path.stem: path for path in policy_files()}
    if name in shipped:
        return PolicyBundle.load(shipped[name])
    raise UnknownNameError("policy or file", name, shipped)
