"""Parts asleep: they stay where they are to the bit, and nothing ever passes through them or hangs in the air."""

from collections.abc import Callable

import numpy as np
import pytest

from genba.envs.bullet import bullet
from genba.envs.env import CellEnv
from genba.envs.rest import STILL_TIME

Make = Callable[..., CellEnv]

SIDE = 0.024  # m, edge of the cubes that are sorted


@pytest.fixture
def cell(make: Make) -> CellEnv:
    """Six cubes before the arm, which stays at home; nothing has fallen asleep yet."""
    env = make("Sort", "panda", noise=False)
    env.reset(seed=0)
    return env


def wait(env: CellEnv, seconds: float) -> None:
    for _ in range(round(seconds / env.dt)):
        env.step(np.zeros(env.action_space.shape, np.float32))


def asleep(env: CellEnv, name: str) -> bool:
    return env.cell.uid(name) in env.cell.rest.asleep


def throw(env: CellEnv, name: str, velocity: tuple[float, float, float]) -> None:
    bullet.resetBaseVelocity(env.cell.uid(name), velocity, (0.0, 0.0, 0.0), physicsClientId=env.cell.client)


def clear_table(env: CellEnv) -> None:
    """All cubes but the first two out of the way, far apart."""
    for k, name in enumerate(env.cell.parts[2:]):
        env.cell.place(name, (0.6, -0.2 + 0.1 * k, 0.5 * SIDE))


def test_still_parts_fall_asleep_and_stay_to_the_bit(cell: CellEnv) -> None:
    wait(cell, 2.0 * STILL_TIME + 0.2)
    assert all(asleep(cell, name) for name in cell.cell.parts)
    before = [cell.cell.pose(name) for name in cell.cell.parts]
    wait(cell, 2.0)
    assert [cell.cell.pose(name) for name in cell.cell.parts] == before


def test_part_put_somewhere_is_awake(cell: CellEnv) -> None:
    wait(cell, 1.0)
    first = cell.cell.parts[0]
    cell.cell.place(first, (0.5, 0.3, 0.1))
    assert not asleep(cell, first)
    wait(cell, 1.0)
    assert cell.cell.pose(first)[0][2] == pytest.approx(0.5 * SIDE, abs=5e-4)


def depth(env: CellEnv, one: str, other: str) -> float:
    """How deep two parts are in each other, m; less than zero where there is air between them."""
    cell = env.cell
    points = bullet.getClosestPoints(cell.uid(one), cell.uid(other), 1.0, physicsClientId=cell.client)
    return -min(p[8] for p in points)


def hit(env: CellEnv, speed: float, *, awake: bool) -> tuple[float, float]:
    """Throw one cube at another: how deep they were in each other at most, and how far the other was pushed, m."""
    env.reset(seed=0)
    clear_table(env)
    thrown, lying = env.cell.parts[:2]
    env.cell.place(lying, (0.5, 0.0, 0.5 * SIDE))
    env.cell.place(thrown, (0.5, -0.15, 0.5 * SIDE))
    wait(env, 1.0)
    assert asleep(env, lying)
    assert asleep(env, thrown)
    env.cell.place(thrown, env.cell.pose(thrown)[0])
    throw(env, thrown, (0.0, speed, 0.2))
    deepest = 0.0
    for _ in range(60):
        if awake:
            env.cell.rest.wake()
        wait(env, env.dt)
        deepest = max(deepest, depth(env, thrown, lying))
    return deepest, env.cell.pose(lying)[0][1]


@pytest.mark.parametrize("speed", [3.0, 4.0, 5.0])
def test_what_is_hit_in_its_sleep_is_pushed_away_as_if_it_were_awake(cell: CellEnv, speed: float) -> None:
    deepest, pushed = hit(cell, speed, awake=False)
    deepest_awake, pushed_awake = hit(cell, speed, awake=True)
    assert deepest <= deepest_awake + 5e-4
    assert pushed_awake > 0.01
    assert pushed == pytest.approx(pushed_awake, rel=0.2)


def test_what_stands_on_a_sleeping_part_falls_when_that_is_taken_away(cell: CellEnv) -> None:
    clear_table(cell)
    upper, lower = cell.cell.parts[:2]
    cell.cell.place(lower, (0.5, 0.0, 0.5 * SIDE))
    cell.cell.place(upper, (0.5, 0.0, 1.5 * SIDE))
    wait(cell, 1.0)
    assert asleep(cell, upper)
    assert asleep(cell, lower)
    cell.cell.place(lower, cell.cell.pose(lower)[0])
    throw(cell, lower, (0.0, 3.0, 0.0))
    wait(cell, 1.0)
    assert cell.cell.pose(upper)[0][2] < SIDE


def test_everything_wakes_when_a_fixture_begins_to_move(make: Make) -> None:
    env = make("ConveyorPick", "panda", noise=False)
    env.reset(seed=0)
    wait(env, 1.0)
    env.cell.drive("belt", (0.0, 0.0, 0.0))
    wait(env, 1.0)
    name = env.cell.parts[0]
    on_belt = env.cell.pose(name)[0]
    assert asleep(env, name)
    env.cell.drive("belt", (0.0, -0.1, 0.0))
    wait(env, 1.0)
    assert on_belt[1] - env.cell.pose(name)[0][1] == pytest.approx(0.1, abs=0.02)
