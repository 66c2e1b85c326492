"""Connect an arm, do one piece of work with it, and stop it, whatever the end is.

    calibration fits? -> connect -> arm where it stands -> work -> rest, holding, read back -> report
                                                                | Ctrl-C, a fault: confirmed stop

A stop makes the measured position the goal, and a servo then sinks by what it needs to carry its load. An arm that has
arrived keeps its goal instead, and the next command goes on from that goal: so many small commands let nothing creep,
and what a gripper holds it goes on holding.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from ..robots.description import RobotDescription
from ..robots.errors import BusError, GenbaError, LinkLostError, RefusedError, SafetyError, TaskFailedError
from ..robots.state import Vector
from .arm import BenchArm
from .bus import Fault
from .calibration import TWO_PI
from .controller_arm import ControllerArm
from .guide import Guide, slowed
from .opening import AnyArm, open_arm
from .stop import StopReport

Check = Callable[[Sequence[float]], None]

STOP_TRIES = 5  # stops begun anew because somebody pressed Ctrl-C during them


class InterruptedMoveError(GenbaError):
    """A person has stopped a motion; the text says how the arm stands."""

    exit_code = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveReport:
    """Where a motion ended.

    Attributes:
        robot: Catalogue name of the arm.
        gripper_unit: In which its gripper is measured, rad or m.
        joint_positions: Measured, rad, by joint; the gripper last, in its own unit.
        tcp_position: Measured, m, base frame.
        seconds: Time under way.
        stop_confirmed: Whether it was read back that the arm stands and holds.
        limited_by: Limits of the envelope that changed a target, by number of ticks.
    """

    robot: str
    gripper_unit: str
    joint_positions: dict[str, float]
    tcp_position: Vector
    seconds: float
    stop_confirmed: bool
    limited_by: dict[str, int]

    def to_json(self) -> dict[str, object]:
        """Plain values by name."""
        return asdict(self)

    def __str__(self) -> str:
        """One line for people."""
        *joints, gripper = (f"{name} {value:.3f}" for name, value in self.joint_positions.items())
        x, y, z = self.tcp_position
        places = f"{', '.join(joints)} rad, {gripper} {self.gripper_unit}"
        return f"stands, holding, at {places}; tool at {x:.3f}, {y:.3f}, {z:.3f} m"


@contextmanager
def led(
    robot: RobotDescription, url: str, calibration: Path | None, *, speed: float, check: Check | None = None
) -> Iterator[Guide]:
    """Connect an arm, arm it where it stands, and leave it holding at the end, whatever the end is.

    Args:
        robot: The arm.
        url: As for `open_port`.
        calibration: File of this unit; its usual place if not given.
        speed: Share of the arm's speed limits.
        check: Is told where the arm stands, joints and gripper, before anything moves, and refuses what does not fit.

    Raises:
        RefusedError: If the calibration or the speed does not fit; nothing has moved.
        InterruptedMoveError: On Ctrl-C; the arm has been stopped.
        SafetyError: If that it holds could not be confirmed.
    """
    slowed(robot, speed)
    arm = open_arm(robot, url, calibration)
    guide: Guide | None = None
    rests = False
    try:
        _connect(arm)
        before = _held(arm) if isinstance(arm, BenchArm) else None
        if check is not None:
            state = arm.read()
            check(before or (*state.joint_positions, state.gripper))
        arm.arm()
        guide = Guide(arm, speed=speed)
        if before is not None:
            guide.move_to(before)
        yield guide
        rests = resting(guide)
    except KeyboardInterrupt:
        stop = confirmed_stop(arm) if arm.state == "armed" else None
        if stop is not None and not stop.confirmed:
            raise _unconfirmed(arm, stop) from None
        raise InterruptedMoveError(f"interrupted; {stop.text if stop else 'nothing was moved'}") from None
    except LinkLostError:
        raise  # there is nobody to be stopped any more; the servos hold their last goal
    except (RefusedError, TaskFailedError):
        rests = guide is not None and resting(guide)
        raise
    except GenbaError as error:
        stop = confirmed_stop(arm) if arm.state == "armed" else None
        if stop is not None and not stop.confirmed:
            raise SafetyError(f"{error}; {stop.text}: cut the power") from error
        raise
    finally:
        if rests:
            arm.bus.close()
        else:
            arm.close()


def _connect(arm: AnyArm) -> None:
    try:
        arm.connect()
    except LinkLostError:
        raise
    except BusError as error:
        if "no answer" not in str(error) or isinstance(arm, ControllerArm):
            raise
        more = f"genba scan {arm.bus.port.name} --robot {arm.robot.name}"
        raise BusError(f"{error}; {more} tells which of these it is") from error


def _held(arm: BenchArm) -> Vector | None:
    """Where an arm that holds itself is told to be, joints and gripper, rad; None where it is limp or elsewhere."""
    ids = arm.robot.actuator_ids
    switches = arm.bus.sync_read("torque_switch", ids)
    goals = arm.bus.sync_read("goal_position", ids)
    state = arm.read()
    told = []
    measured = (*state.joint_positions, state.gripper)
    for row, at, reach in zip(arm.calibration.actuators, measured, arm.robot.limits.look_ahead, strict=True):
        goal = goals[row.actuator_id]
        if switches[row.actuator_id] != 1 or isinstance(goal, Fault):
            return None
        told.append(row.to_position(goal))
        if abs(told[-1] - at) > reach:
            return None
    return tuple(told)


def resting(guide: Guide) -> bool:
    """Whether an arm stands and every motor holds, with torque, the goal that was sent last.

    Args:
        guide: Has brought the arm to its place.
    """
    arm = guide.arm
    if arm.state != "armed" or not guide.settle():
        return False
    if isinstance(arm, ControllerArm):
        return True  # it has no goal but the one it was given, and its motors hold it
    told = _held(arm)
    if told is None:
        return False
    scale = [TWO_PI / row.ticks_per_turn for row in arm.calibration.actuators]
    return all(abs(t - g) <= 1.5 * tick for t, g, tick in zip(told, guide.target, scale, strict=True))


def _unconfirmed(arm: AnyArm, stop: StopReport) -> GenbaError:
    """Why a stop could not be read back: the port is gone, or the arm does not do as it is told."""
    try:
        arm.bus.port.flush_input()
    except LinkLostError as error:
        return error
    return SafetyError(f"{stop.text}: cut the power")


def confirmed_stop(arm: AnyArm) -> StopReport:
    """Stop an arm; more presses of Ctrl-C do not keep it from being stopped."""
    for _ in range(STOP_TRIES - 1):
        try:
            return arm.stop()
        except KeyboardInterrupt:
            continue
    return arm.stop()


def lead(
    robot: RobotDescription,
    url: str,
    calibration: Path | None,
    *,
    speed: float,
    work: Callable[[Guide], None],
    check: Check | None = None,
) -> MoveReport:
    """Do one piece of work with an arm and say where it stands afterwards.

    Args:
        robot: The arm.
        url: As for `open_port`.
        calibration: File of this unit; its usual place if not given.
        speed: Share of the arm's speed limits.
        work: Moves the arm.
        check: As for `led`.

    Raises:
        SafetyError: If that it holds could not be confirmed.
    """
    with led(robot, url, calibration, speed=speed, check=check) as guide:
        work(guide)
        if not resting(guide):
            stop = confirmed_stop(guide.arm)
            if not stop.confirmed:
                raise _unconfirmed(guide.arm, stop)
        positions = guide.measured
        return MoveReport(
            robot=robot.name,
            gripper_unit=robot.gripper_unit,
            joint_positions=dict(zip(robot.actuator_names, positions, strict=True)),
            tcp_position=guide.kinematics.forward(positions[:-1]).position,
            seconds=guide.seconds,
            stop_confirmed=True,
            limited_by=dict(sorted(guide.reasons.items())),
        )
