"""The command line, the only place that knows all rooms: `genba VERB ...`, the same as `python -m genba`.

Verbs that stay in one room live there, those that join rooms are here. Each imports what it needs when it is called, so
that `genba --help` answers at once and a bench without a simulator can still run a policy. Exit codes: 0 ok, 1 task
failed, 2 safety violated, 3 refused, 4 infrastructure, 130 interrupted.
"""

import argparse
import errno
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NoReturn, TextIO

from . import __version__
from .robots.errors import GenbaError, RefusedError
from .robots.table import as_json, as_text

INTERRUPTED = 130
FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
EXTRAS = {
    "gymnasium": "sim",
    "pybullet": "sim",
    "pybullet_data": "sim",
    "torch": "train",
    "stable_baselines3": "train",
    "sb3_contrib": "train",
    "tensorboard": "train",
    "ray": "ray",
    "optuna": "sweep",
    "pyarrow": "data",
}


class Parser(argparse.ArgumentParser):
    """argparse, but a wrong argument is refused like every other bad input: one line, exit code 3."""

    def error(self, message: str) -> NoReturn:
        """Refuse.

        Raises:
            RefusedError: Always.
        """
        raise RefusedError(f"{message}; see `{self.prog} --help`")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        arguments: Without the program's name; the process's own if not given.

    Returns:
        Exit code.
    """
    _mend_streams()
    debug = False
    try:
        signal.signal(signal.SIGTERM, _terminate)
        # A shell that starts a job in the background lets it ignore SIGINT; an arm must stop for it all the same.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # ignored under nohup
            signal.signal(signal.SIGHUP, _terminate)
        options = _parser().parse_args(arguments)
        debug = options.debug
        logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="genba: %(message)s")
        return _do(options)
    except GenbaError as error:
        if debug:
            raise
        return _say(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    except BrokenPipeError:
        _drop(sys.stdout)  # whoever read along has gone, and with them the wish that this goes on
        return INTERRUPTED
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0])
        if extra is None or debug:
            return _unknown(error, debug=debug)
        return _say(f"this needs {error.name}, which is not installed: pip install 'genba[{extra}]'", 3)
    except Exception as error:
        # The floor under every verb: whatever it is, people get one line and the developer gets the traceback.
        return _unknown(error, debug=debug)


def _do(options: argparse.Namespace) -> int:
    text, code = verbs()[options.verb][0](options)
    try:
        if text:
            print(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop(sys.stdout)  # what was to be done is done, and how it ended is in the exit code
    except OSError as error:
        _drop(sys.stdout)
        return _say(f"standard output cannot be written ({error.strerror or error}): give it another place", code or 4)
    return code


def _mend_streams() -> None:
    """Give a program that was started without them its three streams, and let none fail for a letter it cannot show."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - for good
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _drop(stream: TextIO) -> None:
    """Let what a stream still holds, and all that follows, go nowhere, else Python fails once more when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _parser() -> Parser:
    parser = Parser(prog="genba", description="Train a policy in a simulated work cell, run it on a real lab arm.")
    parser.add_argument("--version", action="version", version=f"genba {__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks and log more")
    parsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    for name, (function, add) in verbs().items():
        text = (function.__doc__ or "").strip().splitlines()[0].rstrip(".")
        add(parsers.add_parser(name, help=text[0].lower() + text[1:], description=text + "."))
    return parser


def _terminate(number: int, frame: object) -> None:
    """A polite kill, or a terminal that is closed, ends like Ctrl-C: the arm is stopped first."""
    raise KeyboardInterrupt


def _say(text: str, code: int) -> int:
    with suppress(OSError):  # a terminal that is gone must not change how this ends
        sys.stderr.write(f"genba: {' '.join(text.split())}\n")
        sys.stderr.flush()
    return code


def _unknown(error: Exception, *, debug: bool) -> int:
    import tempfile
    import traceback

    if debug:
        traceback.print_exception(error)
        return 4
    if isinstance(error, OSError) and error.errno in FULL:
        place = error.filename or "a file or the standard output"
        return _say(f"{place} cannot be written ({error.strerror}): free some space, or name another place", 4)
    try:
        handle, name = tempfile.mkstemp(prefix="genba-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"genba {__version__} {sys.argv[1:]}\n")
            traceback.print_exception(error, file=file)
        details = f"the details are in {name}"
    except OSError as trouble:
        details = f"for the details, for which there is no room here ({trouble.strerror}), add --debug"
    return _say(f"{type(error).__name__}: {error or 'no further word'}; {details}", 4)


def list_things(options: argparse.Namespace) -> tuple[str, int]:
    """List robots, tasks, protocols of servos and controllers, or shipped policies."""
    rows: list[dict[str, object]]
    if options.what == "robots":
        from .robots.catalogue import load_robot, robot_names

        rows = []
        for robot in map(load_robot, robot_names()):
            bus = robot.bus.protocol if robot.bus else None
            rows.append({"name": robot.name, "joints": len(robot.joints), "protocol": bus, "title": robot.title})
    elif options.what == "tasks":
        from .envs.tasks import load_task, task_names

        rows = [{"name": name, "title": load_task(name).title} for name in task_names()]
    elif options.what == "protocols":
        from .drivers.protocols import language_names, protocol_names

        rows = [{"name": name, "kind": "servos"} for name in protocol_names()]
        rows += [{"name": name, "kind": "controller"} for name in language_names()]
    else:
        from .policies.catalogue import policies

        rows = [entry.to_json() for entry in policies()]
    return as_text(rows, json_wanted=options.json), 0


def list_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `list`."""
    parser.add_argument("what", choices=("robots", "tasks", "protocols", "policies"))
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Run a policy on an arm, real or virtual."""
    from contextlib import ExitStack, closing

    from .drivers.cameras import Cameras
    from .drivers.opening import open_arm
    from .drivers.senses import RemoteSense
    from .drivers.wired import bus_of
    from .policies.catalogue import find_policy
    from .policies.pages.progress import progress_bar
    from .policies.run import PolicyRun
    from .robots.catalogue import load_robot
    from .robots.files import check_target
    from .robots.recorder import Recorder

    bundle = find_policy(options.bundle)
    robot = load_robot(bundle.manifest.robot.name)
    bundle.check_robot(robot)
    bus_of(robot)
    if options.record is not None:
        check_target(options.record)
    recorder = Recorder(robot) if options.record else None
    eyes = bundle.manifest.eyes
    sizes = {view.name: (eyes.height, eyes.width) for view in eyes.views} if eyes else {}
    with ExitStack() as stack:
        named = dict(options.camera)
        cameras = stack.enter_context(Cameras(named, sizes)) if sizes or named else None
        senses = [stack.enter_context(RemoteSense(url)) for url in options.sense]
        arm = stack.enter_context(closing(open_arm(robot, options.port, options.calibration)))
        work = PolicyRun(bundle, arm, senses=senses, cameras=cameras, recorder=recorder, seed=options.seed)
        arm.connect()
        arm.arm()
        with progress_bar(options.episodes, "run", quiet=options.json) as advance:
            report = work.run(options.episodes, on_episode=lambda row: advance(row.words))
    bus, code = arm.bus.statistics.as_dict(), report.exit_code
    if report.stopped:
        _say(report.stopped, code)
    if recorder is not None and recorder.rows:
        try:
            recorder.save(options.record)
        except GenbaError as error:  # a disk that has filled up meanwhile must not cost the report as well
            code = _say(str(error), code or error.exit_code)
    if options.json:
        return as_json({**report.to_json(), "bus": bus}), code
    return f"{report}\n{as_text([dict(bus)], json_wanted=False)}", code


def run_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `run`."""
    from .policies.verbs._options import natural, positive

    parser.add_argument("bundle", help="file, or name of a shipped policy")
    parser.add_argument("--port", required=True, help="serial port, pyserial URL or genba-sim://ROBOT")
    parser.add_argument("--sense", action="append", default=[], metavar="URL", help="what measures beside the arm")
    parser.add_argument(
        "--camera", action="append", default=[], type=_pair, metavar="NAME=DEVICE", help="what a policy looks through"
    )
    parser.add_argument("--episodes", type=positive, default=1)
    parser.add_argument("--seed", type=natural, default=0, help="of the first episode, for senses that lay out a world")
    parser.add_argument("--calibration", type=Path, metavar="FILE", help="of this unit; its usual place if not given")
    parser.add_argument("--record", type=Path, metavar="FILE.npz", help="write every tick")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _pair(text: str) -> tuple[str, str]:
    name, sign, device = text.partition("=")
    if not (name and sign and device):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DEVICE, such as front=0")
    return name, device


def twin(options: argparse.Namespace) -> tuple[str, int]:
    """Serve a virtual arm, exact to the byte, until Ctrl-C."""
    from .drivers.virtual.serve import serve
    from .drivers.wired import bus_of
    from .robots.catalogue import load_robot

    robot = load_robot(options.robot)
    bus_of(robot)
    if options.plant == "numpy":
        if options.task is not None or options.level is not None:
            raise RefusedError(f"a task ({options.task or 'PickPlace'}) stands in a cell: add --plant cell")
        serve(robot, ids=options.ids, kind=options.serve, baud_rate=options.baud, announce=_announce)
        return "", 0
    from .drivers.senses import SenseServer
    from .envs.world import CellWorld

    with CellWorld(options.task or "PickPlace", robot, seed=options.seed, level=options.level) as world:
        rate = robot.control_rate_hz
        senses = SenseServer(world.sample, reset=world.reset, judge=world.judge, rate_hz=rate)
        serve(
            robot,
            ids=options.ids,
            kind=options.serve,
            baud_rate=options.baud,
            plant=world,
            sense_server=senses,
            announce=_announce,
        )
    return "", 0


def demo(options: argparse.Namespace) -> tuple[str, int]:
    """Train a policy, then run the same file over a serial bus on virtual arms; leaves a report."""
    from .drivers.virtual.process import TwinProcess
    from .policies.demo import demo as work

    def make_twin(arguments: Sequence[str], senses: bool) -> TwinProcess:
        return TwinProcess(arguments, senses=senses)

    return work(options.out, make_twin, episodes=options.episodes, say=_announce)


def demo_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `demo`."""
    from .policies.verbs._options import positive

    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for the run and its report")
    parser.add_argument("--episodes", type=positive, default=20, help="over the wire, for each policy")


def _announce(text: str) -> None:
    print(text, flush=True)


def twin_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `twin`."""
    from .policies.verbs._options import natural

    parser.add_argument("--robot", default="so101")
    parser.add_argument("--ids", type=_numbers, metavar="1,2,...", help="servos that are present; all if not given")
    parser.add_argument("--serve", choices=("pty", "tcp"), default="pty" if os.name == "posix" else "tcp")
    parser.add_argument("--baud", type=int, help="rate the servos are set to")
    parser.add_argument("--plant", choices=("numpy", "cell"), default="numpy", help="what the servos move")
    parser.add_argument("--task", help="what stands in the cell; PickPlace if not given")
    parser.add_argument("--level", help="degree of difficulty, where the task has several")
    parser.add_argument("--seed", type=natural, default=0, help="where it stands")


def _numbers(text: str) -> list[int]:
    try:
        return [int(item) for item in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers such as 1,2,3") from error


Verb = Callable[[argparse.Namespace], tuple[str, int]]
Declare = Callable[[argparse.ArgumentParser], None]


@cache
def verbs() -> dict[str, tuple[Verb, Declare]]:
    """All verbs; imported only now, when Ctrl-C already ends in one line."""
    from .drivers.verbs import VERBS as BENCH
    from .policies.verbs import VERBS as POLICIES

    return {
        "demo": (demo, demo_arguments),
        "list": (list_things, list_arguments),
        **POLICIES,
        "run": (run, run_arguments),
        "twin": (twin, twin_arguments),
        **BENCH,
    }


if __name__ == "__main__":
    sys.exit(main())
