"""Two policies on equal seeds, and one policy under trouble: what is paired, what is chance, and what is drawn."""

import json
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genba.__main__ import main
from genba.policies.bundle import PolicyBundle
from genba.policies.catalogue import find_policy
from genba.policies.compare import compare
from genba.policies.crews.crew import LocalCrew
from genba.policies.evaluate import evaluate
from genba.policies.pages.heat import Heat, HeatRow, heat_html
from genba.policies.robustness import TROUBLES, fields
from genba.policies.statistics import paired_interval, sign_test
from genba.robots.errors import RefusedError


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_sign_test_is_the_binomial_one(wins: int, losses: int) -> None:
    n = wins + losses
    as_uneven = [k for k in range(n + 1) if abs(2 * k - n) >= abs(wins - losses)]
    wanted = sum(comb(n, k) for k in as_uneven) / 2**n
    assert sign_test(wins, losses) == pytest.approx(wanted)
    assert sign_test(losses, wins) == sign_test(wins, losses)


def test_the_interval_of_paired_differences_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    held = sum(
        low <= 1.0 <= high
        for low, high in (paired_interval(rng.normal(1.0, 2.0, 60).tolist(), draws=400) for _ in range(400))
    )
    # 95 % of 400 is 380; the percentile bootstrap of 60 pairs covers about 93.5 %, four standard deviations are 20.
    assert 354 <= held <= 398
    assert paired_interval([]) == (0.0, 0.0)


def test_a_policy_equals_itself_on_every_seed() -> None:
    shipped = find_policy("TeachPoint_so101")
    result = compare(shipped, shipped, 4, seed=50)
    assert result.first == result.second
    assert (result.only_first, result.only_second, result.p_value) == ((), (), 1.0)
    assert (result.faster_by, result.faster_low, result.faster_high) == (0.0, 0.0, 0.0)
    assert "no difference" in result.verdict


def test_where_no_seed_is_won_by_both_nothing_is_said_of_speed(still: PolicyBundle) -> None:
    result = compare(still, still, 3, seed=50)
    assert (result.faster_by, result.faster_low, result.faster_high) == (None, None, None)
    assert result.verdict.endswith("on no seed do both succeed")


def test_a_policy_that_does_nothing_loses_on_every_seed(still: PolicyBundle) -> None:
    shipped = find_policy("TeachPoint_so101")
    result = compare(shipped, still, 8, seed=50)
    assert result.only_second == ()
    assert len(result.only_first) >= 7
    assert result.p_value < 0.05
    assert result.verdict.startswith(shipped.name)


@pytest.mark.parametrize("other", ["PickPlace_so101", "TeachPoint_panda"])
def test_policies_of_different_tasks_or_arms_are_not_compared(other: str) -> None:
    with pytest.raises(RefusedError, match=r"differ in (task|robot)"):
        compare(find_policy("TeachPoint_so101"), find_policy(other), 1)


@pytest.mark.slow
def test_who_runs_the_episodes_does_not_matter() -> None:
    bundle = find_policy("TeachPoint_so101")
    here = evaluate(bundle, 12, seed=7)
    crew = LocalCrew(2)
    try:
        assert evaluate(bundle, 12, seed=7, crew=crew) == here
    finally:
        crew.close()


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name)
def test_the_mildest_trouble_is_none(trouble: object) -> None:
    bundle = find_policy("PickPlace_so101")
    mild = trouble.at(trouble.strengths[0])  # type: ignore[attr-defined]
    assert evaluate(bundle, 1, seed=3, randomize=mild).trials == evaluate(bundle, 1, seed=3).trials


@pytest.mark.slow
def test_the_grid_of_a_policy_becomes_a_page(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    page = f"{tmp_path}/grid.html"
    arguments = ["evaluate", "TeachPoint_so101", "--grid", page, "--episodes", "1", "--workers", "0", "--json"]
    assert main(arguments) == 0
    table = json.loads(capsys.readouterr().out)
    rates = [rate for _, row in table["rows"] for rate in row]
    assert len(rates) == fields()
    with open(page, encoding="utf-8") as file:  # noqa: PTH123
        text = file.read()
    assert text.count('class="field"') == fields()
    assert all(trouble.name in text for trouble in TROUBLES)


def test_a_heat_map_says_what_is_wrong_with_its_rows() -> None:
    with pytest.raises(RefusedError, match="'b' has not 2 fields"):
        heat_html(Heat(title="t", rows=[_row("a", 0.1, 0.2), _row("b", 0.1)]))
    with pytest.raises(RefusedError, match=r"1.5 in row 'a' is no share"):
        heat_html(Heat(title="t", rows=[_row("a", 1.5)]))
    assert heat_html(Heat(title="t", rows=[_row("<a>", 0.5)])).count("&lt;a&gt;") == 1


def _row(label: str, *values: float) -> HeatRow:
    return HeatRow(label=label, values=values, words=tuple(str(v) for v in values))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["evaluate"], "name one policy, or --zoo"),
        (["evaluate", "--zoo", "TeachPoint_so101"], "name one policy, or --zoo"),
        (["evaluate", "--zoo", "--grid", "x.html"], "--grid is of one policy"),
        (["evaluate", "TeachPoint_so101", "--grid", "x.html", "--randomize", "wide"], "does nothing with --grid"),
        (["compare", "TeachPoint_so101", "Nobody"], "no policy or file named 'Nobody'"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 3
    assert said in capsys.readouterr().err
