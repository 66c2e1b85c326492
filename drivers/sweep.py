"""Follow joints that a person moves by hand, through the wrap of their encoders, and keep the ends of their travel.

    counts 4090 4094 2 7 ...  ->  unwrapped 4090 4094 4098 4103 ...  ->  lowest and highest count of each joint

Nothing is written to the servos; they must be without torque. A count that no hand could have caused is left out.
"""

from collections.abc import Callable

from ..robots.description import RobotDescription
from ..robots.errors import BusError, RefusedError
from .bus import ActuatorBus, Fault
from .calibration import TWO_PI

PERIOD = 0.02  # s between two looks: a joint at 10 rad/s goes 130 ticks
BAR = 24  # characters of a range bar
ENOUGH = 0.25  # rad of the described range that may be missing in all
SILENT_S = 1.0  # s for which a joint may be silent


class Sweep:
    """The travel of every joint so far.

    Attributes:
        here: Unwrapped count of each joint, arm joints first, gripper last.
        lowest: Its smallest so far.
        highest: Its largest so far.
    """

    def __init__(self, robot: RobotDescription, bus: ActuatorBus) -> None:
        """Start where the joints are.

        Args:
            robot: Gives ids, names, ranges and ticks per turn.
            bus: Their bus.

        Raises:
            RefusedError: If a joint holds torque: it cannot be moved by hand.
            BusError: If a servo does not answer.
        """
        self._robot = robot
        self._bus = bus
        self._turns = [drive.ticks_per_turn for drive in robot.actuator_drives]
        self._silent_since: list[float | None] = [None] * len(self._turns)
        for i, name in zip(robot.actuator_ids, robot.actuator_names, strict=True):
            if bus.read(i, "torque_switch"):
                raise RefusedError(f"{name} (id {i}) holds torque: genba release, then calibrate")
        self.here = [bus.read(i, "present_position") for i in robot.actuator_ids]
        self._recent = [[ticks] for ticks in self.here]
        self.lowest = list(self.here)
        self.highest = list(self.here)

    def look(self) -> None:
        """Read all joints once.

        Raises:
            BusError: If one stays silent; the text names it.
        """
        now = self._bus.port.clock.now()
        names = self._robot.actuator_names
        for k, result in enumerate(self._bus.telemetry(self._robot.actuator_ids).values()):
            if isinstance(result, Fault):
                since = self._silent_since[k]
                self._silent_since[k] = since = now if since is None else since
                if now - since > SILENT_S:
                    raise BusError(f"{names[k]}: {result.text}")
                continue
            self._silent_since[k] = None
            turn = self._turns[k]
            step = (result.position_ticks - self._recent[k][-1] + turn // 2) % turn - turn // 2
            if abs(step) > turn // 4:
                continue  # a corrupt reply, or a joint that was lost sight of
            recent = self._recent[k]
            recent.append(recent[-1] + step)
            del recent[:-3]
            # The middle of three: a corrupt reply that passes its checksum is alone.
            self.here[k] = sorted(recent)[len(recent) // 2]
            self.lowest[k] = min(self.lowest[k], self.here[k])
            self.highest[k] = max(self.highest[k], self.here[k])

    def follow(self, done: Callable[[float], bool], show: Callable[[str], None]) -> None:
        """Look on until somebody says it is done.

        Args:
            done: Told the seconds so far, says whether that is enough.
            show: Takes a picture of the ranges, some lines.
        """
        clock = self._bus.port.clock
        began = clock.now()
        while not done(clock.now() - began):
            self.look()
            show(self.bars())
            clock.sleep_until(clock.now() + PERIOD)

    def travel(self, k: int) -> float:
        """How far a joint has been moved, rad."""
        return (self.highest[k] - self.lowest[k]) * TWO_PI / self._turns[k]

    def wanted(self) -> list[float]:
        """How far each joint can go by its description, rad."""
        g = self._robot.gripper
        return [*(j.upper - j.lower for j in self._robot.joints), abs(g.open - g.closed)]

    def short(self) -> list[str]:
        """Joints that have not been moved from end to end, with what is missing."""
        return [
            f"{name} was moved by {self.travel(k):.2f} rad of {wanted:.2f}"
            for k, (name, wanted) in enumerate(zip(self._robot.actuator_names, self.wanted(), strict=True))
            if self.travel(k) < wanted - ENOUGH
        ]

    def bars(self) -> str:
        """The travel of each joint as a bar, and where it is in it, for people."""
        lines = []
        for k, (name, wanted) in enumerate(zip(self._robot.actuator_names, self.wanted(), strict=True)):
            share = min(self.travel(k) / wanted, 1.0)
            full = round(share * BAR)
            span = max(self.highest[k] - self.lowest[k], 1)
            at = min(round((self.here[k] - self.lowest[k]) / span * full), max(full - 1, 0))
            bar = "".join("|" if c == at else "=" if c < full else "." for c in range(BAR))
            done = "ok" if self.travel(k) >= wanted - ENOUGH else f"{self.travel(k):.2f} of {wanted:.2f} rad"
            lines.append(f"{name:<14} [{bar}] {done}")
        return "\n".join(lines)
