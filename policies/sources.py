"""Where each number of a policy's observation comes from on this arm, or by what name it is missing.

    arm fields      the tick itself
    sensed fields   a camera, or a simulated plant that says what it knows
    desired goal    a sense if one gives it, else the points taught with the policy
    achieved goal   a sense if one gives it, else the TCP where the task moves only the tool, else the part as sensed

A field that the policy decides by and that has no source is refused before anything moves. Achieved fields only judge:
a bench that cannot sense them still runs the policy and says what was not judged.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from ..robots.errors import RefusedError
from ..robots.observation import Field, ObservationSpec
from ..robots.state import Vector
from ..robots.station import Sense, is_arm_field
from .bundle import PolicyBundle


@runtime_checkable
class Judging(Protocol):
    """A sense whose world knows how the task stands."""

    def judge(self) -> Mapping[str, object]:
        """`is_success`: whether all conditions have held for long enough; `success_terms`: each with its value."""


@runtime_checkable
class Resettable(Protocol):
    """A sense that can bring the world into a fresh start, as a person puts a part back."""

    def reset(self, seed: int) -> None:
        """Lay out the world for one episode and return when new values have arrived."""


class TaughtPoints:
    """Desired goals that were taught with the policy, one per episode in turn."""

    name = "taught points"

    def __init__(self, fields: Sequence[Field], points: Sequence[Vector]) -> None:
        """Cut each point into its fields.

        Args:
            fields: Fields of the desired goal in order.
            points: Desired goals.
        """
        self.fields = tuple(field.name for field in fields)
        self._points: list[dict[str, Vector]] = []
        for point in points:
            values: dict[str, Vector] = {}
            start = 0
            for field in fields:
                values[field.name] = tuple(point[start : start + field.size])
                start += field.size
            self._points.append(values)
        self._index = 0

    def choose(self, episode: int) -> None:
        """Take the point of an episode."""
        self._index = episode % len(self._points)

    def read(self) -> Mapping[str, Vector]:
        """The point of this episode."""
        return self._points[self._index]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sources:
    """Everything a station needs beside the arm.

    Attributes:
        spec: The policy's spec with only those achieved fields that a sense gives.
        senses: Those given, and the taught points where they are needed.
        taught: The taught points, when no sense gives the goal.
        tool_task: Whether the policy decides by the arm and the goal alone, so that what it moves is the tool.
    """

    spec: ObservationSpec
    senses: tuple[Sense, ...]
    taught: TaughtPoints | None
    tool_task: bool


def find_sources(bundle: PolicyBundle, senses: Sequence[Sense]) -> Sources:
    """Give every field of a policy a source on this arm.

    Args:
        bundle: The policy.
        senses: What is there beside the arm.

    Raises:
        RefusedError: If a field that the policy decides by has none; the text names the field.
    """
    spec = bundle.manifest.spec
    sensed = {name: sense for sense in senses for name in sense.fields}
    missing = [field for field in spec.observation if not (is_arm_field(field.name) or field.name in sensed)]
    goal = [field for field in spec.desired_goal if field.name not in sensed]
    taught = None
    if goal and len(goal) == len(spec.desired_goal) and bundle.manifest.taught_points:
        taught = TaughtPoints(spec.desired_goal, bundle.manifest.taught_points)
        goal = []
    for field in (*missing, *goal):
        have = ", ".join(sorted(sensed)) or "none"
        raise RefusedError(
            f"{bundle.name}: field {field.name!r} has no source here (in training: {field.source!r}; "
            f"sensed fields: {have}); add a sense that gives it, `genba run ... --sense URL`"
        )
    return Sources(
        spec=dataclasses.replace(spec, achieved_goal=tuple(f for f in spec.achieved_goal if f.name in sensed)),
        senses=(*senses, taught) if taught is not None else tuple(senses),
        taught=taught,
        tool_task=all(is_arm_field(field.name) for field in spec.observation),
    )
