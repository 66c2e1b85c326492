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

from ..robots.catalogue import load_robot
from ..robots.errors import RefusedError
from ..robots.features import Feature, FeatureMap
from ..robots.observation import ObservationSpec
from ..robots.strict import build
from ..robots.success import Success
from .archive import MAX_PICTURES_BYTES, PICTURES, parse_json, read_pictures
from .bundle import PolicyBundle
from .eyes import Eyes
from .layers import Layers, layer_arrays
from .manifest import (
    EYES,
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
    picture_name,
)

RUN: Final = "run.json"
MODEL: Final = "model.zip"
REFERENCES: Final = 16
MAX_MODEL_BYTES: Final = 500_000_000

State = dict[str, NDArray[np.float32]]
Pictures = dict[str, NDArray[np.uint8]]


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
        eyes: What is made of pictures, absent for a policy without eyes; what the cameras saw at each reference is
            then in `pictures.safetensors`.
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
    eyes: Eyes | None = None


def read_run(path: Path) -> TrainingRun:
    """Read `run.json` strictly.

    Args:
        path: The file.

    Raises:
        RefusedError: If it is missing or malformed; the text names the key.
    """
    if not path.parent.is_dir():
        raise RefusedError(
            f"{path.parent}: there is no such folder; name the one that `genba train` wrote, with {RUN} in it"
        )
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
    folder = source.parent if source.is_file() else source
    run = read_run(folder / RUN)
    state = read_sb3(folder / MODEL if source.is_dir() else source)
    pictures = _read_pictures(folder / PICTURES, run.eyes, len(run.reference)) if run.eyes else {}
    bundle = assemble(run, _layers(run.network, state, folder) | _eyes(run.eyes, state, folder), pictures)
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


def _eyes(eyes: Eyes | None, state: State, folder: Path) -> State:
    """The arrays of eyes under the bundle's names, which are also the model's."""
    names = [f"{EYES}{name}" for name in eyes.shapes()] if eyes else []
    missing = [name for name in names if name not in state]
    if missing:
        raise RefusedError(f"{folder / MODEL}: no weights {missing[0]!r}, which the eyes in {RUN} need")
    return {name: state[name] for name in names}


def _read_pictures(path: Path, eyes: Eyes, references: int) -> Pictures:
    shape = eyes.height, eyes.width, 3
    shapes = {picture_name(k, view.name): shape for k in range(references) for view in eyes.views}
    try:
        if path.stat().st_size > MAX_PICTURES_BYTES:
            raise RefusedError(f"{path}: larger than {MAX_PICTURES_BYTES} bytes, not the pictures of references")
        return read_pictures(path.read_bytes(), shapes, str(path))
    except OSError as error:
        raise RefusedError(f"{path}: cannot be read ({error.strerror}); `genba train` writes it") from error


def assemble(run: TrainingRun, weights: State, pictures: Pictures | None = None) -> PolicyBundle:
    """Join a run's facts and its weights; expected actions are computed by torch.

    Args:
        run: What training wrote down.
        weights: Arrays `layer<i>.weight` and `layer<i>.bias`, and those of eyes.
        pictures: What each camera saw at each reference; for eyes only.

    Raises:
        RefusedError: If they do not fit each other.
    """
    pictures = pictures or {}
    robot = load_robot(run.robot)
    if run.eyes is not None:
        run.eyes.check(run.spec)
        if not run.reference:
            raise RefusedError(f"{RUN}: a policy with eyes needs references with pictures; there are none")
    features = FeatureMap.from_spec(run.eyes.whole(run.spec) if run.eyes else run.spec, run.features)
    ranges = run.ranges or _declared_ranges(run.spec)
    sizes = (features.size, *(len(weights[f"layer{i}.bias"]) for i in range(len(run.network.layers))))
    seen = run.reference or _draw(ranges, run.provenance.seed)
    actions = torch_actions(run, features, weights, seen, pictures)
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
        eyes=run.eyes,
        reference=tuple(
            Reference(observation=one.observation, desired_goal=one.desired_goal, action=tuple(action))
            for one, action in zip(seen, actions.tolist(), strict=True)
        ),
    )
    return PolicyBundle(manifest, weights, pictures=pictures)


def remeasure(bundle: PolicyBundle, measured: Measured) -> PolicyBundle:
    """The same policy with another measurement of its success."""
    manifest = dataclasses.replace(bundle.manifest, measured=measured)
    return PolicyBundle(manifest, bundle.weights, bundle.source, bundle.pictures)


def torch_actions(
    run: TrainingRun, features: FeatureMap, weights: State, seen: Sequence[Seen], pictures: Pictures
) -> NDArray[np.float32]:
    """What the trainer's own framework answers, layer by layer, in doubles.

    Args:
        run: For normalisation, activation and squash.
        features: Map from x to features.
        weights: Arrays `layer<i>.weight` and `layer<i>.bias`.
        seen: Observations.
        pictures: What each camera saw at each; for eyes only.

    Returns:
        Actions, shape (len(seen), actions).
    """
    import torch

    inputs = run.spec.size("observation") + run.spec.size("desired_goal")
    if any(len(one.observation) + len(one.desired_goal) != inputs for one in seen):
        raise RefusedError(f"reference: an observation with its goal has {inputs} values by the spec")
    rows = np.array([(*one.observation, *one.desired_goal) for one in seen], dtype=np.float32)
    # In doubles: what float32 rounds off a product or an estimate would be magnified by fine differences, by a small
    # deviation and by large weights, and a reference should not be less exact than what it proves.
    told = _told(run.eyes, run.spec, weights, rows, pictures) if run.eyes is not None else rows.astype(np.float64)
    mean, std = np.array(run.normalisation.mean), np.array(run.normalisation.std)
    if len(mean) != features.size or len(std) != features.size:
        raise RefusedError(f"normalisation: {len(mean)} and {len(std)} values, the features are {features.size}")
    x = torch.from_numpy((features(told) - mean) / std)
    last = len(run.network.layers) - 1
    for i in range(last + 1):
        weight = torch.from_numpy(weights[f"layer{i}.weight"]).double()
        if weight.ndim != 2 or weight.shape[1] != x.shape[1]:
            raise RefusedError(f"network: layer {i} is {tuple(weight.shape)}, expected (?, {x.shape[1]})")
        x = torch.nn.functional.linear(x, weight, torch.from_numpy(weights[f"layer{i}.bias"]).double())
        if i < last:
            x = torch.relu(x) if run.network.activation == "relu" else torch.tanh(x)
    x = torch.tanh(x) if run.network.squash == "tanh" else torch.clamp(x, -1.0, 1.0)
    return np.asarray(x.numpy(), dtype=np.float32)


def _told(
    eyes: Eyes, spec: ObservationSpec, weights: State, rows: NDArray[np.float32], pictures: Pictures
) -> NDArray[np.float64]:
    """What the network behind the eyes is told at every reference, in torch and in doubles."""
    import torch

    from .sight.eyes_torch import LearningEyes

    model = LearningEyes(eyes, spec).double()
    model.load_state_dict(
        {name: torch.from_numpy(weights[f"{EYES}{name}"].astype(np.float64)) for name in eyes.shapes()}
    )
    seen = {
        view.name: torch.from_numpy(np.stack([pictures[picture_name(k, view.name)] for k in range(len(rows))]))
        for view in eyes.views
    }
    x = torch.from_numpy(rows.astype(np.float64))
    split = spec.size("observation")
    with torch.no_grad():
        told = torch.cat((x[:, :split], model(seen, x), x[:, split:]), dim=1)
    return np.asarray(told.numpy())


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
