"""What a training came to, as one page: figures, curves, five successes to look at, and every kind of failure.

Everything is made from the folder of the run, so it can be made again, also of a run that is over for long.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .bundle import PolicyBundle
from .clip import Film, film
from .crews.crew import Crew, LocalCrew
from .evaluate import Evaluation, Trial, evaluate
from .pack import pack
from .pages.plot import Panel, Plot, Series
from .pages.report import Clip, Section, Table, Text, write_report
from .robustness import TROUBLES, Borne, bear
from .training.checkpoint import load_checkpoint
from .training.outcome import BEFORE, IMPROVED, WARM_START
from .training.run_folder import show_clip

EPISODES = 100
EACH = 20  # episodes under each trouble
SUCCESSES = 5
CURVES = (  # what a curve is called, and in what unit it counts
    ("imitate/success", "success of the learner's own episodes", "rate"),
    ("imitate/loss", "distance to the expert's actions", "loss"),
    ("imitate/level", "level of the curriculum", "number"),
    ("improve/success", "success of the best so far", "rate"),
    ("improve/cycle_time", "cycle of the best so far", "s"),
    ("scratch/success", "success at each barrier", "rate"),
    ("scratch/cycle_time", "cycle at each barrier", "s"),
    ("scratch/return", "sum of rewards of an episode at each barrier", "reward"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What a training came to.

    Attributes:
        path: The page.
        result: What the policy can do.
        borne: What reinforcement learning did for success under every trouble; nothing where there was none.
    """

    path: Path
    result: Evaluation
    borne: tuple[Borne, ...] = ()

    @property
    def words(self) -> list[str]:
        """What is said of it at the end of a training."""
        said = [f"over {EPISODES} other seeds: {self.result.rate}"]
        if self.borne:
            before, after = sum(b.before.successes for b in self.borne), sum(b.after.successes for b in self.borne)
            of = sum(b.after.episodes for b in self.borne)
            said.append(f"under {len(self.borne)} kinds of trouble: {after}/{of}; {BEFORE[IMPROVED]}: {before}/{of}")
        return [*said, f"report: {self.path}"]

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts."""
        borne = {
            b.trouble: {"before": b.before.successes, "after": b.after.successes, "episodes": b.after.episodes}
            for b in self.borne
        }
        return {"report": str(self.path), **self.result.to_json(), "borne": borne}


def training_report(
    folder: Path, *, crew: Crew | None = None, on_step: Callable[[str], None] | None = None
) -> Reported:
    """Write `report.html` into the folder of a finished run, and a clip for TensorBoard.

    Args:
        folder: What `genba train` made.
        crew: Who runs the episodes; this process if not given.
        on_step: Called with a few words after each of `steps(folder)` steps.

    Returns:
        The page, and what it shows.

    Raises:
        RefusedError: If the run is not finished.
        DiskError: If the page cannot be written.
    """
    say = on_step or (lambda words: None)
    bundle = pack(folder)
    saved = load_checkpoint(folder / "checkpoint.pt")
    done = 0

    def show(trial: Trial) -> None:
        nonlocal done
        done += trial.success
        say(f"{done} succeeded")

    recipe = saved["identity"]["recipe"]
    result = evaluate(bundle, EPISODES, randomize=recipe["randomize"], crew=crew, on_episode=show)
    warm = folder / WARM_START
    borne: tuple[Borne, ...] = ()
    if warm.exists():
        borne = bear(pack(warm), bundle, EACH, crew=crew, on_episode=lambda trial: say("what it bears"))
    sections: list[Section] = [_figures(bundle, result, saved), *_borne(borne), *_curves(saved["history"])]
    shown = chosen(result.trials)
    films = [
        Film(bundle=bundle, trial=trial, randomize=recipe["randomize"], gif=k == 0)
        for k, (trial, _) in enumerate(shown)
    ]
    drawn = film(crew or LocalCrew(0), films, on_clip=lambda: say("clips"))
    for (trial, title), clip in zip(shown, drawn, strict=True):
        faster = f", {clip.faster:.0f} times as fast" if clip.faster > 1.0 else ""
        caption = f"Seed {trial.seed}, {trial.cycle_time:.1f} s{faster}."
        sections.append(Clip(title=title, data=clip.data, caption=caption))
    if drawn:
        show_clip(folder, shown[0][1], drawn[0].gif, drawn[0].shape)
    sections.append(Text(title="How to make it again", text=f"`{bundle.manifest.provenance.command}`"))
    manifest = bundle.manifest
    path = folder / "report.html"
    write_report(
        path,
        title=f"{manifest.task.name} on {manifest.robot.name}",
        intro=(
            f"Trained with {manifest.provenance.algorithm}, seed {manifest.provenance.seed}, in "
            f"{manifest.provenance.seconds:.0f} s and {manifest.provenance.steps} steps. Judged here over {EPISODES} "
            "episodes with seeds that training never used, by the numpy inference that runs on the bench."
        ),
        sections=sections,
    )
    return Reported(path=path, result=result, borne=borne)


def chosen(trials: Sequence[Trial]) -> list[tuple[Trial, str]]:
    """Which episodes are shown: the first successes, and the first of every kind of failure."""
    good = [trial for trial in trials if trial.success][:SUCCESSES]
    found = [(trial, f"Success {k}") for k, trial in enumerate(good, 1)]
    kinds: dict[str, Trial] = {}
    for trial in trials:
        if not trial.success:
            kinds.setdefault(" and ".join(trial.failed_terms), trial)
    count = {kind: sum(" and ".join(t.failed_terms) == kind and not t.success for t in trials) for kind in kinds}
    return found + [(trial, f"Failed by {kind} ({count[kind]} of {len(trials)})") for kind, trial in kinds.items()]


def _figures(bundle: PolicyBundle, result: Evaluation, saved: dict[str, Any]) -> Table:
    rows: list[tuple[str, str]] = [
        ("success", str(result.rate)),
        ("cycle, mean", f"{result.cycle_time.mean:.2f} s"),
        ("cycle, 95 % below", f"{result.cycle_time.p95:.2f} s"),
        *(("failed by", f"{name}: {count}") for name, count in result.failures.items()),
        ("changed by the envelope", f"{sum(result.interventions.values()) / max(result.ticks, 1):.1%} of the ticks"),
        ("episodes differ by", str(saved["identity"]["recipe"]["randomize"])),
        ("differs from torch by", f"{bundle.verify():.1g}"),
    ]
    before = saved.get("best", {}).get("before")
    who = BEFORE.get(saved["identity"]["recipe"]["algorithm"])
    if before is not None and who is not None:
        best = saved["best"]
        rows.insert(1, (who, f"success {before[0]:.1%}, cycle {before[1]:.2f} s"))
        rows.insert(2, ("the policy, same seeds", f"success {best['success']:.1%}, cycle {best['cycle_time']:.2f} s"))
    return Table(title="What it can do", rows=rows)


def _borne(borne: Sequence[Borne]) -> list[Section]:
    if not borne:
        return []
    return [
        Table(
            title="What it bears",
            columns=("", BEFORE[IMPROVED], "the policy"),
            rows=[(b.trouble, *(f"{r.successes}/{r.episodes}" for r in (b.before, b.after))) for b in borne],
            caption=f"The same {EACH} seeds for both; `genba evaluate --grid` measures every strength.",
        )
    ]


def _curves(history: Sequence[dict[str, float]]) -> list[Section]:
    panels = []
    for key, title, unit in CURVES:
        points = [(row["step"], row[key]) for row in history if key in row and math.isfinite(row[key])]
        if len(points) > 1:
            x, y = zip(*points, strict=True)
            shown = (0.0, 1.0) if unit == "rate" else ()
            panels.append(Panel(title=title, y_label=unit, series=(Series(label="training", x=x, y=y),), shown=shown))
    return [Plot(title="How it learned", panels=tuple(panels), x_label="environment steps")] if panels else []


def steps(folder: Path) -> int:
    """How often `on_step` is called at least: once per episode, then once per clip."""
    return EPISODES + SUCCESSES + (2 * EACH * len(TROUBLES) if (folder / WARM_START).exists() else 0)
