"""The half-duplex wire with its servos and the plant behind them, on a clock that is given.

`receive` takes the host's bytes at a time, `take` returns what has reached the host by a time. Bytes cost ten bit
times each. Who answers what, and when, is the protocol's own, in the file of its name. Replies that start
together collide, which on this wire is a bitwise AND.
"""

from bisect import insort
from collections.abc import Sequence

from ...robots.description import RobotDescription
from ...robots.errors import RefusedError
from ..protocols import load_protocol
from ..wired import bus_of, models_of
from .faults import Faults
from .plant import Plant, ServoPlant
from .row import make_row
from .servo import RegisterServo
from .shafts import Shafts

BROWN_OUT = 0.3  # s of silence of a servo that lost its power for a moment
FOREIGN_ID = 200  # id of no servo of an arm, for replies that a fault mislabels
CATCH_UP = 1.0  # s of plant time made good at once after the process was held up; the rest is lost


class VirtualLine:
    """Virtual servos on one wire."""

    def __init__(
        self,
        robot: RobotDescription,
        *,
        ids: Sequence[int] | None = None,
        baud_rate: int | None = None,
        plant: Plant | None = None,
        faults: Faults | None = None,
        latency: float = 0.0,
        now: float = 0.0,
    ) -> None:
        """Wire up the servos of an arm.

        Args:
            robot: Gives ids, model number, baud rate and drives.
            ids: The servos that are present; all if not given.
            baud_rate: Rate the servos are set to.
            plant: What they move; a `ServoPlant` if not given.
            faults: What goes wrong.
            latency: Time in s for which the adapter holds received bytes back after the first, as FTDI's timer does.
            now: Line time at the start, s.

        Raises:
            RefusedError: If the arm has no servo bus, nobody has built its servos, or an id or the rate does not exist.
        """
        bus = bus_of(robot)
        rate = bus.baud_rate if baud_rate is None else baud_rate
        rates = load_protocol(bus.protocol).baud_rates
        if rate not in rates:
            raise RefusedError(
                f"baud rate {rate} does not exist on this series; there are {', '.join(map(str, rates))}"
            )
        present = tuple(robot.servo_names if ids is None else ids)
        if not present or len(set(present)) != len(present):
            raise RefusedError(f"servo ids {present}: give each servo that is present once, as in 1,2,3")
        strangers = sorted(set(present) - set(robot.servo_names))
        if strangers:
            raise RefusedError(f"robot {robot.name!r} has no servo {strangers[0]}; there are {(*robot.servo_names,)}")
        self.robot = robot
        self.baud_rate = rate
        self.plant: Plant = plant or ServoPlant(robot)
        self.faults = faults or Faults()
        self.latency = latency
        self.now = now
        self._talk = make_row(bus.protocol, models_of(robot), rate)
        self._row = self._talk.servos
        self.servos: list[RegisterServo] = [
            s for s, i in zip(self._row, robot.servo_names, strict=True) if i in present
        ]
        self._shafts = Shafts(robot, self._row)
        self._due: list[tuple[float, bytes]] = []
        self._busy_until = now
        self._afflicted = False
        self._plant_time = now
        self._sense(0.0)
        for servo in self._row:
            servo.power_on(now)

    def start(self, now: float) -> None:
        """Set the line's clock, as when it joins the wall's.

        Args:
            now: Line time from here on, s.
        """
        self.now = self._plant_time = self._busy_until = now
        for servo in self._row:
            servo.deaf_until = now

    def servo(self, actuator_id: int) -> RegisterServo:
        """The servo that has an id now."""
        return next(s for s in self.servos if s.actuator_id == actuator_id)

    def receive(self, data: bytes, now: float, baud_rate: int | None = None) -> None:
        """Take bytes from the host.

        Args:
            data: What the host sent.
            now: When it handed them to its port, s.
            baud_rate: The host's rate where it can be known; servos at another rate hear nothing.
        """
        byte_time = 10.0 / (baud_rate or self.baud_rate)
        arrived = max(now, self._busy_until) + len(data) * byte_time
        self._busy_until = arrived
        if self.faults.echo:
            insort(self._due, (arrived, data))

        def hears(servo: RegisterServo) -> bool:
            return (
                servo in self.servos
                and servo.deaf_until <= arrived
                and (baud_rate is None or servo.baud_rate == baud_rate)
                and servo.actuator_id not in self.faults.silent
            )

        for packet in self._talk.requests(data):
            self.step(arrived)
            for held in self.faults.release():
                insort(self._due, (arrived, held))
            for servo in self.servos:
                if self.faults.reboots():
                    servo.power_on(arrived, silent=BROWN_OUT)
            self._send(self._talk.replies(packet, hears, arrived, byte_time), byte_time)

    def _send(self, starts: list[tuple[float, bytes]], byte_time: float) -> None:
        starts.sort(key=lambda item: item[0])
        held_until = starts[0][0] + self.latency if starts and self.latency else 0.0
        while starts:
            start, reply = starts.pop(0)
            while starts and starts[0][0] < start + 0.5 * byte_time:
                other = starts.pop(0)[1]
                size = max(len(reply), len(other))
                pairs = zip(reply.ljust(size, b"\xff"), other.ljust(size, b"\xff"), strict=True)
                reply = bytes(a & b for a, b in pairs)
            if self.faults.mislabels():
                reply = self._talk.relabel(reply, FOREIGN_ID)
            reply = self.faults.spoil(reply)
            if reply:
                insort(self._due, (max(start + len(reply) * byte_time, held_until), reply))

    def next_due(self) -> float | None:
        """When the next bytes reach the host, s; None while the wire is quiet."""
        return self._due[0][0] if self._due else None

    def take(self, now: float) -> bytes:
        """Bytes that have reached the host by now."""
        due = self._due
        count = 0
        while count < len(due) and due[count][0] <= now:
            count += 1
        out = b"".join(data for _, data in due[:count])
        del due[:count]
        return out

    def step(self, now: float) -> None:
        """Let the plant live until now; after a long hold-up only the last second is made good.

        Args:
            now: Line time, s.
        """
        self.now = max(self.now, now)
        period = self.plant.period
        if now - self._plant_time > CATCH_UP:
            self._plant_time = now - CATCH_UP
        while self._plant_time + period <= now + 1e-9:
            self._plant_time += period
            if self.faults.hot or self.faults.overloaded or self._afflicted:
                self._afflict()
            self.plant.step(self._shafts.commands(period))
            self._sense(period)

    def _afflict(self) -> None:
        self._afflicted = bool(self.faults.hot or self.faults.overloaded)
        for servo in self._row:
            own = servo.actuator_id
            servo.afflict(hot=own in self.faults.hot, overloaded=own in self.faults.overloaded)

    def _sense(self, dt: float) -> None:
        self._shafts.sense(self.plant.motion(), dt)
