"""Learning from pictures: resumed to the bit, the same with any count of workers, and better than it began."""

import dataclasses
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genba.envs.env import CellEnv
from genba.policies.crews.crew import LocalCrew
from genba.policies.evaluate import evaluate
from genba.policies.pack import pack
from genba.policies.sight import sight_run
from genba.policies.train import train
from genba.policies.training import checkpoint
from genba.policies.training.recipe import ImitationRecipe, Nets, Recipe, SightRecipe
from genba.policies.training.recipe_load import load_recipe
from genba.robots.catalogue import load_robot
from genba.robots.errors import RefusedError

TINY = Recipe(
    algorithm="imitate",
    obs="rgb",
    nets=Nets(actor=(16, 16)),
    imitation=ImitationRecipe(
        demonstrations=2, rounds=1, episodes=2, noise=0.05, first_updates=50, updates=50, last_updates=50, batch=32
    ),
    sight=SightRecipe(
        convolutions=((4, 5, 3), (6, 3, 2)), hidden=(16,), every=5, patience=0.2,
        first_updates=20, updates=20, last_updates=20, batch=8,
    ),
)  # fmt: skip


@pytest.fixture(autouse=True)
def judged_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sight_run, "VALIDATION", 1)


def tiny(out: Path, *, resume: bool = False, workers: int = 0, recipe: Recipe = TINY) -> list[dict[str, float]]:
    """Train; the points of its curves."""
    points: list[dict[str, float]] = []
    with closing(LocalCrew(workers)) as crew:
        train(
            task="PickPlace", robot="panda", out=out, recipe=recipe, seed=3, resume=resume, crew=crew, quiet=True,
            watch=lambda history: points.__setitem__(slice(None), [dict(row) for row in history]),
        )  # fmt: skip
    return points


def packed(folder: Path) -> dict[str, bytes]:
    bundle = pack(folder)
    return {name: array.tobytes() for name, array in (bundle.weights | bundle.pictures).items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an undisturbed run."""
    out = tmp_path_factory.mktemp("sight") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sight_run, "VALIDATION", 1)
        tiny(out)
    return out


@pytest.mark.slow
@pytest.mark.parametrize(("place", "count"), [("collect", 2), ("save", 3), ("write_run", 1)])
def test_a_resumed_run_equals_the_undisturbed_one_to_the_bit(
    whole: Path, tmp_path: Path, place: str, count: int
) -> None:
    out = tmp_path / "run"
    owner = checkpoint.th if place == "save" else sight_run
    honest: Callable[..., Any] = getattr(owner, place)
    seen = 0

    def reached(*args: Any, **more: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == count:
            raise KeyboardInterrupt
        return honest(*args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, place, reached)
        with pytest.raises(KeyboardInterrupt):
            tiny(out)
    assert not list(out.rglob("*.partial"))
    tiny(out, resume=True)
    assert packed(out) == packed(whole)


@pytest.mark.slow
def test_nothing_depends_on_how_many_workers_there_are(whole: Path, tmp_path: Path) -> None:
    tiny(tmp_path / "run", workers=1)
    assert packed(tmp_path / "run") == packed(whole)


@pytest.mark.slow
def test_a_finished_run_keeps_no_pictures_and_ends_the_same_once_more(whole: Path) -> None:
    before = packed(whole)
    assert not (whole / sight_run.SEEN).exists()
    tiny(whole, resume=True)
    assert packed(whole) == before


@pytest.mark.slow
def test_it_learns(tmp_path: Path) -> None:
    longer = dataclasses.replace(TINY.sight, first_updates=100, updates=200, last_updates=200)
    points = tiny(tmp_path / "run", recipe=dataclasses.replace(TINY, sight=longer))
    losses = [row["imitate/loss"] for row in points]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.slow
def test_what_was_trained_is_measured_by_what_is_packed(whole: Path) -> None:
    bundle = pack(whole)
    assert bundle.manifest.eyes is not None
    assert [e.field.name for e in bundle.manifest.eyes.estimates] == ["part_position", "part_yaw"]
    assert not {f.name for f in bundle.manifest.spec.observation} & {"part_position", "part_yaw"}
    assert "--obs rgb" in bundle.manifest.provenance.command
    result = evaluate(bundle, 1)
    assert (result.rate.episodes, result.task) == (1, "PickPlace")


def test_cameras_that_stand_elsewhere_are_refused(whole: Path) -> None:
    bundle = pack(whole)
    eyes = bundle.manifest.eyes
    assert eyes is not None
    moved = dataclasses.replace(eyes.views[0], eye=(2.0, 0.0, 1.0))
    changed = type(bundle)(
        dataclasses.replace(bundle.manifest, eyes=dataclasses.replace(eyes, views=(moved, *eyes.views[1:]))),
        bundle.weights,
        pictures=bundle.pictures,
    )
    with pytest.raises(RefusedError, match=r"eyes\.views"):
        evaluate(changed, 1)


def test_a_task_that_hides_nothing_is_not_trained_from_pictures(tmp_path: Path) -> None:
    recipe = load_recipe("TeachPoint", load_robot("so101"), changes=[("obs", "rgb")])
    with pytest.raises(RefusedError, match="hides nothing"):
        train(task="TeachPoint", robot="so101", out=tmp_path / "run", recipe=recipe, quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ([("obs", "sonar")], "there are: state, rgb"),
        ([("obs", "rgb"), ("algorithm", "imitate+sac")], "does not learn from pictures"),
        ([("obs", "rgb"), ("algorithm", "SAC")], "does not learn from pictures"),
        ([("obs", "rgb"), ("improvement.rounds", 3)], "'improvement' does nothing"),
        ([("obs", "rgb"), ("nets.critic", [64])], r"nets\.critic does nothing"),
        ([("obs", "rgb"), ("sight.every", 0)], r"sight\.every is 0"),
        ([("obs", "rgb"), ("imitation.episodes", 1)], "take 2 or more"),
        ([("obs", "rgb"), ("sight.depth", True)], "unknown key 'depth'"),
        ([("sight.every", 2)], "'sight' does nothing"),
    ],
    ids=str,
)
def test_a_recipe_that_would_do_nothing_is_refused(changes: list[tuple[str, Any]], named: str) -> None:
    with pytest.raises(RefusedError, match=named) as refusal:
        load_recipe("Sort", load_robot("panda"), changes=changes)
    assert "\n" not in str(refusal.value)


def test_pictures_choose_a_recipe_of_their_own() -> None:
    seen = load_recipe("Sort", load_robot("panda"), changes=[("obs", "rgb")])
    told = load_recipe("Sort", load_robot("panda"))
    assert (seen.algorithm, told.algorithm) == ("imitate", "imitate+sac")
    assert set(seen.to_json()) == {"algorithm", "obs", "randomize", "level", "nets", "tempo", "imitation", "sight"}
    assert not {"obs", "sight"} & set(told.to_json())


@pytest.mark.slow
@pytest.mark.parametrize("robot", ["so101", "panda"])
def test_what_pictures_show_is_enough_to_sort(robot: str) -> None:
    """The expert needs no word of the cell's controller that nobody could see."""
    with closing(CellEnv("Sort", robot)) as env:
        env.reset(seed=5)
        ended = False
        while not ended:
            behind = env.behind()
            batch = {group: behind[group][None] for group in ("observation", "desired_goal")}
            action = type(env.task).expert(env.robot, env.fields(batch))[0].astype(np.float32)
            _, _, done, cut, info = env.step(action)
            ended = done or cut
        assert info["is_success"]
