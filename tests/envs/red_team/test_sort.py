"""Sort cannot be faked: not by a detour through the wrong bin, not on the rim, in the air, in the hand or in motion."""

from collections.abc import Iterator
from math import nan

import numpy as np
import pytest
from stage import Stage, comes_back, failed, refuses, staged

from genba.envs.body import about_z
from genba.envs.layout import frame_point
from genba.envs.tasks.sort import FLOOR, INNER, RIM, WALL, WIDTH, Sort


@pytest.fixture(scope="module", params=["so101", "panda"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with staged("Sort", request.param) as found:
        yield found


def sort_all(stage: Stage, *, but: int = -1) -> None:
    for k in range(6):
        if k != but:
            stage.seat(k)


def in_bin(stage: Stage, k: int, kind: int, along: float, across: float, z: float) -> None:
    task = stage.task
    assert isinstance(task, Sort)
    place = task.bins[kind]
    x, y = frame_point(place, along, across)
    stage.put(k, (x, y, z), about_z(place[3]))


def test_all_in_their_bins_count_after_half_a_second_and_not_before(stage: Stage) -> None:
    stage.begin()
    sort_all(stage)
    assert stage.wait(0.4)["is_success"] is False
    assert stage.wait(0.5)["is_success"] is True


def test_anywhere_in_the_bin_will_do(stage: Stage) -> None:
    stage.begin()
    sort_all(stage)
    in_bin(stage, 5, 1, 0.5 * (INNER[0] - WIDTH), -0.5 * (INNER[1] - WIDTH), FLOOR + 0.5 * WIDTH)
    assert stage.wait(1.0)["is_success"] is True


def test_part_in_the_wrong_bin_does_not_count_and_is_never_made_good(stage: Stage) -> None:
    stage.begin()
    sort_all(stage, but=1)
    stage.seat(1, place=4)  # where a good part belongs
    stage.seat(4, place=1)
    info = stage.wait(0.5)
    assert failed(info) == {"sorted", "misrouted", "held_s"}
    assert info["success_terms"]["misrouted"]["value"] == 2.0
    sort_all(stage)
    assert failed(stage.wait(1.0)) == {"misrouted", "held_s"}


def test_part_on_the_rim_or_outside_does_not_count(stage: Stage) -> None:
    edge = 0.5 * INNER[0] + 0.5 * WALL
    for along, z in ((edge, FLOOR + RIM + 0.5 * WIDTH), (edge + WALL + 0.5 * WIDTH, 0.5 * WIDTH)):
        stage.begin()
        sort_all(stage, but=0)
        in_bin(stage, 0, 0, along, 0.0, z)
        assert failed(stage.wait(1.0)) == {"sorted", "held_s"}


def test_parts_above_their_bins_or_falling_into_them_do_not_count(stage: Stage) -> None:
    stage.begin()
    sort_all(stage, but=2)
    assert failed(stage.wait(1.0, lambda: stage.seat(2, up=0.06))) == {"sorted", "held_s"}
    low = stage.wait(1.0, lambda: stage.seat(2, up=0.012))
    assert "sorted" in failed(low)
    stage.seat(2)
    assert stage.wait(1.0)["is_success"] is True


def test_part_that_still_slides_in_its_bin_does_not_count_until_it_rests(stage: Stage) -> None:
    stage.begin()
    sort_all(stage)

    yaw, way = stage.task.memory["seats"][3][3], [0.4]

    def push() -> None:
        way[0] = -way[0]
        stage.env.cell.drive("part_3", (way[0] * np.cos(yaw), way[0] * np.sin(yaw), 0.0))

    assert failed(stage.wait(1.0, push)) >= {"speed_m_s", "held_s"}
    stage.seat(3)
    assert stage.wait(1.0)["is_success"] is True


def test_last_part_held_in_its_bin_does_not_count(stage: Stage) -> None:
    """The good part 0 is brought by the expert, which never lets it go."""
    task = stage.task
    assert isinstance(task, Sort)
    stage.begin()
    for k in range(1, 6):
        stage.seat(k)
    info = stage.carry(lambda at: task.inside(at, 0), 14.0)
    assert failed(info) >= {"sorted", "released", "held_s"}
    assert task.inside(stage.env.cell.pose("part_0")[0], 0)


def test_misroutes_belong_to_the_saved_moment(stage: Stage) -> None:
    stage.begin()
    stage.seat(1, place=0)
    stage.wait(0.2)
    assert stage.task.memory["misrouted"][1]
    comes_back(stage)


def test_options_are_obeyed(stage: Stage) -> None:
    stage.begin()
    poses = [(*stage.env.cell.pose(f"part_{k}")[0], 0.1 * k) for k in range(6)]
    poses.reverse()
    stage.begin(part_poses=poses)
    for k, (x, y, z, yaw) in enumerate(poses):
        at, turn = stage.env.cell.pose(f"part_{k}")
        assert at == pytest.approx((x, y, z), abs=2e-4)
        assert turn == pytest.approx(about_z(yaw), abs=2e-3)


HERE = (0.2, 0.0, 0.012, 0.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ticket": [0]}, "part_poses"),
        ({"part_poses": [HERE] * 5}, "part_0, part_1, part_2, part_3, part_4, part_5"),
        ({"part_poses": 3}, "one pose"),
        ({"part_poses": [HERE] * 5 + [(0.2, 0.0, nan, 0.0)]}, "finite x, y, z in m and yaw in rad"),
        ({"part_poses": [HERE] * 5 + [(0.9, 0.0, 0.012, 0.0)]}, "out of reach"),
        ({"part_poses": [HERE] * 5 + [(0.2, 0.0)]}, "yaw in rad"),
        ({"part_poses": [(0.2, 0.0, 0.012, 0.0)] * 6}, "overlap"),
        ({"joint_positions": [nan] * 5}, "allowed, in rad"),
        ({"level": "easy"}, "unknown reset option"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, object], said: str) -> None:
    refuses("Sort", options, said)
