"""Inspect cannot be faked: not by a wrong verdict, from the wrong distance, askew, in passing or by a change of mind.

The arm stands still, fully aligned with what it looks at; the director moves the workpiece under its camera instead.
"""

from collections.abc import Iterator
from math import cos, nan, radians, sin

import numpy as np
import pytest
from stage import Info, failed, refuses

from genba.envs.body import about_z
from genba.envs.env import CellEnv
from genba.envs.tasks.inspect import AXIS, DEPTH, DWELL_S, LENS, STAND_OFF, STEPS, VIEWS, Inspect

LABELS = [1, 0, 1, 1]


class Show:
    """A workpiece shown to a hand that stays where it is."""

    def __init__(self, robot: str) -> None:
        self.env = CellEnv("Inspect", robot, terminate_on_success=False)
        assert isinstance(self.env.task, Inspect)
        self.task = self.env.task

    def begin(self, **options: object) -> None:
        """A new episode; the hand hangs straight down and stands still."""
        self.env.reset(seed=0, options={"joint_positions": self.env.robot.home, "labels": LABELS, **options})
        self.look_past(0.0, off=0.3)
        self.wait(1.0, hand=1.0)

    def hand_at(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """True place of the camera, where it looks, and a direction across."""
        pose = self.env.witness.tool.pose
        ahead = np.array(pose.z_axis)
        return np.array(pose.position) - LENS * ahead, ahead, np.array(pose.x_axis)

    def look_past(self, angle: float, *, far: float = STAND_OFF, off: float = 0.0) -> None:
        """Bring every mark to where the camera sees it at a distance and an angle from its axis, m and rad."""
        lens, ahead, across = self.hand_at()
        at = lens + far * (cos(angle) * ahead + sin(angle) * across) + off * across
        self.task.memory["marks"] = [tuple(at.tolist())] * VIEWS

    def wait(self, seconds: float, *, hand: float) -> Info:
        """Let time pass with the hand open (1) or closed (-1)."""
        action = np.zeros(self.env.action_space.shape, np.float32)
        action[-1] = hand
        info: Info = {}
        for _ in range(max(1, round(seconds / self.env.dt))):
            *_, info = self.env.step(action)
        return info

    def away(self, hand: float) -> None:
        """Look elsewhere until the hand stands as wanted."""
        self.look_past(0.0, off=0.3)
        self.wait(1.5, hand=hand)

    def judge(self, verdicts: list[int], **view: float) -> Info:
        """Give a verdict on one mark after the other."""
        info: Info = {}
        for verdict in verdicts:
            hand = 1.0 if verdict else -1.0
            self.away(hand)
            self.look_past(view.get("angle", 0.0), far=view.get("far", STAND_OFF))
            info = self.wait(view.get("dwell", DWELL_S), hand=hand)
        self.away(1.0)
        return self.wait(0.6, hand=1.0) if verdicts else info


@pytest.fixture(scope="module", params=["so101", "panda"])
def show(request: pytest.FixtureRequest) -> Iterator[Show]:
    found = Show(request.param)
    yield found
    found.env.close()


def test_four_true_verdicts_count(show: Show) -> None:
    show.begin()
    assert show.judge(LABELS)["is_success"] is True


def test_views_at_the_edge_of_what_is_allowed_count(show: Show) -> None:
    show.begin()
    info = show.judge(LABELS, angle=AXIS - radians(1.0), far=STAND_OFF + DEPTH - 0.001)
    assert info["is_success"] is True


def test_closed_hand_before_a_good_mark_is_a_wrong_verdict_for_good(show: Show) -> None:
    for wrong in ([0, 0, 1, 1], [1, 1, 1, 1], [1, 0, 1, 0]):
        show.begin()
        info = show.judge(wrong)
        assert failed(info) == {"wrong_verdicts", "held_s"}
        assert failed(show.judge(LABELS)) == {"wrong_verdicts", "held_s"}


@pytest.mark.parametrize("far", [0.165, 0.135])
def test_view_from_the_wrong_distance_does_not_count(show: Show, far: float) -> None:
    show.begin()
    info = show.judge(LABELS, far=far, dwell=1.0)
    assert failed(info) == {"viewed", "held_s"}
    assert info["success_terms"]["viewed"]["value"] == 0.0


@pytest.mark.parametrize("angle", [radians(12.0), radians(-12.0)])
def test_view_past_the_mark_does_not_count(show: Show, angle: float) -> None:
    show.begin()
    assert failed(show.judge(LABELS, angle=angle, dwell=1.0)) == {"viewed", "held_s"}


def test_glance_does_not_count_however_often(show: Show) -> None:
    show.begin()
    for _ in range(4):
        info = show.judge(LABELS[:1], dwell=0.2)
        assert failed(info) == {"viewed", "held_s"}
        assert info["success_terms"]["viewed"]["value"] == 0.0
    assert show.judge(LABELS)["is_success"] is True


def test_verdict_changed_in_mid_view_counts_only_once_it_has_stayed(show: Show) -> None:
    show.begin()
    show.away(1.0)
    show.look_past(0.0)
    show.wait(0.2, hand=1.0)
    task = show.task
    before = task._hand_open(show.env.cell)
    ticks = 0
    while task._hand_open(show.env.cell) is before:
        info = show.wait(show.env.dt, hand=-1.0)
        show.look_past(0.0)
        task.memory["dwell"] = min(task.memory["dwell"], 6)  # the view is not over before the hand has moved
        ticks += 1
        assert ticks < 60
    assert info["success_terms"]["viewed"]["value"] == 0.0
    info = show.wait(DWELL_S - 2 * show.env.dt, hand=-1.0)
    assert info["success_terms"]["viewed"]["value"] == 0.0
    show.wait(3 * show.env.dt, hand=-1.0)
    assert task.memory["verdicts"][0] == 0


def test_touched_workpiece_never_counts(show: Show) -> None:
    show.begin()
    assert show.judge(LABELS)["is_success"] is True
    lens, ahead, _ = show.hand_at()
    tool = lens + LENS * ahead
    show.env.cell.place("workpiece", (tool[0], tool[1], tool[2] - 0.08))
    assert show.wait(0.6, hand=1.0)["is_success"] is True
    show.env.cell.place("workpiece", (tool[0], tool[1], tool[2] - 0.004))
    assert failed(show.wait(1.0, hand=-1.0)) == {"released", "held_s"}
    show.env.cell.hide("workpiece")
    assert failed(show.wait(1.0, hand=1.0)) == {"released", "held_s"}


def test_marks_and_workpiece_stand_as_told(show: Show) -> None:
    reach = show.env.robot.reach
    x = reach.axis[0] + 0.5 * (reach.radius[0] + reach.radius[1])
    show.begin(part_pose=(x, reach.axis[1] + 0.01, 0.0, 0.3))
    cell = show.env.cell
    assert cell.pose("workpiece")[0] == pytest.approx((x, reach.axis[1] + 0.01, 0.0), abs=1e-9)
    assert cell.pose("workpiece")[1] == pytest.approx(about_z(0.3), abs=1e-9)
    for k, (a, b, z) in enumerate(STEPS):
        shown, hidden = ("good", "defect") if LABELS[k] else ("defect", "good")
        at = cell.pose(f"{shown}_{k}")[0]
        there = (x + cos(0.3) * a - sin(0.3) * b, reach.axis[1] + 0.01 + sin(0.3) * a + cos(0.3) * b, z)
        assert at == pytest.approx(there, abs=5e-4)
        assert cell.pose(f"{hidden}_{k}")[0][2] < -1.0
    assert show.task.memory["labels"] == LABELS


def test_verdicts_belong_to_the_saved_moment(show: Show) -> None:
    env = show.env
    show.begin()
    show.judge(LABELS[:2])
    kept, before = env.save_state(), repr(sorted(show.task.memory.items()))
    show.begin()
    assert repr(sorted(show.task.memory.items())) != before
    env.restore_state(kept)
    assert repr(sorted(show.task.memory.items())) == before
    assert show.judge(LABELS[2:])["is_success"] is True
    env.remove_state(kept)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": [1, 0, 1]}, "4 values, 1 for good and 0 for defective"),
        ({"labels": [1, 0, 1, 2]}, "1 for good"),
        ({"labels": [1, 0, 1, nan]}, "1 for good"),
        ({"labels": [1, 0, 1, "good"]}, "1 for good"),
        ({"labels": None}, "1 for good"),
        ({"part_pose": (0.2, 0.0, 0.0)}, "yaw in rad"),
        ({"part_pose": (0.2, nan, 0.0, 0.0)}, "finite"),
        ({"part_pose": (0.2, 0.0, 0.3, 0.0)}, "out of reach"),
        ({"part_pose": (0.2, 0.0, 0.03, 0.0)}, "table"),
        ({"part_pose": (0.24, 0.0, 0.0, 0.0)}, "all marks must be within 0.22 m"),
        ({"marks": []}, "labels"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, object], said: str) -> None:
    refuses("Inspect", options, said)
