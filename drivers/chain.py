"""What the servos that answer say of those that do not: doubles, noise, wrong rates, and where the chain breaks.

The servos of an arm hang behind each other in the order of its joints; a broken cable silences all behind it, a servo
with another id only itself.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..robots.description import RobotDescription
from .wired import bus_of, models_of

READS = 6
DOUBLE = 5  # broken reads of these from which it is two servos


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One id that answers.

    Attributes:
        protocol: Catalogue name of what it speaks.
        baud_rate: At which rate.
        actuator_id: Its id.
        model_number: What it gives as its model; None where its answers are garbled.
        model: Trade name, where the protocol lists that number.
        firmware: Version, as in 3.10.
        voltage: Supply, V.
        temperature: Case, degrees Celsius.
        faults: What is wrong with it, each with its cure.
        double: Whether two servos answer to this id.
        broken_reads: Reads of six whose answers came garbled.
    """

    protocol: str
    baud_rate: int
    actuator_id: int
    model_number: int | None
    model: str | None
    firmware: str | None
    voltage: float | None
    temperature: int | None
    faults: tuple[str, ...]
    double: bool
    broken_reads: int


def advice(servos: Sequence[Found], robot: RobotDescription | None, *, garbage: int = 0) -> list[str]:
    """What to do next, one line each; nothing where all is well.

    Args:
        servos: What answered.
        robot: The arm that should be there.
        garbage: Bytes that came where no servo was found.
    """
    hints = [
        f"id {s.actuator_id} ({s.protocol}, {s.baud_rate} baud): {fault}"
        if robot is None
        else f"{_name(robot, s.actuator_id)}: {fault}"
        for s in servos
        for fault in s.faults
    ]
    noisy = [s.actuator_id for s in servos if 0 < s.broken_reads < DOUBLE]
    if noisy:
        hints.append(
            f"noise: answers of id {', '.join(map(str, noisy))} came garbled now and then; no id is given twice. "
            "Check plugs, ground and cable length"
        )
    if not servos:
        hints.append(
            "bytes came, but no protocol and rate that were tried make sense of them: try more, or look for noise"
            if garbage
            else "nothing answers: switch the servos' own power on (USB alone does not feed them), then check the "
            "cable from the adapter to the first servo"
        )
    elif robot is not None:
        hints += chain_hints(robot, servos)
    return hints


def _name(robot: RobotDescription, actuator_id: int) -> str:
    return f"{robot.servo_names.get(actuator_id, 'no joint of this arm')} (id {actuator_id})"


def chain_hints(robot: RobotDescription, servos: Iterable[Found]) -> list[str]:
    """What the servos found say of those of an arm that are missing.

    Args:
        robot: The arm; its servos hang behind each other in the order of its joints.
        servos: What answered.
    """
    wire, models = bus_of(robot), models_of(robot)
    here = {s.actuator_id: s for s in servos if s.protocol == wire.protocol}
    right = [i for i in robot.servo_names if i in here and here[i].baud_rate == wire.baud_rate]
    hints = []
    for i in robot.servo_names:
        if i in here and i not in right:
            rate = here[i].baud_rate
            hints.append(f"{_name(robot, i)} answers at {rate} baud, not {wire.baud_rate}: genba setup")
        number = here[i].model_number if i in here else None
        if number not in (None, models[i]):
            hints.append(f"{_name(robot, i)} is a model {number}, expected {models[i]}: fit the right servo")
    missing = [i for i in robot.servo_names if i not in here]
    if missing:
        order = tuple(robot.servo_names)
        first = order.index(missing[0])
        before = _name(robot, order[first - 1]) if first else "the adapter"
        behind = [i for i in order[first:] if i in here]
        where = f"first silent in the chain is {_name(robot, order[first])}"
        if behind:
            cure = "those behind it answer, so it is its own plug, or it has another id: genba setup"
        else:
            cure = f"all behind it are silent, too: check the cable between {before} and it"
        hints.append(f"{where}; {cure}")
    strangers = [str(i) for i in here if i not in robot.servo_names]
    if strangers:
        hints.append(f"id {', '.join(strangers)} is not of {robot.name}: genba setup gives it the right one")
    return hints
