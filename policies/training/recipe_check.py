"""What a recipe must not say: a key that does nothing has cost many a night of computing."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ...robots.errors import RefusedError
from .algorithms import LIBRARY, OBSERVED, ON_POLICY, SIGHTLESS, WITHOUT_NOISE, arguments, check_algorithm, read_by
from .recipe import Recipe


def check_recipe(recipe: Recipe, asked: Mapping[str, Any], where: str) -> None:
    """Refuse a recipe that cannot be worked by, or of which something would not be read.

    Args:
        recipe: All of it.
        asked: What a person set of it, as tables.
        where: What to call it in an error.

    Raises:
        RefusedError: What is wrong and what there is instead.
    """
    check_algorithm(recipe.algorithm)
    if recipe.obs not in OBSERVED:
        raise RefusedError(f"{where}: obs is {recipe.obs!r}; there are: {', '.join(OBSERVED)}")
    if recipe.obs == "rgb" and recipe.algorithm != "imitate":
        raise RefusedError(f"{where}: {recipe.algorithm} does not learn from pictures; obs 'rgb' needs 'imitate'")
    if recipe.obs == "rgb" and recipe.imitation.episodes < 2:
        raise RefusedError(
            f"{where}: imitation.episodes is 1; from pictures every other one is judged, so take 2 or more"
        )
    for group, key in SIGHTLESS if recipe.obs == "rgb" else ():
        if key in asked.get(group, {}):
            raise RefusedError(f"{where}: {group}.{key} does nothing with obs 'rgb'")
    known = read_by(recipe.algorithm, recipe.obs)
    who = f"{recipe.algorithm} from pictures" if recipe.obs == "rgb" else recipe.algorithm
    for key in asked:
        if key not in known and not (key == "curriculum" and not asked[key]):
            raise RefusedError(f"{where}: {key!r} does nothing with {who}, which reads {_list(known)}")
    for name in asked.get("algorithms", {}):
        if name != recipe.algorithm:
            raise RefusedError(f"{where}: algorithms.{name} does nothing, because the algorithm is {recipe.algorithm}")
    for name, options in recipe.algorithms.items():
        if name not in LIBRARY or not isinstance(options, dict):
            raise RefusedError(f"{where}: algorithms.{name} is no table of one of {', '.join(LIBRARY)}")
    if recipe.algorithm in LIBRARY:
        allowed = arguments(recipe.algorithm)
        for key in recipe.options:
            if key not in allowed:
                raise RefusedError(f"{where}: {recipe.algorithm} has no {key!r}; it has: {_list(allowed)}")
        scratch = asked.get("scratch", {})
        if recipe.algorithm in ON_POLICY and "hindsight" in scratch:
            raise RefusedError(
                f"{where}: scratch.hindsight does nothing with {recipe.algorithm}, which keeps no replay"
            )
        for key in ("explore", "explore_last"):
            if recipe.algorithm not in (*WITHOUT_NOISE, *ON_POLICY) and key in scratch:
                raise RefusedError(
                    f"{where}: scratch.{key} does nothing with {recipe.algorithm}, which explores by itself"
                )
    _check_numbers(recipe, where)


def check_steps(recipe: Recipe, steps: int | None) -> None:
    """Refuse a number of steps of reinforcement learning where there is none.

    Args:
        recipe: All of it.
        steps: What was asked for.

    Raises:
        RefusedError: If it is below 1, or the algorithm does not read it.
    """
    if steps is None:
        return
    if steps < 1:
        raise RefusedError(f"steps is {steps}; it must be at least 1")
    if recipe.algorithm in ("imitate", "tempo+imitate"):
        who = "obs 'rgb'" if recipe.obs == "rgb" else recipe.algorithm
        raise RefusedError(f"steps does nothing with {who}, which knows no reinforcement learning")


def _check_numbers(recipe: Recipe, where: str) -> None:
    """Every count at least 1, every rate above 0."""
    zero = {"noise", "explore", "hindsight", "anchor", "critic_updates", "rounds", "lead", "lead_down", "hold", "mix"}
    zero |= {"blind", "glances"}
    for name in ("tempo", "search", "imitation", "sight", "improvement", "scratch"):
        for key, value in asdict(getattr(recipe, name)).items():
            if isinstance(value, str | tuple | dict):
                continue
            if value < 0 or (value == 0 and key not in zero):
                raise RefusedError(f"{where}: {name}.{key} is {value}; it must be above 0")
    if recipe.imitation.mix > 1:
        raise RefusedError(f"{where}: imitation.mix is {recipe.imitation.mix}; it is a share, so 1 at most")
    if not recipe.sight.convolutions or not recipe.sight.hidden or min(recipe.sight.hidden) < 1:
        raise RefusedError(f"{where}: sight needs at least one convolution and one hidden layer")
    for place, nets in (("nets", recipe.nets), ("scratch.nets", recipe.scratch.nets)):
        for name, sizes in asdict(nets).items():
            if not sizes or min(sizes) < 1:
                raise RefusedError(
                    f"{where}: {place}.{name} is {list(sizes)}; give the units of one hidden layer or more"
                )
    if recipe.scratch.reward not in ("sparse", "dense"):
        raise RefusedError(f"{where}: scratch.reward is {recipe.scratch.reward!r}; there are: sparse, dense")


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
