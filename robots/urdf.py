"""Read the joints of a URDF safely: no DOCTYPE, no oversized file, no mesh or texture outside the package.

Only what kinematics needs is returned; inertias and shapes stay with the physics engine, which reads the same
file after this check has let it through.
"""

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from .errors import RefusedError

MAX_URDF_BYTES = 2_000_000
MAX_MESH_BYTES = 20_000_000
MAX_NAME = 255  # characters in a file name, the least that common file systems allow

Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class UrdfJoint:
    """One joint as the URDF states it.

    Attributes:
        name: Joint name.
        kind: "revolute", "continuous", "prismatic" or "fixed".
        parent: Parent link.
        child: Child link.
        xyz: Origin in the parent frame, m.
        rpy: Fixed-axis roll, pitch, yaw of the joint frame, rad.
        axis: Unit axis in the joint frame.
        lower: Lower limit, rad or m.
        upper: Upper limit.
    """

    name: str
    kind: str
    parent: str
    child: str
    xyz: Triple
    rpy: Triple
    axis: Triple
    lower: float
    upper: float


def read_urdf(path: Path) -> dict[str, UrdfJoint]:
    """Read and check a URDF.

    Args:
        path: The file.

    Returns:
        Every joint by the name of its child link.

    Raises:
        RefusedError: If the file is missing, too large, no XML, has a DOCTYPE, a non-finite number, a mesh or
            texture outside its folder, or two joints for one link.
    """
    try:
        size = path.stat().st_size
        if size > MAX_URDF_BYTES:
            raise RefusedError(f"{path}: {size} bytes; a URDF may have at most {MAX_URDF_BYTES}")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RefusedError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise RefusedError(f"{path}: not UTF-8 text") from error
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise RefusedError(f"{path}: has a DOCTYPE, which a robot description never needs; remove it")
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise RefusedError(f"{path}: not valid XML: {error}") from error
    if root.tag != "robot":
        raise RefusedError(f"{path}: root element is <{root.tag}>, expected <robot>")
    _check_files(root, path)
    joints: dict[str, UrdfJoint] = {}
    for element in root.iter("joint"):
        if element.find("parent") is None:
            continue
        joint = _joint(element, path)
        if joint.child in joints:
            raise RefusedError(f"{path}: link {joint.child!r} has two parent joints")
        joints[joint.child] = joint
    return joints


def _check_files(root: ET.Element, path: Path) -> None:
    """Every element's `filename`, be it a mesh, a texture or a plug-in's own, must lie beside the URDF."""
    folder = path.parent.resolve()
    for element in root.iter():
        written = element.get("filename")
        if written is None:
            continue
        name = written.removeprefix("package://")
        what = f"{path}: {element.tag} {name[:60]!r}"
        if max(map(len, name.split("/"))) > MAX_NAME or not name.isprintable():
            raise RefusedError(f"{what} is not a file name; use at most {MAX_NAME} printable characters")
        try:
            target = (folder / name).resolve()
            inside = target.is_relative_to(folder)
            size = target.stat().st_size if inside and target.exists() else 0
        except OSError as error:
            raise RefusedError(f"{what} cannot be looked up ({error.strerror})") from error
        if not inside:
            raise RefusedError(f"{what} lies outside {folder.name}/; copy it beside the URDF")
        if size > MAX_MESH_BYTES:
            raise RefusedError(f"{what} is larger than {MAX_MESH_BYTES} bytes")


def _joint(element: ET.Element, path: Path) -> UrdfJoint:
    name = element.get("name", "")
    parent, child = element.find("parent"), element.find("child")
    if parent is None or child is None:
        raise RefusedError(f"{path}: joint {name!r} lacks a parent or a child")
    origin, axis, limit = element.find("origin"), element.find("axis"), element.find("limit")
    where = f"{path}: joint {name!r}"
    direction = _triple(axis.get("xyz", "1 0 0") if axis is not None else "1 0 0", where)
    kind = element.get("type", "")
    norm = math.sqrt(sum(c * c for c in direction))
    if kind != "fixed" and norm < 1e-9:
        raise RefusedError(f"{where}: its axis has no direction")
    lower = _number(limit.get("lower", "0"), where) if limit is not None else 0.0
    upper = _number(limit.get("upper", "0"), where) if limit is not None else 0.0
    if kind in ("revolute", "prismatic") and lower > upper:
        raise RefusedError(f"{where}: lower limit {lower} is above upper limit {upper}")
    x, y, z = (c / norm for c in direction) if norm else direction
    return UrdfJoint(
        name=name,
        kind=kind,
        parent=parent.get("link", ""),
        child=child.get("link", ""),
        xyz=_triple(origin.get("xyz", "0 0 0") if origin is not None else "0 0 0", where),
        rpy=_triple(origin.get("rpy", "0 0 0") if origin is not None else "0 0 0", where),
        axis=(x, y, z),
        lower=lower,
        upper=upper,
    )


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise RefusedError(f"{where}: {text!r} is not a number") from error
    if not math.isfinite(value):
        raise RefusedError(f"{where}: {text!r} is not a finite number")
    return value


def _triple(text: str, where: str) -> Triple:
    parts = text.split()
    if len(parts) != 3:
        raise RefusedError(f"{where}: expected three numbers, found {text!r}")
    return _number(parts[0], where), _number(parts[1], where), _number(parts[2], where)
