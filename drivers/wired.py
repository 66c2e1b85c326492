"""Which arms hang on a servo bus that genba drives, with which servos, and the refusal of those that do not."""

from contextlib import suppress

from ..robots.catalogue import load_robot, robot_names
from ..robots.description import Bus, RobotDescription
from ..robots.errors import RefusedError
from .protocols import load_protocol


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


def models_of(robot: RobotDescription) -> dict[int, int]:
    """Model number that each servo of an arm must answer with, by id along the wire: what its drive is called.

    A drive whose name the protocol does not list is taken for the model that the bus names.

    Args:
        robot: The arm.

    Raises:
        RefusedError: If it has no bus.
    """
    bus = bus_of(robot)
    known = load_protocol(bus.protocol).models
    drives = dict(zip(robot.actuator_ids, robot.actuator_drives, strict=True))
    return {i: known.get(drives[robot.shadow_ids.get(i, i)].model, bus.model_number) for i in robot.servo_names}
