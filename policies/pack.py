"""From a training run to a bundle: read an SB3 model without letting it run code.

A run directory holds `run.json`, everything the manifest needs and the weights do not say, and `model.zip`, which SB3
wrote. SB3's own `load` unpickles; here only the weights are read, through `torch.load(weights_only=True)`. The expected
actions in the bundle are torch's, so it carries the proof that numpy computes the same.
"""

import dataclasses
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..robots.description import load_robot
from ..robots.errors import RefusedError
from ..robots.features import Feature, FeatureMap
from ..robots.observation import ObservationSpec
from ..robots.strict import build
from ..robots.success import Success
from .archive import parse_json
from .bundle import PolicyBundle
from .layers import Layers, layer_arrays
from .manifest import (
    FORMAT_VERSION,
    Architecture,
    Control,
    EnvelopeLimits,
    Manifest,
    Measured,
    Normalisation,
    Provenance,
    Range,
    Ranges,
    Reference,
    RobotMatch,
    TaskInfo,
)

RUN: Final = "run.json"
MODEL: Final = "model.zip"
REFERENCES: Final = 16
MAX_MODEL_BYTES: Final = 500_000_000

State = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One observation met in training, to be used as a reference."""

    observation: tuple[float, ...]
    desired_goal: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """The table in `run.json`; see `Manifest` for what is not explained here.

    Attributes:
        task: Task, tolerance class and length of an episode.
        robot: Catalogue name of the arm.
        control: Mode, rate and whether actions move the gripper.
        spec: Fields in packing order.
        features: What the actor computes before its first layer.
        ranges: Values seen; the fields' bounds when absent.
        normalisation: Of the features.
        network: Where the layers are.
        success: When the task is done.
        taught_points: Desired goals for a bench without a goal sense.
        provenance: Where the run comes from.
        measured: Success in simulation.
        reference: Observations to prove the bundle with; drawn from the ranges when absent.
    """

    task: TaskInfo
    robot: str
    control: Control
    spec: ObservationSpec
    features: tuple[Feature, ...]
    ranges: Ranges | None = None
    normalisation: Normalisation
    network: Layers
    success: Success
    taught_points: tuple[tuple[float, ...], ...] = ()
    provenance: Provenance
    measured: Measured | None = None
    reference: tuple[Seen, ...] = ()


def read_run(path: Path) -> TrainingRun:
    """Read `run.json` strictly.

    Args:
        path: The file.

    Raises:
        RefusedError: If it is missing or malformed; the text names the key.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RefusedError(f"{path}: cannot be read ({error.strerror}); `genba train` writes it") from error
    return build(TrainingRun, parse_json(content, str(path)), str(path))


def pack(source: Path | str, out: Path | str | None = None) -> PolicyBundle:
    """Make a bundle of a training run and check it before it is written.

    Args:
        source: Run directory, or the `model.zip` in it.
        out: Where the bundle goes; nothing is written when None.

    Raises:
        RefusedError: If the run is incomplete or malformed, or numpy and torch do not agree.
    """
    source = Path(source)
    folder = source if source.is_dir() else source.parent
    run = read_run(folder / RUN)
    state = read_sb3(folder / MODEL if source.is_dir() else source)
    bundle = assemble(run, _layers(run.network, state, folder))
    bundle.verify()
    if out is not None:
        bundle.save(out)
        return PolicyBundle.load(out)
    return bundle


def read_sb3(path: Path) -> State:
    """Weights of an SB3 model, by state-dict name; nothing else in the file is looked at.

    Args:
        path: A zip that SB3 wrote.

    Raises:
        RefusedError: If it is no such zip or its weights are not plain tensors.
    """
    import torch

    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise RefusedError(f"{path}: larger than {MAX_MODEL_BYTES} bytes, not a policy this genba packs")
        with zipfile.ZipFile(path) as archive:
            raw = archive.read("policy.pth")
        state = torch.load(BytesIO(raw), map_location="cpu", weights_only=True)
        return {name: np.asarray(tensor.numpy(), dtype=np.float32) for name, tensor in state.items()}
    except OSError as error:
        raise RefusedError(f"{path}: cannot be read ({error.strerror}); `genba train` writes it") from error
    except RefusedError:
        raise
    except Exception as error:
        # torch and zipfile raise a dozen types for a damaged or hostile file; all mean the same to the user.
        line = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise RefusedError(f"{path}: not an SB3 model with plain weights ({line})") from error


def _layers(layout: Layers, state: State, folder: Path) -> State:
    """The actor's arrays under the bundle's names."""
    if not layout.layers or len(layout.norms) not in (0, len(layout.layers)):
        raise RefusedError(
            f"{folder / RUN}: network.layers must name the actor's layers, and norms one for each or none"
        )
    try:
        arrays = layer_arrays(state, layout)
    except KeyError as error:
        name = str(error.args[0])
        known = ", ".join(key for key in state if key.startswith(name.split(".", maxsplit=1)[0])) or "no such part"
        raise RefusedError(f"{folder / MODEL}: no weights {name!r}; there are: {known[:300]}") from error
    return {
        f"layer{i}.{part}": array
        for i, pair in enumerate(arrays)
        for part, array in zip(("weight", "bias"), pair, strict=True)
    }


def assemble(run: TrainingRun, weights: State) -> PolicyBundle:
    """Join a run's facts and its weights; expected actions are computed by torch.

    Args:
        run: What training wrote down.
        weights: Arrays `layer<i>.weight` and `layer<i>.bias`.

    Raises:
        RefusedError: If they do not fit each other.
    """
    robot = load_robot(run.robot)
    features = FeatureMap.from_spec(run.spec, run.features)
    ranges = run.ranges or _declared_ranges(run.spec)
    sizes = (features.size, *(len(weights[f"layer{i}.bias"]) for i in range(len(run.network.layers))))
    seen = run.reference or _draw(ranges, run.provenance.seed)
    actions = torch_actions(run, features, weights, seen)
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        robot=RobotMatch(name=robot.name, hash=robot.hash, actuator_names=robot.actuator_names),
        control=run.control,
        spec=run.spec,
        features=run.features,
        ranges=ranges,
        normalisation=run.normalisation,
        network=Architecture(sizes=sizes, activation=run.network.activation, squash=run.network.squash),
        envelope=EnvelopeLimits.of(robot),
        task=run.task,
        success=run.success,
        taught_points=run.taught_points,
        provenance=run.provenance,
        measured=run.measured,
        reference=tuple(
            Reference(observation=one.observation, desired_goal=one.desired_goal, action=tuple(action))
            for one, action in zip(seen, actions.tolist(), strict=True)
        ),
    )
    return PolicyBundle(manifest, weights)


def remeasure(bundle: PolicyBundle, measured: Measured) -> PolicyBundle:
    """The same policy with another measurement of its success."""
    return PolicyBundle(dataclasses.replace(bundle.manifest, measured=measured), bundle.weights, bundle.source)


def torch_actions(run: TrainingRun, features: FeatureMap, weights: State, seen: Sequence[Seen]) -> NDArray[np.float32]:
    """What the trainer's own framework answers, layer by layer in float32.

    Args:
        run: For normalisation, activation and squash.
        features: Map from x to features.
        weights: Arrays `layer<i>.weight` and `layer<i>.bias`.
        seen: Observations.

    Returns:
        Actions, shape (len(seen), actions).
    """
    import torch

    rows = [(*one.observation, *one.desired_goal) for one in seen]
    if any(len(row) != features.inputs for row in rows):
        raise RefusedError(f"reference: an observation with its goal has {features.inputs} values by the spec")
    x = torch.from_numpy(features(np.array(rows, dtype=np.float32)))
    mean = torch.tensor(run.normalisation.mean, dtype=torch.float32)
    std = torch.tensor(run.normalisation.std, dtype=torch.float32)
    if mean.shape != x.shape[1:] or std.shape != x.shape[1:]:
        raise RefusedError(f"normalisation: {len(mean)} and {len(std)} values, the features are {features.size}")
    x = (x - mean) / std
    last = len(run.network.layers) - 1
    for i in range(last + 1):
        weight = torch.from_numpy(weights[f"layer{i}.weight"])
        if weight.ndim != 2 or weight.shape[1] != x.shape[1]:
            raise RefusedError(f"network: layer {i} is {tuple(weight.shape)}, expected (?, {x.shape[1]})")
        x = torch.nn.functional.linear(x, weight, torch.from_numpy(weights[f"layer{i}.bias"]))
        if i < last:
            x = torch.relu(x) if run.network.activation == "relu" else torch.tanh(x)
    x = torch.tanh(x) if run.network.squash == "tanh" else torch.clamp(x, -1.0, 1.0)
    return np.asarray(x.numpy(), dtype=np.float32)


def _declared_ranges(spec: ObservationSpec) -> Ranges:
    """The bounds of the fields, for a run that did not record what it saw."""

    def bounds(group: str) -> Range:
        low, high = spec.bounds(group)
        return Range(low=tuple(low.tolist()), high=tuple(high.tolist()))

    return Ranges(observation=bounds("observation"), desired_goal=bounds("desired_goal"))


def _draw(ranges: Ranges, seed: int) -> tuple[Seen, ...]:
    """Reference observations from inside the ranges, rounded to the float32 that the policy will see."""
    rng = np.random.default_rng(seed)

    def draw(span: Range) -> tuple[float, ...]:
        return tuple(rng.uniform(span.low, span.high).astype(np.float32).tolist())

    return tuple(
        Seen(observation=draw(ranges.observation), desired_goal=draw(ranges.desired_goal)) for _ in range(REFERENCES)
    )
