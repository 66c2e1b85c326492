"""Success is one formula: a scalar, a batch and every sub-condition say the same, to the bit."""

from dataclasses import replace
from math import nextafter, pi, radians

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genba.robots.errors import RefusedError
from genba.robots.success import GOAL_SIZE, Success, goal_fields, goal_vector

SUCCESS = Success(position_tolerance=0.010, angle_tolerance=radians(10.0), symmetry=4)
GOAL = goal_vector((0.2, 0.05, 0.013), 0.3, 4)
TERMS = ("position_m", "yaw_rad", "tilt_rad", "speed_m_s", "spin_rad_s", "released")


def reached(
    *, at: tuple[float, float, float] = (0.0, 0.0, 0.0), yaw: float = 0.0, tilt: float = 0.0, speed: float = 0.0,
    spin: float = 0.0, released: float = 1.0, reach: float = 0.0, symmetry: int = 4,
) -> tuple[float, ...]:  # fmt: skip
    """The goal vector of a part that misses the goal by so much."""
    x, y, z = (0.2 + at[0], 0.05 + at[1], 0.013 + at[2])
    pose = goal_vector((x, y, z), 0.3 + yaw, symmetry)[:5]
    return (*pose, tilt, speed, spin, released, reach)


def test_layout_has_ten_numbers_and_a_privileged_half() -> None:
    fields = goal_fields("achieved", "truth", privileged=True)
    assert sum(f.size for f in fields) == GOAL_SIZE == len(GOAL)
    assert {f.name for f in fields if f.privileged} == {f"achieved_{n}" for n in ("speed", "spin", "released", "reach")}


@pytest.mark.parametrize(
    ("miss", "term"),
    [
        ({"at": (0.0101, 0.0, 0.0)}, "position_m"),
        ({"at": (0.0, 0.0, -0.0101)}, "position_m"),
        ({"at": (0.006, 0.006, 0.006)}, "position_m"),
        ({"yaw": radians(10.1)}, "yaw_rad"),
        ({"yaw": -radians(44.9)}, "yaw_rad"),
        ({"tilt": radians(10.1)}, "tilt_rad"),
        ({"tilt": pi}, "tilt_rad"),
        ({"speed": 0.0101}, "speed_m_s"),
        ({"spin": 0.101}, "spin_rad_s"),
        ({"released": 0.0}, "released"),
    ],
)
def test_each_condition_alone_prevents_success_and_is_named(miss: dict[str, float], term: str) -> None:
    terms = SUCCESS.terms(reached(**miss), GOAL)
    assert tuple(terms) == TERMS
    assert [name for name, row in terms.items() if not row["ok"]] == [term]
    assert not SUCCESS.met(reached(**miss), GOAL)
    assert all(row["ok"] for row in SUCCESS.terms(reached(), GOAL).values())
    assert SUCCESS.met(reached(), GOAL)


@pytest.mark.parametrize("symmetry", [1, 2, 4])
def test_part_that_looks_the_same_counts_the_same(symmetry: int) -> None:
    success = replace(SUCCESS, symmetry=symmetry)
    goal = goal_vector((0.2, 0.05, 0.013), 0.3, symmetry)
    for k in range(8):
        turned = reached(yaw=k * pi / 2, symmetry=symmetry)
        assert success.met(turned, goal) == (k * symmetry % 4 == 0)


def test_limits_are_inclusive_and_the_next_number_is_out() -> None:
    zero = (0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    for index, limit in ((0, SUCCESS.position_tolerance), (5, SUCCESS.angle_tolerance), (6, 0.01), (7, 0.1)):
        at, beyond = list(zero), list(zero)
        at[index], beyond[index] = limit, nextafter(limit, 1.0)
        assert SUCCESS.met(at, zero)
        assert not SUCCESS.met(beyond, zero)


def test_a_number_that_is_not_one_never_succeeds() -> None:
    for index in range(9):
        broken = list(GOAL)
        broken[index] = float("nan")
        assert not SUCCESS.met(broken, GOAL)
        assert not SUCCESS.met_batch(np.array(broken), np.array(GOAL))


def random_pairs(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Goal vectors of float32, as observations carry them, half of them near to success."""
    rng = np.random.default_rng(seed)
    a, d = rng.normal(0, 0.2, (2, count, GOAL_SIZE))
    near = rng.random(count) < 0.5
    a[near] = d[near] + rng.normal(0, 0.004, (int(near.sum()), GOAL_SIZE))
    for v in (a, d):
        angle = rng.normal(0, 0.2, count)
        v[:, 3], v[:, 4] = np.sin(angle), np.cos(angle)
        v[:, 5:8] = abs(v[:, 5:8]) * (0.05, 0.02, 0.2)
        v[:, 8] = rng.integers(0, 4, count) > 0
    return a.astype(np.float32), d.astype(np.float32)


@given(seed=st.integers(0, 2**32 - 1), dense=st.booleans(), symmetry=st.sampled_from([1, 2, 4]))
def test_batch_equals_scalar_to_the_bit(seed: int, dense: bool, symmetry: int) -> None:
    success = replace(SUCCESS, symmetry=symmetry)
    achieved, desired = random_pairs(64, seed)
    batch = success.reward_batch(achieved, desired, dense=dense)
    met = success.met_batch(achieved, desired)
    for a, d, reward, ok in zip(achieved.tolist(), desired.tolist(), batch.tolist(), met.tolist(), strict=True):
        assert success.reward(a, d, dense=dense) == reward
        assert success.met(a, d) is ok
        assert all(row["ok"] for row in success.terms(a, d).values()) is ok


def test_random_pairs_hold_both_outcomes() -> None:
    met = SUCCESS.met_batch(*random_pairs(2000, 0))
    assert 0.02 < met.mean() < 0.9


@pytest.mark.parametrize("shape", [(), (0,), (1,), (5,), (3, 4), (0, 2)])
@pytest.mark.parametrize("dense", [False, True])
def test_rewards_have_the_shape_of_their_batch(shape: tuple[int, ...], dense: bool) -> None:
    goals = np.broadcast_to(np.array(GOAL, np.float32), (*shape, GOAL_SIZE))
    assert SUCCESS.reward_batch(goals, goals, dense=dense).shape == shape
    assert (SUCCESS.reward_batch(goals, goals, dense=dense) == 0.0).all()


def test_dense_reward_grows_on_the_way_to_the_goal() -> None:
    way = [SUCCESS.reward(reached(at=(d, 0, 0), reach=d, yaw=2 * d), GOAL, dense=True) for d in (0.3, 0.1, 0.02, 0.0)]
    assert way == sorted(way)
    assert way[-1] == 0.0


def test_dense_reward_never_pays_for_staying() -> None:
    achieved, desired = random_pairs(2000, 1)
    achieved[:, 9] = abs(achieved[:, 9])
    assert (SUCCESS.reward_batch(achieved, desired, dense=True) <= 0.0).all()


def test_last_stretch_weighs_as_much_as_the_way_there() -> None:
    def reward(**miss: float | tuple[float, float, float]) -> float:
        return SUCCESS.reward(reached(**miss), GOAL, dense=True)  # type: ignore[arg-type]

    far = reward(at=(0.10, 0.0, 0.0)) - reward(at=(0.11, 0.0, 0.0))
    near = reward(at=(0.011, 0.0, 0.0)) - reward(at=(0.021, 0.0, 0.0))
    assert near > 4.0 * far
    for better, worse in (
        ({"speed": 0.02}, {"speed": 0.06}),
        ({"spin": 0.2}, {"spin": 0.6}),
        ({"tilt": 0.2}, {"tilt": 0.4}),
        ({"released": 1.0}, {"released": 0.0}),
    ):
        close, away = (0.011, 0.0, 0.0), (0.3, 0.0, 0.0)
        gain = reward(at=close, **better) - reward(at=close, **worse)
        assert gain > 0.005
        assert gain > 10.0 * (reward(at=away, **better) - reward(at=away, **worse))


def test_manifest_form_round_trips_and_refuses_strangers() -> None:
    assert Success.from_json(SUCCESS.to_json()) == SUCCESS
    with pytest.raises(RefusedError, match="luck"):
        Success.from_json({**SUCCESS.to_json(), "luck": 1.0})
    with pytest.raises(RefusedError, match="position_tolerance"):
        Success.from_json({**SUCCESS.to_json(), "position_tolerance": float("nan")})
