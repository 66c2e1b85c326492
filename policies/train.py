"""Training: imitate the scripted expert, then improve on it, with a checkpoint after every round.

    demonstrations -> fit -> [learner acts, expert labels, fit] x rounds -> [learner acts, SAC updates] x rounds

Everything random derives from the seed; a run that was interrupted between two rounds and resumed ends with the
same weights as one that was not.
"""

import logging
import os
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.logger import Logger, configure

from ..envs.curriculum import Curriculum
from ..envs.env import CellEnv
from ..robots.errors import RefusedError
from ..robots.features import FeatureMap
from .checkpoint import load_checkpoint, save_checkpoint, write_whole
from .collect import Collectors, Trajectory
from .imitate import Imitation, ImitationRecipe, batch_actor
from .improve import Improvement, ImprovementRecipe
from .progress import progress_bar
from .replay import Replay
from .runfile import write_run
from .warm import make_model

log = logging.getLogger(__name__)

ALGORITHMS = ("imitate", "imitate+sac")
SEED_BLOCK = 10_000_000  # episode seeds of one training seed; evaluation uses those below the first block
VALIDATION = 48  # episodes by which improvement is judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a training run reached.

    Attributes:
        success: Success rate over the last validation.
        cycle_time: Mean time to success there, s.
        steps: Environment steps it took.
        seconds: Wall time, resumed parts included.
    """

    success: float
    cycle_time: float
    steps: int
    seconds: float


def train(
    *,
    task: str,
    robot: str,
    out: Path,
    steps: int | None = None,
    seed: int = 0,
    algo: str | None = None,
    resume: bool = False,
    workers: int | None = None,
    quiet: bool = False,
    level: str | None = None,
    curriculum: bool = False,
    env: dict[str, Any] | None = None,
    recipe: tuple[ImitationRecipe, ImprovementRecipe] | None = None,
) -> Outcome:
    """Train one policy; leaves `run.json`, `model.zip`, TensorBoard logs and a checkpoint in `out`.

    Args:
        task: Task name.
        robot: Robot name.
        out: Folder of the run.
        steps: Environment steps of the improvement; the recipe's own if not given.
        seed: Of everything random.
        algo: One of `ALGORITHMS`; "imitate+sac" if not given.
        resume: Go on from the last checkpoint in `out`.
        workers: Collector processes; one per processor if not given.
        quiet: Show no progress.
        level: Degree of difficulty, where the task has several.
        curriculum: Let the learner climb to that level from the easiest one.
        env: Further keyword arguments of `CellEnv`.
        recipe: How much of what; the arm's own if not given.

    Raises:
        RefusedError: If a name is unknown, the folder holds another run, or there is nothing to resume.
    """
    algo = algo or "imitate+sac"
    if algo not in ALGORITHMS:
        raise RefusedError(f"no algorithm named {algo!r}; there are: {', '.join(ALGORITHMS)}")
    if steps is not None and steps < 1:
        raise RefusedError(f"steps is {steps}; it must be at least 1")
    if seed < 0:
        raise RefusedError(f"seed is {seed}; it must not be negative")
    more = {**(env or {}), **({"level": level} if level else {})}
    run = _Run(task, robot, out, steps, seed, algo, more, recipe, curriculum=curriculum)
    try:
        run.open(resume=resume)
        collectors = Collectors(run.env_options, (os.cpu_count() or 1) if workers is None else workers)
        try:
            run.work(collectors, quiet=quiet)
        finally:
            collectors.close()
    finally:
        run.env.close()
    return run.outcome()


class _Run:
    """One training run and all its state."""

    def __init__(
        self,
        task: str,
        robot: str,
        out: Path,
        steps: int | None,
        seed: int,
        algo: str,
        env: dict[str, Any],
        recipe: tuple[ImitationRecipe, ImprovementRecipe] | None,
        *,
        curriculum: bool,
    ) -> None:
        self.env_options = {"task": task, "robot": robot, **env}
        self.env = CellEnv(**self.env_options)
        self.out, self.seed, self.algo = out, seed, algo
        self.features = FeatureMap.from_spec(self.env.spec_, self.env.task.features)
        self.split = self.env.spec_.size("observation")
        self.first_seed = (seed + 1) * SEED_BLOCK
        noise = 0.2 if self.env.robot.tolerance == "servo" else 0.08
        first, self.recipe = recipe or (ImitationRecipe(noise=noise), ImprovementRecipe())
        self.imitation = Imitation(recipe=first, features=self.features, split=self.split, seed=self.first_seed)
        self.steps = steps
        self.improved_steps = 0
        self.improved_rounds = 0
        self.best: dict[str, Any] = {}
        self.seconds = 0.0
        level = self.env.level
        self.curriculum = Curriculum.to(self.env.task.levels_for(self.env.robot), level) if curriculum else None
        self.identity = {"task": self.env.task_name, "robot": self.env.robot.name, "seed": seed, "algo": algo}
        if level:
            self.identity["level"] = level + (" by curriculum" if curriculum else "")

    def open(self, *, resume: bool) -> None:
        """Make the folder, or read the checkpoint in it."""
        self.checkpoint = self.out / "checkpoint.pt"
        self.saved: dict[str, Any] | None = None
        if resume:
            self.saved = load_checkpoint(self.checkpoint)
            identity = self.saved.get("identity", {})
            for key, value in self.identity.items():
                if identity.get(key) != value:
                    raise RefusedError(
                        f"{self.out}: holds a run with {key} {identity.get(key)!r}, not {value!r}; "
                        "resume it with its own arguments or name another folder"
                    )
        elif self.checkpoint.exists():
            raise RefusedError(f"{self.out}: already holds a training run; add --resume or name another folder")
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RefusedError(f"{self.out}: cannot be made ({error.strerror}); name another folder") from error
        if self.saved is None:
            # From here on there is something to resume, and a folder that takes no files is refused at once.
            save_checkpoint(self.checkpoint, {"identity": self.identity, "begun": False})
        elif not self.saved.get("begun", True):
            self.saved = None

    def work(self, collectors: Collectors, *, quiet: bool) -> None:
        """All stages that are not done yet."""
        th.set_num_threads(1)
        th.manual_seed(self.seed)
        self.generator = th.Generator().manual_seed(self.seed)
        logger = self._logger()
        rounds = self.imitation.recipe.rounds + 2
        improve = self.algo == "imitate+sac"
        total = rounds + 1 + (self.recipe.rounds if improve else 0)
        label = f"train {self.env.task_name} on {self.env.robot.name}"
        with progress_bar(total, label, quiet=quiet) as advance:
            self._begin(collectors)
            advance(f"{len(self.imitation.demonstrations)} demonstrations")
            for _ in range(self.imitation.round + 1):
                advance("from the checkpoint")
            self._imitate(collectors, logger, advance)
            if improve:
                self._improve(collectors, logger, advance)
        if not improve:
            self._keep(self._validate(collectors))
        self.model.policy.actor.load_state_dict(self.best["actor"])
        self._finish()

    def _logger(self) -> Logger:
        try:
            return configure(str(self.out / "tensorboard"), ["tensorboard"])
        except OSError as error:
            raise RefusedError(
                f"{self.out / 'tensorboard'}: cannot be written ({error.strerror}); name another folder"
            ) from error

    def _log(self, logger: Logger, values: dict[str, float], step: int) -> None:
        """Log for TensorBoard; what a full disk does to curves must not end a training."""
        try:
            for key, value in values.items():
                logger.record(key, value)
            logger.dump(step)
        except OSError as error:
            log.warning("TensorBoard curves of this round are lost: %s", error)

    def _begin(self, collectors: Collectors) -> None:
        started = time.monotonic()
        saved = self.saved
        if saved is None:
            self.mean, self.std = self.imitation.demonstrate(collectors)
            if not any(t.success for t in self.imitation.demonstrations):
                raise RefusedError(f"{self.env.task_name}: the scripted expert never succeeded; nothing to imitate")
            self.model = make_model(self.env, self.features, self.mean, self.std, self.seed)
            self.seconds += time.monotonic() - started
            self._save()
            return
        self.mean, self.std = saved["mean"].numpy(), saved["std"].numpy()
        self.model = make_model(self.env, self.features, self.mean, self.std, self.seed)
        self.model.policy.load_state_dict(saved["policy"])
        im = self.imitation
        im.round, im.steps, im.success = saved["round"], saved["imitation_steps"], saved["success"]
        im.flawless, im.done = saved["flawless"], saved["done"]
        im.labels.x, im.labels.y = [saved["label_x"].numpy()], [saved["label_y"].numpy()]
        im.demonstrations = [Trajectory(**_arrays(t)) for t in saved["demonstrations"]]
        self.generator.set_state(saved["generator"])
        self.seconds = saved["seconds"]
        self.best = saved["best"]
        if self.curriculum and saved["curriculum"]:
            self.curriculum.load_state(saved["curriculum"])

    def _imitate(self, collectors: Collectors, logger: Logger, advance: Callable[[str], None]) -> None:
        im = self.imitation
        while not im.done:
            started = time.monotonic()
            losses: list[float] = []
            im.run_round(
                self.model.policy.actor,
                self.mean,
                self.std,
                collectors,
                self.generator,
                losses.append,
                self.curriculum,
            )
            self.seconds += time.monotonic() - started
            self._save()
            loss = losses[-1] if losses else float("nan")
            values = {"imitate/success": im.success, "imitate/loss": loss}
            where = ""
            if self.curriculum:
                values["imitate/level"] = float(self.curriculum.at)
                where = f", level {self.curriculum.level}"
            self._log(logger, values, im.steps)
            advance(f"success {im.success:.2f}, loss {loss:.4f}{where}")
        for _ in range(im.recipe.rounds - im.round):
            advance("sure enough")

    def _replay(self, capacity: int) -> Replay:
        r = self.recipe
        return Replay(self.env.task.success, gamma=r.gamma, steps=r.steps, hindsight=r.hindsight, capacity=capacity)

    def _improve(self, collectors: Collectors, logger: Logger, advance: Callable[[str], None]) -> None:
        recipe, im = self.recipe, self.imitation
        demonstrations, online = self._replay(10_000_000), self._replay(400_000)
        demonstrations.add([t for t in im.demonstrations if t.success])
        improvement = Improvement(
            self.model,
            recipe,
            split=self.split,
            demonstrations=demonstrations,
            episodes=online,
            labels=im.labels.tensors(),
            seed=self.seed,
        )
        kept: list[Trajectory] = []
        if self.saved is not None and self.saved["improvement"] is not None:
            state = self.saved["improvement"]
            kept = [Trajectory(**_arrays(t)) for t in state["episodes"]]
            improvement.load_state(state)
            self.improved_rounds, self.improved_steps = state["rounds"], state["steps"]
        else:
            started = time.monotonic()
            self._keep(self._validate(collectors))
            first = self.first_seed + 2_000_000
            kept = collectors.collect(range(first, first + 48), actor=self._actor(), explore=recipe.explore)
            self.seconds += time.monotonic() - started
        online.add(kept)
        for _ in range(self.improved_rounds):
            advance("from the checkpoint")
        rounds = recipe.rounds
        while self.improved_rounds < rounds and (self.steps is None or self.improved_steps < self.steps):
            started = time.monotonic()
            if self.improved_rounds == 0:
                improvement.update(recipe.critic_updates)
            start = self.first_seed + 3_000_000 + self.improved_rounds * recipe.episodes
            seeds = range(start, start + recipe.episodes)
            fresh = collectors.collect(seeds, actor=self._actor(), explore=recipe.explore)
            online.add(fresh)
            kept.extend(fresh)
            self.improved_steps += sum(len(t) for t in fresh)
            values: dict[str, float] = {}
            improvement.update(recipe.updates, values.update)
            self.improved_rounds += 1
            if self.improved_rounds % 2 == 0 or self.improved_rounds == rounds:
                self._keep(self._validate(collectors))
            self.seconds += time.monotonic() - started
            self._save({"episodes": kept, **improvement.state()})
            values.update(success=self.best["success"], cycle_time=self.best["cycle_time"])
            self._log(logger, {f"improve/{k}": v for k, v in values.items()}, im.steps + self.improved_steps)
            advance(f"best: success {self.best['success']:.2f}, cycle {self.best['cycle_time']:.2f} s")

    def _actor(self) -> Any:
        return batch_actor(self.model.policy.actor, self.features, self.mean, self.std)

    def _validate(self, collectors: Collectors) -> tuple[float, float]:
        """Success rate and mean time to success of the present actor on fixed seeds."""
        first = self.first_seed + 1_000_000
        episodes = collectors.collect(range(first, first + VALIDATION), actor=self._actor())
        good = [len(t) * self.env.dt for t in episodes if t.success]
        return len(good) / len(episodes), float(np.mean(good)) if good else self.env.task.horizon_s

    def _keep(self, judged: tuple[float, float]) -> None:
        """Keep the present actor if it is no less sure than the warm start and faster than the best so far."""
        success, cycle = judged
        floor = self.best.get("floor", success)
        if not self.best or (success >= floor and cycle < self.best["cycle_time"]):
            actor = {k: v.clone() for k, v in self.model.policy.actor.state_dict().items()}
            self.best = {"actor": actor, "success": success, "cycle_time": cycle, "floor": floor}

    def _save(self, improvement: dict[str, Any] | None = None) -> None:
        im = self.imitation
        x, y = im.labels.tensors()
        if improvement is not None:
            improvement["episodes"] = [_tensors(t) for t in improvement["episodes"]]
            improvement.update(rounds=self.improved_rounds, steps=self.improved_steps)
        save_checkpoint(
            self.checkpoint,
            {
                "identity": self.identity,
                "begun": True,
                "mean": th.as_tensor(self.mean),
                "std": th.as_tensor(self.std),
                "policy": self.model.policy.state_dict(),
                "round": im.round,
                "imitation_steps": im.steps,
                "success": im.success,
                "flawless": im.flawless,
                "done": im.done,
                "label_x": x,
                "label_y": y,
                "demonstrations": [_tensors(t) for t in im.demonstrations],
                "generator": self.generator.get_state(),
                "seconds": self.seconds,
                "best": self.best,
                "curriculum": self.curriculum.state() if self.curriculum else None,
                "improvement": improvement,
            },
        )

    def _finish(self) -> None:
        write_whole(self.out / "model.zip", self.model.save)
        command = shlex.join(["genba", "train", self.env.task_name, "--robot", self.env.robot.name])
        command += f" --seed {self.seed} --algo {self.algo}" + (f" --steps {self.steps}" if self.steps else "")
        command += f" --level {self.env_options['level']}" if "level" in self.env_options else ""
        command += " --curriculum" if self.curriculum else ""
        write_run(
            self.out / "run.json",
            env=self.env,
            mean=self.mean,
            std=self.std,
            x=self.imitation.labels.tensors()[0].numpy(),
            seed=self.seed,
            provenance={
                "command": command,
                "algorithm": self.algo,
                "seed": self.seed,
                "steps": self.imitation.steps + self.improved_steps,
                "seconds": round(self.seconds, 1),
                "versions": [
                    f"python {sys.version.split()[0]}",
                    *(f"{name} {version(name)}" for name in ("torch", "stable-baselines3", "pybullet", "numpy")),
                ],
            },
        )

    def outcome(self) -> Outcome:
        return Outcome(
            success=self.best["success"],
            cycle_time=self.best["cycle_time"],
            steps=self.imitation.steps + self.improved_steps,
            seconds=self.seconds,
        )


def _tensors(trajectory: Trajectory) -> dict[str, Any]:
    return {
        "seed": trajectory.seed,
        "success": trajectory.success,
        **{
            key: th.as_tensor(getattr(trajectory, key))
            for key in ("observation", "achieved_goal", "desired_goal", "action", "label")
        },
    }


def _arrays(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value.numpy() if isinstance(value, th.Tensor) else value for key, value in table.items()}
