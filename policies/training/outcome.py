"""What every training run leaves to be said and packed, whatever its algorithm."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...envs.env import CellEnv
from .recipe import Recipe

SEED_BLOCK = 10_000_000  # episode seeds of one training seed; evaluation uses those below the first block
SAID_BY_DEMOS = (
    "imitation.demonstrations", "imitation.noise", "tempo.quicken", "tempo.lead", "tempo.lead_down", "tempo.near"
)  # fmt: skip
VALIDATION = 48  # episodes by which a policy is judged while it is trained
VALIDATION_SEEDS = 1_000_000  # where their seeds begin within the block
SEARCH_SEEDS = 4_000_000  # the same for episodes of the expert at other tempos
WARM_START = "warm_start.zip"  # the model that reinforcement learning began with, beside the one it ended with
# Who was judged by the same episodes, where an algorithm is to be better than somebody.
IMPROVED = "imitate+sac"
BEFORE = {IMPROVED: "before reinforcement learning", "tempo+imitate": "the expert at its own tempo"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a training run reached.

    Attributes:
        success: Success rate over the last validation.
        cycle_time: Mean time to success there, s.
        steps: Environment steps it took.
        seconds: Wall time, resumed parts included.
        before: Success rate and mean time to success of whom it is to be better than, over the same; None without.
        who: Who that is, see `BEFORE`.
    """

    success: float
    cycle_time: float
    steps: int
    seconds: float
    before: tuple[float, float] | None = None
    who: str = ""

    @property
    def words(self) -> str:
        """One line for people."""
        line = f"success {self.success:.1%}, cycle {self.cycle_time:.2f} s, {self.seconds:.0f} s of training"
        if self.before is None:
            return line
        if self.who == BEFORE[IMPROVED] and self.before == (self.success, self.cycle_time):
            return f"{line}; reinforcement learning found nothing quicker that is as sure, so imitation's policy stays"
        success, cycle = self.before
        return f"{line}; {self.who}: success {success:.1%}, cycle {cycle:.2f} s"


def judged(env: CellEnv, episodes: Sequence[tuple[bool, int]]) -> tuple[float, float]:
    """Success rate and mean time until the conditions first held for good, s; the horizon where they never did.

    Args:
        env: Whose episodes they are.
        episodes: Success and length in ticks of each.
    """
    good = [steps * env.dt - env.task.success.hold_s for success, steps in episodes if success]
    return len(good) / len(episodes), sum(good) / len(good) if good else env.task.horizon_s


def provenance(
    env: CellEnv, recipe: Recipe, *, seed: int, steps: int, seconds: float, demos: Path | None = None
) -> Mapping[str, Any]:
    """Where a policy comes from, as its bundle remembers it; the command trains it again.

    Args:
        env: Its environment.
        recipe: Its recipe; what differs from the task's own is spelt out in the command.
        seed: Its seed.
        steps: Environment steps it took.
        seconds: Wall time, s.
        demos: Dataset that it began with, if it did; what that says itself is not repeated.
    """
    command = ["genba", "train", env.task_name, "--robot", env.robot.name, "--seed", str(seed)]
    command += ["--algo", recipe.algorithm]
    command += ["--obs", recipe.obs] if recipe.obs != "state" else []
    command += ["--level", recipe.level] if recipe.level else []
    command += ["--curriculum"] if recipe.curriculum else []
    command += ["--randomize", recipe.randomize] if recipe.randomize != "off" else []
    command += ["--demos", str(demos)] if demos else []
    for key, value in _changed(recipe, env):
        if demos and key in SAID_BY_DEMOS:
            continue
        command += ["--set", f"{key}={value}"]
    return {
        "command": shlex.join(command),
        "algorithm": recipe.algorithm,
        "seed": seed,
        "steps": steps,
        "seconds": round(seconds, 1),
        "versions": [
            f"python {sys.version.split()[0]}",
            *(f"{name} {version(name)}" for name in ("torch", "stable-baselines3", "pybullet", "numpy")),
        ],
    }


def _changed(recipe: Recipe, env: CellEnv) -> list[tuple[str, Any]]:
    """Keys of the tables in which a recipe is not the task's own."""
    from .recipe_load import load_recipe

    own = load_recipe(
        env.task_name, env.robot, changes=[("algorithm", recipe.algorithm), ("obs", recipe.obs)]
    ).to_json()
    return [
        (key, value)
        for key, value in _flat(recipe.to_json(), "")
        if "." in key and dict(_flat(own, "")).get(key) != value
    ]


def _flat(table: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        name = f"{prefix}{key}"
        found += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, value)]
    return found
