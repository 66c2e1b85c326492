"""What goes wrong on a wire, on purpose and by seed.

Rates are chances per reply, that of a reboot per request and servo; the rest are switches a test turns while the bus
runs. The order of what arrives never
changes, because a wire cannot reorder: a late reply arrives just before the answer to the next request.
"""

from dataclasses import dataclass, field
from random import Random


@dataclass(slots=True, kw_only=True)
class Faults:
    """A plan of misfortune for one virtual line.

    Attributes:
        seed: Start of the dice.
        drop: Chance that one byte of a reply is lost.
        insert: Chance that a stray byte comes in.
        flip: Chance that one bit turns over.
        truncate: Chance that a reply breaks off.
        late: Chance that a reply waits until the next request.
        duplicate: Chance that a reply comes again with the next request.
        foreign: Chance that a reply bears the id of a servo that was not asked.
        reboot: Chance that a servo loses its power for a moment.
        echo: Whether the host hears its own bytes.
        silent: Ids that hear nothing.
        hot: Ids that report over-temperature.
        overloaded: Ids that report overload.
        unplugged: Whether the port is gone.
    """

    seed: int = 0
    drop: float = 0.0
    insert: float = 0.0
    flip: float = 0.0
    truncate: float = 0.0
    late: float = 0.0
    duplicate: float = 0.0
    foreign: float = 0.0
    reboot: float = 0.0
    echo: bool = False
    silent: set[int] = field(default_factory=set)
    hot: set[int] = field(default_factory=set)
    overloaded: set[int] = field(default_factory=set)
    unplugged: bool = False
    _dice: Random = field(init=False, repr=False)
    _held: list[bytes] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        """Seed the dice."""
        self._dice = Random(self.seed)

    def mislabels(self) -> bool:
        """Whether the next reply bears a foreign id."""
        return bool(self.foreign) and self._dice.random() < self.foreign

    def reboots(self) -> bool:
        """Whether a servo loses its power now."""
        return bool(self.reboot) and self._dice.random() < self.reboot

    def release(self) -> list[bytes]:
        """Replies held back so far; they arrive when the next request does."""
        held, self._held = self._held, []
        return held

    def spoil(self, reply: bytes) -> bytes:
        """Let chance work on one reply; what is left arrives now."""
        dice = self._dice
        if self.late and dice.random() < self.late:
            self._held.append(reply)
            return b""
        if self.duplicate and dice.random() < self.duplicate:
            self._held.append(reply)
        data = bytearray(reply)
        if self.flip and dice.random() < self.flip:
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        if self.insert and dice.random() < self.insert:
            data.insert(dice.randrange(len(data) + 1), dice.randrange(256))
        if self.drop and dice.random() < self.drop:
            del data[dice.randrange(len(data))]
        if self.truncate and dice.random() < self.truncate:
            del data[dice.randrange(len(data)) :]
        return bytes(data)
