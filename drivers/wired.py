"""Which arms hang on a servo bus that genba drives, and the refusal of those that do not."""

from contextlib import suppress

from ..robots.description import Bus, RobotDescription, load_robot, robot_names
from ..robots.errors import RefusedError


def bus_of(robot: RobotDescription) -> Bus:
    """The bus of an arm.

    Args:
        robot: The arm.

    Raises:
        RefusedError: If it has none; the text lists the arms that have one.
    """
    if robot.bus is not None:
        return robot.bus
    wired = []
    for name in robot_names():
        with suppress(RefusedError):
            if load_robot(name).bus is not None:
                wired.append(name)
    raise RefusedError(
        f"robot {robot.name!r} has no servo bus that genba drives, it exists in simulation only; "
        f"robots with a bus: {', '.join(wired) or 'none'}"
    )
