"""A search over recipes with Optuna: every trial is a training of its own, and a killed sweep goes on where it was.

What trial n is to try depends on the seed, on n, and on the trials of earlier batches; trials of one batch are trained
at the same time. So the same arguments try the same recipes, whoever trains them and however often it was interrupted.
"""

import dataclasses
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from ...robots.catalogue import load_robot
from ...robots.description import RobotDescription
from ...robots.errors import RefusedError
from ..crews.crew import Crew
from ..training.checkpoint import write_whole
from ..training.recipe import Recipe
from ..training.recipe_check import check_steps
from ..training.recipe_load import load_recipe
from .sweep_space import Axis
from .sweep_trial import TrialJob, TrialResult, run_trial

ENOUGH = 5  # complete trials from which on a worse one is given up
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
Changes = Sequence[tuple[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a sweep is about; a study is resumed with exactly this.

    Attributes:
        task: Task name.
        robot: Robot name.
        axes: What varies.
        file: Recipe with changes that all trials share.
        changes: Further ones, as for `load_recipe`.
        steps: As for `train`.
        seed: Of what is tried, and of every training.
    """

    task: str
    robot: str
    axes: tuple[Axis, ...]
    file: Path | None = None
    changes: tuple[tuple[str, Any], ...] = ()
    steps: int | None = None
    seed: int = 0

    def recipe(self, values: Changes, robot: RobotDescription) -> Recipe:
        """The recipe with these values."""
        return load_recipe(self.task, robot, file=self.file, changes=[*self.changes, *values])

    def check(self, robot: RobotDescription) -> None:
        """Refuse what no trial could be trained with.

        Raises:
            RefusedError: If nothing varies, a key is given twice, or the recipe does not take one or its values.
        """
        keys = [axis.key for axis in self.axes]
        if not keys:
            raise RefusedError("nothing varies: give --param KEY=LOW..HIGH or KEY=a,b,c")
        for key in keys:
            if keys.count(key) > 1:
                raise RefusedError(f"--param {key} is given twice")
            if key in dict(self.changes):
                raise RefusedError(f"{key} is both set and varied: give it once")
        first = [(axis.key, axis.samples[0]) for axis in self.axes]
        for axis in self.axes:
            for value in axis.samples:
                check_steps(self.recipe([*first, (axis.key, value)], robot), self.steps)

    def to_json(self, recipe: Recipe) -> dict[str, Any]:
        """What makes this sweep this sweep, with the recipe of its first values."""
        axes = {axis.key: json.loads(json.dumps(dataclasses.asdict(axis))) for axis in self.axes}
        return {
            "task": self.task,
            "robot": self.robot,
            "seed": self.seed,
            "steps": self.steps,
            "param": axes,
            "recipe": json.loads(json.dumps(recipe.to_json())),
        }


class Sweep:
    """A study, and the folder of its trials."""

    def __init__(self, plan: Plan, *, study: str, storage: str | None, out: Path, resume: bool) -> None:
        """Open or make the study; nothing is trained yet.

        Args:
            plan: What it is about.
            study: Its name.
            storage: URL as Optuna takes it; a file in `out` if not given.
            out: Folder of the trials.
            resume: Go on with a study that is there.

        Raises:
            RefusedError: If the plan is no good, the storage cannot be used, or it holds another study or none.
        """
        self.plan, self.out = plan, out
        self.robot = load_robot(plan.robot)
        plan.check(self.robot)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            out.mkdir(parents=True, exist_ok=True)
            url = storage or f"sqlite:///{out.resolve() / 'study.db'}"
            names = optuna.get_all_study_names(url)
            if (study in names) != resume:
                cure = "add --resume or give another --study" if study in names else "leave --resume out"
                there = "already there" if study in names else f"not there, only: {', '.join(names) or 'none'}"
                raise RefusedError(f"study {study!r} is {there}; {cure}")
            self.study = optuna.create_study(storage=url, study_name=study, direction="maximize", load_if_exists=resume)
        except RefusedError:
            raise
        except Exception as error:  # every database has its own
            said = str(error).splitlines()[0]
            raise RefusedError(
                f"the study cannot be kept ({said}); give --out or --storage that can be written"
            ) from error
        identity = plan.to_json(plan.recipe([(axis.key, axis.samples[0]) for axis in plan.axes], self.robot))
        there = self.study.user_attrs.get("plan", identity)
        for key, value in identity.items():
            if there[key] != value:
                raise RefusedError(f"study {study!r} is of another {key}: resume it with its own arguments")
        self.study.set_user_attr("plan", identity)

    def run(
        self, trials: int, crew: Crew, *, at_once: int = 1, on_trial: Callable[[TrialResult], None] | None = None
    ) -> list[dict[str, Any]]:
        """Train until there are enough trials.

        Args:
            trials: How many in all, resumed ones included.
            crew: Who runs the episodes of one trial, or several whole trials.
            at_once: Trials of a batch; it decides what the later ones know, so it must stay the same.
            on_trial: Called for each that ends now.

        Returns:
            A row for each trial, the best first.

        Raises:
            RefusedError: If no trial of a batch could be trained.
        """
        while batch := self._batch(trials, at_once):
            jobs = [job for _, job in batch if isinstance(job, TrialJob)]
            results = [run_trial(job, crew) for job in jobs] if at_once == 1 else crew.run(run_trial, jobs)
            done = {result.number: result for result in results}
            for trial, job in batch:
                result = done.get(trial.number) or TrialResult(number=trial.number, state="failed", words=str(job))
                done[trial.number] = result
                self._tell(trial, result)
                if on_trial is not None:
                    on_trial(result)
            if all(result.state == "failed" for result in done.values()):
                raise RefusedError(f"no trial could be trained: {next(iter(done.values())).words}")
        return self.rows()

    def _batch(self, trials: int, at_once: int) -> list[tuple[Trial, TrialJob | str]]:
        """The next trials with what to train, or why they cannot be; those that were under way come first."""
        under_way = self.study.get_trials(states=(TrialState.RUNNING,))
        found = [Trial(self.study, trial._trial_id) for trial in under_way[:at_once]]
        while len(found) < at_once and len(self.study.get_trials(deepcopy=False)) < trials:
            number = len(self.study.get_trials(deepcopy=False))
            seed = int(np.random.SeedSequence((self.plan.seed, number)).generate_state(1)[0])
            self.study.sampler = optuna.samplers.TPESampler(seed=seed)
            trial = self.study.ask()
            trial.set_user_attr("floor", self._floor())
            found.append(trial)
        return [(trial, self._job(trial)) for trial in found]

    def _job(self, trial: Trial) -> TrialJob | str:
        values = [(axis.key, axis.draw(trial)) for axis in self.plan.axes]
        try:
            recipe = self.plan.recipe(values, self.robot)
        except RefusedError as error:
            return str(error)
        return TrialJob(
            number=trial.number,
            task=self.plan.task,
            robot=self.plan.robot,
            out=self.out.resolve() / "trials" / f"{trial.number:04d}",
            recipe=recipe,
            steps=self.plan.steps,
            seed=self.plan.seed,
            floor=tuple(trial.user_attrs.get("floor", ())),
        )

    def _floor(self) -> list[float]:
        """Median over the complete trials of the best success until each round; nothing while there are few."""
        curves = [_curve(trial) for trial in self.study.get_trials(states=(TrialState.COMPLETE,))]
        if len(curves) < ENOUGH or not all(curves):
            return []
        rounds = max(map(len, curves))
        return [statistics.median(max(curve[: k + 1]) for curve in curves) for k in range(rounds)]

    def _tell(self, trial: Trial, result: TrialResult) -> None:
        for k, value in enumerate(result.curve):
            trial.report(value, k)
        for key in ("success", "cycle_time", "seconds", "words"):
            trial.set_user_attr(key, getattr(result, key))
        state = STATES[result.state]
        self.study.tell(trial, result.score if state is TrialState.COMPLETE else None, state=state)

    def rows(self) -> list[dict[str, Any]]:
        """All trials that have ended, the best first."""
        ended = [trial for trial in self.study.get_trials() if trial.state.is_finished()]
        ended.sort(key=lambda t: (t.state is not TrialState.COMPLETE, -(t.value or 0.0), t.number))
        return [
            {
                "trial": trial.number,
                "state": trial.state.name.lower(),
                "success": round(trial.user_attrs["success"], 4),
                "cycle_s": round(trial.user_attrs["cycle_time"], 3),
                "score": round(trial.value, 5) if trial.state is TrialState.COMPLETE and trial.value else None,
                "seconds": round(trial.user_attrs["seconds"], 1),
                **dict(self._values(trial)),
            }
            for trial in ended
        ]

    def _values(self, trial: FrozenTrial) -> list[tuple[str, Any]]:
        return [(axis.key, axis.read(trial.params[axis.key])) for axis in self.plan.axes]

    def write_best(self) -> Path:
        """Write the best recipe as `genba train --recipe` takes it.

        Raises:
            RefusedError: If no trial is complete, or the disk refuses.
        """
        complete = self.study.get_trials(states=(TrialState.COMPLETE,))
        if not complete:
            raise RefusedError("no trial is complete: let more of them run with --resume")
        best = max(complete, key=lambda trial: (trial.value or 0.0, -trial.number))
        recipe = self.plan.recipe(self._values(best), self.robot)
        own = load_recipe(self.plan.task, self.robot, changes=[("algorithm", recipe.algorithm)])
        table = {"algorithm": recipe.algorithm, **_difference(recipe.to_json(), own.to_json())}
        words = f"# Trial {best.number} of {self.study.study_name}: {self.plan.task} on {self.plan.robot}\n"
        path = self.out / "best.toml"
        write_whole(path, lambda file: file.write((words + _toml(table, "")).encode()))
        return path


def _curve(trial: FrozenTrial) -> list[float]:
    return [value for _, value in sorted(trial.intermediate_values.items())]


def _difference(table: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            inner = _difference(value, own.get(key, {}))
            if inner:
                found[key] = inner
        elif value != own.get(key):
            found[key] = value
    return found


def _toml(table: Mapping[str, Any], name: str) -> str:
    """Numbers, strings, truth values and lists of them are written alike in JSON and TOML."""
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in table.items() if not isinstance(value, Mapping)]
    text = (f"\n[{name}]\n" if name and lines else "") + "".join(lines)
    for key, value in table.items():
        if isinstance(value, Mapping):
            text += _toml(value, f"{name}.{key}" if name else key)
    return text
