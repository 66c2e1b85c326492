"""What a line asks of every virtual servo, whatever it speaks, and the memory that all of them have."""

from abc import ABC, abstractmethod
from math import pi

from ...robots.errors import RefusedError
from ..registers import RegisterTable
from .plant import Command

TICKS = 4096
TICK = 2.0 * pi / TICKS
CENTRE = 2048
PLACED_TICKS = 64  # a change within one step of the plant that no motor can make
AT_ONCE = 1e9  # ticks/s of a profile without limit


class RegisterServo(ABC):
    """A servo that is its registers; a plant gives it a motor and a joint.

    Attributes:
        memory: Every byte as a host would read it, but for the present registers, which `read` renews.
        raw_ticks: Counts of the encoder since the plant's zero, whole turns included; zero rad is half of `counts`.
        voltage: Supply, V.
        temperature: Case, degrees Celsius.
        deaf_until: Line time before which the servo hears nothing, s.
        counts: Counts of its encoder's range.
        tick: One of them, rad.
    """

    counts, tick = TICKS, TICK

    def __init__(self, table: RegisterTable) -> None:
        """Fill the memory with the defaults of a table."""
        self._table = table
        self._at = {register.name: (register.address, register) for register in table}
        self.memory = bytearray(table.size)
        for register in table:
            self._set(register.name, register.default)
        self.raw_ticks = self.counts // 2
        self.voltage = 12.0
        self.temperature = 28.0
        self.deaf_until = 0.0

    def get(self, name: str) -> int:
        """Value of a register now."""
        address, register = self._at[name]
        return register.decode(bytes(self.memory[address : address + register.size]))

    def _set(self, name: str, value: int) -> None:
        address, register = self._at[name]
        self.memory[address : address + register.size] = register.encode(
            min(max(value, register.lower), register.upper)
        )

    @property
    @abstractmethod
    def actuator_id(self) -> int:
        """Id to which it answers."""

    @property
    @abstractmethod
    def baud_rate(self) -> int:
        """Rate at which it listens."""

    @abstractmethod
    def power_on(self, now: float, *, silent: float = 0.0) -> None:
        """Load the kept memory, clear the rest.

        Args:
            now: Line time, s.
            silent: How long the servo hears nothing, s.
        """

    @abstractmethod
    def afflict(self, *, hot: bool, overloaded: bool) -> None:
        """Let it believe, as long as told, that it is too hot or overloaded."""

    def mount(self, *, turned: bool, obeys: int | None) -> None:
        """Be set up for the place where it is mounted, as the arm's maker does it.

        Args:
            turned: Whether it counts the other way round.
            obeys: Id of the servo on the same shaft whose orders it obeys, too; None for a servo of its own.

        Raises:
            RefusedError: If its kind cannot.
        """
        raise RefusedError(f"virtual servo {self.actuator_id}: its kind neither counts backwards nor obeys another id")

    @abstractmethod
    def command(self, dt: float) -> Command:
        """Advance the profile by `dt` s and say what the motor shall do."""

    @abstractmethod
    def sense(self, position: float, velocity: float, duty: float, stall: float, no_load: float, dt: float) -> None:
        """Take in what the joint did during one step of `dt` s.

        Args:
            position: Encoder-side joint position, rad; zero is the centre of the turn.
            velocity: Output speed, rad/s.
            duty: Bridge duty, -1..1.
            stall: Stall torque, N m.
            no_load: No-load speed, rad/s.
            dt: Time that passed, s.
        """


def approach(
    target: float, speed: float, goal: float, *, top: float, acceleration: float, dt: float
) -> tuple[float, float]:
    """One step of a profile with straight flanks from a target towards a goal.

    Args:
        target: Where the profile is, ticks.
        speed: Its speed, ticks/s, without sign.
        goal: Where it goes, ticks.
        top: Largest speed, ticks/s; 0 for none.
        acceleration: Slope of both flanks, ticks/s2; 0 for upright ones.
        dt: Time that passes, s.

    Returns:
        Target and speed after it.
    """
    way = goal - target
    top = top or AT_ONCE
    if acceleration:
        top = min(top, (2.0 * acceleration * abs(way)) ** 0.5, abs(speed) + acceleration * dt)
    return (goal if abs(way) <= top * dt else target + (top if way > 0 else -top) * dt), top
