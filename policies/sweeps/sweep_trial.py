"""One trial of a sweep: a training like any other, in its own folder, that gives up when it is clearly worse."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ...robots.errors import RefusedError
from ..crews.crew import Crew, LocalCrew
from ..train import train
from ..training.outcome import VALIDATION
from ..training.recipe import Recipe

SUCCESS = ("imitate/success", "scratch/success")  # what a run reports after a round of imitation, or at a barrier
WARM_UP = 2  # rounds before which nobody is judged


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialJob:
    """What to train.

    Attributes:
        number: Of the trial.
        task: Task name.
        robot: Robot name.
        out: Folder of the run, which all machines see.
        recipe: How.
        steps: As for `train`.
        seed: As for `train`.
        floor: Median success of the finished trials after each round; empty while there are too few.
    """

    number: int
    task: str
    robot: str
    out: Path
    recipe: Recipe
    steps: int | None
    seed: int
    floor: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """What came out.

    Attributes:
        number: Of the trial.
        state: "complete", "pruned" or "failed".
        curve: Success after each round.
        success: Success rate over the last validation.
        cycle_time: Mean time to success there, s.
        score: See `score`.
        seconds: Wall time of the training, s.
        words: Why it failed.
    """

    number: int
    state: str
    curve: tuple[float, ...] = ()
    success: float = 0.0
    cycle_time: float = 0.0
    score: float = 0.0
    seconds: float = 0.0
    words: str = ""


class Worse(Exception):  # noqa: N818 - not an error
    """A trial is clearly worse than those before it."""


class _Watch:
    """Looks at a run after every round and ends it when it is clearly worse."""

    def __init__(self, floor: tuple[float, ...]) -> None:
        self.curve: tuple[float, ...] = ()
        self._floor = floor

    def __call__(self, history: Sequence[Mapping[str, float]]) -> None:
        self.curve = tuple(point[key] for point in history for key in SUCCESS if key in point)
        rounds = len(self.curve)
        if WARM_UP < rounds <= len(self._floor) and max(self.curve) < self._floor[rounds - 1]:
            raise Worse


def score(success: float, cycle_time: float) -> float:
    """Success and cycle time in one number: one more success of the validation outweighs any cycle time.

    Args:
        success: Success rate.
        cycle_time: Mean time to success, s.
    """
    return success + 1.0 / (1.0 + cycle_time) / (VALIDATION + 1)


def run_trial(job: TrialJob, crew: Crew | None = None) -> TrialResult:
    """Train, from the checkpoint if there is one.

    Args:
        job: What.
        crew: Who runs the episodes; this process if not given.
    """
    watch = _Watch(job.floor)
    try:
        with closing(LocalCrew(0)) as here:
            done = train(
                task=job.task,
                robot=job.robot,
                out=job.out,
                recipe=job.recipe,
                steps=job.steps,
                seed=job.seed,
                resume=(job.out / "checkpoint.pt").exists(),
                crew=crew or here,
                quiet=True,
                watch=watch,
            )
    except Worse:
        return TrialResult(number=job.number, state="pruned", curve=watch.curve, success=max(watch.curve))
    except RefusedError as error:
        return TrialResult(number=job.number, state="failed", words=str(error))
    return TrialResult(
        number=job.number,
        state="complete",
        curve=watch.curve,
        success=done.success,
        cycle_time=done.cycle_time,
        score=score(done.success, done.cycle_time),
        seconds=done.seconds,
    )
