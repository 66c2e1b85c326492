"""MachineTend cannot be faked: what the interlock forbids is never made good; ajar, askew, unstarted is not done."""

from collections.abc import Iterator
from math import nan

import numpy as np
import pytest

from genba.envs.body import about, about_z
from genba.envs.env import CellEnv
from genba.envs.parts.machine import STROKE, TRAVEL
from genba.robots.errors import RefusedError


@pytest.fixture(scope="module", params=["so101", "panda", "ur5e"])
def stage(request: pytest.FixtureRequest) -> Iterator[CellEnv]:
    env = CellEnv("MachineTend", request.param, terminate_on_success=False)
    yield env
    env.close()


def begin(env: CellEnv, seed: int = 0) -> None:
    """An episode in whose first moment the hood is open."""
    env.reset(seed=seed)
    env.cell.set_mover("machine", "hood", STROKE)


def put(env: CellEnv, name: str, k: int, *, up: float = 0.0, off: float = 0.0, turn: float = 0.0) -> None:
    x, y, z, yaw = env.task.memory["seats"][k]
    env.cell.place(name, (x + off, y, z + up), about_z(yaw + turn))


def both(env: CellEnv) -> None:
    put(env, "finished", 0)
    put(env, "raw", 1)


def wait(env: CellEnv, ticks: int = 25) -> dict[str, object]:
    still = np.zeros(env.action_space.shape, np.float32)
    for _ in range(ticks):
        *_, info = env.step(still)
    return info


def hood(env: CellEnv, at: float) -> None:
    env.cell.set_mover("machine", "hood", at)


def press(env: CellEnv) -> None:
    """The button is in for the length of one look of the controller."""
    wait(env, 3)
    env.cell.set_mover("machine", "button", TRAVEL)
    env.witness.read()
    env.cell.set_mover("machine", "button", 0.0)


def failed(info: dict[str, object]) -> set[str]:
    assert info["is_success"] is False
    return {name for name, row in info["success_terms"].items() if not row["ok"]}


def test_parts_changed_hood_shut_and_started_in_this_order_counts(stage: CellEnv) -> None:
    for seed in range(3):
        begin(stage, seed)
        both(stage)
        hood(stage, 0.0)
        press(stage)
        assert wait(stage)["is_success"] is True


def test_nothing_counts_without_start(stage: CellEnv) -> None:
    begin(stage)
    both(stage)
    hood(stage, 0.0)
    assert failed(wait(stage)) == {"started", "held_s"}


def test_start_with_the_hood_open_or_ajar_is_never_made_good(stage: CellEnv) -> None:
    for ajar in (STROKE, 0.01, 0.003):
        begin(stage)
        both(stage)
        hood(stage, ajar)
        press(stage)
        hood(stage, 0.0)
        press(stage)
        assert stage.task.memory["started"] is True
        assert failed(wait(stage)) == {"violations", "held_s"}


def test_start_on_an_empty_vice_or_on_the_finished_part_is_never_made_good(stage: CellEnv) -> None:
    begin(stage)
    put(stage, "finished", 0)
    hood(stage, 0.0)
    press(stage)
    assert stage.task.memory["started"] is False
    put(stage, "raw", 1)
    press(stage)
    assert failed(wait(stage)) == {"violations", "held_s"}
    begin(stage)
    hood(stage, 0.0)
    press(stage)
    both(stage)
    press(stage)
    assert failed(wait(stage)) == {"violations", "held_s"}


def test_raw_part_askew_beside_its_seat_or_on_the_jaws_is_no_raw_part(stage: CellEnv) -> None:
    position, angle = stage.task.success.position_tolerance, stage.task.success.angle_tolerance
    for off, turn in ((position + 0.004, 0.0), (0.0, angle + 0.1)):
        begin(stage)
        put(stage, "finished", 0)
        put(stage, "raw", 1, off=off, turn=turn, up=0.004)
        hood(stage, 0.0)
        press(stage)
        assert failed(wait(stage)) >= {"placed", "started", "violations"}
    begin(stage)
    both(stage)
    hood(stage, 0.0)
    press(stage)
    assert wait(stage)["is_success"] is True
    x, y, z, _ = stage.task.memory["seats"][1]
    stage.cell.place("raw", (x, y, z + 0.01), about((1.0, 0.0, 0.0), 0.6))
    assert "placed" in failed(wait(stage, 1))


def test_opening_the_hood_of_a_running_machine_is_never_made_good(stage: CellEnv) -> None:
    begin(stage)
    both(stage)
    hood(stage, 0.0)
    press(stage)
    hood(stage, 0.02)
    assert failed(wait(stage)) >= {"hood_m", "violations"}
    hood(stage, 0.0)
    assert failed(wait(stage)) == {"violations", "held_s"}


def test_finished_part_held_over_the_outfeed_does_not_count(stage: CellEnv) -> None:
    begin(stage)
    put(stage, "raw", 1)
    hood(stage, 0.0)
    stage.cell.place("finished", (3.0, 0.0, -1.0))
    press(stage)
    still = np.zeros(stage.action_space.shape, np.float32)
    for _ in range(25):
        put(stage, "finished", 0, up=0.015)
        *_, info = stage.step(still)
    assert "placed" in failed(info)


def test_hand_under_a_hood_that_is_not_open_is_never_made_good(stage: CellEnv) -> None:
    observation, _ = stage.reset(seed=1)
    for _ in range(stage.horizon):
        observation, *_ = stage.step(stage.expert_action(observation))
        if stage.station.pose.position[2] < 0.030:
            break
    assert stage.task.memory["broken"] == [False, False, False]
    hood(stage, 0.5 * STROKE)
    stage.witness.read()
    hood(stage, STROKE)
    assert stage.task.memory["broken"] == [True, False, False]
    assert "violations" in failed(wait(stage, 5))


def test_controller_names_one_step_after_the_other(stage: CellEnv) -> None:
    observation, _ = stage.reset(seed=2)
    steps = [stage.task.memory["step"]]
    info: dict[str, object] = {"is_success": False}
    while not info["is_success"]:
        observation, _, _, late, info = stage.step(stage.expert_action(observation))
        steps.append(stage.task.memory["step"])
        assert not late
    order = [b for a, b in zip([-1, *steps], steps, strict=False) if a != b]
    assert order == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"machine_shift": (0.1, 0.0)}, "x in m -0.006..0.006"),
        ({"machine_shift": (nan, 0.0)}, "rows of"),
        ({"raw_part": (0.0, 0.0)}, "turn in rad -0.25..0.25"),
        ({"raw_part": "there"}, "raw_part"),
        ({"part_poses": []}, "machine_shift, raw_part"),
        ({"level": "1"}, "level"),
    ],
)
def test_options_that_do_not_fit_are_refused(stage: CellEnv, options: dict[str, object], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        stage.reset(seed=0, options=options)


def test_options_are_where_they_were_asked_for(stage: CellEnv) -> None:
    stage.reset(seed=0, options={"machine_shift": (0.0, 0.0), "raw_part": (0.0, 0.0, 0.0)})
    a = stage.cell.pose("raw")[0]
    stage.reset(seed=1, options={"machine_shift": (0.004, -0.002), "raw_part": (0.0, 0.0, 0.1)})
    b = stage.cell.pose("raw")[0]
    assert (b[0] - a[0], b[1] - a[1]) == pytest.approx((0.004, -0.002), abs=1e-9)
