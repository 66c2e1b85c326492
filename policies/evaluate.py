"""How good a policy is, in simulation: N episodes with fixed seeds, a rate with its interval, failures by cause.

Episode k uses seed S + k, noise and delays on, so two evaluations of one bundle on one machine agree to the last digit.
Cycle time is the time until the conditions first hold, without the half second for which they must then keep holding.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

from ..envs.env import CellEnv
from ..envs.randomize import Randomization
from ..robots.errors import RefusedError
from .bundle import PolicyBundle
from .crews.crew import Crew, LocalCrew
from .eyes import View
from .manifest import Measured
from .statistics import Rate, Spread, spread, success_rate

CHUNK = 10  # episodes of a job; making its cell takes less time than one of them


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One episode.

    Attributes:
        seed: Its seed.
        success: Whether the task was done.
        steps: Ticks until the end.
        cycle_time: Time until the conditions first held for good, s; of the whole episode when it failed.
        failed_terms: Conditions that did not hold at the end, empty on success.
    """

    seed: int
    success: bool
    steps: int
    cycle_time: float
    failed_terms: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Result of an evaluation.

    Attributes:
        policy: Name of the bundle.
        task: Task.
        robot: Arm.
        tolerance: Tolerance class.
        seed: Seed of the first episode.
        randomize: What differed between episodes: a preset, or "own" ranges.
        rate: Success rate with its interval.
        failures: Episodes in which a condition did not hold at the end, by condition.
        cycle_time: Of the successful episodes, s.
        interventions: Ticks on which the envelope changed a target, by reason.
        ticks: Control steps in all.
        trials: Every episode.
    """

    policy: str
    task: str
    robot: str
    tolerance: str
    seed: int
    randomize: str
    rate: Rate
    failures: dict[str, int]
    cycle_time: Spread
    interventions: dict[str, int]
    ticks: int
    trials: tuple[Trial, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts."""
        return dataclasses.asdict(self)

    def measured(self) -> Measured:
        """What a bundle's manifest remembers of it."""
        return Measured(
            episodes=self.rate.episodes,
            successes=self.rate.successes,
            seed=self.seed,
            low=self.rate.low,
            high=self.rate.high,
            cycle_time=self.cycle_time.mean,
            randomize=self.randomize,
        )


def make_env(
    bundle: PolicyBundle,
    *,
    noise: bool = True,
    randomize: str | Randomization = "off",
    render_mode: str | None = None,
) -> CellEnv:
    """The environment a bundle was trained in.

    Args:
        bundle: The policy.
        noise: Whether senses are as poor and late as the task declares.
        randomize: What differs between episodes, as for `CellEnv`.
        render_mode: As for `CellEnv`.

    Raises:
        RefusedError: If task, arm, fields or success of the bundle are no longer those of this genba.
    """
    manifest = bundle.manifest
    env = CellEnv(
        manifest.task.name,
        manifest.robot.name,
        tolerance=manifest.task.tolerance,
        level=manifest.task.level or None,
        control=manifest.control.mode,
        control_rate_hz=manifest.control.rate_hz,
        obs="rgb" if manifest.eyes else "state",
        noise=noise,
        randomize=randomize,
        render_mode=render_mode,
    )
    try:
        bundle.check_robot(env.robot)
        for key, trained, here in (
            ("spec", manifest.spec, dataclasses.replace(env.spec_, observation=env.seen)),
            ("eyes.views", manifest.eyes.views if manifest.eyes else (), views_of(env) if manifest.eyes else ()),
            ("success", manifest.success, env.task.success),
            ("control.gripper", manifest.control.gripper, env.task.gripper),
        ):
            if trained != here:
                raise RefusedError(
                    f"{bundle.name}: {key} of the policy is not that of the task {manifest.task.name!r} here; "
                    "train it again with this genba"
                )
    except RefusedError:
        env.close()
        raise
    return env


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Episodes of a bundle for one worker."""

    bundle: PolicyBundle
    seeds: tuple[int, ...]
    noise: bool
    randomize: str | Randomization


def run_trials(job: Job) -> list[tuple[Trial, Counter[str]]]:
    """Run the episodes of a job, each with what the envelope changed, by reason."""
    with closing(make_env(job.bundle, noise=job.noise, randomize=job.randomize)) as env:
        done = []
        for seed in job.seeds:
            reasons: Counter[str] = Counter()
            done.append((run_trial(env, job.bundle, seed, reasons), reasons))
        return done


def evaluate(
    bundle: PolicyBundle,
    episodes: int = 200,
    *,
    seed: int = 0,
    noise: bool = True,
    randomize: str | Randomization = "off",
    crew: Crew | None = None,
    on_episode: Callable[[Trial], None] | None = None,
) -> Evaluation:
    """Run a bundle in simulation; the result does not depend on who runs it.

    Args:
        bundle: The policy.
        episodes: How many.
        seed: Seed of the first; episode k uses `seed + k`.
        noise: Whether senses are as poor and late as the task declares.
        randomize: What differs between episodes beside the task itself.
        crew: Who runs the episodes; this process if not given.
        on_episode: Called for each when it is known, for a progress bar.

    Raises:
        RefusedError: If the bundle does not fit this genba's task or arm, or its proof fails.
    """
    bundle.verify()
    jobs = [
        Job(
            bundle=bundle,
            seeds=tuple(range(first, min(first + CHUNK, seed + episodes))),
            noise=noise,
            randomize=randomize,
        )
        for first in range(seed, seed + episodes, CHUNK)
    ]

    def show(part: list[tuple[Trial, Counter[str]]]) -> None:
        for trial, _ in part:
            if on_episode is not None:
                on_episode(trial)

    done = [row for part in (crew or LocalCrew(0)).run(run_trials, jobs, show) for row in part]
    trials = [trial for trial, _ in done]
    reasons = sum((counted for _, counted in done), Counter[str]())
    manifest = bundle.manifest
    return Evaluation(
        policy=bundle.name,
        task=manifest.task.name,
        robot=manifest.robot.name,
        tolerance=manifest.task.tolerance,
        seed=seed,
        randomize=randomize if isinstance(randomize, str) else "own",
        rate=success_rate(sum(trial.success for trial in trials), len(trials)),
        failures=dict(Counter(name for trial in trials for name in trial.failed_terms)),
        cycle_time=spread([trial.cycle_time for trial in trials if trial.success]),
        interventions=dict(reasons),
        ticks=sum(trial.steps for trial in trials),
        trials=tuple(trials),
    )


def views_of(env: CellEnv) -> tuple[View, ...]:
    """Where the cameras of an environment stand, as a bundle remembers it."""
    return tuple(
        View(name=m.name, link=m.link or "", eye=m.eye, target=m.target, up=m.up, fov=m.fov) for m in env.task.cameras
    )


def run_trial(env: CellEnv, bundle: PolicyBundle, seed: int, reasons: Counter[str] | None = None) -> Trial:
    """One episode of a bundle.

    Args:
        env: From `make_env`.
        bundle: The policy.
        seed: Seed of the episode.
        reasons: Where the envelope's interventions are counted, if anywhere.
    """
    observation, info = env.reset(seed=seed)
    steps = since = 0
    ended = False
    while not ended:
        observation, _, terminated, truncated, info = env.step(bundle.act(observation))
        steps += 1
        if not info["met"]:
            since = steps
        if reasons is not None:
            reasons.update(set(env.station.admitted.reasons))
        ended = terminated or truncated
    success = bool(info["is_success"])
    return Trial(
        seed=seed,
        success=success,
        steps=steps,
        cycle_time=((since + 1) if success else steps) * env.dt,
        failed_terms=() if success else _failed(info["success_terms"]),
    )


def _failed(terms: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    """Conditions that did not hold; "held_s" only when it is the sole one, for it follows from the others."""
    names = [name for name, term in terms.items() if not term["ok"]]
    return tuple(names if names == ["held_s"] else [name for name in names if name != "held_s"])
