"""The safety envelope: the only way from a wish to a motor command.

`SafetyEnvelope.admit` takes any target and returns the nearest command that this arm may follow now: finite,
inside the joint range, below speed and acceleration with room left to brake, near the measured position, the
TCP inside its workspace and below its speed. What it cannot make safe it refuses. It is pure: no clock of its
own, no I/O; the simulated arm and the real one run this same code.
"""

from collections.abc import Sequence
from math import isfinite, sqrt
from typing import Final

from .description import RobotDescription
from .errors import RefusedError, SafetyError
from .kinematics import Kinematics
from .pose import Pose
from .state import ArmState, Vector

_SEAL: Final = object()
NEAR_LIMIT = 0.4  # share of the TCP speed limit from which the speed is computed without linearising


class Admitted:
    """A motor command that the safety envelope has let through; nothing else can make one.

    Attributes:
        stamp: Stamp of the state against which it was judged, s.
        joint_positions: Goal of each arm joint, rad.
        gripper: Goal of the gripper in its own unit.
        reasons: Names of the limits that changed the target, empty when it passed untouched.
    """

    __slots__ = ("gripper", "joint_positions", "reasons", "stamp")

    def __init__(
        self, seal: object, stamp: float, joint_positions: Vector, gripper: float, reasons: tuple[str, ...]
    ) -> None:
        """Refuse to be made by anyone without the envelope's seal.

        Raises:
            TypeError: If `seal` is not the envelope's.
        """
        if seal is not _SEAL:
            raise TypeError("only the safety envelope makes an Admitted; call SafetyEnvelope.admit")
        self.stamp = stamp
        self.joint_positions = joint_positions
        self.gripper = gripper
        self.reasons = reasons

    def __repr__(self) -> str:
        """Show the goal and what limited it."""
        return f"Admitted({self.joint_positions}, gripper={self.gripper}, reasons={self.reasons})"


class SafetyEnvelope:
    """Keeps one arm inside its limits, tick after tick.

    Order of precedence, strongest first: finite and fresh input, joint range and linkages with braking distance,
    workspace, TCP speed, joint speed, look-ahead, acceleration. The weaker gives way to the stronger: a command that
    would leave the workspace stops at once even where that brakes harder than `max_acceleration`.
    """

    def __init__(self, robot: RobotDescription, kinematics: Kinematics) -> None:
        """Take the limits from the description.

        Args:
            robot: The arm.
            kinematics: Its chain, for TCP speed and workspace.
        """
        self.robot = robot
        self._kinematics = kinematics
        g = robot.gripper
        low, high = min(g.closed, g.open), max(g.closed, g.open)
        self._rows = tuple(
            zip(
                (*(j.lower for j in robot.joints), low),
                (*(j.upper for j in robot.joints), high),
                (*(j.max_velocity for j in robot.joints), g.max_velocity),
                (*(j.max_acceleration for j in robot.joints), g.max_acceleration),
                robot.limits.look_ahead,
                strict=True,
            )
        )
        self._names = robot.actuator_names
        self._linkages = tuple(
            (link.coefficients, link.lower, link.upper, min(j.max_acceleration for j in robot.joints))
            for link in robot.linkages
        )
        self._positions: Vector = ()
        self._velocities: list[float] = []
        self._stamp = 0.0
        self._age = 0.0

    def reset(self, state: ArmState) -> Admitted:
        """Start from the measured position at rest, so that the first command moves nothing.

        Args:
            state: The present measurement.

        Returns:
            A command to stay where the arm is.

        Raises:
            SafetyError: If the measurement is not finite.
        """
        here = (*state.joint_positions, state.gripper)
        if not all(isfinite(q) for q in here):
            raise SafetyError(f"measured joint positions {here} are not finite; the arm stays untouched")
        self._positions = here
        self._velocities = [0.0] * len(here)
        self._stamp = state.stamp
        self._age = 0.0
        return Admitted(_SEAL, state.stamp, state.joint_positions, state.gripper, ())

    def snapshot(self) -> tuple[Vector, tuple[float, ...], float, float]:
        """Everything that `restore` needs."""
        return self._positions, tuple(self._velocities), self._stamp, self._age

    def restore(self, saved: tuple[Vector, tuple[float, ...], float, float]) -> None:
        """Go back to a snapshot."""
        self._positions, velocities, self._stamp, self._age = saved
        self._velocities = list(velocities)

    def admit(self, target: Sequence[float], state: ArmState, pose: Pose, dt: float) -> Admitted:
        """Return the nearest command that may be followed for the next `dt` seconds.

        Args:
            target: Wanted joint positions with the gripper last, rad.
            state: The newest measurement.
            pose: TCP pose of that measurement.
            dt: Time until the next command, s.

        Raises:
            RefusedError: If the target has the wrong length or is not finite; nothing is admitted.
            SafetyError: If the measurement is not finite or older than `stale_after`.
        """
        self._check(target, state, dt)
        reasons: list[str] = []
        wishes = self._wishes(target, state, dt, reasons)
        count = len(wishes) - 1
        if self._linkages:
            self._keep_linkages(wishes, count, dt, reasons)
        self._slow_tcp(wishes, count, pose, state, dt, reasons)
        positions = self._positions
        moved = tuple([q + v * dt for q, v in zip(positions, wishes, strict=True)])
        self._positions = moved
        self._velocities = wishes
        return Admitted(_SEAL, state.stamp, moved[:count], moved[count], tuple(reasons))

    def _check(self, target: Sequence[float], state: ArmState, dt: float) -> None:
        if len(target) != len(self._rows):
            raise RefusedError(
                f"target has {len(target)} values; {self.robot.name} needs {len(self._rows)}: {', '.join(self._names)}"
            )
        # A sum is finite only if all terms are, save for overflow and inf - inf, which also must not pass.
        if not isfinite(sum(target)):
            bad = [n for n, q in zip(self._names, target, strict=True) if not isfinite(q)]
            raise RefusedError(f"target of {', '.join(bad) or 'the arm'} is not finite; nothing was moved")
        if not isfinite(sum(state.joint_positions) + state.gripper):
            raise SafetyError("measured joint positions are not finite; nothing was moved")
        if state.stamp > self._stamp:
            self._stamp = state.stamp
            self._age = 0.0
        else:
            self._age += dt
            if self._age > self.robot.limits.stale_after:
                raise SafetyError(
                    f"no fresh measurement for {self._age * 1e3:.0f} ms "
                    f"(limit {self.robot.limits.stale_after * 1e3:.0f} ms); the arm must stop"
                )

    def _wishes(self, target: Sequence[float], state: ArmState, dt: float, reasons: list[str]) -> list[float]:
        """Velocities toward the target that keep range, look-ahead, speed and acceleration."""
        wishes: list[float] = []
        ratio = 1.0
        measured = (*state.joint_positions, state.gripper)
        last = len(measured) - 1
        for k, ((lower, upper, v_max, _, ahead), goal, q, m) in enumerate(
            zip(self._rows, target, self._positions, measured, strict=True)
        ):
            if goal > upper:
                goal = upper
                reasons.append("range")
            elif goal < lower:
                goal = lower
                reasons.append("range")
            if goal > m + ahead:
                goal = m + ahead
                if k < last:
                    reasons.append("look_ahead")
            elif goal < m - ahead:
                goal = m - ahead
                if k < last:
                    reasons.append("look_ahead")
            v = (goal - q) / dt
            if k < last:
                size = v if v >= 0.0 else -v
                if size * ratio > v_max:
                    ratio = v_max / size
            elif v > v_max:
                v = v_max
            elif v < -v_max:
                v = -v_max
            wishes.append(v)
        if ratio < 1.0:
            reasons.append("joint_speed")
            for k in range(last):
                wishes[k] *= ratio
        for k, ((lower, upper, v_max, a_max, _), q, before) in enumerate(
            zip(self._rows, self._positions, self._velocities, strict=True)
        ):
            v = wishes[k]
            a = a_max * dt
            if v > before + a:
                v = before + a
                if k < last:
                    reasons.append("acceleration")
            elif v < before - a:
                v = before - a
                if k < last:
                    reasons.append("acceleration")
            room = upper - q
            # Largest speed from which braking at a_max ends before the limit: v dt + v^2 / (2 a) <= room.
            top = sqrt(a * a + 2.0 * a_max * room) - a if room > 0.0 else (0.0 if room > -1e-9 else -0.1 * v_max)
            if v > top:
                v = max(top, -v_max)
                if k < last:
                    reasons.append("braking")
            room = q - lower
            top = sqrt(a * a + 2.0 * a_max * room) - a if room > 0.0 else (0.0 if room > -1e-9 else -0.1 * v_max)
            if v < -top:
                v = min(-top, v_max)
                if k < last:
                    reasons.append("braking")
            wishes[k] = v
        return wishes

    def _keep_linkages(self, wishes: list[float], count: int, dt: float, reasons: list[str]) -> None:
        """Scale the arm's velocities where joints together come near a limit of the rods between them."""
        for coefficients, lower, upper, a_max in self._linkages:
            total = rate = 0.0
            for c, q, v in zip(coefficients, self._positions, wishes, strict=False):
                total += c * q
                rate += c * v
            room = upper - total if rate > 0.0 else total - lower
            a = a_max * dt
            top = sqrt(a * a + 2.0 * a_max * room) - a if room > 0.0 else 0.0
            if abs(rate) > top:
                reasons.append("linkage")
                for k in range(count):
                    wishes[k] *= top / abs(rate)

    def _slow_tcp(
        self, wishes: list[float], count: int, pose: Pose, state: ArmState, dt: float, reasons: list[str]
    ) -> None:
        """Scale the arm's velocities, keeping their direction, for TCP speed and workspace."""
        vx, vy, vz = pose.jacobian_rows[:3]
        x, y, z = pose.position
        dx = dy = dz = brake = 0.0
        for k, (v, jx, jy, jz, q, m) in enumerate(
            zip(wishes[:count], vx, vy, vz, self._positions, state.joint_positions, strict=False)
        ):
            dx += jx * v
            dy += jy * v
            dz += jz * v
            lead = q - m
            x += jx * lead
            y += jy * lead
            z += jz * lead
            stopping = (v if v >= 0.0 else -v) / self._rows[k][3]
            brake = max(brake, stopping)
        limits = self.robot.limits
        speed = sqrt(dx * dx + dy * dy + dz * dz)
        scale = 1.0
        if speed > NEAR_LIMIT * limits.tcp_speed:
            scale = self._exact_scale(wishes, count, min(1.0, limits.tcp_speed / speed), dt)
            if scale < 1.0:
                reasons.append("tcp_speed")
        # Way until standstill: one tick at this speed, then v t / 2 with t the longest joint's braking time.
        reach = dt + 0.5 * brake
        for at, d, low, high in (
            (x, dx, limits.workspace_lower[0], limits.workspace_upper[0]),
            (y, dy, limits.workspace_lower[1], limits.workspace_upper[1]),
            (z, dz, limits.workspace_lower[2], limits.workspace_upper[2]),
        ):
            way = d * scale * reach
            if way > 0.0:
                room = high - at
            elif way < 0.0:
                room, way = at - low, -way
            else:
                continue
            if way > room:
                scale *= (room if room > 0.0 else 0.0) / way
                if "workspace" not in reasons:
                    reasons.append("workspace")
        if scale < 1.0:
            for k in range(count):
                wishes[k] *= scale

    def _exact_scale(self, wishes: list[float], count: int, scale: float, dt: float) -> float:
        """Scale at which the commanded TCP itself, not its linearisation, keeps its speed.

        Counter-turning joints bend the path within a tick, and behind a lag the measured Jacobian is that of another
        place; both matter only near the limit, so only there the forward kinematics is paid for.
        """
        here = self._positions[:count]
        x, y, z = self._kinematics.forward(here).position
        most = self.robot.limits.tcp_speed * dt
        for _ in range(4):
            there = self._kinematics.forward([q + scale * v * dt for q, v in zip(here, wishes, strict=False)])
            p, q, r = there.position
            way = sqrt((p - x) ** 2 + (q - y) ** 2 + (r - z) ** 2)
            if way <= most:
                break
            scale *= 0.999 * most / way
        return scale
