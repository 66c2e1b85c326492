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

    @property
    def words(self) -> str:
        """How it ended, in a few words."""
        if self.success is None:
            return "not judged"
        return "done" if self.success else f"failed by {', '.join(self.failed_terms) or 'not holding it long enough'}"


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

    def __str__(self) -> str:
        """A few lines for people."""
        judged = sum(row.success is not None for row in self.episodes)
        share = f"{self.intervened / self.ticks:.1%}" if self.ticks else "0 %"
        why = ", ".join(f"{name} {n}" for name, n in sorted(self.interventions.items(), key=lambda item: -item[1]))
        lines = [
            f"{self.policy}: {self.task} on {self.robot}, {len(self.episodes)} episodes, {self.ticks} ticks",
            f"success       {self.successes}/{judged}, judged by {self.judged_by}",
            f"envelope      changed {share} of the targets{f' ({why})' if why else ''}",
            f"policy        {self.inference_p50_us:.0f} us median, {self.inference_p99_us:.0f} us p99, "
            f"{self.out_of_range} ticks outside the training range",
        ]
        if self.pace:
            lines.append(
                f"rate          {self.pace['mean_rate_hz']:.2f} Hz, {self.pace['overruns']:.0f} overruns, "
                f"p99 error {self.pace['p99_error_s'] * 1e3:.2f} ms"
            )
        confirmed = {None: "not asked for", True: "confirmed", False: "NOT CONFIRMED"}[self.stop_confirmed]
        return "\n".join([*lines, f"stop          {confirmed}"])
