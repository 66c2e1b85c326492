"""Watch an arm without driving it: what every servo measures, row after row, silent ones included.

    every period: one telemetry read of all servos -> a `Sample` with a `Reading` (or silence) per joint

Nothing is written, so it may run beside an arm that is held, parked or moved by hand; a fault is shown, not refused.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import isnan

from ..robots.description import RobotDescription
from ..robots.errors import BusError, LinkLostError
from .bus import ActuatorBus, Fault
from .calibration import Calibration
from .pace import Pacer

WINDOW = 0.1  # s over which positions are differentiated: a servo's own speed register is coarse


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one servo said.

    Attributes:
        position: Joint position, rad.
        velocity: Joint velocity, rad/s.
        load: Bridge duty in the joint's direction, -1..1; this and the next three are None where nothing measures them.
        voltage: Supply, V.
        temperature: Case, degrees Celsius.
        current: Motor current, A.
        faults: What it complains of, each with its cure.
    """

    position: float
    velocity: float
    load: float | None
    voltage: float | None
    temperature: int | None
    current: float | None
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at all servos.

    Attributes:
        time: Since the first sample, s.
        joints: Reading by joint name, gripper last; None where the servo stayed silent.
    """

    time: float
    joints: dict[str, Reading | None]

    def to_json(self) -> dict[str, object]:
        """Plain values by name."""
        return asdict(self)


class Monitor:
    """Takes samples of one arm."""

    def __init__(self, robot: RobotDescription, bus: ActuatorBus, calibration: Calibration) -> None:
        """Take a bus; nothing is sent yet.

        Args:
            robot: The arm.
            bus: Its bus.
            calibration: Of this unit.
        """
        self._bus = bus
        self._ids = robot.actuator_ids
        self._names = robot.actuator_names
        self._rows = calibration.actuators
        self._history: list[list[tuple[float, float]]] = [[] for _ in self._ids]
        self._known: dict[tuple[int, int], tuple[str, ...]] = {}
        self._began: float | None = None

    def samples(self, rate_hz: float, seconds: float | None = None) -> Iterator[Sample]:
        """Take samples at a rate until time is up, or for ever.

        Args:
            rate_hz: Samples per second.
            seconds: How long; without end if not given.

        Raises:
            LinkLostError: If the port goes.
        """
        pacer = Pacer(self._bus.port.clock)
        while True:
            sample = self.take()
            if seconds is not None and sample.time > seconds:
                return
            yield sample
            pacer.wait(1.0 / rate_hz)

    def take(self) -> Sample:
        """Look at all servos once."""
        results = self._bus.telemetry(self._ids)
        now = self._bus.port.clock.now()
        if self._began is None:
            self._began = now
        joints: dict[str, Reading | None] = {}
        for k, (name, row, result) in enumerate(zip(self._names, self._rows, results.values(), strict=True)):
            if isinstance(result, Fault):
                joints[name] = None
                continue
            position = row.to_position(result.position_ticks)
            joints[name] = Reading(
                position=position,
                velocity=self._velocity(k, now, position),
                load=row.sign * result.load + 0.0,  # no minus before a zero
                voltage=round(result.voltage, 2),
                temperature=result.temperature,
                current=None if isnan(result.current) else result.current,
                faults=self._faults(row.actuator_id, result.status),
            )
        return Sample(time=now - self._began, joints=joints)

    def _velocity(self, k: int, now: float, position: float) -> float:
        history = self._history[k]
        history.append((now, position))
        while len(history) > 2 and now - history[1][0] >= WINDOW:
            history.pop(0)
        then, before = history[0]
        return (position - before) / (now - then) if now > then else 0.0

    def _faults(self, actuator_id: int, status: int) -> tuple[str, ...]:
        if not status:
            return ()
        key = (actuator_id, status)
        if key not in self._known:
            try:
                self._known[key] = self._bus.diagnose(actuator_id, status)
            except LinkLostError:
                raise
            except BusError:
                return (f"status {status}",)  # it is asked again at its next sample
        return self._known[key] or (f"status {status}",)


def table(sample: Sample) -> str:
    """One sample as aligned columns, for people.

    Args:
        sample: What was measured.
    """
    heads = f"{'joint':<14} {'rad':>7} {'rad/s':>7} {'load':>5} {'V':>5} {'degC':>4} {'A':>6}"
    lines = [f"{heads}  state after {sample.time:.1f} s"]
    for name, reading in sample.joints.items():
        if reading is None:
            lines.append(f"{name:<14} silent: check its cable, and the power")
            continue
        load = _cell(reading.load, ".0%")
        volts, heat, current = _cell(reading.voltage, ".1f"), _cell(reading.temperature), _cell(reading.current, ".3f")
        lines.append(
            f"{name:<14} {reading.position:>7.3f} {reading.velocity:>7.2f} {load:>5} "
            f"{volts:>5} {heat:>4} {current:>6}  {'; '.join(reading.faults) or 'ok'}"
        )
    return "\n".join(lines)


def _cell(value: float | None, form: str = "") -> str:
    return "-" if value is None else format(value, form)
