"""How one virtual Dynamixel servo moves: operating modes, profile, protections, and the registers that tell of them.

Counts: `present = counts - turns at the last fold + offset`, with `counts` the encoder's, negated where drive_mode
reverses. A fold - power-on, torque on in position mode, CLEAR - leaves the position within one turn. The position loop
is the plant's; the speed loop, the integral term and the current limits are closed here, once per step of the plant.
Feed-forward gains and the PWM slope have no effect.
"""

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

CURRENT_MODE, VELOCITY_MODE, POSITION_MODE, TURNS_MODE, SOFT_MODE, PWM_MODE = 0, 1, 3, 4, 5, 16
_POSITION_MODES = (POSITION_MODE, TURNS_MODE, SOFT_MODE)
_SHAPES = {"none": 0x00, "rectangle": 0x10, "triangle": 0x20, "trapezoid": 0x30}
_FREE = Command(None)


class DynamixelMotion(DynamixelMemory):
    """The part of a servo that turns."""

    forced_error = 0  # bits of hardware_error that a fault injection holds up
    _elapsed = _since_heard = 0.0
    _velocity = _duty = _current = 0.0
    _stall, _no_load = 1.0, inf
    _last_raw = CENTRE
    _overload_time = 0.0

    def _start_motion(self) -> None:
        """Forget profile and turns, as after power-on; the goal is where the joint is."""
        self._fold()
        self._since_heard = self._overload_time = 0.0

    # ---- counts

    @property
    def _direction(self) -> int:
        return -1 if self.memory[10] & 1 else 1

    @property
    def _offset(self) -> int:
        offset = self.get("position_offset")
        return 0 if self.memory[11] == POSITION_MODE and abs(offset) > JOINT_OFFSET else offset

    @property
    def present_ticks(self) -> int:
        """Position as register 132 tells it."""
        return self._direction * self.raw_ticks - self._base + self._offset

    def _fold(self) -> None:
        self._base = self._direction * self.raw_ticks // TICKS * TICKS
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
            self._target, self._speed = float(self.present_ticks), 0.0
            return _FREE
        mode = self.memory[11]
        tripped = self.memory[98] == 0xFF
        if mode in _POSITION_MODES:
            return self._position(mode, dt)
        limit = self.get("pwm_limit") / PWM_UNITS
        if mode == PWM_MODE:
            duty = 0.0 if tripped else self.get("goal_pwm") / PWM_UNITS
        elif mode == VELOCITY_MODE:
            duty = self._speed_loop(0.0 if tripped else self.get("goal_velocity") * VELOCITY_UNIT, dt)
        else:
            share = (
                0.0 if tripped else self.get("goal_current") * (self.model.current_unit or 0.0) / self._stall_current
            )
            duty = share + self._velocity / self._no_load
        return Command(None, duty=self._direction * min(max(duty, -limit), limit))

    @property
    def _stall_current(self) -> float:
        return self._stall / self.model.torque_per_ampere

    def _position(self, mode: int, dt: float) -> Command:
        goal = float(self.get("goal_position"))
        if self._top:
            self._target, self._speed = approach(
                self._target, self._speed, goal, top=self._top, acceleration=self._slope, dt=dt
            )
        else:
            self._target, self._speed = goal, 0.0
        limit = min(abs(self.get("goal_pwm")), self.get("pwm_limit")) / PWM_UNITS
        if mode == SOFT_MODE:
            share = abs(self.get("goal_current")) * (self.model.current_unit or 0.0) / self._stall_current
            limit = min(limit, share + abs(self._velocity) / self._no_load)
        p, i = self.get("position_p_gain"), self.get("position_i_gain")
        shift = self._integral(p, i, limit, dt)
        counts = self._target + shift - self._offset + self._base
        return Command(
            goal=(self._direction * counts - CENTRE) * TICK,
            torque_limit=limit,
            position_gain=p / P_UNIT,
            derivative_gain=self.get("position_d_gain") / D_UNIT,
            start_duty=0.0,
            dead_zone_ticks=0.0,
        )

    def _integral(self, p: int, i: int, limit: float, dt: float) -> float:
        """Ticks by which the integral term moves the goal; it never asks for more than the whole output."""
        if not i or not p:
            self._sum = 0.0
            return 0.0
        per_tick = i / 65536.0 / PWM_UNITS  # duty per tick of error and ms
        most = limit / per_tick
        self._sum = min(max(self._sum + (self._target - self.present_ticks) * dt * 1000.0, -most), most)
        return self._sum * i / 65536.0 / (p / 128.0)

    def _speed_loop(self, goal: float, dt: float) -> float:
        """Duty of the speed loop at a goal in rad/s; profile_acceleration is its slope."""
        slope = self.get("profile_acceleration") * ACCELERATION_UNIT * dt
        last = self._speed * TICK
        speed = goal if not slope else last + min(max(goal - last, -slope), slope)
        self._speed = speed / TICK
        error = (speed - self._velocity) / VELOCITY_UNIT
        i = self.get("velocity_i_gain") / 65536.0 / PWM_UNITS
        most = 1.0 / i if i else 0.0
        self._sum = min(max(self._sum + error * dt * 1000.0, -most), most)
        return error * self.get("velocity_p_gain") / 128.0 / PWM_UNITS + self._sum * i

    def sense(self, position: float, velocity: float, duty: float, stall: float, no_load: float, dt: float) -> None:
        """Take in what the joint did during one step of `dt` s."""
        self.raw_ticks = round(position / TICK) + CENTRE
        if dt and abs(self.raw_ticks - self._last_raw) > PLACED_TICKS:
            self._hold()  # the world was reset and the joint put elsewhere by hand
        self._last_raw = self.raw_ticks
        self._velocity = self._direction * velocity
        self._duty = self._direction * duty
        self._stall, self._no_load = stall, no_load
        share = self._duty - self._velocity / no_load
        self._current = share * self._stall_current if self.memory[64] else 0.0
        self._elapsed += dt
        self._since_heard += dt
        watchdog = self.memory[98]
        if self.memory[64] and watchdog not in (0, 0xFF) and self._since_heard > watchdog * WATCHDOG_UNIT:
            self.memory[98] = 0xFF
            self._hold()
        self._protect(dt)

    def _protect(self, dt: float) -> None:
        errors = self.forced_error
        if not self.get("min_voltage") <= round(self.voltage * 10.0) <= self.get("max_voltage"):
            errors |= VOLTAGE
        if self.temperature > self.memory[31]:
            errors |= OVERHEATING
        full = FULL_OUTPUT * self.get("pwm_limit") / PWM_UNITS
        if abs(self._duty) >= full > 0.0 and not self._moves:
            self._overload_time += dt
            if self._overload_time >= OVERLOAD_TIME:
                errors |= OVERLOAD
        else:
            self._overload_time = 0.0
        latched = self.memory[70] & self.memory[63]
        self.memory[70] = latched | errors
        if self.memory[70] & self.memory[63]:
            self.memory[64] = 0

    @property
    def _moves(self) -> bool:
        return abs(self._velocity) / VELOCITY_UNIT > self.get("moving_threshold")

    def mirror(self) -> None:
        """Renew the present registers."""
        goal, present = self.get("goal_position"), self.present_ticks
        runs = self._shape != "none" and abs(goal - self._target) > 0.5
        status = _SHAPES[self._shape] if runs else 0
        if self.memory[11] in _POSITION_MODES:
            status |= 2 * runs | (abs(goal - present) <= IN_POSITION) | 8 * (abs(self._target - present) > FOLLOWING)
        self._set("realtime_tick", int(self._elapsed * 1000.0) % 32768)
        self._set("moving", int(self._moves or runs))
        self._set("moving_status", status)
        self._set("present_pwm", round(self._duty * PWM_UNITS))
        if self.model.current_unit is None:
            self._set("present_load", round(self._duty * 1000.0))
        else:
            self._set("present_current", round(self._current / self.model.current_unit))
        self._set("present_velocity", round(self._velocity / VELOCITY_UNIT))
        self._set("present_position", present)
        sign = -1 if self.memory[11] in _POSITION_MODES and goal < self._target else 1
        self._set("velocity_trajectory", round(sign * self._speed * TICK / VELOCITY_UNIT))
        self._set("position_trajectory", round(self._target))
        self._set("present_voltage", round(self.voltage * 10.0))
        self._set("present_temperature", round(self.temperature))
