"""The whole road in one go: train, pack, and run the same file over a serial bus, with a report at the end.

Every step on the bench is the command a technician would type, in a process of its own: the twin, the
calibration, the run. Nothing here knows what is behind the port.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..robots.catalogue import load_robot
from ..robots.errors import BusError, RefusedError
from .bundle import PolicyBundle
from .catalogue import find_policy
from .evaluate import Evaluation, evaluate
from .pack import pack, remeasure
from .pages.media import encode_clip, encode_png
from .pages.plot import Plot, joint_plot
from .pages.progress import progress_bar
from .pages.report import Clip, Picture, Section, Table, Text, write_report
from .train import train
from .training.recipe_load import load_recipe

ROBOT = "so101"
SIMULATED = 200  # episodes of each evaluation in simulation
CLIP_SECONDS = 12.0
CLIP_FPS = 12.0


class Twin(Protocol):
    """A virtual arm that listens."""

    port: str
    sense: str | None


MakeTwin = Callable[[Sequence[str], bool], AbstractContextManager[Twin]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One policy on its way: in simulation and over the wire."""

    bundle: PolicyBundle
    simulated: Evaluation
    bench: Mapping[str, Any]
    recording: Path


def demo(out: Path, make_twin: MakeTwin, *, episodes: int = 20, say: Callable[[str], None]) -> tuple[str, int]:
    """Run the demonstration.

    Args:
        out: Folder for everything it makes.
        make_twin: Starts a twin with the given `genba twin` arguments; the flag says whether it has senses.
        episodes: Episodes over the wire for each policy.
        say: Where a line on what happens goes.

    Returns:
        The table, and an exit code: 0 if every run over the wire did its task at least nine times in ten.
    """
    started = time.monotonic()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RefusedError(f"{out}: cannot be made ({error.strerror}); name another folder with --out") from error
    say(f"1/4  training TeachPoint on {ROBOT}: a policy from nothing")
    run = out / time.strftime("teach_point_%Y%m%d_%H%M%S")
    recipe = load_recipe("TeachPoint", load_robot(ROBOT), changes=[("algorithm", "imitate")])
    outcome = train(task="TeachPoint", robot=ROBOT, out=run, recipe=recipe)
    taught = out / "TeachPoint_so101.genba"
    bundle = pack(run)
    say(f"     trained in {outcome.seconds:.0f} s")
    say(f"2/4  {SIMULATED} episodes of each policy in simulation")
    shipped = find_policy(f"PickPlace_{ROBOT}")
    judged = [_simulate(b) for b in (bundle, shipped)]
    remeasure(bundle, judged[0].measured()).save(taught)
    say(f"3/4  the same files over a serial bus: two virtual arms, {episodes} episodes each")
    legs = _bench(out, [(PolicyBundle.load(taught), taught), (shipped, shipped.source)], judged, make_twin, episodes)
    say("4/4  writing the report")
    rows = _rows(legs)
    report = out / "report.html"
    seconds = time.monotonic() - started
    write_report(
        report,
        title="genba demo",
        intro=(
            f"A TeachPoint policy was trained in {outcome.seconds:.0f} s, packed, and run through the real serial "
            "driver on a virtual SO-101 that answers byte for byte like six STS3215 servos; a shipped PickPlace "
            "policy did the same with a Bullet cell behind the servos. "
            "Part poses come from the twin's declared sense: ground truth with the task's noise and delay, "
            "not a camera."
        ),
        sections=_sections(legs, rows, outcome.seconds, seconds),
    )
    good = all(leg.bench["successes"] >= 0.9 * len(leg.bench["episodes"]) for leg in legs)
    return f"{_text(rows)}\n\nreport: {report}   ({seconds:.0f} s in all)", 0 if good else 1


def _simulate(bundle: PolicyBundle) -> Evaluation:
    with progress_bar(SIMULATED, f"     {bundle.manifest.task.name}") as advance:
        done = 0

        def show(trial: object) -> None:
            nonlocal done
            done += bool(getattr(trial, "success", False))
            advance(f"{done} succeeded")

        return evaluate(bundle, SIMULATED, on_episode=show)


def _bench(
    out: Path,
    work: Sequence[tuple[PolicyBundle, Path | None]],
    judged: Sequence[Evaluation],
    make_twin: MakeTwin,
    episodes: int,
) -> list[Leg]:
    """Start all twins, then all runs at once: each waits for its own wire and hardly needs a processor."""
    processes: list[subprocess.Popen[str]] = []
    recordings: list[Path] = []
    serve = "pty" if os.name == "posix" else "tcp"
    with ExitStack() as stack:
        for bundle, path in work:
            name = bundle.manifest.task.name
            parts = any(f.source not in ("arm", "goal") for f in bundle.manifest.spec.observation)
            arguments = ["--robot", ROBOT, "--serve", serve]
            arguments += ["--plant", "cell", "--task", name] if parts else []
            twin = stack.enter_context(make_twin(arguments, parts))
            calibration, recording = out / f"{name}_calibration.json", out / f"{name}.npz"
            _genba("calibrate", "--port", twin.port, "--robot", ROBOT, "--unit", "demo", "--file", str(calibration))
            command = ["run", str(path), "--port", twin.port, "--episodes", str(episodes), "--json"]
            command += ["--calibration", str(calibration), "--record", str(recording), "--seed", "0"]
            command += ["--sense", twin.sense] if twin.sense else []
            processes.append(stack.enter_context(_Process(command)).process)
            recordings.append(recording)
        with progress_bar(len(processes), "     over the wire") as advance:
            results = []
            for (bundle, _), process in zip(work, processes, strict=True):
                text, complaint = process.communicate()
                if not text.strip():
                    raise BusError(f"the run of {bundle.manifest.task.name} ended early: {complaint.strip()}")
                results.append(json.loads(text))
                advance(f"{bundle.manifest.task.name} {results[-1]['successes']}/{episodes}")
    return [
        Leg(bundle=bundle, simulated=simulated, bench=bench, recording=recording)
        for (bundle, _), simulated, bench, recording in zip(work, judged, results, recordings, strict=True)
    ]


class _Process:
    """A genba command that ends with its `with` block."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own arguments
            [sys.executable, "-m", "genba", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "_Process":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10.0)


def _genba(*arguments: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own interpreter and our own arguments
        [sys.executable, "-m", "genba", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BusError(f"genba {arguments[0]}: {done.stderr.strip().removeprefix('genba: ')}")


def _rows(legs: Sequence[Leg]) -> list[tuple[str, ...]]:
    """One line per figure, one column per policy."""

    def share(successes: int, total: int) -> str:
        return f"{successes}/{total}"

    def column(leg: Leg) -> list[str]:
        bench, bus = leg.bench, leg.bench["bus"]
        pace, rate = bench["pace"], leg.simulated.rate
        errors = sum(bus.get(key, 0) for key in ("timeouts", "checksum_errors", "stray_bytes", "late_replies"))
        return [
            f"{share(rate.successes, rate.episodes)}  ({rate.low:.1%} to {rate.high:.1%})",
            f"{share(bench['successes'], len(bench['episodes']))}  (judged by {bench['judged_by']})",
            f"{leg.simulated.cycle_time.mean + leg.bundle.manifest.success.hold_s:.2f} s",
            f"{np.mean([e['seconds'] for e in bench['episodes']]):.2f} s",
            f"{pace['mean_rate_hz']:.2f} Hz",
            f"{pace['overruns']:.0f} of {bench['ticks']} ticks",
            f"{1e3 * pace['p99_error_s']:.2f} ms",
            f"{errors} in {bus['requests']} requests",
            f"{bench['intervened']} of {bench['ticks']} ticks",
            f"{bench['inference_p50_us']:.0f} us",
        ]

    labels = (
        "success in simulation",
        "success over serial",
        "cycle with the hold, simulated",
        "cycle with the hold, serial",
        "loop rate",
        "overruns",
        "p99 period error",
        "bus errors",
        "envelope interventions",
        "policy inference, median",
    )
    return list(zip(labels, *(column(leg) for leg in legs), strict=True))


def _text(rows: Sequence[tuple[str, ...]]) -> str:
    table = [("", "TeachPoint", "PickPlace"), *rows]
    widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table)


def _sections(legs: Sequence[Leg], rows: Sequence[tuple[str, ...]], trained: float, total: float) -> list[Section]:
    sections: list[Section] = [
        Table(
            title="The same file, simulated and over the wire",
            columns=("", *(leg.bundle.manifest.task.name for leg in legs)),
            rows=rows,
            caption=f"Training took {trained:.0f} s, the whole demonstration {total:.0f} s.",
        )
    ]
    for leg in reversed(legs):
        sections += _pictures(leg)
        sections.append(_plot(leg))
    sections.append(
        Text(
            title="What was run",
            text="\n\n".join(_told(leg) for leg in legs),
        )
    )
    return sections


def _told(leg: Leg) -> str:
    manifest = leg.bundle.manifest
    acted = ", ".join(f"{reason} {count}" for reason, count in leg.bench["interventions"].items()) or "none"
    return f"{manifest.task.name}: trained by {manifest.provenance.command}; envelope limits that acted: {acted}."


def _pictures(leg: Leg) -> list[Section]:
    from ..envs.film import film, load_recording

    manifest = leg.bundle.manifest
    frames = film(
        load_recording(leg.recording),
        task=manifest.task.name,
        robot=load_robot(manifest.robot.name),
        spec=manifest.spec,
        seconds=CLIP_SECONDS,
        fps=CLIP_FPS,
    )
    clip = Clip(
        title=f"{manifest.task.name} on the virtual bench",
        data=encode_clip(frames, CLIP_FPS),
        caption="Drawn from the encoder readings and sensed part poses of the run over serial.",
    )
    if manifest.task.name != "PickPlace":
        return [clip]
    still = Picture(title="The cell", data=encode_png(frames[len(frames) // 4]), caption="Block, nest and SO-101.")
    return [clip, still]


def _plot(leg: Leg) -> Plot:
    from ..envs.film import load_recording

    rows = load_recording(leg.recording)
    robot = load_robot(leg.bundle.manifest.robot.name)
    count = min(len(rows["stamp"]), 12 * robot.control_rate_hz)
    stamps = np.arange(count) / robot.control_rate_hz
    return joint_plot(
        f"{leg.bundle.manifest.task.name}: joint targets against measured",
        stamps.tolist(),
        np.asarray(rows["admitted"], np.float64)[:count].tolist(),
        np.asarray(rows["joint_positions"], np.float64)[:count].tolist(),
        robot.actuator_names,
        caption="Admitted goals and encoder readings of the first seconds over serial, episodes joined.",
    )
