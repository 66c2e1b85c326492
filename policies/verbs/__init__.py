"""The verbs that concern policies alone: one file each with `run`, whose first line is its help, and `arguments`.

A verb takes parsed options and returns what to print and the exit code; heavy imports wait until it is called.
"""

import argparse
from collections.abc import Callable

from . import compare, demos, evaluate, pack, report, sweep, train

Verb = Callable[[argparse.Namespace], tuple[str, int]]
Declare = Callable[[argparse.ArgumentParser], None]

VERBS: dict[str, tuple[Verb, Declare]] = {
    "demos": (demos.run, demos.arguments),
    "train": (train.run, train.arguments),
    "sweep": (sweep.run, sweep.arguments),
    "pack": (pack.run, pack.arguments),
    "evaluate": (evaluate.run, evaluate.arguments),
    "compare": (compare.run, compare.arguments),
    "report": (report.run, report.arguments),
}
