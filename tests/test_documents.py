"""The documents keep up with the code: every task has its section, which names what is judged and what can be set."""

import re
from pathlib import Path

import pytest

from genba.envs.tasks import load_task, task_names
from genba.robots.catalogue import load_robot

ROOT = Path(__file__).parents[1]
SHARED = {"joint_positions"}


@pytest.mark.parametrize("name", task_names())
def test_every_task_is_explained_with_its_conditions_options_and_levels(name: str) -> None:
    text = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {name}$(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/tasks.md has no section {name}"
    kind = load_task(name)
    robot = kind.offered()[0]
    task = kind(load_robot(robot), load_robot(robot).tolerance)
    words = {c.name for c in task.success.criteria} | set(task.option_names) - SHARED | set(task.levels)
    assert [word for word in sorted(words) if f"`{word}`" not in found[1]] == []
    assert "Where the numbers come from" in found[1]
    assert (ROOT / "docs" / "clips" / f"{name}.webm").read_bytes().startswith(b"\x1aE\xdf\xa3")
