"""What a virtual line asks of the servos on it, whatever they speak."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

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

    def __init__(self, servos: Sequence[S], parser: Requests) -> None:
        """Put servos on a wire."""
        self.servos = servos
        self._parser = parser

    def requests(self, data: bytes) -> list[Packet]:
        """Requests that these bytes complete."""
        return self._parser.feed(data)

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
