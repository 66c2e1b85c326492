"""Every arm model is one thing in three places: its URDF, our kinematics and the physics engine agree."""

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pybullet
import pybullet_data
import pytest

from genba.robots.assets import asset_root
from genba.robots.catalogue import load_robot, read_robot, robot_files, robot_names
from genba.robots.description import RobotDescription
from genba.robots.errors import RefusedError
from genba.robots.kinematics import Kinematics
from genba.robots.urdf import read_urdf

FLAGS = pybullet.URDF_USE_INERTIA_FROM_FILE | pybullet.URDF_MERGE_FIXED_LINKS | pybullet.URDF_USE_IMPLICIT_CYLINDER
# Our own arms must also fit a Raspberry Pi's patience and a 24 mm cube lying on the table.
MAX_URDF_CHARACTERS = 40_000
MAX_BELOW_TCP = 0.014


class Body:
    """One model in its own Bullet client, with links and joints by name."""

    def __init__(self, client: int, path: Path, flags: int) -> None:
        self.client = client
        self.id = pybullet.loadURDF(str(path), useFixedBase=True, flags=flags, physicsClientId=client)
        rows = [
            pybullet.getJointInfo(self.id, i, physicsClientId=client)
            for i in range(pybullet.getNumJoints(self.id, physicsClientId=client))
        ]
        self.joints = {row[1].decode(): row[0] for row in rows}
        self.links = {row[12].decode(): row[0] for row in rows}
        self.limits = {row[1].decode(): (row[8], row[9]) for row in rows}

    def place(self, positions: dict[str, float]) -> None:
        """Set joint positions, rad or m."""
        for name, position in positions.items():
            pybullet.resetJointState(self.id, self.joints[name], position, physicsClientId=self.client)

    def pose(self, link: str) -> tuple[np.ndarray, np.ndarray]:
        """Position in m and quaternion xyzw of a link frame."""
        state = pybullet.getLinkState(
            self.id, self.links[link], computeForwardKinematics=True, physicsClientId=self.client
        )
        return np.array(state[4]), np.array(state[5])


@contextmanager
def loaded(path: Path, flags: int = pybullet.URDF_USE_INERTIA_FROM_FILE) -> Iterator[Body]:
    client = pybullet.connect(pybullet.DIRECT)
    try:
        yield Body(client, path, flags)
    finally:
        pybullet.disconnect(client)


def angle_between(a: np.ndarray, b: np.ndarray) -> float:
    """Angle in rad between two quaternions xyzw, exact for small angles."""
    vector = a[3] * b[:3] - b[3] * a[:3] - np.cross(a[:3], b[:3])
    return 2.0 * math.atan2(float(np.linalg.norm(vector)), abs(float(a @ b)))


def random_poses(robot_name: str, count: int) -> list[tuple[float, ...]]:
    robot = load_robot(robot_name)
    lower = [j.lower for j in robot.joints]
    upper = [j.upper for j in robot.joints]
    rng = np.random.default_rng(7)
    return [tuple(row) for row in rng.uniform(lower, upper, (count, len(lower))).tolist()]


def all_joints(robot: RobotDescription, pose: Sequence[float]) -> dict[str, float]:
    """Positions of the driven joints, and of those that rods turn with them."""
    led = {p.name: p.offset + sum(c * q for c, q in zip(p.coefficients, pose, strict=True)) for p in robot.passive}
    return dict(zip(robot.joint_names, pose, strict=True)) | led


def gripper_positions(robot_name: str, position: float) -> dict[str, float]:
    gripper = load_robot(robot_name).gripper
    return dict.fromkeys((gripper.joint, *gripper.followers), gripper.joint_at(position))


@pytest.mark.parametrize("name", robot_names())
def test_model_loads_without_a_word_of_complaint(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    robot = load_robot(name)
    with loaded(robot.urdf_path, FLAGS) as body:
        assert set(robot.actuator_names) | set(robot.gripper.followers) <= set(body.joints)
    said = capfd.readouterr()
    noise = [line for line in (said.out + said.err).splitlines() if re.search(r"warn|error|inertial", line, re.I)]
    assert not noise


@pytest.mark.parametrize("name", robot_names())
def test_model_is_small_plain_text_and_needs_no_mesh(name: str) -> None:
    text = load_robot(name).urdf_path.read_bytes().decode("ascii")
    assert len(text) < MAX_URDF_CHARACTERS
    assert "<mesh" not in text
    assert "<!DOCTYPE" not in text
    assert re.search(r"Apache-2\.0|BSD-3-Clause|\bMIT\b", text), "the licence of whoever measured it"


@pytest.mark.parametrize("name", robot_names())
def test_described_range_lies_within_the_model(name: str) -> None:
    robot = load_robot(name)
    with loaded(robot.urdf_path) as body:
        for joint in robot.joints:
            lower, upper = body.limits[joint.name]
            assert lower <= joint.lower < joint.upper <= upper
        lower, upper = body.limits[robot.gripper.joint]
        ends = sorted(map(robot.gripper.joint_at, (robot.gripper.closed, robot.gripper.open)))
        assert lower <= ends[0]
        assert ends[1] <= upper
        assert {*robot.gripper.finger_links, robot.tcp_link} <= set(body.links)


@pytest.mark.parametrize("name", robot_names())
def test_kinematics_agree_with_physics(name: str) -> None:
    robot = load_robot(name)
    kinematics = Kinematics(robot)
    with loaded(robot.urdf_path) as body:
        for pose in random_poses(name, 1000):
            body.place(all_joints(robot, pose))
            position, quaternion = body.pose(robot.tcp_link)
            ours = kinematics.forward(pose)
            assert np.linalg.norm(position - ours.position) < 1e-6
            assert angle_between(quaternion, np.array(ours.quaternion)) < 1e-6


@pytest.mark.parametrize("name", robot_names())
def test_batched_kinematics_agree_with_scalar_ones(name: str) -> None:
    kinematics = Kinematics(load_robot(name))
    poses = random_poses(name, 50)
    positions, rotations = kinematics.forward_batch(np.array(poses))
    for pose, position, rotation in zip(poses, positions, rotations, strict=True):
        ours = kinematics.forward(pose)
        assert np.allclose(position, ours.position, rtol=0.0, atol=1e-12)
        assert np.allclose(rotation.T, [ours.x_axis, ours.y_axis, ours.z_axis], rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("name", robot_names())
def test_opening_in_the_description_is_the_opening_of_the_pads(name: str) -> None:
    """Two rays from the TCP along the jaws find the pads as far apart as the TOML says."""
    robot = load_robot(name)
    with loaded(robot.urdf_path) as body:
        fingers = {body.links[link] for link in robot.gripper.finger_links}
        for position in np.linspace(robot.gripper.closed, robot.gripper.open, 41).tolist():
            opening = robot.opening(position)
            if opening < 0.026:  # an off-centre TCP may be inside the moving jaw
                continue
            body.place(gripper_positions(name, position))
            centre, quaternion = body.pose(robot.tcp_link)
            across = np.array(pybullet.getMatrixFromQuaternion(quaternion.tolist())).reshape(3, 3)[:, 0]
            pybullet.performCollisionDetection(physicsClientId=body.client)
            width = 0.0
            for side in (-1.0, 1.0):
                end = centre + side * 0.15 * across
                hit = pybullet.rayTest(centre.tolist(), end.tolist(), physicsClientId=body.client)[0]
                assert hit[1] in fingers
                width += 0.15 * hit[2]
            # Wider than any part that is gripped, the rays of a turned jaw pass its pad and meet the jaw behind it.
            assert width == pytest.approx(opening, abs=5e-4 if opening < 0.037 else 2.6e-3)


@pytest.mark.parametrize("name", robot_names())
def test_fingers_end_just_beyond_the_tcp(name: str) -> None:
    """A 24 mm cube on the table can be grasped at its centre without touching the table."""
    robot = load_robot(name)
    gripper = robot.gripper
    with loaded(robot.urdf_path) as body:
        for position in np.linspace(gripper.closed, gripper.open, 9).tolist():
            body.place(gripper_positions(name, position))
            centre, quaternion = body.pose(robot.tcp_link)
            out = np.array(pybullet.getMatrixFromQuaternion(quaternion.tolist())).reshape(3, 3)[:, 2]
            reach = max(
                float((corner - centre) @ out) for link in gripper.finger_links for corner in box_corners(body, link)
            )
            assert reach <= MAX_BELOW_TCP
            if position == gripper.closed:
                assert reach > 0.004


def box_corners(body: Body, link: str) -> Iterator[np.ndarray]:
    """Corners of a link's collision boxes in the world, m."""
    index = body.links[link]
    state = pybullet.getLinkState(body.id, index, computeForwardKinematics=True, physicsClientId=body.client)
    for shape in pybullet.getCollisionShapeData(body.id, index, physicsClientId=body.client):
        assert shape[2] == pybullet.GEOM_BOX
        position, quaternion = pybullet.multiplyTransforms(state[0], state[1], shape[5], shape[6])
        turn = np.array(pybullet.getMatrixFromQuaternion(quaternion)).reshape(3, 3)
        for signs in np.array(np.meshgrid(*[[-0.5, 0.5]] * 3)).reshape(3, -1).T:
            yield np.array(position) + turn @ (signs * np.array(shape[3]))


# -- the SO-101 against the published tables of its maker -------------------------------------------------------

SO101_LINKS = {
    "base_link": (0.147, (0.0137179, -5.19711e-05, 0.0334843)),
    "shoulder_link": (0.100006, (-0.0307604, -1.66727e-05, -0.0252713)),
    "upper_arm_link": (0.103, (-0.0898471, -0.00838224, 0.0184089)),
    "lower_arm_link": (0.104, (-0.0980701, 0.00324376, 0.0182831)),
    "wrist_link": (0.079, (-0.000103312, -0.0386143, 0.0281156)),
    "gripper_link": (0.087, (0.000213627, 0.000245138, -0.025187)),
    "moving_jaw_so101_v1_link": (0.012, (-0.00157495, -0.0300244, 0.0192755)),
}
SO101_LIMITS = {
    "shoulder_pan": (-1.91986, 1.91986),
    "shoulder_lift": (-1.74533, 1.74533),
    "elbow_flex": (-1.69, 1.69),
    "wrist_flex": (-1.65806, 1.65806),
    "wrist_roll": (-2.74385, 2.84121),
    "gripper": (-0.174533, 1.74533),
}


def test_so101_tip_at_zero() -> None:
    robot = load_robot("so101")
    zero = (0.0,) * len(robot.joints)
    tip = Kinematics(robot, link="gripper_frame_link").forward(zero)
    assert tip.position == pytest.approx((0.3914, 0.0, 0.2265), abs=5e-5)
    with loaded(robot.urdf_path) as body:
        assert body.pose("gripper_frame_link")[0] == pytest.approx(tip.position, abs=1e-6)


def test_so101_masses_and_limits() -> None:
    root = ET.parse(load_robot("so101").urdf_path).getroot()
    masses: dict[str, tuple[float, tuple[float, ...]]] = {}
    for link in root.iter("link"):
        mass, origin = link.find("inertial/mass"), link.find("inertial/origin")
        assert mass is not None
        assert origin is not None
        masses[link.get("name", "")] = (float(mass.get("value", "")), numbers(origin, "xyz"))
    for name, (mass_kg, centre) in SO101_LINKS.items():
        assert masses[name] == (mass_kg, centre)
    assert sum(mass for mass, _ in masses.values()) == pytest.approx(0.632006, abs=1e-6)
    joints = {joint.name: (joint.lower, joint.upper) for joint in read_urdf(load_robot("so101").urdf_path).values()}
    assert {name: joints[name] for name in SO101_LIMITS} == SO101_LIMITS


def test_so101_pads_are_parallel_on_a_24_mm_part() -> None:
    robot = load_robot("so101")
    position = robot.gripper_at(0.024)
    assert position == pytest.approx(0.13, abs=0.005)
    with loaded(robot.urdf_path) as body:
        body.place({"gripper": position})
        turns = []
        for link in robot.gripper.finger_links:
            index = body.links[link]
            shape = pybullet.getCollisionShapeData(body.id, index, physicsClientId=body.client)[-1]
            frame = pybullet.getLinkState(body.id, index, computeForwardKinematics=True, physicsClientId=body.client)
            turn = pybullet.multiplyTransforms(frame[0], frame[1], shape[5], shape[6])[1]
            turns.append(np.array(pybullet.getMatrixFromQuaternion(turn)).reshape(3, 3)[:, 0])
        assert abs(float(turns[0] @ turns[1])) > math.cos(0.01)


# -- the Panda against the model everyone else simulates --------------------------------------------------------


def theirs() -> Path:
    return Path(pybullet_data.getDataPath()) / "franka_panda" / "panda.urdf"


def numbers(element: ET.Element | None, key: str) -> tuple[float, ...]:
    return tuple(float(part) for part in (element.get(key, "0 0 0") if element is not None else "0 0 0").split())


def test_panda_has_the_joints_and_inertias_of_pybullet_data() -> None:
    ours, reference = (ET.parse(path).getroot() for path in (load_robot("panda").urdf_path, theirs()))
    for kind, keys in (("link", ("inertial/mass", "inertial/inertia")), ("joint", ("limit", "parent", "child"))):
        mine = {element.get("name"): element for element in ours.findall(kind)}
        for element in reference.findall(kind):
            own = mine.pop(element.get("name"))
            for key in keys:
                a, b = own.find(key), element.find(key)
                assert (a is None) == (b is None)
                if a is not None and b is not None:
                    assert {k: number_or_text(v) for k, v in a.items()} == {k: number_or_text(v) for k, v in b.items()}
            where = "inertial/origin" if kind == "link" else "origin"
            for key in ("xyz", "rpy"):
                assert numbers(own.find(where), key) == numbers(element.find(where), key)
        assert set(mine) == ({"tcp"} if kind == "link" else {"tcp_joint"})


def number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def test_panda_hand_is_where_pybullet_data_has_it() -> None:
    robot = load_robot("panda")
    kinematics = Kinematics(robot, link="panda_hand")
    with loaded(theirs()) as body:
        for pose in random_poses("panda", 200):
            body.place(dict(zip(robot.joint_names, pose, strict=True)))
            position, quaternion = body.pose("panda_hand")
            ours = kinematics.forward(pose)
            assert np.linalg.norm(position - ours.position) < 1e-6
            assert angle_between(quaternion, np.array(ours.quaternion)) < 1e-6


# -- what must be refused ---------------------------------------------------------------------------------------


SO101_TEXT = load_robot("so101").urdf_path.read_text(encoding="utf-8")


def urdf_with(addition: str) -> str:
    return SO101_TEXT.replace("</robot>", addition + "</robot>")


MESH = '<link name="extra"><visual><geometry><mesh filename="{}"/></geometry></visual></link>'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '<?xml version="1.0"?><!DOCTYPE robot [<!ENTITY a "b">]><robot name="x"><link name="&a;"/></robot>',
            "DOCTYPE",
        ),
        (urdf_with(MESH.format("../../../etc/passwd")), "mesh"),
        (urdf_with(MESH.format("package://../panda/panda.urdf")), "mesh"),
        (urdf_with(MESH.format("/etc/passwd")), "mesh"),
        ("<robot", "not valid XML"),
        ("<html/>", "expected <robot>"),
        (urdf_with('<joint name="j" type="fixed"><parent link="tcp"/><child link="tcp"/></joint>'), "two parent"),
        (SO101_TEXT.replace("-0.1349", "nan"), "wrist_flex"),
        (SO101_TEXT.replace("-0.1349 ", ""), "wrist_flex"),
        (SO101_TEXT.replace('"-1.69"', '"9"'), "elbow_flex"),
        (" " * 2_000_001, "bytes"),
    ],
    ids=[
        "doctype", "mesh-above", "mesh-package-above", "mesh-absolute", "torn", "not-a-robot", "two-parents",
        "nan", "two-numbers", "limits-swapped", "huge",
    ],
)  # fmt: skip
def test_unsafe_urdf_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "arm" / "arm.urdf"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RefusedError) as refused:
        read_urdf(path)
    assert str(path) in str(refused.value)
    assert expected in str(refused.value)


def test_missing_urdf_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"nowhere\.urdf"):
        read_urdf(tmp_path / "nowhere.urdf")


def line(key: str, value: str, count: int = 1) -> Callable[[str], str]:
    """Replace the value of the first `count` lines that set `key`; 0 means all of them."""

    def change(text: str) -> str:
        changed, times = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text, count=count)
        assert times
        return changed

    return change


def drop(key: str) -> Callable[[str], str]:
    return lambda text: re.sub(rf"(?m)^{key} = .*\n", "", text, count=1)


MUTATIONS: dict[str, tuple[Callable[[str], str], str]] = {
    "unknown key": (lambda text: "colour = 'red'\n" + text, "colour"),
    "unknown key in a joint": (line("park", "0.0\ncolour = 'red'"), "colour"),
    "missing key": (drop("control_rate_hz"), "control_rate_hz"),
    "missing table": (lambda text: text.replace("[limits]", "[limit]"), "limit"),
    "no drives": (lambda text: text[: text.index("[drives.")], "drives"),
    "nan": (line("joint_step", "nan"), "joint_step"),
    "inf in a list": (line("workspace_upper", "[0.4, inf, 0.4]"), "workspace_upper"),
    "text for a number": (line("tcp_speed", "'fast'"), "tcp_speed"),
    "truth for a number": (line("ee_step", "true"), "ee_step"),
    "fraction for an id": (line("actuator_id", "1.5"), "actuator_id"),
    "two numbers for three": (line("workspace_lower", "[0.0, 0.0]"), "workspace_lower"),
    "lower above upper": (line("lower", "9.0"), "lower"),
    "home out of range": (line("home", "9.0"), "home"),
    "duplicate ids": (line("actuator_id", "1", count=0), "actuator_id"),
    "duplicate joints": (line("name", "'a'", count=0), "name"),
    "joint at a standstill": (line("max_velocity", "0.0"), "max_velocity"),
    "unknown drive": (line("drive", "'steam'"), "steam"),
    "look ahead too short": (line("look_ahead", "[0.1, 0.1]"), "look_ahead"),
    "look ahead negative": (lambda text: re.sub(r"look_ahead = \[", "look_ahead = [-", text), "look_ahead"),
    "workspace inside out": (line("workspace_upper", "[-9.0, -9.0, -9.0]"), "workspace_upper"),
    "opening not growing": (line("opening", "[0.0, 0.05, 0.04]"), "opening"),
    "rate that does not divide": (line("control_rate_hz", "37"), "control_rate_hz"),
    "unknown tolerance": (line("tolerance", "'sloppy'"), "tolerance"),
    "unknown kind of drive": (lambda text: text + "kind = 'steam'\n" if "kind" not in text else
                              line("kind", "'steam'")(text), "kind"),
    "not toml": (lambda text: text + "\n= broken", "TOML"),
}  # fmt: skip


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("name", robot_names())
def test_malformed_description_is_refused(name: str, mutation: str, tmp_path: Path) -> None:
    change, key = MUTATIONS[mutation]
    path = tmp_path / f"{name}.toml"
    path.write_text(change(robot_files()[name].read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(RefusedError) as refused:
        read_robot(path)
    assert str(path) in str(refused.value)
    assert key in str(refused.value)


@pytest.mark.parametrize("name", robot_names())
def test_untouched_copy_is_accepted_and_a_renamed_one_is_not(name: str, tmp_path: Path) -> None:
    text = robot_files()[name].read_text(encoding="utf-8")
    (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    copy = read_robot(tmp_path / f"{name}.toml")
    assert copy == load_robot(name)
    assert copy.hash == load_robot(name).hash
    (tmp_path / "other.toml").write_text(text, encoding="utf-8")
    with pytest.raises(RefusedError, match=r"other\.toml"):
        read_robot(tmp_path / "other.toml")


def test_missing_and_huge_descriptions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"none\.toml"):
        read_robot(tmp_path / "none.toml")
    path = tmp_path / "huge.toml"
    path.write_text("#" * 1_000_001, encoding="utf-8")
    with pytest.raises(RefusedError, match=r"huge\.toml"):
        read_robot(path)


@pytest.mark.parametrize("name", robot_names())
def test_model_ships_inside_the_package(name: str) -> None:
    assert load_robot(name).urdf_path.resolve().is_relative_to(asset_root().resolve())


@pytest.mark.parametrize("place", ["home", "park"])
@pytest.mark.parametrize("name", robot_names())
def test_home_and_park_lie_where_the_envelope_lets_the_tool_go(name: str, place: str) -> None:
    robot = load_robot(name)
    position = Kinematics(robot).forward(getattr(robot, place)).position
    for low, at, high in zip(robot.limits.workspace_lower, position, robot.limits.workspace_upper, strict=True):
        assert low <= at <= high
