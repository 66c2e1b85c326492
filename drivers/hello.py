"""Find out whether a controller that takes commands is behind a port, and in which language it answers.

    open once -> ask in every language in turn, until one answers or the longest start-up is over

A board may restart when its port is opened, hence once. Only questions are asked, each after an empty line, so that
what one language left unfinished does not spoil the next; nothing moves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .language import Event, Kind, Language
from .ports import Port

ANSWER = 0.15  # s that a controller which is awake may take to answer


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundController:
    """A controller that answers.

    Attributes:
        language: Catalogue name of the command language.
        baud_rate: At which rate.
        activity: What it does; None where its answer does not tell.
        alarms: What it complains of, each with its cure.
    """

    language: str
    baud_rate: int
    activity: str | None
    alarms: tuple[str, ...]


def greet(port: Port, languages: Sequence[Language], *, awake: bool) -> FoundController | None:
    """Ask in each language until one is answered.

    Args:
        port: The wire, just opened.
        languages: What may be spoken there.
        awake: Whether to ask once only, as a controller deserves that did not restart when its port was opened.

    Returns:
        Who answered; None if nobody did.

    Raises:
        LinkLostError: If the port is lost.
    """
    deadline = port.clock.now() + max(language.traits.boot for language in languages)
    again = True
    while again:
        again = not awake and port.clock.now() + len(languages) * ANSWER < deadline
        for language in languages:
            answers = _ask(port, language)
            if answers:
                reports = [event.report for event in answers if event.report is not None]
                activity = next((r.activity for r in reports if r.activity is not None), None)
                alarms = tuple(alarm for r in reports for alarm in r.alarms or ())
                return FoundController(
                    language=language.name,
                    baud_rate=port.baud_rate,
                    activity=None if activity is None else activity.value,
                    alarms=alarms,
                )
    return None


def _ask(port: Port, language: Language) -> list[Event]:
    """Answers that tell the state, and can be of this language only."""
    requests = language.poll(1)
    tags = {request.tag for request in requests}
    parser = language.parser()
    port.flush_input()
    port.write(b"\n" + b"".join(request.data for request in requests))
    found: list[Event] = []
    until = port.clock.now() + ANSWER
    while len(found) < len(requests) and port.clock.now() < until:
        events = parser.feed(port.read(1, until))
        found += [event for event in events if event.kind is Kind.STATE and event.tag in tags]
    return found
