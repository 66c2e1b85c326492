"""What a camera is declared to be, how far off it may be in an episode, what is refused, and the way by GL."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from math import cos, radians, sin, tan
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest

from genba.envs.arm.sim_arm import SimArm
from genba.envs.body import Body, Box
from genba.envs.bullet import bullet
from genba.envs.cell import Cell
from genba.envs.env import CellEnv
from genba.envs.render.gl import _context
from genba.envs.render.mount import lens_at
from genba.envs.sight import CameraMount, CameraOffset, Sight, standard_mounts
from genba.envs.view import Camera
from genba.robots.catalogue import load_robot, robot_names
from genba.robots.description import RobotDescription
from genba.robots.errors import RefusedError

Seen = Mapping[str, npt.NDArray[np.generic]]

MAGENTA = (1.0, 0.0, 1.0, 1.0)
DOWN = CameraMount(name="down", eye=(0.2, 0.0, 0.5), target=(0.2, 0.0, 0.0), up=(1.0, 0.0, 0.0), fov=40.0)


class Stage:
    """A cell with an arm at home."""

    def __init__(self) -> None:
        self.robot: RobotDescription = load_robot("so101")
        self.cell = Cell(self.robot)
        self.arm = SimArm(self.cell)
        self.arm.reset(self.robot.home, self.robot.gripper.home)


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.cell.close()


def sight_by(backend: str, cell: Cell, arm: SimArm, mounts: Sequence[CameraMount]) -> Sight:
    """Cameras with depth; skips where a machine has no GL."""
    if backend == "gl":
        pytest.importorskip("moderngl")
    try:
        return Sight(cell, arm, mounts, depth=True, backend=backend, samples=1)
    except RefusedError as error:
        if backend == "gl":
            pytest.skip(str(error))
        raise


def same(a: Seen, b: Seen) -> bool:
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


def magenta(picture: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    red, green, blue = np.moveaxis(picture.astype(int), 2, 0)
    found: npt.NDArray[np.bool_] = (np.minimum(red, blue) > 60) & (green < 0.3 * np.minimum(red, blue))
    return found


def test_spaces_tell_what_comes(env: CellEnv) -> None:
    env.reset(seed=1)
    sight = Sight(env.cell, env.arm, standard_mounts(env.robot), size=(48, 64), depth=True)
    seen, spaces = sight.look(), sight.spaces()
    assert list(seen) == list(spaces) == ["front_rgb", "front_depth", "wrist_rgb", "wrist_depth"]
    for name, (shape, dtype, low, high) in spaces.items():
        assert seen[name].shape == shape == (48, 64, 3 if name.endswith("rgb") else 1)
        assert seen[name].dtype == dtype
        assert low <= seen[name].min() < seen[name].max() <= high
    kept = {name: picture.copy() for name, picture in seen.items()}
    for picture in seen.values():
        picture[:] = 0
    assert same(sight.look(), kept)


@pytest.mark.parametrize("backend", ["cpu", "gl"])
def test_where_nothing_is_the_picture_is_even_and_the_depth_is_the_limit(stage: Stage, backend: str) -> None:
    up = CameraMount(name="up", eye=(0.0, 0.0, 1.0), target=(0.0, 0.0, 2.0), up=(1.0, 0.0, 0.0), far=2.5)
    seen = sight_by(backend, stage.cell, stage.arm, [up]).look()
    assert len(np.unique(seen["up_rgb"].reshape(-1, 3), axis=0)) == 1
    assert (seen["up_depth"] == np.float32(2.5)).all()


@pytest.mark.parametrize("robot", robot_names())
def test_the_front_camera_overlooks_all_that_the_tool_can_reach(robot: str) -> None:
    reach, (front, _) = load_robot(robot).reach, standard_mounts(load_robot(robot))
    lens = lens_at(front, CameraOffset())
    for radius in reach.radius:
        for azimuth in np.linspace(*reach.azimuth, 9):
            point = np.array([reach.axis[0] + radius * cos(azimuth), reach.axis[1] + radius * sin(azimuth), 0.0])
            right, down, ahead = lens.axes @ (point - lens.eye)
            assert abs(right) < 0.5 * ahead / lens.focal
            assert abs(down) < 0.5 * ahead / lens.focal


OFFSETS = {
    "position": CameraOffset(position=(0.01, 0.0, 0.0)),
    "turn": CameraOffset(turn=(0.0, 0.0, 0.05)),
    "fov": CameraOffset(fov=1.1),
    "light": CameraOffset(light=(0.0, 1.0, 0.0)),
    "brightness": CameraOffset(brightness=0.7),
}


@pytest.mark.parametrize("camera", ["front", "wrist"])
@pytest.mark.parametrize("what", OFFSETS)
def test_an_offset_changes_its_camera_until_the_next_reset(stage: Stage, camera: str, what: str) -> None:
    sight = Sight(stage.cell, stage.arm, standard_mounts(stage.robot), depth=True)
    before = sight.look()
    sight.reset({camera: OFFSETS[what]})
    off = sight.look()
    assert (off[f"{camera}_rgb"] != before[f"{camera}_rgb"]).mean() > 0.01
    assert (off[f"{camera}_depth"] != before[f"{camera}_depth"]).any() == (what in ("position", "turn", "fov"))
    other = "wrist" if camera == "front" else "front"
    assert (off[f"{other}_rgb"] == before[f"{other}_rgb"]).all()
    sight.reset()
    assert same(sight.look(), before)


def test_offsets_go_the_way_they_say(stage: Stage) -> None:
    stage.arm.reset((1.9, *stage.robot.home[1:]), stage.robot.gripper.home)
    stage.cell.add(Body(name="thing", boxes=(Box(half=(0.01, 0.01, 0.01), colour=MAGENTA),)))
    stage.cell.place("thing", (0.2, 0.0, 0.01))
    sight = Sight(stage.cell, stage.arm, [DOWN], depth=True)

    def centre(offset: CameraOffset) -> tuple[float, float]:
        sight.reset({"down": offset})
        rows, columns = magenta(sight.look()["down_rgb"]).nonzero()
        return float(rows.mean()), float(columns.mean())

    row, column = centre(CameraOffset())
    pixel = 2 * 0.48 * tan(radians(20)) / 84  # m on top of the block
    assert centre(CameraOffset(position=(0.03, 0.0, 0.0)))[1] == pytest.approx(column - 0.03 / pixel, abs=0.6)
    assert centre(CameraOffset(position=(0.0, 0.03, 0.0)))[0] == pytest.approx(row - 0.03 / pixel, abs=0.6)
    # To turn to the right is to turn about what points down.
    assert centre(CameraOffset(turn=(0.0, 0.06, 0.0)))[1] == pytest.approx(column - 0.48 * tan(0.06) / pixel, abs=0.6)
    assert centre(CameraOffset(turn=(0.06, 0.0, 0.0)))[0] == pytest.approx(row + 0.48 * tan(0.06) / pixel, abs=0.6)
    sight.reset({"down": CameraOffset(position=(0.0, 0.0, 0.1))})
    assert sight.look()["down_depth"][42, 70, 0] == pytest.approx(0.4, abs=1e-4)
    sight.reset({"down": CameraOffset(brightness=0.5)})
    half = sight.look()["down_rgb"][42, 70].astype(int)
    sight.reset()
    assert half == pytest.approx(0.5 * sight.look()["down_rgb"][42, 70], abs=1.0)


BAD_MOUNTS = {
    "finite": {"eye": (float("nan"), 0.0, 1.0)},
    "direction": {"eye": (0.0, 0.0, 0.0)},
    "across": {"eye": (0.0, 0.0, 1.0)},
    "near": {"near": 0.0},
    "far": {"near": 1.0, "far": 0.5},
    "field of view": {"fov": 180.0},
}


@pytest.mark.parametrize("word", BAD_MOUNTS)
def test_what_is_no_camera_is_refused(word: str) -> None:
    given = {"name": "c", "eye": (1.0, 0.0, 1.0), "target": (0.0, 0.0, 0.0), **BAD_MOUNTS[word]}
    with pytest.raises(RefusedError, match=f"camera 'c'.*{word}"):
        CameraMount(**given)  # type: ignore[arg-type]


def test_what_is_not_offered_is_refused_by_name(stage: Stage) -> None:
    front, wrist = standard_mounts(stage.robot)
    lost = CameraMount(name="c", link="elbow", eye=(0.1, 0.0, 0.0), target=(0.0, 0.0, 0.0))
    for arguments, options, words in (
        ([front, front], {}, "two cameras named 'front'"),
        ([lost], {}, "link for camera 'c' named 'elbow'; there are: .*tcp"),
        ([wrist], {"backend": "vulkan"}, "backend named 'vulkan'; there are: auto, cpu, gl"),
        ([wrist], {"size": (0, 84)}, "0 x 84 pixels"),
        ([wrist], {"samples": 0}, "0 samples"),
    ):
        with pytest.raises(RefusedError, match=words):
            Sight(stage.cell, stage.arm, arguments, **options)  # type: ignore[arg-type]
    sight = Sight(stage.cell, stage.arm, [front])
    with pytest.raises(RefusedError, match="camera named 'frnt'; there are: front"):
        sight.reset({"frnt": CameraOffset()})
    with pytest.raises(RefusedError, match="field of view"):
        sight.reset({"front": CameraOffset(fov=9.0)})


def test_a_mesh_is_refused_by_cameras_of_a_policy_and_drawn_for_people(stage: Stage) -> None:
    corners = [[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 0.1]]
    faces, c = [0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3], stage.cell.client
    mesh = bullet.createVisualShape(
        bullet.GEOM_MESH, vertices=corners, indices=faces, normals=corners, rgbaColor=MAGENTA, physicsClientId=c
    )
    bullet.createMultiBody(0.0, -1, mesh, (0.2, -0.1, 0.1), physicsClientId=c)
    with pytest.raises(RefusedError, match="no meshes; show boxes"):
        Sight(stage.cell, stage.arm, standard_mounts(stage.robot))
    assert magenta(Camera.overview(stage.robot).picture(stage.cell, 120, 90)).any()


# -- GL -----------------------------------------------------------------------------------------------------------


def test_gl_sees_what_numpy_sees_but_for_single_pixels_on_edges(env: CellEnv) -> None:
    env.reset(seed=4)
    gl, cpu = (sight_by(backend, env.cell, env.arm, standard_mounts(env.robot)) for backend in ("gl", "cpu"))
    a, b = gl.look(), cpu.look()
    assert same(gl.look(), a)
    for name in ("front", "wrist"):
        assert (np.abs(a[f"{name}_rgb"].astype(int) - b[f"{name}_rgb"]).max(axis=2) > 6).mean() < 0.02
        assert np.quantile(np.abs(a[f"{name}_depth"] - b[f"{name}_depth"]), 0.97) < 1e-3


def test_gl_that_is_not_there_is_refused_with_the_cure(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    missing: ModuleType | None = None
    monkeypatch.setitem(sys.modules, "moderngl", missing)
    _context.cache_clear()
    with pytest.raises(RefusedError, match=r"backend 'gl'.*pip install 'genba\[gl\]'.*backend='cpu'"):
        Sight(stage.cell, stage.arm, standard_mounts(stage.robot), backend="gl")
