"""What every servo protocol offers the bus: requests as bytes, replies as packets, and a register table.

A file in `protocols/` holds one constant `FRAMING` that keeps the `Framing` protocol below. It does no I/O and
keeps no state; only a parser remembers the bytes of one exchange. Whatever the manual calls them, its table has the
registers `model_number`, `id`, `baud_code`, `torque_switch` (1 is on), `goal_position`, `present_position`, and the
limits `max_temperature` in degrees Celsius and `min_voltage`, `max_voltage` in 0.1 V.

Two kinds of status byte exist. Feetech's tells the servo's condition, and the request was carried out. Dynamixel's
tells what became of the request (`refusal`), and by one bit that a register holds the condition.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from ..robots.servo import Drive
from .registers import RegisterTable


class Packet(NamedTuple):
    """One whole frame whose checksum held; a tuple because six come in every tick.

    Attributes:
        actuator_id: Who it is for, or who sent it.
        code: The instruction (to a servo) or the status byte (from a servo).
        data: Parameters or register contents.
    """

    actuator_id: int
    code: int
    data: bytes


class Telemetry(NamedTuple):
    """What one servo measured, in one read; a tuple because six are made in every tick.

    Attributes:
        position_ticks: Encoder count, after the servo's own offset.
        speed_ticks: Speed in ticks/s as the servo estimates it.
        load: Bridge duty, -1..1; positive pushes towards higher counts.
        voltage: Supply, V.
        temperature: Case, degrees Celsius.
        moving: Whether the servo believes that it moves.
        current: Motor current, A; NaN where the servo does not measure it.
        status: The status byte of its reply.
    """

    position_ticks: int
    speed_ticks: int
    load: float
    voltage: float
    temperature: int
    moving: bool
    current: float
    status: int


class Parser(Protocol):
    """Finds the replies to one request in a stream of bytes."""

    stray_bytes: int
    checksum_errors: int

    def feed(self, chunk: bytes) -> list[Packet]:
        """Take any bytes and return the packets they complete; never raises."""

    def missing(self, replies: int) -> int:
        """Bytes that must still come, at least, before `replies` more packets can be whole; 1 or more."""


class Framing(Protocol):
    """The face of a protocol; ids, addresses and sizes are plain integers, data is bytes in wire order."""

    @property
    def name(self) -> str:
        """Catalogue name: the name of its file."""

    @property
    def registers(self) -> RegisterTable:
        """The registers that all models of its servo family share."""

    @property
    def models(self) -> Mapping[str, int]:
        """Model numbers by the trade names that `Drive.model` gives."""

    @property
    def condition_register(self) -> str | None:
        """The register that holds the condition bits; None where the status byte itself does."""

    @property
    def watchdog(self) -> tuple[str, float] | None:
        """The register by which a servo stops when the host falls silent, and s of silence per count, 0 being off.

        None where servos have none.
        """

    @property
    def baud_rates(self) -> tuple[int, ...]:
        """Rates that its servos know; the place in the row is what register `baud_code` holds."""

    @property
    def gathers(self) -> bool:
        """Whether one request can ask several servos; where none can, sync read and broadcast ping stay unanswered."""

    @property
    def identity(self) -> tuple[str, int] | None:
        """The register, and its value, that tell these servos from others whose frames look the same.

        None where frames alone tell.
        """

    @property
    def offset_register(self) -> str | None:
        """The register by which a servo shifts its own counts; None where it has none."""

    @property
    def offset_sign(self) -> int:
        """How that register enters the count, present = raw + sign * offset; 0 where the wrap does not move with it."""

    @property
    def chained(self) -> bool:
        """Whether each reply to a sync read waits for the one before, so that a silent servo silences those after."""

    @property
    def ping_size(self) -> int:
        """Data bytes of the reply to a ping."""

    @property
    def broadcast_id(self) -> int:
        """The id to which every servo listens; ids below it are servos."""

    @property
    def telemetry_block(self) -> tuple[int, int]:
        """Address and size of the one read that holds a whole `Telemetry`."""

    @property
    def probe(self) -> bytes:
        """A frame that no servo answers or obeys: whatever comes back is an echo."""

    def centre(self, drive: Drive) -> int:
        """Count in the middle of what a servo measures, where a horn mounted as designed puts joint zero."""

    def ping_slot(self, baud_rate: int) -> float:
        """Time in s by which the answer of each id to a broadcast ping lies behind that of the id before."""

    def table(self, model_number: int) -> RegisterTable:
        """The registers of one model, with its own ranges; those that all models share where it is not known."""

    def ping(self, actuator_id: int) -> bytes:
        """Ask one servo whether it is there."""

    def read(self, actuator_id: int, address: int, size: int) -> bytes:
        """Ask one servo for memory."""

    def write(self, actuator_id: int, address: int, data: bytes) -> bytes:
        """Set memory of one servo, or of all with the broadcast id."""

    def sync_read(self, actuator_ids: Sequence[int], address: int, size: int) -> bytes:
        """Ask several servos for the same memory."""

    def sync_write(self, address: int, values: Mapping[int, bytes]) -> bytes:
        """Set the same memory of several servos to a value each; no one answers."""

    def factory_reset(self, actuator_id: int) -> bytes | None:
        """Restore the settings of a servo but for its id; None where no request does."""

    def replies_size(self, replies: int, size: int) -> int:
        """Bytes on the wire of so many replies to one request that carry `size` bytes each."""

    def reply_gap(self, replies: int, size: int, baud_rate: int) -> float:
        """Silence in s between request and end of the last reply, beside the bytes themselves."""

    def parser(self, actuator_ids: Collection[int], size: int) -> Parser:
        """Return a parser that accepts replies of exactly these servos with exactly this many data bytes.

        A reply without data that says why the request was refused is one, too.
        """

    def settings(self, drive: Drive) -> dict[str, int]:
        """Registers that make a servo follow this drive's law in position mode; none of them moves it."""

    def telemetry(self, data: bytes, status: int, model_number: int) -> Telemetry:
        """Decode the bytes of `telemetry_block` as this model means them."""

    def refusal(self, status: int) -> str:
        """Say why a request was not carried out, with the cure; empty where it was."""

    def faults(self, conditions: int) -> tuple[str, ...]:
        """Name the bits of a servo's condition, each with its cure."""
