"""Two watchers of a running policy: has it done its task, and does it see what it was trained on?"""

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

from ..robots.errors import SafetyError
from ..robots.observation import Field, ObservationSpec
from ..robots.state import Vector
from ..robots.station import Sense
from ..robots.success import Success
from .manifest import Range, Ranges
from .sources import Judging, Sources

WARN_AFTER_S = 0.5
HOLD_AFTER_S = 2.0
MARGIN = 0.2  # share of the training range by which a value may lie outside it
SMALLEST_MARGIN = 1e-3

POSE = ("position", "yaw", "tilt")


class Judge:
    """Success of one episode after another: a sense that knows, else the policy's own conditions on what is measured.

    Attributes:
        by: Who judges, for the report.
    """

    def __init__(self, success: Success, spec: ObservationSpec, sources: Sources, dt: float) -> None:
        """Choose who judges.

        Args:
            success: Conditions of the task.
            spec: The policy's full spec.
            sources: What can be sensed here.
            dt: Length of a tick, s.
        """
        self._success = success
        self._fields = spec.achieved_goal
        self._goal = spec.desired_goal
        self._needed = max(1, ceil(success.hold_s / dt - 1e-9))
        self._held = 0
        self._terms: dict[str, dict[str, float | bool]] = {}
        self._sense: Judging | None = next(
            (sense for sense in sources.senses if isinstance(sense, Sense) and isinstance(sense, Judging)), None
        )
        missing = set(sources.unjudged)
        self._known = {f"achieved_{part}" for part in POSE} <= {f.name for f in self._fields} - missing
        if self._sense is not None:
            self.by = f"the sense {_name(self._sense)!r}"
        elif not self._known:
            self.by = f"nobody: {', '.join(sorted(missing)) or 'no achieved pose'} not sensed"
        elif missing:
            self.by = f"pose only: {', '.join(sorted(missing))} not sensed"
        else:
            self.by = "all conditions of the task"

    @property
    def can(self) -> bool:
        """Whether success can be judged at all."""
        return self._sense is not None or self._known

    @property
    def terms(self) -> dict[str, dict[str, float | bool]]:
        """Sub-conditions of the newest tick; empty when a sense judges."""
        return self._terms

    def start(self) -> None:
        """Begin an episode."""
        self._held = 0
        self._terms = {}

    def tick(self, values: Mapping[str, Vector]) -> bool:
        """Look at one tick.

        Args:
            values: Measured fields.

        Returns:
            True from the tick on which all conditions have held long enough.
        """
        self._held = self._held + 1 if self._met(values) else 0
        return self._held >= self._needed

    def _met(self, values: Mapping[str, Vector]) -> bool:
        if self._sense is not None:
            return bool(self._sense.judge())
        if not self._known:
            return False
        desired = [v for field in self._goal for v in values[field.name]]
        achieved: list[float] = []
        for field in self._fields:
            given = values.get(field.name)
            # What is not sensed is taken as it should be: it neither fails nor proves anything, and `by` says so.
            achieved.extend(given if given is not None else desired[len(achieved) : len(achieved) + field.size])
        self._terms = self._success.terms(achieved, desired)
        return all(bool(term["ok"]) for term in self._terms.values())


def _name(sense: object) -> str:
    return str(getattr(sense, "name", type(sense).__name__))


class RangeWatch:
    """Holds the arm when a policy keeps seeing what it has never seen in training.

    Attributes:
        ticks: Ticks on which some value was outside, since the start.
        warned: Fields that were outside for longer than half a second.
    """

    def __init__(self, ranges: Ranges, spec: ObservationSpec, dt: float) -> None:
        """Widen the training ranges by a fifth.

        Args:
            ranges: Values seen in training.
            spec: Names for the values.
            dt: Length of a tick, s.
        """
        self._dt = dt
        self._bounds = {"observation": _widen(ranges.observation), "desired_goal": _widen(ranges.desired_goal)}
        self._names = {
            "observation": _value_names(spec.observation),
            "desired_goal": _value_names(spec.desired_goal),
        }
        self._outside_s = 0.0
        self.ticks = 0
        self.warned: set[str] = set()

    def start(self) -> None:
        """Begin an episode."""
        self._outside_s = 0.0

    def tick(self, observation: Mapping[str, NDArray[np.float32]]) -> str:
        """Look at one observation.

        Args:
            observation: As packed.

        Returns:
            A field to warn about, the first time it has been outside for half a second, else "".

        Raises:
            SafetyError: If values have been outside for two seconds without a break.
        """
        name = ""
        for group, (low, high) in self._bounds.items():
            x = observation[group]
            bad = (x < low) | (x > high)
            if bad.any():
                name = self._names[group][int(bad.argmax())]
                break
        if not name:
            self._outside_s = 0.0
            return ""
        self.ticks += 1
        self._outside_s += self._dt
        if self._outside_s > HOLD_AFTER_S:
            raise SafetyError(
                f"{name} has been outside the range of the training for {self._outside_s:.1f} s; the arm is held; "
                "check the sense and the set-up, or train on a wider range"
            )
        if self._outside_s > WARN_AFTER_S and name not in self.warned:
            self.warned.add(name)
            return name
        return ""


def _widen(span: Range) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    low, high = np.array(span.low), np.array(span.high)
    margin = np.maximum(MARGIN * (high - low), SMALLEST_MARGIN)
    return (low - margin).astype(np.float32), (high + margin).astype(np.float32)


def _value_names(fields: Sequence[Field]) -> list[str]:
    return [f"{field.name}[{i}]" if field.size > 1 else field.name for field in fields for i in range(field.size)]
