"""The link to a controller that plans by itself: its state, motions within its buffer, and a stop that is confirmed.

    connect -> move, move, ... -> state -> halt (stop | it stands | throw the rest away | it still stands)

It is to such controllers what the bus is to servos. Motions are offered and their answers collected later; a stop is
told again until the joints stand, and is confirmed only after what was still to be done has been thrown away.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..robots.errors import BusError, LinkLostError, RefusedError, SafetyError
from .answers import LinkStatistics, Sent, SilentError
from .controller_state import ControllerState
from .language import Activity, Event, Kind, Request
from .orders import Orders

__all__ = ["ControllerState", "HaltReport", "Link", "LinkStatistics"]

STILL = 0.002  # rad: change over all samples of a stop that counts as standing; a 12-bit encoder flickers by as much
STILL_SAMPLES = 3
STILL_GAP = 0.03  # s between them
REPEAT_HALT = 0.2  # s after which an arm that still moves is told again to stop
HALT_PATIENCE = 3.0  # s after which a stop is reported as not confirmed


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


class Link(Orders):
    """One controller on one port."""

    def close(self) -> None:
        """Give the port back; what was sent goes on."""
        self.port.close()

    # ---- motions

    def move(self, goal: Sequence[float], duration: float, *, start: Sequence[float] | None = None) -> bool:
        """Offer a motion; does not wait for it.

        Args:
            goal: Joint positions as the language counts them, rad.
            duration: Time for the motion, s.
            start: Where it begins, rad; where the last state told that the joints are if not given.

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
        begin = self._last.joints[: len(goal)] if start is None else start
        requests = self._made(lambda number: self.language.move(number, begin, goal, duration))
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

    def offer(self, requests: Callable[[int], tuple[Request, ...]]) -> None:
        """Send what need not be waited for, such as a gripper's switch; refusals are among the news.

        Args:
            requests: Builds them from the number of the first.
        """
        for request in self._made(requests):
            self._send(request, offered=True)

    def outlive(self, age: float) -> None:
        """Wait no longer for numbered answers to what was offered longer ago than `age` s.

        A controller may answer a motion only when the arm stands again, which during a stream of them is never. Whoever
        calls this has seen the arm follow.
        """
        before = self.port.clock.now() - age
        self._waiting = [
            s
            for s in self._waiting
            if not (s.offered and s.request.unique and s.deadline - s.request.patience - self.margin < before)
        ]

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
                self._tell_halt()
                told = clock.now()  # some answer only once they stand
            try:
                joints, activity = self._watched() if tell else self._stated()
            except LinkLostError:
                raise
            except (BusError, SafetyError):
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
