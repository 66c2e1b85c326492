"""Orders that a controller may be given twice, and carries out before anything else is asked of it.

An answer can be lost on the wire. Where it comes at once the order is repeated; where it may take long by design, the
state is looked at meanwhile, and an idle controller that has not answered has lost it.
"""

from collections.abc import Sequence
from contextlib import suppress

from ..robots.errors import BusError, LinkLostError, RefusedError, SafetyError
from .answers import SilentError
from .controller_state import TRIES, ControllerState, Telling
from .language import Activity, Event, Kind, Request

LOOK_EVERY = 0.2  # s between looks at the state while something takes long


class Orders(Telling):
    """A controller that is given orders."""

    def connect(self) -> ControllerState:
        """Wait until the controller answers, make it speak as expected, and return its state.

        Raises:
            BusError: If nothing answers within the time that it takes to start.
        """
        self.port.flush_input()
        self.alarm = ""
        deadline = self.port.clock.now() + self.language.traits.boot
        while True:
            try:
                self._poll()
                break
            except LinkLostError:
                raise
            except BusError:  # silent, or only now starting, as boards do that reset when their port is opened
                if self.port.clock.now() >= deadline:
                    raise
        self.statistics.restarts = 0
        self.news.clear()
        self._obey(self._made(self.language.setup))
        state = self.state()
        self.last_queued = state.executed
        return state

    def reset(self) -> None:
        """Start the controller anew, where it can be told to; while it moves this may cost its position.

        Raises:
            BusError: If it does not come back.
        """
        self._obey(self._made(self.language.reset))

    def clear(self) -> None:
        """Clear alarms.

        Raises:
            BusError: If it does not answer.
        """
        self._obey(self._made(self.language.clear))
        self.alarm = ""
        self._last = None
        self.last_queued = self.state().executed

    def enable(self, *, on: bool) -> None:
        """Switch the motors on or off.

        Args:
            on: Whether they hold from now on; an arm sinks when they do not.

        Raises:
            RefusedError: If it cannot.
            BusError: If it does not answer.
        """
        self._obey(self._made(lambda number: self.language.enable(number, on=on)))

    def tool(self, *, pump: bool = False, closed: bool) -> None:
        """Close or open the gripper, or switch the pump on or off.

        Args:
            pump: The pump instead of the gripper.
            closed: Closed, or on.

        Raises:
            BusError: If it does not answer.
        """
        self._obey(self._made(lambda number: self.language.tool(number, pump=pump, closed=closed)))

    def home(self, *, patience: float = 120.0) -> ControllerState:
        """Find the reference, where the arm needs one, and wait until it is found.

        Args:
            patience: Time it may take, s.

        Raises:
            BusError: If it does not answer, or is not done in time.
            SafetyError: If an alarm ends it.
        """
        clock = self.port.clock
        deadline = clock.now() + patience
        self._obey(self._made(self.language.home))
        self._last = None  # the joints have new numbers
        while (state := self.state()).activity in {Activity.MOVING, Activity.HOMING}:
            if clock.now() >= deadline:
                raise BusError(
                    f"{self._name()} has not found its reference within {patience:.0f} s: check its switches"
                )
            clock.sleep_until(clock.now() + LOOK_EVERY)
        if state.alarms:
            raise SafetyError(f"{self._name()}: {state.alarms[0]}")
        return state

    def _obey(self, requests: Sequence[Request]) -> None:
        """Send requests that may be repeated, one by one, until each is carried out."""
        for request in requests:
            event = None
            for _ in range(TRIES):
                if not request.tag:
                    self._send(request)
                    break
                event = self._outcome(request)
                if event is not None:
                    break
            if request.tag and event is None:
                raise SilentError(f"{self._name()} does not answer: check cable, power and baud rate")
            if event is not None and event.kind is Kind.REFUSED:
                raise RefusedError(f"{self._name()} refused: {event.text}")

    def _outcome(self, request: Request) -> Event | None:
        """Send a request and wait for its answer, looking whether it is lost where that may take long."""
        if not request.patience:
            try:
                return self._ask(request)
            except SilentError:
                return None
        if not request.unique and request.tag in self._doubts and request.room:
            self._fence(request.tag)
        restarts = self.statistics.restarts
        sent = self._send(request, offered=True)
        while sent.event is None and sent in self._waiting:
            now = self.port.clock.now()
            self._listen(min(now + LOOK_EVERY, sent.deadline))
            if sent.event is None and sent in self._waiting:
                if self.alarm and request.room and not self.language.traits.checked:
                    self._give_up(sent)
                    raise SafetyError(f"{self._name()} raised {self.alarm}")
                if now >= sent.deadline:
                    self._give_up(sent)
                elif self.port.clock.now() >= now + LOOK_EVERY and not self.language.traits.in_order:
                    with suppress(SilentError):
                        self.state()
        if self.statistics.restarts != restarts:
            raise BusError(f"{self._name()} has started anew by itself: its position may be lost, home it")
        if sent.event is not None and sent.event in self.news:
            self.news.remove(sent.event)
        return sent.event
