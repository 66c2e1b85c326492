"""Eyes: numpy sees what torch sees, and what is not exactly right is refused before it acts."""

import dataclasses
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch as th
from hypothesis import given, settings
from hypothesis import strategies as st

from genba.envs.arm.sim_arm import SimArm
from genba.envs.cell import Cell
from genba.policies.archive import MANIFEST, PICTURES
from genba.policies.bundle import PolicyBundle
from genba.policies.eyes import Convolution, Estimate, Eyes, View
from genba.policies.eyes_numpy import Sight
from genba.policies.manifest import picture_name
from genba.policies.pack import TrainingRun, assemble
from genba.policies.run import run_bundle
from genba.policies.sight.eyes_torch import LearningEyes
from genba.robots.catalogue import load_robot
from genba.robots.errors import RefusedError, SafetyError
from genba.robots.observation import Field, ObservationSpec
from genba.robots.strict import build
from genba.robots.success import goal_fields

PART = Field(name="part_position", size=3, unit="m", low=-2.0, high=2.0, source="parts")
YAW = Field(name="part_yaw", size=2, unit="1", low=-1.0, high=1.0, source="parts")
SEATED = Field(name="part_seated", size=1, unit="1", low=0.0, high=1.0, source="job")


def view(name: str) -> View:
    return View(name=name, link="", eye=(1.0, 0.0, 1.0), target=(0.0, 0.0, 0.0), up=(0.0, 0.0, 1.0), fov=40.0)


def make_eyes(spec: ObservationSpec, rng: np.random.Generator, **changes: Any) -> Eyes:
    inputs = spec.size("observation") + spec.size("desired_goal")

    def numbers(count: int, low: float, high: float) -> tuple[float, ...]:
        return tuple(rng.uniform(low, high, count).tolist())

    table: dict[str, Any] = {
        "views": (view("front"), view("wrist")),
        "height": 21,
        "width": 25,
        "convolutions": (
            Convolution(channels=3, kernel=5, stride=2),
            Convolution(channels=4, kernel=3, stride=1),
        ),
        "hidden": (9,),
        "mean": numbers(inputs, -0.2, 0.2),
        "std": numbers(inputs, 0.3, 1.0),
        "estimates": (
            Estimate(field=PART, about="tcp_position", mean=numbers(3, -0.002, 0.002), std=numbers(3, 0.002, 0.005)),
            Estimate(field=YAW, about="tcp_yaw", mean=numbers(2, -0.1, 0.1), std=numbers(2, 0.5, 0.7)),
            Estimate(field=SEATED, about="", mean=(0.5,), std=(0.4,)),
        ),
    }
    return Eyes(**{**table, **changes})


def random_arrays(eyes: Eyes, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        name: (rng.normal(size=shape) / max(1.0, np.prod(shape[1:])) ** 0.5).astype(np.float32)
        for name, shape in eyes.shapes().items()
    }


def random_pictures(eyes: Eyes, batch: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    shape = batch, eyes.height, eyes.width, 3
    return {v.name: rng.integers(0, 256, shape).astype(np.uint8) for v in eyes.views}


@pytest.fixture(scope="module")
def spec() -> ObservationSpec:
    """What an SO-101 measures, with a goal."""
    from genba.robots.station import arm_fields

    return ObservationSpec(
        observation=arm_fields(load_robot("so101")),
        achieved_goal=goal_fields("achieved", "arm"),
        desired_goal=goal_fields("goal", "goal"),
    )


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    cameras=st.integers(1, 3),
    layers=st.lists(st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 3)), min_size=1, max_size=3),
    hidden=st.lists(st.integers(1, 16), max_size=2),
    size=st.tuples(st.integers(60, 75), st.integers(60, 75)),  # three of the largest leave one place of 60 pixels
)
def test_numpy_sees_what_torch_sees(
    spec: ObservationSpec,
    seed: int,
    cameras: int,
    layers: list[tuple[int, int, int]],
    hidden: list[int],
    size: tuple[int, int],
) -> None:
    rng = np.random.default_rng(seed)
    eyes = make_eyes(
        spec,
        rng,
        views=tuple(view(f"camera{k}") for k in range(cameras)),
        height=size[0],
        width=size[1],
        convolutions=tuple(Convolution(channels=c, kernel=max(k, s), stride=s) for c, k, s in layers),
        hidden=tuple(hidden),
    )
    eyes.check(spec)
    arrays, pictures = random_arrays(eyes, rng), random_pictures(eyes, 3, rng)
    x = rng.normal(size=(3, len(eyes.mean))).astype(np.float32)
    model = LearningEyes(eyes, spec).double()
    model.load_state_dict({name: th.as_tensor(array.astype(np.float64)) for name, array in arrays.items()})
    with th.no_grad():
        wanted = model({n: th.as_tensor(p) for n, p in pictures.items()}, th.as_tensor(x.astype(np.float64))).numpy()
    sight = Sight(eyes, spec, arrays)
    found = sight({f"{n}_rgb": p for n, p in pictures.items()}, x)
    assert np.abs(found - wanted).max() < 1e-5
    alone = np.concatenate([sight({f"{n}_rgb": p[[k]] for n, p in pictures.items()}, x[[k]]) for k in range(3)])
    assert np.abs(alone - found).max() < 1e-12


def test_the_names_of_a_learner_are_those_of_a_bundle(spec: ObservationSpec) -> None:
    eyes = make_eyes(spec, np.random.default_rng(0))
    assert {name: array.shape for name, array in LearningEyes(eyes, spec).arrays().items()} == eyes.shapes()


def test_a_spot_is_seen_where_it_is_to_a_fraction_of_a_pixel(spec: ObservationSpec) -> None:
    """One convolution that passes brightness on; what comes out follows the spot, also between pixels."""
    rng = np.random.default_rng(0)
    eyes = make_eyes(
        spec,
        rng,
        views=(view("front"),),
        convolutions=(Convolution(channels=1, kernel=1, stride=1),),
        hidden=(),
        estimates=(Estimate(field=SEATED, about="", mean=(0.0,), std=(1.0,)),),
    )
    arrays = {name: np.zeros_like(array) for name, array in random_arrays(eyes, rng).items()}
    arrays["front.conv0.weight"] += 10.0
    arrays["past.weight"][0, 0] = 0.5 * eyes.width  # u of the only channel, in pixels
    sight = Sight(eyes, spec, arrays)
    x = np.zeros((1, len(eyes.mean)), np.float32)

    def where(left: float) -> float:
        picture = np.zeros((1, eyes.height, eyes.width, 3), np.uint8)
        whole, part = divmod(left, 1.0)
        picture[0, 8:12, int(whole)] = round(255 * (1.0 - part))
        picture[0, 8:12, int(whole) + 1] = 255
        picture[0, 8:12, int(whole) + 2] = round(255 * part)
        return float(sight({"front_rgb": picture}, x)[0, 0])

    places = [where(left) for left in (6.0, 6.5, 7.0, 7.5, 8.0)]
    assert np.diff(places) == pytest.approx([0.5] * 4, abs=0.05)


@pytest.fixture
def seeing(run_table: dict[str, Any]) -> PolicyBundle:
    """A policy with eyes of random weights, packed in memory."""
    rng = np.random.default_rng(4)
    table = {
        **run_table,
        "features": [*run_table["features"], {"op": "local_difference", "a": "part_position", "b": "tcp_position"}],
    }
    count = len(table["normalisation"]["mean"]) + 3
    table["normalisation"] = {"mean": [0.1] * count, "std": [0.5] * count}
    run = build(TrainingRun, table, "run.json")
    spec = run.spec
    eyes = make_eyes(spec, rng)
    seen = tuple(
        {
            "observation": rng.normal(size=spec.size("observation")).tolist(),
            "desired_goal": rng.normal(size=spec.size("desired_goal")).tolist(),
        }
        for _ in range(2)
    )
    run = build(TrainingRun, {**table, "reference": list(seen)}, "run.json")
    run = dataclasses.replace(run, eyes=eyes)
    joints = len(load_robot("so101").joints)
    sizes = (count, 16, 16, joints)
    weights = {f"eyes.{name}": array for name, array in random_arrays(eyes, rng).items()}
    for k in range(3):
        weights[f"layer{k}.weight"] = (rng.normal(size=(sizes[k + 1], sizes[k])) / sizes[k] ** 0.5).astype(np.float32)
        weights[f"layer{k}.bias"] = np.zeros(sizes[k + 1], np.float32)
    frames = random_pictures(eyes, 2, rng)
    pictures = {picture_name(k, name): frame[k] for name, frame in frames.items() for k in range(2)}
    return assemble(run, weights, pictures)


def looked_at(bundle: PolicyBundle, k: int) -> dict[str, np.ndarray]:
    one = bundle.manifest.reference[k]
    assert bundle.manifest.eyes is not None
    return {
        "observation": np.array(one.observation, np.float32),
        "desired_goal": np.array(one.desired_goal, np.float32),
        **{f"{v.name}_rgb": bundle.pictures[picture_name(k, v.name)] for v in bundle.manifest.eyes.views},
    }


def test_a_policy_with_eyes_survives_its_file(seeing: PolicyBundle, tmp_path: Path) -> None:
    path = seeing.save(tmp_path / "seeing.genba")
    again = PolicyBundle.load(path)
    assert again.verify() < 1e-5
    assert again.manifest == seeing.manifest
    assert (again.act(looked_at(again, 0)) == seeing.act(looked_at(seeing, 0))).all()
    assert again.save(tmp_path / "again.genba").read_bytes() == path.read_bytes()


def test_it_says_where_it_believes_a_part_to_be(seeing: PolicyBundle) -> None:
    assert seeing.eyes is not None
    told = seeing.eyes.believes(looked_at(seeing, 0))
    assert {name: len(values) for name, values in told.items()} == {"part_position": 3, "part_yaw": 2, "part_seated": 1}


def test_other_pictures_are_other_actions(seeing: PolicyBundle) -> None:
    observation = looked_at(seeing, 0)
    other = {**observation, "front_rgb": 255 - observation["front_rgb"]}
    assert (seeing.act(other) != seeing.act(observation)).any()


def _without_wrist(seen: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array for name, array in seen.items() if name != "wrist_rgb"}


@pytest.mark.parametrize(
    ("change", "kind", "named"),
    [
        (_without_wrist, RefusedError, "wrist_rgb is None"),
        (lambda s: {**s, "front_rgb": s["front_rgb"][:-1]}, RefusedError, "front_rgb"),
        (lambda s: {**s, "front_rgb": s["front_rgb"].astype(np.float32)}, RefusedError, "float32"),
        (lambda s: {**s, "observation": s["observation"][:-1]}, RefusedError, "trained on"),
        (lambda s: {**s, "observation": s["observation"] * np.nan}, SafetyError, "not finite"),
    ],
)
def test_it_does_not_act_on_what_it_was_not_trained_on(
    seeing: PolicyBundle,
    change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]],
    kind: type[Exception],
    named: str,
) -> None:
    with pytest.raises(kind, match=named):
        seeing.act(change(looked_at(seeing, 0)))


EYES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "unknown key": (lambda e: e.update(depth=True), "unknown key 'depth'"),
    "no camera": (lambda e: e.update(views=[]), r"eyes\.views"),
    "camera twice": (lambda e: e["views"].append(e["views"][0]), r"eyes\.views"),
    "camera with a path for a name": (lambda e: e["views"][0].update(name="../front"), r"eyes\.views"),
    "huge pictures": (lambda e: e.update(height=10**6), "pictures of 1000000"),
    "no convolution": (lambda e: e.update(convolutions=[]), "convolutions"),
    "kernel larger than the picture": (lambda e: e["convolutions"][1].update(kernel=11), "nothing left"),
    "stride of nothing": (lambda e: e["convolutions"][0].update(stride=0), r"convolutions\[0\]"),
    "too many channels": (lambda e: e["convolutions"][0].update(channels=10**6), r"convolutions\[0\]"),
    "another count of channels": (lambda e: e["convolutions"][0].update(channels=5), r"eyes\.front\.conv0"),
    "short mean": (lambda e: e["mean"].pop(), "eyes: mean"),
    "zero std": (lambda e: e["std"].__setitem__(0, 0.0), "std is zero"),
    "nothing estimated": (lambda e: e.update(estimates=[]), "nothing is estimated"),
    "estimate that is measured": (lambda e: e["estimates"][0]["field"].update(name="tcp_position"), "twice"),
    "estimate of another size": (lambda e: e["estimates"][0]["field"].update(size=2), r"estimates\[0\]"),
    "count seen from the tool": (lambda e: e["estimates"][2].update(about="tcp_position"), "cannot be seen from"),
    "seen from nothing": (lambda e: e["estimates"][2].update(about="nothing"), "cannot be seen from"),
    "privileged estimate": (lambda e: e["estimates"][0]["field"].update(privileged=True), "privileged"),
}


@pytest.mark.parametrize("case", sorted(EYES))
def test_eyes_that_are_not_exactly_right_are_refused(seeing: PolicyBundle, tmp_path: Path, case: str) -> None:
    edit, named = EYES[case]
    parts = members(seeing, tmp_path)
    table = json.loads(parts[MANIFEST])
    edit(table["eyes"])
    refused(tmp_path, {**parts, MANIFEST: json.dumps(table).encode()}, named)


def test_pictures_belong_to_eyes_and_eyes_need_pictures(
    seeing: PolicyBundle, bundle: PolicyBundle, tmp_path: Path
) -> None:
    parts = members(seeing, tmp_path)
    frames = safetensors.numpy.load(parts[PICTURES])
    first = min(frames)
    ramp = np.linspace(0, 255, frames[first].size, dtype=np.uint8).reshape(frames[first].shape)
    turned = dict.fromkeys(frames, ramp)
    refused(tmp_path, {name: raw for name, raw in parts.items() if name != PICTURES}, PICTURES)
    for wrong, named in (
        ({name: frame for name, frame in frames.items() if name != first}, "is missing"),
        ({**frames, "more": frames[first]}, "unknown array 'more'"),
        ({**frames, first: frames[first][1:]}, "has shape"),
        ({**frames, first: frames[first].astype(np.float32)}, "has type 'F32'"),
        (turned, "reference actions differ"),
    ):
        refused(tmp_path, {**parts, PICTURES: safetensors.numpy.save(wrong)}, named)
    refused(tmp_path, {**members(bundle, tmp_path), PICTURES: parts[PICTURES]}, "knows no eyes")


def members(bundle: PolicyBundle, folder: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle.save(folder / "good.genba")) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def refused(folder: Path, parts: dict[str, bytes], named: str) -> None:
    path = folder / "bad.genba"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(RefusedError, match=named) as refusal:
        PolicyBundle.load(path).verify()
    assert "\n" not in str(refusal.value)


class Watching:
    """Cameras that always show the first reference."""

    def __init__(self, bundle: PolicyBundle) -> None:
        self._seen = {k: v for k, v in looked_at(bundle, 0).items() if k.endswith("_rgb")}
        self.looks = 0

    def look(self) -> dict[str, np.ndarray]:
        self.looks += 1
        return self._seen


@pytest.fixture
def arm() -> Iterator[SimArm]:
    with closing(Cell(load_robot("so101"))) as cell:
        yield SimArm(cell)


def test_an_arm_without_cameras_is_refused_to_a_policy_with_eyes(
    seeing: PolicyBundle, bundle: PolicyBundle, arm: SimArm
) -> None:
    with pytest.raises(RefusedError, match="looks through the cameras front and wrist") as refusal:
        run_bundle(seeing, arm)
    assert "\n" not in str(refusal.value)
    with pytest.raises(RefusedError, match="has no eyes"):
        run_bundle(bundle, arm, cameras=Watching(seeing))


def test_it_looks_once_per_tick(seeing: PolicyBundle, arm: SimArm) -> None:
    cameras = Watching(seeing)
    report = run_bundle(seeing, arm, cameras=cameras, episodes=1, max_steps=7)
    assert cameras.looks == report.ticks > 0
