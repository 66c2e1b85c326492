"""A sweep tries what its seed says, whoever trains and however often it is stopped, and refuses what does nothing."""

import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna")

from genba.__main__ import main
from genba.policies.crews.crew import LocalCrew
from genba.policies.sweeps import sweep as sweeping
from genba.policies.sweeps.sweep import Plan, Sweep
from genba.policies.sweeps.sweep_space import Choice, Span, parse_axis
from genba.policies.sweeps.sweep_trial import TrialJob, TrialResult, Worse, _Watch, score
from genba.policies.training.recipe_load import load_recipe
from genba.robots.catalogue import load_robot
from genba.robots.errors import RefusedError

AXES = (parse_axis("imitation.updates=20..60"), parse_axis("nets.actor=[8],[16, 16]"))


def pretended(job: TrialJob, crew: object = None) -> TrialResult:
    """A training whose success follows from its recipe."""
    updates = job.recipe.imitation.updates
    success = updates / 100.0
    return TrialResult(
        number=job.number,
        state="complete",
        curve=(0.5 * success, success),
        success=success,
        cycle_time=2.0,
        score=score(success, 2.0),
        seconds=1.0,
    )


def open_sweep(out: Path, *, resume: bool = False, axes: Any = AXES, **more: Any) -> Sweep:
    plan = Plan(task="TeachPoint", robot="so101", axes=axes, **more)
    return Sweep(plan, study="sweep", storage=None, out=out, resume=resume)


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("a.b=1..30", Span(key="a.b", low=1, high=30)),
        ("a.b=1e-4..1e-2:log", Span(key="a.b", low=1e-4, high=1e-2, log=True)),
        ("a=0..0.5", Span(key="a", low=0.0, high=0.5)),
        ("a=relu,tanh", Choice(key="a", samples=("relu", "tanh"))),
        ("a=[64, 64],[8]", Choice(key="a", samples=([64, 64], [8]))),
        ("a=1,2.5,true", Choice(key="a", samples=(1, 2.5, True))),
    ],
)
def test_what_varies_is_read(text: str, axis: Span | Choice) -> None:
    assert parse_axis(text) == axis


@pytest.mark.parametrize("text", ["a", "=1..2", "a=", "a=2..1", "a=1..1", "a=0..1:log", "a=3", "a=1,1", "a=1..1e999"])
def test_what_does_not_vary_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="--param"):
        parse_axis(text)


@pytest.mark.parametrize(
    "params",
    [
        (),
        ("imitation.nonsense=1..2",),
        ("imitation.updates=-5..10",),
        ("imitation.updates=0.5..1.5",),
        ("scratch.cells=1..2",),
        ("imitation.updates=1..2", "imitation.updates=3..4"),
        ("algorithm=imitate,magic",),
    ],
)
def test_a_key_that_does_nothing_is_refused_before_anything_runs(
    params: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word for text in params for word in ("--param", text)]
    assert main(["sweep", "TeachPoint", "--out", str(tmp_path / "out"), *words]) == 3
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_one_more_success_outweighs_any_cycle_time() -> None:
    assert score(1.0, 1e6) > score(47 / 48, 0.0)
    assert score(1.0, 2.0) > score(1.0, 3.0)


def test_a_sweep_that_was_stopped_tries_what_one_would_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "run_trial", pretended)
    crew = LocalCrew(0)
    whole = open_sweep(tmp_path / "whole", seed=4).run(14, crew)
    assert len({row["imitation.updates"] for row in whole}) > 3
    assert whole[0]["imitation.updates"] == max(row["imitation.updates"] for row in whole)

    def stopping(job: TrialJob, crew: object = None) -> TrialResult:
        if job.number == 11:
            raise KeyboardInterrupt
        return pretended(job)

    monkeypatch.setattr(sweeping, "run_trial", stopping)
    with pytest.raises(KeyboardInterrupt):
        open_sweep(tmp_path / "cut", seed=4).run(14, crew)
    monkeypatch.setattr(sweeping, "run_trial", pretended)
    cut = open_sweep(tmp_path / "cut", seed=4, resume=True)
    assert cut.run(14, crew) == whole
    assert open_sweep(tmp_path / "other", seed=5).run(14, crew) != whole
    file = cut.write_best()
    best = load_recipe("TeachPoint", load_robot("so101"), file=file)
    assert best.imitation.updates == whole[0]["imitation.updates"]
    assert list(best.nets.actor) == whole[0]["nets.actor"]
    assert set(tomllib.loads(file.read_text("utf-8"))) == {"algorithm", "imitation", "nets"}


def test_a_study_is_resumed_with_its_own_arguments_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RefusedError, match="leave --resume out"):
        open_sweep(tmp_path, resume=True)
    open_sweep(tmp_path)
    with pytest.raises(RefusedError, match="add --resume"):
        open_sweep(tmp_path)
    with pytest.raises(RefusedError, match="of another seed"):
        open_sweep(tmp_path, resume=True, seed=1)
    with pytest.raises(RefusedError, match="of another param"):
        open_sweep(tmp_path, resume=True, axes=AXES[:1])
    with pytest.raises(RefusedError, match="cannot be kept"):
        Sweep(
            Plan(task="TeachPoint", robot="so101", axes=AXES), study="s", storage="moon://x", out=tmp_path, resume=False
        )


def test_a_trial_that_is_clearly_worse_is_given_up() -> None:
    watch = _Watch((0.1, 0.5, 0.8, 0.9))
    history = [{"step": 1.0, "imitate/success": 0.0}, {"step": 2.0, "imitate/success": 0.6}]
    watch(history)  # nobody is judged so early
    with pytest.raises(Worse):
        watch([*history, {"step": 3.0, "imitate/success": 0.7}])
    watch([*history, {"step": 3.0, "imitate/success": 0.8}, {"step": 3.0, "improve/success": 0.0}])


def test_the_floor_is_the_median_of_those_that_are_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[int, tuple[float, ...]] = {}

    def watched(job: TrialJob, crew: object = None) -> TrialResult:
        given[job.number] = job.floor
        return pretended(job)

    monkeypatch.setattr(sweeping, "run_trial", watched)
    rows = open_sweep(tmp_path).run(6, LocalCrew(0))
    assert [given[k] for k in range(5)] == [()] * 5
    first = sorted(row["success"] for row in rows if row["trial"] < 5)
    assert given[5] == pytest.approx((0.5 * first[2], first[2]))


@pytest.mark.slow
def test_trials_at_the_same_time_are_those_of_one_after_another(tmp_path: Path) -> None:
    changes = tuple(
        (f"imitation.{key}", value)
        for key, value in {
            "demonstrations": 24, "rounds": 1, "episodes": 2, "first_updates": 600, "last_updates": 200, "batch": 64
        }.items()
    )  # fmt: skip
    found = []
    for name, workers in (("beside", 2), ("here", 0)):
        with closing(LocalCrew(workers)) as crew:
            sweep = open_sweep(tmp_path / name, changes=(("algorithm", "imitate"), *changes))
            found.append([{**row, "seconds": 0} for row in sweep.run(2, crew, at_once=2)])
    assert found[0] == found[1]
    assert {row["state"] for row in found[0]} == {"complete"}
    assert (tmp_path / "here" / "trials" / "0001" / "model.zip").exists()
