"""The repository is the package: its list of rooms, what the wheel carries, and who may import whom."""

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

from genba.policies.bundle import PolicyBundle

ROOT = Path(__file__).parent.parent
ROOMS = ("robots", "drivers", "envs", "policies")


def sources() -> Iterator[Path]:
    yield ROOT / "__init__.py"
    yield ROOT / "__main__.py"
    for room in ROOMS:
        yield from sorted((ROOT / room).rglob("*.py"))


def run_python(*arguments: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [python, *arguments], capture_output=True, text=True, cwd="/", env=clean, timeout=120, check=False
    )


def test_the_list_of_packages_is_that_of_the_tree() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = set(table["tool"]["setuptools"]["packages"])
    found = {"genba"} | {
        ".".join(("genba", *path.parent.relative_to(ROOT).parts))
        for room in ROOMS
        for path in (ROOT / room).rglob("__init__.py")
    }
    assert listed == found


def test_the_root_holds_no_other_module() -> None:
    assert sorted(path.name for path in ROOT.glob("*.py")) == ["__init__.py", "__main__.py"]


def test_rooms_import_each_other_relatively() -> None:
    wrong = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            wrong += [f"{path.relative_to(ROOT)}: {name}" for name in names if name.split(".")[0] == "genba"]
    assert not wrong


BANNED_MODULES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml"}
BANNED_CALLS = {"eval", "exec", "compile", "__import__"}


def test_nothing_executes_what_it_reads() -> None:
    wrong = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name.split(".")[0] for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [(node.module or "").split(".")[0]]
            bad = BANNED_MODULES.intersection(names)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BANNED_CALLS:
                bad = {node.func.id}
            if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
                forbidden = {"allow_pickle": True, "weights_only": False}
                bad = {node.arg} if node.arg in forbidden and node.value.value is forbidden[node.arg] else bad
            wrong += [f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', '?')}: {name}" for name in bad]
    assert not wrong


HEAVY = ("pybullet", "gymnasium", "torch", "stable_baselines3", "cv2", "matplotlib", "genba.envs")


@pytest.mark.parametrize(
    "module",
    ["genba.policies.run", "genba.policies.bundle", "genba.policies.catalogue", "genba.__main__"]
    + [
        ".".join(("genba", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        for room in ("robots", "drivers")
        for path in sorted((ROOT / room).rglob("*.py"))
    ],
)
def test_the_way_to_the_bench_is_light(module: str) -> None:
    code = f"import {module}, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = run_python("-c", code)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_help_needs_neither_numpy_nor_serial() -> None:
    code = "import sys, genba.__main__ as m; m._parser(); print('numpy' in sys.modules, 'serial' in sys.modules)"
    assert run_python("-c", code).stdout.split() == ["False", "False"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of a copy of the tree, so that building leaves nothing behind."""
    folder = tmp_path_factory.mktemp("wheel")
    skip = shutil.ignore_patterns(".*", "build", "dist", "runs", "demo", "*.egg-info", "__pycache__", "tests")
    shutil.copytree(ROOT, folder / "tree", ignore=skip)
    done = run_python(
        "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder), str(folder / "tree")
    )
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_carries_code_and_assets_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"genba/py.typed", "genba/robots/so101.toml", "genba/sim_assets/so101/so101.urdf"} <= names
    for path in sources():
        assert f"genba/{path.relative_to(ROOT).as_posix()}" in names
    for path in (ROOT / "policies" / "zoo").glob("*.genba"):
        assert f"genba/policies/zoo/{path.name}" in names
    inside = {name.split("/")[1] for name in names if name.startswith("genba/")}
    assert inside == {"__init__.py", "__main__.py", "py.typed", "sim_assets", *ROOMS}


@pytest.fixture(scope="module")
def bench(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a venv that holds the wheel, numpy, pyserial and safetensors, linked from here: no network."""
    folder = tmp_path_factory.mktemp("bench") / "venv"
    venv.create(folder, with_pip=False, symlinks=os.name == "posix")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    site = Path(run_python("-c", "import site; print(site.getsitepackages()[-1])", python=str(python)).stdout.strip())
    for name in ("numpy", "pyserial", "safetensors"):
        for file in distribution(name).files or ():
            source = Path(str(file.locate()))
            if ".." not in file.parts and source.suffix != ".pyc":
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, site / file)
    done = run_python("-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel))
    assert done.returncode == 0, done.stderr
    return python


@pytest.mark.slow
def test_a_bench_without_simulator_runs_a_policy(bench: Path, proportional: PolicyBundle, tmp_path: Path) -> None:
    policy = proportional.save(tmp_path / "policy.genba")
    command = (
        "-m",
        "genba",
        "run",
        str(policy),
        "--port",
        "genba-sim://so101?time=virtual",
        "--episodes",
        "2",
        "--json",
    )
    done = run_python(*command, python=str(bench))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["successes"] == 2


@pytest.mark.slow
def test_a_bench_without_simulator_says_what_it_lacks(bench: Path) -> None:
    assert run_python("-m", "genba", "list", "policies", python=str(bench)).returncode == 0
    done = run_python("-m", "genba", "list", "tasks", python=str(bench))
    assert (done.returncode, done.stdout) == (3, "")
    assert "pip install 'genba[sim]'" in done.stderr
