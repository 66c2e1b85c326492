"""What a policy says of itself: the table in `manifest.json`, read strictly into a Manifest.

It holds everything that decides whether this policy may move that arm, so that a mismatch can be refused by
name instead of being felt by the hardware.
"""

import dataclasses
from typing import Any, Final

from ..robots.description import Gripper, Joint, RobotDescription
from ..robots.errors import RefusedError
from ..robots.features import Feature, FeatureMap
from ..robots.observation import ObservationSpec
from ..robots.strict import build
from ..robots.success import Success
from .eyes import Eyes
from .network import ACTIVATIONS, SQUASHES

FORMAT_VERSION: Final = 1
MAX_UNITS: Final = 4096
EYES: Final = "eyes."  # what the names of the weights of eyes begin with


@dataclasses.dataclass(frozen=True, kw_only=True)
class RobotMatch:
    """The arm a policy was trained for.

    Attributes:
        name: Catalogue name.
        hash: SHA-256 of its description and URDF.
        actuator_names: Arm joints and then the gripper joint, in the order of the target vector.
    """

    name: str
    hash: str
    actuator_names: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Control:
    """How an action becomes a target.

    Attributes:
        mode: "joint_delta", "joint_position" or "ee_delta".
        rate_hz: Ticks per second in training; another rate is another policy.
        gripper: Whether the last action moves the gripper.
    """

    mode: str
    rate_hz: int
    gripper: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Range:
    """Smallest and largest value of each entry of a vector."""

    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ranges:
    """What the policy has seen in training; outside it, nobody knows what it does."""

    observation: Range
    desired_goal: Range


@dataclasses.dataclass(frozen=True, kw_only=True)
class Normalisation:
    """Mean and standard deviation of each feature in training."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
    """Shape of the network: features in, hidden layers, actions out."""

    sizes: tuple[int, ...]
    activation: str
    squash: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnvelopeLimits:
    """Limits in force when the policy was trained; per actuator in order, gripper last.

    Attributes:
        lower: Lower end of each range, rad (m for a parallel finger).
        upper: Upper end.
        max_velocity: Largest speed, rad/s.
        max_acceleration: Largest acceleration, rad/s2.
        tcp_speed: Largest TCP speed, m/s.
        workspace_lower: Lower corner of the TCP's box, m.
        workspace_upper: Upper corner.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    max_velocity: tuple[float, ...]
    max_acceleration: tuple[float, ...]
    tcp_speed: float
    workspace_lower: tuple[float, float, float]
    workspace_upper: tuple[float, float, float]

    @classmethod
    def of(cls, robot: RobotDescription) -> "EnvelopeLimits":
        """The limits that an arm's description declares."""
        actuators: tuple[Joint | Gripper, ...] = (*robot.joints, robot.gripper)
        ends = (min(robot.gripper.closed, robot.gripper.open), max(robot.gripper.closed, robot.gripper.open))
        return cls(
            lower=(*(j.lower for j in robot.joints), ends[0]),
            upper=(*(j.upper for j in robot.joints), ends[1]),
            max_velocity=tuple(a.max_velocity for a in actuators),
            max_acceleration=tuple(a.max_acceleration for a in actuators),
            tcp_speed=robot.limits.tcp_speed,
            workspace_lower=robot.limits.workspace_lower,
            workspace_upper=robot.limits.workspace_upper,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskInfo:
    """What the policy was trained to do.

    Attributes:
        name: Catalogue name of the task.
        tolerance: Tolerance class in training: "servo", "lab" or "industrial".
        max_steps: Ticks after which an episode counts as failed.
        level: Degree of difficulty in training; empty where the task has only one.
    """

    name: str
    tolerance: str
    max_steps: int
    level: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where the weights come from.

    Attributes:
        command: The command that trained it.
        algorithm: Recipe, such as "dagger+sac".
        seed: Seed of the run.
        steps: Environment steps it learned from.
        seconds: Wall time of the training, s.
        versions: Packages that took part, such as "torch 2.13.0".
    """

    command: str
    algorithm: str
    seed: int
    steps: int
    seconds: float
    versions: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """Success in simulation, measured after training.

    Attributes:
        episodes: Episodes of the measurement.
        successes: How many succeeded.
        seed: Seed of the first episode.
        low: Lower end of the 95 % Wilson interval of the success rate.
        high: Upper end.
        cycle_time: Mean time to success, s.
        randomize: What differed between episodes beside the task itself: "off", "nominal", "wide", or "own" ranges.
    """

    episodes: int
    successes: int
    seed: int
    low: float
    high: float
    cycle_time: float
    randomize: str = "off"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reference:
    """One observation and the action that the trainer's own framework gave for it."""

    observation: tuple[float, ...]
    desired_goal: tuple[float, ...]
    action: tuple[float, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """The whole table; see the classes above.

    Attributes:
        format_version: Version of this layout.
        robot: The arm.
        control: The way actions are meant.
        spec: Fields of observation, achieved and desired goal, in packing order; of a policy with eyes only what is
            measured.
        eyes: What is made of pictures, absent for a policy without eyes; the fields that they estimate follow those of
            the observation.
        features: What is computed from them before the first layer.
        ranges: Values seen in training.
        normalisation: Of the features.
        network: Its shape.
        envelope: Limits in training.
        task: What it does.
        success: When it has done it.
        taught_points: Desired goals to visit where no sense provides one.
        provenance: Where it comes from.
        measured: How well it does, absent when nobody has measured.
        reference: Observations with expected actions, re-checked before each run.
    """

    format_version: int
    robot: RobotMatch
    control: Control
    spec: ObservationSpec
    features: tuple[Feature, ...]
    ranges: Ranges
    normalisation: Normalisation
    network: Architecture
    envelope: EnvelopeLimits
    task: TaskInfo
    success: Success
    taught_points: tuple[tuple[float, ...], ...] = ()
    provenance: Provenance
    measured: Measured | None = None
    eyes: Eyes | None = None
    reference: tuple[Reference, ...]

    @property
    def told(self) -> ObservationSpec:
        """What the first layer is told: what is measured, and what the eyes make of pictures."""
        return self.eyes.whole(self.spec) if self.eyes else self.spec

    def to_json(self) -> dict[str, Any]:
        """The table as JSON knows it; what was not measured is left out."""
        table = dataclasses.asdict(self)
        table["spec"] = self.spec.to_json()
        return {key: value for key, value in table.items() if value is not None}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every weight array."""
        found: dict[str, tuple[int, ...]] = {}
        for i, (inputs, outputs) in enumerate(zip(self.network.sizes, self.network.sizes[1:], strict=False)):
            found[f"layer{i}.weight"] = (outputs, inputs)
            found[f"layer{i}.bias"] = (outputs,)
        if self.eyes is not None:
            found |= {f"{EYES}{name}": shape for name, shape in self.eyes.shapes().items()}
        return found

    def picture_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every picture that belongs to a reference."""
        if self.eyes is None:
            return {}
        shape = self.eyes.height, self.eyes.width, 3
        return {picture_name(k, v.name): shape for k in range(len(self.reference)) for v in self.eyes.views}


def picture_name(reference: int, camera: str) -> str:
    """Name of the array that holds what a camera saw at a reference observation."""
    return f"reference{reference}.{camera}"


def read_manifest(table: dict[str, Any], where: str) -> Manifest:
    """Check a parsed manifest in full.

    Args:
        table: What the JSON parser returned.
        where: File and member, for the error text.

    Raises:
        RefusedError: If the version is another, a key is missing, unknown or of the wrong type, or sizes and
            names do not agree with each other; the text names the key.
    """
    version = table.get("format_version")
    if version != FORMAT_VERSION:
        raise RefusedError(
            f"{where}: format_version is {version!r}, this genba reads {FORMAT_VERSION}; "
            "pack the policy again, or install the genba that made it"
        )
    try:
        manifest = build(Manifest, table, where)
        check_manifest(manifest)
    except RefusedError as error:
        text = str(error)
        raise RefusedError(text if text.startswith(where) else f"{where}: {text}") from error
    return manifest


def check_manifest(manifest: Manifest) -> None:
    """Check that the parts of a manifest agree with each other.

    Raises:
        RefusedError: If they do not; the text names the key.
    """
    spec = manifest.spec
    sizes = {group: spec.size(group) for group in ("observation", "desired_goal")}
    for key, size in sizes.items():
        found = getattr(manifest.ranges, key)
        if len(found.low) != size or len(found.high) != size:
            raise RefusedError(f"ranges.{key}: {len(found.low)} values, the spec's fields have {size}")
        if any(low > high for low, high in zip(found.low, found.high, strict=True)):
            raise RefusedError(f"ranges.{key}: a low is above its high")
    if manifest.eyes is not None:
        manifest.eyes.check(spec)
    features = FeatureMap.from_spec(manifest.told, manifest.features).size
    mean, std = manifest.normalisation.mean, manifest.normalisation.std
    if len(mean) != features or len(std) != features:
        raise RefusedError(f"normalisation: {len(mean)} and {len(std)} values, the features are {features}")
    if min(std, default=1.0) < 1e-9:
        raise RefusedError("normalisation: a std is zero or negative")
    net = manifest.network
    if len(net.sizes) < 2 or not all(1 <= size <= MAX_UNITS for size in net.sizes):
        raise RefusedError(f"network: sizes {list(net.sizes)} are not at least two widths within 1 and {MAX_UNITS}")
    if net.sizes[0] != features:
        raise RefusedError(f"network: sizes begin with {net.sizes[0]}, the features are {features}")
    for key, value, allowed in (
        ("activation", net.activation, ACTIVATIONS),
        ("squash", net.squash, SQUASHES),
    ):
        if value not in allowed:
            raise RefusedError(f"network: {key} is {value!r}; allowed: {', '.join(allowed)}")
    if manifest.control.rate_hz < 1 or manifest.task.max_steps < 1:
        raise RefusedError("control.rate_hz and task.max_steps must be at least 1")
    for i, point in enumerate(manifest.taught_points):
        if len(point) != sizes["desired_goal"]:
            raise RefusedError(f"taught_points[{i}]: {len(point)} values, a desired goal has {sizes['desired_goal']}")
    if not manifest.reference:
        raise RefusedError("reference: there is no observation to check the policy with")
    expected = (sizes["observation"], sizes["desired_goal"], net.sizes[-1])
    for i, one in enumerate(manifest.reference):
        if (len(one.observation), len(one.desired_goal), len(one.action)) != expected:
            raise RefusedError(f"reference[{i}]: sizes of observation, desired_goal and action must be {expected}")
