"""The arm on the bench: the same `Arm` as in simulation, on a bus of servos.

    CONNECTED --arm()--> ARMED --write()...--> ARMED --stop() or a fault--> STOPPED (holds; torque stays on)

A servo obeys its last goal for ever, so safety lies in what the last goal may be: it is never farther from the
measured position than the arm's `look_ahead`, the first goal is the measured position, read back before torque, and
every stop is a hold at the measured position that is confirmed by reading back. Torque goes off only by `release`.
Servos that have a watchdog stop by themselves when this host falls silent while it is armed (`dead_man`).
"""

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from ..robots.description import RobotDescription
from ..robots.envelope import Admitted
from ..robots.errors import BusError, LinkLostError, RefusedError, SafetyError
from ..robots.state import ArmState
from .bus import ActuatorBus, Fault
from .calibration import TWO_PI, Calibration, nominal_calibration, read_offset
from .follow import Following
from .framing import Telemetry
from .pace import Pacer
from .ports import open_port, usb_serial
from .protocols import load_protocol
from .shadows import Shadows, mounting
from .stop import STILL_GAP, STILL_TICKS, Standstill, StopReport
from .watch import JointWatch
from .wired import bus_of, models_of

log = logging.getLogger(__name__)

HOLD_AFTER = 2  # cycles a joint may be silent before the arm holds
STOP_AFTER = 5  # cycles a joint may be silent before the arm stops
STOP_AFTER_S = 0.1  # the same in s, whichever comes first
COOLER = 5  # degrees Celsius below the servo's own factory limit at which the arm stops
STOP_PATIENCE = 1.0  # s after which a stop is reported as not confirmed


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
        bus.know(models_of(robot))
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
        self._hot = {i: bus.table(i)["max_temperature"].default - COOLER for i in robot.servo_names}
        self._shadows = Shadows(robot, bus)
        self._watch = JointWatch(robot, bus, calibration)
        self._goals = [0] * len(self._ids)
        self._rest: list[int] | None = None
        self._written = 0.0
        self._following = Following(robot, calibration, self._look_ahead)

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
        bus = bus_of(robot)
        chosen = calibration or nominal_calibration(robot, usb_serial(url) or "nominal")
        framing = load_protocol(bus.protocol)
        return cls(robot, ActuatorBus(open_port(url, bus.baud_rate), framing), chosen)

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
        servos = self._robot.servo_names
        missing = [f"{name} (id {i})" for i, name in servos.items() if isinstance(self.bus.ping(i), Fault)]
        if missing:
            raise BusError(
                f"{self.bus.port.name}: no answer from {', '.join(missing)}: "
                "check power, ids, and the cable before the first silent one in the chain"
            )
        for row, name in zip(self._rows, self._names, strict=True):
            where = f"{name} (id {row.actuator_id})"
            model = self.bus.read(row.actuator_id, "model_number")
            wanted = self.bus.models[row.actuator_id]
            if model != wanted:
                raise BusError(f"{where} answers as model {model}, expected {wanted}: fit the right servo")
            offset = read_offset(self.bus, row.actuator_id)
            if offset != row.offset_ticks:
                raise RefusedError(
                    f"{where}: its EEPROM offset is {offset}, but {row.offset_ticks} when it was calibrated: "
                    "calibrate again"
                )
        self._shadows.check()
        self._watch.forget()
        for i, result in self.bus.telemetry((*self._ids, *self._shadows.ids)).items():
            self._judge(i, result)
        self.state = "connected"
        self._take()

    def _judge(self, actuator_id: int, result: Telemetry | Fault) -> None:
        name = self._robot.servo_names[actuator_id]
        where = f"{name} (id {actuator_id})"
        if isinstance(result, Fault):
            raise BusError(f"{name}: {result.text}")
        if result.status:
            causes = self.bus.diagnose(actuator_id, result.status)
            raise BusError(f"{where}: {'; '.join(causes) or f'status {result.status}'}")
        hot = self._hot[actuator_id]
        if result.temperature >= hot:
            raise BusError(
                f"{where} is at {result.temperature} degC, limit {hot}: release the arm and let it cool down"
            )
        low, high = (self.bus.table(actuator_id)[f"{end}_voltage"].default / 10.0 for end in ("min", "max"))
        if not low <= result.voltage <= high:
            raise BusError(
                f"{where}: supply is {result.voltage:.1f} V, outside {low:g}..{high:g} V: check the power supply"
            )

    def arm(self) -> None:
        """Set gains, make each goal the present position, read it back, and only then switch torque on.

        Watchdogs come last, and one that has tripped is cleared before goals are written. `arm` may be called again at
        any time: it then makes the arm hold where it is, as before a new episode.

        Raises:
            BusError: If a servo does not hold what was written; torque of the servos after it stays off.
        """
        if self.state == "closed":
            self.connect()
        bus = self.bus
        for row, drive in zip(self._rows, self._robot.actuator_drives, strict=True):
            wanted = bus.framing.settings(drive) | mounting(self._robot, row.actuator_id)
            for register, value in wanted.items():
                if bus.read(row.actuator_id, register) != value:
                    bus.write(row.actuator_id, register, value)
        self._shadows.prepare(dict(zip(self._ids, self._robot.actuator_drives, strict=True)))
        for row in self._rows:
            i = row.actuator_id
            present = bus.read(i, "present_position")
            bus.write(i, "goal_position", present)
            again = bus.read(i, "present_position")
            if abs(again - present) > 2 * STILL_TICKS:
                raise SafetyError(f"{row.joint} (id {i}) moves while it is to be armed: hold it still, then arm again")
            bus.write(i, "torque_switch", 1)
        if limp := self._shadows.limp():
            raise BusError(f"{', '.join(limp)}: takes no torque from its joint's first servo: genba setup")
        bus.dead_man.set(self._ids)
        self._watch.forget()
        self._watch.refresh()
        self._goals, self._rest = list(self._watch.ticks), None
        self._following.forget()
        self.state = "armed"
        self._take()
        self.pacer.rebase()

    def hold(self) -> None:
        """Make the measured position the goal, now; for a cycle in which nothing better is known."""
        self.holds += 1
        self._rest = None
        self._send(list(self._watch.ticks))

    def stop(self) -> StopReport:
        """Hold where the arm is and confirm by reading back; torque stays on. Never raises for a silent bus."""
        before = self.state
        if before != "closed":
            self.state = "stopped"
        self.bus.dead_man.stays = True  # until it is known that the arm stands
        try:
            return self._stop(driven=before in ("armed", "stopped"))
        except BusError as error:
            log.info("stop not confirmed: %s", error)  # the report says so, and whoever asked for the stop tells
            text, lost = f"STOP NOT CONFIRMED: {error}", str(error) if isinstance(error, LinkLostError) else ""
            return StopReport(confirmed=False, positions=self._watch.positions, text=text, lost=lost)

    def _stop(self, *, driven: bool) -> StopReport:
        clock = self.bus.port.clock
        give_up = clock.now() + STOP_PATIENCE
        standstill = Standstill(self._names)
        problem = "no sample"
        self._watch.refresh()
        self._send(list(self._watch.ticks))
        while clock.now() < give_up:
            clock.sleep_until(clock.now() + STILL_GAP)
            silent = self._watch.refresh()
            if silent:
                problem = f"{', '.join(silent)} silent"
                standstill.forget()
                continue
            if moving := standstill.see(list(self._watch.ticks)):
                problem = f"{', '.join(moving)} still moving"
            if standstill.sure:
                held = self.bus.sync_read("goal_position", self._ids)
                wrong = [n for n, i, g in zip(self._names, self._ids, self._goals, strict=True) if held[i] != g]
                limp = self._limp() if driven and not wrong else []
                if limp:
                    problem = f"{', '.join(limp)} without torque"
                    break
                if not wrong:
                    self.bus.dead_man.clear(self._ids)
                    return StopReport(confirmed=True, positions=self._watch.positions, text="stopped, holding")
                problem = f"goal of {', '.join(wrong)} not taken"
                standstill.doubt()
                self._send(list(self._watch.ticks))
        return StopReport(confirmed=False, positions=self._watch.positions, text=f"STOP NOT CONFIRMED: {problem}")

    def _limp(self) -> list[str]:
        """Names of the joints that say their torque is off: after a reboot a servo answers, but holds nothing."""
        switches = self.bus.sync_read("torque_switch", self._ids)
        limp = [name for i, name in zip(self._ids, self._names, strict=True) if switches[i] == 0]
        return limp + self._shadows.limp()

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
        failed += self._shadows.release()
        self.bus.dead_man.clear(self._ids)
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
        try:
            return self._take()
        except LinkLostError:
            self.state = "stopped"  # a port that comes back must not resume the motion
            raise

    @property
    def telemetry(self) -> Mapping[int, Telemetry]:
        """Voltage, temperature, current and the rest of what each servo said last, by id."""
        return self._watch.telemetry

    def write(self, admitted: Admitted) -> None:
        """Send an admitted command, bounded to the calibrated range and to the look-ahead.

        Args:
            admitted: From the safety envelope.

        Raises:
            TypeError: If it is anything else.
            SafetyError: If the arm is not armed.
        """
        if not isinstance(admitted, Admitted):
            raise TypeError(f"BenchArm.write takes an Admitted from the safety envelope, not {type(admitted).__name__}")
        if self.state != "armed":
            raise SafetyError(f"the arm is {self.state}, not armed: find the cause, then arm() again")
        age = self.bus.port.clock.now() - admitted.stamp
        if age > self._robot.limits.stale_after:
            self._watch.refresh()  # this process was held up: what was decided then is not done now
        if age > self._robot.limits.stale_after or max(self._watch.misses) >= HOLD_AFTER:
            self.hold()
            return
        goals = [
            row.to_ticks(position)
            for row, position in zip(self._rows, (*admitted.joint_positions, admitted.gripper), strict=True)
        ]
        half = [(goal + held) // 2 for goal, held in zip(goals, self._goals, strict=True)]
        self._written = self.bus.port.clock.now()
        self._send(half)
        self._rest = goals

    def advance(self, dt: float) -> None:
        """Send the second half of the last step in mid-period, then wait for the deadline of a loop of `dt` s.

        Two small steps shorten the way that is left when this process dies between them, and delay the motion by a
        quarter of a period, about as much as the simulated drives are late.
        """
        rest, self._rest = self._rest, None
        if rest is not None and self.state == "armed":
            clock = self.bus.port.clock
            clock.sleep_until(self._written + 0.5 * dt)
            if clock.now() - self._written < dt:  # later the measurement it is bounded by is too old
                self._send(rest)
        self.pacer.wait(dt)

    # ---- inside

    def _send(self, goals: list[int]) -> None:
        rows = zip(goals, self._watch.ticks, self._look_ahead, self._rows, strict=True)
        bounded = []
        for goal, ticks, reach, row in rows:
            near = min(max(goal, ticks - reach), ticks + reach)
            if row.lower_ticks <= ticks <= row.upper_ticks:
                near = min(max(near, row.lower_ticks), row.upper_ticks)
            bounded.append(near)
        self.clamps += bounded != goals
        told = dict(zip(self._ids, bounded, strict=True))
        self.bus.dead_man.rouse(self._ids, lambda: self.bus.sync_write("goal_position", told))
        self._goals = bounded

    def _take(self) -> ArmState:
        silent = self._watch.refresh()
        now = self.bus.port.clock.now()
        if silent:
            self._mind(now)
        else:
            for i, result in self._watch.telemetry.items():
                if result.status or result.temperature >= self._hot[i]:
                    self._fail(i, result)
        self._mind_shadows()
        if self.state == "armed":
            self._mind_following(now)
        positions = self._watch.positions
        return ArmState(
            stamp=min(self._watch.stamps),
            joint_positions=positions[:-1],
            joint_velocities=tuple(self._watch.velocities[:-1]),
            joint_efforts=tuple(self._watch.efforts[:-1]),
            gripper=positions[-1],
        )

    def _fail(self, actuator_id: int, result: Telemetry) -> None:
        try:
            self._judge(actuator_id, result)
        except BusError as error:
            raise BusError(f"{error} ({self._halt()})") from error

    def _mind_shadows(self) -> None:
        """Stop when a second motor of a joint is silent, limp or in fault."""
        try:
            heard = self._shadows.look(armed=self.state == "armed")
        except LinkLostError:
            raise
        except BusError as error:
            raise BusError(f"{error} ({self._halt()})") from error
        if heard is not None and (heard[1].status or heard[1].temperature >= self._hot[heard[0]]):
            self._fail(*heard)

    def _mind_following(self, now: float) -> None:
        try:
            self._following.check(self._goals, self._watch, now)
        except SafetyError as error:
            raise SafetyError(f"{error} ({self._halt()})") from error

    def _halt(self) -> str:
        return self.stop().text if self.state == "armed" else "arm not armed"

    def _mind(self, now: float) -> None:
        for k, misses in enumerate(self._watch.misses):
            age = now - self._watch.missing_since[k]
            if misses >= STOP_AFTER or (misses and age >= STOP_AFTER_S):
                text = (
                    f"{self._names[k]} (id {self._ids[k]}) has been silent for {misses} cycles: "
                    "check its cable and power"
                )
                raise BusError(f"{text} ({self._halt()})")
        if max(self._watch.misses) >= HOLD_AFTER and self.state == "armed":
            self.hold()
