"""What every command language offers the link: requests as bytes, and a parser that turns bytes into events.

Some arms are no servo bus but a controller that plans motion by itself and takes commands: G-code in lines, or frames
with a queue. A file in `protocols/` that holds a constant `LANGUAGE` keeps the `Language` protocol below. It does no
I/O, reads no clock and keeps no state; only a parser remembers the bytes of an answer that has begun.

An answer is recognised by its tag. Where the language numbers its requests a tag is unique, and nothing can be taken
for something else. Where it does not, two answers with the same tag look alike, and the link must not wait for one
while another may still come: `fences` are requests of other tags that it asks in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol


class Activity(StrEnum):
    """What a controller is doing; `HELD` is a motion that was stopped and could go on."""

    IDLE = "idle"
    MOVING = "moving"
    HELD = "held"
    HOMING = "homing"
    ALARM = "alarm"


class Kind(StrEnum):
    """What an event tells: an answer is `ACCEPTED`, `REFUSED` or `STATE`; the others come unasked."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    STATE = "state"
    ALARM = "alarm"
    READY = "ready"
    NOTE = "note"


class Report(NamedTuple):
    """The part of a controller's state that one answer tells; None where it does not.

    Attributes:
        joints: Joint positions, rad.
        activity: What it does.
        executed: Number of the last queued command that was carried out.
        alarms: What it complains of, each with its cure; empty when nothing.
        steps: Numbers that change while it moves, in whatever unit; told even while it is held.
    """

    joints: tuple[float, ...] | None = None
    activity: Activity | None = None
    executed: int | None = None
    alarms: tuple[str, ...] | None = None
    steps: tuple[float, ...] | None = None


class Event(NamedTuple):
    """One whole message of a controller.

    Attributes:
        kind: What it tells.
        tag: Which request it answers; empty when none.
        text: For people; of a refusal or an alarm with the cure.
        report: What an answer tells of the state.
        queued: Number that the controller gave a queued command.
    """

    kind: Kind
    tag: str = ""
    text: str = ""
    report: Report | None = None
    queued: int | None = None


class Request(NamedTuple):
    """One request on its way to a controller.

    Attributes:
        data: Its bytes.
        tag: Tag of the answer; empty where none comes.
        unique: Whether no other request of the last many has this tag.
        room: Bytes it takes of the controller's receive buffer until it is answered; 0 where it is obeyed at once.
        patience: Time the controller may take by design before it answers, s, beside wire and machine.
    """

    data: bytes
    tag: str
    unique: bool = False
    room: int = 0
    patience: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """How a controller behaves, as far as the link must know.

    Attributes:
        baud_rate: Its rate.
        numbers: Requests are numbered from 1 to this; 0 where they are not numbered.
        buffer: Bytes its receive buffer holds.
        ahead: Motions that may be under way at once, so that a stop leaves none behind.
        checked: Whether its answers carry a checksum.
        in_order: Whether it answers nothing before what it was asked earlier, so that asking meanwhile is in vain.
        boot: Time it may take from power-on or reset until it answers, s.
        letters: Its joints, by the letter or name it has for them.
    """

    baud_rate: int = 115_200
    numbers: int = 0
    buffer: int = 128
    ahead: int = 4
    checked: bool = False
    in_order: bool = False
    boot: float = 3.0
    letters: tuple[str, ...] = ()


class Parser(Protocol):
    """Finds whole messages in a stream of bytes."""

    stray_bytes: int
    checksum_errors: int

    def feed(self, chunk: bytes) -> list[Event]:
        """Take any bytes and return the events they complete; never raises."""

    def end(self) -> list[Event]:
        """Nothing more comes for now: give up what has begun and can never be told apart from what follows it."""


class Language(Protocol):
    """The face of a command language; angles in rad, times in s. Every request of a tuple takes one more number."""

    @property
    def name(self) -> str:
        """Catalogue name: the name of its file."""

    @property
    def traits(self) -> Traits:
        """How its controllers behave."""

    def parser(self) -> Parser:
        """Return a parser for the answers of one controller."""

    def setup(self, number: int) -> tuple[Request, ...]:
        """Make a controller that has just started speak as this language expects; moves nothing."""

    def poll(self, number: int) -> tuple[Request, ...]:
        """Ask for the state; the reports of all answers together hold joints, activity and alarms."""

    def watch(self, number: int) -> tuple[Request, ...]:
        """Ask whether it moves, by requests that are answered even while it is held; their reports hold steps."""

    def fences(self, number: int) -> tuple[Request, ...]:
        """Requests that change nothing and whose answers differ from each other."""

    def move(self, number: int, start: Sequence[float], goal: Sequence[float], duration: float) -> tuple[Request, ...]:
        """Move all joints from where they are to a goal, together, in about `duration` seconds or as fast as it can.

        Raises:
            RefusedError: If a number is not finite, the duration not positive, or there are too many joints.
        """

    def halt(self, number: int) -> tuple[Request, ...]:
        """Stop with the controller's own deceleration, in the midst of a motion; torque stays on."""

    def forget(self, number: int) -> tuple[Request, ...]:
        """Throw away what a halted controller still has to do, so that it never goes on."""

    def resume(self, number: int) -> tuple[Request, ...]:
        """Let a halted controller obey again."""

    def enable(self, number: int, *, on: bool) -> tuple[Request, ...]:
        """Switch the motors on or off.

        Raises:
            RefusedError: If it has no such command; the text names what to do by hand.
        """

    def home(self, number: int) -> tuple[Request, ...]:
        """Find the reference; nothing where the encoders are absolute."""

    def clear(self, number: int) -> tuple[Request, ...]:
        """Clear alarms, so that it obeys again."""

    def reset(self, number: int) -> tuple[Request, ...]:
        """Start the controller anew, where it can be told to; the answer, if any, is `READY`."""

    def turn(self, number: int, angle: float) -> tuple[Request, ...]:
        """Turn a servo that carries the tool and is no joint of the motions, rad; nothing where there is none."""

    def tool(self, number: int, *, pump: bool, closed: bool) -> tuple[Request, ...]:
        """Close or open the gripper, or switch the pump on or off."""
