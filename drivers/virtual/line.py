"""The half-duplex wire with its servos and the plant behind them, on a clock that is given.

`receive` takes the host's bytes at a time, `take` returns what has reached the host by a time. Bytes cost ten bit
times each. A unicast reply starts one byte after the request; replies to a sync read start in slots of
`k * (reply + 3)` byte times whatever the others do; a broadcast ping is answered after `9 * id` byte times. Replies
that start together collide, which on this wire is a bitwise AND.
"""

from bisect import insort
from collections.abc import Sequence

from ...robots.description import RobotDescription
from ...robots.errors import RefusedError
from ..framing import Packet
from ..protocols._feetech_table import BAUD_RATES, STATUS_OVERLOAD, STATUS_TEMPERATURE
from ..protocols.feetech_sts import BROADCAST, Instruction, RequestParser, frame
from ..wired import bus_of
from .faults import Faults
from .plant import Plant, ServoPlant
from .sts3215 import VirtualServo

SLOT_BYTE_TIMES = (10e-6, 20e-6, 40e-6, 79e-6, 87e-6, 131e-6, 174e-6, 261e-6)
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
            RefusedError: If the arm has no bus of this family, or an id or the rate does not exist.
        """
        bus = bus_of(robot)
        if bus.protocol != "feetech_sts":
            raise RefusedError(
                f"robot {robot.name!r} has a {bus.protocol} bus; virtual servos exist for feetech_sts only"
            )
        rate = bus.baud_rate if baud_rate is None else baud_rate
        if rate not in BAUD_RATES:
            raise RefusedError(
                f"baud rate {rate} does not exist on this series; there are {', '.join(map(str, BAUD_RATES))}"
            )
        present = tuple(robot.actuator_ids if ids is None else ids)
        if not present or len(set(present)) != len(present):
            raise RefusedError(f"servo ids {present}: give each servo that is present once, as in 1,2,3")
        strangers = sorted(set(present) - set(robot.actuator_ids))
        if strangers:
            raise RefusedError(f"robot {robot.name!r} has no servo {strangers[0]}; there are {robot.actuator_ids}")
        self.robot = robot
        self.baud_rate = rate
        self.plant: Plant = plant or ServoPlant(robot)
        self.faults = faults or Faults()
        self.latency = latency
        self.now = now
        self._row = [VirtualServo(i, model_number=bus.model_number, baud_rate=rate) for i in robot.actuator_ids]
        self.servos = [s for s, i in zip(self._row, robot.actuator_ids, strict=True) if i in present]
        self._parser = RequestParser()
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

    def servo(self, actuator_id: int) -> VirtualServo:
        """The servo that has an id now."""
        return next(s for s in self.servos if s.memory[5] == actuator_id)

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
        for packet in self._parser.feed(data):
            self.step(arrived)
            for held in self.faults.release():
                insort(self._due, (arrived, held))
            listening = [
                s
                for s in self.servos
                if s.deaf_until <= arrived
                and (baud_rate is None or s.baud_rate == baud_rate)
                and s.memory[5] not in self.faults.silent
            ]
            self._send(self._dispatch(packet, listening, arrived, byte_time), byte_time)

    def _dispatch(
        self, packet: Packet, listening: list[VirtualServo], arrived: float, byte_time: float
    ) -> list[tuple[float, bytes]]:
        starts: list[tuple[float, bytes]] = []
        data = packet.data
        if packet.code == Instruction.SYNC_READ and packet.actuator_id == BROADCAST and len(data) >= 3:
            slot = (data[1] + 9) * SLOT_BYTE_TIMES[BAUD_RATES.index(self.baud_rate)]
            for servo in listening:
                for k, wanted in enumerate(data[2:]):
                    if wanted == servo.memory[5]:
                        content = servo.read(data[0], data[1])
                        if content is not None:
                            starts.append((arrived + byte_time + k * slot, frame(wanted, servo.status, content)))
            return starts
        if packet.code == Instruction.SYNC_WRITE and packet.actuator_id == BROADCAST and len(data) >= 3:
            step = data[1] + 1
            for servo in listening:
                for at in range(2, len(data), step):
                    if data[at] == servo.memory[5] and data[at + 1 : at + step]:
                        servo.write(data[0], data[at + 1 : at + step])
            return starts
        for servo in listening:
            own = servo.memory[5]
            if packet.actuator_id in (own, BROADCAST):
                content = servo.answer(packet, arrived)
                if content is not None:
                    wait = 9 * own if packet.actuator_id == BROADCAST and packet.code == Instruction.PING else 0
                    starts.append((arrived + (1 + wait) * byte_time, frame(own, servo.status, content)))
        return starts

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
            self.plant.step([servo.command(period) for servo in self._row])
            self._sense(period)

    def _afflict(self) -> None:
        self._afflicted = bool(self.faults.hot or self.faults.overloaded)
        for servo in self._row:
            hot = servo.memory[5] in self.faults.hot
            overloaded = servo.memory[5] in self.faults.overloaded
            servo.forced_status = STATUS_TEMPERATURE * hot | STATUS_OVERLOAD * overloaded

    def _sense(self, dt: float) -> None:
        motion = self.plant.motion()
        rows = zip(
            self._row,
            motion.positions,
            motion.velocities,
            motion.duties,
            self.robot.actuator_drives,
            strict=True,
        )
        for servo, position, velocity, duty, drive in rows:
            servo.sense(position, velocity, duty, drive.stall_torque, drive.no_load_speed, dt)
