"""What each joint of a bench arm said last, and how long ago: fresh values only, per joint.

One sync read asks all servos; those that stay silent are asked once more. A reading that no motor could have caused
- a jump faster than the drive's no-load speed - counts as silence, because a sum of eight bits lets some corrupt
replies through. Velocities are differences of positions over some 30 ms: a servo's own speed register knows only
steps of 50 ticks/s, and nothing below 100.
"""

from collections.abc import Sequence

from ..robots.description import RobotDescription
from ..robots.state import Vector
from .bus import ActuatorBus, Fault
from .calibration import TWO_PI, Calibration
from .framing import Telemetry

VELOCITY_WINDOW = 0.03  # s over which positions are differentiated
JUMP_SPEED = 1.5  # times no-load speed, above which a changed position is a corrupt reply
JUMP_TICKS = 4  # beside that: encoder noise


class JointWatch:
    """The newest measurement of every servo of an arm, arm joints first, gripper last.

    Attributes:
        ticks: Position registers.
        stamps: When each joint was heard last, s.
        misses: Reads in a row in which each joint was silent.
        missing_since: When each joint's silence began, s; meaningless while it is heard.
        velocities: Joint velocities, rad/s.
        efforts: Torque estimates: bridge duty times stall torque, N m.
        telemetry: Everything else by actuator id.
    """

    def __init__(self, robot: RobotDescription, bus: ActuatorBus, calibration: Calibration) -> None:
        """Watch the servos of an arm.

        Args:
            robot: Gives ids, names and drives.
            bus: Their bus.
            calibration: Of this unit.
        """
        self._bus = bus
        self._ids = robot.actuator_ids
        self._names = robot.actuator_names
        self._rows = calibration.actuators
        self._stall = [d.stall_torque for d in robot.actuator_drives]
        self._jump = [
            JUMP_SPEED * d.no_load_speed * row.ticks_per_turn / TWO_PI
            for d, row in zip(robot.actuator_drives, self._rows, strict=True)
        ]
        self.forget()

    def forget(self) -> None:
        """Know nothing, as before the first read."""
        count = len(self._ids)
        self.ticks: Sequence[int] = [0] * count
        self.stamps = [float("-inf")] * count
        self.misses = [0] * count
        self.missing_since = [0.0] * count
        self.velocities = [0.0] * count
        self.efforts = [0.0] * count
        self.telemetry: dict[int, Telemetry] = {}
        self._history: list[tuple[float, Sequence[int]]] = []

    @property
    def positions(self) -> Vector:
        """Joint positions and the gripper's, rad."""
        return tuple(row.to_position(ticks) for row, ticks in zip(self._rows, self.ticks, strict=True))

    def refresh(self) -> list[str]:
        """Read all servos, those that are silent once more; return the names of the joints still silent."""
        clock = self._bus.port.clock
        results = self._bus.telemetry(self._ids)
        stamp = clock.now()
        silent = [i for i, result in results.items() if isinstance(result, Fault)]
        if silent and len(silent) < len(self._ids):
            self._bus.statistics.retries += 1
            results |= self._bus.telemetry(silent)
            stamp = clock.now()
        ticks = list(self.ticks)
        names = []
        for k, i in enumerate(self._ids):
            result = results[i]
            reach = self._jump[k] * (stamp - self.stamps[k]) + JUMP_TICKS
            if isinstance(result, Fault) or abs(result.position_ticks - ticks[k]) > reach:
                if not self.misses[k]:
                    self.missing_since[k] = stamp
                self.misses[k] += 1
                names.append(self._names[k])
                continue
            self.misses[k] = 0
            self.stamps[k] = stamp
            ticks[k] = result.position_ticks
            self.efforts[k] = self._rows[k].sign * result.load * self._stall[k]
            self.telemetry[i] = result
        self.ticks = ticks
        self._differentiate()
        return names

    def _differentiate(self) -> None:
        stamp = max(self.stamps)
        history = self._history
        if history and stamp <= history[-1][0]:
            return
        history.append((stamp, self.ticks))
        while len(history) > 2 and stamp - history[1][0] >= VELOCITY_WINDOW:
            history.pop(0)
        then, before = history[0]
        if stamp > then:
            self.velocities = [
                row.sign * (a - b) * TWO_PI / row.ticks_per_turn / (stamp - then)
                for row, a, b in zip(self._rows, self.ticks, before, strict=True)
            ]
