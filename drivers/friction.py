"""Measure what each joint costs to move: friction, weight, and how far the goal must turn back before the joint does.

    slowly up through a place and down again:  torque up = weight + friction,  torque down = weight - friction
    once more at twice the speed:              what the speed itself costs falls out

Torque is told by the bridge duty, as everywhere. The reversal holds the play of the gears and what the servo's loop
gives way under friction; a servo's own encoder cannot tell the two apart.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from ..robots.errors import SafetyError
from ..robots.gravity import Gravity
from .guide import Guide

REACH = 0.12  # rad to both sides of where the joint stands
SLOW = 0.06  # rad/s, and twice that
NEAR = 0.6  # share of the reach in which torques are compared: the ends are where it turns
MOVED = 0.007  # rad, 4 to 5 ticks, from which a joint has turned back
ENOUGH = 5  # samples each way


@dataclass(frozen=True, slots=True, kw_only=True)
class JointCost:
    """What one joint costs to move.

    Attributes:
        joint: Its name.
        friction: Half the difference of the torques up and down, at no speed, N m.
        friction_by_design: What the arm's drive declares, N m.
        weight: Their mean, N m: what gravity asks for there.
        weight_by_design: What the model says it asks for, N m.
        reversal: Way of the goal from the turn until the joint follows, rad.
    """

    joint: str
    friction: float
    friction_by_design: float
    weight: float
    weight_by_design: float
    reversal: float

    def to_json(self) -> dict[str, object]:
        """Plain values by name."""
        return asdict(self)


def measure(guide: Guide, *, on_joint: Callable[[str], None] = lambda words: None) -> list[JointCost]:
    """Move each arm joint a little up and down where the arm stands, one after the other.

    Args:
        guide: Moves the arm; it ends where it began.
        on_joint: Called with the name of each joint that is done.

    Raises:
        SafetyError: If a joint does not follow its goal.
    """
    start = guide.target
    costs = []
    for k, name in enumerate(guide.robot.joint_names):
        costs.append(_joint(guide, k))
        on_joint(name)
    guide.move_to(start)
    return costs


def _joint(guide: Guide, k: int) -> JointCost:
    low, high = guide.ranges[k]
    start = list(guide.target)
    middle = min(max(start[k], low + REACH), high - REACH)
    down = list(start)
    down[k] = middle - REACH
    guide.move_to(down)
    slow, weight, reversal = _up_and_down(guide, k, middle, SLOW)
    fast, _, _ = _up_and_down(guide, k, middle, 2.0 * SLOW)
    guide.move_to(start)
    return JointCost(
        joint=guide.robot.joint_names[k],
        friction=2.0 * slow - fast,  # what grows with the speed, the motor's own voltage above all, is taken out
        friction_by_design=guide.robot.actuator_drives[k].friction,
        weight=weight,
        weight_by_design=Gravity(guide.robot).torques([*start[:k], middle, *start[k + 1 : -1]])[k],
        reversal=reversal,
    )


def _up_and_down(guide: Guide, k: int, middle: float, speed: float) -> tuple[float, float, float]:
    """Half the difference of the torques up and down, their mean, and the reversal at the top."""
    rising = _ramp(guide, k, middle + REACH, speed)
    top, turn = guide.target[k], guide.measured[k]
    falling = _ramp(guide, k, middle - REACH, speed)
    back = next((goal for goal, at, _ in falling if turn - at > MOVED), None)
    up = [torque for _, at, torque in rising if abs(at - middle) < NEAR * REACH]
    down = [torque for _, at, torque in falling if abs(at - middle) < NEAR * REACH]
    if back is None or min(len(up), len(down)) < ENOUGH:
        name = guide.robot.joint_names[k]
        raise SafetyError(f"{name} does not follow its goal up and down: see what holds it")
    mean_up, mean_down = sum(up) / len(up), sum(down) / len(down)
    return 0.5 * (mean_up - mean_down), 0.5 * (mean_up + mean_down), top - back


def _ramp(guide: Guide, k: int, end: float, speed: float) -> list[tuple[float, float, float]]:
    """Take one joint to an end at a speed; goal, measured position and torque at every tick."""
    rows = []
    target = list(guide.target)
    step = speed * guide.dt if end > target[k] else -speed * guide.dt
    while abs(end - target[k]) > abs(step):
        target[k] += step
        guide.toward(target)
        rows.append((guide.target[k], guide.measured[k], guide.efforts[k]))
    return rows
