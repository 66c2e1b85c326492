"""A policy with eyes while it learns: the eyes, the network behind them, and gradient steps on both.

    pictures + measured -> eyes -> estimated fields -> relative features -> network -> action
                                   |  should be those of the true fields   |          should be the expert's

The network behind is fitted to the expert told the truth, which is known for every tick and costs little. Told what
poor eyes see it would learn to do nothing, the mean of all that might be right. Then the eyes are fitted: by their
estimates as features, where a millimetre counts near the tool and hardly far from it, and by what the network, held as
it is, makes of them.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise

import gymnasium as gym
import numpy as np
import torch as th
from numpy.typing import NDArray

from ...robots.features import FeatureMap
from ...robots.observation import ObservationSpec
from ..eyes import Eyes
from ..layers import Layers, layer_arrays
from ..training.actor import Features
from ..training.collect import BatchActor
from ..training.descent import descend, falling_share
from ..training.recipe import ImitationRecipe, Recipe
from .eyes_torch import LearningEyes
from .shots import Columns, Shots
from .sighted import SightedActor

Array = NDArray[np.float32]

CLOSE = 0.05  # of a feature's standard deviation, below which an error counts with its square
WARMING = 200  # steps in which the learning rate rises


class SeeingPolicy(th.nn.Module):
    """Eyes and the network behind them."""

    def __init__(
        self,
        eyes: Eyes,
        spec: ObservationSpec,
        features: FeatureMap,
        mean: Array,
        std: Array,
        actions: int,
        recipe: Recipe,
    ) -> None:
        """Lay out parameters, drawn from torch's generator.

        Args:
            eyes: What the eyes are.
            spec: What is measured.
            features: Map from what is told to features.
            mean: Mean of each feature.
            std: Standard deviation of each.
            actions: Length of an action.
            recipe: Hidden layers.
        """
        super().__init__()
        self.spec, self.map, self.mean, self.std = spec, features, mean, std
        self.split = spec.size("observation")
        self.eyes = LearningEyes(eyes, spec)
        box = gym.spaces.Box(-1.0, 1.0, (features.inputs,))
        self.features = Features(box, features, mean.tolist(), std.tolist())
        sizes = (features.size, *recipe.nets.actor)
        hidden: list[th.nn.Module] = []
        for wide, narrow in pairwise(sizes):
            hidden += [th.nn.Linear(wide, narrow), th.nn.ReLU()]
        self.behind = th.nn.Sequential(*hidden, th.nn.Linear(sizes[-1], actions))
        self.layout = Layers(
            layers=tuple(f"behind.{2 * k}" for k in range(len(sizes))), activation="relu", squash="tanh"
        )

    def loss(
        self,
        given: th.Tensor,
        told: th.Tensor,
        label: th.Tensor,
        pictures: Mapping[str, th.Tensor],
        weight: float,
        huber: float,
    ) -> th.Tensor:
        """How wrong the eyes are.

        Args:
            given: What is measured.
            told: Features of the truth.
            label: The expert's actions.
            pictures: By camera.
            weight: Of the estimates against the action.
            huber: Error of an action from which on it counts linearly.
        """
        estimated = self.eyes(pictures, given)
        believed = self.features(th.cat((given[:, : self.split], estimated, given[:, self.split :]), dim=1))
        fields = th.nn.functional.smooth_l1_loss(believed, told, beta=CLOSE)
        action = th.nn.functional.smooth_l1_loss(th.tanh(self.behind(believed)), label, beta=huber)
        return weight * fields + action

    def actor(self) -> SightedActor:
        """The present policy as arrays for the collectors."""
        state = {name: tensor.detach().numpy() for name, tensor in self.state_dict().items()}
        behind = BatchActor(features=self.map, mean=self.mean, std=self.std, layers=layer_arrays(state, self.layout))
        return SightedActor(eyes=self.eyes.eyes, spec=self.spec, weights=self.eyes.arrays(), behind=behind)


def fit_behind(
    policy: SeeingPolicy,
    optimiser: th.optim.Optimizer,
    shots: Shots,
    columns: Columns,
    generator: th.Generator,
    recipe: ImitationRecipe,
    updates: int,
) -> None:
    """Fit the network behind the eyes to the expert, told the truth; the learning rate falls along a cosine.

    Args:
        policy: What learns.
        optimiser: Of the network's parameters.
        shots: What was seen.
        columns: Where what is in it.
        generator: Draws the batches.
        recipe: Rates and sizes.
        updates: Gradient steps.
    """
    x, y = (th.as_tensor(np.concatenate(rows)) for rows in (shots.x, shots.y))
    with th.no_grad():
        features = policy.features(x[:, columns.told])

    def loss() -> th.Tensor:
        rows = th.randint(len(x), (recipe.batch,), generator=generator)
        action = th.tanh(policy.behind(features[rows]))
        return th.nn.functional.smooth_l1_loss(action, y[rows], beta=recipe.huber)

    for _ in descend(optimiser, loss, updates, lambda step: recipe.learning_rate * falling_share(step, updates)):
        pass  # nobody asks for it


def fit_eyes(
    policy: SeeingPolicy,
    optimiser: th.optim.Optimizer,
    shots: Shots,
    columns: Columns,
    generator: th.Generator,
    recipe: Recipe,
    *,
    updates: int,
    first: bool,
) -> Iterator[float]:
    """Fit the eyes on all pictures; the learning rate falls along a cosine. Yields the loss every 100 steps.

    Args:
        policy: What learns; the network behind the eyes stays as it is.
        optimiser: Of the eyes' parameters.
        shots: What was seen.
        columns: Where what is in it.
        generator: Draws the batches.
        recipe: Rates, sizes and weights.
        updates: Gradient steps.
        first: Let the learning rate rise in the beginning.
    """
    sight = recipe.sight
    at = np.concatenate(shots.at)
    x, y = (th.as_tensor(np.concatenate(rows)[at]) for rows in (shots.x, shots.y))
    with th.no_grad():
        features = policy.features(x[:, columns.told])
    given = x[:, columns.given]

    def loss() -> th.Tensor:
        rows = th.randint(len(x), (sight.batch,), generator=generator)
        pictures = {name: th.as_tensor(seen) for name, seen in shots.pictures(rows.numpy()).items()}
        return policy.loss(given[rows], features[rows], y[rows], pictures, sight.fields, recipe.imitation.huber)

    def rate(step: int) -> float:
        share = min(1.0, (step + 1) / WARMING) if first else 1.0
        return sight.learning_rate * share * falling_share(step, updates)

    policy.behind.requires_grad_(False)
    yield from descend(optimiser, loss, updates, rate)
    policy.behind.requires_grad_(True)
