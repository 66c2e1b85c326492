"""The arm on the bench: the same `Arm` as in simulation, on a bus of servos.

    CONNECTED --arm()--> ARMED --write()...--> ARMED --stop() or a fault--> STOPPED (holds; torque stays on)

A servo obeys its last goal for ever, so safety lies in what the last goal may be: it is never farther from the
measured position than the arm's `look_ahead`, the first goal is the measured position, read back before torque, and
every stop is a hold at the measured position that is confirmed by reading back. Torque goes off only by `release`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ..robots.description import RobotDescription
from ..robots.envelope import Admitted
from ..robots.errors import BusError, RefusedError, SafetyError
from ..robots.state import ArmState, Vector
from .bus import ActuatorBus, Fault
from .calibration import TWO_PI, Calibration, nominal_calibration
from .framing import Telemetry
from .pace import Pacer
from .ports import open_port, usb_serial
from .protocols import load_protocol

log = logging.getLogger(__name__)

HOLD_AFTER = 2  # cycles a joint may be silent before the arm holds
STOP_AFTER = 5  # cycles a joint may be silent before the arm stops
STOP_AFTER_S = 0.1  # the same in s, whichever comes first
SUPPLY = (4.0, 14.0)  # V that this family of servos survives
HOT = 65  # degrees Celsius at which the arm stops, below the servo's own 70
VELOCITY_WINDOW = 0.03  # s over which positions are differentiated
STILL_TICKS = 2  # change between two samples that counts as standing
STILL_SAMPLES = 3
STILL_GAP = 0.02  # s between samples of a stop
STOP_PATIENCE = 1.0  # s after which a stop is reported as not confirmed
JUMP_SPEED = 1.5  # times no-load speed, above which a changed position is a corrupt reply


@dataclass(frozen=True, slots=True, kw_only=True)
class StopReport:
    """How a stop ended.

    Attributes:
        confirmed: Whether every joint was read back standing still with its goal where it stands.
        positions: Where the joints and the gripper stand, rad, as far as they answered.
        text: One line for people.
    """

    confirmed: bool
    positions: Vector
    text: str


class BenchArm:
    """An `Arm` made of bus servos."""

    def __init__(self, robot: RobotDescription, bus: ActuatorBus, calibration: Calibration) -> None:
        """Join an arm, its bus and the calibration of this unit; nothing is sent yet.

        Args:
            robot: The arm's description.
            bus: The bus its servos are on.
            calibration: Calibration of this unit.

        Raises:
            RefusedError: If the calibration is not this arm's.
        """
        calibration.check(robot)
        self._robot = robot
        self.bus = bus
        self.calibration = calibration
        self.pacer = Pacer(bus.port.clock)
        self.state = "closed"
        self.holds = 0
        self.clamps = 0
        self._ids = robot.actuator_ids
        self._names = robot.actuator_names
        self._rows = calibration.actuators
        self._look_ahead = [
            max(int(a.ticks_per_turn * reach / TWO_PI), 1)
            for a, reach in zip(self._rows, robot.limits.look_ahead, strict=True)
        ]
        self._stall = [d.stall_torque for d in robot.actuator_drives]
        self._jump = [
            JUMP_SPEED * d.no_load_speed * a.ticks_per_turn / TWO_PI
            for d, a in zip(robot.actuator_drives, self._rows, strict=True)
        ]
        self._forget()

    @classmethod
    def open(cls, robot: RobotDescription, url: str, calibration: Calibration | None = None) -> Self:
        """Open the port of an arm and join them; `connect` comes next.

        Args:
            robot: The arm's description.
            url: As for `open_port`.
            calibration: Calibration of this unit; the nominal one if not given.

        Raises:
            RefusedError: If the arm has no bus.
            BusError: If the port cannot be opened.
        """
        if robot.bus is None:
            raise RefusedError(f"robot {robot.name!r} has no servo bus that genba drives")
        chosen = calibration or nominal_calibration(robot, usb_serial(url) or "nominal")
        framing = load_protocol(robot.bus.protocol)
        return cls(robot, ActuatorBus(open_port(url, robot.bus.baud_rate), framing), chosen)

    def __enter__(self) -> Self:
        """Connect, or give the port back."""
        try:
            self.connect()
        except BaseException:
            self.bus.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, holding, and give the port back."""
        self.close()

    @property
    def robot(self) -> RobotDescription:
        """The description this arm was made from."""
        return self._robot

    # ---- life

    def connect(self) -> None:
        """Find every servo, and refuse to go on with one that is not as it must be; nothing moves.

        Raises:
            BusError: If a servo is missing, of another model, wrongly powered or in fault; the text names the joint.
            RefusedError: If the calibration was made with another EEPROM offset.
        """
        bus = self._robot.bus
        missing = [
            f"{name} (id {i})"
            for i, name in zip(self._ids, self._names, strict=True)
            if isinstance(self.bus.ping(i), Fault)
        ]
        if missing:
            raise BusError(
                f"{self.bus.port.name}: no answer from {', '.join(missing)}: "
                "check power, ids, and the cable before the first silent one in the chain"
            )
        for row, name in zip(self._rows, self._names, strict=True):
            where = f"{name} (id {row.actuator_id})"
            model = self.bus.read(row.actuator_id, "model_number")
            if bus is not None and model != bus.model_number:
                raise BusError(
                    f"{where} answers as model {model}, expected {bus.model_number}: fit the right servo"
                )
            offset = self.bus.read(row.actuator_id, "position_offset")
            if offset != row.offset_ticks:
                raise RefusedError(
                    f"{where}: its EEPROM offset is {offset}, but {row.offset_ticks} when it was calibrated: "
                    "calibrate again"
                )
        self._forget()
        for i, result in self.bus.telemetry(self._ids).items():
            self._judge(i, result)
        self.state = "connected"
        self._take()

    def _judge(self, actuator_id: int, result: Telemetry | Fault) -> None:
        name = self._names[self._ids.index(actuator_id)]
        where = f"{name} (id {actuator_id})"
        if isinstance(result, Fault):
            raise BusError(f"{name}: {result.text}")
        if result.status:
            raise BusError(
                f"{where}: {'; '.join(self.bus.framing.faults(result.status)) or f'status {result.status}'}"
            )
        if result.temperature >= HOT:
            raise BusError(
                f"{where} is at {result.temperature} degC, limit {HOT}: release the arm and let it cool down"
            )
        if not 4.0 <= result.voltage <= 14.0:
            raise BusError(
                f"{where}: supply is {result.voltage:.1f} V, outside 4..14 V: check the power supply"
            )

    def arm(self) -> None:
        """Set gains, make each goal the present position, read it back, and only then switch torque on.

        It may be called again at any time: it then makes the arm hold where it is, as before a new episode.

        Raises:
            BusError: If a servo does not hold what was written; torque of the servos after it stays off.
        """
        if self.state == "closed":
            self.connect()
        bus = self.bus
        for row, drive in zip(self._rows, self._robot.actuator_drives, strict=True):
            for register, value in bus.framing.settings(drive).items():
                if bus.read(row.actuator_id, register) != value:
                    bus.write(row.actuator_id, register, value)
        for row in self._rows:
            i = row.actuator_id
            present = bus.read(i, "present_position")
            bus.write(i, "goal_position", present)
            again = bus.read(i, "present_position")
            if abs(again - present) > 2 * STILL_TICKS:
                raise SafetyError(
                    f"{row.joint} (id {i}) moves while it is to be armed: hold it still, then arm again"
                )
            bus.write(i, "torque_switch", 1)
        self._forget()
        self.state = "armed"
        self._take()
        self._goals = list(self._ticks)
        self.pacer.rebase()

    def hold(self) -> None:
        """Make the measured position the goal, now; for a cycle in which nothing better is known."""
        self.holds += 1
        self._send(list(self._ticks))

    def stop(self) -> StopReport:
        """Hold where the arm is and confirm by reading back; torque stays on. Never raises for a silent bus."""
        before = self.state
        if before != "closed":
            self.state = "stopped"
        try:
            return self._stop()
        except BusError as error:
            log.warning("stop not confirmed: %s", error)
            return StopReport(
                confirmed=False, positions=self._positions(), text=f"STOP NOT CONFIRMED: {error}"
            )

    def _stop(self) -> StopReport:
        clock = self.bus.port.clock
        give_up = clock.now() + STOP_PATIENCE
        still = 0
        last: list[int] | None = None
        problem = "no sample"
        self._refresh()
        self._send(list(self._ticks))
        while clock.now() < give_up:
            clock.sleep_until(clock.now() + STILL_GAP)
            silent = self._refresh()
            if silent:
                problem, still, last = f"{', '.join(silent)} silent", 0, None
                continue
            ticks = list(self._ticks)
            moving = [
                name
                for name, a, b in zip(self._names, ticks, last or ticks, strict=True)
                if last is None or abs(a - b) > STILL_TICKS
            ]
            if moving:
                problem = f"{', '.join(moving)} still moving"
            still = 0 if moving else still + 1
            last = ticks
            if still >= STILL_SAMPLES:
                held = self.bus.sync_read("goal_position", self._ids)
                wrong = [
                    n for n, i, g in zip(self._names, self._ids, self._goals, strict=True) if held[i] != g
                ]
                if not wrong:
                    return StopReport(confirmed=True, positions=self._positions(), text="stopped, holding")
                problem, still = f"goal of {', '.join(wrong)} not taken", 0
                self._send(list(self._ticks))
        return StopReport(confirmed=False, positions=self._positions(), text=f"STOP NOT CONFIRMED: {problem}")

    def release(self) -> None:
        """Switch torque off, of as many servos as answer; the arm sinks unless it is parked or held.

        Raises:
            BusError: Naming every servo whose torque is not read back as off.
        """
        self.bus.sync_write("torque_switch", dict.fromkeys(self._ids, 0))
        failed = []
        for i, name in zip(self._ids, self._names, strict=True):
            try:
                self.bus.write(i, "torque_switch", 0)
            except BusError:
                failed.append(f"{name} (id {i})")
        if self.state != "closed":
            self.state = "connected"
        if failed:
            raise BusError(f"torque off NOT CONFIRMED for {', '.join(failed)}: cut the power")

    def close(self) -> StopReport | None:
        """Stop if armed, then give the port back; torque stays as it is."""
        report = self.stop() if self.state == "armed" else None
        self.state = "closed"
        self.bus.close()
        return report

    # ---- the tick

    def read(self) -> ArmState:
        """Return the newest measurement; its stamp is that of the joint heard longest ago.

        Raises:
            BusError: If a joint stays silent or reports a fault; the arm has been stopped.
        """
        if self.state == "closed":
            raise RefusedError("the arm is not connected; call connect() first")
        return self._take()

    def write(self, admitted: Admitted) -> None:
        """Send an admitted command, bounded to the calibrated range and to the look-ahead.

        Args:
            admitted: From the safety envelope.

        Raises:
            TypeError: If it is anything else.
            SafetyError: If the arm is not armed.
        """
        if not isinstance(admitted, Admitted):
            raise TypeError(
                f"BenchArm.write takes an Admitted from the safety envelope, not {type(admitted).__name__}"
            )
        if self.state != "armed":
            raise SafetyError(f"the arm is {self.state}, not armed: find the cause, then arm() again")
        if max(self._misses) >= HOLD_AFTER:
            self.hold()
            return
        goals = [
            row.to_ticks(position)
            for row, position in zip(self._rows, (*admitted.joint_positions, admitted.gripper), strict=True)
        ]
        self._send(goals)

    def advance(self, dt: float) -> None:
        """Wait for the next deadline of a loop whose period is `dt` s."""
        self.pacer.wait(dt)

    # ---- inside

    def _forget(self) -> None:
        count = len(self._ids)
        self._ticks: Sequence[int] = [0] * count
        self._goals = [0] * count
        self._stamps = [float("-inf")] * count
        self._misses = [0] * count
        self._efforts = [0.0] * count
        self._velocities = [0.0] * count
        self._history: list[tuple[float, Sequence[int]]] = []
        self.telemetry: dict[int, Telemetry] = {}

    def _send(self, goals: list[int]) -> None:
        rows = zip(goals, self._ticks, self._look_ahead, self._rows, strict=True)
        bounded = []
        for goal, ticks, reach, row in rows:
            near = min(max(goal, ticks - reach), ticks + reach)
            if row.lower_ticks <= ticks <= row.upper_ticks:
                near = min(max(near, row.lower_ticks), row.upper_ticks)
            bounded.append(near)
        self.clamps += bounded != goals
        self.bus.sync_write("goal_position", dict(zip(self._ids, bounded, strict=True)))
        self._goals = bounded

    def _refresh(self) -> list[str]:
        """Read all servos, those that are silent once more; return the names of the joints still silent."""
        clock = self.bus.port.clock
        results = self.bus.telemetry(self._ids)
        stamp = clock.now()
        silent = [i for i, r in results.items() if isinstance(r, Fault)]
        if silent and len(silent) < len(self._ids):
            self.bus.statistics.retries += 1
            results |= self.bus.telemetry(silent)
            stamp = clock.now()
        ticks = list(self._ticks)
        names = []
        for k, i in enumerate(self._ids):
            result = results[i]
            since = stamp - self._stamps[k]
            if isinstance(result, Fault) or abs(result.position_ticks - ticks[k]) > self._jump[k] * since + 4:
                self._misses[k] += 1
                names.append(self._names[k])
                continue
            self._misses[k] = 0
            self._stamps[k] = stamp
            ticks[k] = result.position_ticks
            self._efforts[k] = self._rows[k].sign * result.load * self._stall[k]
            self.telemetry[i] = result
        self._ticks = ticks
        return names

    def _take(self) -> ArmState:
        silent = self._refresh()
        now = self.bus.port.clock.now()
        if silent:
            self._mind(now)
        else:
            for i, result in self.telemetry.items():
                if result.status or result.temperature >= HOT:
                    self._fail(i, result)
        self._differentiate()
        positions = self._positions()
        return ArmState(
            stamp=min(self._stamps),
            joint_positions=positions[:-1],
            joint_velocities=tuple(self._velocities[:-1]),
            joint_efforts=tuple(self._efforts[:-1]),
            gripper=positions[-1],
        )

    def _fail(self, actuator_id: int, result: Telemetry) -> None:
        try:
            self._judge(actuator_id, result)
        except BusError as error:
            raise BusError(f"{error} ({self._halt()})") from error

    def _halt(self) -> str:
        return self.stop().text if self.state == "armed" else "arm not armed"

    def _mind(self, now: float) -> None:
        for k, misses in enumerate(self._misses):
            age = now - self._stamps[k]
            if misses >= STOP_AFTER or (misses and age >= STOP_AFTER_S):
                text = (
                    f"{self._names[k]} (id {self._ids[k]}) has been silent for {misses} cycles: "
                    "check its cable and power"
                )
                raise BusError(f"{text} ({self._halt()})")
        if max(self._misses) >= HOLD_AFTER and self.state == "armed":
            self.hold()

    def _positions(self) -> Vector:
        return tuple(row.to_position(t) for row, t in zip(self._rows, self._ticks, strict=True))

    def _differentiate(self) -> None:
        """Take velocities from positions: finer than the servo's own speed, which knows only steps of 50 ticks/s."""
        stamp = max(self._stamps)
        history = self._history
        if history and stamp <= history[-1][0]:
            return
        history.append((stamp, self._ticks))
        while len(history) > 2 and stamp - history[1][0] >= VELOCITY_WINDOW:
            history.pop(0)
        then, before = history[0]
        if stamp > then:
            self._velocities = [
                row.sign * (a - b) * TWO_PI / row.ticks_per_turn / (stamp - then)
                for row, a, b in zip(self._rows, self._ticks, before, strict=True)
            ]
