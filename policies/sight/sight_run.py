"""Imitate the scripted expert from pictures, with a checkpoint after every round.

demonstrations -> fit -> [learner acts on pictures, the expert labels from the state behind them, fit] x rounds
"""

import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from io import BufferedWriter
from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray

from ...envs.env import CellEnv
from ...robots.errors import RefusedError
from ...robots.features import FeatureMap
from ...robots.strict import build
from ..archive import PICTURES, pack_arrays
from ..crews.crew import Crew
from ..eyes import Eyes
from ..manifest import picture_name
from ..pages.progress import progress_bar
from ..runfile import write_run
from ..training.checkpoint import write_whole
from ..training.collect import close_cells
from ..training.outcome import SEED_BLOCK, VALIDATION, VALIDATION_SEEDS, Outcome, judged, provenance
from ..training.recipe import Recipe, plain
from ..training.run_folder import RunFolder
from .shots import Columns, Shots
from .sight_fit import SeeingPolicy, fit_behind, fit_eyes
from .sight_scale import feature_scale, scaled_eyes
from .sighted import Sighted, SightedActor, collect

Array = NDArray[np.float32]

REFERENCES = 4  # each with a picture of every camera
THREADS = 1  # of torch, whatever the machine, because sums depend on it; two wait for each other on a busy one
SEEN = "pictures"  # folder of what was seen


class SightRun:
    """One training run from pictures and all its state."""

    def __init__(self, env: CellEnv, env_options: dict[str, Any], recipe: Recipe, *, seed: int) -> None:
        """Lay out a run; nothing is computed yet.

        Args:
            env: Its environment, with pictures.
            env_options: Keyword arguments that make another one.
            recipe: How much of what.
            seed: Of everything random.

        Raises:
            RefusedError: If there is nothing to see: the pictures stand for no field that a policy for this task reads.
        """
        self.env, self.env_options, self.recipe, self.seed = env, env_options, recipe, seed
        self.first_seed = (seed + 1) * SEED_BLOCK
        read = {name for feature in env.task.features for name in (feature.a, feature.b)}
        self.spec = replace(env.spec_, observation=env.seen)
        self.hidden = [f for f in env.spec_.observation if f not in env.seen and f.name in read]
        if not self.hidden:
            raise RefusedError(f"{env.task_name} hides nothing that a camera would show; train it with --obs state")
        self.columns = Columns.of(env.spec_, [f.name for f in env.seen], [f.name for f in self.hidden])
        self.round = -1
        self.steps = self.flawless = self.longest = 0
        self.success = self.seconds = 0.0
        self.done = False
        self.judged: tuple[float, float] | None = None

    def open(self, folder: RunFolder) -> None:
        """Take the folder of this run, with what it did before."""
        self.folder, self.saved = folder, folder.saved
        self.shots = Shots(folder.path / SEEN)

    def work(self, crew: Crew, *, quiet: bool) -> None:
        """Do all rounds that are not done yet.

        Args:
            crew: Who runs the episodes.
            quiet: Show no progress.
        """
        try:
            self._work(crew, quiet=quiet)
        finally:
            close_cells(self.env_options)

    def _work(self, crew: Crew, *, quiet: bool) -> None:
        before = th.get_num_threads()
        th.set_num_threads(THREADS)
        try:
            th.manual_seed(self.seed)
            self.generator = th.Generator().manual_seed(self.seed)
            _ = self.folder.logger
            rounds = self.recipe.imitation.rounds
            label = f"train {self.env.task_name} on {self.env.robot.name} from pictures"
            with progress_bar(rounds + 3, label, quiet=quiet) as advance:
                self._begin(crew)
                advance(f"{len(self.shots.x[0])} ticks of demonstrations")
                for _ in range(self.round + 1):
                    advance("from the checkpoint")
                self._imitate(crew, advance)
                started = time.monotonic()
                if self.judged is None:
                    self.judged = self._validate(crew)
                    self._save()
                self.seconds += time.monotonic() - started
                advance(f"success {self.judged[0]:.2f}")
            self._finish()
        finally:
            th.set_num_threads(before)

    def _collect(self, crew: Crew, seeds: Sequence[int], **more: Any) -> list[Sighted]:
        return collect(
            self.env_options,
            crew,
            seeds,
            every=self.recipe.sight.every,
            glances=self.recipe.sight.glances,
            tempo=self.recipe.tempo,
            **more,
        )

    def _begin(self, crew: Crew) -> None:
        started = time.monotonic()
        saved = self.saved
        if saved is not None:
            self._restore(saved)
            return
        recipe, first = self.recipe.imitation, self.first_seed
        half = first + recipe.demonstrations // 2
        episodes = self._collect(crew, range(first, half))
        episodes += self._collect(crew, range(half, first + recipe.demonstrations), noise=recipe.noise)
        if not any(one.whole.success for one in episodes):
            raise RefusedError(f"{self.env.task_name}: the scripted expert never succeeded; nothing to imitate")
        self.longest = max(len(one.whole) for one in episodes)
        self._take(episodes)
        x = self.shots.x[0].astype(np.float64)
        eyes = scaled_eyes(self.env, self.spec, self.hidden, self.columns, self.recipe.sight, x)
        self._make(eyes, *feature_scale(self.env, eyes.whole(self.spec), x[:, self.columns.told]))
        self.seconds += time.monotonic() - started
        self._save()

    def _make(self, eyes: Eyes, mean: Array, std: Array) -> None:
        features = FeatureMap.from_spec(eyes.whole(self.spec), self.env.task.features)
        actions = self.env.action_space.shape[0]  # type: ignore[index]
        self.policy = SeeingPolicy(eyes, self.spec, features, mean, std, actions, self.recipe)
        self.optimisers = {
            "behind": th.optim.Adam(self.policy.behind.parameters(), fused=True),
            "eyes": th.optim.Adam(self.policy.eyes.parameters(), fused=True),
        }

    def _imitate(self, crew: Crew, advance: Callable[[str], None]) -> None:
        recipe, sight = self.recipe.imitation, self.recipe.sight
        while not self.done:
            started = time.monotonic()
            first = self.round < 0
            if not first:
                self._let_it_act(crew)
            last = self.round == recipe.rounds - 1 or self.flawless >= recipe.sure
            steps, own = (
                (recipe.first_updates, sight.first_updates)
                if first
                else (recipe.last_updates, sight.last_updates)
                if last
                else (recipe.updates, sight.updates)
            )
            common = self.shots, self.columns, self.generator
            fit_behind(self.policy, self.optimisers["behind"], *common, recipe, steps)
            losses = list(
                fit_eyes(
                    self.policy,
                    self.optimisers["eyes"],
                    *common,
                    self.recipe,
                    updates=own,
                    first=first,
                )
            )
            self.round += 1
            self.done = last
            self.seconds += time.monotonic() - started
            loss = losses[-1] if losses else float("nan")
            self.folder.log({"imitate/success": self.success, "imitate/loss": loss}, self.steps)
            self._save()
            advance(f"success {self.success:.2f}, loss {loss:.4f}")
        for _ in range(recipe.rounds - self.round):
            advance("sure enough")

    def _let_it_act(self, crew: Crew) -> None:
        recipe = self.recipe.imitation
        start = self.first_seed + recipe.demonstrations + self.round * recipe.episodes
        most = int(self.longest * self.recipe.sight.patience)
        episodes = self._collect(crew, range(start, start + recipe.episodes), learner=self.policy.actor(), most=most)
        self._take(episodes)
        alone = [one.whole.success for one in episodes if one.whole.seed % 2 == 0]  # the others are relieved
        self.success = float(np.mean(alone))
        self.flawless = self.flawless + 1 if self.success == 1.0 else 0

    def _validate(self, crew: Crew) -> tuple[float, float]:
        """Success rate and mean time to success of the present policy on fixed seeds."""
        first = self.first_seed + VALIDATION_SEEDS
        actor: SightedActor = self.policy.actor()
        episodes = [
            one.whole
            for one in collect(
                self.env_options, crew, range(first, first + VALIDATION), every=self.env.horizon, learner=actor
            )
        ]
        return judged(self.env, [(t.success, len(t)) for t in episodes])

    def _take(self, episodes: Sequence[Sighted]) -> None:
        self.steps += sum(len(one.whole) for one in episodes)
        self.shots.add(episodes)

    def _save(self) -> None:
        s = self.shots
        self.folder.save(
            {
                "eyes": plain(asdict(self.policy.eyes.eyes)),
                "mean": th.as_tensor(self.policy.mean),
                "std": th.as_tensor(self.policy.std),
                "policy": self.policy.state_dict(),
                "optimisers": {name: one.state_dict() for name, one in self.optimisers.items()},
                "x": [th.as_tensor(x) for x in s.x],
                "y": [th.as_tensor(y) for y in s.y],
                "at": [th.as_tensor(at) for at in s.at],
                "round": self.round,
                "steps": self.steps,
                "longest": self.longest,
                "flawless": self.flawless,
                "success": self.success,
                "done": self.done,
                "generator": self.generator.get_state(),
                "seconds": self.seconds,
                "judged": self.judged,
            }
        )

    def _restore(self, saved: Mapping[str, Any]) -> None:
        eyes = build(Eyes, saved["eyes"], "eyes of the checkpoint")
        self._make(eyes, saved["mean"].numpy(), saved["std"].numpy())
        self.policy.load_state_dict(saved["policy"])
        for name, one in self.optimisers.items():
            one.load_state_dict(saved["optimisers"][name])
        self.generator.set_state(saved["generator"])
        self.round, self.steps, self.longest = saved["round"], saved["steps"], saved["longest"]
        self.flawless, self.success, self.done = saved["flawless"], saved["success"], saved["done"]
        self.seconds, self.judged = saved["seconds"], saved["judged"]
        s = self.shots
        s.x, s.y, s.at = ([t.numpy() for t in saved[key]] for key in ("x", "y", "at"))
        if s.folder.exists() or not self.done:
            s.reopen([view.name for view in eyes.views])

    def _finish(self) -> None:
        path, shots = self.folder.path, self.shots
        at = np.concatenate(shots.at)
        numbers = np.sort(np.random.default_rng(self.seed).choice(len(at), min(REFERENCES, len(at)), replace=False))
        if shots.frames:
            seen = shots.pictures(numbers)
            named = {picture_name(k, name): seen[name][k] for name in seen for k in range(len(numbers))}
            content = pack_arrays(named)
            write_whole(path / PICTURES, lambda file: file.write(content))
        write_whole(path / "model.zip", lambda file: _write_model(file, self.policy.state_dict()))
        write_run(
            path / "run.json",
            env=self.env,
            mean=self.policy.mean,
            std=self.policy.std,
            x=np.concatenate(shots.x)[:, self.columns.given],
            seed=self.seed,
            layout=self.policy.layout,
            provenance=provenance(self.env, self.recipe, seed=self.seed, steps=self.steps, seconds=self.seconds),
            eyes=self.policy.eyes.eyes,
            rows=at[numbers].tolist(),
        )
        shots.clear()

    def outcome(self) -> Outcome:
        """What it reached."""
        success, cycle_time = self.judged or (0.0, self.env.task.horizon_s)
        return Outcome(success=success, cycle_time=cycle_time, steps=self.steps, seconds=self.seconds)


def _write_model(file: BufferedWriter, state: Mapping[str, th.Tensor]) -> None:
    """The weights, where `genba pack` looks for them in what the library writes."""
    with zipfile.ZipFile(file, "w") as archive, archive.open("policy.pth", "w", force_zip64=True) as member:
        th.save(dict(state), member)
