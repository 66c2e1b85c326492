"""Imitation: behaviour cloning on demonstrations, then DAgger.

In each DAgger round the learner acts and the expert, a function of the same observation, says what it would have
done there; all labels so far are fitted again. Labels are the expert's clean actions, also where the action sent
was noisy. In the first rounds the two may take turns. (Ross, Gordon and Bagnell 2011, with its beta as `mix`.)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch as th
from numpy.typing import NDArray

from ...robots.features import FeatureMap
from .collect import BatchActor, Collectors, Trajectory
from .curriculum import Curriculum
from .descent import descend, falling_share
from .layout import arrays_of
from .recipe import ImitationRecipe

Array = NDArray[np.float32]
STD_FLOOR = 1e-3  # of a feature that hardly changes in the demonstrations


@dataclass(slots=True)
class Labels:
    """Everything the expert has said so far."""

    x: list[Array] = field(default_factory=list)
    y: list[Array] = field(default_factory=list)

    def add(self, trajectories: list[Trajectory]) -> None:
        """Take the labels of episodes."""
        self.x.extend(t.x for t in trajectories)
        self.y.extend(t.label for t in trajectories)

    def tensors(self) -> tuple[th.Tensor, th.Tensor]:
        """All rows."""
        return th.as_tensor(np.concatenate(self.x)), th.as_tensor(np.concatenate(self.y))


def statistics(features: FeatureMap, trajectories: list[Trajectory]) -> tuple[Array, Array]:
    """Mean and standard deviation of every feature over demonstrations."""
    rows = features(np.concatenate([t.x for t in trajectories]).astype(np.float64))
    return rows.mean(axis=0).astype(np.float32), np.maximum(rows.std(axis=0), STD_FLOOR).astype(np.float32)


def fit(
    actor: th.nn.Module,
    labels: Labels,
    *,
    split: int,
    updates: int,
    batch: int,
    learning_rate: float,
    huber: float,
    generator: th.Generator,
    falling: bool = False,
) -> Iterator[float]:
    """Gradient steps on the labels; yields the loss every 100 steps.

    Args:
        actor: SB3 actor; its mean is fitted, its exploration is not touched.
        labels: What to fit.
        split: Length of the observation within x.
        updates: Gradient steps.
        batch: Samples per step.
        learning_rate: Adam's.
        huber: Error from which on the loss grows linearly.
        generator: Draws the batches.
        falling: Let the learning rate fall to 2 % along a cosine.
    """
    x, y = labels.tensors()
    with th.no_grad():
        inputs = actor.features_extractor({"observation": x[:, :split], "desired_goal": x[:, split:]})  # type: ignore[operator]
    parameters = [*actor.latent_pi.parameters(), *actor.mu.parameters()]  # type: ignore[union-attr]
    optimiser = th.optim.Adam(parameters, lr=learning_rate, fused=True)

    def loss() -> th.Tensor:
        rows = th.randint(len(x), (batch,), generator=generator)
        action = th.tanh(actor.mu(actor.latent_pi(inputs[rows])))  # type: ignore[operator]
        return th.nn.functional.smooth_l1_loss(action, y[rows], beta=huber)

    def rate(step: int) -> float:
        return learning_rate * (falling_share(step, updates) if falling else 1.0)

    yield from descend(optimiser, loss, updates, rate)


def batch_actor(policy: th.nn.Module, features: FeatureMap, mean: Array, std: Array) -> BatchActor:
    """The present mean action as arrays for the collectors."""
    return BatchActor(features=features, mean=mean, std=std, layers=arrays_of(policy))


@dataclass(slots=True, kw_only=True)
class Imitation:
    """State of an imitation run: what a checkpoint must hold.

    Attributes:
        recipe: How much of what.
        features: Feature map of the task.
        split: Length of the observation within x.
        seed: First seed of its episodes.
        labels: Everything the expert has said.
        demonstrations: The expert's own episodes.
        round: Rounds done; -1 before the demonstrations are fitted.
        steps: Environment steps so far.
        success: Learner's success rate in the newest round.
        flawless: Rounds in a row without a failure.
        done: Whether the last fit has been made.
    """

    recipe: ImitationRecipe
    features: FeatureMap
    split: int
    seed: int
    labels: Labels = field(default_factory=Labels)
    demonstrations: list[Trajectory] = field(default_factory=list)
    round: int = -1
    steps: int = 0
    success: float = 0.0
    flawless: int = 0
    done: bool = False

    def demonstrate(self, collectors: Collectors, given: list[Trajectory] | None = None) -> tuple[Array, Array]:
        """Collect demonstrations, or take those that are given; returns the feature statistics."""
        recipe = self.recipe
        if given is None:
            half = self.seed + recipe.demonstrations // 2
            given = collectors.collect(range(self.seed, half))
            given += collectors.collect(range(half, self.seed + recipe.demonstrations), noise=recipe.noise)
        self.demonstrations = given
        self.labels.add(self.demonstrations)
        self.steps += sum(len(t) for t in self.demonstrations)
        return statistics(self.features, self.demonstrations)

    def run_round(
        self,
        policy: th.nn.Module,
        mean: Array,
        std: Array,
        collectors: Collectors,
        generator: th.Generator,
        on_loss: Callable[[float], None],
        curriculum: Curriculum | None = None,
    ) -> None:
        """One round: let the learner act (but not before the first fit), then fit.

        Args:
            policy: SB3 policy, of which the actor is fitted.
            mean: Mean of each feature.
            std: Standard deviation of each.
            collectors: Who run episodes.
            generator: Draws the batches.
            on_loss: Called with the loss every 100 steps.
            curriculum: Says at which level the learner acts, and is told how that went.
        """
        recipe = self.recipe
        first = self.round < 0
        if not first:
            mix = recipe.mix * max(0.0, 1.0 - self.round / recipe.mix_rounds)
            start = self.seed + recipe.demonstrations + self.round * recipe.episodes
            episodes = collectors.collect(
                range(start, start + recipe.episodes),
                actor=batch_actor(policy, self.features, mean, std),
                options={"level": curriculum.level} if curriculum else None,
                mix=mix,
            )
            if curriculum:
                curriculum.record(t.success for t in episodes)
            self.labels.add(episodes)
            self.steps += sum(len(t) for t in episodes)
            self.success = float(np.mean([t.success for t in episodes]))
            # A learner that climbs a curriculum is sure only where it leads to.
            flawless = self.success == 1.0 and not mix and (curriculum is None or curriculum.finished)
            self.flawless = self.flawless + 1 if flawless else 0
        last = self.round == recipe.rounds - 1 or self.flawless >= recipe.sure
        updates = recipe.first_updates if first else recipe.last_updates if last else recipe.updates
        for loss in fit(
            policy.actor,  # type: ignore[arg-type]
            self.labels,
            split=self.split,
            updates=updates,
            batch=recipe.batch,
            learning_rate=recipe.learning_rate,
            huber=recipe.huber,
            generator=generator,
            falling=last,
        ):
            on_loss(loss)
        self.round += 1
        self.done = last
