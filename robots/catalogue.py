"""The arms there are, each a TOML beside its URDF, read strictly into a RobotDescription.

A robot's name is its file name; `robot_names()` is the directory listing plus the entry-point group
`genba.robots`, whose entries name a function or constant that gives the TOML's path.
"""

from functools import lru_cache
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path

from .checks import check
from .description import RobotDescription
from .errors import RefusedError, UnknownNameError
from .servo import Drive
from .strict import build, load_toml


def robot_files() -> dict[str, Path]:
    """Every robot's TOML by name: this folder's, then those of plug-ins."""
    found = {path.stem: path for path in sorted(Path(str(files(__package__))).glob("*.toml"))}
    for point in entry_points(group="genba.robots"):
        if point.name not in found:
            loaded = point.load()
            found[point.name] = Path(loaded() if callable(loaded) else loaded)
    return found


def robot_names() -> list[str]:
    """Names of all robots, sorted."""
    return sorted(robot_files())


@lru_cache(maxsize=32)
def load_robot(name: str) -> RobotDescription:
    """Read a robot by catalogue name.

    Args:
        name: Name as `genba list robots` prints it.

    Raises:
        UnknownNameError: If no robot has that name.
        RefusedError: If its TOML is malformed.
    """
    found = robot_files()
    if name not in found:
        raise UnknownNameError("robot", name, found)
    return read_robot(found[name])


def read_robot(path: Path) -> RobotDescription:
    """Read and check one TOML.

    Args:
        path: The file; its stem must be the robot's name.

    Raises:
        RefusedError: If a key, type, range or reference is wrong; the text names file, table and cure.
    """
    table = load_toml(path)
    drives = table.pop("drives", None)
    if not isinstance(drives, dict) or not drives:
        raise RefusedError(f"{path}: table [drives.<name>] is missing")
    if "source" in table:
        raise RefusedError(f"{path}: unknown key 'source'")
    built = {key: build(Drive, value, f"{path}: drives.{key}") for key, value in drives.items()}
    joints = table.get("joints")
    if isinstance(joints, list):
        table["joints"] = joints
    robot = build(RobotDescription, {**table, "drives": {}}, str(path))
    object.__setattr__(robot, "drives", built)
    object.__setattr__(robot, "source", path)
    check(robot, path)
    return robot
