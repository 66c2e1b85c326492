"""What cameras see: the truth of the cell, the same bytes for the same state, and nothing of how it was painted."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import radians, sqrt, tan

import numpy as np
import numpy.typing as npt
import pytest

from genba.envs.arm.sim_arm import SimArm
from genba.envs.body import Body, Box, Cylinder
from genba.envs.bullet import bullet
from genba.envs.cell import Cell
from genba.envs.env import CellEnv
from genba.envs.render.mount import lamp_with, lens_at
from genba.envs.render.paint import blank, paint
from genba.envs.render.scene import Scene
from genba.envs.sight import CameraMount, CameraOffset, Sight, standard_mounts
from genba.robots.catalogue import load_robot, robot_names
from genba.robots.description import RobotDescription
from genba.robots.kinematics import Kinematics
from genba.robots.urdf import read_urdf

Seen = Mapping[str, npt.NDArray[np.generic]]
Floats = npt.NDArray[np.float64]
Combination = tuple[str, str]

MAGENTA = (1.0, 0.0, 1.0, 1.0)
TILT = (0.2, -0.1, 0.3, 0.927)
# A picture from the side and one from above, both with depth and without averaging.
SIDE = CameraMount(name="side", eye=(0.6, -0.05, 0.22), target=(0.2, 0.0, 0.05), fov=40.0)
DOWN = CameraMount(name="down", eye=(0.2, 0.0, 0.5), target=(0.2, 0.0, 0.0), up=(1.0, 0.0, 0.0), fov=40.0)


class Stage:
    """A cell with an arm at home and whatever a test puts before the camera."""

    def __init__(self, robot: str = "so101") -> None:
        self.robot: RobotDescription = load_robot(robot)
        self.cell = Cell(self.robot)
        self.arm = SimArm(self.cell)
        self.pose(self.robot.home)

    def pose(self, joints: tuple[float, ...]) -> None:
        self.arm.reset(joints, self.robot.gripper.home)

    def add(self, *shapes: Box | Cylinder, at: tuple[float, float, float], name: str = "thing") -> None:
        self.cell.add(Body(name=name, boxes=shapes))
        self.cell.place(name, at)

    def look(self, *mounts: CameraMount, samples: int = 1, size: tuple[int, int] = (84, 84)) -> Seen:
        return Sight(self.cell, self.arm, mounts, depth=True, samples=samples, size=size).look()


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.cell.close()


@pytest.fixture(params=robot_names())
def any_stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    made = Stage(request.param)
    yield made
    made.cell.close()


def same(a: Seen, b: Seen) -> bool:
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


def magenta(picture: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    red, green, blue = np.moveaxis(picture.astype(int), 2, 0)
    found: npt.NDArray[np.bool_] = (np.minimum(red, blue) > 60) & (green < 0.3 * np.minimum(red, blue))
    return found


def rays(mount: CameraMount, size: int = 84) -> tuple[Floats, Floats]:
    """Eye and, for each pixel, the way to what is 1 m away along the line of sight: (3,) and (size, size, 3)."""
    eye, ahead = np.array(mount.eye), np.subtract(mount.target, mount.eye)
    ahead /= np.linalg.norm(ahead)
    right = np.cross(ahead, mount.up)
    right /= np.linalg.norm(right)
    step = (np.arange(size) + 0.5 - 0.5 * size) * 2.0 * tan(0.5 * radians(mount.fov)) / size
    return eye, ahead + step[None, :, None] * right + step[:, None, None] * np.cross(ahead, right)


# -- the same bytes ---------------------------------------------------------------------------------------------


def test_same_state_gives_same_bytes_whatever_was_seen_before(env: CellEnv) -> None:
    mounts = standard_mounts(env.robot)
    old = Sight(env.cell, env.arm, mounts, depth=True)
    env.reset(seed=5)
    for _ in range(5):
        env.step(np.full(env.action_space.shape, 0.7, np.float32))
        old.look()
    env.reset(seed=6)
    fresh = Sight(env.cell, env.arm, mounts, depth=True)
    assert same(old.look(), fresh.look())
    old.reset()
    assert same(old.look(), fresh.look())


def test_kept_background_is_never_seen(env: CellEnv) -> None:
    front, _ = standard_mounts(env.robot)
    sight = Sight(env.cell, env.arm, [front], depth=True, samples=1)
    lens, lamp = lens_at(front, CameraOffset()), lamp_with(CameraOffset())
    observation, _ = env.reset(seed=2)
    for _ in range(15):
        observation = env.step(env.expert_action(observation))[0]
        seen = sight.look()
        scene, canvas = Scene(env.cell.client), blank(lens, 84, 84)
        paint(canvas, scene, scene.place(scene.frames()), lens, [lamp])
        assert (canvas.colours[0].view(np.uint8).reshape(84, 84, 4)[:, :, :3] == seen["front_rgb"]).all()
        depth = np.minimum((1.0 / canvas.inverse).astype(np.float32), np.float32(lens.far))
        assert (depth == seen["front_depth"][:, :, 0]).all()


SCRIPT = """
import hashlib
from genba.envs.env import CellEnv
from genba.envs.sight import Sight, standard_mounts
env = CellEnv("PickPlace", "so101")
sight = Sight(env.cell, env.arm, standard_mounts(env.robot), depth=True)
observation, _ = env.reset(seed=3)
for _ in range(20):
    observation = env.step(env.expert_action(observation))[0]
print(hashlib.sha256(b"".join(p.tobytes() for p in sight.look().values())).hexdigest())
"""


def test_another_process_without_a_display_sees_the_same() -> None:
    bare = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR")}
    run = subprocess.run([sys.executable, "-c", SCRIPT], env=bare, capture_output=True, text=True, check=True)
    env = CellEnv("PickPlace", "so101")
    sight = Sight(env.cell, env.arm, standard_mounts(env.robot), depth=True)
    for seed in (8, 3):
        observation, _ = env.reset(seed=seed)
        for _ in range(20):
            observation = env.step(env.expert_action(observation))[0]
            sight.look()
    seen = hashlib.sha256(b"".join(p.tobytes() for p in sight.look().values())).hexdigest()
    env.close()
    assert run.stdout.strip() == seen


def test_looking_does_not_touch_the_physics(combination: Combination) -> None:
    seeing, blind = CellEnv(*combination), CellEnv(*combination)
    sight = Sight(seeing.cell, seeing.arm, standard_mounts(seeing.robot))
    a, b = (each.reset(seed=2)[0] for each in (seeing, blind))
    for _ in range(15):
        sight.look()
        action = blind.expert_action(b)
        a, b = seeing.step(action)[0], blind.step(action)[0]
        assert all((a[g] == b[g]).all() for g in a)
        assert seeing.arm.true_positions() == blind.arm.true_positions()
    for each in (seeing, blind):
        each.close()


# -- the truth --------------------------------------------------------------------------------------------------


def test_right_is_right_and_up_is_up(stage: Stage) -> None:
    stage.add(Box(half=(0.01, 0.01, 0.01), colour=MAGENTA), at=(0.3, 0.08, 0.12))
    ahead = CameraMount(name="c", eye=(1.0, 0.0, 0.1), target=(0.0, 0.0, 0.1))  # looks along -x, so +y is right
    rows, columns = magenta(stage.look(ahead)["c_rgb"]).nonzero()
    assert columns.min() > 42
    assert rows.max() < 42


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_depth_of_table_and_of_a_block_is_right_to_a_tenth_of_a_millimetre(stage: Stage, samples: int) -> None:
    stage.pose((1.9, *stage.robot.home[1:]))  # out of the way
    stage.add(Box(half=(0.02, 0.03, 0.012), colour=MAGENTA), at=(0.2, 0.0, 0.012))
    depth = stage.look(DOWN, samples=samples)["down_depth"][:, :, 0]
    assert depth.dtype == np.float32
    assert depth[42, 42] == pytest.approx(0.5 - 0.024, abs=1e-4)
    assert depth[42, 70] == pytest.approx(0.5, abs=1e-4)
    block = magenta(stage.look(DOWN, samples=samples)["down_rgb"])
    # 60 mm across and 40 mm along, 476 mm away, in a picture 364 mm wide at 500 mm.
    assert block.sum() == pytest.approx(60 * 40 * (84 / (2 * 476 * tan(radians(20)))) ** 2, rel=0.06)


def test_depths_of_the_table_lie_in_its_plane(stage: Stage) -> None:
    stage.pose((1.9, *stage.robot.home[1:]))
    depth = stage.look(SIDE)["side_depth"]
    eye, ways = rays(SIDE)
    x, y, z = np.moveaxis(eye + ways * depth, 2, 0)
    table = (np.abs(z) < 1e-3) & (x > 0.1) & (x < 0.3) & (np.abs(y) < 0.15)
    assert table.mean() > 0.2
    assert np.abs(z[table]).max() < 1e-6


def test_depths_are_where_bullets_own_rays_hit(stage: Stage) -> None:
    stage.pose((1.9, *stage.robot.home[1:]))
    for k in range(bullet.getNumJoints(stage.cell.arm, stage.cell.client)):  # of the arm shape and look differ
        bullet.setCollisionFilterGroupMask(stage.cell.arm, k, 0, 0, physicsClientId=stage.cell.client)
    stage.add(Box(half=(0.03, 0.02, 0.015), turn=TILT), at=(0.2, 0.06, 0.03), name="box")
    stage.add(Cylinder(radius=0.03, height=0.05, turn=TILT), at=(0.2, -0.05, 0.05), name="roll")
    seen = stage.look(SIDE)["side_depth"][:, :, 0]
    eye, ways = rays(SIDE)
    ends = (eye + 3.0 * ways).reshape(-1, 3).tolist()
    hits = bullet.rayTestBatch([eye.tolist()] * len(ends), ends, physicsClientId=stage.cell.client)
    bodies = np.array([h[0] for h in hits]).reshape(84, 84)
    truth = 3.0 * np.array([h[2] for h in hits]).reshape(84, 84)
    inner = np.zeros((84, 84), np.bool_)  # not where a shape ends within a pixel
    inner[1:-1, 1:-1] = True
    for axis in (0, 1):
        for step in (-1, 1):
            inner &= np.roll(bodies, step, axis) == bodies
    for name in ("box", "roll"):
        on_it = inner & (bodies == stage.cell.uid(name))
        error = np.abs(seen - truth)[on_it]
        assert len(error) > 40
        assert np.median(error) < 2e-4
        assert np.quantile(error, 0.9) < 1.5e-3  # where they graze a face, Bullet's rays are that inexact


def test_every_shape_is_where_bullet_draws_it(env: CellEnv) -> None:
    env.reset(seed=3)
    for _ in range(10):
        env.step(np.full(env.action_space.shape, 0.5, np.float32))
    front, _ = standard_mounts(env.robot)
    ours = Sight(env.cell, env.arm, [front], depth=True, samples=1).look()["front_depth"][:, :, 0]
    near, far = front.near, front.far
    view = bullet.computeViewMatrix(front.eye, front.target, front.up)
    projection = bullet.computeProjectionMatrixFOV(front.fov, 1.0, near, far)
    options = {"renderer": bullet.ER_TINY_RENDERER, "physicsClientId": env.cell.client}
    buffer = np.asarray(bullet.getCameraImage(168, 168, view, projection, **options)[3], np.float64)
    # TinyRenderer looks through the lower left corners of pixels: every other one of these is a centre of ours.
    theirs = far * near / (far - (far - near) * buffer.reshape(168, 168)[0::2, 1::2])
    assert np.median(np.abs(ours - theirs)) < 1e-5
    assert (np.abs(ours - theirs) > 0.004).mean() < 0.005  # its cylinders are prisms


def test_round_things_are_as_deep_as_they_are_round(stage: Stage) -> None:
    c, middle = stage.cell.client, np.array([0.2, 0.0, 0.15])
    stage.pose((1.9, *stage.robot.home[1:]))
    level = CameraMount(name="level", eye=(0.4, 0.0, 0.15), target=(0.2, 0.0, 0.15), fov=30.0)

    def found(kind: int, **size: float) -> Iterator[Floats]:
        """Points of a shape that lies along y, from its middle, as two cameras see them."""
        shape = bullet.createVisualShape(kind, rgbaColor=MAGENTA, physicsClientId=c, **size)
        uid = bullet.createMultiBody(0.0, -1, shape, middle, (sqrt(0.5), 0.0, 0.0, sqrt(0.5)), physicsClientId=c)
        for mount in (DOWN, level):
            eye, ways = rays(mount)
            seen = stage.look(mount)
            yield (eye + ways * seen[f"{mount.name}_depth"])[magenta(seen[f"{mount.name}_rgb"])] - middle
        bullet.removeBody(uid, c)

    for points in found(bullet.GEOM_SPHERE, radius=0.04):
        assert len(points) > 200
        assert np.linalg.norm(points, axis=1) == pytest.approx(0.04, abs=1e-5)
    for points in found(bullet.GEOM_CAPSULE, radius=0.02, length=0.06):
        beyond = np.maximum(np.abs(points[:, 1]) - 0.03, 0.0)
        assert np.sqrt(beyond**2 + points[:, 0] ** 2 + points[:, 2] ** 2) == pytest.approx(0.02, abs=1e-5)
    for points in found(bullet.GEOM_CYLINDER, radius=0.03, length=0.05):
        out, along = np.hypot(points[:, 0], points[:, 2]) - 0.03, np.abs(points[:, 1]) - 0.025
        assert np.maximum(out, along) == pytest.approx(0.0, abs=1e-5)


def test_a_part_behind_the_gripper_is_hidden_until_it_moves_away(any_stage: Stage) -> None:
    stage, robot = any_stage, any_stage.robot
    tool = Kinematics(robot).forward(robot.home)
    x, y, z = (np.array(tool.position) - 0.065 * np.array(tool.z_axis)).tolist()  # within the hand
    stage.add(Box(half=(0.006, 0.006, 0.006), colour=MAGENTA), at=(x, y - 0.1, z))
    mount = CameraMount(name="c", eye=(x, y + 0.5, z), target=(x, y, z), fov=15.0)
    sight = Sight(stage.cell, stage.arm, [mount])
    assert not magenta(sight.look()["c_rgb"]).any()
    stage.pose((robot.home[0] + 1.0, *robot.home[1:]))
    assert magenta(sight.look()["c_rgb"]).sum() > 15


def put(mount: CameraMount, robot: RobotDescription, link: str, joints: tuple[float, ...]) -> CameraMount:
    """A camera that stands still where kinematics says that the mounted one is."""
    chain = Kinematics(robot, link)
    pose = chain.forward(joints[: chain.size])
    turn, at = np.array([pose.x_axis, pose.y_axis, pose.z_axis]).T, np.array(pose.position)
    eye, target, up = at + turn @ mount.eye, at + turn @ mount.target, turn @ mount.up
    return CameraMount(name=mount.name, eye=tuple(eye), target=tuple(target), up=tuple(up), fov=mount.fov)


def alike(a: Seen, b: Seen) -> bool:
    """Whether two looks differ by no more than rounding, which may tip single pixels on edges."""
    colour = np.mean([np.abs(a[n].astype(int) - b[n].astype(int)) > 2 for n in a if n.endswith("rgb")])
    depth = [np.quantile(np.abs(a[n] - b[n]), 0.99) for n in a if n.endswith("depth")]
    return bool(colour < 1e-3 and max(depth) < 1e-5)


def test_a_camera_at_the_wrist_sees_what_one_put_where_the_tool_is_sees(any_stage: Stage) -> None:
    stage, robot = any_stage, any_stage.robot
    _, wrist = standard_mounts(robot)
    stage.add(Box(half=(0.012, 0.012, 0.012), colour=MAGENTA), at=(robot.reach.radius[0], 0.0, 0.012))
    sight = Sight(stage.cell, stage.arm, [wrist], depth=True)
    pictures = set()
    for offset in (0.0, 0.2, -0.15):
        joints = tuple([q + offset for q in robot.home])
        stage.pose(joints)
        seen = sight.look()
        assert alike(seen, stage.look(put(wrist, robot, robot.tcp_link, joints), samples=2))
        pictures.add(seen["wrist_rgb"].tobytes())
    assert len(pictures) == 3


@pytest.mark.parametrize("link", ["base_link", "upper_arm_link", "gripper_frame_link", "tcp", "bracket", "lens"])
def test_a_camera_may_sit_on_any_link(stage: Stage, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    joints = read_urdf(stage.robot.urdf_path)
    fixed = replace(joints["tcp"], xyz=(0.01, 0.02, 0.03), rpy=(0.3, 0.4, 0.5))
    joints |= {"bracket": replace(fixed, child="bracket"), "lens": replace(fixed, parent="bracket", child="lens")}
    monkeypatch.setattr("genba.envs.sight.read_urdf", lambda path: joints)
    monkeypatch.setattr("genba.robots.kinematics.read_urdf", lambda path: joints)
    mount = CameraMount(name="c", link=link, eye=(0.1, 0.15, 0.1), target=(0.0, 0.0, 0.0))
    sight = Sight(stage.cell, stage.arm, [mount], depth=True, samples=1)
    for offset in (0.3, -0.2):
        angles = tuple([q + offset for q in stage.robot.home])
        stage.pose(angles)
        assert alike(sight.look(), stage.look(put(mount, stage.robot, link, angles)))


def test_what_comes_or_is_painted_is_seen_after_a_reset(stage: Stage) -> None:
    stage.pose((1.9, *stage.robot.home[1:]))
    sight = Sight(stage.cell, stage.arm, [DOWN])
    stage.add(Box(half=(0.015, 0.015, 0.015)), at=(0.2, 0.0, 0.015))
    sight.reset()
    grey = sight.look()["down_rgb"]
    assert not magenta(grey).any()
    uid, c = stage.cell.uid("thing"), stage.cell.client
    bullet.changeVisualShape(uid, -1, rgbaColor=MAGENTA, physicsClientId=c)
    sight.reset()
    assert magenta(sight.look()["down_rgb"]).sum() > 20


def test_a_fixture_that_is_moved_or_hidden_is_seen_where_it_is(stage: Stage) -> None:
    stage.pose((1.9, *stage.robot.home[1:]))
    stage.add(Box(half=(0.015, 0.015, 0.015), colour=MAGENTA), at=(0.2, 0.06, 0.015))
    sight = Sight(stage.cell, stage.arm, [DOWN])
    left = magenta(sight.look()["down_rgb"]).nonzero()[1]
    stage.cell.place("thing", (0.2, -0.06, 0.015))
    right = magenta(sight.look()["down_rgb"]).nonzero()[1]
    assert left.max() < 42 < right.min()
    stage.cell.hide("thing")
    assert not magenta(sight.look()["down_rgb"]).any()


def test_an_averaged_picture_is_the_average(stage: Stage) -> None:
    coarse, fine = stage.look(SIDE, samples=1, size=(168, 168)), stage.look(SIDE, samples=2)
    mean = coarse["side_rgb"].reshape(84, 2, 84, 2, 3).mean(axis=(1, 3))
    assert np.abs(mean - fine["side_rgb"]).max() <= 1.0
    assert (coarse["side_depth"].reshape(84, 2, 84, 2).min(axis=(1, 3)) == fine["side_depth"][:, :, 0]).all()
