"""From an action in [-1, 1] to a joint target in rad.

All three controllers move the *target*, starting from what was last admitted, never from the measured pose: an
arm that sags under its own weight is then pulled up by the policy's feedback instead of sinking a little more
with every tick.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from .description import RobotDescription
from .envelope import Admitted
from .errors import RefusedError
from .least_squares import damped_least_squares
from .pose import Pose
from .state import Vector

CONTROL_MODES: Final = ("joint_delta", "joint_position", "ee_delta")

TILT_GAIN = 0.2  # share of the tool's tilt from the vertical that ee_delta takes out in one tick
TILT_WEIGHT = 0.05  # m per rad: how much tilt may cost the TCP in position where the arm cannot have both
TURN_WEIGHT = 0.2  # m per rad of yaw
DAMPING = 0.003
POSTURE_GAIN = 0.01  # share of the way to the home posture taken per tick in directions the task leaves free


class ArmController(Protocol):
    """Turns actions into targets.

    Attributes:
        mode: Its name.
        action_size: Length of the action.
    """

    mode: str
    action_size: int

    def target(self, action: Sequence[float], admitted: Admitted, pose: Pose) -> Vector:
        """Return the joint target with the gripper last, rad.

        Args:
            action: Values in [-1, 1]; the last one opens (1) or closes (-1) the gripper where there is one.
            admitted: The command admitted last.
            pose: Measured TCP pose.
        """


class _Gripper:
    """The gripper's share of an action: an absolute position, so that a policy need not remember what it did."""

    def __init__(self, robot: RobotDescription, driven: bool) -> None:
        g = robot.gripper
        self.size = int(driven)
        self._middle = 0.5 * (g.closed + g.open)
        self._half = 0.5 * (g.open - g.closed)

    def target(self, action: Sequence[float], admitted: Admitted) -> float:
        if not self.size:
            return admitted.gripper
        return self._middle + self._half * action[-1]


class JointDelta:
    """Each action component moves one joint target by up to `joint_step` rad per tick."""

    mode = "joint_delta"

    def __init__(self, robot: RobotDescription, *, gripper: bool) -> None:
        """Take the step from the description.

        Args:
            robot: The arm.
            gripper: Whether the last action component drives the gripper.
        """
        self._step = robot.joint_step
        self._gripper = _Gripper(robot, gripper)
        self.action_size = len(robot.joints) + int(gripper)

    def target(self, action: Sequence[float], admitted: Admitted, pose: Pose) -> Vector:
        """Return the joint target with the gripper last, rad; see `ArmController.target`."""
        step = self._step
        moved = [q + step * a for q, a in zip(admitted.joint_positions, action, strict=False)]
        return (*moved, self._gripper.target(action, admitted))


class JointPosition:
    """Each action component names a place in one joint's range: -1 lower limit, 1 upper limit."""

    mode = "joint_position"

    def __init__(self, robot: RobotDescription, *, gripper: bool) -> None:
        """Take the ranges from the description.

        Args:
            robot: The arm.
            gripper: Whether the last action component drives the gripper.
        """
        self._ranges = [(0.5 * (j.lower + j.upper), 0.5 * (j.upper - j.lower)) for j in robot.joints]
        self._gripper = _Gripper(robot, gripper)
        self.action_size = len(robot.joints) + int(gripper)

    def target(self, action: Sequence[float], admitted: Admitted, pose: Pose) -> Vector:
        """Return the joint target with the gripper last, rad; see `ArmController.target`."""
        joints = [middle + half * a for (middle, half), a in zip(self._ranges, action, strict=False)]
        return (*joints, self._gripper.target(action, admitted))


class EndEffectorDelta:
    """x, y, z and yaw of a tool kept vertical: base-frame steps of up to `ee_step` m and `ee_turn` rad per tick.

    Four numbers suit arms of all kinds alike; the tilt of the tool is taken out by the controller. An arm that cannot
    turn its tool about itself, as its reach says, goes where it is sent and lets the yaw come out as it must.
    """

    mode = "ee_delta"

    def __init__(self, robot: RobotDescription, *, gripper: bool) -> None:
        """Take steps and home posture from the description.

        Args:
            robot: The arm.
            gripper: Whether the last action component drives the gripper.
        """
        self._step = robot.ee_step
        self._turn = robot.ee_turn
        least, most = robot.reach.yaw
        self._turn_weight = TURN_WEIGHT if most > least else 0.0
        self._home = robot.home
        self._spare = len(robot.joints) > 6
        self._gripper = _Gripper(robot, gripper)
        self.action_size = 4 + int(gripper)

    def target(self, action: Sequence[float], admitted: Admitted, pose: Pose) -> Vector:
        """Return the joint target with the gripper last, rad; see `ArmController.target`."""
        step, turn_weight = self._step, self._turn_weight
        zx, zy, _ = pose.z_axis
        vx, vy, vz, wx, wy, wz = pose.jacobian_rows
        rows = (
            vx,
            vy,
            vz,
            [TILT_WEIGHT * w for w in wx],
            [TILT_WEIGHT * w for w in wy],
            [turn_weight * w for w in wz],
        )
        # The rotation that takes the tool axis z onto (0, 0, -1) is about z x (0, 0, -1) = (-zy, zx, 0).
        twist = (
            step * action[0],
            step * action[1],
            step * action[2],
            -TILT_WEIGHT * TILT_GAIN * zy,
            TILT_WEIGHT * TILT_GAIN * zx,
            turn_weight * self._turn * action[3],
        )
        joints = admitted.joint_positions
        posture: list[float] = []
        if self._spare:
            posture = [POSTURE_GAIN * (h - q) for h, q in zip(self._home, joints, strict=True)]
        move = damped_least_squares(rows, twist, damping=DAMPING, posture=posture)
        return (*[q + m for q, m in zip(joints, move, strict=True)], self._gripper.target(action, admitted))


def make_controller(mode: str, robot: RobotDescription, *, gripper: bool) -> ArmController:
    """Build a controller by name.

    Args:
        mode: One of `CONTROL_MODES`.
        robot: The arm.
        gripper: Whether actions drive the gripper.

    Raises:
        RefusedError: If there is no such mode.
    """
    makers: dict[str, type[JointDelta] | type[JointPosition] | type[EndEffectorDelta]] = {
        "joint_delta": JointDelta,
        "joint_position": JointPosition,
        "ee_delta": EndEffectorDelta,
    }
    if mode not in makers:
        raise RefusedError(f"no control mode named {mode!r}; there are: {', '.join(CONTROL_MODES)}")
    return makers[mode](robot, gripper=gripper)
