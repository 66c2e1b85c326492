"""A training that is interrupted and resumed ends as if nothing had happened, and says what it came to."""

import dataclasses
import errno
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch as th

from genba.policies.crews.crew import LocalCrew
from genba.policies.train import Outcome, train
from genba.policies.training import checkpoint, imitation_run, scratch_run
from genba.policies.training.algorithms import LIBRARY
from genba.policies.training.checkpoint import load_checkpoint, save_checkpoint
from genba.policies.training.collect import Collectors
from genba.policies.training.outcome import BEFORE, IMPROVED, WARM_START
from genba.policies.training.recipe import ImitationRecipe, ImprovementRecipe, Nets, Recipe, ScratchRecipe, SearchRecipe
from genba.robots.errors import RefusedError

TINY = Recipe(
    algorithm="imitate",
    imitation=ImitationRecipe(
        demonstrations=4, rounds=2, episodes=2, first_updates=100, updates=100, last_updates=100, batch=32
    ),
    improvement=ImprovementRecipe(rounds=2, episodes=2, critic_updates=100, updates=100, batch=32),
    search=SearchRecipe(trials=3, blind=1, episodes=2, finalists=1, proof=2),
    nets=Nets(actor=(16, 16), critic=(16, 16)),
    scratch=ScratchRecipe(cells=2, barrier=256, steps=600, glance=2, nets=Nets(actor=(16, 16), critic=(16, 16))),
    algorithms={
        "PPO": {"n_steps": 64, "batch_size": 64},
        **{
            name: {"buffer_size": 2000, "batch_size": 32, "train_freq": 8, "gradient_steps": 2}
            for name in ("SAC", "TD3", "DDPG", "TQC", "CrossQ")
        },
    },
)


@pytest.fixture(autouse=True)
def judged_by_few(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (imitation_run, scratch_run):
        monkeypatch.setattr(module, "VALIDATION", 4)
    monkeypatch.setattr(scratch_run, "WANDER", 4)


def tiny(out: Path, algo: str = "imitate", *, resume: bool = False, workers: int = 0) -> Outcome:
    with closing(LocalCrew(workers)) as crew:
        recipe = dataclasses.replace(TINY, algorithm=algo)
        return train(
            task="TeachPoint", robot="so101", out=out, seed=3, resume=resume, crew=crew, quiet=True, recipe=recipe
        )


def weights(folder: Path) -> dict[str, th.Tensor]:
    """Everything in the last checkpoint that decides what comes next or is delivered, flat."""
    content = load_checkpoint(folder / "checkpoint.pt")
    found: dict[str, th.Tensor] = {}

    def walk(name: str, value: Any) -> None:
        if isinstance(value, th.Tensor):
            found[name] = value
        elif isinstance(value, dict):
            for key, item in value.items():
                walk(f"{name}/{key}", item)
        elif isinstance(value, list | tuple):
            for k, item in enumerate(value):
                walk(f"{name}/{k}", item)

    walk("", content)
    return found


def same(a: Path, b: Path) -> None:
    one, other = weights(a), weights(b)
    assert one.keys() == other.keys()
    assert not [name for name in one if not th.equal(one[name], other[name])]
    assert _packed(a) == _packed(b)


def _packed(folder: Path) -> dict[str, bytes]:
    from genba.policies.pack import pack

    bundle = pack(folder)
    return {name: array.tobytes() for name, array in bundle.weights.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of an undisturbed run of an algorithm, trained once."""
    done: dict[str, Path] = {}

    def give(algo: str) -> Path:
        if algo not in done:
            done[algo] = tmp_path_factory.mktemp("whole") / algo
            tiny(done[algo], algo)
        return done[algo]

    return give


def interrupt_at(monkeypatch: pytest.MonkeyPatch, place: str, count: int) -> None:
    """Press Ctrl-C when `place` is reached for the `count`-th time."""
    from genba.policies.training import imitate
    from genba.policies.training.improve import Improvement

    owner, name = {
        "collect": (Collectors, "collect"),
        "fit": (imitate, "fit"),
        "update": (Improvement, "update"),
        "save": (checkpoint.th, "save"),
    }[place]
    honest = getattr(owner, name)
    seen = 0

    def reached(*args: Any, **more: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == count:
            raise KeyboardInterrupt
        return honest(*args, **more)

    monkeypatch.setattr(owner, name, reached)


PLACES = [
    ("imitate", "collect", 1),
    ("imitate", "collect", 2),
    ("imitate", "fit", 1),
    ("imitate", "collect", 3),
    ("imitate", "fit", 2),
    ("imitate", "save", 3),
    ("imitate+sac", "update", 2),
    ("imitate+sac", "collect", 8),
    ("imitate+sac", "save", 6),
    ("tempo+imitate", "collect", 3),
    ("tempo+imitate", "collect", 5),
    ("tempo+imitate", "save", 5),
    ("tempo+imitate", "fit", 2),
    *((algo, *(("save", 3) if k % 2 else ("collect", 2))) for k, algo in enumerate(LIBRARY)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("algo", "place", "count"), PLACES, ids=str)
def test_a_resumed_run_equals_the_undisturbed_one_to_the_bit(
    whole: Callable[[str], Path], tmp_path: Path, algo: str, place: str, count: int
) -> None:
    out = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, place, count)
        with pytest.raises(KeyboardInterrupt):
            tiny(out, algo)
    assert not list(out.glob("*.partial"))
    tiny(out, algo, resume=True)
    same(whole(algo), out)


@pytest.mark.slow
def test_what_reinforcement_learning_began_with_is_kept_and_is_what_imitation_alone_ends_with(
    whole: Callable[[str], Path],
) -> None:
    from genba.policies.pack import pack

    warm = pack(whole("imitate+sac") / WARM_START).weights
    alone = pack(whole("imitate")).weights
    assert {name: array.tobytes() for name, array in warm.items()} == {k: v.tobytes() for k, v in alone.items()}


def test_a_gain_is_told_and_so_is_none() -> None:
    none = Outcome(success=1.0, cycle_time=5.0, steps=9, seconds=1.0, before=(1.0, 5.0), who=BEFORE[IMPROVED])
    assert "found nothing quicker" in none.words
    gain = dataclasses.replace(none, cycle_time=4.5)
    assert gain.words.endswith("before reinforcement learning: success 100.0%, cycle 5.00 s")
    assert dataclasses.replace(none, before=None).words == "success 100.0%, cycle 5.00 s, 1 s of training"


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["imitate", "SAC"])
def test_nothing_depends_on_how_many_workers_there_are(whole: Callable[[str], Path], tmp_path: Path, algo: str) -> None:
    tiny(tmp_path / "run", algo, workers=2)
    same(whole(algo), tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["PPO", "DDPG"])
def test_noise_on_actions_falls_to_what_the_recipe_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algo: str
) -> None:
    noises = []
    calm = scratch_run.ScratchRun._calm

    def watched(run: scratch_run.ScratchRun) -> None:
        calm(run)
        if algo == "PPO":
            noises.append(float(run.model.policy.log_std.detach().exp().max()))
        else:
            noises.append(float(run.model.action_noise._sigma.max()))

    monkeypatch.setattr(scratch_run.ScratchRun, "_calm", watched)
    tiny(tmp_path, algo)
    assert len(noises) >= 2
    assert noises[0] == pytest.approx(0.5)
    assert all(noise <= 0.5 * 0.2 ** (k * 256 / 600) + 1e-6 for k, noise in enumerate(noises))


def test_a_run_that_has_begun_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, "collect", 1)
        with pytest.raises(KeyboardInterrupt):
            tiny(tmp_path / "run")
    with pytest.raises(RefusedError, match="--resume"):
        tiny(tmp_path / "run")


def _full(*args: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"round": 1})
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(RefusedError, match=r"No space left .* --resume") as refusal:
        save_checkpoint(path, {"round": 2})
    assert "\n" not in str(refusal.value)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "VERSION", 0)
    save_checkpoint(tmp_path / "checkpoint.pt", {})
    monkeypatch.undo()
    with pytest.raises(RefusedError, match="version 0"):
        load_checkpoint(tmp_path / "checkpoint.pt")
    shutil.rmtree(tmp_path)
    with pytest.raises(RefusedError, match="no checkpoint"):
        load_checkpoint(tmp_path / "checkpoint.pt")


def test_learner_that_no_longer_fails_is_not_corrected_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two flawless rounds in a row are enough here, a failure in between begins the count anew."""
    outcomes = [True, False, True, True]
    rounds: list[bool] = []
    honest = Collectors.collect

    def judged(self: Collectors, seeds: Sequence[int], **options: Any) -> list[Any]:
        episodes = honest(self, seeds, **options)
        if "actor" in options and "options" in options:  # a round, not the validation
            rounds.append(outcomes[len(rounds)])
            episodes = [dataclasses.replace(episode, success=rounds[-1]) for episode in episodes]
        return episodes

    monkeypatch.setattr(Collectors, "collect", judged)
    recipe = dataclasses.replace(TINY, imitation=dataclasses.replace(TINY.imitation, rounds=9, sure=2))
    train(task="TeachPoint", robot="so101", out=tmp_path, seed=3, crew=LocalCrew(0), quiet=True, recipe=recipe)
    assert rounds == outcomes
    saved = load_checkpoint(tmp_path / "checkpoint.pt")
    assert (saved["round"], saved["done"]) == (4, True)
