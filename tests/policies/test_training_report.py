"""The page of a training: five successes, every kind of failure once, curves of all stages, made again at will."""

import dataclasses
from contextlib import closing
from pathlib import Path

import pytest

from genba.__main__ import main
from genba.policies import clip
from genba.policies import training_report as module
from genba.policies.crews.crew import LocalCrew
from genba.policies.evaluate import Trial, evaluate
from genba.policies.pack import pack
from genba.policies.pages.media import encode_gif
from genba.policies.robustness import TROUBLES, bear
from genba.policies.train import train
from genba.policies.training import imitation_run
from genba.policies.training.outcome import WARM_START
from genba.policies.training.recipe import ImitationRecipe, ImprovementRecipe, Recipe
from genba.policies.training_report import chosen, training_report
from genba.robots.errors import RefusedError


def trial(seed: int, *failed: str) -> Trial:
    return Trial(seed=seed, success=not failed, steps=30, cycle_time=1.0, failed_terms=failed)


def test_the_first_successes_and_every_kind_of_failure_are_shown() -> None:
    trials = [trial(k) for k in range(7)]
    trials += [trial(10, "position_m"), trial(11, "released", "position_m"), trial(12, "position_m")]
    shown = chosen(trials)
    assert [one.seed for one, _ in shown] == [0, 1, 2, 3, 4, 10, 11]
    assert [title for _, title in shown[5:]] == [
        "Failed by position_m (2 of 10)",
        "Failed by released and position_m (1 of 10)",
    ]
    assert chosen([]) == []


@pytest.mark.slow
def test_a_finished_run_becomes_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EPISODES", 6)
    monkeypatch.setattr(clip, "MOST_FRAMES", 9)
    monkeypatch.setattr(imitation_run, "VALIDATION", 4)
    recipe = Recipe(
        algorithm="imitate",
        imitation=ImitationRecipe(
            demonstrations=8, rounds=2, episodes=4, first_updates=300, updates=200, last_updates=200
        ),
    )
    out = tmp_path / "run"
    with closing(LocalCrew(0)) as crew:
        train(task="TeachPoint", robot="so101", out=out, recipe=recipe, crew=crew, quiet=True)
        said: list[str] = []
        made = training_report(out, crew=crew, on_step=said.append)
    text, result = made.path.read_text(encoding="utf-8"), made.result
    assert made.borne == ()
    assert text.count("<video") == text.count("times as fast") == len(chosen(result.trials)) >= 1
    assert "How it learned" in text
    assert "genba train TeachPoint --robot so101 --seed 0 --algo imitate --set imitation.demonstrations=8" in text
    assert len(said) == 6 + len(chosen(result.trials))
    assert sum(file.stat().st_size for file in (out / "tensorboard").iterdir()) > 10_000
    assert encode_gif([], 1.0) == b""


@pytest.mark.slow
def test_what_reinforcement_learning_did_for_what_it_bears_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EPISODES", 2)
    monkeypatch.setattr(module, "EACH", 3)
    monkeypatch.setattr(clip, "MOST_FRAMES", 3)
    monkeypatch.setattr(imitation_run, "VALIDATION", 4)
    recipe = Recipe(
        imitation=ImitationRecipe(demonstrations=4, rounds=1, episodes=2, first_updates=200, last_updates=100),
        improvement=ImprovementRecipe(rounds=2, episodes=2, critic_updates=20, updates=20, batch=32),
    )
    out = tmp_path / "run"
    with closing(LocalCrew(0)) as crew:
        train(task="TeachPoint", robot="so101", out=out, recipe=recipe, crew=crew, quiet=True)
        told: list[str] = []
        made = training_report(out, crew=crew, on_step=told.append)
    assert len(told) == 2 + 2 * 3 * len(TROUBLES) + len(chosen(made.result.trials))
    assert bear(pack(out / WARM_START), pack(out), 3) == made.borne
    hard = TROUBLES[2].at(TROUBLES[2].strengths[2])
    assert made.borne[2].before == evaluate(pack(out / WARM_START), 3, randomize=hard).rate
    assert made.borne[2].after == evaluate(pack(out), 3, randomize=hard).rate
    assert [one.trouble.split(",")[0] for one in made.borne] == [trouble.name for trouble in TROUBLES]
    assert "sense noise, 4 x" in made.path.read_text(encoding="utf-8")
    assert f"of trouble: {sum(one.after.successes for one in made.borne)}/15; before" in made.words[1]
    assert made.to_json()["borne"]["payload, 100 g more"]["episodes"] == 3


@pytest.mark.slow
def test_a_command_in_a_bundle_trains_the_same_policy_again(tmp_path: Path) -> None:
    recipe = dataclasses.replace(
        Recipe(algorithm="imitate"),
        imitation=ImitationRecipe(
            demonstrations=4, rounds=1, episodes=2, first_updates=50, updates=50, last_updates=50
        ),
    )
    with closing(LocalCrew(0)) as crew:
        train(task="TeachPoint", robot="so101", out=tmp_path / "a", seed=4, recipe=recipe, crew=crew, quiet=True)
    first = pack(tmp_path / "a")
    words = first.manifest.provenance.command.split()[1:]
    assert main([*words, "--out", str(tmp_path / "b"), "--no-report"]) == 0
    again = pack(tmp_path / "b")
    assert {k: v.tobytes() for k, v in again.weights.items()} == {k: v.tobytes() for k, v in first.weights.items()}


def test_a_run_that_is_not_over_has_no_page(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="genba train"):
        training_report(tmp_path)
