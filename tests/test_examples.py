"""Every example is short and runs as its reader would run it: in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SAYS = {
    "read_servos.py": "torque limit of servo 1 is 600",
    "record_and_plot.py": "episode.html",
    "run_in_simulation.py": "success True",
    "run_on_servos.py": "success       3/3",
    "scripted_expert.py": "PickPlace on so101: 3/3",
    "train_and_run.py": "success       3/3",
}
SLOW = ("train_and_run.py",)


def run(arguments: list[str], folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **environment},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_example_is_known_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.py")), ids=lambda path: path.stem)
def test_an_example_has_fewer_than_forty_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 40


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in sorted(SAYS)])
def test_an_example_runs(name: str, tmp_path: Path) -> None:
    assert SAYS[name] in run([str(EXAMPLES / name)], tmp_path)


def test_a_recording_and_its_page_are_whole(tmp_path: Path) -> None:
    run([str(EXAMPLES / "record_and_plot.py")], tmp_path)
    assert (tmp_path / "episode.npz").stat().st_size > 10_000
    page = (tmp_path / "episode.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("shoulder_pan", "wrist_roll", "gripper"))
    assert "http" not in page.replace("http://www.w3.org", "")


def test_a_plug_in_is_a_task_like_any_other(tmp_path: Path) -> None:
    installed = tmp_path / "touch_down-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: touch-down\nVersion: 1.0\n", encoding="utf-8")
    points = "[genba.tasks]\nTouchDown = touch_down:TouchDown\n"
    (installed / "entry_points.txt").write_text(points, encoding="utf-8")
    project = (EXAMPLES / "plug_in" / "pyproject.toml").read_text(encoding="utf-8")
    assert 'TouchDown = "touch_down:TouchDown"' in project
    path = {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(EXAMPLES / "plug_in")))}
    assert "TouchDown" in run(["-m", "genba", "list", "tasks"], tmp_path, **path)
    assert "goal" in run([str(EXAMPLES / "plug_in" / "touch_down.py")], tmp_path, **path)
