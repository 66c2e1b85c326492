"""ConveyorPick cannot be faked: not early, not by letting parts run off, not by parts that hover or lie elsewhere."""

from collections.abc import Callable, Iterator
from math import nan

import numpy as np
import pytest

from genba.envs.body import about_z
from genba.envs.env import CellEnv
from genba.envs.tasks.conveyor_pick import COUNT, TOP, WIDTH, ConveyorPick
from genba.robots.errors import RefusedError

At = tuple[float, float, float, float]
FEED = [(0.0, 0.0, 0.0)] * COUNT


@pytest.fixture(scope="module", params=["so101", "panda"])
def stage(request: pytest.FixtureRequest) -> Iterator[CellEnv]:
    env = CellEnv("ConveyorPick", request.param, terminate_on_success=False)
    yield env
    env.close()


def play(env: CellEnv, where: Callable[[int], At | None], *, keep: bool = False, ticks: int = 40) -> dict[str, object]:
    """Each part is put somewhere as soon as it comes (None: it stays on the belt), then some time passes."""
    env.reset(seed=0, options={"feed": FEED})
    still = np.zeros(env.action_space.shape, np.float32)
    info: dict[str, object] = {}
    memory, put, after = env.task.memory, set[int](), 0
    while after < ticks:
        *_, info = env.step(still)
        for k in range(memory["released"]):
            at = where(k)
            if at is not None and (keep or k not in put):
                env.cell.place(env.task.parts[k].name, at[:3], about_z(at[3]))
                put.add(k)
        after += memory["released"] == COUNT
    return info


def failed(info: dict[str, object]) -> set[str]:
    assert info["is_success"] is False
    return {name for name, row in info["success_terms"].items() if not row["ok"]}


def slot(env: CellEnv, k: int, up: float = 0.0) -> At:
    """Seats stand in memory from the reset on."""
    x, y, z, yaw = env.task.memory["seats"][k]
    return x, y, z + up, yaw


def beside(env: CellEnv, k: int) -> At:
    x, y, z, yaw = slot(env, k)
    return x - 0.5 * WIDTH - 0.02, y, z, yaw


def test_all_in_the_tray_and_four_with_one_beside_it_count(stage: CellEnv) -> None:
    assert play(stage, lambda k: slot(stage, k))["is_success"] is True
    assert play(stage, lambda k: slot(stage, k) if k else beside(stage, k))["is_success"] is True


def test_three_in_the_tray_do_not_count(stage: CellEnv) -> None:
    info = play(stage, lambda k: slot(stage, k) if k > 1 else beside(stage, k))
    assert failed(info) == {"placed", "held_s"}


def test_four_in_the_tray_do_not_count_while_the_fifth_is_to_come_or_rides(stage: CellEnv) -> None:
    stage.reset(seed=0, options={"feed": FEED})
    memory, parts = stage.task.memory, stage.task.parts
    memory["present"] = [k < 4 for k in range(COUNT)]
    memory["released"] = 4
    memory["due"] = [1e9] * COUNT
    still = np.zeros(stage.action_space.shape, np.float32)
    for k in range(4):
        stage.cell.place(parts[k].name, slot(stage, k)[:3], about_z(slot(stage, k)[3]))
    for _ in range(40):
        *_, info = stage.step(still)
    assert failed(info) == {"to_come", "held_s"}
    memory["due"] = [0.0] * COUNT
    for _ in range(20):
        *_, info = stage.step(still)
    assert memory["released"] == COUNT
    assert failed(info) == {"to_come", "speed_m_s", "held_s"}


def test_one_part_that_ran_off_the_end_is_never_made_good(stage: CellEnv) -> None:
    info = play(stage, lambda k: slot(stage, k) if k else None)
    assert stage.task.memory["lost"] == [True, *[False] * 4]
    assert failed(info) == {"lost", "held_s"}
    still = np.zeros(stage.action_space.shape, np.float32)
    stage.cell.place("part_0", slot(stage, 0)[:3], about_z(slot(stage, 0)[3]))
    for _ in range(30):
        *_, info = stage.step(still)
    assert "lost" in failed(info)


def test_parts_over_their_slots_on_edge_or_turned_do_not_count(stage: CellEnv) -> None:
    for fake in (
        lambda k: slot(stage, k, up=0.012),
        lambda k: (*slot(stage, k)[:3], slot(stage, k)[3] + 0.6),
        lambda k: (slot(stage, k)[0] + 0.014, *slot(stage, k)[1:]),
    ):
        info = play(stage, lambda k, fake=fake: slot(stage, k) if k > 1 else fake(k), keep=True)
        assert "placed" in failed(info)


def test_part_carries_on_as_fast_as_the_encoder_says(stage: CellEnv) -> None:
    stage.reset(seed=3, options={"feed": FEED, "belt_speed": stage.task.nominal_speed})
    still = np.zeros(stage.action_space.shape, np.float32)
    for _ in range(10):
        stage.step(still)
    a = stage.cell.pose("part_0")[0]
    for _ in range(30):
        stage.step(still)
    b = stage.cell.pose("part_0")[0]
    seconds = 30 * stage.dt
    assert (a[1] - b[1]) / seconds == pytest.approx(stage.task.nominal_speed, rel=0.002)
    assert b[2] == pytest.approx(TOP + 0.5 * WIDTH, abs=5e-4)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"belt_speed": 1.0}, "0.045..0.055 m/s"),
        ({"belt_speed": nan}, "m/s"),
        ({"belt_speed": "fast"}, "m/s"),
        ({"feed": FEED[:4]}, "5 rows"),
        ({"feed": [(0.0, 0.1, 0.0)] * COUNT}, "off in m -0.006..0.006"),
        ({"feed": [(0.0, 0.0, nan)] * COUNT}, "rad"),
        ({"feed": "soon"}, "pause"),
        ({"level": "400"}, "50, 80, 150, 250, 350"),
        ({"part_poses": []}, "feed"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, object], said: str) -> None:
    env = CellEnv("ConveyorPick", "so101")
    with pytest.raises(RefusedError, match=said):
        env.reset(seed=0, options=options)
    env.close()


def test_harder_levels_run_faster() -> None:
    assert [float(level) for level in ConveyorPick.levels] == sorted(float(level) for level in ConveyorPick.levels)
