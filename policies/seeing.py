"""A policy with eyes: what they make of pictures is told to a network that needs no pictures."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..robots.errors import RefusedError
from ..robots.observation import ObservationSpec
from .eyes import Array, Eyes
from .eyes_numpy import Sight
from .network import Network


class Seeing:
    """From pictures and a packed observation to an action in [-1, 1]; not thread-safe."""

    def __init__(self, eyes: Eyes, spec: ObservationSpec, weights: Mapping[str, Array], behind: Network) -> None:
        """Put eyes in front of a network.

        Args:
            eyes: What they are.
            spec: What is measured.
            weights: Arrays of `Eyes.shapes`.
            behind: Takes the measured observation and behind it what the eyes estimate.
        """
        self._sight = Sight(eyes, spec, weights)
        self._behind = behind
        self._names = [f"{view.name}_rgb" for view in eyes.views]
        self._cuts: dict[str, slice] = {}
        at = 0
        for estimate in eyes.estimates:
            self._cuts[estimate.field.name] = slice(at, at + estimate.field.size)
            at += estimate.field.size
        self._shapes = ((spec.size("observation"),), (spec.size("desired_goal"),))

    def __call__(self, observation: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Decide.

        Args:
            observation: Packed `observation` and `desired_goal`, and a picture `<name>_rgb` of every camera.

        Raises:
            RefusedError: If anything is missing or has another shape than in training.
            SafetyError: If the observation or the action is not finite.
        """
        estimated = self._estimate(observation)
        told = np.concatenate([observation["observation"], estimated])
        return self._behind({"observation": told, "desired_goal": observation["desired_goal"]})

    def believes(self, observation: Mapping[str, NDArray[Any]]) -> dict[str, tuple[float, ...]]:
        """What the eyes make of an observation, by field."""
        estimated = self._estimate(observation)
        return {name: tuple(estimated[cut].tolist()) for name, cut in self._cuts.items()}

    def _estimate(self, observation: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        own, goal = observation["observation"], observation["desired_goal"]
        if (own.shape, goal.shape) != self._shapes:
            raise RefusedError(
                f"observation: shapes {own.shape} and {goal.shape} (desired_goal); "
                f"this policy was trained on {self._shapes[0]} and {self._shapes[1]}"
            )
        pictures = {name: observation[name][None] for name in self._names if name in observation}
        found: NDArray[np.float64] = self._sight(pictures, np.concatenate([own, goal])[None])[0]
        return found
