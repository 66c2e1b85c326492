"""The loop that moves an arm by a policy: what it refuses, how it judges, and that it always stops."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from genba.policies.bundle import PolicyBundle
from genba.policies.manifest import Range, Ranges
from genba.policies.run import run_bundle
from genba.robots.catalogue import load_robot
from genba.robots.description import RobotDescription
from genba.robots.envelope import Admitted
from genba.robots.errors import RefusedError
from genba.robots.kinematics import Kinematics
from genba.robots.observation import Field
from genba.robots.recorder import Recorder
from genba.robots.state import ArmState
from genba.robots.success import goal_vector


class PerfectArm:
    """An arm that is always where it was told to be."""

    def __init__(self, robot: RobotDescription) -> None:
        self.robot = robot
        self.joints = tuple(j.park for j in robot.joints)
        self.gripper = robot.gripper.home
        self.speeds = (0.0,) * len(robot.joints)
        self.clock = 0.0
        self.goal = (self.joints, self.gripper)
        self.path: list[tuple[float, ...]] = []
        self.stops = 0
        self.hook: Callable[[int], None] = lambda tick: None

    def read(self) -> ArmState:
        return ArmState(
            stamp=self.clock,
            joint_positions=self.joints,
            joint_velocities=self.speeds,
            joint_efforts=(0.0,) * len(self.joints),
            gripper=self.gripper,
        )

    def write(self, admitted: Admitted) -> None:
        self.goal = (admitted.joint_positions, admitted.gripper)

    def advance(self, dt: float) -> None:
        before = self.joints
        self.joints, self.gripper = self.goal
        self.speeds = tuple((b - a) / dt for a, b in zip(before, self.joints, strict=True))
        self.clock += dt
        self.path.append(self.joints)
        self.hook(len(self.path))

    def stop(self) -> "Stopped":
        self.stops += 1
        return Stopped(confirmed=True)


@dataclasses.dataclass
class Stopped:
    """What a stop says."""

    confirmed: bool
    lost: str = ""


@pytest.fixture
def arm() -> PerfectArm:
    return PerfectArm(load_robot("so101"))


def still(bundle: PolicyBundle) -> PolicyBundle:
    """A policy that asks for no motion and has seen everything."""
    weights = {name: np.zeros_like(array) for name, array in bundle.weights.items()}
    spec = bundle.manifest.spec

    def wide(group: str) -> Range:
        return Range(low=(-100.0,) * spec.size(group), high=(100.0,) * spec.size(group))

    manifest = dataclasses.replace(
        bundle.manifest,
        ranges=Ranges(observation=wide("observation"), desired_goal=wide("desired_goal")),
        reference=tuple(dataclasses.replace(r, action=(0.0,) * len(r.action)) for r in bundle.manifest.reference),
    )
    return PolicyBundle(manifest, weights)


def at_home(robot: RobotDescription) -> tuple[float, ...]:
    """The goal that the TCP meets at home."""
    pose = Kinematics(robot).forward(robot.home)
    return goal_vector(pose.position, pose.yaw, 1)


def with_goals(bundle: PolicyBundle, *goals: tuple[float, ...]) -> PolicyBundle:
    return PolicyBundle(dataclasses.replace(bundle.manifest, taught_points=goals), bundle.weights)


def test_a_goal_that_is_met_and_held_is_a_success(bundle: PolicyBundle, arm: PerfectArm) -> None:
    report = run_bundle(with_goals(still(bundle), at_home(arm.robot)), arm, episodes=3)
    assert (report.successes, report.exit_code, report.stopped) == (3, 0, "")
    assert report.judged_by == "the arm's own measurements"
    assert report.episodes[0].seconds == pytest.approx(0.5, abs=0.04)
    assert report.stop_confirmed
    assert arm.stops == 1
    assert report.to_json()["episodes"][0]["success"] is True


def test_a_goal_that_is_missed_fails_by_the_name_of_its_term(bundle: PolicyBundle, arm: PerfectArm) -> None:
    x, y, z, *rest = at_home(arm.robot)
    report = run_bundle(with_goals(still(bundle), (x + 0.1, y, z, *rest)), arm, episodes=1, max_steps=20)
    assert (report.successes, report.exit_code) == (0, 1)
    assert report.episodes[0].failed_terms == ("position_m",)
    assert report.episodes[0].ticks == 20


def test_taught_points_are_taken_in_turn(bundle: PolicyBundle, arm: PerfectArm) -> None:
    x, y, z, *rest = at_home(arm.robot)
    both = with_goals(still(bundle), (x, y, z, *rest), (x, y + 0.1, z, *rest))
    report = run_bundle(both, arm, episodes=4, max_steps=30)
    assert [row.success for row in report.episodes] == [True, False, True, False]


def test_it_goes_home_first_and_never_jumps(bundle: PolicyBundle, arm: PerfectArm) -> None:
    run_bundle(bundle, arm, episodes=2, max_steps=20)
    limits = np.array([j.max_velocity for j in arm.robot.joints]) / arm.robot.control_rate_hz
    path = np.array([tuple(j.park for j in arm.robot.joints), *arm.path])
    assert (np.abs(np.diff(path, axis=0)) <= limits + 1e-9).all()
    assert np.abs(path - np.array(arm.robot.home)).max(axis=1).min() < 2e-3


def test_ctrl_c_stops_the_arm_and_reports(bundle: PolicyBundle, arm: PerfectArm) -> None:
    def interrupt(tick: int) -> None:
        if tick == 400:
            raise KeyboardInterrupt

    arm.hook = interrupt
    report = run_bundle(still(bundle), arm, episodes=100, max_steps=30)
    assert report.exit_code == 130
    assert "operator" in report.stopped
    assert arm.stops == 1
    assert report.episodes


def test_an_unknown_fault_still_stops_the_arm(bundle: PolicyBundle, arm: PerfectArm) -> None:
    def fail(tick: int) -> None:
        if tick == 50:
            raise ZeroDivisionError

    arm.hook = fail
    with pytest.raises(ZeroDivisionError):
        run_bundle(still(bundle), arm, episodes=3)
    assert arm.stops == 1


def test_a_stop_that_is_not_confirmed_is_said(bundle: PolicyBundle, arm: PerfectArm, monkeypatch: Any) -> None:
    monkeypatch.setattr(PerfectArm, "stop", lambda self: Stopped(confirmed=False))
    report = run_bundle(still(bundle), arm, episodes=1, max_steps=5)
    assert (report.stop_confirmed, report.exit_code) == (False, 2)
    assert "cut its power" in report.stopped


def test_a_stop_for_which_nobody_was_there_is_a_lost_port_and_no_broken_limit(
    bundle: PolicyBundle, arm: PerfectArm, monkeypatch: Any
) -> None:
    monkeypatch.setattr(PerfectArm, "stop", lambda self: Stopped(confirmed=False, lost="port COM5 is gone: check it"))
    report = run_bundle(still(bundle), arm, episodes=1, max_steps=5)
    assert (report.stop_confirmed, report.exit_code) == (False, 4)
    assert report.stopped == "port COM5 is gone: check it; the arm did not confirm its stop: cut its power"


def test_values_never_seen_in_training_hold_the_arm_by_name(bundle: PolicyBundle, arm: PerfectArm) -> None:
    calm = still(bundle)
    spec = calm.manifest.spec
    low = [-100.0] * spec.size("observation")
    high = [100.0] * spec.size("observation")
    at = spec.slices("observation")["tcp_position"].start + 1
    low[at], high[at] = 5.0, 6.0
    ranges = dataclasses.replace(calm.manifest.ranges, observation=Range(low=tuple(low), high=tuple(high)))
    narrow = PolicyBundle(dataclasses.replace(calm.manifest, ranges=ranges), calm.weights)
    report = run_bundle(narrow, arm, episodes=1, max_steps=1000)
    assert report.exit_code == 2
    assert "tcp_position[1]" in report.stopped
    rate = arm.robot.control_rate_hz
    assert 2 * rate <= report.out_of_range <= 2 * rate + 2
    assert arm.stops == 1


def test_another_arm_is_refused_before_it_moves(bundle: PolicyBundle) -> None:
    panda = PerfectArm(load_robot("panda"))
    with pytest.raises(RefusedError, match=r"robot\.name"):
        run_bundle(bundle, panda)
    assert not panda.path


class PartSense:
    """A sense that lays out the world, measures a part and knows when the task is done."""

    name = "part sense"

    def __init__(self, *fields: str) -> None:
        self.fields = fields
        self.seeds: list[int] = []

    def read(self) -> Mapping[str, tuple[float, ...]]:
        return dict.fromkeys(self.fields, (0.1, 0.2, 0.3))

    def reset(self, seed: int) -> None:
        self.seeds.append(seed)

    def judge(self) -> Mapping[str, object]:
        done = bool(self.seeds) and self.seeds[-1] % 2 == 0
        return {"is_success": done, "success_terms": {"position_m": {"value": 0.1, "limit": 0.01, "ok": done}}}


def needing_part(bundle: PolicyBundle) -> PolicyBundle:
    """The same policy with a part among its observations."""
    calm = still(bundle)
    old = calm.manifest
    part = Field(name="part_position", size=3, unit="m", low=-2.0, high=2.0, source="part")
    spec = dataclasses.replace(old.spec, observation=(*old.spec.observation, part))
    own = old.ranges.observation
    ranges = dataclasses.replace(old.ranges, observation=Range(low=(*own.low, -9, -9, -9), high=(*own.high, 9, 9, 9)))
    reference = tuple(dataclasses.replace(r, observation=(*r.observation, 0.0, 0.0, 0.0)) for r in old.reference)
    return PolicyBundle(dataclasses.replace(old, spec=spec, ranges=ranges, reference=reference), calm.weights)


def test_a_field_without_a_source_is_refused_by_its_name(bundle: PolicyBundle, arm: PerfectArm) -> None:
    with pytest.raises(RefusedError, match="'part_position' has no source"):
        run_bundle(needing_part(bundle), arm)
    with pytest.raises(RefusedError, match="'part_position' has no source"):
        run_bundle(needing_part(bundle), arm, senses=[PartSense("part_yaw")])
    assert not arm.path


def test_a_goal_without_a_source_is_refused_by_its_name(bundle: PolicyBundle, arm: PerfectArm) -> None:
    with pytest.raises(RefusedError, match="'goal_position' has no source"):
        run_bundle(with_goals(bundle), arm)


def test_a_sense_lays_out_each_episode_and_judges(bundle: PolicyBundle, arm: PerfectArm) -> None:
    sense = PartSense("part_position")
    report = run_bundle(needing_part(bundle), arm, senses=[sense], episodes=4, max_steps=30, seed=10)
    assert sense.seeds == [10, 11, 12, 13]
    assert [row.success for row in report.episodes] == [True, False, True, False]
    assert "part sense" in report.judged_by
    assert "part sense" in report.senses


class Camera:
    """A sense that measures where the part lies, and nothing else."""

    name = "camera"
    fields = ("part_position", "part_yaw")

    def __init__(self, goal: tuple[float, ...]) -> None:
        self.values = {"part_position": goal[:3], "part_yaw": goal[3:5]}

    def read(self) -> Mapping[str, tuple[float, ...]]:
        return self.values


def test_what_cannot_be_sensed_is_not_claimed(bundle: PolicyBundle, arm: PerfectArm) -> None:
    goal = goal_vector((0.2, 0.1, 0.0), 0.5, 1)
    policy = with_goals(needing_part(bundle), goal)
    report = run_bundle(policy, arm, senses=[Camera(goal)])
    assert report.judged_by.startswith("pose only: achieved_tilt, achieved_speed")
    assert report.successes == 1
    away = Camera(goal_vector((0.3, 0.1, 0.0), 0.5, 1))
    assert run_bundle(policy, arm, senses=[away], max_steps=20).episodes[0].failed_terms == ("position_m",)


def test_where_nobody_can_judge_nothing_is_claimed(bundle: PolicyBundle, arm: PerfectArm) -> None:
    goal = goal_vector((0.2, 0.1, 0.0), 0.5, 1)
    camera = Camera(goal)
    camera.fields = ("part_position",)
    report = run_bundle(with_goals(needing_part(bundle), goal), arm, senses=[camera], max_steps=10)
    assert report.judged_by.startswith("nobody")
    assert report.episodes[0].success is None
    assert report.exit_code == 0


def test_only_episodes_are_recorded(bundle: PolicyBundle, arm: PerfectArm) -> None:
    recorder = Recorder(arm.robot)
    report = run_bundle(still(bundle), arm, episodes=2, max_steps=12, recorder=recorder)
    assert len(recorder.rows) == report.ticks == 24
