"""Two policies on the same seeds: which succeeds more often, which is faster, and whether that could be chance.

Every episode is a pair, because equal seeds give equal episodes until the policies act. Success is compared by the
exact McNemar test, which looks only at the seeds where one succeeded and the other did not; cycle time by the mean of
paired differences over the seeds where both did, with a bootstrap interval.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ..robots.errors import RefusedError
from .bundle import PolicyBundle
from .crews.crew import Crew
from .evaluate import Evaluation, Trial, evaluate
from .statistics import paired_interval, sign_test

SURE = 0.05  # p-value below which a difference is called one


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came out.

    Attributes:
        first: Evaluation of the first policy.
        second: Evaluation of the second.
        only_first: Seeds on which only the first succeeded.
        only_second: Seeds on which only the second succeeded.
        p_value: Of the exact McNemar test.
        faster_by: Mean cycle of the second minus that of the first where both succeeded, s; None if they nowhere did.
        faster_low: Lower end of its 95 % interval, likewise.
        faster_high: Upper end.
    """

    first: Evaluation
    second: Evaluation
    only_first: tuple[int, ...]
    only_second: tuple[int, ...]
    p_value: float
    faster_by: float | None
    faster_low: float | None
    faster_high: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts."""
        return dataclasses.asdict(self)

    @property
    def verdict(self) -> str:
        """One line for people."""
        said = []
        if self.p_value < SURE:
            better = self.first if len(self.only_first) > len(self.only_second) else self.second
            said.append(f"{better.policy} succeeds more often (p = {self.p_value:.2g})")
        else:
            said.append(f"no difference in success that could not be chance (p = {self.p_value:.2g})")
        if self.faster_by is None or self.faster_low is None or self.faster_high is None:
            said.append("on no seed do both succeed")
        elif self.faster_low > 0.0 or self.faster_high < 0.0:
            faster = self.first if self.faster_by > 0.0 else self.second
            said.append(f"{faster.policy} is faster by {abs(self.faster_by):.2f} s")
        else:
            said.append("neither is faster")
        return "; ".join(said)


def compare(
    first: PolicyBundle,
    second: PolicyBundle,
    episodes: int = 200,
    *,
    seed: int = 0,
    randomize: str = "off",
    crew: Crew | None = None,
    on_episode: Callable[[Trial], None] | None = None,
) -> Comparison:
    """Evaluate two policies of one task on the same seeds.

    Args:
        first: One policy.
        second: The other.
        episodes: How many for each.
        seed: Seed of the first episode.
        randomize: What differs between episodes beside the task itself.
        crew: Who runs the episodes; this process if not given.
        on_episode: Called for each that is known, for a progress bar.

    Raises:
        RefusedError: If they are policies of different tasks, arms, tolerances or levels: then nothing is paired.
    """
    for key, one, other in (
        ("task", first.manifest.task.name, second.manifest.task.name),
        ("robot", first.manifest.robot.name, second.manifest.robot.name),
        ("tolerance", first.manifest.task.tolerance, second.manifest.task.tolerance),
        ("level", first.manifest.task.level, second.manifest.task.level),
    ):
        if one != other:
            raise RefusedError(
                f"{first.name} and {second.name} differ in {key}: {one!r} and {other!r}; "
                "compare two policies of one task"
            )
    a, b = (
        evaluate(bundle, episodes, seed=seed, randomize=randomize, crew=crew, on_episode=on_episode)
        for bundle in (first, second)
    )
    pairs = list(zip(a.trials, b.trials, strict=True))
    only_first = tuple(x.seed for x, y in pairs if x.success and not y.success)
    only_second = tuple(x.seed for x, y in pairs if y.success and not x.success)
    differences = [y.cycle_time - x.cycle_time for x, y in pairs if x.success and y.success]
    low, high = paired_interval(differences, seed=seed) if differences else (None, None)
    return Comparison(
        first=a,
        second=b,
        only_first=only_first,
        only_second=only_second,
        p_value=sign_test(len(only_first), len(only_second)),
        faster_by=float(np.mean(differences)) if differences else None,
        faster_low=low,
        faster_high=high,
    )
