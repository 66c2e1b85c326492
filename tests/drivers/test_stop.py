"""Only an arm whose samples all lie close to one of them stands."""

from hypothesis import given
from hypothesis import strategies as st

from genba.drivers.stop import STILL_SAMPLES, STILL_TICKS, Standstill

positions = st.lists(st.lists(st.integers(-4, 4), min_size=2, max_size=2), max_size=30)


@given(samples=positions)
def test_standing_is_seen_in_samples_that_agree_with_the_first_of_them(samples: list[list[int]]) -> None:
    standstill = Standstill(["shoulder", "elbow"])
    for k, ticks in enumerate(samples):
        standstill.see(ticks)
        if standstill.sure:
            recent = samples[k - STILL_SAMPLES : k]
            assert len(recent) == STILL_SAMPLES
            # Each is within the limit of a common sample, so two of them are within twice that of each other.
            assert all(abs(a - b) <= 2 * STILL_TICKS for s in recent for a, b in zip(s, ticks, strict=True))


@given(speed=st.integers(1, 50), before=positions)
def test_a_creep_never_passes(speed: int, before: list[list[int]]) -> None:
    standstill = Standstill(["shoulder", "elbow"])
    for ticks in before:
        standstill.see(ticks)
    for k in range(3 * STILL_SAMPLES + 1):
        standstill.see([100 + speed * k, 0])
        if k > STILL_SAMPLES:
            assert not standstill.sure


@given(samples=positions)
def test_a_doubt_costs_as_many_samples_again(samples: list[list[int]]) -> None:
    standstill = Standstill(["shoulder", "elbow"])
    for ticks in samples:
        standstill.see(ticks)
    standstill.see([0, 0])
    standstill.doubt()
    for _ in range(STILL_SAMPLES - 1):
        standstill.see([0, 0])
        assert not standstill.sure
