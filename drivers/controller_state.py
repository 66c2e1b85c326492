"""What a controller tells of itself, made of answers to questions that were asked after the call began, or refused.

Text has no checksum, so a digit may be lost in a state that parses: one that no joint is fast enough to have reached is
asked for again, and believed when it is told twice. What is wrong by less passes.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..robots.errors import BusError
from .answers import MARGIN, Answers, SilentError
from .language import Activity, Language, Report, Request
from .ports import Port

TRIES = 6  # times a question is asked that changes nothing
TOP_SPEED = 4.0  # rad/s that no joint of a desk-top arm exceeds
SLACK = 0.01  # rad that two readings of a joint at rest may differ


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


class Telling(Answers):
    """A controller that is asked for its state."""

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
