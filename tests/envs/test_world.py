"""The world behind virtual servos is the cell of the training, moved through registers."""

from collections.abc import Iterator

import pytest

from genba.drivers.arm import BenchArm
from genba.drivers.bus import ActuatorBus
from genba.drivers.calibration import nominal_calibration
from genba.drivers.protocols import load_protocol
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.sim_port import SimPort
from genba.envs.env import CellEnv
from genba.envs.world import CellWorld
from genba.policies.bundle import PolicyBundle
from genba.policies.run import run_bundle
from genba.robots.catalogue import load_robot, robot_names
from genba.robots.errors import RefusedError
from genba.robots.plant import Command


@pytest.fixture
def world() -> Iterator[CellWorld]:
    with CellWorld("PickPlace", load_robot("so101"), seed=4) as made:
        yield made


def test_a_seed_lays_out_what_it_lays_out_in_training(world: CellWorld) -> None:
    env = CellEnv("PickPlace", "so101")
    try:
        for seed in (4, 9, 4):
            env.reset(seed=seed)
            world.reset(seed)
            assert world.task.desired == env.task.desired
            assert world.cell.pose("block") == env.cell.pose("block")
    finally:
        env.close()


def test_nothing_is_done_before_it_is_done(world: CellWorld) -> None:
    hold = [Command(goal=q) for q in (*world.robot.home, world.robot.gripper.home)]
    for _ in range(240):
        world.step(hold)
    verdict = world.judge()
    assert verdict["is_success"] is False
    assert set(world.sample()) == {f.name for f in world.task.sensed_fields() if f.source != "arm"} | {
        f.name for f in world.task.spec().desired_goal
    }


def test_servos_hold_the_arm_where_they_are_told(world: CellWorld) -> None:
    goal = [*world.robot.home, world.robot.gripper.home]
    goal[0] += 0.3
    for _ in range(480):
        world.step([Command(goal=q) for q in goal])
    assert world.motion().positions[0] == pytest.approx(goal[0], abs=0.03)


def test_an_arm_without_torque_sinks_and_a_shorted_one_sinks_slowly(world: CellWorld) -> None:
    ends = []
    for short in (False, True):
        reach = (0.0, 0.4, 0.0, 0.0, 0.0, 0.3)
        for _ in range(960):
            world.step([Command(goal=q) for q in reach])
        for _ in range(120):
            world.step([Command(goal=None, short=short) for _ in reach])
        ends.append(world.motion().positions[1] - reach[1])
    assert ends[0] > ends[1] > 0.05


def test_a_policy_runs_over_the_bus_of_a_world(proportional: PolicyBundle) -> None:
    robot = load_robot("so101")
    assert robot.bus is not None
    with CellWorld("TeachPoint", robot) as world:

        class Beside:
            """The senses of the world without a socket."""

            name = "world"
            fields = tuple(world.sample())
            read = staticmethod(world.sample)
            reset = staticmethod(world.reset)
            judge = staticmethod(world.judge)

        line = VirtualLine(robot, plant=world)
        port = SimPort("world", line, robot.bus.baud_rate, virtual_time=True)
        arm = BenchArm(robot, ActuatorBus(port, load_protocol(robot.bus.protocol)), nominal_calibration(robot))
        arm.connect()
        arm.arm()
        report = run_bundle(proportional, arm, senses=[Beside()], episodes=4, seed=1)
        arm.close()
    assert report.judged_by == "the sense 'world'"
    assert report.successes >= 3
    assert report.stop_confirmed


def test_an_arm_without_servos_is_refused() -> None:
    with pytest.raises(RefusedError, match="neither servos nor a controller"):
        CellWorld("TeachPoint", load_robot("panda"))


@pytest.mark.parametrize("name", [name for name in robot_names() if load_robot(name).bus is not None])
def test_every_arm_on_a_wire_has_a_world_to_work_in(name: str) -> None:
    with CellWorld("PickPlace", load_robot(name), seed=2) as world:
        assert len(world.motion().positions) == len(load_robot(name).actuator_names)
