"""Imitate the scripted expert from pictures, with a checkpoint after every round.

    demonstrations -> fit -> [learner acts on pictures, the expert labels from the state behind them, fit] x rounds

Pictures are too many for the checkpoint. Those of each round lie in files of their own beside it, written before the
checkpoint that speaks of them and read in place; when the policy is done they are removed.
"""

import shutil
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, is_dataclass, replace
from io import BufferedWriter
from typing import Any

import numpy as np
import torch as th
from numpy.lib import format as npy
from numpy.typing import NDArray

from ..envs.env import CellEnv
from ..robots.errors import RefusedError
from ..robots.features import FeatureMap
from ..robots.observation import Field
from ..robots.strict import build
from .archive import PICTURES, pack_arrays
from .checkpoint import write_whole
from .collect import close_cells
from .crew import Crew
from .evaluate import views_of
from .eyes import Convolution, Estimate, Eyes
from .imitate import STD_FLOOR
from .manifest import picture_name
from .outcome import SEED_BLOCK, VALIDATION, VALIDATION_SEEDS, Outcome, provenance
from .progress import progress_bar
from .recipe import Recipe
from .run_folder import RunFolder
from .runfile import write_run
from .sight_fit import Columns, SeeingPolicy, Shots, fit_behind, fit_eyes
from .sighted import Sighted, SightedActor, collect

Array = NDArray[np.float32]

REFERENCES = 4  # each with a picture of every camera
THREADS = 1  # of torch, whatever the machine, because sums depend on it
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
        self.shots = Shots()
        self.round = -1
        self.steps = self.flawless = self.longest = 0
        self.success = self.seconds = 0.0
        self.done = False
        self.judged: tuple[float, float] | None = None

    def open(self, folder: RunFolder) -> None:
        """Take the folder of this run, with what it did before."""
        self.folder, self.saved = folder, folder.saved

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
        return collect(self.env_options, crew, seeds, every=self.recipe.sight.every, **more)

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
        self._make(self._eyes(), *self._statistics())
        self.seconds += time.monotonic() - started
        self._save()

    def _eyes(self) -> Eyes:
        """Eyes scaled by the demonstrations."""
        x, sight = self.shots.x[0].astype(np.float64), self.recipe.sight
        given = x[:, self.columns.given]
        cuts = self.env.spec_.slices("observation")
        estimates = []
        for field in self.hidden:
            values, about = x[:, cuts[field.name]], self._about(field)
            if about and field.size == 2:
                s, c = values.T
                sine, cosine = x[:, cuts[about]].T
                values = np.stack([s * cosine - c * sine, c * cosine + s * sine], axis=1)
            elif about:
                values = values - x[:, cuts[about]]
            mean, std = values.mean(axis=0), np.maximum(values.std(axis=0), STD_FLOOR)
            estimates.append(Estimate(field=field, about=about, mean=tuple(mean.tolist()), std=tuple(std.tolist())))
        views = views_of(self.env)
        height, width, _ = self.env.observation_space[f"{views[0].name}_rgb"].shape  # type: ignore[index]
        eyes = Eyes(
            views=views,
            height=height,
            width=width,
            convolutions=tuple(Convolution(channels=c, kernel=k, stride=s) for c, k, s in sight.convolutions),
            hidden=sight.hidden,
            mean=tuple(given.mean(axis=0).tolist()),
            std=tuple(np.maximum(given.std(axis=0), STD_FLOOR).tolist()),
            estimates=tuple(estimates),
        )
        eyes.check(self.spec)
        return eyes

    def _about(self, field: Field) -> str:
        """Measured field from which a hidden one is seen: the one that the task compares it with.

        What lies about is seen best from the hand that nears it; what the cell's controller knows stands still.
        """
        if field.source != "parts":
            return ""
        measured = {f.name for f in self.spec.observation}
        pairs = [(f.a, f.b) for f in self.env.task.features if f.b]
        partners = [b if a == field.name else a for a, b in pairs if field.name in (a, b)]
        return next((name for name in partners if name in measured), "")

    def _statistics(self) -> tuple[Array, Array]:
        """Mean and standard deviation of every feature over the demonstrations."""
        told = replace(self.spec, observation=(*self.spec.observation, *self.hidden))
        features = FeatureMap.from_spec(told, self.env.task.features)
        rows = features(self.shots.x[0][:, self.columns.told].astype(np.float64))
        return rows.mean(axis=0).astype(np.float32), np.maximum(rows.std(axis=0), STD_FLOOR).astype(np.float32)

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
        good = [len(t) * self.env.dt for t in episodes if t.success]
        return len(good) / len(episodes), float(np.mean(good)) if good else self.env.task.horizon_s

    def _take(self, episodes: Sequence[Sighted]) -> None:
        """Keep a round of episodes, their pictures on the disk."""
        self.steps += sum(len(one.whole) for one in episodes)
        number = len(self.shots.x)
        for view in views_of(self.env):
            frames = np.concatenate([one.frames[view.name] for one in episodes])
            path = self._file(number, view.name)
            try:
                path.parent.mkdir(exist_ok=True)
            except OSError as error:
                raise RefusedError(f"{path.parent}: cannot be made ({error.strerror})") from error
            write_whole(path, lambda file, frames=frames: _write_array(file, frames))  # type: ignore[misc]
        self.shots.add(episodes, self._frames(number))

    def _file(self, number: int, camera: str) -> Any:
        return self.folder.path / SEEN / f"{number:03d}_{camera}.npy"

    def _frames(self, number: int) -> Mapping[str, NDArray[np.uint8]]:
        found = {}
        for view in views_of(self.env):
            path = self._file(number, view.name)
            try:
                found[view.name] = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise RefusedError(f"{path}: cannot be read ({error}); train anew in another folder") from error
        return found

    def _save(self) -> None:
        s = self.shots
        self.folder.save(
            {
                "eyes": _plain(self.policy.eyes.eyes),
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
        if (self.folder.path / SEEN).exists() or not self.done:
            s.frames = [self._frames(k) for k in range(len(s.x))]

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
        shots.frames = []
        with suppress(OSError):  # what is left of it is in nobody's way
            shutil.rmtree(path / SEEN)

    def outcome(self) -> Outcome:
        """What it reached."""
        success, cycle_time = self.judged or (0.0, self.env.task.horizon_s)
        return Outcome(success=success, cycle_time=cycle_time, steps=self.steps, seconds=self.seconds)


def _write_array(file: BufferedWriter, array: NDArray[np.uint8]) -> None:
    npy.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def _write_model(file: BufferedWriter, state: Mapping[str, th.Tensor]) -> None:
    """The weights, where `genba pack` looks for them in what the library writes."""
    with zipfile.ZipFile(file, "w") as archive, archive.open("policy.pth", "w", force_zip64=True) as member:
        th.save(dict(state), member)


def _plain(value: Any) -> Any:
    """A value of dataclasses and tuples as dicts and lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return {key: _plain(item) for key, item in asdict(value).items()}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
