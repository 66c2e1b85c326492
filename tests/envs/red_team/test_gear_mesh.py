"""GearMesh: only a gear that sits on its shaft, free, and truly turns the far gear counts."""

from collections.abc import Callable
from math import cos, pi, sin

import numpy as np
import pytest

from genba.envs.body import UPRIGHT, Quaternion, about, about_z
from genba.envs.env import CellEnv
from genba.envs.parts.gears import STEP, THICKNESS, meshing_yaw
from genba.envs.tasks.gear_mesh import REST, TURN
from genba.robots.errors import RefusedError

Make = Callable[..., CellEnv]
ROBOTS = ["panda", "ur5e"]
YAW = 0.3
GOAL = (0.48, 0.14, REST, YAW)
LONG = 120  # ticks: the cell's own test takes two seconds


class Stage:
    """A gearbox beside the arm, and the gear wherever it is put."""

    def __init__(self, env: CellEnv) -> None:
        self.env = env
        self.again()

    def again(self, seed: int = 0) -> None:
        options = {"seat_pose": GOAL, "part_pose": (0.48, -0.14, REST, 0.0), "joint_positions": self.env.robot.home}
        self.env.reset(seed=seed, options=options)

    def angle(self, name: str) -> float:
        return self.env.cell.mover("gearbox", name)[0]

    def mesh(self) -> float:
        return YAW + meshing_yaw(self.angle("left"), self.angle("right"))

    def put(self, *, off: float = 0.0, up: float = 0.0002, turn: Quaternion | None = None) -> None:
        """Set the gear relative to its seat; `off` is across the row of gears."""
        at = (GOAL[0] - off * sin(YAW), GOAL[1] + off * cos(YAW), REST + up)
        self.env.cell.place("gear", at, about_z(self.mesh()) if turn is None else turn)

    def wait(self, ticks: int = LONG, each: Callable[[], None] = lambda: None) -> dict[str, object]:
        still = np.zeros(self.env.action_space.shape, np.float32)
        for _ in range(ticks):
            each()
            *_, info = self.env.step(still)
        return info

    def failed(self, info: dict[str, object]) -> set[str]:
        assert info["is_success"] is False
        return {name for name, row in info["success_terms"].items() if not row["ok"]}


@pytest.fixture(params=ROBOTS)
def stage(request: pytest.FixtureRequest, make: Make) -> Stage:
    return Stage(make("GearMesh", request.param, terminate_on_success=False))


def test_gear_on_its_shaft_turns_the_far_gear_and_counts(stage: Stage) -> None:
    """The counterpart of every fake below, for several phases of the teeth."""
    for seed in range(5):
        stage.again(seed)
        stage.put()
        before = stage.angle("right")
        assert stage.wait(6)["success_terms"]["turned_rad"]["value"] == 0.0
        assert stage.wait()["is_success"] is True
        assert stage.angle("right") - before > 0.5 * TURN


def test_gear_that_lies_beside_the_gearbox_turns_nothing(stage: Stage) -> None:
    stage.put(off=0.06, up=-0.004)
    assert stage.failed(stage.wait()) >= {"off_axis_m", "turned_rad"}


def test_gear_that_lies_upside_down_on_the_others_turns_nothing(stage: Stage) -> None:
    stage.put(up=THICKNESS + 0.03, turn=about((1.0, 0.0, 0.0), pi))
    assert stage.failed(stage.wait()) >= {"turned_rad"}


def test_gear_that_hovers_above_its_seat_never_starts_the_drive(stage: Stage) -> None:
    before = stage.angle("left")
    info = stage.wait(60, lambda: stage.put(up=0.0085))
    assert stage.failed(info) >= {"residual_m", "turned_rad"}
    assert abs(stage.angle("left") - before) < 0.02


def test_gear_with_its_teeth_on_those_of_the_others_stays_up(stage: Stage) -> None:
    stage.put(up=THICKNESS + 0.001, turn=about_z(stage.mesh() + 0.5 * STEP))
    assert stage.failed(stage.wait()) >= {"residual_m", "turned_rad"}


def test_jammed_far_gear_stalls_the_drive(stage: Stage) -> None:
    stage.put()
    held = stage.angle("right")
    near = stage.angle("left")
    info = stage.wait(240, lambda: stage.env.cell.set_mover("gearbox", "right", held))
    assert stage.failed(info) >= {"turned_rad"}
    assert stage.angle("left") - near < 0.9 * TURN


def test_far_gear_turned_by_something_else_does_not_count(stage: Stage) -> None:
    stage.env.cell.set_mover("gearbox", "right", stage.angle("right") + 1.0)
    assert stage.failed(stage.wait(60)) >= {"turned_rad", "off_axis_m"}


def test_gear_taken_out_again_after_the_test_does_not_count(stage: Stage) -> None:
    stage.put()
    stage.wait(60)
    stage.put(off=0.08, up=-0.004, turn=UPRIGHT)
    assert stage.failed(stage.wait(60)) >= {"off_axis_m"}


@pytest.mark.parametrize("robot", ROBOTS)
def test_gear_that_is_never_let_go_of_fails(robot: str, make: Make) -> None:
    env = make("GearMesh", robot, noise=False)
    observation, _ = env.reset(seed=0)
    lifted = False
    for _ in range(300):
        action = env.expert_action(observation)
        lifted = lifted or env.cell.pose("gear")[0][2] > REST + 0.015
        if lifted:
            action[-1] = -1.0
        observation, *_, info = env.step(action)
    assert info["is_success"] is False
    assert info["success_terms"]["released"]["ok"] is False
    assert info["success_terms"]["turned_rad"]["value"] == 0.0


def test_bad_options_and_arms_are_refused(make: Make) -> None:
    env = make("GearMesh", "panda")
    for options, word in (
        ({"seat_pose": (0.48, 0.14, 0.2, 0.0)}, "z"),
        ({"part_pose": (0.48, float("inf"), REST, 0.0)}, "finite"),
        ({"seat_pose": GOAL, "part_pose": (0.48, 0.1, REST, 0.0)}, "closer"),
        ({"phase": 1.0}, "half a tooth"),
        ({"phase": float("nan")}, "half a tooth"),
        ({"teeth": 13}, "unknown reset option"),
    ):
        with pytest.raises(RefusedError, match=word):
            env.reset(options=options)
    with pytest.raises(RefusedError, match="panda, ur5e"):
        make("GearMesh", "so101")


def test_a_moment_while_the_drive_turns_is_restored_to_the_bit(make: Make) -> None:
    scene = Stage(make("GearMesh", "panda", terminate_on_success=False))
    scene.put()
    scene.wait(25)
    env = scene.env
    assert env.task._drive.running
    state = env.save_state()

    def future() -> tuple[float, ...]:
        scene.wait(50)
        assert env.task._drive.turned > 0.5 * TURN
        return scene.angle("left"), scene.angle("right"), *env.cell.pose("gear")[0], *env.cell.pose("gear")[1]

    first = future()
    scene.again(3)
    env.restore_state(state)
    assert future() == first
