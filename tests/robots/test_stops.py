"""A limp arm rests on its stops, and the stops lie outside what is ever asked of a joint."""

import pytest

from genba.robots.catalogue import load_robot, robot_names
from genba.robots.stops import mechanical_stops


@pytest.mark.parametrize("name", robot_names())
def test_soft_limits_lie_within_the_stops(name: str) -> None:
    robot = load_robot(name)
    stops = mechanical_stops(robot)
    assert len(stops) == len(robot.actuator_names)
    for joint, (low, high) in zip(robot.joints, stops, strict=False):
        assert low <= joint.lower < joint.upper <= high
    low, high = stops[-1]
    gripper = robot.gripper
    assert low <= min(gripper.closed, gripper.open) < max(gripper.closed, gripper.open) <= high


def test_a_crank_goes_on_beyond_its_table() -> None:
    """OpenManipulator: fingers slide to 20 mm, 3.5 mm beyond the widest that is asked for."""
    robot = load_robot("openmanipulator_x")
    per_rad = (robot.gripper.slide[-1] - robot.gripper.slide[0]) / (robot.gripper.open - robot.gripper.closed)
    assert mechanical_stops(robot)[-1][1] == pytest.approx(robot.gripper.open + 0.0035 / per_rad)
