"""ScrewDrive: only a bolt driven home by its driver, straight, once, and with the driver put back, counts."""

from collections.abc import Callable
from math import radians

import numpy as np
import pytest

from genba.envs.body import about
from genba.envs.bullet import bullet
from genba.envs.env import CellEnv
from genba.envs.tasks.screw_drive import BLOCK_FLOOR, CATCH, REST
from genba.robots.errors import RefusedError

Make = Callable[..., CellEnv]
ROBOTS = ["panda", "ur5e"]
SEAT = (0.50, 0.16)
HOLDER = (0.50, -0.16)


class Stage:
    """Block and holder to either side of the arm, and a driver that the director holds."""

    def __init__(self, env: CellEnv) -> None:
        self.env = env
        self.again()

    def again(self, **options: object) -> None:
        layout = {"seat_pose": (*SEAT, BLOCK_FLOOR, 0.0), "part_pose": (*HOLDER, REST, 0.0), "clutch": 1.5}
        self.env.reset(seed=0, options={**layout, "joint_positions": self.env.robot.home, **options})

    @property
    def thread(self) -> object:
        return self.env.task._thread

    def drive(self, ticks: int, *, off: float = 0.0, lean: float = 0.0, force: float = 8.0) -> None:
        """Press the driver down at the block, led as if by a stand."""
        cell, c = self.env.cell, self.env.cell.client
        turn = about((0.0, 1.0, 0.0), lean)
        tip = self.thread._tip
        if not self.thread.caught:
            x = SEAT[0] + off + tip * np.sin(lean)
            cell.place("loaded", (x, SEAT[1], CATCH - tip * (1.0 - np.cos(lean)) + 0.0002), turn)
        step = cell.stepper()
        for _ in range(8 * ticks):
            uid = cell.uid(self.thread.driver)
            at, now = cell.pose(self.thread.driver)
            (vx, vy, vz), (wx, wy, wz) = cell.velocity(self.thread.driver)
            goal = SEAT[0] + off + tip * np.sin(lean)
            push = [800.0 * (goal - at[0]) - 6.0 * vx, 800.0 * (SEAT[1] - at[1]) - 6.0 * vy, -force - 5.0 * vz]
            roll, pitch, yaw = bullet.getEulerFromQuaternion(now)
            twist = [-0.5 * roll - 0.003 * wx, 0.5 * (lean - pitch) - 0.003 * wy, -0.5 * yaw - 0.003 * wz]
            bullet.applyExternalForce(uid, -1, push, at, bullet.WORLD_FRAME, c)
            bullet.applyExternalTorque(uid, -1, twist, bullet.WORLD_FRAME, c)
            step(c)

    def hang(self) -> None:
        """Put the driver into its holder."""
        self.env.cell.place(self.thread.driver, (*HOLDER, REST))

    def wait(self, ticks: int = 30) -> dict[str, object]:
        still = np.zeros(self.env.action_space.shape, np.float32)
        for _ in range(ticks):
            *_, info = self.env.step(still)
        return info

    def failed(self, info: dict[str, object]) -> set[str]:
        assert info["is_success"] is False
        return {name for name, row in info["success_terms"].items() if not row["ok"]}


@pytest.fixture(params=ROBOTS)
def stage(request: pytest.FixtureRequest, make: Make) -> Stage:
    return Stage(make("ScrewDrive", request.param, terminate_on_success=False))


def test_bolt_driven_home_and_driver_put_back_counts(stage: Stage) -> None:
    """The counterpart of every fake below."""
    stage.drive(150)
    stage.hang()
    info = stage.wait()
    assert info["is_success"] is True
    assert info["success_terms"]["torque_n_m"]["value"] == pytest.approx(1.5, abs=0.001)
    assert stage.thread.clicks == 1


def test_driver_that_stays_on_the_bolt_fails(stage: Stage) -> None:
    stage.drive(150)
    assert "from_holder_m" in stage.failed(stage.wait())


def test_bolt_that_was_left_before_the_clutch_tripped_fails(stage: Stage) -> None:
    """Run in but not tight, and not even run in."""
    stage.drive(20)
    stage.hang()
    assert stage.failed(stage.wait()) >= {"from_seat_m", "tightened_n_m"}
    assert stage.thread.caught


def test_driver_that_never_touched_the_block_fails(stage: Stage) -> None:
    assert stage.failed(stage.wait()) == {"from_seat_m", "tightened_n_m", "held_s"}


def test_bolt_that_catches_while_it_leans_is_cross_threaded_for_good(stage: Stage) -> None:
    stage.drive(150, lean=radians(3.0))
    assert stage.thread.caught
    stage.hang()
    assert stage.failed(stage.wait()) >= {"cross_threaded", "from_seat_m"}


def test_bolt_that_leans_by_one_degree_is_not(stage: Stage) -> None:
    stage.drive(10, lean=radians(1.0))
    assert stage.thread.caught
    assert not stage.thread.crossed


def test_bolt_beside_its_hole_never_catches(stage: Stage) -> None:
    stage.drive(60, off=0.012)
    assert not stage.thread.caught
    stage.hang()
    assert stage.failed(stage.wait()) >= {"from_seat_m", "tightened_n_m"}


def test_driver_that_only_rests_on_the_thread_does_not_start(stage: Stage) -> None:
    stage.drive(60, force=0.0)
    assert not stage.thread.caught


def test_clutch_that_is_made_to_trip_again_and_again_tightens_too_much_for_good(stage: Stage) -> None:
    for _ in range(3):
        stage.drive(150)
        stage.env.cell.place(stage.thread.driver, (*HOLDER, REST))
        stage.wait(5)
        stage.env.cell.place(stage.thread.driver, (*SEAT, CATCH - stage.thread.feed + 0.0002))
    stage.hang()
    assert stage.failed(stage.wait()) >= {"torque_n_m"}


def test_clutch_set_outside_its_band_fails_although_it_clicks(stage: Stage) -> None:
    for setting, term in ((1.0, "tightened_n_m"), (2.0, "torque_n_m")):
        stage.again(clutch=setting)
        stage.drive(150)
        assert stage.thread.clicks == 1
        stage.hang()
        assert term in stage.failed(stage.wait())


def test_bolt_in_the_thread_stays_when_the_driver_is_pulled_off(stage: Stage) -> None:
    stage.drive(40)
    before = stage.env.cell.pose("bolt")[0]
    stage.hang()
    stage.wait(10)
    assert stage.env.cell.pose("bolt")[0] == before


def test_bad_options_and_arms_are_refused(make: Make) -> None:
    env = make("ScrewDrive", "panda")
    for options, word in (
        ({"seat_pose": (*SEAT, 0.2, 0.0)}, "z"),
        ({"part_pose": (0.5, float("nan"), REST, 0.0)}, "finite"),
        ({"seat_pose": (*SEAT, BLOCK_FLOOR, 0.0), "part_pose": (0.5, 0.1, REST, 0.0)}, "closer"),
        ({"clutch": float("nan")}, "clutch"),
        ({"clutch": 9.0}, "0.5..3.0"),
        ({"pitch": 1.0}, "unknown reset option"),
    ):
        with pytest.raises(RefusedError, match=word):
            env.reset(options=options)
    with pytest.raises(RefusedError, match="panda, ur5e"):
        make("ScrewDrive", "so101")


def test_a_moment_in_mid_thread_is_restored_to_the_bit(make: Make) -> None:
    """The bolt leaves the bit and runs in: what the thread remembers belongs to the saved moment."""
    env = make("ScrewDrive", "panda")
    observation, _ = env.reset(seed=2)
    while env.task._thread.depth < 0.001:
        observation, *_ = env.step(env.expert_action(observation))
    state = env.save_state()

    def future() -> list[bytes]:
        seen, rows = observation, []
        for _ in range(100):
            seen, _, _, _, info = env.step(env.expert_action(seen))
            rows.append(seen["observation"].tobytes() + seen["achieved_goal"].tobytes())
        assert info["success_terms"]["tightened_n_m"]["ok"]
        return rows

    first = future()
    env.reset(seed=7)
    env.restore_state(state)
    assert future() == first
