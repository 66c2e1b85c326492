"""The control law inside a joint drive, as one formula that simulation and virtual servos share.

A bus servo is a P-D position loop on PWM duty in front of a DC motor with a gearbox:

    duty   = clamp(kp * err' - kd * w + start * sign(err'), +-limit)        err' = goal - measured, less dead zone
    motor  = stall * duty - (stall / no_load_speed) * w                     w = output speed
    torque = motor - clamp(motor + c * w, +-friction)                       c = stiction rate * armature

Sources: the register meanings of the STS series memory table; stall torque and no-load speed of the STS3215
data sheet at 12 V (2.94 N m, 45 rpm); gain scale err[ticks] * P / 4 per mille, hence 5.215 duty/rad at P = 32
(an independent identification by Rhoban's BAM gives 0.166 duty/rad per unit of P, 2 % from this); friction,
viscous damping and armature from BAM `feetech_sts3215_7_4V/m1.json`.

An industrial drive ("impedance") closes a stiff torque loop with gravity compensation and velocity feed-forward.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, inf, pi

from .state import Vector

# Coulomb friction first cancels the motor's own torque and then what is left of the speed, at this rate in 1/s for
# the rotor's inertia. A joint at rest therefore stays at rest under torques below its friction (stiction), and an
# explicit step of 1/240 s stays stable.
STICTION_RATE = 36.0
LEAST_FRICTION = 1e-3  # N m, so that a frictionless drive leans at a finite torque
CROSSING_TIME = 0.05  # s in which a rotor crosses its gearbox's play


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """Constants of one joint drive; torques at the output shaft.

    Attributes:
        model: Trade name of the drive, for people and for the device's model check.
        kind: "servo" for the PWM law above, "impedance" for a torque-controlled industrial joint, "stepper" for one
            that goes where its controller's steps lead, up to `stall_torque`; its gains mean nothing.
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
        """Torque per rad of position error before saturation, N m/rad; a stepper yields to none until it slips."""
        if self.kind == "stepper":
            return inf
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

    __slots__ = ("_blend", "_rows", "duties", "leans", "measured", "motors")

    def __init__(
        self, drives: Sequence[Drive], *, torque_limits: Sequence[float] | None = None, gear_dt: float | None = None
    ) -> None:
        """Fold each drive's constants once.

        Args:
            drives: One "servo" drive per joint.
            torque_limits: Duty limit of each joint, 0..1, as the servo's torque-limit register sets it; all 1
                if not given.
            gear_dt: Time between calls of `run` in s, with which the encoders' side of each gearbox follows; without
                it encoders read the output.
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
                STICTION_RATE * d.armature,
                0.0 if gear_dt is None else 0.5 * d.backlash,
                1.0 / max(d.friction, LEAST_FRICTION),
            )
            for d, limit in zip(drives, limits, strict=True)
        )
        self._blend = 0.0 if gear_dt is None else 1.0 - exp(-gear_dt / CROSSING_TIME)
        self.leans: list[float] = [0.0] * len(drives)
        self.measured: list[float] = [0.0] * len(drives)
        self.duties: list[float] = [0.0] * len(drives)
        self.motors: list[float] = [0.0] * len(drives)

    def torques(self, goals: Sequence[float], positions: Sequence[float], velocities: Sequence[float]) -> list[float]:
        """Torque of each joint now.

        Args:
            goals: Goal positions, rad.
            positions: Positions as the encoders see them, rad.
            velocities: Output speeds, rad/s.

        Returns:
            Output torques in N m; PWM duties and motor torques are left in `duties` and `motors`.
        """
        return self.run(goals, zip(positions, velocities, strict=True))

    def run(self, goals: Sequence[float], states: Iterable[Sequence[float]]) -> list[float]:
        """The same from joint states whose first two entries are true position and speed, gearboxes included.

        The lean of `Gearbox` is written out here once more: six joints at 240 Hz pay for every call.

        Args:
            goals: Goal positions, rad.
            states: One per joint, as the physics engine returns them.

        Returns:
            Output torques in N m; what the encoders read is left in `measured`.
        """
        blend = self._blend
        out: list[float] = []
        duties: list[float] = []
        motors: list[float] = []
        leans: list[float] = []
        measured: list[float] = []
        for (kp, kd, dead, start, limit, stall, damp, friction, slope, half, scale), goal, state, lean, push in zip(
            self._rows, goals, states, self.leans, self.motors, strict=True
        ):
            position, w = state[0], state[1]
            if half:
                push *= scale
                if push > 1.0:
                    push = 1.0
                elif push < -1.0:
                    push = -1.0
                lean += blend * (push - lean)
                position += half * lean
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
            torque = stall * duty - damp * w
            drag = torque + slope * w
            if drag > friction:
                drag = friction
            elif drag < -friction:
                drag = -friction
            leans.append(lean)
            measured.append(position)
            duties.append(duty)
            motors.append(torque)
            out.append(torque - drag)
        self.leans = leans
        self.measured = measured
        self.duties = duties
        self.motors = motors
        return out

    def lean(self, states: Iterable[Sequence[float]]) -> list[float]:
        """What the encoders read at these states, without letting time pass, rad."""
        return [s[0] + row[9] * lean for row, s, lean in zip(self._rows, states, self.leans, strict=True)]


class Gearbox:
    """Lost motion between the encoder and the output of each joint.

    The teeth lie on the side on which the motor pushes: a joint that holds a weight leans to one side for good,
    an unloaded one stays where its last push left it. The offset follows the motor torque with the time the
    rotor needs to cross the gap.
    """

    __slots__ = ("_blend", "_halves", "_scales", "leans")

    def __init__(self, drives: Sequence[Drive], dt: float) -> None:
        """Take each drive's backlash.

        Args:
            drives: One per joint.
            dt: Time between updates, s.
        """
        self._halves = [0.5 * d.backlash for d in drives]
        self._scales = [1.0 / max(d.friction, LEAST_FRICTION) for d in drives]
        self._blend = 1.0 - exp(-dt / CROSSING_TIME)
        self.leans: list[float] = [0.0] * len(drives)

    @property
    def active(self) -> bool:
        """Whether any joint has lost motion at all."""
        return any(self._halves)

    def encoders(self, positions: Sequence[float], motors: Sequence[float]) -> list[float]:
        """What the encoders read, rad.

        Args:
            positions: True output positions, rad.
            motors: Motor torques of the step before, N m.
        """
        blend = self._blend
        leans, out = [], []
        for q, torque, lean, half, scale in zip(positions, motors, self.leans, self._halves, self._scales, strict=True):
            push = torque * scale
            if push > 1.0:
                push = 1.0
            elif push < -1.0:
                push = -1.0
            lean += blend * (push - lean)
            leans.append(lean)
            out.append(q + half * lean)
        self.leans = leans
        return out


def quantise(positions: Sequence[float], ticks: Sequence[float]) -> Vector:
    """Round positions to whole encoder counts; a tick of 0 leaves the joint exact."""
    return tuple([round(q / t) * t if t else q for q, t in zip(positions, ticks, strict=True)])
