"""A policy in one file: what it is, its weights, and the proof that it still computes what was trained.

In order of use:
    bundle = PolicyBundle.load(path)     refuses anything malformed
    bundle.check_robot(robot)            refuses another arm, by the name of the field
    bundle.verify()                      refuses another result than the trainer's, on this machine
    action = bundle.act(observation)     float32 in [-1, 1], numpy only
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..robots.description import RobotDescription
from ..robots.errors import RefusedError
from ..robots.features import FeatureMap
from .archive import MANIFEST, PICTURES, WEIGHTS, read_archive, read_pictures, read_weights, write_archive
from .manifest import EYES, EnvelopeLimits, Manifest, check_manifest, picture_name, read_manifest
from .network import Network
from .seeing import Seeing

TOLERANCE: Final = 1e-5


class PolicyBundle:
    """A policy with everything that decides where it may run."""

    def __init__(
        self,
        manifest: Manifest,
        weights: Mapping[str, NDArray[np.float32]],
        source: Path | None = None,
        pictures: Mapping[str, NDArray[np.uint8]] | None = None,
    ) -> None:
        """Put a bundle together.

        Args:
            manifest: What the policy is.
            weights: Arrays `layer<i>.weight` of shape (out, in) and `layer<i>.bias` of shape (out,), and those of eyes.
            source: File it was read from.
            pictures: What each camera saw at each reference observation; of a policy with eyes only.

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
        self.pictures = dict(pictures or {})
        wanted = manifest.picture_shapes()
        for name in (*wanted, *self.pictures):
            picture = self.pictures.get(name)
            if picture is None or name not in wanted or picture.shape != wanted[name] or picture.dtype != np.uint8:
                raise RefusedError(f"pictures: {name!r} is not the uint8 {wanted.get(name)} of the manifest")
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
        table, raw, seen = read_archive(path)
        manifest = read_manifest(table, f"{path}: {MANIFEST}")
        weights = read_weights(raw, manifest.shapes(), f"{path}: {WEIGHTS}")
        pictures = read_pictures(seen, manifest.picture_shapes(), f"{path}: {PICTURES}")
        return cls(manifest, weights, source=path, pictures=pictures)

    def save(self, path: Path | str) -> Path:
        """Write the bundle in one step; equal bundles give equal bytes.

        Args:
            path: Where it goes.
        """
        path = Path(path)
        write_archive(path, self.manifest.to_json(), self.weights, self.pictures)
        return path

    @property
    def name(self) -> str:
        """Name for people: its file, or its task."""
        return self.source.name if self.source else self.manifest.task.name

    @cached_property
    def features(self) -> FeatureMap:
        """What is computed from an observation before the first layer."""
        return FeatureMap.from_spec(self.manifest.told, self.manifest.features)

    @cached_property
    def _behind(self) -> Network:
        """The network, or what stands behind the eyes of a policy that has some."""
        count = len(self.manifest.network.sizes) - 1
        return Network(
            features=self.features,
            observation_size=self.manifest.told.size("observation"),
            mean=self.manifest.normalisation.mean,
            std=self.manifest.normalisation.std,
            layers=[(self.weights[f"layer{i}.weight"], self.weights[f"layer{i}.bias"]) for i in range(count)],
            activation=self.manifest.network.activation,
            squash=self.manifest.network.squash,
        )

    @cached_property
    def eyes(self) -> Seeing | None:
        """The policy as one with eyes; None if it has none."""
        eyes = self.manifest.eyes
        if eyes is None:
            return None
        weights = {name: self.weights[f"{EYES}{name}"] for name in eyes.shapes()}
        return Seeing(eyes, self.manifest.spec, weights, self._behind)

    @cached_property
    def _decide(self) -> Callable[[Mapping[str, NDArray[Any]]], NDArray[np.float32]]:
        return self.eyes or self._behind

    def act(self, observation: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Decide.

        Args:
            observation: Packed `observation` and `desired_goal`, and for a policy with eyes the picture `<name>_rgb` of
                every camera.

        Returns:
            Action, float32 in [-1, 1].

        Raises:
            RefusedError: If a vector has another shape than in training.
            SafetyError: If anything is not finite.
        """
        return self._decide(observation)

    def verify(self) -> float:
        """Recompute the reference actions on this machine.

        Returns:
            The largest difference found.

        Raises:
            RefusedError: If it is above 1e-5: this machine does not compute what was trained.
        """
        worst = 0.0
        views = self.manifest.eyes.views if self.manifest.eyes else ()
        for k, one in enumerate(self.manifest.reference):
            action = self.act(
                {
                    **{f"{view.name}_rgb": self.pictures[picture_name(k, view.name)] for view in views},
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
