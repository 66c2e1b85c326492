"""What an arm says.

Vectors are plain tuples of floats, not arrays: they are frozen, they travel through the tick six numbers at
a time, and scalar arithmetic on them is several times faster than on a NumPy array of that size.
"""

from dataclasses import dataclass

Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmState:
    """One measurement of the whole arm.

    Attributes:
        stamp: Time of the measurement in s on the arm's own monotonic clock.
        joint_positions: Measured positions of the arm joints in rad, base to tip, gripper excluded.
        joint_velocities: Their velocities in rad/s.
        joint_efforts: Estimated torque of each joint in N m.
        gripper: Gripper joint position in its own unit: rad for a jaw, m for a parallel finger.
    """

    stamp: float
    joint_positions: Vector
    joint_velocities: Vector
    joint_efforts: Vector
    gripper: float
