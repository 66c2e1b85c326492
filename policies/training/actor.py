"""The actor while it learns: relative, normalised features in front of an SB3 network, and its weights as arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from ...robots.features import FeatureMap

Array = NDArray[np.float32]


class Features(BaseFeaturesExtractor):
    """Relative features, normalised with fixed statistics; nothing here is trained."""

    left: th.Tensor
    right: th.Tensor
    near: th.Tensor
    origin: th.Tensor
    near_scale: th.Tensor
    matrix: th.Tensor
    mean: th.Tensor
    scale: th.Tensor

    def __init__(
        self,
        observation_space: gym.spaces.Space[Any],
        features: FeatureMap,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        """Keep the map as buffers, so that it moves and saves with the policy.

        Args:
            observation_space: Dict with `observation` and `desired_goal`, or a box of both side by side.
            features: The map from both to features.
            mean: Mean of each feature over the demonstrations.
            std: Standard deviation of each.
        """
        super().__init__(observation_space, features.size)
        self.register_buffer("left", th.as_tensor(features.pairs[:, 0].copy()))
        self.register_buffer("right", th.as_tensor(features.pairs[:, 1].copy()))
        self.register_buffer("near", th.as_tensor(features.locals[:, 0].copy()))
        self.register_buffer("origin", th.as_tensor(features.locals[:, 1].copy()))
        self.register_buffer("near_scale", th.as_tensor(features.scales.astype(np.float32)))
        self.register_buffer("matrix", th.as_tensor(features.matrix.T.copy()))
        self.register_buffer("mean", th.as_tensor(np.asarray(mean, np.float32)))
        self.register_buffer("scale", th.as_tensor(1.0 / np.asarray(std, np.float32)))

    def forward(self, observations: Mapping[str, th.Tensor] | th.Tensor) -> th.Tensor:
        """Features of a batch, given as a dict or with both vectors side by side."""
        if isinstance(observations, th.Tensor):
            x = observations
        else:
            x = th.cat((observations["observation"], observations["desired_goal"]), dim=1)
        z = th.cat((x, x[:, self.left] * x[:, self.right]), dim=1)
        near = th.tanh((z[:, self.near] - z[:, self.origin]) / self.near_scale)
        z = th.cat((z, near), dim=1)
        return (z @ self.matrix - self.mean) * self.scale
