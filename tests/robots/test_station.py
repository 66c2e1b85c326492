"""The tick: one order of calls for every arm, and nothing written when anything is refused."""

from collections.abc import Mapping
from math import inf, nan

import numpy as np
import pytest

from genba.robots.arm import Arm
from genba.robots.catalogue import load_robot, robot_names
from genba.robots.controller import CONTROL_MODES, make_controller
from genba.robots.description import RobotDescription
from genba.robots.envelope import Admitted, SafetyEnvelope
from genba.robots.errors import RefusedError, SafetyError
from genba.robots.kinematics import Kinematics
from genba.robots.observation import Field, ObservationSpec
from genba.robots.recorder import Recorder
from genba.robots.state import ArmState, Vector
from genba.robots.station import Sense, Station, arm_fields

DT = 1 / 30
ROBOTS = pytest.mark.parametrize("name", robot_names())


class TinyArm:
    """An arm that is at once where it was told to be, and keeps a diary."""

    def __init__(self, robot: RobotDescription) -> None:
        self._robot = robot
        self.diary: list[str] = []
        self.written: list[Admitted] = []
        self.stamp = 0.0
        self.joints: Vector = robot.home
        self.gripper = robot.gripper.home
        self.stuck = False

    @property
    def robot(self) -> RobotDescription:
        return self._robot

    def read(self) -> ArmState:
        self.diary.append("read")
        still = (0.0,) * len(self.joints)
        return ArmState(
            stamp=self.stamp,
            joint_positions=self.joints,
            joint_velocities=still,
            joint_efforts=still,
            gripper=self.gripper,
        )

    def write(self, admitted: Admitted) -> None:
        assert isinstance(admitted, Admitted)
        self.diary.append("write")
        self.written.append(admitted)
        self.joints, self.gripper = admitted.joint_positions, admitted.gripper

    def advance(self, dt: float) -> None:
        self.diary.append(f"advance {dt:.4f}")
        if not self.stuck:
            self.stamp += dt


class Part:
    """A sense that sees one part."""

    name = "parts"
    fields = ("part_position",)

    def __init__(self, diary: list[str]) -> None:
        self._diary = diary

    def read(self) -> Mapping[str, Vector]:
        self._diary.append("sense")
        return {"part_position": (0.1, 0.2, 0.3)}


PART = Field(name="part_position", size=3, unit="m", low=-2.0, high=2.0, source="parts")


def station(name: str, mode: str = "ee_delta", *, recorder: Recorder | None = None) -> tuple[Station, TinyArm]:
    robot = load_robot(name)
    kinematics = Kinematics(robot)
    arm = TinyArm(robot)
    made = Station(
        arm=arm,
        kinematics=kinematics,
        controller=make_controller(mode, robot, gripper=True),
        envelope=SafetyEnvelope(robot, kinematics),
        spec=ObservationSpec(observation=(*arm_fields(robot, symmetry=4), PART)),
        dt=DT,
        senses=(Part(arm.diary),),
        recorder=recorder,
    )
    return made, arm


def idle(station: Station) -> np.ndarray:
    return np.zeros(station.controller.action_size, np.float32)


@ROBOTS
def test_tick_writes_lets_time_pass_reads_and_then_looks_around(name: str) -> None:
    ticker, arm = station(name)
    assert isinstance(arm, Arm)
    assert isinstance(ticker.senses[0], Sense)
    ticker.start()
    assert arm.diary == ["read", "sense"]
    assert not arm.written
    arm.diary.clear()
    ticker.tick(idle(ticker))
    assert arm.diary == ["write", f"advance {DT:.4f}", "read", "sense"]


@ROBOTS
def test_start_takes_the_arm_where_it_is_and_moves_nothing(name: str) -> None:
    ticker, arm = station(name)
    arm.joints = tuple(q + 0.05 for q in arm.robot.home)
    ticker.start()
    assert ticker.admitted.joint_positions == arm.joints
    assert ticker.target == (*arm.joints, arm.gripper)


@ROBOTS
@pytest.mark.parametrize("mode", CONTROL_MODES)
@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_action_that_is_not_finite_is_refused_and_nothing_is_written(name: str, mode: str, bad: float) -> None:
    ticker, arm = station(name, mode)
    ticker.start()
    before, admitted, envelope = list(arm.diary), ticker.admitted, ticker.envelope.snapshot()
    for k in range(ticker.controller.action_size):
        action = idle(ticker)
        action[k] = bad
        with pytest.raises(RefusedError, match="not finite"):
            ticker.tick(action)
        with pytest.raises(RefusedError, match="not finite"):
            ticker.tick(action.tolist())
    assert arm.diary == before
    assert not arm.written
    assert ticker.admitted is admitted
    assert ticker.envelope.snapshot() == envelope


@ROBOTS
def test_action_of_another_shape_is_refused_and_nothing_is_written(name: str) -> None:
    ticker, arm = station(name)
    ticker.start()
    size = ticker.controller.action_size
    for action in (np.zeros(size - 1), np.zeros(size + 1), np.zeros((1, size)), np.zeros((size, 1)), [], np.zeros(0)):
        with pytest.raises(RefusedError, match=rf"needs \({size},\)"):
            ticker.tick(action)
    assert not arm.written


@ROBOTS
def test_action_beyond_one_is_clipped_to_one(name: str) -> None:
    size = 5
    first, second = (station(name)[0] for _ in range(2))
    first.start()
    second.start()
    first.tick(np.full(size, 1e9))
    second.tick(np.ones(size))
    assert first.admitted.joint_positions == second.admitted.joint_positions


@ROBOTS
def test_arm_whose_clock_stands_still_is_stopped_and_not_written_to(name: str) -> None:
    ticker, arm = station(name)
    ticker.start()
    arm.stuck = True
    while (len(arm.written) + 1) * DT <= arm.robot.limits.stale_after:
        ticker.tick(idle(ticker))
    before = len(arm.written)
    with pytest.raises(SafetyError, match="no fresh measurement"):
        ticker.tick(idle(ticker))
    assert len(arm.written) == before


@ROBOTS
def test_field_without_a_source_is_refused_by_name_before_anything_moves(name: str) -> None:
    robot = load_robot(name)
    kinematics = Kinematics(robot)
    arm = TinyArm(robot)
    for sense, have in (((), "none"), ((Part(arm.diary),), "part_position")):
        wanted = Field(name="wind_speed", size=1, unit="m/s", low=0.0, high=9.0, source="weather")
        with pytest.raises(RefusedError, match=f"'wind_speed'.*{have}"):
            Station(
                arm=arm,
                kinematics=kinematics,
                controller=make_controller("ee_delta", robot, gripper=True),
                envelope=SafetyEnvelope(robot, kinematics),
                spec=ObservationSpec(observation=(*arm_fields(robot), wanted)),
                dt=DT,
                senses=sense,
            )
    assert arm.diary == []


@ROBOTS
def test_observation_holds_what_arm_and_senses_said(name: str) -> None:
    ticker, arm = station(name)
    observation = ticker.start()["observation"]
    assert observation.dtype == np.float32
    cuts = ticker.spec.slices("observation")
    pose = Kinematics(arm.robot).forward(arm.joints)
    assert observation[cuts["joint_positions"]] == pytest.approx(arm.joints, abs=1e-6)
    assert observation[cuts["tcp_position"]] == pytest.approx(pose.position, abs=1e-6)
    assert observation[cuts["part_position"]] == pytest.approx((0.1, 0.2, 0.3), abs=1e-6)
    assert observation[cuts["following_error"]] == pytest.approx(np.zeros(len(arm.joints) + 1), abs=1e-6)


@ROBOTS
def test_spec_refuses_what_no_bench_can_sense_and_double_names(name: str) -> None:
    hidden = Field(name="truth", size=1, unit="m", low=0.0, high=1.0, privileged=True)
    with pytest.raises(RefusedError, match="truth"):
        ObservationSpec(observation=(hidden,))
    with pytest.raises(RefusedError, match="part_position"):
        ObservationSpec(observation=(*arm_fields(load_robot(name)), PART, PART))


@ROBOTS
def test_value_of_the_wrong_size_is_refused_by_its_name(name: str) -> None:
    spec = ObservationSpec(observation=(PART,))
    with pytest.raises(RefusedError, match=r"part_position.*2 values, expected 3"):
        spec.pack({"part_position": (0.0, 0.0)})
    with pytest.raises(RefusedError, match="part_position"):
        spec.pack({})
    assert ObservationSpec.from_json(spec.to_json()) == spec
    with pytest.raises(RefusedError, match="secret"):
        ObservationSpec.from_json({"secret": []})


@ROBOTS
def test_every_tick_is_recorded_with_what_was_asked_and_what_was_allowed(name: str) -> None:
    recorder = Recorder(load_robot(name))
    ticker, arm = station(name, recorder=recorder)
    ticker.start()
    for _ in range(5):
        ticker.tick(np.ones(ticker.controller.action_size))
    assert len(recorder.rows) == 5
    for row, written in zip(recorder.rows, arm.written, strict=True):
        assert row.admitted == (*written.joint_positions, written.gripper)
        assert row.reasons == written.reasons
        assert row.action == (1.0,) * ticker.controller.action_size
