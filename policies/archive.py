"""The file around a policy, read as if an enemy had written it.

    policy.genba   zip, members stored with fixed timestamps, so equal policies are equal files
      manifest.json         what the policy is and where it may run   <= 4 MB, nesting <= 16
      weights.safetensors   float32 arrays, nothing executable        <= 64 MB
      pictures.safetensors  uint8 arrays; of a policy with eyes only  <= 16 MB

Sizes are checked before anything is inflated or allocated. There is no pickle on this path: it could run code.
"""

import json
import re
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from ..robots.errors import RefusedError
from ..robots.files import whole

MANIFEST: Final = "manifest.json"
WEIGHTS: Final = "weights.safetensors"
PICTURES: Final = "pictures.safetensors"
MAX_MANIFEST_BYTES: Final = 4_000_000
MAX_WEIGHTS_BYTES: Final = 64_000_000
MAX_PICTURES_BYTES: Final = 16_000_000
MAX_HEADER_BYTES: Final = 100_000
MAX_RATIO: Final = 100
MAX_DEPTH: Final = 16
MAX_TEXT: Final = 2000

_LIMITS: Final = {MANIFEST: MAX_MANIFEST_BYTES, WEIGHTS: MAX_WEIGHTS_BYTES, PICTURES: MAX_PICTURES_BYTES}
_ALWAYS: Final = (MANIFEST, WEIGHTS)
_CURE: Final = "make it again with `genba pack RUN_DIR`"
_PICKLE_NAMES: Final = (".pkl", ".pickle", ".pth", ".pt", ".npy", ".joblib", ".dill")


def write_archive(
    path: Path,
    manifest: Mapping[str, object],
    weights: Mapping[str, NDArray[np.float32]],
    pictures: Mapping[str, NDArray[np.uint8]] | None = None,
) -> None:
    """Write a bundle in one step: after a crash there is the old file or the new one, never half of one.

    Args:
        path: Where it goes; its folder is made if need be.
        manifest: JSON object.
        weights: Arrays by name.
        pictures: Arrays by name; the member is left out without any.
    """
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
    members = [(MANIFEST, text), (WEIGHTS, pack_arrays(weights))]
    if pictures:
        members.append((PICTURES, pack_arrays(pictures)))
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    with whole(path, folders=True) as draft:
        draft.write_bytes(buffer.getvalue())


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as safetensors."""
    return safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def read_archive(path: Path) -> tuple[dict[str, Any], bytes, bytes]:
    """Read a bundle's members and nothing else.

    Args:
        path: The file.

    Returns:
        The parsed manifest and the raw bytes of weights and pictures, the latter empty where there are none.

    Raises:
        RefusedError: If the file is missing, cut short, holds anything but its members, is larger than its
            limits, or contains a pickle.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise RefusedError(f"{path}: not a file; give the path of a *.genba bundle")
        if size > sum(_LIMITS.values()):
            raise RefusedError(f"{path}: {size} bytes is larger than any bundle; {_CURE}")
        raw = path.read_bytes()
    except OSError as error:
        raise RefusedError(f"{path}: cannot be read ({error.strerror}); see `genba list policies`") from error
    if _is_pickle(raw):
        raise RefusedError(f"{path}: is a pickle, which could run code when loaded, not a bundle; {_CURE}")
    if not raw.startswith(b"PK\x03\x04"):
        raise RefusedError(f"{path}: not a policy bundle (no zip header); {_CURE}")
    try:
        with zipfile.ZipFile(BytesIO(raw)) as archive:
            _check_members(path, archive)
            members = {name: _read_member(path, archive, name) for name in archive.namelist()}
    except RefusedError:
        raise
    except Exception as error:
        # zipfile has half a dozen kinds for a damaged file and zlib.error is a plain Exception; whatever it raises,
        # nothing may reach a technician as a traceback.
        raise RefusedError(f"{path}: damaged or cut short ({error}); {_CURE}") from error
    return parse_json(members[MANIFEST], f"{path}: {MANIFEST}"), members[WEIGHTS], members.get(PICTURES, b"")


def _is_pickle(content: bytes) -> bool:
    return len(content) > 1 and content[0] == 0x80 and 2 <= content[1] <= 5


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    infos = archive.infolist()
    names = [info.filename for info in infos]
    for info in infos:
        name = info.filename
        if name.lower().endswith(_PICKLE_NAMES):
            raise RefusedError(f"{path}: member {name!r} may be a pickle, which could run code; {_CURE}")
        if name not in _LIMITS:
            cure = "an SB3 model goes through `genba pack`" if name == "data" else _CURE
            raise RefusedError(f"{path}: unknown member {name!r}; a bundle holds {', '.join(_LIMITS)}; {cure}")
        if names.count(name) > 1:
            raise RefusedError(f"{path}: member {name!r} is there twice; {_CURE}")
        if info.flag_bits & 0x1:
            raise RefusedError(f"{path}: member {name!r} is encrypted; {_CURE}")
        if info.file_size > _LIMITS[name]:
            raise RefusedError(f"{path}: member {name!r} would unpack to {info.file_size} bytes; {_CURE}")
        if info.file_size > MAX_RATIO * max(info.compress_size, 1):
            raise RefusedError(f"{path}: member {name!r} unpacks to over {MAX_RATIO} times its size; {_CURE}")
    for name in _ALWAYS:
        if name not in names:
            raise RefusedError(f"{path}: member {name!r} is missing; {_CURE}")


def _read_member(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        content = file.read(_LIMITS[name] + 1)
    if len(content) > _LIMITS[name]:
        raise RefusedError(f"{path}: member {name!r} unpacks to more than it declares; {_CURE}")
    if _is_pickle(content):
        raise RefusedError(f"{path}: member {name!r} is a pickle, which could run code; {_CURE}")
    return content


def parse_json(content: bytes, where: str) -> dict[str, Any]:
    """Parse JSON that must be an object, shallow, with unique keys, finite numbers and printable text.

    Args:
        content: UTF-8 bytes.
        where: File and member, for the error text.

    Raises:
        RefusedError: If it is anything else.
    """
    depth = deepest = 0
    for bracket in re.finditer(rb'"(?:[^"\\]|\\.)*"|([\[{])|[\]}]', content):
        if bracket.group(1):
            depth += 1
            deepest = max(deepest, depth)
        elif not bracket.group().startswith(b'"'):
            depth -= 1
    if deepest > MAX_DEPTH:
        raise RefusedError(f"{where}: nested {deepest} deep, at most {MAX_DEPTH} are allowed; {_CURE}")
    try:
        table = json.loads(content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
        _check_text(table)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"{where}: not valid JSON ({error}); {_CURE}") from error
    if not isinstance(table, dict):
        raise RefusedError(f"{where}: expected an object, found {type(table).__name__}; {_CURE}")
    return table


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(n for n in names if names.count(n) > 1)!r} is there twice")
    return table


def _check_text(value: object) -> None:
    """Refuse text that would garble a terminal; depth was limited before, so recursion is safe."""
    if isinstance(value, str) and (len(value) > MAX_TEXT or not value.isprintable()):
        raise ValueError(f"text {value[:40]!r} is too long or not printable")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check_text(item)
    elif isinstance(value, list):
        for item in value:
            _check_text(item)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number that JSON knows")


def read_weights(raw: bytes, shapes: Mapping[str, tuple[int, ...]], where: str) -> dict[str, NDArray[np.float32]]:
    """Unpack float32 arrays, see `_read_arrays`; all must be finite."""
    arrays = _read_arrays(raw, shapes, "F32", where)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise RefusedError(f"{where}: array {name!r} holds values that are not finite; {_CURE}")
    return arrays


def read_pictures(raw: bytes, shapes: Mapping[str, tuple[int, ...]], where: str) -> dict[str, NDArray[np.uint8]]:
    """Unpack uint8 arrays, see `_read_arrays`; where none are expected there must not even be an empty member."""
    if raw and not shapes:
        raise RefusedError(f"{where}: pictures in a bundle whose manifest knows no eyes; {_CURE}")
    return _read_arrays(raw, shapes, "U8", where) if shapes else {}


def _read_arrays(raw: bytes, shapes: Mapping[str, tuple[int, ...]], kind: str, where: str) -> dict[str, NDArray[Any]]:
    """Unpack safetensors whose names, types and shapes are known beforehand.

    Args:
        raw: Bytes of the member.
        shapes: Expected shape by array name; nothing else may be there.
        kind: Type of all of them, as the format calls it.
        where: File and member, for the error text.

    Raises:
        RefusedError: If a name, type, shape or offset differs.
    """
    length = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or length > min(MAX_HEADER_BYTES, len(raw) - 8):
        raise RefusedError(f"{where}: header of {length} bytes does not fit; {_CURE}")
    header = parse_json(raw[8 : 8 + length], f"{where} header")
    for name in header:
        if name not in shapes:
            raise RefusedError(f"{where}: unknown array {name!r}; expected: {', '.join(shapes)}")
    for name, shape in shapes.items():
        entry = header.get(name)
        if not isinstance(entry, dict):
            raise RefusedError(f"{where}: array {name!r} is missing; {_CURE}")
        if entry.get("dtype") != kind:
            raise RefusedError(f"{where}: array {name!r} has type {entry.get('dtype')!r}, expected {kind!r}")
        if entry.get("shape") != list(shape):
            raise RefusedError(f"{where}: array {name!r} has shape {entry.get('shape')}, expected {list(shape)}")
    try:
        return safetensors.numpy.load(raw)
    except Exception as error:
        # The parser's own error type lives in a compiled module; whatever it says, the file is damaged.
        raise RefusedError(f"{where}: not valid safetensors ({error}); {_CURE}") from error
