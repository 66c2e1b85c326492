"""The tasks: one file each, and the file's name is the registration.

`teach_point.py` is the task `TeachPoint` and the environment `genba/TeachPoint-v0`. Third parties register
through the entry-point group `genba.tasks`, whose entries name a `Task` subclass.
"""

from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path

from ...robots.errors import UnknownNameError
from ..task import Task


def task_names() -> list[str]:
    """Names of all tasks, as `TeachPoint`, sorted."""
    own = {_title(path.stem) for path in Path(str(files(__package__))).glob("[a-z]*.py")}
    return sorted(own | {point.name for point in entry_points(group="genba.tasks")})


@lru_cache(maxsize=64)
def load_task(name: str) -> type[Task]:
    """Import a task's class.

    Args:
        name: `TeachPoint`, `teach_point` and `genba/TeachPoint-v0` all mean the same.

    Raises:
        UnknownNameError: If there is no such task.
    """
    title = name.removeprefix("genba/").removesuffix("-v0")
    title = _title(title) if title.islower() else title
    for point in entry_points(group="genba.tasks"):
        if point.name == title:
            loaded: type[Task] = point.load()
            return loaded
    stem = "".join(f"_{c.lower()}" if c.isupper() else c for c in title).removeprefix("_")
    if title not in task_names():
        raise UnknownNameError("task", name, task_names())
    module = import_module(f"{__package__}.{stem}")
    found: type[Task] = getattr(module, title)
    return found


def _title(stem: str) -> str:
    return "".join(word.capitalize() for word in stem.split("_"))
