"""The link to a controller that plans by itself: its state, motions within its buffer, and a stop that is confirmed.

    connect -> move, move, ... -> state -> halt (stop | it stands | throw the rest away | it still stands)

It is to such controllers what the bus is to servos. A state is made of answers to questions that were asked after the
call began, or it is refused. Text has no checksum, so a digit may be lost in a state that parses: one that no joint is
fast enough to have reached is asked for again, and believed when it is told twice.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..robots.errors import BusError, RefusedError, SafetyError
from .answers import MARGIN, Answers, LinkStatistics, Sent, SilentError
from .language import Activity, Event, Kind, Language, Report, Request
from .ports import LinkLostError, Port

__all__ = ["ControllerState", "HaltReport", "Link", "LinkStatistics"]

TRIES = 4  # times a question is asked that changes nothing
TOP_SPEED = 8.0  # rad/s that no joint of a desk-top arm exceeds
SLACK = 0.02  # rad that two readings of a joint at rest may differ
STILL = (
    0.002  # rad: change over all samples of a stop that counts as standing; an encoder of 4096 steps flickers by one
)
STILL_SAMPLES = 3
STILL_GAP = 0.03  # s between them
REPEAT_HALT = 0.2  # s after which an arm that still moves is told again to stop
LOOK_EVERY = 0.2  # s between looks at the state while something takes long
HALT_PATIENCE = 3.0  # s after which a stop is reported as not confirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerState:
    """What a controller told of itself in answer to one question.

    Attributes:
        stamp: When the question was asked, port time, s; what is told is not older.
        joints: Joint positions as its language counts them, rad.
        activity: What it does.
        executed: Number of the last queued command that was carried out; 0 where it numbers none.
        alarms: What it complains of, each with its cure.
    """

    stamp: float
    joints: tuple[float, ...]
    activity: Activity
    executed: int
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltReport:
    """How a halt ended.

    Attributes:
        confirmed: Whether the joints were seen standing, and standing still after the rest was thrown away.
        joints: Where they stand, rad; empty when it did not answer.
        text: One line for people.
    """

    confirmed: bool
    joints: tuple[float, ...]
    text: str


class Link(Answers):
    """One controller on one port."""

    def __init__(self, port: Port, language: Language, *, margin: float = MARGIN, top_speed: float = TOP_SPEED) -> None:
        """Take over an open port; nothing is sent yet.

        Args:
            port: The wire.
            language: How the controller speaks.
            margin: Patience beyond wire time and the controller's own, s.
            top_speed: Speed in rad/s that no joint reaches, from which two states contradict each other.
        """
        super().__init__(port, language, margin)
        self.top_speed = top_speed
        self._last: ControllerState | None = None
        self._halted = False

    # ---- beginning and end

    def connect(self) -> ControllerState:
        """Wait until the controller answers, make it speak as expected, and return its state.

        Raises:
            BusError: If nothing answers within the time that it takes to start.
        """
        self.port.flush_input()
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

    def close(self) -> None:
        """Give the port back; what was sent goes on."""
        self.port.close()

    # ---- state

    def state(self) -> ControllerState:
        """Ask for the state.

        Raises:
            BusError: If it does not answer, or contradicts itself all the time.
        """
        silent: SilentError | None = None
        doubted: ControllerState | None = None
        for _ in range(TRIES):
            try:
                state = self._poll()
            except SilentError as error:
                silent = error
                continue
            if state is None:
                continue
            if not self._leaps(self._last, state) or (doubted is not None and not self._leaps(doubted, state)):
                self._last = state
                if state.activity is Activity.IDLE:
                    self._forgive(state.stamp)
                return state
            self.statistics.implausible += 1
            doubted = state
        raise silent or BusError(
            f"{self._name()} does not tell the same twice: check cable and ground, and keep it away from motors"
        )

    def _poll(self) -> ControllerState | None:
        asked = self.port.clock.now()
        report = self._answered(self.language.poll)
        if report.joints is None or report.alarms is None:
            return None
        executed = report.executed or 0
        activity = report.activity
        if activity is None:
            activity = Activity.MOVING if executed < self.last_queued else Activity.IDLE
            activity = Activity.HELD if self._halted else activity
            activity = Activity.ALARM if report.alarms else activity
        return ControllerState(
            stamp=asked, joints=report.joints, activity=activity, executed=executed, alarms=report.alarms
        )

    def _answered(self, build: Callable[[int], tuple[Request, ...]]) -> Report:
        report = Report()
        for request in self._made(build):
            event = self._ask(request)
            if event is not None and event.report is not None:
                told = {name: value for name, value in event.report._asdict().items() if value is not None}
                report = report._replace(**told)
        return report

    def _leaps(self, before: ControllerState | None, after: ControllerState) -> bool:
        if self.language.traits.checked or before is None:
            return False
        if len(before.joints) != len(after.joints):
            return True
        way = self.top_speed * (self.port.clock.now() - before.stamp) + SLACK
        return any(abs(a - b) > way for a, b in zip(before.joints, after.joints, strict=True))

    def _forgive(self, before: float) -> None:
        """An idle controller has answered all it was given long before: those answers are lost."""
        for sent in [s for s in self._waiting if s.offered and s.deadline - s.request.patience < before]:
            self._give_up(sent)

    # ---- motions

    def move(self, goal: Sequence[float], duration: float) -> bool:
        """Offer a motion from where the last state told that the joints are; does not wait for it.

        Args:
            goal: Joint positions as the language counts them, rad.
            duration: Time for the motion, s.

        Returns:
            Whether it was sent; False when the controller has enough to do.

        Raises:
            RefusedError: If the motion is malformed, or the controller was halted.
            BusError: If it does not answer.
        """
        if self._last is None:
            raise RefusedError("no state was read yet: connect, or read the state first")
        if self._halted:
            raise RefusedError(f"{self._name()} was halted: resume it first")
        start = self._last.joints[: len(goal)]
        requests = self._made(lambda number: self.language.move(number, start, goal, duration))
        if not self._has_room(requests):
            return False
        for request in requests:
            if not request.unique and request.tag in self._doubts:
                self._fence(request.tag)
        for request in requests:
            self._send(request, offered=True)
        return True

    def _has_room(self, requests: Sequence[Request]) -> bool:
        offered = [s.request for s in self._waiting if s.offered]
        executed = self._last.executed if self._last is not None else 0
        if len(offered) + max(self.last_queued - executed, 0) >= self.language.traits.ahead:
            return False
        if any(not r.unique for r in offered):  # two answers that look alike could be taken for each other
            return False
        return sum(r.room for r in (*offered, *requests)) <= self.language.traits.buffer

    def collect(self) -> tuple[Event, ...]:
        """Take in what has come, without waiting, and return the refusals, alarms and restarts among it."""
        self._listen(self.port.clock.now())
        now = self.port.clock.now()
        for sent in [s for s in self._waiting if s.offered and s.deadline < now]:
            self._give_up(sent)
            self.news.append(Event(Kind.REFUSED, sent.request.tag, f"{self._name()} did not answer a motion"))
        news = tuple(self.news)
        self.news.clear()
        return news

    def stream(self, requests: Sequence[Request]) -> None:
        """Send a program within the controller's receive buffer, by counting the characters it has not answered.

        Args:
            requests: Requests that wait in the buffer; where they are not numbered, answers come in their order.

        Raises:
            RefusedError: If one is refused; what was sent before is carried out, what comes after is not sent.
            BusError: If answers are missing, or there are more than were asked for.
        """
        if requests and not requests[0].unique and requests[0].tag in self._doubts:
            self._fence(requests[0].tag)
        late = self.statistics.late_answers
        flying: list[tuple[int, Sent]] = []
        for count, request in enumerate(requests, start=1):
            while flying and sum(s.request.room for _, s in flying) + request.room > self.language.traits.buffer:
                self._landed(*flying.pop(0))
            flying.append((count, self._send(request)))
        for count, sent in flying:
            self._landed(count, sent)
        self._listen(self.port.clock.now() + self.margin)
        if self.statistics.late_answers != late:
            raise BusError(f"{self._name()} gave more answers than it was asked for: read its state, then start again")

    def _landed(self, count: int, sent: Sent) -> None:
        self._wait(sent)
        self._settled(sent)
        if sent.event is not None and sent.event.kind is Kind.REFUSED:
            raise RefusedError(f"{self._name()} refused request {count} of the program: {sent.event.text}")

    # ---- stop

    def halt(self) -> HaltReport:
        """Stop, see that the joints stand, throw away what was still to be done, and see that they still stand."""
        self._halted = True
        clock = self.port.clock
        deadline = clock.now() + HALT_PATIENCE
        joints = self._standing(deadline, tell=True)
        if joints:
            self._throw_away()
            joints = self._standing(max(deadline, clock.now() + 1.0), tell=False)
        if joints:
            return HaltReport(confirmed=True, joints=joints, text="the arm stands, and has nothing left to do")
        last = self._last.joints if self._last is not None else ()
        return HaltReport(
            confirmed=False, joints=last, text=f"the stop of {self._name()} is not confirmed: switch its power off"
        )

    def _standing(self, deadline: float, *, tell: bool) -> tuple[float, ...]:
        """Joints once they were seen standing in a row of states; nothing if that is not seen by the deadline."""
        clock = self.port.clock
        seen: list[tuple[float, ...]] = []
        told = -math.inf
        while clock.now() < deadline:
            if tell and clock.now() - told >= REPEAT_HALT:
                told = clock.now()
                self._tell_halt()
            try:
                joints, activity = self._watched() if tell else self._stated()
            except LinkLostError:
                raise
            except BusError:
                seen.clear()
                if self.alarm:
                    self._throw_away()  # after an alarm of its limits GRBL hears nothing else
                continue
            seen = [*seen[1 - STILL_SAMPLES :], joints]
            spread = max(max(column) - min(column) for column in zip(*seen, strict=True))
            moving = activity in {Activity.MOVING, Activity.HOMING}
            if len(seen) == STILL_SAMPLES and spread <= STILL and not moving:
                return joints
            clock.sleep_until(clock.now() + STILL_GAP)
        return ()

    def _watched(self) -> tuple[tuple[float, ...], Activity]:
        report = self._answered(self.language.watch)
        if report.steps is None:
            raise SilentError(f"{self._name()} does not tell where it is")
        return report.steps, report.activity or Activity.HELD

    def _stated(self) -> tuple[tuple[float, ...], Activity]:
        state = self.state()
        return state.joints, state.activity

    def _tell_halt(self) -> None:
        for request in self._made(self.language.halt):
            try:
                self._ask(request)
            except LinkLostError:
                raise
            except (BusError, SafetyError):
                continue

    def _throw_away(self) -> None:
        self._waiting = [s for s in self._waiting if not s.offered]
        try:
            self._obey(self._made(self.language.forget))
        except LinkLostError:
            raise
        except (BusError, RefusedError):
            return
        if self._last is not None:
            self.last_queued = self._last.executed

    def resume(self) -> None:
        """Let a halted controller take motions again; what it was doing is gone.

        Raises:
            BusError: If it does not answer.
        """
        self._obey(self._made(self.language.resume))
        self.last_queued = self.state().executed
        self._halted = False

    # ---- everything else

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
                elif self.port.clock.now() >= now + LOOK_EVERY:
                    with suppress(SilentError):
                        self.state()
        if self.statistics.restarts != restarts:
            raise BusError(f"{self._name()} has started anew by itself: its position may be lost, home it")
        if sent.event is not None and sent.event in self.news:
            self.news.remove(sent.event)
        return sent.event
