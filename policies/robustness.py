"""How much a policy bears of what it may meet on the bench: success over a grid of noise, delay, friction and load.

One row per kind of trouble, one column per strength, the same seeds in every field of the grid. The first column is
the cell as the policy was trained in it.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ..envs.randomize import Randomization
from .bundle import PolicyBundle
from .crews.crew import Crew
from .evaluate import Trial, evaluate
from .manifest import Manifest
from .pages.heat import Heat, HeatRow
from .pages.report import write_report
from .statistics import Rate


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One row of the grid.

    Attributes:
        name: What is varied, for people.
        unit: Unit of the strengths.
        strengths: Mildest first.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]

    def at(self, strength: float) -> Randomization:
        """The ranges of an episode at one strength."""
        same = (strength, strength)
        match self.name:
            case "sense noise":
                return Randomization(sense_bias=same, sense_noise=same)
            case "action delay":
                return Randomization(latency=(strength / 1e3, strength / 1e3))
            case "part friction":
                return Randomization(part_friction=same)
            case "joint friction":
                return Randomization(joint_friction=same)
            case _:
                return Randomization(payload=(strength / 1e3, strength / 1e3))


TROUBLES: Final = (
    Trouble(name="sense noise", unit="x", strengths=(1.0, 2.0, 4.0, 6.0, 8.0)),
    Trouble(name="action delay", unit="ms more", strengths=(0.0, 33.0, 67.0, 133.0, 267.0)),
    Trouble(name="part friction", unit="x", strengths=(1.0, 0.7, 0.5, 0.35, 0.2)),
    Trouble(name="joint friction", unit="x", strengths=(1.0, 2.0, 4.0, 6.0, 8.0)),
    Trouble(name="payload", unit="g more", strengths=(0.0, 50.0, 100.0, 200.0, 400.0)),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Borne:
    """What a training did for success under a trouble.

    Attributes:
        trouble: Which, and how much of it.
        before: Success of the policy it began with.
        after: Of the one it ended with, on the same seeds.
    """

    trouble: str
    before: Rate
    after: Rate


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Success of one policy.

    Attributes:
        policy: Its name.
        episodes: In each field.
        seed: Of the first episode of each field.
        rows: For every trouble its rates, mildest first.
    """

    policy: str
    episodes: int
    seed: int
    rows: tuple[tuple[Trouble, tuple[Rate, ...]], ...]

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts."""
        return dataclasses.asdict(self)


def measure(
    bundle: PolicyBundle,
    episodes: int = 50,
    *,
    seed: int = 0,
    crew: Crew | None = None,
    on_episode: Callable[[Trial], None] | None = None,
) -> Grid:
    """Measure a policy on the whole grid.

    Args:
        bundle: The policy.
        episodes: In each field.
        seed: Seed of the first episode of each field.
        crew: Who runs the episodes; this process if not given.
        on_episode: Called for each that is known, for a progress bar.

    Raises:
        RefusedError: If the bundle does not fit this genba.
    """

    def rate(trouble: Trouble, strength: float) -> Rate:
        randomize = trouble.at(strength)
        return evaluate(bundle, episodes, seed=seed, randomize=randomize, crew=crew, on_episode=on_episode).rate

    rows = tuple((trouble, tuple(rate(trouble, s) for s in trouble.strengths)) for trouble in TROUBLES)
    return Grid(policy=bundle.name, episodes=episodes, seed=seed, rows=rows)


def bear(
    before: PolicyBundle,
    after: PolicyBundle,
    episodes: int,
    *,
    crew: Crew | None = None,
    on_episode: Callable[[Trial], None] | None = None,
) -> tuple[Borne, ...]:
    """Measure two policies under each trouble once, half-way to the hardest: each in a fifth of a grid.

    Args:
        before: The policy that a training began with.
        after: The one it ended with.
        episodes: Of each under each, on the same seeds.
        crew: Who runs the episodes; this process if not given.
        on_episode: Called for each that is known, for a progress bar.

    Raises:
        RefusedError: If a bundle does not fit this genba.
    """
    found = []
    for trouble in TROUBLES:
        hard = trouble.strengths[len(trouble.strengths) // 2]
        one, other = (
            evaluate(bundle, episodes, randomize=trouble.at(hard), crew=crew, on_episode=on_episode).rate
            for bundle in (before, after)
        )
        found.append(Borne(trouble=f"{trouble.name}, {hard:g} {trouble.unit}", before=one, after=other))
    return tuple(found)


def fields() -> int:
    """How many fields the grid has."""
    return sum(len(trouble.strengths) for trouble in TROUBLES)


def write_grid(path: Path, grid: Grid, manifest: Manifest) -> None:
    """Write the grid as a page with a heat map.

    Args:
        path: The file.
        grid: What was measured.
        manifest: Of the policy.

    Raises:
        DiskError: If the file cannot be written.
    """
    rows = tuple(
        HeatRow(
            label=f"{trouble.name}, {trouble.unit}",
            values=tuple(rate.rate for rate in rates),
            words=tuple(f"{strength:g}" for strength in trouble.strengths),
            notes=tuple(str(rate) for rate in rates),
        )
        for trouble, rates in grid.rows
    )
    write_report(
        path,
        title=f"What {grid.policy} bears",
        intro=(
            f"{manifest.task.name} on {manifest.robot.name}, tolerance {manifest.task.tolerance}: success of "
            f"{grid.episodes} episodes in every field, seeds {grid.seed} to {grid.seed + grid.episodes - 1}, "
            "run by the shipped numpy inference."
        ),
        sections=[
            Heat(
                title="Success against trouble",
                rows=rows,
                caption="The first column is the cell as in training; each row makes one thing worse from left to "
                "right, all else equal. The small number is the strength, the large one the success rate.",
            )
        ],
    )
