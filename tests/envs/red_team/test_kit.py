"""Kit cannot be faked: not with the wrong types, parts on the rim, parts on parts, parts askew or parts in the hand."""

from collections.abc import Iterator
from math import hypot, nan, radians

import pytest
from stage import Stage, comes_back, failed, refuses, staged

from genba.envs.body import about_z
from genba.envs.layout import frame_point
from genba.envs.tasks.kit import CLEARANCE, FLOOR, HEIGHTS, PITCH, RIM, Kit

TICKET = [0, 1, 2, 0]  # parts 0, 1, 2, 3 are of these types; 4 and 5 are left over
CHOSEN = {0: 0, 1: 1, 2: 2, 3: 3}  # part by part: its pocket


@pytest.fixture(scope="module", params=["so101", "panda"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with staged("Kit", request.param) as found:
        yield found


def pocket(stage: Stage, k: int, p: int, *, along: float = 0.0, up: float = 0.0, turn: float = 0.0) -> None:
    """Set part k into pocket p, or beside it along the tray's own x, or above its floor."""
    task = stage.task
    assert isinstance(task, Kit)
    x, y, _, yaw = task.tray()
    x, y = frame_point((x, y, 0.0, yaw), along, (p - 1.5) * PITCH)
    stage.put(k, (x, y, FLOOR + 0.5 * task.parts[k].size[2] + up), about_z(yaw + turn))


def fill(stage: Stage, chosen: dict[int, int]) -> None:
    stage.begin(ticket=TICKET)
    for k, p in chosen.items():
        pocket(stage, k, p)


def test_tray_filled_by_its_ticket_counts_after_half_a_second_and_not_before(stage: Stage) -> None:
    fill(stage, CHOSEN)
    assert stage.wait(0.4)["is_success"] is False
    assert stage.wait(0.5)["is_success"] is True


def test_either_part_of_a_type_will_do_turned_by_any_quarter(stage: Stage) -> None:
    fill(stage, {3: 0, 4: 1, 5: 2, 0: 3})
    pocket(stage, 4, 1, turn=radians(90.0))
    assert stage.wait(1.0)["is_success"] is True


def test_full_pockets_with_two_types_exchanged_do_not_count(stage: Stage) -> None:
    fill(stage, {0: 0, 2: 1, 1: 2, 3: 3})
    info = stage.wait(1.0)
    assert failed(info) == {"kitted", "wrong_type", "held_s"}
    assert info["success_terms"]["wrong_type"]["value"] == 2.0
    pocket(stage, 2, 2)
    pocket(stage, 1, 1)
    assert stage.wait(1.0)["is_success"] is True


def test_three_of_four_pockets_do_not_count(stage: Stage) -> None:
    fill(stage, {0: 0, 1: 1, 2: 2})
    assert failed(stage.wait(1.0)) == {"kitted", "held_s"}


def test_part_on_the_rim_is_not_seated(stage: Stage) -> None:
    fill(stage, CHOSEN)
    pocket(stage, 1, 1, along=0.5 * CLEARANCE[stage.task.tolerance] + 0.0045, up=RIM)
    info = stage.wait(1.0)
    assert failed(info) == {"kitted", "wrong_type", "held_s"}
    assert stage.env.cell.pose("part_1")[0][2] > FLOOR + 0.5 * HEIGHTS[1] + 0.001  # it does lie on the rim
    pocket(stage, 1, 1)
    assert stage.wait(1.0)["is_success"] is True


def test_left_over_part_on_top_of_one_in_its_pocket_does_not_count(stage: Stage) -> None:
    for k, kind in ((4, 1), (5, 2)):
        fill(stage, CHOSEN)
        pocket(stage, k, 0, up=HEIGHTS[0])
        info = stage.wait(1.0)
        assert failed(info) == {"wrong_type", "held_s"}
        assert stage.task.parts[k].kind == kind
    fill(stage, CHOSEN)
    pocket(stage, 4, 1, up=HEIGHTS[1])  # of the very type that belongs below it
    assert failed(stage.wait(1.0)) == {"wrong_type", "held_s"}


def test_part_turned_by_twenty_degrees_does_not_count(stage: Stage) -> None:
    fill(stage, CHOSEN)
    for turn in (radians(20.0), radians(-20.0)):
        info = stage.wait(0.7, lambda turn=turn: pocket(stage, 2, 2, turn=turn))
        assert failed(info) >= {"kitted", "wrong_type", "held_s"}
    pocket(stage, 2, 2)
    assert stage.wait(1.0)["is_success"] is True


def test_part_turned_by_twenty_degrees_does_not_fit_a_close_pocket() -> None:
    with staged("Kit", "panda") as scene:
        fill(scene, CHOSEN)
        pocket(scene, 2, 2, turn=radians(20.0), up=RIM)
        assert failed(scene.wait(1.0)) == {"kitted", "wrong_type", "held_s"}


def test_part_that_hovers_over_its_pocket_does_not_count(stage: Stage) -> None:
    fill(stage, CHOSEN)
    assert failed(stage.wait(1.0, lambda: pocket(stage, 3, 3, up=0.012))) >= {"kitted", "wrong_type", "held_s"}


def test_last_part_held_in_its_pocket_does_not_count(stage: Stage) -> None:
    fill(stage, {1: 1, 2: 2, 3: 3})
    task = stage.task
    assert isinstance(task, Kit)
    x, y = task.pocket(0)
    low = FLOOR + 0.5 * HEIGHTS[0] + 0.003
    info = stage.carry(lambda at: at[2] < low and hypot(at[0] - x, at[1] - y) < 0.004, 14.0)
    assert failed(info) == {"kitted", "released", "held_s"}


def test_part_at_the_wall_of_its_pocket_still_counts(stage: Stage) -> None:
    fill(stage, CHOSEN)
    pocket(stage, 0, 0, along=0.48 * CLEARANCE[stage.task.tolerance])
    assert stage.wait(1.0)["is_success"] is True


def test_ticket_and_poses_are_obeyed(stage: Stage) -> None:
    for ticket in ([2, 2, 1, 0], [0, 1, 1, 0]):
        stage.begin(ticket=ticket)
        assert stage.task.memory["ticket"] == ticket
        observed = stage.env.fields({g: stage.observation[g][None] for g in ("observation", "desired_goal")})
        assert observed["ticket"][0].reshape(4, 3).argmax(axis=1).tolist() == ticket
    poses = [(*stage.env.cell.pose(f"part_{k}")[0], 0.1) for k in range(6)]
    poses[0], poses[3] = poses[3], poses[0]
    stage.begin(part_poses=poses)
    for k, (x, y, z, _) in enumerate(poses):
        assert stage.env.cell.pose(f"part_{k}")[0] == pytest.approx((x, y, z), abs=2e-4)


def test_what_is_wrong_and_whose_turn_it_is_belong_to_the_saved_moment(stage: Stage) -> None:
    fill(stage, {0: 0, 2: 1})
    stage.wait(0.3)
    assert stage.task.memory["wrong_type"] == 1
    comes_back(stage)


HERE = (0.2, 0.0, 0.012, 0.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ticket": [0, 0, 0, 1]}, "none more than twice"),
        ({"ticket": [0, 1, 2]}, "expected 4 types"),
        ({"ticket": [0, 1, 2, 3]}, "each 0, 1 or 2"),
        ({"ticket": [0, 1, 2, 0.5]}, "each 0, 1 or 2"),
        ({"ticket": [0, 1, 2, nan]}, "expected 4 types"),
        ({"ticket": "abcd"}, "expected 4 types"),
        ({"ticket": None}, "expected 4 types"),
        ({"tickets": [0, 1, 2, 0]}, "ticket"),
        ({"part_poses": [HERE] * 4}, "part_0, part_1, part_2, part_3, part_4, part_5"),
        ({"part_poses": [HERE] * 6}, "overlap"),
        ({"part_poses": [HERE] * 5 + [(nan, 0.0, 0.012, 0.0)]}, "finite"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, object], said: str) -> None:
    refuses("Kit", options, said)
