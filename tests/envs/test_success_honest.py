"""Success cannot be faked: not by luck, not by doing nothing, not by holding, hovering, leaning or passing through."""

from collections.abc import Callable
from math import atan2, ceil, cos, pi, radians, sin

import numpy as np
import pytest

from genba.envs.bullet import bullet
from genba.envs.env import CellEnv
from genba.envs.tasks import task_names
from genba.envs.tasks.pick_place import FLOOR, RIM, WIDTH
from genba.robots.catalogue import load_robot, robot_names

Make = Callable[..., CellEnv]
RESETS = 1000  # of each task, with each arm
# 0 successes of 300 episodes bound the rate by 1 % with 95 % confidence; tasks and arms share them.
EPISODES = ceil(300 / (len(task_names()) * len(robot_names())))
SEAT = FLOOR + 0.5 * WIDTH


def test_no_reset_is_a_success(env: CellEnv) -> None:
    for seed in range(RESETS):
        _, info = env.reset(seed=seed)
        assert info["is_success"] is False
        assert info["met"] is False


def succeeds(env: CellEnv, seed: int, act: Callable[[], np.ndarray]) -> bool:
    env.reset(seed=seed)
    for _ in range(env.horizon):
        *_, terminated, truncated, info = env.step(act())
        if terminated or truncated:
            return bool(info["is_success"])
    raise AssertionError("the episode had no end")


def test_doing_nothing_does_not_succeed(env: CellEnv) -> None:
    still = np.zeros(env.action_space.shape, np.float32)
    assert not succeeds(env, 0, lambda: still)


@pytest.mark.suite
def test_doing_nothing_never_succeeds(env: CellEnv) -> None:
    still = np.zeros(env.action_space.shape, np.float32)
    assert [seed for seed in range(EPISODES) if succeeds(env, seed, lambda: still)] == []


@pytest.mark.suite
def test_acting_at_random_never_succeeds(env: CellEnv) -> None:
    rng = np.random.default_rng(0)
    size = env.action_space.shape[0]

    def act() -> np.ndarray:
        return rng.uniform(-1.0, 1.0, size).astype(np.float32)

    assert [seed for seed in range(EPISODES) if succeeds(env, 5000 + seed, act)] == []


# -- PickPlace: staged scenes ----------------------------------------------------------------------------------


class Stage:
    """PickPlace with a block that the director puts where he likes."""

    def __init__(self, env: CellEnv, seed: int) -> None:
        self.env = env
        self.observation, _ = env.reset(seed=seed, options={"joint_positions": env.robot.home})
        self.x, self.y, _ = env.task.desired[:3]
        self.yaw = atan2(env.task.desired[3], env.task.desired[4]) / env.task.symmetry
        self.hold = round(env.task.success.hold_s * env.control_rate_hz)

    def put(self, *, along: float = 0.0, up: float = 0.0, turn: float = 0.0, tilt: float = 0.0) -> None:
        """Set the block relative to its seat: along the nest's own x, up, turned about z, tilted about the nest's y."""
        c, s = cos(self.yaw), sin(self.yaw)
        about_z = bullet.getQuaternionFromEuler([0.0, 0.0, self.yaw + turn])
        about_y = bullet.getQuaternionFromEuler([0.0, tilt, 0.0])
        _, orientation = bullet.multiplyTransforms([0, 0, 0], about_z, [0, 0, 0], about_y)
        self.env.cell.place("block", (self.x + c * along, self.y + s * along, SEAT + up), orientation)

    def push(self, linear: float = 0.0, angular: float = 0.0) -> None:
        """Give the block a velocity along the nest's x and about z."""
        block = self.env.cell._parts["block"]
        velocity = [linear * cos(self.yaw), linear * sin(self.yaw), 0.0]
        bullet.resetBaseVelocity(block, velocity, [0.0, 0.0, angular], physicsClientId=self.env.cell.client)

    def wait(self, ticks: int, each: Callable[[], None] = lambda: None) -> dict[str, object]:
        """Let time pass with the arm still; the last info."""
        for _ in range(ticks):
            each()
            *_, info = self.env.step(np.zeros(self.env.action_space.shape, np.float32))
        return info

    def settle(self) -> int:
        """Wait until the block, as it was put, meets all conditions; the ticks that took."""
        for tick in range(1, 20):
            if self.wait(1)["met"]:
                return tick
        raise AssertionError("the block never came to rest in its nest")

    def failed(self, info: dict[str, object]) -> set[str]:
        assert info["is_success"] is False
        assert info["met"] is False
        return {name for name, row in info["success_terms"].items() if not row["ok"]}


@pytest.fixture(params=[(r, t) for r in robot_names() for t in ("servo", "industrial")], ids="-".join)
def stage(request: pytest.FixtureRequest, make: Make) -> Callable[[int], Stage]:
    robot, tolerance = request.param
    rate = max(load_robot(robot).control_rate_hz, 30)  # within a slower tick a block that was pushed comes to rest
    env = make("PickPlace", robot, tolerance=tolerance, terminate_on_success=False, control_rate_hz=rate)
    return lambda seed: Stage(env, seed)


def test_block_at_rest_in_its_nest_is_a_success_after_the_holding_time_and_not_before(
    stage: Callable[[int], Stage],
) -> None:
    """The counterpart of every fake below: without it they would prove nothing."""
    for seed in range(3):
        scene = stage(seed)
        scene.put()
        assert scene.settle() <= 5
        early = scene.wait(scene.hold - 2)
        assert early["is_success"] is False
        assert early["met"] is True
        assert scene.wait(1)["is_success"] is True
        scene.put(along=0.05)
        assert scene.failed(scene.wait(1)) >= {"position_m", "held_s"}
        scene.put()
        scene.settle()
        assert scene.wait(scene.hold - 2)["is_success"] is False  # held for longer in all, but not at a stretch


def test_block_beside_the_nest_or_next_to_its_seat_fails_by_position(stage: Callable[[int], Stage]) -> None:
    for along in (0.05, -0.05, 0.035):
        scene = stage(4)
        scene.put(along=along, up=-FLOOR)
        assert "position_m" in scene.failed(scene.wait(2 * scene.hold))


def test_block_turned_in_the_nest_fails_by_yaw(stage: Callable[[int], Stage]) -> None:
    scene = stage(5)
    angle = scene.env.task.success.angle_tolerance
    for turn in (angle + radians(1.0), -angle - radians(1.0), pi / 4):
        info = scene.wait(1, lambda turn=turn: scene.put(turn=turn))
        assert "yaw_rad" in scene.failed(info)
    for turn in (0.0, pi / 2, pi, -pi / 2):
        scene.put(turn=turn)
        assert scene.settle() <= 5


def env_tilt(info: dict[str, object]) -> float:
    return float(info["success_terms"]["tilt_rad"]["value"])


def test_block_leaning_on_the_rim_fails(stage: Callable[[int], Stage]) -> None:
    scene = stage(6)
    clearance = scene.env.task.success.position_tolerance
    for beyond in (0.0005, 0.0015):
        scene.put(along=clearance + beyond, up=0.5 * RIM, tilt=-RIM / WIDTH)
        info = scene.wait(2 * scene.hold)
        assert scene.failed(info) & {"position_m", "tilt_rad"}
        assert env_tilt(info) > radians(2.0)  # it does lean


def test_block_on_edge_or_in_the_air_above_its_seat_fails(stage: Callable[[int], Stage]) -> None:
    scene = stage(7)
    reach = scene.env.task.success.position_tolerance
    assert "tilt_rad" in scene.failed(scene.wait(1, lambda: scene.put(tilt=pi / 4, up=0.006)))
    high = lambda: scene.put(up=reach + 0.02)  # noqa: E731
    assert scene.failed(scene.wait(scene.hold, high)) >= {"position_m", "speed_m_s"}
    near = lambda: scene.put(up=0.5 * reach)  # noqa: E731
    assert scene.failed(scene.wait(1, near)) >= {"held_s"}


def test_block_that_moves_through_its_seat_fails_by_speed(stage: Callable[[int], Stage]) -> None:
    scene = stage(8)

    def slide() -> None:
        scene.put(along=-0.01)
        scene.push(linear=0.7)

    def spin() -> None:
        scene.put()
        scene.push(angular=80.0)

    assert "speed_m_s" in scene.failed(scene.wait(scene.hold + 2, slide))
    assert "spin_rad_s" in scene.failed(scene.wait(scene.hold + 2, spin))


def carry(scene: Stage, *, stop_above: float | None) -> dict[str, object]:
    """The expert carries the block to its seat and never lets go; or stops above the seat."""
    env, lifted, over = scene.env, False, False
    infos: list[dict[str, object]] = []
    for _ in range(env.horizon - 1):
        x, y, z = env.cell.pose("block")[0]
        lifted = lifted or z > 0.03
        over = over or (lifted and np.hypot(x - scene.x, y - scene.y) < 0.004)
        action = env.expert_action(scene.observation)
        if lifted:
            action[-1] = -1.0
        if over and stop_above is not None:
            action[:4] = 0.0
            action[2] = np.clip((SEAT + stop_above - z) / env.robot.ee_step * 0.2, -1.0, 1.0)
        scene.observation, *_, info = env.step(action)
        assert info["is_success"] is False
        infos.append(info)
    assert lifted
    assert over
    return infos[-1]


@pytest.mark.parametrize("robot", robot_names())
def test_block_held_at_its_seat_fails_because_it_is_held(robot: str, make: Make) -> None:
    env = make("PickPlace", robot, noise=False)
    scene = Stage(env, 0)
    info = carry(scene, stop_above=None)
    assert "released" in scene.failed(info)
    assert info["success_terms"]["position_m"]["ok"]


@pytest.mark.parametrize("robot", robot_names())
def test_block_hovering_in_the_gripper_just_above_its_seat_fails(robot: str, make: Make) -> None:
    env = make("PickPlace", robot, noise=False)
    scene = Stage(env, 1)
    info = carry(scene, stop_above=0.012)
    assert "released" in scene.failed(info)
    assert env.cell.pose("block")[0][2] > SEAT + 0.006


@pytest.mark.parametrize("robot", robot_names())
def test_tool_that_sways_about_the_taught_pose_fails_until_it_stays(robot: str, make: Make) -> None:
    """TeachPoint: the goal lies in the tool's way, and the tool passes it again and again without stopping."""
    env = make("TeachPoint", robot)
    observation, _ = env.reset(seed=0)
    for _ in range(env.horizon):
        observation, _, done, *_ = env.step(env.expert_action(observation))
        if done:
            break
    start = env.arm.true_positions()[0]
    desired = env.task.desired
    goal = (*desired[:3], atan2(desired[3], desired[4]))
    observation, _ = env.reset(seed=0, options={"goal": goal, "joint_positions": start})
    passes = 0
    for k in range(env.horizon):
        action = env.expert_action(observation)
        action[1] = 1.0 if ((k + 3) // 6) % 2 else -1.0
        observation, *_, info = env.step(action)
        assert info["is_success"] is False
        far = info["success_terms"]["position_m"]
        passes += far["value"] < 5 * far["limit"]
    assert passes >= 3  # it did pass
