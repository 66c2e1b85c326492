"""Files made to do harm, or merely broken: each is refused in one line, and nothing in them runs."""

import json
import pickle
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from genba.policies.archive import MANIFEST, WEIGHTS
from genba.policies.bundle import PolicyBundle
from genba.policies.pack import pack
from genba.robots.errors import RefusedError

Parts = dict[str, bytes]


class Bomb:
    """What an attacker would pickle; it leaves a file when it runs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.path,)


@pytest.fixture
def parts(bundle: PolicyBundle, tmp_path: Path) -> Parts:
    """The two members of a good bundle."""
    with zipfile.ZipFile(bundle.save(tmp_path / "good.genba")) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def change(parts: Parts, edit: Callable[[dict[str, Any]], object]) -> Parts:
    table = json.loads(parts[MANIFEST])
    edit(table)
    return {**parts, MANIFEST: json.dumps(table).encode()}


def weigh(parts: Parts, edit: Callable[[dict[str, np.ndarray]], object]) -> Parts:
    arrays = {name: array.copy() for name, array in safetensors.numpy.load(parts[WEIGHTS]).items()}
    edit(arrays)
    return {**parts, WEIGHTS: safetensors.numpy.save(arrays)}


def header(parts: Parts, edit: Callable[[dict[str, Any]], object]) -> Parts:
    raw = parts[WEIGHTS]
    length = int.from_bytes(raw[:8], "little")
    table = json.loads(raw[8 : 8 + length])
    edit(table)
    text = json.dumps(table).encode()
    return {**parts, WEIGHTS: len(text).to_bytes(8, "little") + text + raw[8 + length :]}


MANIFESTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "unknown key": (lambda t: t.update(hook="os.system"), "unknown key 'hook'"),
    "missing key": (lambda t: t.pop("envelope"), "'envelope' is missing"),
    "nested unknown key": (lambda t: t["control"].update(gain=9), "unknown key 'gain'"),
    "other version": (lambda t: t.update(format_version=2), "format_version is 2"),
    "version as text": (lambda t: t.update(format_version="1"), "format_version"),
    "text for a number": (lambda t: t["control"].update(rate_hz="fast"), "rate_hz"),
    "fraction for a whole number": (lambda t: t["control"].update(rate_hz=29.5), "rate_hz"),
    "null": (lambda t: t.update(robot=None), "robot"),
    "zero std": (lambda t: t["normalisation"]["std"].__setitem__(0, 0.0), "std"),
    "short mean": (lambda t: t["normalisation"]["mean"].pop(), "normalisation"),
    "short range": (lambda t: t["ranges"]["observation"]["low"].pop(), r"ranges\.observation"),
    "empty range": (lambda t: t["ranges"]["observation"]["low"].__setitem__(0, 1e9), "low is above"),
    "unknown activation": (lambda t: t["network"].update(activation="eval"), "activation"),
    "huge layer": (lambda t: t["network"]["sizes"].__setitem__(1, 10**9), "sizes"),
    "negative layer": (lambda t: t["network"]["sizes"].__setitem__(1, -5), "sizes"),
    "one layer missing": (lambda t: t["network"]["sizes"].pop(1), "layer"),
    "unknown feature": (lambda t: t["features"][0].update(op="exec"), "op"),
    "feature of no field": (lambda t: t["features"][0].update(a="nothing"), "nothing"),
    "privileged field": (lambda t: t["spec"]["observation"][0].update(privileged=True), "privileged"),
    "field twice": (lambda t: t["spec"]["observation"].append(t["spec"]["observation"][0]), "twice"),
    "no reference": (lambda t: t.update(reference=[]), "reference"),
    "short reference": (lambda t: t["reference"][0]["action"].pop(), "reference"),
    "wrong taught point": (lambda t: t["taught_points"][0].pop(), "taught_points"),
    "terminal escapes": (lambda t: t["task"].update(name="\x1b[2J"), "printable"),
    "endless text": (lambda t: t["task"].update(name="x" * 10_000), "too long"),
}


@pytest.mark.parametrize("case", sorted(MANIFESTS))
def test_a_manifest_that_is_not_exactly_right_is_refused(parts: Parts, tmp_path: Path, case: str) -> None:
    edit, named = MANIFESTS[case]
    path = write(tmp_path / "bad.genba", list(change(parts, edit).items()))
    with pytest.raises(RefusedError, match=named) as refusal:
        PolicyBundle.load(path)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)
    assert "\x1b" not in str(refusal.value)


RAW_MANIFESTS = {
    "NaN": (b'{"format_version": NaN}', "NaN"),
    "infinity": (b'{"format_version": 1, "robot": -Infinity}', "Infinity"),
    "huge number": (b'{"format_version": 1, "a": 1' + b"0" * 5000 + b"}", "JSON"),
    "overflowing number": (b'{"format_version": 1e999}', "format_version"),
    "deep nesting": (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested"),
    "deep nesting without end": (b"[" * 1_000_000, "nested"),
    "not an object": (b"[]", "object"),
    "not JSON": (b"import os", "JSON"),
    "not UTF-8": (b'{"a": "\xff\xfe"}', "JSON"),
    "key twice": (b'{"format_version": 1, "format_version": 1}', "twice"),
    "empty": (b"", "JSON"),
}


@pytest.mark.parametrize("case", sorted(RAW_MANIFESTS))
def test_json_that_is_none_is_refused(parts: Parts, tmp_path: Path, case: str) -> None:
    content, named = RAW_MANIFESTS[case]
    path = write(tmp_path / "bad.genba", [(MANIFEST, content), (WEIGHTS, parts[WEIGHTS])])
    with pytest.raises(RefusedError, match=named):
        PolicyBundle.load(path)


def _nan(arrays: dict[str, np.ndarray]) -> None:
    arrays["layer0.weight"][0, 0] = np.nan


def _shape(arrays: dict[str, np.ndarray]) -> None:
    arrays["layer1.weight"] = arrays["layer1.weight"][:, :-1].copy()


def _dtype(arrays: dict[str, np.ndarray]) -> None:
    arrays["layer1.weight"] = arrays["layer1.weight"].astype(np.float64)


def _offsets(table: dict[str, Any]) -> None:
    table["layer0.weight"]["data_offsets"] = [0, 2**60]


def _overlap(table: dict[str, Any]) -> None:
    table["layer0.bias"]["data_offsets"] = table["layer2.bias"]["data_offsets"]


WEIGHT_CASES: dict[str, tuple[Callable[[Parts], Parts], str]] = {
    "not finite": (lambda p: weigh(p, _nan), "not finite"),
    "wrong shape": (lambda p: weigh(p, _shape), "shape"),
    "wrong type": (lambda p: weigh(p, _dtype), "F64"),
    "extra array": (lambda p: weigh(p, lambda a: a.update(extra=np.zeros(3, np.float32))), "extra"),
    "missing array": (lambda p: weigh(p, lambda a: a.pop("layer0.bias")), "missing"),
    "offsets beyond the end": (lambda p: header(p, _offsets), "safetensors"),
    "overlapping offsets": (lambda p: header(p, _overlap), "safetensors"),
    "shape that lies": (lambda p: header(p, lambda t: t["layer0.weight"].update(shape=[10**9, 10**9])), "shape"),
    "shape of huge dimensions": (lambda p: header(p, lambda t: t["layer0.bias"].update(shape=[-1])), "shape"),
    "header longer than the file": (lambda p: {**p, WEIGHTS: (2**62).to_bytes(8, "little") + b"{}"}, "header"),
    "cut short": (lambda p: {**p, WEIGHTS: p[WEIGHTS][:-10]}, "safetensors"),
    "a few bytes": (lambda p: {**p, WEIGHTS: b"abc"}, "header"),
    "a pickle": (lambda p: {**p, WEIGHTS: pickle.dumps([1, 2])}, "pickle"),
}


@pytest.mark.parametrize("case", sorted(WEIGHT_CASES))
def test_weights_that_are_not_the_manifests_are_refused(parts: Parts, tmp_path: Path, case: str) -> None:
    edit, named = WEIGHT_CASES[case]
    path = write(tmp_path / "bad.genba", list(edit(parts).items()))
    with pytest.raises(RefusedError, match=named):
        PolicyBundle.load(path)


def _zip_bomb(path: Path, parts: Parts) -> None:
    write(path, [(MANIFEST, parts[MANIFEST]), (WEIGHTS, b"\0" * 20_000_000)], zipfile.ZIP_DEFLATED)


def _lying_size(path: Path, parts: Parts) -> None:
    write(path, [(MANIFEST, b" " * 10_000_000), (WEIGHTS, parts[WEIGHTS])], zipfile.ZIP_DEFLATED)
    raw = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = raw.index(signature) + offset
        raw[at : at + 4] = (100_000).to_bytes(4, "little")
    path.write_bytes(raw)


def _twice(path: Path, parts: Parts) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        write(path, [*parts.items(), (MANIFEST, b"{}")])


def _with(name: str, content: bytes = b"x") -> Callable[[Path, Parts], None]:
    return lambda path, parts: (write(path, [*parts.items(), (name, content)]), None)[1]


FILES: dict[str, tuple[Callable[[Path, Parts], object], str]] = {
    "zip bomb": (_zip_bomb, "times its size"),
    "size that lies": (_lying_size, "damaged|times its size|declares"),
    "member twice": (_twice, "twice"),
    "path traversal": (_with("../../evil.py"), "evil"),
    "absolute path": (_with("/etc/cron.d/evil"), "evil"),
    "extra member": (_with("readme.txt"), "readme"),
    "pickle inside": (_with("policy.pkl", pickle.dumps(1)), "pickle"),
    "torch weights inside": (_with("policy.pth"), "pickle"),
    "folder inside": (_with("sub/"), "sub/"),
    "an SB3 model": (lambda path, parts: write(path, [("data", b"{}")]), "genba pack"),
    "no weights": (lambda path, parts: write(path, [(MANIFEST, parts[MANIFEST])]), "missing"),
    "empty zip": (lambda path, parts: write(path, []), "not a policy bundle|missing"),
    "empty file": (lambda path, parts: path.write_bytes(b""), "not a policy bundle"),
    "text": (lambda path, parts: path.write_text("hello"), "not a policy bundle"),
    "only a header": (lambda path, parts: path.write_bytes(b"PK\x03\x04"), "damaged"),
    "a folder": (lambda path, parts: path.mkdir(), "not a file"),
    "nothing": (lambda path, parts: None, "cannot be read"),
}


@pytest.mark.parametrize("case", sorted(FILES))
def test_a_file_that_is_no_bundle_is_refused(parts: Parts, tmp_path: Path, case: str) -> None:
    make, named = FILES[case]
    path = tmp_path / "bad.genba"
    make(path, parts)
    with pytest.raises(RefusedError, match=named) as refusal:
        PolicyBundle.load(path)
    assert "\n" not in str(refusal.value)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name not in ("good.genba", "bad.genba")) == []


def test_wherever_the_file_is_cut_it_is_refused(parts: Parts, tmp_path: Path) -> None:
    raw = (tmp_path / "good.genba").read_bytes()
    path = tmp_path / "cut.genba"
    for length in [*range(0, len(raw), max(1, len(raw) // 60)), len(raw) - 1]:
        path.write_bytes(raw[:length])
        with pytest.raises(RefusedError):
            PolicyBundle.load(path)


def test_a_flipped_byte_is_refused_or_harmless(parts: Parts, bundle: PolicyBundle, tmp_path: Path) -> None:
    raw = (tmp_path / "good.genba").read_bytes()
    path = tmp_path / "flipped.genba"
    rng = np.random.default_rng(1)
    for at in rng.integers(0, len(raw), 150):
        broken = bytearray(raw)
        broken[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        try:
            loaded = PolicyBundle.load(path)
        except RefusedError:
            continue
        # Only bytes that say nothing (dates, attributes) may change unnoticed: the checksums see the rest.
        assert loaded.manifest == bundle.manifest


def test_a_pickle_is_never_run(tmp_path: Path, run_dir: Path, parts: Parts) -> None:
    trace = tmp_path / "executed"
    bomb = pickle.dumps(Bomb(trace))
    pickle.loads(bomb)
    assert trace.exists(), "the bomb must work for this test to mean anything"
    trace.unlink()
    plain = tmp_path / "plain.genba"
    plain.write_bytes(bomb)
    inside = write(tmp_path / "inside.genba", [(MANIFEST, parts[MANIFEST]), (WEIGHTS, bomb)])
    for path in (plain, inside):
        with pytest.raises(RefusedError, match="pickle"):
            PolicyBundle.load(path)
    write(run_dir / "model.zip", [("data", b'{":serialized:": "gASV"}'), ("policy.pth", bomb)])
    with pytest.raises(RefusedError, match="plain weights"):
        pack(run_dir)
    torch_style = BytesIO()
    with zipfile.ZipFile(torch_style, "w") as archive:
        archive.writestr("archive/data.pkl", bomb)
        archive.writestr("archive/version", "3")
    write(run_dir / "model.zip", [("policy.pth", torch_style.getvalue())])
    with pytest.raises(RefusedError, match="plain weights"):
        pack(run_dir)
    assert not trace.exists()


RUNS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no run.json": (lambda folder: (folder / "run.json").unlink(), "run.json"),
    "no model": (lambda folder: (folder / "model.zip").unlink(), "model.zip"),
    "broken run.json": (lambda folder: (folder / "run.json").write_text("{"), "JSON"),
    "model cut short": (
        lambda folder: (folder / "model.zip").write_bytes((folder / "model.zip").read_bytes()[:500]),
        "model.zip",
    ),
}


@pytest.mark.parametrize("case", sorted(RUNS))
def test_a_run_that_is_not_whole_is_refused(run_dir: Path, case: str) -> None:
    edit, named = RUNS[case]
    edit(run_dir)
    with pytest.raises(RefusedError, match=named) as refusal:
        pack(run_dir, run_dir / "out.genba")
    assert "\n" not in str(refusal.value)
    assert not (run_dir / "out.genba").exists()
