"""What a robot's files may not say: each row is refused in one line that names file and key, and nothing is loaded."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from genba.robots.catalogue import load_robot, read_robot, robot_files, robot_names
from genba.robots.errors import RefusedError
from genba.robots.urdf import read_urdf

SO101 = robot_files()["so101"].read_text(encoding="utf-8")
URDF = load_robot("so101").urdf_path.read_text(encoding="utf-8")


def refusal(folder: Path, text: str) -> str:
    """Why a TOML is refused; one line that begins with its path."""
    path = folder / "so101.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RefusedError) as refused:
        read_robot(path)
    said = str(refused.value)
    assert said.startswith(str(path))
    assert "\n" not in said
    assert len(said) < 400 + len(str(path))
    return said


# key, value, and the table in which it stands
ROWS = [
    ("control_rate_hz", "0", ""),
    ("control_rate_hz", "-30", ""),
    ("control_rate_hz", "9" * 400, ""),
    ("joint_step", "0.0", ""),
    ("joint_step", "1" + "0" * 400, ""),
    ("ee_step", "-0.008", ""),
    ("ee_turn", "0.0", ""),
    ("urdf", '"../pyproject.toml"', ""),
    ("urdf", '"/etc/hostname"', ""),
    ("urdf", '"so101/none.urdf"', ""),
    ("urdf", '"so101"', ""),
    ("urdf", f'"{"x" * 5000}"', ""),
    ("urdf", '"so101\\u0000.urdf"', ""),
    ("actuator_id", "-1", "joint"),
    ("actuator_id", "253", "joint"),
    ("max_velocity", "-1.0", "joint"),
    ("max_acceleration", "0.0", "joint"),
    ("home", "1.7", "gripper"),
    ("max_velocity", "0.0", "gripper"),
    ("max_acceleration", "-8.0", "gripper"),
    ("actuator_id", "254", "gripper"),
    ("drive", '"steam"', "gripper"),
    ("max_force", "-1.47", "gripper"),
    ("opening", "[-0.1, 0.1]", "gripper"),
    ("squeeze", "-0.12", "gripper"),
    ("approach", "-0.005", "gripper"),
    ("baud_rate", "0", "bus"),
    ("baud_rate", "-1", "bus"),
    ("model_number", "70_000", "bus"),
    ("tcp_speed", "0.0", "limits"),
    ("stale_after", "0.0", "limits"),
    ("stale_after", "-0.1", "limits"),
    ("look_ahead", "[0.08, 0.16, 0.0, 0.10, 0.08, 0.30]", "limits"),
    ("radius", "[-0.13, 0.22]", "reach"),
    ("action_latency", "-0.008", "timing"),
    ("observation_latency", "2.0", "timing"),
    ("max_duty", "0.0", "drives.sts3215"),
    ("max_duty", "1.01", "drives.sts3215"),
    ("start_duty", "-0.1", "drives.sts3215"),
    ("position_gain", "0", "drives.sts3215"),
    ("friction", "-0.05", "drives.sts3215"),
    ("armature", "-0.028", "drives.sts3215"),
    ("backlash", "-0.01", "drives.sts3215"),
    ("ticks_per_turn", "-4096", "drives.sts3215"),
]


@pytest.mark.parametrize(("key", "value", "table"), ROWS, ids=[f"{t}.{k}={v[:12]}" for k, v, t in ROWS])
def test_number_or_name_out_of_range_is_refused_by_table_and_key(
    key: str, value: str, table: str, tmp_path: Path
) -> None:
    head = {"": 0, "joint": SO101.index("[[joints]]")}.get(table)
    start = SO101.index(f"[{table}]") if head is None else head
    before, after = SO101[:start], SO101[start:]
    changed, count = re.subn(rf"(?m)^{key} = .*$", lambda _: f"{key} = {value}", after, count=1)
    assert count == 1
    said = refusal(tmp_path, before + changed)
    assert key in said
    assert table in said


WHOLE: dict[str, tuple[Callable[[str], str], str]] = {
    "lists nested too deeply": (lambda text: "x = " + "[" * 5000 + "]" * 5000 + "\n" + text, "nested"),
    "tables nested too deeply": (lambda text: text + "\n[" + ".".join("a" * 1500) + "]\n", "a"),
    "integer beyond Python's digits": (lambda text: "x = " + "9" * 9000 + "\n" + text, "TOML"),
    "key longer than a page": (lambda text: "k" * 50_000 + " = 1\n" + text, "unknown key"),
    "not UTF-8 escapes": (lambda text: 'x = "\\uD800"\n' + text, "TOML"),
    "no joints": (lambda text: re.sub(r"(?ms)^\[\[joints\]\].*?(?=^\[gripper\])", "", text), "joints"),
}


@pytest.mark.parametrize("case", WHOLE)
def test_text_that_strains_the_reader_is_refused(case: str, tmp_path: Path) -> None:
    change, expected = WHOLE[case]
    assert expected in refusal(tmp_path, change(SO101))


MESH = '<link name="l"><visual><geometry><mesh filename="{}"/></geometry></visual></link>'
FILES = {
    "texture above": '<material name="m"><texture filename="../panda/panda.urdf"/></material>',
    "texture absolute": '<material name="m"><texture filename="/etc/hostname"/></material>',
    "plug-in": '<gazebo><plugin filename="../../libevil.so"/></gazebo>',
    "no package, no folder": '<gazebo><plugin filename="package://../../x"/></gazebo>',
    "name of 5,000 letters": MESH.format("x" * 5000),
    "name with a line break": MESH.format("a&#10;b"),
    "path of 20,000 letters": f'<material name="m"><texture filename="{"x/" * 10_000}"/></material>',
}


@pytest.mark.parametrize("case", FILES)
def test_file_outside_the_package_is_refused_whatever_element_names_it(case: str, tmp_path: Path) -> None:
    path = tmp_path / "arm" / "arm.urdf"
    path.parent.mkdir()
    path.write_text(URDF.replace("</robot>", FILES[case] + "</robot>"), encoding="utf-8")
    with pytest.raises(RefusedError) as refused:
        read_urdf(path)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(sys.platform == "win32", reason="making a link needs a right there")
def test_link_that_leads_out_of_the_package_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "arm" / "arm.urdf"
    path.parent.mkdir()
    (tmp_path / "secret.stl").write_text("x", encoding="utf-8")
    (path.parent / "near.stl").symlink_to(tmp_path / "secret.stl")
    path.write_text(URDF.replace("</robot>", MESH.format("near.stl") + "</robot>"), encoding="utf-8")
    with pytest.raises(RefusedError, match="outside"):
        read_urdf(path)


def test_plug_in_may_bring_its_urdf_beside_its_toml(tmp_path: Path) -> None:
    """A third party's arm needs no file inside this package."""
    text = SO101.replace('name = "so101"', 'name = "other"', 1).replace("so101/so101.urdf", "model/other.urdf")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "other.urdf").write_text(URDF, encoding="utf-8")
    (tmp_path / "other.toml").write_text(text, encoding="utf-8")
    assert read_robot(tmp_path / "other.toml").urdf_path == tmp_path / "model" / "other.urdf"


def test_a_gripper_is_measured_as_its_drive_moves_it() -> None:
    units = {name: load_robot(name).gripper_unit for name in robot_names()}
    assert units["panda"] == units["uarm_swift_pro"] == "m"
    assert units["so101"] == units["openmanipulator_x"] == "rad"  # a jaw; a crank that slides fingers
    assert set(units.values()) == {"rad", "m"}
