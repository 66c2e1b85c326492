"""Where a limp arm may come to rest: the mechanical stops of its joints, which the soft limits lie within."""

from .description import RobotDescription
from .urdf import read_urdf

Range = tuple[float, float]


def mechanical_stops(robot: RobotDescription) -> tuple[Range, ...]:
    """Lower and upper stop of every actuator, arm joints first, as its servo counts, rad (or m).

    Args:
        robot: The arm; its URDF states the stops. A joint without any has its soft limits.
    """
    urdf = {joint.name: joint for joint in read_urdf(robot.urdf_path).values()}
    found = [_wider((j.lower, j.upper), (urdf[j.name].lower, urdf[j.name].upper)) for j in robot.joints]
    gripper = robot.gripper
    finger = urdf[gripper.joint]
    ends = (finger.lower, finger.upper)
    soft = (min(gripper.closed, gripper.open), max(gripper.closed, gripper.open))
    if gripper.slide:  # beyond its table the crank goes on as in the last piece of it
        first, second, *_ = gripper.slide
        *_, before, last = gripper.slide
        grid = (gripper.open - gripper.closed) / (len(gripper.slide) - 1)
        below = gripper.closed + (ends[0] - first) / (second - first) * grid
        above = gripper.open + (ends[1] - last) / (last - before) * grid
        ends = (min(below, above), max(below, above))
    return (*found, _wider(soft, ends))


def _wider(a: Range, b: Range) -> Range:
    return min(a[0], b[0]), max(a[1], b[1])
