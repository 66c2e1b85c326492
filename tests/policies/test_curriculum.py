"""A curriculum climbs with success, falls with failure, and survives a checkpoint to the bit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genba.policies.training.curriculum import Curriculum
from genba.robots.errors import RefusedError

LEVELS = ("easy", "fair", "hard", "extreme")


def test_success_leads_up_to_the_goal_and_no_further() -> None:
    curriculum = Curriculum.to(LEVELS, "hard")
    seen = []
    for _ in range(6):
        seen.append(curriculum.level)
        curriculum.record([True] * curriculum.window)
    assert seen == ["easy", "fair", "hard", "hard", "hard", "hard"]
    assert curriculum.finished


def test_failure_leads_back_and_what_lies_between_stays() -> None:
    curriculum = Curriculum.to(LEVELS, "extreme")
    curriculum.record([True] * 40)
    curriculum.record([True, False] * 20)
    assert curriculum.level == "fair"
    curriculum.record([False] * 40)
    assert curriculum.level == "easy"
    curriculum.record([False] * 80)
    assert curriculum.level == "easy"
    assert not curriculum.finished


def test_few_episodes_decide_nothing() -> None:
    curriculum = Curriculum.to(LEVELS, "hard")
    curriculum.record([True] * (curriculum.window - 1))
    assert curriculum.level == "easy"
    curriculum.record([True])
    assert curriculum.level == "fair"
    assert curriculum.newest == []


@given(st.lists(st.lists(st.booleans(), max_size=60), max_size=12), st.integers(0, 12))
def test_a_restored_curriculum_goes_on_as_the_undisturbed_one(rounds: list[list[bool]], cut: int) -> None:
    whole, first = Curriculum.to(LEVELS, "extreme"), Curriculum.to(LEVELS, "extreme")
    for outcomes in rounds:
        whole.record(outcomes)
    for outcomes in rounds[:cut]:
        first.record(outcomes)
    second = Curriculum.to(LEVELS, "extreme")
    second.load_state(first.state())
    for outcomes in rounds[cut:]:
        second.record(outcomes)
    assert second.state() == whole.state()
    assert 0 <= second.at <= second.goal


def test_levels_that_do_not_exist_or_do_not_fit_are_refused() -> None:
    with pytest.raises(RefusedError, match="easy, fair, hard, extreme"):
        Curriculum.to(LEVELS, "impossible")
    with pytest.raises(RefusedError, match="needs no curriculum"):
        Curriculum.to((), "easy")
    with pytest.raises(RefusedError, match="resume with the level"):
        Curriculum.to(LEVELS, "hard").load_state(Curriculum.to(LEVELS, "extreme").state())
