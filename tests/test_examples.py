"""What is shown is true: examples run as their reader would run them, and documents name what exists."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from genba.__main__ import _parser

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
DOCUMENTS = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")))
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


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_links_of_a_document_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for block in re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("genba "):
                _parser().parse_args(shlex.split(line.split(" > ")[0], comments=True)[1:])
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert link.startswith("https://") or (path.parent / link).exists(), link


def test_error_texts_in_the_bench_document_are_those_of_the_source() -> None:
    code = "".join(
        p.read_text(encoding="utf-8")
        for room in ("drivers", "policies", "robots")
        for p in ROOT.joinpath(room).rglob("*.py")
    )
    table = (ROOT / "docs" / "bench.md").read_text(encoding="utf-8").split("## What it says")[1].split("\n\n")[1]
    shown = [text for row in table.splitlines()[2:] for text in re.findall("`(.+?)`", row.split(" | ")[0])]
    assert len(shown) > 25
    for text in shown:
        for part in re.split(r"\.\.\.|NAME|\bN\b|'|\(id \)", text):
            words = part.strip(" ,:;()")
            assert not words or words in code, text
