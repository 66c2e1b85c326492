"""Arguments that several verbs share, so that the same word means the same everywhere."""

import argparse


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
