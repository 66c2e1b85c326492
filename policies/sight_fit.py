"""A policy with eyes while it learns: the eyes, the network behind them, and gradient steps on both.

    pictures + measured -> eyes -> estimated fields -> relative features -> network -> action
                                   |  should be those of the true fields   |          should be the expert's

The network behind is fitted to the expert told the truth, which is known for every tick and costs little. Told what
poor eyes see it would learn to do nothing, the mean of all that might be right. Then the eyes are fitted: by their
estimates as features, where a millimetre counts near the tool and hardly far from it, and by what the network, held as
it is, makes of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import cos, pi

import gymnasium as gym
import numpy as np
import torch as th
from numpy.typing import NDArray

from ..robots.features import FeatureMap
from ..robots.observation import ObservationSpec
from .actor import Features
from .collect import BatchActor
from .eyes import Eyes
from .eyes_torch import LearningEyes
from .layers import Layers, layer_arrays
from .recipe import ImitationRecipe, Recipe
from .sighted import Sighted, SightedActor

Array = NDArray[np.float32]

CLOSE = 0.05  # of a feature's standard deviation, below which an error counts with its square
WARMING = 200  # steps in which the learning rate rises


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Where in a whole observation with its goal the parts are that a policy with eyes tells apart.

    Attributes:
        measured: Of what is measured.
        estimated: Of what the eyes estimate.
        goal: Of the goal.
    """

    measured: NDArray[np.intp]
    estimated: NDArray[np.intp]
    goal: NDArray[np.intp]

    @property
    def given(self) -> NDArray[np.intp]:
        """What a policy is given beside pictures."""
        return np.concatenate([self.measured, self.goal])

    @property
    def told(self) -> NDArray[np.intp]:
        """What the network behind the eyes is told."""
        return np.concatenate([self.measured, self.estimated, self.goal])

    @classmethod
    def of(cls, whole: ObservationSpec, measured: Sequence[str], estimated: Sequence[str]) -> "Columns":
        """Find them.

        Args:
            whole: Spec of the whole state.
            measured: Names of fields.
            estimated: Names of fields.
        """
        cuts = whole.slices("observation")

        def columns(names: Sequence[str]) -> NDArray[np.intp]:
            return np.concatenate([np.arange(cuts[n].start, cuts[n].stop, dtype=np.intp) for n in names])

        split = whole.size("observation")
        goal = np.arange(split, split + whole.size("desired_goal"), dtype=np.intp)
        return cls(measured=columns(measured), estimated=columns(estimated), goal=goal)


@dataclass(slots=True)
class Shots:
    """Everything seen so far: every tick's state and label, and pictures of some of them.

    Attributes:
        x: Whole observation and goal, by round.
        y: The expert's action there.
        at: Rows, counted over all rounds, of which there are pictures.
        frames: By round and camera, the pictures; may lie on the disk.
    """

    x: list[Array] = field(default_factory=list)
    y: list[Array] = field(default_factory=list)
    at: list[NDArray[np.int64]] = field(default_factory=list)
    frames: list[Mapping[str, NDArray[np.uint8]]] = field(default_factory=list)

    def add(self, episodes: Sequence[Sighted], frames: Mapping[str, NDArray[np.uint8]]) -> None:
        """Take a round.

        Args:
            episodes: In order.
            frames: Their pictures, by camera.
        """
        start = sum(len(x) for x in self.x)
        rows = []
        for one in episodes:
            rows.append(start + one.ticks)
            start += len(one.whole)
        self.x.append(np.concatenate([one.whole.x for one in episodes]))
        self.y.append(np.concatenate([one.whole.label for one in episodes]))
        self.at.append(np.concatenate(rows))
        self.frames.append(frames)

    def pictures(self, numbers: NDArray[np.int64]) -> dict[str, NDArray[np.uint8]]:
        """Pictures by number, counted over all rounds, in this order."""
        ends = np.cumsum([len(at) for at in self.at])
        rounds = np.searchsorted(ends, numbers, side="right")
        found: dict[str, NDArray[np.uint8]] = {}
        for name, first in self.frames[0].items():
            out = np.empty((len(numbers), *first.shape[1:]), np.uint8)
            for k in np.unique(rounds):
                mine = rounds == k
                out[mine] = self.frames[k][name][numbers[mine] - (ends[k] - len(self.at[k]))]
            found[name] = out
        return found


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
    for step in range(updates):
        optimiser.param_groups[0]["lr"] = recipe.learning_rate * _share(step, updates)
        rows = th.randint(len(x), (recipe.batch,), generator=generator)
        action = th.tanh(policy.behind(features[rows]))
        loss = th.nn.functional.smooth_l1_loss(action, y[rows], beta=recipe.huber)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()


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
    total = 0.0
    policy.behind.requires_grad_(False)
    for step in range(updates):
        share = min(1.0, (step + 1) / WARMING) if first else 1.0
        optimiser.param_groups[0]["lr"] = sight.learning_rate * share * _share(step, updates)
        rows = th.randint(len(x), (sight.batch,), generator=generator)
        pictures = {name: th.as_tensor(seen) for name, seen in shots.pictures(rows.numpy()).items()}
        loss = policy.loss(given[rows], features[rows], y[rows], pictures, sight.fields, recipe.imitation.huber)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += loss.item()
        if step % 100 == 99:
            yield total / 100
            total = 0.0
    policy.behind.requires_grad_(True)


def _share(step: int, steps: int) -> float:
    """Share of the learning rate, from 1 to 2 % along a cosine."""
    return 0.02 + 0.98 * 0.5 * (1.0 + cos(pi * step / steps))
