"""Where a policy's layers are inside a state dict, and their weights as arrays; numpy only.

Batch renormalisation (CrossQ) is an affine map once training is over, and is folded into the layer behind it:

    W (s (x - m) / sqrt(v + eps) + c) + b  =  (W s / sqrt(v + eps)) x + (W (c - s m / sqrt(v + eps)) + b)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]

EPSILON = 1e-3  # sb3_contrib's, which no recipe changes


@dataclass(frozen=True, kw_only=True)
class Layers:
    """Names within a model's state dict.

    Attributes:
        layers: Prefixes of `.weight` and `.bias`, first layer to last, such as "actor.latent_pi.0".
        activation: "relu" or "tanh" between them.
        squash: "tanh" or "clip" after the last.
        norms: Prefix of the batch renormalisation in front of each; none at all where the model has none.
    """

    layers: tuple[str, ...]
    activation: str
    squash: str
    norms: tuple[str, ...] = ()


def layer_arrays(state: Mapping[str, Any], layout: Layers) -> tuple[Layer, ...]:
    """Weight and bias of each layer, first to last, renormalisation folded in.

    Args:
        state: Arrays by name.
        layout: Names to look for.

    Raises:
        KeyError: If a name is missing.
    """
    found = []
    for k, prefix in enumerate(layout.layers):
        weight, bias = state[f"{prefix}.weight"], state[f"{prefix}.bias"]
        if layout.norms:
            weight, bias = _fold(weight, bias, state, layout.norms[k])
        found.append((np.array(weight, np.float32, order="C"), np.array(bias, np.float32)))
    return tuple(found)


def _fold(weight: Any, bias: Any, state: Mapping[str, Any], norm: str) -> tuple[Any, Any]:
    mean, variance, scale, shift = (
        np.asarray(state[f"{norm}.{part}"], np.float64) for part in ("ra_mean", "ra_var", "scale", "bias")
    )
    factor = scale / np.sqrt(variance + EPSILON)
    return weight * factor, bias + weight @ (shift - factor * mean)
