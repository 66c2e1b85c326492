"""An evaluation is a measurement: the same seeds give the same digits, and every failure has a cause."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from genba.__main__ import main
from genba.envs.randomize import Randomization
from genba.policies.bundle import PolicyBundle
from genba.policies.evaluate import evaluate
from genba.robots.errors import RefusedError


def test_a_policy_that_can_is_measured_so(proportional: PolicyBundle) -> None:
    seen = []
    result = evaluate(proportional, 8, seed=3, on_episode=seen.append)
    assert result.rate.successes >= 7
    assert [trial.seed for trial in result.trials] == list(range(3, 11))
    assert seen == list(result.trials)
    assert 0.0 < result.cycle_time.p50 < 5.0
    assert result.measured().successes == result.rate.successes
    json.dumps(result.to_json(), allow_nan=False)


def test_the_same_seeds_give_the_same_digits(proportional: PolicyBundle) -> None:
    first = evaluate(proportional, 3, seed=11)
    assert evaluate(proportional, 3, seed=11) == first
    assert evaluate(proportional, 1, seed=13).trials[0] == first.trials[2]


def test_a_card_says_what_differed_between_its_episodes(proportional: PolicyBundle) -> None:
    assert evaluate(proportional, 1).measured().randomize == "off"
    assert evaluate(proportional, 1, randomize="nominal").measured().randomize == "nominal"
    assert evaluate(proportional, 1, randomize=Randomization()).measured().randomize == "own"


def test_a_measurement_can_be_written_on_the_card_of_its_file_and_of_no_other(
    proportional: PolicyBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = proportional.save(tmp_path / "mine.genba")
    arguments = ["evaluate", str(path), "--episodes", "2", "--seed", "3", "--workers", "0"]
    assert main([*arguments, "--card"]) == 0
    assert "its card says so now" in capsys.readouterr().out
    card = PolicyBundle.load(path).manifest.measured
    assert card == evaluate(proportional, 2, seed=3).measured()
    assert PolicyBundle.load(path).weights.keys() == proportional.weights.keys()
    for others in (["--zoo"], [str(path), "--grid", str(tmp_path / "grid.html")], ["TeachPoint_so101"]):
        assert main(["evaluate", *others, "--episodes", "1", "--card"]) == 3
    assert "--card" in capsys.readouterr().err


def test_a_policy_that_does_nothing_fails_with_a_cause(proportional: PolicyBundle) -> None:
    weights = {name: np.zeros_like(array) for name, array in proportional.weights.items()}
    manifest = dataclasses.replace(
        proportional.manifest,
        reference=tuple(dataclasses.replace(r, action=(0.0,) * 4) for r in proportional.manifest.reference),
    )
    result = evaluate(PolicyBundle(manifest, weights), 2)
    assert result.rate.successes == 0
    assert result.failures["position_m"] == 2
    assert all(trial.failed_terms for trial in result.trials)


def test_a_task_that_has_changed_since_is_refused_by_name(proportional: PolicyBundle) -> None:
    easier = dataclasses.replace(proportional.manifest.success, position_tolerance=0.5)
    changed = PolicyBundle(dataclasses.replace(proportional.manifest, success=easier), proportional.weights)
    with pytest.raises(RefusedError, match="success of the policy"):
        evaluate(changed, 1)
