"""PegInsert: only a peg that stands at the bottom of its hole, let go of and never forced, counts."""

from collections.abc import Callable
from math import pi

import numpy as np
import pytest

from genba.envs.body import UPRIGHT, about
from genba.envs.bullet import bullet
from genba.envs.env import CellEnv
from genba.envs.tasks.peg_insert import DEPTH, FLOOR, HEAD, HEIGHT
from genba.robots.errors import RefusedError

Make = Callable[..., CellEnv]
REST = FLOOR + 0.5 * HEIGHT
LEVELS = [("panda", level) for level in ("L0", "L1", "L2", "L3", "L4")] + [("ur5e", "L3"), ("so101", "L0")]


@pytest.fixture(params=LEVELS, ids="-".join)
def scene(request: pytest.FixtureRequest, make: Make) -> CellEnv:
    robot, level = request.param
    env = make("PegInsert", robot, level=level, terminate_on_success=False)
    x, y = (0.18, 0.08) if robot == "so101" else (0.48, 0.12)
    env.reset(seed=0, options={"goal": (x, y, REST, 0.0), "joint_positions": env.robot.home})
    return env


def put(env: CellEnv, *, off: float = 0.0, up: float = 0.0, turn: tuple[float, ...] = UPRIGHT) -> None:
    x, y, z = env.task.desired[:3]
    env.cell.place(env.task.peg, (x + off, y, z + up), turn)


def wait(env: CellEnv, ticks: int = 40, each: Callable[[], None] = lambda: None) -> dict[str, object]:
    still = np.zeros(env.action_space.shape, np.float32)
    for _ in range(ticks):
        each()
        *_, info = env.step(still)
    return info


def failed(info: dict[str, object]) -> set[str]:
    assert info["is_success"] is False
    return {name for name, row in info["success_terms"].items() if not row["ok"]}


def test_peg_at_the_bottom_of_its_hole_counts(scene: CellEnv) -> None:
    """The counterpart of every fake below."""
    put(scene)
    assert wait(scene, 40)["is_success"] is True


def test_peg_that_stands_beside_the_hole_or_on_its_mouth_fails(scene: CellEnv) -> None:
    for off, up in ((0.045, -FLOOR), (0.5 * HEAD + 0.006, DEPTH)):
        scene.reset(seed=0, options={"goal": (*scene.task.desired[:3], 0.0), "joint_positions": scene.robot.home})
        put(scene, off=off, up=up)
        assert failed(wait(scene)) >= {"position_m", "off_axis_m", "held_s"}


def test_peg_that_hovers_just_above_the_bottom_fails(scene: CellEnv) -> None:
    limit = scene.task.desired[11]
    # In one tick it falls by 5 mm.
    info = wait(scene, 40, lambda: put(scene, up=limit + 0.0085))
    assert "residual_m" in failed(info)


def test_peg_that_lies_across_the_block_fails(scene: CellEnv) -> None:
    put(scene, up=0.5 * HEIGHT, turn=about((0.0, 1.0, 0.0), 0.5 * pi))
    assert failed(wait(scene)) >= {"tilt_rad", "residual_m"}


def test_peg_that_was_ever_pressed_with_40_newtons_fails_though_it_is_seated(scene: CellEnv) -> None:
    put(scene)
    peg, c = scene.cell.uid(scene.task.peg), scene.cell.client

    def press() -> None:
        at, _ = scene.cell.pose(scene.task.peg)
        for _ in range(12):
            bullet.applyExternalForce(peg, -1, [0.0, 0.0, -40.0], at, bullet.WORLD_FRAME, c)
            bullet.stepSimulation(c)
            scene.cell.devices[0].substep()

    wait(scene, 10)
    wait(scene, 1, press)
    info = wait(scene, 40)
    assert "peak_force_n" in failed(info)
    assert info["success_terms"]["residual_m"]["ok"]


@pytest.mark.parametrize("robot", ["panda", "ur5e", "so101"])
def test_peg_that_is_never_let_go_of_fails(robot: str, make: Make) -> None:
    env = make("PegInsert", robot, level="L0", noise=False)
    observation, _ = env.reset(seed=0)
    seated = False
    for _ in range(env.horizon - 1):
        action = env.expert_action(observation)
        if seated or env.cell.pose(env.task.peg)[0][2] > REST + 0.02:
            action[-1] = -1.0
            seated = True
        observation, *_, info = env.step(action)
    assert "released" in failed(info)


def test_bad_options_are_refused(make: Make) -> None:
    env = make("PegInsert", "panda")
    good = (0.48, 0.1, REST, 0.0)
    for options, word in (
        ({"goal": (0.48, 0.1, 0.2, 0.0)}, "z"),
        ({"part_pose": (0.48, 0.1, 0.0, 0.0)}, "z"),
        ({"part_pose": (0.48, float("nan"), REST, 0.0)}, "finite"),
        ({"goal": good, "part_pose": (0.48, 0.13, REST, 0.0)}, "closer"),
        ({"goal": (0.1, 0.1, REST, 0.0)}, "reach"),
        ({"level": "L9"}, "L0, L1, L2, L3, L4"),
        ({"hole": 1.0}, "unknown reset option"),
    ):
        with pytest.raises(RefusedError, match=word):
            env.reset(options=options)
    with pytest.raises(RefusedError, match="L0, L1"):
        make("PegInsert", "so101", level="L2")
    with pytest.raises(RefusedError, match="L0, L1"):
        make("PegInsert", "so101").reset(options={"level": "L4"})


def test_every_level_can_be_chosen_per_episode_and_leaves_no_trace(make: Make) -> None:
    env = make("PegInsert", "panda")
    first = env.reset(seed=3, options={"level": "L1"})[0]["observation"]
    env.reset(seed=4, options={"level": "L4"})
    wait(env, 5)
    assert (env.reset(seed=3, options={"level": "L1"})[0]["observation"] == first).all()
