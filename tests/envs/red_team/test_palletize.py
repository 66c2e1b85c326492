"""Palletize cannot be faked: not by boxes side by side, on edge, across or in the air, nor by a stack that moves."""

from collections.abc import Iterator
from math import nan, pi, radians

import numpy as np
import pytest
from stage import Stage, comes_back, failed, refuses, staged

from genba.envs.body import about, about_z, times
from genba.envs.layout import frame_point
from genba.envs.tasks.palletize import DECK, HEIGHT, LENGTH, OFF, SHEET, SKEW, STAND_S, WIDTH, Palletize

STRAIGHT = [(0.0, 0.0, 0.0)] * 12


@pytest.fixture(scope="module", params=[("so101", "one_layer"), ("panda", "two_layers")], ids="-".join)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    robot, level = request.param
    with staged("Palletize", robot, level=level) as found:
        yield found


def stack(stage: Stage, *, but: int = -1) -> None:
    """All boxes have come and stand in their places, the tier sheet between layers; one may be left out of it."""
    stage.begin(skews=STRAIGHT)
    task = stage.task
    assert isinstance(task, Palletize)
    task.memory["present"] = [k < task.count for k in range(12)]
    for k in range(task.count):
        if k != but:
            stage.seat(k)
    if task.count > 6:
        x, y, _, yaw = task.pallet()
        stage.env.cell.place("tier_sheet", (x, y, DECK + HEIGHT + 0.5 * SHEET), about_z(yaw))
        task.memory["sheet"] = True
    if but >= 0:
        aside(stage, but)


def aside(stage: Stage, k: int) -> None:
    """Set a box on the infeed."""
    at, turn = stage.task._infeed(k)  # type: ignore[attr-defined]
    stage.put(k, at, turn)


def last(stage: Stage) -> int:
    return stage.task.count - 1


def test_stack_counts_when_it_has_stood_for_a_second_and_not_before(stage: Stage) -> None:
    stack(stage)
    assert failed(stage.wait(STAND_S - 0.1)) >= {"stood_s"}
    assert stage.wait(0.6)["is_success"] is True


def test_one_box_missing_or_not_come_yet_does_not_count(stage: Stage) -> None:
    stack(stage, but=2)
    assert failed(stage.wait(2.0)) == {"stacked", "stood_s", "held_s"}
    stack(stage)
    k = last(stage)
    stage.task.memory["present"][k] = False
    stage.put(k, (5.0, 0.0, -50.0))
    assert failed(stage.wait(2.0)) >= {"stacked", "stood_s", "held_s"}
    stack(stage)
    assert stage.wait(2.0)["is_success"] is True


def test_second_layer_side_by_side_on_the_table_does_not_count() -> None:
    with staged("Palletize", "panda", level="two_layers") as scene:
        stack(scene)
        task = scene.task
        assert isinstance(task, Palletize)
        scene.env.cell.hide("tier_sheet")
        for k in range(6, 12):
            row, column = divmod(k - 6, 3)
            x, y = frame_point(task.pallet(), (column - 1) * 0.032, 0.075 + 0.03 * row)
            scene.put(k, (x, y, 0.5 * HEIGHT), about_z(task.pallet()[3]))
        info = scene.wait(2.0)
        assert failed(info) == {"stacked", "stood_s", "held_s"}
        assert info["success_terms"]["stacked"]["value"] == 6.0


def test_box_on_edge_on_its_side_or_across_two_places_does_not_count(stage: Stage) -> None:
    k = last(stage)
    x, y, z, yaw = stage_seat(stage, k)
    low = z - 0.5 * HEIGHT
    on_side = times(about_z(yaw), about((1.0, 0.0, 0.0), 0.5 * pi))
    on_end = times(about_z(yaw), about((0.0, 1.0, 0.0), 0.5 * pi))
    for at, turn in (
        ((x, y, low + 0.5 * WIDTH), on_side),
        ((x, y, low + 0.5 * LENGTH), on_end),
        ((x, y, z), about_z(yaw + 0.5 * pi)),
    ):
        stack(stage, but=k)
        stage.put(k, at, turn)
        assert failed(stage.wait(2.0)) >= {"stacked", "stood_s", "held_s"}
    stack(stage, but=k)
    a, b = stage_seat(stage, k), stage_seat(stage, k - 1)
    stage.put(k - 1, (0.5 * (a[0] + b[0]), 0.5 * (a[1] + b[1]), z), about_z(yaw))
    stage.seat(k, across=0.012)
    assert failed(stage.wait(2.0)) >= {"stacked", "stood_s", "held_s"}
    stack(stage)
    stage.put(k, (x, y, z), about_z(yaw + pi))  # by a half turn it looks the same
    assert stage.wait(2.0)["is_success"] is True


def stage_seat(stage: Stage, k: int) -> tuple[float, float, float, float]:
    if "seats" not in stage.task.memory:
        stage.begin(skews=STRAIGHT)
    seat: tuple[float, float, float, float] = stage.task.memory["seats"][k]
    return seat


def test_box_turned_by_more_than_the_tolerance_does_not_count(stage: Stage) -> None:
    limit = stage.task.success.angle_tolerance
    k = last(stage)
    stack(stage)
    stage.seat(k, turn=limit + radians(1.5))
    assert failed(stage.wait(2.0)) == {"stacked", "stood_s", "held_s"}
    stack(stage)
    stage.seat(k, turn=limit - radians(1.5))
    assert stage.wait(2.0)["is_success"] is True


@pytest.mark.parametrize("after", [0.3, 0.9])
def test_box_shifted_before_the_second_is_over_never_counts(stage: Stage, after: float) -> None:
    """6 mm are within the tolerance of its place, but not what stands still; putting it back does not undo it."""
    k = last(stage)
    stack(stage)
    stage.wait(after)
    stage.seat(k, along=0.006)
    assert failed(stage.wait(2.0)) == {"moved_m", "held_s"}
    stage.seat(k)
    assert failed(stage.wait(2.0)) == {"moved_m", "held_s"}
    stack(stage)
    stage.wait(after)
    stage.seat(k, along=0.004)
    assert stage.wait(2.0)["is_success"] is True


@pytest.mark.parametrize("after", [0.3, 0.9])
def test_box_that_topples_before_the_second_is_over_does_not_count(stage: Stage, after: float) -> None:
    k = last(stage)
    stack(stage)
    stage.wait(after)
    x, y, z, yaw = stage_seat(stage, k)
    lean = times(about_z(yaw), about((1.0, 0.0, 0.0), 0.9))
    stage.put(k, (x, y, z + 0.008), lean)
    assert failed(stage.wait(2.0)) >= {"stacked", "moved_m", "held_s"}


def test_box_above_its_place_does_not_count(stage: Stage) -> None:
    k = last(stage)
    stack(stage, but=k)
    assert failed(stage.wait(2.0, lambda: stage.seat(k, up=0.010))) >= {"stacked", "stood_s", "held_s"}
    stage.seat(k)
    assert stage.wait(2.0)["is_success"] is True


def test_last_box_held_in_its_place_does_not_count() -> None:
    with staged("Palletize", "so101") as scene:
        stack(scene, but=5)
        scene.task.memory["current"] = 5
        x, y, z, _ = scene.task.memory["seats"][5]

        def there(at: tuple[float, float, float]) -> bool:
            return at[2] - z < 0.003 and abs(at[0] - x) + abs(at[1] - y) < 0.01

        assert failed(scene.carry(there, 16.0)) >= {"stacked", "released", "stood_s", "held_s"}


def test_skews_and_level_are_obeyed(stage: Stage) -> None:
    rows = [(OFF * (-1) ** k, 0.5 * OFF, SKEW * (k - 5.5) / 6.0) for k in range(12)]
    stage.begin(skews=rows)
    at, turn = stage.env.cell.pose("box_0")
    stage.begin(skews=STRAIGHT)
    middle, straight = stage.env.cell.pose("box_0")
    assert np.hypot(at[0] - middle[0], at[1] - middle[1]) == pytest.approx(np.hypot(OFF, 0.5 * OFF), abs=1e-6)
    assert 2.0 * np.arccos(abs(np.dot(turn, straight))) == pytest.approx(-rows[0][2], abs=1e-4)
    for k, level in enumerate(stage.task.levels_for(stage.env.robot)):
        stage.begin(skews=STRAIGHT, level=level)
        assert stage.env.task.desired[10] == 6 * (k + 1)


def test_how_long_and_how_still_it_stood_belong_to_the_saved_moment(stage: Stage) -> None:
    stack(stage)
    stage.wait(0.5)
    assert stage.task.memory["since"] > 0
    comes_back(stage)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"skews": STRAIGHT[:6]}, "12 boxes"),
        ({"skews": [(0.0, 0.0, 0.3)] * 12}, "0.25 rad"),
        ({"skews": [(0.009, 0.0, 0.0)] * 12}, "0.008 m"),
        ({"skews": [(0.0, nan, 0.0)] * 12}, "at most"),
        ({"skews": [(0.0, 0.0)] * 12}, r"\(x, y, yaw\)"),
        ({"skews": "none"}, "12 boxes"),
        ({"skews": 3}, "12 boxes"),
        ({"part_poses": []}, "skews"),
        ({"level": "two_layers"}, "for so101; there are: one_layer$"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, object], said: str) -> None:
    refuses("Palletize", options, said)
