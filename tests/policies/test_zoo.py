"""The shipped policies are what their cards say: small, whole, from a command that can be given again, and as good."""

import sys
from math import comb
from pathlib import Path
from typing import Any

import pytest

from genba.envs.tasks import load_task, task_names
from genba.policies.bundle import PolicyBundle
from genba.policies.catalogue import policy_files
from genba.policies.evaluate import evaluate

EPISODES = 10, 4  # of tasks that are done in ten seconds, and of longer ones; four are enough to catch a lie
LONG = 10.0  # s
FIRST_SEED = 700_000  # neither a training's nor that of the measurement on the card
CHANCE = 1e-4  # of calling an honest card a lie, for one policy


def measured_again() -> list[Any]:
    """Every shipped policy; beyond the first with its task, its arm or its eyes it is for `make test-suite`."""
    seen: set[str] = set()
    params = []
    for path in policy_files():
        task, robot = path.stem.removesuffix("_rgb").split("_", 1)
        new = {task, robot, *(["eyes"] if path.stem.endswith("_rgb") else [])} - seen
        seen |= new
        params.append(pytest.param(path, marks=() if new else pytest.mark.suite, id=path.stem))
    return params


@pytest.fixture(scope="module", params=policy_files(), ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_every_arm_that_a_task_offers_has_its_policy() -> None:
    shipped = {path.stem for path in policy_files()}
    assert {f"{task}_{robot}" for task in task_names() for robot in load_task(task).offered()} <= shipped


def test_a_shipped_policy_is_small_and_says_how_good_it_is(path: Path) -> None:
    bundle = PolicyBundle.load(path)
    manifest = bundle.manifest
    assert path.stem == f"{manifest.task.name}_{manifest.robot.name}{'_rgb' if manifest.eyes else ''}"
    assert path.stat().st_size <= 1_000_000
    assert manifest.measured is not None
    assert manifest.measured.episodes >= 500
    assert manifest.provenance.command.startswith(f"genba train {manifest.task.name} --robot {manifest.robot.name}")
    assert bundle.verify() <= 1e-5
    assert manifest.robot.name in load_task(manifest.task.name).offered()


def row(path: Path) -> str:
    """What docs/benchmarks.md says of it: success, interval and cycle as they stand on its card."""
    manifest = PolicyBundle.load(path).manifest
    m, level = manifest.measured, manifest.task.level
    assert m is not None
    cycle = f"{m.cycle_time:.2f} s"
    seen = ", from pictures" if manifest.eyes else ""
    named = f"`{path.stem}`{seen}{f' ({level})' if level else ''}"
    return (
        f"| {named} | {manifest.task.tolerance} | {m.successes}/{m.episodes} | "
        f"{100.0 * m.low:.1f} to {100.0 * m.high:.1f} % | {cycle} | {manifest.provenance.seconds:.0f} s |"
    )


def test_the_table_of_shipped_policies_is_what_their_cards_say(path: Path) -> None:
    """When it fails: `python tests/policies/test_zoo.py` prints the table."""
    assert row(path) in (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", measured_again())
def test_a_shipped_policy_is_as_good_as_its_card_says(path: Path) -> None:
    """Fewer successes than the card's lower bound makes likely: their chance must not be below one in ten thousand."""
    bundle = PolicyBundle.load(path)
    measured = bundle.manifest.measured
    assert measured is not None
    low = measured.low
    n = EPISODES[measured.cycle_time > LONG]
    successes = evaluate(bundle, n, seed=FIRST_SEED).rate.successes
    chance = sum(comb(n, k) * low**k * (1.0 - low) ** (n - k) for k in range(successes + 1))
    assert chance >= CHANCE, f"{successes} of {n}, the card says at least {low:.1%}"


if __name__ == "__main__":
    sys.stdout.writelines(f"{row(path)}\n" for path in policy_files())
