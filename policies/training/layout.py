"""Where the deterministic action's layers are in the policies of the library's algorithms."""

from collections.abc import Mapping

import torch as th
from sb3_contrib.common.torch_layers import BatchRenorm

from ..layers import Layer, Layers, layer_arrays


def layout_of(policy: th.nn.Module) -> Layers:
    """Find them; every algorithm ends in the same plain perceptron under other names.

    Args:
        policy: Of PPO, SAC, TQC, CrossQ, TD3 or DDPG.
    """
    modules = dict(policy.named_modules())
    activation, squash = "relu", "tanh"
    if "action_net" in modules:
        names, activation, squash = [*_children(modules, "mlp_extractor.policy_net"), "action_net"], "tanh", "clip"
    elif "actor.latent_pi" in modules:
        names = [*_children(modules, "actor.latent_pi"), "actor.mu"]
    else:
        names = _children(modules, "actor.mu")
    return Layers(
        layers=tuple(name for name in names if isinstance(modules[name], th.nn.Linear)),
        norms=tuple(name for name in names if isinstance(modules[name], BatchRenorm)),
        activation=activation,
        squash=squash,
    )


def _children(modules: Mapping[str, th.nn.Module], name: str) -> list[str]:
    return [f"{name}.{key}" for key, _ in modules[name].named_children()]


def arrays_of(policy: th.nn.Module) -> tuple[Layer, ...]:
    """Weight and bias of each layer, first to last, as copies."""
    return layer_arrays(
        {name: tensor.detach().numpy() for name, tensor in policy.state_dict().items()}, layout_of(policy)
    )
