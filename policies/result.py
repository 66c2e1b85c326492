"""What a run of a policy leaves behind: a row per episode and the sums that a report shows."""

import dataclasses
from typing import Any, Final

OK: Final = 0
FAILED: Final = 1
UNSAFE: Final = 2
INTERRUPTED: Final = 130


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One episode.

    Attributes:
        index: Its number, from 0.
        seed: Seed given to the senses that lay out the world.
        success: Whether the task was done; None when nobody could judge.
        seconds: Time of the arm's clock from start to end, s.
        ticks: Control steps.
        inference_us: Median time of one decision, us.
        failed_terms: Conditions that did not hold at the end.
    """

    index: int
    seed: int
    success: bool | None
    seconds: float
    ticks: int
    inference_us: float
    failed_terms: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What was done.

    Attributes:
        policy: Name of the bundle.
        task: Its task.
        robot: The arm's model.
        senses: Names of what measured beside the arm.
        judged_by: Who decided about success.
        episodes: One row each.
        successes: How many succeeded.
        success_low: Lower end of the 95 % interval of the success rate.
        success_high: Upper end.
        ticks: Control steps in all.
        interventions: Ticks on which the envelope changed the target, by reason.
        intervened: Ticks on which it changed the target for any reason.
        out_of_range: Ticks on which an observation was outside the training range.
        inference_p50_us: Median time of one decision, us.
        inference_p99_us: 99th percentile, us.
        pace: Rate statistics of the arm; empty for one that does not run on the wall clock.
        reference_error: Largest difference to the trainer's actions on this machine.
        stopped: Why the run ended early; empty when it did not.
        stop_confirmed: Whether the arm confirmed its stop; None for an arm that cannot say.
        exit_code: 0 done, 1 an episode failed, 2 safety, 4 infrastructure, 130 interrupted.
    """

    policy: str
    task: str
    robot: str
    senses: tuple[str, ...]
    judged_by: str
    episodes: tuple[Episode, ...]
    successes: int
    success_low: float
    success_high: float
    ticks: int
    interventions: dict[str, int]
    intervened: int
    out_of_range: int
    inference_p50_us: float
    inference_p99_us: float
    pace: dict[str, float]
    reference_error: float
    stopped: str
    stop_confirmed: bool | None
    exit_code: int

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts."""
        return dataclasses.asdict(self)
