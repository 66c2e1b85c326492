"""The technician's verbs: one file each with `run`, whose first line is its help, and `arguments`.

`run` takes parsed options and returns what to print and the exit code: 0 done, 3 refused, 4 the bench is not as it must
be. Heavy imports wait until it is called. Every question a verb might ask has an option; every verb takes --json.
"""

import argparse
from collections.abc import Callable

from . import calibrate, doctor, home, jog, monitor, park, ports, release, scan, setup

Verb = Callable[[argparse.Namespace], tuple[str, int]]
Declare = Callable[[argparse.ArgumentParser], None]

VERBS: dict[str, tuple[Verb, Declare]] = {
    "ports": (ports.run, ports.arguments),
    "doctor": (doctor.run, doctor.arguments),
    "scan": (scan.run, scan.arguments),
    "home": (home.run, home.arguments),
    "park": (park.run, park.arguments),
    "jog": (jog.run, jog.arguments),
    "release": (release.run, release.arguments),
    "monitor": (monitor.run, monitor.arguments),
    "setup": (setup.run, setup.arguments),
    "calibrate": (calibrate.run, calibrate.arguments),
}
