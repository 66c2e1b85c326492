"""The SB3 model that training fills: SAC with relative features, and critics that do not run away.

The critics carry layer normalisation, which bounds what they claim about actions nobody has tried (Ball et al.
2023); without it a critic learned from a warm start praises exactly those and ruins the policy.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3 import SAC
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.sac.policies import MultiInputPolicy

from ...envs.env import CellEnv
from ...robots.features import FeatureMap
from .actor import Features
from .recipe import Nets

Array = NDArray[np.float32]


class WarmPolicy(MultiInputPolicy):
    """SB3's policy for dict observations with normalised critics."""

    def make_critic(self, features_extractor: Any = None) -> ContinuousCritic:
        """Build SB3's critic and give its networks layer normalisation."""
        critic = super().make_critic(features_extractor)
        size = critic.features_extractor.features_dim + self.action_space.shape[0]  # type: ignore[index]
        widths: Any = self.critic_kwargs["net_arch"]
        critic.q_networks = [_q_network(size, widths) for _ in critic.q_networks]
        for k, network in enumerate(critic.q_networks):
            critic.add_module(f"qf{k}", network)
        return critic.to(self.device)


def _q_network(size: int, widths: Sequence[int]) -> th.nn.Sequential:
    layers: list[th.nn.Module] = []
    for width in widths:
        layers += [th.nn.Linear(size, width), th.nn.LayerNorm(width), th.nn.ReLU()]
        size = width
    return th.nn.Sequential(*layers, th.nn.Linear(size, 1))


def make_model(env: CellEnv, features: FeatureMap, mean: Array, std: Array, seed: int, nets: Nets) -> SAC:
    """A fresh model.

    Args:
        env: For its spaces only.
        features: Map from observation and goal to features.
        mean: Mean of each feature.
        std: Standard deviation of each.
        seed: Of the weights.
        nets: Hidden layers.
    """
    return SAC(
        WarmPolicy,
        env,
        buffer_size=1,
        seed=seed,
        device="cpu",
        policy_kwargs={
            "features_extractor_class": Features,
            "features_extractor_kwargs": {"features": features, "mean": mean.tolist(), "std": std.tolist()},
            "net_arch": {"pi": list(nets.actor), "qf": list(nets.critic)},
        },
    )
