"""A policy network in numpy: what torch trained, without torch, in microseconds.

Data flow:
    z -> first layer, with features and normalisation folded in -> relu | tanh -> ... -> tanh | clip -> action

Folding: features = M z and first layer W ((f - mean) / std) + b become one matrix over z, kept in float64, because M
subtracts nearly equal positions and the product with 1 / std would lose those digits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..robots.errors import RefusedError, SafetyError
from ..robots.features import FeatureMap

ACTIVATIONS = ("relu", "tanh")
SQUASHES = ("tanh", "clip")

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


class Network:
    """Multi-layer perceptron from a packed observation to an action in [-1, 1].

    Not thread-safe: it computes in buffers of its own.
    """

    def __init__(
        self,
        *,
        features: FeatureMap,
        observation_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        layers: Sequence[Layer],
        activation: str,
        squash: str,
    ) -> None:
        """Fold and lay out buffers.

        Args:
            features: Map from x to features.
            observation_size: How many of the values of x come from `observation`; the rest is `desired_goal`.
            mean: Mean of each feature in training.
            std: Standard deviation of each feature in training.
            layers: Weight of shape (out, in) and bias of shape (out,) of each layer, first to last.
            activation: "relu" or "tanh" between layers.
            squash: "tanh" or "clip" after the last.

        Raises:
            RefusedError: If sizes do not chain or a name is unknown.
        """
        if activation not in ACTIVATIONS or squash not in SQUASHES:
            raise RefusedError(
                f"network: activation {activation!r} and squash {squash!r}; "
                f"allowed: {', '.join(ACTIVATIONS)} and {', '.join(SQUASHES)}"
            )
        width = features.size
        for i, (weight, bias) in enumerate(layers):
            if weight.ndim != 2 or weight.shape[1] != width or bias.shape != (weight.shape[0],):
                raise RefusedError(
                    f"network: layer {i} is {weight.shape} with bias {bias.shape}, expected (?, {width})"
                )
            width = weight.shape[0]
        if not layers:
            raise RefusedError("network: it has no layer")
        scale = 1.0 / np.asarray(std, dtype=np.float64)
        first = layers[0][0].astype(np.float64) * scale
        self._first = np.ascontiguousarray(first @ features.matrix.astype(np.float64))
        self._first_bias = layers[0][1].astype(np.float64) - first @ np.asarray(mean, dtype=np.float64)
        self._rest = [(np.ascontiguousarray(weight), bias) for weight, bias in layers[1:]]
        self._relu = activation == "relu"
        self._tanh_out = squash == "tanh"
        self._split = observation_size
        self._inputs = features.inputs
        self._left = np.ascontiguousarray(features.pairs[:, 0])
        self._right = np.ascontiguousarray(features.pairs[:, 1])
        self._near = np.ascontiguousarray(features.locals[:, 0])
        self._from = np.ascontiguousarray(features.locals[:, 1])
        self._magnify = 1.0 / features.scales
        self._products = features.inputs + len(features.pairs)
        self._z = np.zeros(self._products + len(features.locals))
        self._z_first = np.zeros(layers[0][0].shape[0])
        self._hidden = [np.zeros(w.shape[0], dtype=np.float32) for w, _ in layers]
        self._shapes = ((observation_size,), (features.inputs - observation_size,))

    def __call__(self, observation: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Decide.

        Args:
            observation: Packed `observation` and `desired_goal`; other entries are not looked at.

        Returns:
            A new float32 array in [-1, 1].

        Raises:
            RefusedError: If a vector has another shape than in training; nothing is broadcast.
            SafetyError: If the observation or the action is not finite.
        """
        own, goal = observation["observation"], observation["desired_goal"]
        if (own.shape, goal.shape) != self._shapes:
            raise RefusedError(
                f"observation: shapes {own.shape} and {goal.shape} (desired_goal); "
                f"this policy was trained on {self._shapes[0]} and {self._shapes[1]}"
            )
        z, n = self._z, self._inputs
        z[: self._split] = own
        z[self._split : n] = goal
        if self._left.size:
            np.multiply(z.take(self._left), z.take(self._right), out=z[n : self._products])
        if self._near.size:
            near = z[self._products :]
            np.subtract(z.take(self._near), z.take(self._from), out=near)
            near *= self._magnify
            np.tanh(near, out=near)
        np.dot(self._first, z, out=self._z_first)
        self._z_first += self._first_bias
        out = self._hidden[0]
        out[:] = self._z_first
        for (weight, bias), buffer in zip(self._rest, self._hidden[1:], strict=True):
            if self._relu:
                np.maximum(out, 0.0, out=out)
            else:
                np.tanh(out, out=out)
            np.dot(weight, out, out=buffer)
            buffer += bias
            out = buffer
        action = np.tanh(out) if self._tanh_out else np.minimum(np.maximum(out, -1.0), 1.0)
        # A sum sees a NaN or infinity anywhere; tanh and clip hide an infinite input, so look there too.
        if not np.isfinite(action.sum() + self._z_first.sum()):
            raise SafetyError("policy: the observation or the action is not finite; the arm is held")
        return action
