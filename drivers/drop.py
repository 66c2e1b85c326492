"""How far an arm falls when its torque goes off, told beforehand by a twin in plain numbers.

    measured positions -> weight against friction, joint by joint, until all rest -> lowest tool on the way

The twin carries each joint's rotor and the torque that the links' weight puts on it, but no link inertia: it tells
where the arm ends and how low it comes, not how fast.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ..robots.description import RobotDescription
from ..robots.kinematics import Kinematics
from .virtual.plant import Command, ServoPlant

FALL_S = 4.0  # s after which an arm that still creeps counts as lying
STEP = 0.002  # s
STANDS = 0.02  # m: a drop that needs no hand


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """What releasing will do.

    Attributes:
        height: Tool above the base now, m.
        lowest: Lowest tool on the way, m; 0 where it comes down on the table.
        drop: How far the tool comes down, m.
        joints: How far each arm joint turns, rad, by name.
    """

    height: float
    lowest: float
    drop: float
    joints: dict[str, float]

    def to_json(self) -> dict[str, object]:
        """Plain values by name."""
        return asdict(self)

    def __str__(self) -> str:
        """One line for people."""
        if self.drop < STANDS:
            return f"the arm rests as it stands: its tool sinks by {self.drop * 1e3:.0f} mm"
        end = "onto the table" if self.lowest <= 0.0 else f"to {self.lowest:.2f} m"
        return f"the arm will fall: its tool comes down by {self.drop:.2f} m, from {self.height:.2f} m {end}"


def preview(robot: RobotDescription, positions: Sequence[float]) -> Drop:
    """Let a virtual copy of the arm go limp.

    Args:
        robot: The arm.
        positions: Where its joints and gripper are, rad.
    """
    kinematics = Kinematics(robot)
    plant = ServoPlant(robot, positions=positions, period=STEP)
    plant.step([Command(goal=position) for position in positions])  # only what has been driven feels its weight
    limp = [Command(goal=None)] * len(positions)
    count = len(robot.joints)
    height = lowest = kinematics.forward(positions[:count]).position[2]
    now = list(positions)
    for _ in range(int(FALL_S / STEP)):
        now = list(plant.step(limp).positions)
        lowest = min(lowest, kinematics.forward(now[:count]).position[2])
        if lowest <= 0.0:
            lowest = 0.0 if height > 0.0 else lowest
            break
    turned = {name: now[k] - positions[k] for k, name in enumerate(robot.joint_names)}
    return Drop(height=height, lowest=lowest, drop=max(height - lowest, 0.0), joints=turned)
