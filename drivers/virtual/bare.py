"""Servos of a protocol on a bench, without an arm: what to rehearse `genba scan` and `genba setup` on."""

from dataclasses import replace

from ...robots.catalogue import load_robot
from ...robots.description import Bus, RobotDescription
from ..protocols import load_protocol

PATTERN = "so101"  # arm whose six joints the servos are hung on


def bare_servos(protocol: str, baud_rate: int | None = None) -> RobotDescription:
    """A row of six servos that has every model of a protocol, as far as six reach.

    Args:
        protocol: Catalogue name.
        baud_rate: Rate of the wire; the protocol's first if not given.

    Raises:
        UnknownNameError: If no protocol has that name.
        RefusedError: If it is a command language.
    """
    framing = load_protocol(protocol)
    robot = load_robot(PATTERN)
    models = tuple(framing.models)
    drive = robot.actuator_drives[0]
    ticks = min(drive.ticks_per_turn, 2 * framing.centre(drive))
    return replace(
        robot,
        name=f"{protocol} servos",
        bus=Bus(protocol=protocol, baud_rate=baud_rate or framing.baud_rates[0], model_number=0),
        drives={model: replace(drive, model=model, ticks_per_turn=ticks) for model in models},
        joints=tuple(replace(joint, drive=models[k % len(models)]) for k, joint in enumerate(robot.joints)),
        gripper=replace(robot.gripper, drive=models[len(robot.joints) % len(models)]),
    )
