"""A recipe from files: `recipes/<Task>.toml`, and what a person changes of it.

    recipes/_all.toml < recipes/<Task>.toml < --recipe FILE < --set KEY=VALUE
    and in each file: its own tables < [tolerances.<class>] < [robots.<name>] < [rgb], where pictures are asked for

Tables are merged key by key and then read strictly; `tempo = "own"` takes back what was said of the tempo before. A key
that nobody reads is refused, and so is one that a person sets although the algorithm has no use for it: a switch that
does nothing has cost many a night of computing.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from ...robots.description import RobotDescription
from ...robots.errors import RefusedError
from ...robots.strict import build, load_toml
from .recipe import Recipe
from .recipe_check import check_recipe
from .tempo import Tempo

OWN = "own"  # what a recipe says for a tempo where the expert moves as it is written


def recipe_files() -> dict[str, Path]:
    """The recipes that come with genba, by task."""
    folder = Path(str(files(__package__))).parent / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.toml")) if not path.stem.startswith("_")}


def load_recipe(
    task: str, robot: RobotDescription, *, file: Path | None = None, changes: Iterable[tuple[str, Any]] = ()
) -> Recipe:
    """The recipe of a task on an arm, with what a person changes.

    Args:
        task: Task name; one without a file of its own gets the common recipe.
        robot: The arm, whose tolerance class and name may have tables of their own.
        file: TOML with changes.
        changes: Dotted keys and values, such as ("imitation.rounds", 4), applied last.

    Raises:
        RefusedError: If a file cannot be read, or a key is unknown, malformed or of no use to the algorithm.
    """
    common = Path(str(files(__package__))).parent / "recipes" / "_all.toml"
    changed: dict[str, Any] = {}
    for key, value in changes:
        *path_, last = key.split(".")
        inner: dict[str, Any] = {last: value}
        for name in reversed(path_):
            inner = {name: inner}
        _merge(changed, inner)
    own = load_toml(file) if file is not None else {}
    obs = changed.get("obs", own.get("obs", "state"))
    asked = _for_arm(own, robot, file, obs) if file is not None else {}
    _merge(asked, changed)
    table: dict[str, Any] = {}
    for path in (common, recipe_files().get(task)):
        if path is not None:
            _merge(table, _for_arm(load_toml(path), robot, path, obs))
    _merge(table, asked)
    recipe = build(Recipe, table, f"recipe of {task}")
    check_recipe(recipe, asked, f"recipe of {task}")
    return recipe


def parse_change(text: str) -> tuple[str, Any]:
    """One `KEY=VALUE` of the command line.

    Args:
        text: Such as "imitation.rounds=4" or "nets.actor=[64, 64]"; a value that is no TOML is taken as a string.

    Raises:
        RefusedError: If there is no "=".
    """
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise RefusedError(f"--set {text!r}: expected KEY=VALUE, such as imitation.rounds=4")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _for_arm(table: dict[str, Any], robot: RobotDescription, path: Path, obs: object) -> dict[str, Any]:
    """A file's table with what it says for this arm, and for pictures, merged in."""
    classes, robots, rgb = table.pop("tolerances", {}), table.pop("robots", {}), table.pop("rgb", {})
    if not isinstance(rgb, dict):
        raise RefusedError(f"{path}: rgb must be a table, such as [rgb.imitation]")
    for name, group in (("tolerances", classes), ("robots", robots)):
        if not isinstance(group, dict) or not all(isinstance(value, dict) for value in group.values()):
            raise RefusedError(f"{path}: {name} must hold tables, such as [{name}.NAME.imitation]")
    _merge(table, classes.get(robot.tolerance, {}))
    _merge(table, robots.get(robot.name, {}))
    _merge(table, rgb if obs == "rgb" else {})
    return table


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if key == "tempo" and value == OWN:
            value = asdict(Tempo())
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value
