"""Arguments that several verbs share, so that the same word means the same everywhere."""

import argparse
import sys
from pathlib import Path

from ...robots.errors import RefusedError


def port(parser: argparse.ArgumentParser) -> None:
    """The port, first and without a dash."""
    parser.add_argument("port", metavar="PORT", help="serial port, pyserial URL or genba-sim://ROBOT")


def machine(parser: argparse.ArgumentParser) -> None:
    """JSON for machines."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def numbers(text: str) -> list[int]:
    """Whole numbers and stretches of them, as in 1-6,9, for argparse.

    Raises:
        ArgumentTypeError: If it is anything else.
    """
    found: list[int] = []
    for item in text.split(","):
        first, dash, last = item.partition("-")
        try:
            found += range(int(first), int(last if dash else first) + 1)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers such as 1-6,9") from error
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} holds no number")
    return list(dict.fromkeys(found))


def seconds(text: str) -> float:
    """A time of at least 0 s, for argparse.

    Raises:
        ArgumentTypeError: If it is anything else.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no time in seconds")
    return value


def robot(parser: argparse.ArgumentParser) -> None:
    """The arm and the calibration of this unit."""
    parser.add_argument("--robot", default="so101", help="so101 if not given")
    parser.add_argument("--calibration", type=Path, metavar="FILE", help="of this unit; its usual place if not given")


def speed(parser: argparse.ArgumentParser, default: float) -> None:
    """How fast."""
    text = f"share of the arm's speed limits, 0.02 to 1; {default:g} if not given"
    parser.add_argument("--speed", type=float, default=default, help=text)


def confirm(question: str, *, yes: bool, answer: str = "yes") -> None:
    """Go on only when somebody agrees: by --yes beforehand, or by typing a word.

    Args:
        question: What will happen, one line.
        yes: Whether --yes was given.
        answer: What is to be typed.

    Raises:
        RefusedError: If nobody agrees, or nobody can be asked.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise RefusedError(f"{question}; nothing was done: add --yes")
    sys.stderr.write(f"{question}\ntype {answer} to go on: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != answer:
        raise RefusedError("not confirmed; nothing was done")
