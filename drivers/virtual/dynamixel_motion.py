"""How one virtual Dynamixel servo moves: operating modes, profile, protections, and the registers that tell of them.

Counts: `present = counts - turns at the last fold + offset`, with `counts` the encoder's, negated where drive_mode
reverses. A fold - power-on, torque on in position mode, CLEAR - leaves the position within one turn. The position loop
is the plant's; the speed loop, the integral term and the current limits are closed here, once per step of the plant.
Feed-forward gains and the PWM slope have no effect.
"""

from dataclasses import replace
from math import inf

from ..protocols._dynamixel_faults import OVERHEATING, OVERLOAD, VOLTAGE
from ..protocols._dynamixel_tables import ACCELERATION_UNIT, PWM_UNITS, VELOCITY_UNIT
from ..protocols.dynamixel2 import D_UNIT, P_UNIT
from .dynamixel_memory import DynamixelMemory
from .plant import Command
from .servo import CENTRE, PLACED_TICKS, TICK, TICKS, approach

WATCHDOG_UNIT = 0.02  # s
OVERLOAD_TIME = 2.0  # s at full output without motion until the servo takes it for an overload; an assumption
FULL_OUTPUT = 0.95  # share of the PWM limit that counts as full; an assumption
IN_POSITION = 16  # ticks from the goal that count as there; an assumption
FOLLOWING = 128  # ticks behind the profile that count as a following error; an assumption
JOINT_OFFSET = 1024  # ticks of offset that position mode honours
RAM_END = 120  # first address behind what a host sets and a control tick needs

CURRENT_MODE, VELOCITY_MODE, POSITION_MODE, TURNS_MODE, SOFT_MODE, PWM_MODE = 0, 1, 3, 4, 5, 16
_POSITION_MODES = (POSITION_MODE, TURNS_MODE, SOFT_MODE)
_SHAPES = {"none": 0x00, "rectangle": 0x10, "triangle": 0x20, "trapezoid": 0x30}
_FREE = Command(None)


class _Settings:
    """The registers that a control tick needs, decoded once for many ticks."""

    def __init__(self, servo: DynamixelMemory) -> None:
        """Decode them."""
        get = servo.get
        self.direction = -1 if get("drive_mode") & 1 else 1
        self.mode = get("operating_mode")
        offset = get("position_offset")
        self.offset = 0 if self.mode == POSITION_MODE and abs(offset) > JOINT_OFFSET else offset
        self.goal = float(get("goal_position"))
        self.goal_speed = get("goal_velocity") * VELOCITY_UNIT
        self.pwm_limit = get("pwm_limit") / PWM_UNITS
        self.goal_duty = get("goal_pwm") / PWM_UNITS
        unit = servo.model.current_unit
        self.goal_current = get("goal_current") * unit if unit is not None else 0.0
        self.p, self.i, self.d = (get(f"position_{term}_gain") for term in "pid")
        self.speed_p, self.speed_i = get("velocity_p_gain"), get("velocity_i_gain")
        self.slope = get("profile_acceleration") * ACCELERATION_UNIT
        self.watchdog = get("bus_watchdog")
        self.threshold = get("moving_threshold") * VELOCITY_UNIT
        self.volts = (get("min_voltage"), get("max_voltage"))
        self.hottest = get("max_temperature")
        self.mask = get("shutdown_mask")
        self.loop = Command(
            0.0,
            position_gain=self.p / P_UNIT,
            derivative_gain=self.d / D_UNIT,
            start_duty=0.0,
            dead_zone_ticks=0.0,
        )


class DynamixelMotion(DynamixelMemory):
    """The part of a servo that turns."""

    forced_error = 0  # bits of hardware_error that a fault injection holds up
    _elapsed = _since_heard = 0.0
    _velocity = _duty = _current = 0.0
    _stall, _no_load = 1.0, inf
    _last_raw = CENTRE
    _overload_time = 0.0
    _seen = b""
    _key = (inf, inf)
    _command = _FREE

    @property
    def _now(self) -> _Settings:
        seen = self.memory[8:RAM_END]
        if seen != self._seen:
            self._seen = bytes(seen)
            self._settings = _Settings(self)
            self._key = (inf, inf)
        return self._settings

    def _start_motion(self) -> None:
        """Forget profile and turns, as after power-on; the goal is where the joint is."""
        self._fold()
        self._since_heard = self._overload_time = 0.0

    # ---- counts

    @property
    def present_ticks(self) -> int:
        """Position as register 132 tells it."""
        now = self._now
        return now.direction * self.raw_ticks - self._base + now.offset

    def _fold(self) -> None:
        self._base = self._now.direction * self.raw_ticks // TICKS * TICKS
        self._hold()

    def _hold(self) -> None:
        """Make the present position goal and target."""
        self._target, self._speed = float(self.present_ticks), 0.0
        self._top = self._slope = self._sum = 0.0
        self._shape = "none"
        self._set("goal_position", self.present_ticks)

    def _switch(self, value: int) -> None:
        """Switch the torque; after a shutdown only a reboot does."""
        if value and self.memory[70] & self.memory[63]:
            return
        if value and not self.memory[64]:
            if self.memory[11] == POSITION_MODE:
                self._fold()
            else:
                self._hold()
            self._since_heard = 0.0
        self.memory[64] = value

    # ---- profile

    def _plan(self) -> None:
        """Take the profile registers over for the goal that was just written."""
        speed, slope = self.get("profile_velocity"), self.get("profile_acceleration")
        way = abs(self.get("goal_position") - self._target)
        if self.memory[10] & 4:  # times in ms, of the whole way and of its flanks
            flank = min(slope, speed / 2.0)
            self._top = way / (speed - flank) * 1000.0 if speed else 0.0
            self._slope = self._top / flank * 1000.0 if speed and flank else 0.0
        else:
            self._top = speed * VELOCITY_UNIT / TICK
            self._slope = slope * ACCELERATION_UNIT / TICK if speed else 0.0
        if not self._top:
            self._shape = "none"
        elif not self._slope:
            self._shape = "rectangle"
        else:
            self._shape = "triangle" if self._top**2 / self._slope > way else "trapezoid"

    def heard(self) -> None:
        """Note that the host lives; every instruction packet on the wire says so."""
        self._since_heard = 0.0

    # ---- the control tick

    def command(self, dt: float) -> Command:
        """Advance the profile by `dt` s and say what the motor shall do."""
        if not self.memory[64]:
            return _FREE
        now = self._now
        if now.mode in _POSITION_MODES:
            return self._position(now, dt)
        tripped = now.watchdog < 0
        if now.mode == PWM_MODE:
            duty = 0.0 if tripped else now.goal_duty
        elif now.mode == VELOCITY_MODE:
            duty = self._speed_loop(now, 0.0 if tripped else now.goal_speed, dt)
        else:
            duty = (0.0 if tripped else now.goal_current / self._stall_current) + self._velocity / self._no_load
        return Command(None, duty=now.direction * min(max(duty, -now.pwm_limit), now.pwm_limit))

    @property
    def _stall_current(self) -> float:
        return self._stall / self.model.torque_per_ampere

    def _position(self, now: _Settings, dt: float) -> Command:
        if self._top:
            self._target, self._speed = approach(
                self._target, self._speed, now.goal, top=self._top, acceleration=self._slope, dt=dt
            )
        else:
            self._target, self._speed = now.goal, 0.0
        limit = min(abs(now.goal_duty), now.pwm_limit)
        if now.mode == SOFT_MODE:
            limit = min(limit, abs(now.goal_current) / self._stall_current + abs(self._velocity) / self._no_load)
        counts = self._target - now.offset + self._base
        if now.i and now.p and limit:
            counts += self._integral(now, limit, dt)
        key = (counts, limit)
        if key != self._key:
            self._key = key
            goal = (now.direction * counts - CENTRE) * TICK
            self._command = replace(now.loop, goal=goal, torque_limit=limit)
        return self._command

    def _integral(self, now: _Settings, limit: float, dt: float) -> float:
        """Ticks by which the integral term moves the goal; it never asks for more than the whole output."""
        most = limit * 65536.0 * PWM_UNITS / now.i
        self._sum = min(max(self._sum + (self._target - self.present_ticks) * dt * 1000.0, -most), most)
        return self._sum * now.i / 65536.0 / (now.p / 128.0)

    def _speed_loop(self, now: _Settings, goal: float, dt: float) -> float:
        """Duty of the speed loop at a goal in rad/s; profile_acceleration is its slope."""
        slope = now.slope * dt
        last = self._speed * TICK
        speed = goal if not slope else last + min(max(goal - last, -slope), slope)
        self._speed = speed / TICK
        error = (speed - self._velocity) / VELOCITY_UNIT
        most = 65536.0 * PWM_UNITS / now.speed_i if now.speed_i else 0.0
        self._sum = min(max(self._sum + error * dt * 1000.0, -most), most)
        return (error * now.speed_p / 128.0 + self._sum * now.speed_i / 65536.0) / PWM_UNITS

    def sense(self, position: float, velocity: float, duty: float, stall: float, no_load: float, dt: float) -> None:
        """Take in what the joint did during one step of `dt` s."""
        now = self._now
        self.raw_ticks = round(position / TICK) + CENTRE
        if not self.memory[64]:
            self._target, self._speed = float(self.present_ticks), 0.0
        elif dt and abs(self.raw_ticks - self._last_raw) > PLACED_TICKS:
            self._hold()  # the world was reset and the joint put elsewhere by hand
        self._last_raw = self.raw_ticks
        self._velocity = now.direction * velocity
        self._duty = now.direction * duty
        self._stall, self._no_load = stall, no_load
        self._current = (self._duty - self._velocity / no_load) * self._stall_current if self.memory[64] else 0.0
        self._elapsed += dt
        self._since_heard += dt
        if self.memory[64] and 0 < now.watchdog * WATCHDOG_UNIT < self._since_heard:
            self.memory[98] = 0xFF
            self._hold()
        self._protect(now, dt)

    def _protect(self, now: _Settings, dt: float) -> None:
        errors = self.forced_error
        if not now.volts[0] <= round(self.voltage * 10.0) <= now.volts[1]:
            errors |= VOLTAGE
        if self.temperature > now.hottest:
            errors |= OVERHEATING
        if abs(self._duty) >= FULL_OUTPUT * now.pwm_limit > 0.0 and abs(self._velocity) <= now.threshold:
            self._overload_time += dt
            if self._overload_time >= OVERLOAD_TIME:
                errors |= OVERLOAD
        else:
            self._overload_time = 0.0
        if errors or self.memory[70]:
            self.memory[70] = self.memory[70] & now.mask | errors
            if self.memory[70] & now.mask:
                self.memory[64] = 0

    def mirror(self) -> None:
        """Renew the present registers."""
        now = self._now
        goal, present = now.goal, self.present_ticks
        runs = self._shape != "none" and abs(goal - self._target) > 0.5
        status = _SHAPES[self._shape] if runs else 0
        if now.mode in _POSITION_MODES:
            status |= 2 * runs | (abs(goal - present) <= IN_POSITION) | 8 * (abs(self._target - present) > FOLLOWING)
        self._set("realtime_tick", int(self._elapsed * 1000.0) % 32768)
        self._set("moving", int(abs(self._velocity) > now.threshold or runs))
        self._set("moving_status", status)
        self._set("present_pwm", round(self._duty * PWM_UNITS))
        if self.model.current_unit is None:
            self._set("present_load", round(self._duty * 1000.0))
        else:
            self._set("present_current", round(self._current / self.model.current_unit))
        self._set("present_velocity", round(self._velocity / VELOCITY_UNIT))
        self._set("present_position", present)
        sign = -1 if now.mode in _POSITION_MODES and goal < self._target else 1
        self._set("velocity_trajectory", round(sign * self._speed * TICK / VELOCITY_UNIT))
        self._set("position_trajectory", round(self._target))
        self._set("present_voltage", round(self.voltage * 10.0))
        self._set("present_temperature", round(self.temperature))
