"""BinPick cannot be faked: no stack in the tray, no hovering, no spill, no endless tries; and its heaps lie still."""

from collections.abc import Iterator

import numpy as np
import pytest

from genba.envs.body import about_z
from genba.envs.env import CellEnv
from genba.envs.experts.grasping import best, grasps
from genba.envs.parts.piles import COUNTS, EDGE, FINGER_END, INNER, VARIANTS, heap, pour, stored
from genba.robots.errors import RefusedError


@pytest.fixture(scope="module", params=["panda", "ur5e"])
def stage(request: pytest.FixtureRequest) -> Iterator[CellEnv]:
    env = CellEnv("BinPick", request.param, terminate_on_success=False)
    yield env
    env.close()


def put(env: CellEnv, k: int, *, place: int | None = None, up: float = 0.0, off: float = 0.0) -> None:
    x, y, z, yaw = env.task._place(k if place is None else place)
    env.cell.place(f"cube_{k}", (x + off, y, z - 0.002 + up), about_z(yaw))


def wait(env: CellEnv, ticks: int = 25) -> dict[str, object]:
    still = np.zeros(env.action_space.shape, np.float32)
    for _ in range(ticks):
        *_, info = env.step(still)
    return info


def failed(info: dict[str, object]) -> set[str]:
    assert info["is_success"] is False
    return {name for name, row in info["success_terms"].items() if not row["ok"]}


def test_all_cubes_in_the_tray_count(stage: CellEnv) -> None:
    stage.reset(seed=0)
    for k in range(stage.task.count):
        put(stage, k)
    assert wait(stage)["is_success"] is True


def test_one_cube_left_in_the_bin_does_not_count(stage: CellEnv) -> None:
    stage.reset(seed=0)
    for k in range(1, stage.task.count):
        put(stage, k)
    assert failed(wait(stage)) == {"placed", "held_s"}


def test_cube_on_top_of_another_or_in_the_air_over_the_tray_does_not_count(stage: CellEnv) -> None:
    stage.reset(seed=1)
    for k in range(1, stage.task.count):
        put(stage, k)
    put(stage, 0, place=1, up=EDGE + 0.0005)
    assert failed(wait(stage)) == {"placed", "held_s"}
    still = np.zeros(stage.action_space.shape, np.float32)
    for _ in range(25):
        put(stage, 0, up=0.03)
        *_, info = stage.step(still)
    assert "placed" in failed(info)


def test_cube_spilled_beside_the_tray_is_never_made_good(stage: CellEnv) -> None:
    stage.reset(seed=2)
    for k in range(stage.task.count):
        put(stage, k)
    x, y, _, _ = stage.task.tray
    stage.cell.place("cube_0", (x, y + 0.14, 0.5 * EDGE))
    assert failed(wait(stage)) >= {"placed", "spilled"}
    put(stage, 0)
    assert failed(wait(stage)) == {"spilled", "held_s"}


def test_fourth_vain_attempt_at_a_part_is_a_failure(stage: CellEnv) -> None:
    """Fingers close over the bin's floor, where the heap has been taken away, and open again."""
    stage.reset(seed=3)
    for k in range(stage.task.count - 1):
        put(stage, k)
    last = stage.task.count - 1
    stage.task.memory["current"] = last
    for tries in range(1, 5):
        stage.task.memory["current"] = last
        stage.task.memory["closing"] = True
        stage.witness.read()
        assert stage.task.memory["attempts"][last] == tries
    put(stage, last)
    assert failed(wait(stage)) == {"attempts", "held_s"}


def test_three_vain_attempts_are_forgiven(stage: CellEnv) -> None:
    stage.reset(seed=3)
    stage.task.memory["attempts"][0] = 3
    for k in range(stage.task.count):
        put(stage, k)
    assert wait(stage)["is_success"] is True


def test_heaps_are_enough_and_can_be_cleared() -> None:
    assert set(stored()) == set(COUNTS)
    for count, heaps in stored().items():
        assert len(heaps) >= 64
        for number in range(0, VARIANTS * len(heaps), 17):
            left = heap(count, number)
            assert len(left) == count
            while left:
                found = grasps(
                    left,
                    range(len(left)),
                    half=0.5 * EDGE,
                    far=FINGER_END,
                    box=(0.0, 0.0, 0.0, 0.0),
                    inner=INNER,
                )
                grasp = best(found, {})
                assert grasp.room >= 0.0009
                del left[grasp.part]


def test_heaps_lie_still(stage: CellEnv) -> None:
    for seed in range(12):
        stage.reset(seed=seed)
        before = [stage.cell.pose(f"cube_{k}")[0] for k in range(stage.task.count)]
        wait(stage, 15)
        after = [stage.cell.pose(f"cube_{k}")[0] for k in range(stage.task.count)]
        assert np.abs(np.array(before) - np.array(after)).max() < 0.002


def test_pouring_gives_what_is_stored() -> None:
    poured = pour(0)
    kept = stored()[5][0]
    assert np.abs(np.array([p for p, _ in poured[5]]) - np.array([p for p, _ in kept])).max() < 2e-5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"heap": -1}, "0..255"),
        ({"heap": 256}, "0..255"),
        ({"heap": float("nan")}, "whole number"),
        ({"heap": "high"}, "whole number"),
        ({"level": "11"}, "5, 6, 7, 8, 9, 10"),
        ({"part_poses": []}, "heap"),
    ],
)
def test_options_that_do_not_fit_are_refused(stage: CellEnv, options: dict[str, object], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        stage.reset(seed=0, options=options)
