"""Lead an arm to a place by hand-given targets, through the same tick as a policy: controller, envelope, bus.

    present position -> toward(...) / move_to(...) / slide(...) -> Station.tick

A slower arm is the same arm with smaller limits in its envelope; nothing here speaks to a servo.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import hypot

from ..robots.controller import make_controller
from ..robots.description import RobotDescription
from ..robots.envelope import SafetyEnvelope
from ..robots.errors import RefusedError, SafetyError, TaskFailedError
from ..robots.kinematics import Kinematics
from ..robots.least_squares import damped_least_squares
from ..robots.observation import ObservationSpec
from ..robots.state import Vector
from ..robots.station import Station, arm_fields
from .opening import AnyArm

ARRIVED = 2e-3  # rad between command and target
ON_SPOT = 5e-4  # m between commanded TCP and target
STILL = 0.05  # rad/s of the fastest joint that counts as standing
SETTLE_S = 0.3  # s for which it must stand
PATIENCE_S = 5.0  # s beyond the time that the speed limit alone asks for
STUCK_S = 1.0  # s without a tenth of a millimetre of progress
TILT_WEIGHT = 0.05  # m per rad: how much turning of the tool may cost in position where the arm cannot have both
DAMPING = 0.003
MIN_SPEED = 0.02  # share of the arm's limits


def ranges_of(robot: RobotDescription) -> list[tuple[float, float]]:
    """Lowest and highest position of each joint and of the gripper, in their own units."""
    g = robot.gripper
    return [*((j.lower, j.upper) for j in robot.joints), (min(g.closed, g.open), max(g.closed, g.open))]


class Guide:
    """An armed bench arm that goes where it is told, no faster than asked."""

    def __init__(self, arm: AnyArm, *, speed: float = 1.0) -> None:
        """Take an armed arm as it stands.

        Args:
            arm: The arm.
            speed: Share of the arm's speed limits, 0.02 to 1.

        Raises:
            RefusedError: If the share is no such number.
        """
        robot = arm.robot
        self.arm = arm
        self.robot = robot
        self.kinematics = Kinematics(robot)
        self.dt = 1.0 / robot.control_rate_hz
        self.ranges = ranges_of(robot)
        self._turned = (
            robot.gripper.open < robot.gripper.closed
        )  # the controller counts the gripper from closed to open
        self.reasons: dict[str, int] = {}
        fields = tuple(field for field in arm_fields(robot) if field.name == "joint_positions")
        self._station = Station(
            arm=arm,
            kinematics=self.kinematics,
            controller=make_controller("joint_position", robot, gripper=True),
            envelope=SafetyEnvelope(robot, self.kinematics),
            spec=ObservationSpec(observation=fields),
            dt=self.dt,
        )
        self.set_speed(speed)
        self._station.start()
        self._began = self._station.state.stamp

    def set_speed(self, speed: float) -> None:
        """Choose another share of the arm's speed limits; the motion goes on.

        Args:
            speed: 0.02 to 1.
        """
        envelope = SafetyEnvelope(slowed(self.robot, speed), self.kinematics)
        if hasattr(self._station, "admitted"):
            envelope.restore(self._station.envelope.snapshot())
        self._station.envelope = envelope
        self.speed = speed

    @property
    def target(self) -> Vector:
        """What was admitted last: joints and gripper, rad."""
        admitted = self._station.admitted
        return (*admitted.joint_positions, admitted.gripper)

    @property
    def measured(self) -> Vector:
        """What was measured last: joints and gripper, rad."""
        state = self._station.state
        return (*state.joint_positions, state.gripper)

    @property
    def efforts(self) -> Vector:
        """Torques estimated last, arm joints only, N m."""
        return self._station.state.joint_efforts

    def toward(self, target: Sequence[float]) -> None:
        """One tick towards a target.

        Args:
            target: Joints and gripper, rad; what lies outside a range is brought to its end.
        """
        action = [(2.0 * t - low - high) / (high - low) for t, (low, high) in zip(target, self.ranges, strict=True)]
        if self._turned:
            action[-1] = -action[-1]
        self._station.tick(action)
        for reason in set(self._station.admitted.reasons):
            self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def move_to(self, target: Sequence[float]) -> None:
        """Go to a place and wait until the arm stands there.

        Args:
            target: Joints and gripper, rad.

        Raises:
            SafetyError: If the arm does not get there.
        """
        tops = [*(j.max_velocity for j in self.robot.joints), self.robot.gripper.max_velocity]
        gaps = [abs(t - m) for t, m in zip(target, self.measured, strict=True)]
        way = max(gap / top for gap, top in zip(gaps, tops, strict=True))
        # Tool speed, workspace and braking make it slower than its joints: three times their time is ample.
        ticks = int((3.0 * way / self.speed + PATIENCE_S) / self.dt)
        still, gap = 0, 0.0
        for _ in range(ticks):
            self.toward(target)
            gap = max(abs(t - a) for t, a in zip(target, self.target, strict=True))
            still = still + 1 if gap < ARRIVED and self._standing() else 0
            if still * self.dt >= SETTLE_S:
                return
        names = self.robot.actuator_names
        far = max(range(len(names)), key=lambda k: abs(target[k] - self.target[k]))
        limits = ", ".join(sorted(self.reasons)) or "none"
        raise SafetyError(
            f"{names[far]} is {gap:.3f} rad short of its target and comes no closer (limits at work: {limits}): "
            "see whether something holds it, or go there by another way"
        )

    def settle(self) -> bool:
        """Stay at the target until the arm stands, or for a second; say whether it does."""
        still = 0
        target = self.target
        for _ in range(int(STUCK_S / self.dt)):
            self.toward(target)
            still = still + 1 if self._standing() else 0
            if still * self.dt >= SETTLE_S:
                return True
        return False

    def slide(self, way: Sequence[float]) -> None:
        """Move the tool straight, keeping its direction as far as the arm can.

        Args:
            way: x, y, z in m, base frame.

        Raises:
            TaskFailedError: If the envelope or the arm's reach ends the way before its end.
        """
        start = self.kinematics.forward(self.target[:-1]).position
        goal = [s + w for s, w in zip(start, way, strict=True)]
        best, since, still, left = float("inf"), 0, 0, 0.0
        while still * self.dt < SETTLE_S:
            here = self.kinematics.forward(self.target[:-1]).position
            rest = [g - h for g, h in zip(goal, here, strict=True)]
            left = hypot(*rest)
            if left < best - 1e-4:
                best, since = left, 0
            since += 1
            if left > ON_SPOT and since * self.dt > STUCK_S:
                limits = ", ".join(sorted(self.reasons)) or "none"
                raise TaskFailedError(
                    f"the tool stopped {left * 1e3:.0f} mm before the end of its way (limits at work: {limits}): "
                    "it is at the end of its reach or of its workspace"
                )
            if left > ON_SPOT:
                self.drift(rest)
            else:
                self.toward(self.target)
            still = still + 1 if left <= ON_SPOT and self._standing() else 0

    def drift(self, way: Sequence[float]) -> None:
        """One tick of the tool in a direction, at most as far as its speed limit allows.

        Args:
            way: x, y, z in m, base frame; a shorter way is gone in one tick.
        """
        most = self.robot.limits.tcp_speed * self.speed * self.dt
        size = hypot(*way)
        x, y, z = (w * min(1.0, most / size) for w in way) if size else (0.0, 0.0, 0.0)
        pose = self.kinematics.forward(self.target[:-1])
        vx, vy, vz, *turns = pose.jacobian_rows
        rows = (vx, vy, vz, *([TILT_WEIGHT * w for w in row] for row in turns))
        step = damped_least_squares(rows, (x, y, z, 0.0, 0.0, 0.0), damping=DAMPING)
        *joints, gripper = self.target
        self.toward((*[q + s for q, s in zip(joints, step, strict=True)], gripper))

    def _standing(self) -> bool:
        return max(abs(v) for v in self._station.state.joint_velocities) < STILL

    @property
    def seconds(self) -> float:
        """Time under way."""
        return self._station.state.stamp - self._began


def slowed(robot: RobotDescription, speed: float) -> RobotDescription:
    """The same arm with a share of its speeds, for an envelope.

    Args:
        robot: The arm.
        speed: 0.02 to 1.

    Raises:
        RefusedError: If the share is no such number.
    """
    if not MIN_SPEED <= speed <= 1.0:
        raise RefusedError(f"speed {speed:g} is no share of the arm's limits; allowed: {MIN_SPEED} to 1")
    slower = replace(
        robot,
        joints=tuple(replace(j, max_velocity=j.max_velocity * speed) for j in robot.joints),
        gripper=replace(robot.gripper, max_velocity=robot.gripper.max_velocity * speed),
        limits=replace(robot.limits, tcp_speed=robot.limits.tcp_speed * speed),
    )
    object.__setattr__(slower, "source", robot.source)
    return slower
