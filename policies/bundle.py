"""A policy in one file: what it is, its weights, and the proof that it still computes what was trained.

In order of use:
    bundle = PolicyBundle.load(path)     refuses anything malformed
    bundle.check_robot(robot)            refuses another arm, by the name of the field
    bundle.verify()                      refuses another result than the trainer's, on this machine
    action = bundle.act(observation)     float32 in [-1, 1], numpy only
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..robots.description import RobotDescription
from ..robots.errors import RefusedError
from ..robots.features import FeatureMap
from .archive import MANIFEST, WEIGHTS, read_archive, read_weights, write_archive
from .manifest import EnvelopeLimits, Manifest, check_manifest, read_manifest
from .network import Network

TOLERANCE: Final = 1e-5


class PolicyBundle:
    """A policy with everything that decides where it may run."""

    def __init__(
        self, manifest: Manifest, weights: Mapping[str, NDArray[np.float32]], source: Path | None = None
    ) -> None:
        """Put a bundle together.

        Args:
            manifest: What the policy is.
            weights: Arrays `layer<i>.weight` of shape (out, in) and `layer<i>.bias` of shape (out,).
            source: File it was read from.

        Raises:
            RefusedError: If the manifest contradicts itself or the weights are not the manifest's.
        """
        check_manifest(manifest)
        shapes = manifest.shapes()
        for name in (*shapes, *weights):
            array = weights.get(name)
            if array is None or name not in shapes or array.shape != shapes[name] or array.dtype != np.float32:
                raise RefusedError(f"weights: array {name!r} is not the float32 {shapes.get(name)} of the manifest")
            if not np.isfinite(array).all():
                raise RefusedError(f"weights: array {name!r} holds values that are not finite")
        self.manifest = manifest
        self.weights = dict(weights)
        self.source = source

    @classmethod
    def load(cls, path: Path | str) -> "PolicyBundle":
        """Read a bundle strictly.

        Args:
            path: A `*.genba` file.

        Raises:
            RefusedError: If anything in it is not exactly as it must be; one line with file, fault and cure.
        """
        path = Path(path)
        table, raw = read_archive(path)
        manifest = read_manifest(table, f"{path}: {MANIFEST}")
        weights = read_weights(raw, manifest.shapes(), f"{path}: {WEIGHTS}")
        return cls(manifest, weights, source=path)

    def save(self, path: Path | str) -> Path:
        """Write the bundle in one step; equal bundles give equal bytes.

        Args:
            path: Where it goes.
        """
        path = Path(path)
        write_archive(path, self.manifest.to_json(), self.weights)
        return path

    @property
    def name(self) -> str:
        """Name for people: its file, or its task."""
        return self.source.name if self.source else self.manifest.task.name

    @cached_property
    def features(self) -> FeatureMap:
        """What is computed from an observation before the first layer."""
        return FeatureMap.from_spec(self.manifest.spec, self.manifest.features)

    @cached_property
    def _network(self) -> Network:
        spec = self.manifest.spec
        count = len(self.manifest.network.sizes) - 1
        return Network(
            features=self.features,
            observation_size=spec.size("observation"),
            mean=self.manifest.normalisation.mean,
            std=self.manifest.normalisation.std,
            layers=[(self.weights[f"layer{i}.weight"], self.weights[f"layer{i}.bias"]) for i in range(count)],
            activation=self.manifest.network.activation,
            squash=self.manifest.network.squash,
        )

    def act(self, observation: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Decide.

        Args:
            observation: Packed `observation` and `desired_goal`.

        Returns:
            Action, float32 in [-1, 1].

        Raises:
            RefusedError: If a vector has another shape than in training.
            SafetyError: If anything is not finite.
        """
        return self._network(observation)

    def verify(self) -> float:
        """Recompute the reference actions on this machine.

        Returns:
            The largest difference found.

        Raises:
            RefusedError: If it is above 1e-5: this machine does not compute what was trained.
        """
        worst = 0.0
        for one in self.manifest.reference:
            action = self.act(
                {
                    "observation": np.array(one.observation, dtype=np.float32),
                    "desired_goal": np.array(one.desired_goal, dtype=np.float32),
                }
            )
            worst = max(worst, float(np.abs(action - np.array(one.action)).max()))
        if not worst <= TOLERANCE:
            raise RefusedError(
                f"{self.name}: reference actions differ by {worst:.2g} on this machine, at most {TOLERANCE:g} is "
                "allowed; the weights are not those that were trained, pack them again"
            )
        return worst

    def check_robot(self, robot: RobotDescription, rate_hz: int | None = None, control: str | None = None) -> None:
        """Refuse an arm that this policy was not trained for.

        Args:
            robot: The arm that would move.
            rate_hz: Rate at which it would be driven, when someone chose one.
            control: Control mode, when someone chose one.

        Raises:
            RefusedError: At the first field that differs; the text names it with both values.
        """
        mine = self.manifest
        limits = EnvelopeLimits.of(robot)
        pairs: list[tuple[str, object, object]] = [
            ("robot.name", mine.robot.name, robot.name),
            ("robot.actuator_names", mine.robot.actuator_names, robot.actuator_names),
            ("control.rate_hz", mine.control.rate_hz, mine.control.rate_hz if rate_hz is None else rate_hz),
            ("control.mode", mine.control.mode, mine.control.mode if control is None else control),
        ]
        pairs += [
            (f"envelope.{key}", getattr(mine.envelope, key), getattr(limits, key))
            for key in EnvelopeLimits.__dataclass_fields__
        ]
        pairs.append(("robot.hash", mine.robot.hash, robot.hash))
        for key, trained, here in pairs:
            if trained != here:
                raise RefusedError(
                    f"{self.name}: {key} is {trained!r} in the policy and {here!r} here; "
                    "use a policy trained for this arm (`genba list policies`) or train one"
                )
