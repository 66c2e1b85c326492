"""What a virtual line asks of the servos on it, whatever they speak, and how it finds those of a protocol.

The twin of a protocol is the file of the same name beside this one: its constant `ROW` puts servos on a wire. The
entry-point group `genba.twins` names such constants elsewhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from ...robots.errors import RefusedError
from ..framing import Packet
from .servo import RegisterServo

S = TypeVar("S", bound=RegisterServo)
Start = tuple[float, bytes]  # s of line time at which a reply begins, and its bytes


class Requests(Protocol):
    """Finds requests in a stream of bytes."""

    def feed(self, chunk: bytes) -> list[Packet]:
        """Take any bytes and return the requests they complete."""


class ServoRow(ABC, Generic[S]):
    """Servos of one protocol on one wire.

    Attributes:
        servos: All of them, in the order of the arm's joints.
    """

    def __init__(self, servos: Sequence[S]) -> None:
        """Put servos on a wire."""
        self.servos = servos
        self._parser = self.listen()

    def requests(self, data: bytes) -> list[Packet]:
        """Requests that these bytes complete."""
        return self._parser.feed(data)

    @abstractmethod
    def listen(self) -> Requests:
        """A parser as each of these servos has one."""

    @abstractmethod
    def reply(self, actuator_id: int, status: int, data: bytes) -> bytes:
        """A reply on the wire."""

    @abstractmethod
    def relabel(self, reply: bytes, actuator_id: int) -> bytes:
        """The same reply as another servo would send it."""

    @abstractmethod
    def replies(
        self, packet: Packet, hears: Callable[[RegisterServo], bool], arrived: float, byte_time: float
    ) -> list[Start]:
        """Let the servos carry out a request.

        Args:
            packet: The request.
            hears: Whether a servo is awake and at the rate of the wire.
            arrived: Line time at which its last byte arrived, s.
            byte_time: s.

        Returns:
            When each reply begins, and its bytes.
        """


def make_row(protocol: str, models: Mapping[int, int], baud_rate: int) -> ServoRow[Any]:
    """Put servos of a protocol on a wire.

    Args:
        protocol: Catalogue name.
        models: Model number by id, in the order of the arm's joints.
        baud_rate: Rate they are set to.

    Raises:
        RefusedError: If nobody has built such virtual servos.
    """
    if (Path(str(files(__package__))) / f"{protocol}.py").is_file():
        make = getattr(import_module(f".{protocol}", __package__), "ROW", None)
    else:
        point = next(iter(entry_points(group="genba.twins", name=protocol)), None)
        make = None if point is None else point.load()
    if make is None:
        raise RefusedError(f"there are no virtual servos that speak {protocol}: connect real ones")
    row: ServoRow[Any] = make(models, baud_rate)
    return row
