"""Imitate the scripted expert, then improve on it, with a checkpoint after every round.

    [expert at a tempo] x trials, where that is asked for
    demonstrations -> fit -> [learner acts, expert labels, fit] x rounds -> [learner acts, SAC updates] x rounds

A run that was interrupted between two rounds and resumed ends with the same weights as one that was not.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch as th

from ...envs.env import CellEnv
from ...robots.errors import RefusedError
from ...robots.features import FeatureMap
from ..crews.crew import Crew
from ..pages.progress import progress_bar
from ..runfile import write_run
from .checkpoint import write_whole
from .collect import Collectors, Trajectory
from .curriculum import Curriculum
from .imitate import Imitation, batch_actor
from .improve import Improvement
from .layout import layout_of
from .outcome import (
    BEFORE,
    IMPROVED,
    SEARCH_SEEDS,
    SEED_BLOCK,
    VALIDATION,
    VALIDATION_SEEDS,
    WARM_START,
    Outcome,
    judged,
    provenance,
)
from .recipe import Recipe
from .replay import Replay
from .run_folder import RunFolder
from .tempo import Tempo
from .tempo_search import TempoSearch
from .warm import make_model


class ImitationRun:
    """One training run and all its state."""

    def __init__(
        self,
        env: CellEnv,
        env_options: dict[str, Any],
        recipe: Recipe,
        *,
        seed: int,
        steps: int | None,
        given: list[Trajectory] | None = None,
        origin: Path | None = None,
    ) -> None:
        """Lay out a run; nothing is computed yet.

        Args:
            env: Its environment.
            env_options: Keyword arguments that make another one.
            recipe: How much of what.
            seed: Of everything random.
            steps: Environment steps after which improvement ends; its rounds alone decide if None.
            given: Demonstrations that are there, instead of the expert's own.
            origin: Where those come from.
        """
        self.given, self._origin = given, origin
        self.env, self.env_options, self.seed, self.steps = env, env_options, seed, steps
        self.whole = recipe
        self.recipe = recipe.improvement
        self.features = FeatureMap.from_spec(env.spec_, env.task.features)
        self.split = env.spec_.size("observation")
        self.first_seed = (seed + 1) * SEED_BLOCK
        self.imitation = Imitation(
            recipe=recipe.imitation, features=self.features, split=self.split, seed=self.first_seed
        )
        self.improved_steps = 0
        self.improved_rounds = 0
        self.best: dict[str, Any] = {}
        self.seconds = 0.0
        self.search = TempoSearch(
            recipe=recipe.search,
            seed=self.first_seed + SEARCH_SEEDS,
            dt=env.dt,
            hold=env.task.success.hold_s,
        )
        self.searches = recipe.algorithm == "tempo+imitate"
        self.curriculum = Curriculum.to(env.task.levels_for(env.robot), env.level) if recipe.curriculum else None

    def open(self, folder: RunFolder) -> None:
        """Take the folder of this run, with what it did before."""
        self.folder, self.saved = folder, folder.saved

    def work(self, crew: Crew, *, quiet: bool) -> None:
        """Do all stages that are not done yet.

        Args:
            crew: Who runs the episodes.
            quiet: Show no progress.
        """
        collectors = Collectors(self.env_options, crew, self.whole.tempo)
        try:
            self._work(collectors, quiet=quiet)
        finally:
            collectors.close()

    def _work(self, collectors: Collectors, *, quiet: bool) -> None:
        th.set_num_threads(1)
        th.manual_seed(self.seed)
        self.generator = th.Generator().manual_seed(self.seed)
        _ = self.folder.logger  # a folder that takes no curves is refused before hours of work
        rounds = self.imitation.recipe.rounds + 2
        improve = self.whole.algorithm == IMPROVED
        total = rounds + 1 + (self.recipe.rounds if improve else 0)
        total += self.whole.search.trials + 1 if self.searches else 0
        label = f"train {self.env.task_name} on {self.env.robot.name}"
        with progress_bar(total, label, quiet=quiet) as advance:
            if self.searches:
                self._search(collectors, advance)
            self._begin(collectors)
            advance(f"{len(self.imitation.demonstrations)} demonstrations")
            for _ in range(self.imitation.round + 1):
                advance("from the checkpoint")
            self._imitate(collectors, advance)
            if improve:
                self._improve(collectors, advance)
        if not improve:
            self._keep(self._validate(collectors))
        if self.searches:
            self.best["before"] = self._judge(collectors.collect(self._unseen, tempo=Tempo()))
            self._save()
        if improve:
            self._deliver(WARM_START, self.best["warm"])
        self._deliver("model.zip", self.best["actor"])
        self._finish()

    def _search(self, collectors: Collectors, advance: Callable[[str], None]) -> None:
        """Find the tempo of the expert that is imitated afterwards."""
        if self.saved is not None:
            self.search.load_state(self.saved["search"])
            self.seconds = self.saved["seconds"]
            if "policy" not in self.saved:
                self.saved = None
        for _ in range(len(self.search.trials) + (self.search.found is not None)):
            advance("from the checkpoint")
        started, before = time.monotonic(), self.seconds

        def save() -> None:
            self.seconds = before + time.monotonic() - started
            self.folder.save({"search": self.search.state(), "seconds": self.seconds})

        collectors.tempo = self.search.run(collectors, advance, save)

    def _begin(self, collectors: Collectors) -> None:
        started = time.monotonic()
        saved = self.saved
        if saved is None:
            self.mean, self.std = self.imitation.demonstrate(collectors, self.given)
            if not any(t.success for t in self.imitation.demonstrations):
                raise RefusedError(f"{self.env.task_name}: the scripted expert never succeeded; nothing to imitate")
            self.model = make_model(self.env, self.features, self.mean, self.std, self.seed, self.whole.nets)
            self.seconds += time.monotonic() - started
            self._save()
            return
        self.mean, self.std = saved["mean"].numpy(), saved["std"].numpy()
        self.model = make_model(self.env, self.features, self.mean, self.std, self.seed, self.whole.nets)
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

    def _imitate(self, collectors: Collectors, advance: Callable[[str], None]) -> None:
        im = self.imitation
        while not im.done:
            started = time.monotonic()
            losses: list[float] = []
            im.run_round(
                self.model.policy,
                self.mean,
                self.std,
                collectors,
                self.generator,
                losses.append,
                self.curriculum,
            )
            self.seconds += time.monotonic() - started
            loss = losses[-1] if losses else float("nan")
            values = {"imitate/success": im.success, "imitate/loss": loss}
            where = ""
            if self.curriculum:
                values["imitate/level"] = float(self.curriculum.at)
                where = f", level {self.curriculum.level}"
            self.folder.log(values, im.steps)
            self._save()
            advance(f"success {im.success:.2f}, loss {loss:.4f}{where}")
        for _ in range(im.recipe.rounds - im.round):
            advance("sure enough")

    def _replay(self, capacity: int) -> Replay:
        r = self.recipe
        return Replay(self.env.task.success, gamma=r.gamma, steps=r.steps, hindsight=r.hindsight, capacity=capacity)

    def _improve(self, collectors: Collectors, advance: Callable[[str], None]) -> None:
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
            kept = collectors.collect(range(first, first + VALIDATION), actor=self._actor(), explore=recipe.explore)
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
            values.update(success=self.best["success"], cycle_time=self.best["cycle_time"])
            self.folder.log({f"improve/{k}": v for k, v in values.items()}, im.steps + self.improved_steps)
            self._save({"episodes": kept, **improvement.state()})
            advance(f"best: success {self.best['success']:.2f}, cycle {self.best['cycle_time']:.2f} s")

    def _actor(self) -> Any:
        return batch_actor(self.model.policy, self.features, self.mean, self.std)

    def _validate(self, collectors: Collectors) -> tuple[float, float]:
        """Success rate and mean time to success of the present actor on fixed seeds."""
        return self._judge(collectors.collect(self._unseen, actor=self._actor()))

    @property
    def _unseen(self) -> range:
        first = self.first_seed + VALIDATION_SEEDS
        return range(first, first + VALIDATION)

    def _judge(self, episodes: list[Trajectory]) -> tuple[float, float]:
        return judged(self.env, [(t.success, len(t)) for t in episodes])

    def _keep(self, judged: tuple[float, float]) -> None:
        """Keep the present actor if it is no less sure than the warm start and faster than the best so far."""
        success, cycle = judged
        floor = self.best.get("floor", success)
        if not self.best or (success >= floor and cycle < self.best["cycle_time"]):
            actor = {k: v.clone() for k, v in self.model.policy.actor.state_dict().items()}
            before = self.best.get("before", judged)
            warm = self.best.get("warm", actor)
            self.best = {
                "actor": actor,
                "success": success,
                "cycle_time": cycle,
                "floor": floor,
                "before": before,
                "warm": warm,
            }

    def _save(self, improvement: dict[str, Any] | None = None) -> None:
        im = self.imitation
        x, y = im.labels.tensors()
        if improvement is not None:
            improvement["episodes"] = [_tensors(t) for t in improvement["episodes"]]
            improvement.update(rounds=self.improved_rounds, steps=self.improved_steps)
        self.folder.save(
            {
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
                "search": self.search.state(),
                "curriculum": self.curriculum.state() if self.curriculum else None,
                "improvement": improvement,
            },
        )

    def _deliver(self, name: str, actor: dict[str, th.Tensor]) -> None:
        self.model.policy.actor.load_state_dict(actor)
        write_whole(self.folder.path / name, self.model.save)

    def _finish(self) -> None:
        steps = self.outcome().steps
        write_run(
            self.folder.path / "run.json",
            env=self.env,
            mean=self.mean,
            std=self.std,
            x=self.imitation.labels.tensors()[0].numpy(),
            seed=self.seed,
            layout=layout_of(self.model.policy),
            provenance=provenance(
                self.env,
                replace(self.whole, algorithm="imitate", tempo=self.search.found) if self.search.found else self.whole,
                seed=self.seed,
                steps=steps,
                seconds=self.seconds,
                demos=self._origin,
            ),
        )

    def outcome(self) -> Outcome:
        """What it reached."""
        return Outcome(
            success=self.best["success"],
            cycle_time=self.best["cycle_time"],
            steps=self.search.steps + self.imitation.steps + self.improved_steps,
            seconds=self.seconds,
            before=self.best["before"] if self.whole.algorithm in BEFORE else None,
            who=BEFORE.get(self.whole.algorithm, ""),
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
