"""The law by which an expert is made brisker, and the search for its numbers."""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genba.envs.env import CellEnv
from genba.policies.crews.crew import LocalCrew
from genba.policies.training import tempo_search
from genba.policies.training.collect import Collectors, Trajectory
from genba.policies.training.recipe import SearchRecipe
from genba.policies.training.tempo import Tempo, at_tempo
from genba.policies.training.tempo_search import LIKELY, RANGES, TempoSearch
from genba.robots.catalogue import load_robot, robot_names
from genba.robots.description import RobotDescription

tempos = st.builds(Tempo, **{key: st.floats(*limits) for key, limits in RANGES.items()})
Fields = dict[str, np.ndarray]


def moment(name: str, rows: int, lag: float, seed: int = 0) -> Fields:
    """Joints near home, sent ahead of where they are, and fingers anywhere."""
    robot = load_robot(name)
    rng = np.random.default_rng(seed)
    joints = np.array(robot.home) + rng.uniform(-0.1, 0.1, (rows, len(robot.home)))
    error = np.concatenate([lag * rng.uniform(-1.0, 1.0, joints.shape), rng.uniform(-1.0, 1.0, (rows, 1))], axis=1)
    opening = rng.uniform(min(robot.gripper.opening), max(robot.gripper.opening), (rows, 1))
    return {"joint_positions": joints, "following_error": error, "gripper_opening": opening}


def actions(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((seed, 1)).uniform(-1.0, 1.0, (rows, 5))


@pytest.mark.parametrize("name", robot_names())
def test_the_experts_own_tempo_is_the_expert(name: str) -> None:
    action = actions(6)
    assert at_tempo(Tempo(), load_robot(name), moment(name, 6, 0.05), action, gripper=True) is action


@pytest.mark.parametrize("name", robot_names())
@given(tempo=tempos, seed=st.integers(0, 99))
def test_actions_stay_within_their_limits_and_fingers_close_no_harder(name: str, tempo: Tempo, seed: int) -> None:
    action = actions(4, seed)
    fields = moment(name, 4, 0.05, seed)
    brisk = at_tempo(tempo, load_robot(name), fields, action, gripper=True)
    assert brisk.shape == action.shape
    assert np.abs(brisk).max() <= 1.0
    free = fields["following_error"][:, -1] >= -load_robot(name).gripper.squeeze
    np.testing.assert_array_equal(brisk[free, 4], action[free, 4])
    assert (brisk[:, 4] >= action[:, 4]).all()
    # Each row by itself, as a policy will see it.
    alone = [
        at_tempo(tempo, load_robot(name), {k: v[i : i + 1] for k, v in fields.items()}, action[i : i + 1], gripper=True)
        for i in range(4)
    ]
    np.testing.assert_allclose(np.concatenate(alone), brisk, atol=1e-12)


@given(tempo=tempos, seed=st.integers(0, 99))
def test_without_lag_the_path_stays_straight_and_nothing_gets_slower(tempo: Tempo, seed: int) -> None:
    action = actions(4, seed)
    brisk = at_tempo(tempo, load_robot("panda"), moment("panda", 4, 0.0, seed), action, gripper=True)
    factor = brisk[:, :4] / action[:, :4]
    np.testing.assert_allclose(factor, np.broadcast_to(factor[:, :1], factor.shape), rtol=1e-9)
    assert factor.min() >= 1.0 - 1e-12


def test_what_is_under_way_is_not_asked_for_again() -> None:
    robot = load_robot("panda")
    fields = moment("panda", 1, 0.0)
    from genba.robots.kinematics import Kinematics

    kinematics = Kinematics(robot)
    ahead = 2.0 * robot.ee_step
    pose = kinematics.forward(fields["joint_positions"][0].tolist())
    x, y, z = pose.position
    sent, error = kinematics.inverse((x + ahead, y, z), pose.quaternion, fields["joint_positions"][0].tolist())
    assert error < 1e-6
    fields["following_error"][0, :7] = np.array(sent) - fields["joint_positions"][0]
    still = np.zeros((1, 5))
    back = at_tempo(Tempo(lead=1.0), robot, fields, still, gripper=True)
    np.testing.assert_allclose(back[0, :3], [-0.18 * 2.0, 0.0, 0.0], atol=1e-5)
    assert at_tempo(Tempo(lead_down=1.0), robot, fields, still, gripper=True)[0, 0] == pytest.approx(0.0, abs=1e-12)


def gripping(name: str) -> tuple[RobotDescription, Fields, np.ndarray]:
    """Fingers half open, stopped by a part and sent all the way shut; and where they are, as a gripper action."""
    robot = load_robot(name)
    g, fields = robot.gripper, moment(name, 1, 0.0)
    half = 0.5 * (g.open + g.closed)
    fields["gripper_opening"][0, 0] = np.interp(half, np.linspace(g.closed, g.open, len(g.opening)), g.opening)
    fields["following_error"][0, -1] = g.closed - half
    return robot, fields, np.array([[0.0, 0.0, 0.0, 0.0, -1.0]])


@pytest.mark.parametrize("name", [name for name in robot_names() if not load_robot(name).gripper.travel_time])
def test_fingers_that_hold_are_sent_no_farther_than_holds(name: str) -> None:
    robot, fields, shut = gripping(name)
    g = robot.gripper
    sent = at_tempo(Tempo(hold=1.5), robot, fields, shut, gripper=True)[0, 4]
    beyond = 0.5 * (g.open - g.closed) * (0.0 - sent)
    assert beyond == pytest.approx(1.5 * g.squeeze)
    opened = at_tempo(Tempo(hold=1.5), robot, fields, -shut, gripper=True)[0, 4]
    assert opened == 1.0
    fields["following_error"][0, -1] = -0.9 * g.squeeze
    assert at_tempo(Tempo(hold=1.5), robot, fields, shut, gripper=True)[0, 4] == -1.0


@pytest.mark.slow
def test_a_vice_is_loaded_by_a_hand_that_swings() -> None:
    """Here the part was let go of 2.06 mm beside its seat, where 2 mm count, and the hand left it for good."""
    with closing(LocalCrew(0)) as crew, closing(Collectors({"task": "MachineTend", "robot": "panda"}, crew)) as found:
        brisk = Tempo(quicken=1.55, lead=0.85, lead_down=0.7, near=0.2)
        assert all(t.success for t in found.collect([60023, 60055], tempo=brisk))


TASK = {"task": "TeachPoint", "robot": "panda"}
SHORT = SearchRecipe(trials=6, blind=2, episodes=8, finalists=2, proof=16)


@pytest.fixture(scope="module")
def collectors() -> Iterator[Collectors]:
    with closing(LocalCrew(0)) as crew, closing(Collectors(TASK, crew)) as found:
        yield found


def begin(recipe: SearchRecipe = SHORT) -> TempoSearch:
    with closing(CellEnv(**TASK)) as env:
        return TempoSearch(recipe=recipe, seed=77_000_000, dt=env.dt, hold=env.task.success.hold_s)


def work(search: TempoSearch, collectors: Collectors, after: int = 99) -> None:
    """Search, and stop after so many trials."""

    def save() -> None:
        if len(search.trials) == after:
            raise KeyboardInterrupt

    search.run(collectors, lambda words: None, save)


@pytest.fixture(scope="module")
def whole(collectors: Collectors) -> TempoSearch:
    search = begin()
    work(search, collectors)
    return search


@pytest.mark.slow
def test_a_search_finds_a_brisker_way_to_a_point(whole: TempoSearch) -> None:
    """At the likely tempo alone the cycle is an eighth shorter, on any seeds."""
    assert whole.found is not None
    assert not whole.found.own
    own, others = whole.trials[0][1], [cost for _, cost in whole.trials[1:]]
    assert whole.trials[0][0].own
    assert tuple(tempo for tempo, _ in whole.trials[1:3]) == LIKELY
    assert min(others) < 0.92 * own
    assert own == pytest.approx(whole.own)
    for tempo, _ in whole.trials[1:]:
        assert all(low <= getattr(tempo, key) <= high for key, (low, high) in RANGES.items())


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 4])
def test_an_interrupted_search_goes_on_as_if_nothing_had_happened(
    whole: TempoSearch, collectors: Collectors, after: int
) -> None:
    search = begin()
    with pytest.raises(KeyboardInterrupt):
        work(search, collectors, after)
    again = begin()
    again.load_state(search.state())
    work(again, collectors)
    assert again.state() == whole.state()


class Fake:
    """Episodes that get shorter with `quicken`, of which those at the boldest tempos fail once in sixteen."""

    def __init__(self, bold: float) -> None:
        self.bold = bold

    def collect(self, seeds: range, *, tempo: Tempo) -> list[Trajectory]:
        rows = np.zeros((1, 1), np.float32)
        steps = round(100 - 20 * (tempo.quicken - 1.0))
        return [
            Trajectory(
                seed=k, observation=rows, achieved_goal=rows, desired_goal=rows, label=rows,
                action=np.zeros((steps, 1), np.float32), success=tempo.quicken < self.bold or k % 16 != 0,
            )
            for k in seeds
        ]  # fmt: skip


def test_a_search_of_one_trial_is_the_experts_own() -> None:
    search = begin(SearchRecipe(trials=1, episodes=2, proof=2))
    search.run(Fake(9.0), lambda words: None, lambda: None)  # type: ignore[arg-type]
    assert search.found == Tempo()


@pytest.mark.parametrize(("bold", "found"), [(1.0001, 1.0), (1.8, 1.7), (9.0, 2.0)])
def test_a_tempo_that_fails_is_not_taken_but_perhaps_a_slower_one(
    monkeypatch: pytest.MonkeyPatch, bold: float, found: float
) -> None:
    """What fails once in sixteen costs more than the expert's own, however brisk."""
    monkeypatch.setattr(tempo_search, "FIRST", (Tempo(), Tempo(quicken=2.0), Tempo(quicken=2.0)))
    search = begin(SearchRecipe(trials=3, episodes=16, finalists=2, proof=32))
    search.run(Fake(bold), lambda words: None, lambda: None)  # type: ignore[arg-type]
    assert search.found is not None
    assert search.found.quicken == pytest.approx(found)
