"""Requests to a controller and the answers that belong to them; no answer counts for a request it was not given to.

    numbered       #25 ...  <->  $25 ok       a number is waited for once; whatever comes with another is late
    not numbered   ok, <...>, code and control  found by tag, in order; a tag is in doubt while an old answer may come

An answer of some tag leaves a doubt: a repetition of it may still be on the wire; one that did not come in time leaves
two. A wire does not reorder, so a doubt ends when a later request of another tag is answered: a fence is asked for that
purpose. Where one byte asks and no fence can stand behind it, it is asked once more than there are doubts, and the last
answer counts.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields

from ..robots.errors import BusError, SafetyError
from .language import Activity, Event, Kind, Language, Request
from .ports import Port

MARGIN = 0.1  # s beyond wire time and the controller's own: USB frames, latency timers, a busy machine
LONGEST_ANSWER = 80  # bytes, for the wire time of an answer
QUIET = 0.005  # s beyond wire time after which no answer is on its way
AGAIN = 3  # times a byte that asks is repeated beyond what doubts demand
MOST_OLD = 3  # old answers to a byte that may come at once: a controller gives one report to any number of them
KEPT_NEWS = 100


class SilentError(BusError):
    """A controller did not answer in time."""


@dataclass(slots=True)
class LinkStatistics:
    """Counters since the link was opened.

    Attributes:
        requests: Requests that were sent.
        answers: Answers that were accepted.
        timeouts: Answers that did not come in time.
        late_answers: Answers that belonged to no request that waits: late or repeated.
        refusals: Requests that the controller refused.
        fences: Requests that only told old answers from new ones.
        implausible: States dropped because no joint is that fast.
        restarts: Times the controller started anew without having been told to.
        stray_bytes: Bytes that belonged to no message.
        checksum_errors: Frames whose checksum was wrong.
    """

    requests: int = 0
    answers: int = 0
    timeouts: int = 0
    late_answers: int = 0
    refusals: int = 0
    fences: int = 0
    implausible: int = 0
    restarts: int = 0
    stray_bytes: int = 0
    checksum_errors: int = 0

    def as_dict(self) -> dict[str, int]:
        """Counters by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(slots=True)
class Sent:
    """A request that waits for its answer.

    Attributes:
        request: What was sent.
        order: How many requests were sent before.
        deadline: When it is given up, s.
        offered: Whether nobody stands waiting for it.
        event: Its answer.
    """

    request: Request
    order: int
    deadline: float
    offered: bool
    event: Event | None = None

    def answered(self) -> bool:
        """Whether its answer has come."""
        return self.event is not None


@dataclass(slots=True)
class Doubt:
    """Old answers of a tag that may still come.

    Attributes:
        order: Order of the request whose answer is in doubt.
        count: How many may come.
        blocked: Whether it waits in a buffer, where it may be held up by motions.
    """

    order: int
    count: int
    blocked: bool


class Answers:
    """A port, the language of the controller behind it, and who waits for what.

    Attributes:
        port: The wire.
        language: How the controller speaks.
        statistics: What happened so far.
        news: Refusals of offered requests, alarms and restarts that nobody has fetched yet.
        last_queued: Number of the last command that the controller put into its queue.
        alarm: What it said when it raised an alarm; empty since it was reset or cleared.
    """

    def __init__(self, port: Port, language: Language, margin: float) -> None:
        """Take over an open port."""
        self.port = port
        self.language = language
        self.margin = margin
        self.statistics = LinkStatistics()
        self.news: deque[Event] = deque(maxlen=KEPT_NEWS)
        self.last_queued = 0
        self.alarm = ""
        self._parser = language.parser()
        self._byte_time = 10.0 / port.baud_rate
        self._waiting: list[Sent] = []
        self._doubts: dict[str, Doubt] = {}
        self._order = 0
        self._number = 1
        self._reset_asked = False

    # ---- out

    def _made(self, build: Callable[[int], tuple[Request, ...]]) -> tuple[Request, ...]:
        """Build requests with numbers that nobody waits for."""
        numbers = self.language.traits.numbers
        if self._number + 20 > numbers:
            self._number = 1
        requests = build(self._number)
        self._number += len(requests)
        return requests

    def _send(self, request: Request, *, offered: bool = False) -> Sent:
        self._order += 1
        self.statistics.requests += 1
        wire = (len(request.data) + LONGEST_ANSWER) * self._byte_time
        deadline = self.port.clock.now() + wire + self.margin + request.patience
        sent = Sent(request, self._order, deadline, offered)
        if request.tag:
            self._waiting.append(sent)
        self.port.write(request.data)
        return sent

    def _ask(self, request: Request) -> Event | None:
        """Send a request and wait for its own answer.

        Raises:
            SilentError: If none comes in time.
            SafetyError: If the controller raises an alarm instead.
            BusError: If it restarts meanwhile.
        """
        if not request.tag:
            self._send(request)
            return None
        doubt = None if request.unique else self._doubts.get(request.tag)
        if doubt is not None and not request.room:
            return self._ask_again(request, doubt.count)
        if doubt is not None:
            self._fence(request.tag)
        sent = self._send(request)
        self._wait(sent)
        self._settled(sent)
        return sent.event

    def _ask_again(self, request: Request, old: int) -> Event | None:
        """Ask by one byte until one more answer has come than old ones may come; the last was asked for just now."""
        self.statistics.fences += old
        came = 0
        for count in range(1, old + AGAIN + 1):
            sent = self._send(request)
            try:
                self._wait(sent)
            except SilentError:
                if count == old + AGAIN:
                    raise
                continue
            came += 1
            if came > old:
                break
        # Where old answers did come, as many new ones are still on their way.
        quiet = self.port.clock.now() + 2.0 * LONGEST_ANSWER * self._byte_time + QUIET
        while self.port.clock.now() < quiet:
            self._listen(quiet)
        self._settled(sent)
        self._doubts[request.tag].count = min(max(count - came, 1), MOST_OLD)
        return sent.event

    def _fence(self, tag: str) -> None:
        """Ask something else, until no old answer of a tag can be on the wire."""
        for fence in self._made(self.language.fences):
            if fence.tag == tag or (fence.room and fence.tag in self._doubts):
                continue
            self.statistics.fences += 1
            try:
                self._ask(fence)
            except SilentError:
                continue
            if tag not in self._doubts:
                return
        quiet = self.port.clock.now() + self.margin
        while self.port.clock.now() < quiet:
            self._listen(quiet)
        # What was asked last can be asked again: an old answer to it comes behind any to what was asked before.
        self._doubts = {kept: doubt for kept, doubt in self._doubts.items() if kept == tag or not doubt.blocked}
        raise SilentError(
            f"{self._name()} answers no question that tells old answers from new ones: "
            "check cable, power and baud rate, or wait until it stands"
        )

    # ---- in

    def _wait(self, sent: Sent) -> None:
        restarts = self.statistics.restarts
        while not sent.answered():
            now = self.port.clock.now()
            self._listen(sent.deadline)
            if sent.answered():
                return
            if self.statistics.restarts != restarts:
                raise BusError(f"{self._name()} has started anew by itself: its position may be lost, home it")
            if self.alarm and sent.request.room and not self.language.traits.checked:
                self._give_up(sent)
                raise SafetyError(f"{self._name()} raised {self.alarm}")
            if now >= sent.deadline:
                self._give_up(sent)
                raise SilentError(
                    f"{self._name()} does not answer: check cable, power and baud rate"
                    + (f"; it last raised {self.alarm}" if self.alarm else "")
                )

    def _listen(self, deadline: float) -> None:
        """Take in what comes until the deadline, at least once."""
        chunk = self.port.read(1, deadline)
        events = self._parser.feed(chunk)
        if not chunk:
            events += self._parser.end()
        for event in events:
            self._take(event)
        self.statistics.stray_bytes = self._parser.stray_bytes
        self.statistics.checksum_errors = self._parser.checksum_errors

    def _take(self, event: Event) -> None:
        if event.kind is Kind.READY:
            self._started(event)
        elif event.kind is Kind.ALARM:
            self.alarm = event.text
            self.news.append(event)
        elif event.kind is not Kind.NOTE:
            sent = next((s for s in self._waiting if s.request.tag == event.tag), None)
            if sent is None:
                self.statistics.late_answers += 1
                return
            self._waiting.remove(sent)
            sent.event = event
            self.statistics.answers += 1
            if event.queued is not None:
                self.last_queued = event.queued
            if event.kind is Kind.REFUSED:
                self.statistics.refusals += 1
                if sent.offered:
                    self.news.append(event)
            if sent.offered:
                self._settled(sent)
                self._overtaken(sent)

    def _overtaken(self, sent: Sent) -> None:
        """Offered requests are answered in order: what lies before an answered one has lost its answer."""
        if sent.request.unique:
            for other in [s for s in self._waiting if s.offered and s.order < sent.order]:
                self._give_up(other)

    def _started(self, event: Event) -> None:
        wanted = next((s for s in self._waiting if s.request.tag == "ready"), None)
        if wanted is None and "ready" in self._doubts:
            self.statistics.late_answers += 1
            return
        self._waiting.clear()
        self._doubts = {"ready": Doubt(self._order, 1, blocked=False)}
        self.alarm = ""
        if wanted is not None:
            wanted.event = event
            self.statistics.answers += 1
        else:
            self.statistics.restarts += 1
            self.news.append(event)

    def _settled(self, sent: Sent) -> None:
        """An answer that was surely given to this request ends the doubts about what was sent before it."""
        report = sent.event.report if sent.event is not None else None
        busy = report is not None and report.activity in {Activity.MOVING, Activity.HELD, Activity.HOMING}
        self._doubts = {
            tag: doubt for tag, doubt in self._doubts.items() if doubt.order >= sent.order or (busy and doubt.blocked)
        }
        if not sent.request.unique:
            self._doubts[sent.request.tag] = Doubt(sent.order, 1, blocked=False)

    def _give_up(self, sent: Sent) -> None:
        if sent in self._waiting:
            self._waiting.remove(sent)
        self.statistics.timeouts += 1
        if not sent.request.unique:
            before = self._doubts.get(sent.request.tag)
            count = 2 + (before.count if before else 0)
            self._doubts[sent.request.tag] = Doubt(sent.order, min(count, MOST_OLD), blocked=sent.request.room > 0)

    def _name(self) -> str:
        return f"the {self.language.name} controller on {self.port.name}"
