"""Reinforcement learning from nothing, with an algorithm of stable-baselines3 or sb3-contrib, resumable to the bit.

    [seed everything from (seed, barrier), reset cells -> learn up to the next barrier -> judge -> save] x barriers

At a barrier all episodes begin anew and every generator is seeded from the seed and the number of the barrier, in a run
that goes on and in one that is resumed alike; so a checkpoint need not hold what the library keeps in running episodes.
"""

import math
import time
import warnings
from contextlib import closing
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.utils import set_random_seed

from ...envs.env import CellEnv
from ...robots.errors import RefusedError
from ...robots.features import FeatureMap
from ..crews.crew import Crew
from ..pages.progress import progress_bar
from ..runfile import write_run
from .actor import Features
from .algorithms import ON_POLICY, WITHOUT_GOALS, WITHOUT_NOISE, algorithm_class
from .checkpoint import write_whole
from .collect import BatchActor, Collectors
from .hindsight import HindsightBuffer, load_buffer, save_buffer
from .imitate import STD_FLOOR
from .layout import arrays_of, layout_of
from .outcome import SEED_BLOCK, VALIDATION, VALIDATION_SEEDS, Outcome, judged, provenance
from .recipe import Recipe
from .run_folder import RunFolder
from .side_by_side import SideBySide

Array = np.typing.NDArray[np.float32]

CELL_SEEDS = 5_000_000  # where the seeds of learning begin within the block
NEVER = 10**9  # episodes or rounds after which the library would write its own curves
DRAWS = 4096  # observations from all over the declared ranges
WANDER, WANDER_NOISE, WANDER_SEEDS = 16, 0.7, 6_000_000  # episodes at random, from which the features' scale is taken
SHARE = 0.02  # of the declared spread, which every feature's scale is at least


class ScratchRun:
    """One training run and all its state."""

    def __init__(
        self, env: CellEnv, env_options: dict[str, Any], recipe: Recipe, *, seed: int, steps: int | None
    ) -> None:
        """Lay out a run; nothing is computed yet.

        Args:
            env: Its environment, for judging.
            env_options: Keyword arguments that make another one.
            recipe: How much of what.
            seed: Of everything random.
            steps: Environment steps in all; the recipe's number if None.
        """
        self.env, self.env_options, self.recipe, self.seed = env, env_options, recipe, seed
        self.scratch = recipe.scratch
        self.steps = steps or self.scratch.steps
        self.first_seed = (seed + 1) * SEED_BLOCK
        self.features = FeatureMap.from_spec(env.spec_, env.task.features)
        self.x = self._draws()
        self.barrier = 0
        self.best: dict[str, Any] = {}
        self.seconds = 0.0

    def _draws(self) -> Array:
        """Observations from all over the declared ranges: nothing but the spec is known of the task yet."""
        rng = np.random.default_rng((self.seed, 11))
        groups = [self.env.spec_.bounds(group) for group in ("observation", "desired_goal")]
        low, high = (np.concatenate(side).astype(np.float64) for side in zip(*groups, strict=True))
        return rng.uniform(low, high, (DRAWS, len(low))).astype(np.float32)

    def _scale(self, collectors: Collectors) -> None:
        """Take the features' scale from episodes of an arm that wanders at random.

        Declared ranges alone are metres wide where a task happens within centimetres, and a millimetre would vanish;
        but what the wandering arm never moves still gets a share of its declared spread.
        """
        size = self.env.action_space.shape[0]  # type: ignore[index]
        still = (np.zeros((size, self.features.size), np.float32), np.zeros(size, np.float32))
        zero, one = np.zeros(self.features.size, np.float32), np.ones(self.features.size, np.float32)
        nobody = BatchActor(features=self.features, mean=zero, std=one, layers=(still,))
        first = self.first_seed + WANDER_SEEDS
        episodes = collectors.collect(range(first, first + WANDER), actor=nobody, noise=WANDER_NOISE)
        rows = self.features(np.concatenate([t.x for t in episodes]).astype(np.float64))
        declared = self.features(self.x.astype(np.float64)).std(axis=0)
        self.mean = rows.mean(axis=0).astype(np.float32)
        self.std = np.maximum.reduce([rows.std(axis=0), SHARE * declared]).clip(STD_FLOOR).astype(np.float32)

    def open(self, folder: RunFolder) -> None:
        """Take the folder of this run, with what it did before."""
        self.folder = folder

    def work(self, crew: Crew, *, quiet: bool) -> None:
        """Learn until all steps are done.

        Args:
            crew: Who runs the episodes by which barriers are judged, and where the cells are from which is learnt.
            quiet: Show no progress.
        """
        th.set_num_threads(1)
        name = self.env.task_name
        options = {**self._options(), "reward": self.scratch.reward}
        with closing(crew.cells(name, self.scratch.cells, options)) as cells:
            flat = self.recipe.algorithm in WITHOUT_GOALS
            collectors = Collectors(self.env_options, crew)
            if self.folder.saved is None:
                self._scale(collectors)
            else:
                self.mean, self.std = self.folder.saved["mean"].numpy(), self.folder.saved["std"].numpy()
            self.model = self._model(SideBySide(cells) if flat else cells)
            self.model.set_logger(self.folder.logger)
            if self.folder.saved is not None:
                self._load(self.folder.saved)
            barriers = -(-self.steps // self.scratch.barrier)
            try:
                with progress_bar(barriers, f"train {name} on {self.env.robot.name}", quiet=quiet) as advance:
                    for _ in range(self.barrier):
                        advance("from the checkpoint")
                    while self.model.num_timesteps < self.steps:
                        advance(self._advance(collectors))
                # A glance is kind to whoever was lucky; what is kept is judged like the policy of any other training.
                self.model.policy.load_state_dict(self.best["policy"])
                self.best["success"], self.best["cycle_time"], _ = self._judge(collectors, VALIDATION)
            finally:
                collectors.close()
        self._finish()

    def _options(self) -> dict[str, Any]:
        return {key: value for key, value in self.env_options.items() if key != "task"}

    def _model(self, cells: Any) -> BaseAlgorithm:
        recipe, more = self.recipe, dict(self.recipe.options)
        nets = self.scratch.nets
        judge = "vf" if recipe.algorithm in ON_POLICY else "qf"
        if recipe.algorithm not in ON_POLICY:
            more.setdefault("learning_starts", self.scratch.cells * (self.env.horizon + 1))
            if self.scratch.hindsight and recipe.algorithm not in WITHOUT_GOALS:
                more["replay_buffer_class"] = HindsightBuffer
                more["replay_buffer_kwargs"] = {"n_sampled_goal": self.scratch.hindsight}
        start = {"log_std_init": math.log(self.scratch.explore)} if recipe.algorithm in ON_POLICY else {}
        try:
            model: BaseAlgorithm = algorithm_class(recipe.algorithm)(
                "MlpPolicy" if recipe.algorithm in WITHOUT_GOALS else "MultiInputPolicy",
                cells,
                seed=self._draw(0),
                device="cpu",
                policy_kwargs={
                    "features_extractor_class": Features,
                    "features_extractor_kwargs": {
                        "features": self.features,
                        "mean": self.mean.tolist(),
                        "std": self.std.tolist(),
                    },
                    "net_arch": {"pi": list(nets.actor), judge: list(nets.critic)},
                    **start,
                },
                **more,
            )
        except (TypeError, ValueError, AssertionError) as error:
            raise RefusedError(f"recipe: {recipe.algorithm} does not take {recipe.options}: {error}") from error
        return model

    def _draw(self, barrier: int) -> int:
        """A seed for every generator of the library, whose numbers are of 32 bits."""
        return int(np.random.SeedSequence((self.seed, barrier)).generate_state(1)[0])

    def _advance(self, collectors: Collectors) -> str:
        """From one barrier to the next."""
        started = time.monotonic()
        model, number = self.model, self.barrier
        set_random_seed(self._draw(number))
        model.action_space.seed(self._draw(number))
        model.env.seed(self.first_seed + CELL_SEEDS + number * self.scratch.cells)  # type: ignore[union-attr]
        model._last_obs = None  # all episodes begin anew
        self._calm()
        buffer = getattr(model, "replay_buffer", None)
        if isinstance(buffer, HindsightBuffer):
            with warnings.catch_warnings(action="ignore"):
                buffer.truncate_last_trajectory()
        left = self.steps - model.num_timesteps
        model.learn(min(self.scratch.barrier, left), reset_num_timesteps=False, log_interval=NEVER)
        self.barrier += 1
        success, cycle, rewards = self._judge(collectors, self.scratch.glance)
        self._keep(success, cycle)
        self.seconds += time.monotonic() - started
        self.folder.log(
            {"scratch/success": success, "scratch/cycle_time": cycle, "scratch/return": rewards}, model.num_timesteps
        )
        self._save()
        return f"success {success:.2f}, best {self.best['success']:.2f}"

    def _calm(self) -> None:
        """Let the noise on actions be as large as it shall be by now.

        A tool that must stand still within a tolerance does not while its actions tremble.
        """
        first, last = self.scratch.explore, self.scratch.explore_last
        noise = first * (last / first) ** (self.model.num_timesteps / self.steps)
        if self.recipe.algorithm in ON_POLICY:
            with th.no_grad():
                self.model.policy.log_std.clamp_(max=math.log(noise))  # type: ignore[operator]
        elif self.recipe.algorithm in WITHOUT_NOISE:
            size = self.env.action_space.shape[0]  # type: ignore[index]
            self.model.action_noise = NormalActionNoise(np.zeros(size), np.full(size, noise))

    def _actor(self) -> BatchActor:
        layout = layout_of(self.model.policy)
        return BatchActor(
            features=self.features,
            mean=self.mean,
            std=self.std,
            layers=arrays_of(self.model.policy),
            activation=layout.activation,
            squash=layout.squash,
        )

    def _judge(self, collectors: Collectors, count: int) -> tuple[float, float, float]:
        """Success rate, mean time to success and mean sum of rewards of the present policy on fixed seeds."""
        first = self.first_seed + VALIDATION_SEEDS
        episodes = collectors.collect(range(first, first + count), actor=self._actor())
        dense = self.scratch.reward == "dense"
        rewards = [
            self.env.task.success.reward_batch(t.achieved_goal[1:], t.desired_goal[1:], dense=dense).sum()
            for t in episodes
        ]
        success, cycle = judged(self.env, [(t.success, len(t)) for t in episodes])
        return success, cycle, float(np.mean(rewards))

    def _keep(self, success: float, cycle: float) -> None:
        """Keep the present policy if it is the best so far."""
        if not self.best or (success, -cycle) >= (self.best["success"], -self.best["cycle_time"]):
            policy = {key: value.clone() for key, value in self.model.policy.state_dict().items()}
            self.best = {"policy": policy, "success": success, "cycle_time": cycle}

    def _save(self) -> None:
        model = self.model
        buffer = getattr(model, "replay_buffer", None)
        variables = model._get_torch_save_params()[1]
        self.folder.save(
            {
                "mean": th.as_tensor(self.mean),
                "std": th.as_tensor(self.std),
                "barrier": self.barrier,
                "parameters": model.get_parameters(),
                "variables": {name: getattr(model, name).detach() for name in variables},
                "counts": [model.num_timesteps, model._n_updates, model._episode_num],
                "buffer": save_buffer(buffer) if buffer is not None else None,
                "best": self.best,
                "seconds": self.seconds,
            }
        )

    def _load(self, saved: dict[str, Any]) -> None:
        model = self.model
        model.set_parameters(saved["parameters"], exact_match=True, device="cpu")
        for name, value in saved["variables"].items():
            getattr(model, name).data = value
        model.num_timesteps, model._n_updates, model._episode_num = saved["counts"]
        if saved["buffer"] is not None:
            load_buffer(model.replay_buffer, saved["buffer"])  # type: ignore[attr-defined]
        self.barrier, self.best, self.seconds = saved["barrier"], saved["best"], saved["seconds"]

    def _finish(self) -> None:
        layout = layout_of(self.model.policy)
        write_whole(self.folder.path / "model.zip", self.model.save)
        write_run(
            self.folder.path / "run.json",
            env=self.env,
            mean=self.mean,
            std=self.std,
            x=self.x,
            seed=self.seed,
            layout=layout,
            provenance=provenance(
                self.env, self.recipe, seed=self.seed, steps=self.model.num_timesteps, seconds=self.seconds
            ),
        )

    def outcome(self) -> Outcome:
        """What it reached."""
        return Outcome(
            success=self.best["success"],
            cycle_time=self.best["cycle_time"],
            steps=self.model.num_timesteps,
            seconds=self.seconds,
        )
