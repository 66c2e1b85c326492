"""The control law inside a joint drive, as one formula that simulation and virtual servos share.

A bus servo is a P-D position loop on PWM duty in front of a DC motor with a gearbox:

    duty   = clamp(kp * err' - kd * w + start * sign(err'), +-limit)        err' = goal - measured, less dead zone
    torque = stall * duty - (stall / no_load_speed) * w - friction(w)       w = output speed

Sources: the register meanings of the STS series memory table; stall torque and no-load speed of the STS3215
data sheet at 12 V (2.94 N m, 45 rpm); gain scale err[ticks] * P / 4 per mille, hence 5.215 duty/rad at P = 32
(an independent identification by Rhoban's BAM gives 0.166 duty/rad per unit of P, 2 % from this); friction,
viscous damping and armature from BAM `feetech_sts3215_7_4V/m1.json`.

An industrial drive ("impedance") closes a stiff torque loop with gravity compensation and velocity feed-forward.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

from .state import Vector

FRICTION_SPEED = 0.05  # rad/s below which Coulomb friction fades, so that an explicit step stays stable


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """Constants of one joint drive; torques at the output shaft.

    Attributes:
        model: Trade name of the drive, for people and for the device's model check.
        kind: "servo" for the PWM law above, "impedance" for a torque-controlled industrial joint.
        stall_torque: Largest torque at standstill, N m (N for a prismatic joint).
        no_load_speed: Speed at full duty without load, rad/s (m/s).
        position_gain: Servo register P (servo), or stiffness in N m/rad (impedance).
        derivative_gain: Servo register D (servo), or damping in N m s/rad (impedance).
        dead_zone_ticks: Error in ticks that the servo ignores.
        start_duty: Duty added in the direction of the error to break friction, 0..1.
        max_duty: Largest duty the bridge reaches, 0..1.
        friction: Coulomb friction, N m.
        viscous: Viscous friction beside the motor's own back-EMF damping, N m s/rad.
        armature: Rotor inertia at the output, kg m2 (kg).
        backlash: Total lost motion of the gearbox, rad (m).
        ticks_per_turn: Encoder counts per turn; 0 for a drive without visible quantisation.
    """

    model: str
    kind: str = "servo"
    stall_torque: float
    no_load_speed: float
    position_gain: float
    derivative_gain: float
    dead_zone_ticks: float = 0.0
    start_duty: float = 0.0
    max_duty: float = 1.0
    friction: float = 0.0
    viscous: float = 0.0
    armature: float = 0.0
    backlash: float = 0.0
    ticks_per_turn: int = 0

    @property
    def tick(self) -> float:
        """Angle of one encoder count in rad, 0.0 where the drive has none."""
        return 2.0 * pi / self.ticks_per_turn if self.ticks_per_turn else 0.0

    @property
    def stiffness(self) -> float:
        """Torque per rad of position error before saturation, N m/rad."""
        if self.kind == "impedance":
            return self.position_gain
        return self.duty_per_rad * self.stall_torque

    @property
    def duty_per_rad(self) -> float:
        """Duty per rad of position error: P / 4 per mille per tick."""
        return self.position_gain / 4.0 * 1e-3 * self.ticks_per_turn / (2.0 * pi)

    @property
    def duty_per_speed(self) -> float:
        """Duty per rad/s from the D term: D / 8 per mille per tick of change over 20 ms."""
        return self.derivative_gain / 8.0 * 1e-3 * 0.02 * self.ticks_per_turn / (2.0 * pi)

    @property
    def damping(self) -> float:
        """Torque per rad/s against motion while the loop is not saturated, N m s/rad."""
        if self.kind == "impedance":
            return self.derivative_gain
        return self.stall_torque * (self.duty_per_speed + 1.0 / self.no_load_speed) + self.viscous


class ServoLaw:
    """The PWM servo law for a row of joints, evaluated once per physics substep.

    It is written over plain floats because six joints at 240 Hz cost less that way than as arrays.
    """

    __slots__ = ("_rows", "duties")

    def __init__(self, drives: Sequence[Drive], *, torque_limits: Sequence[float] | None = None) -> None:
        """Fold each drive's constants once.

        Args:
            drives: One "servo" drive per joint.
            torque_limits: Duty limit of each joint, 0..1, as the servo's torque-limit register sets it; all 1
                if not given.
        """
        limits = torque_limits or [1.0] * len(drives)
        self._rows = tuple(
            (
                d.duty_per_rad,
                d.duty_per_speed,
                d.dead_zone_ticks * d.tick,
                d.start_duty,
                min(d.max_duty, limit),
                d.stall_torque,
                d.stall_torque / d.no_load_speed + d.viscous,
                d.friction,
                d.friction / FRICTION_SPEED,
            )
            for d, limit in zip(drives, limits, strict=True)
        )
        self.duties: list[float] = [0.0] * len(drives)

    def torques(self, goals: Sequence[float], positions: Sequence[float], velocities: Sequence[float]) -> list[float]:
        """Torque of each joint now.

        Args:
            goals: Goal positions, rad.
            positions: Positions as the encoders see them, rad.
            velocities: Output speeds, rad/s.

        Returns:
            Output torques in N m; the PWM duties are left in `duties`.
        """
        out = []
        duties = []
        for (kp, kd, dead, start, limit, stall, damp, friction, slope), goal, position, w in zip(
            self._rows, goals, positions, velocities, strict=True
        ):
            err = goal - position
            if err > dead:
                duty = kp * (err - dead) - kd * w + start
            elif err < -dead:
                duty = kp * (err + dead) - kd * w - start
            else:
                duty = -kd * w
            if duty > limit:
                duty = limit
            elif duty < -limit:
                duty = -limit
            drag = slope * w
            if drag > friction:
                drag = friction
            elif drag < -friction:
                drag = -friction
            duties.append(duty)
            out.append(stall * duty - damp * w - drag)
        self.duties = duties
        return out


def play(measured: Sequence[float], positions: Sequence[float], halves: Sequence[float]) -> list[float]:
    """Move the encoder side of each gearbox only as far as its play lets the output drag it.

    Args:
        measured: Encoder-side positions of the step before, rad.
        positions: True output positions, rad.
        halves: Half the total backlash of each joint, rad.
    """
    return [
        q - h if m < q - h else q + h if m > q + h else m for m, q, h in zip(measured, positions, halves, strict=True)
    ]


def quantise(positions: Sequence[float], ticks: Sequence[float]) -> Vector:
    """Round positions to whole encoder counts; a tick of 0 leaves the joint exact."""
    return tuple(round(q / t) * t if t else q for q, t in zip(positions, ticks, strict=True))
