"""What a policy sees: named fields with sizes and units, packed in one fixed order.

The spec is written into every bundle, so that the vector a policy was trained on and the vector it is given on
the bench are the same by construction, not by convention.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import RefusedError
from .state import Vector
from .strict import build

Observation = dict[str, npt.NDArray[np.float32]]
GROUPS = ("observation", "achieved_goal", "desired_goal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One named part of an observation.

    Attributes:
        name: Its name, the same in simulation, bundle and bench.
        size: How many numbers.
        unit: "m", "rad", "rad/s", "1" and so on.
        low: Smallest value that can occur.
        high: Largest value that can occur.
        source: "arm" for what the arm itself measures, "goal" for what the task wants, else the sense's name.
        privileged: True for what no bench can sense; such a field never enters `observation`.
    """

    name: str
    size: int
    unit: str
    low: float
    high: float
    source: str = "arm"
    privileged: bool = False


@dataclass(frozen=True, kw_only=True)
class ObservationSpec:
    """The three vectors of a goal-conditioned task, each an ordered row of fields.

    Attributes:
        observation: What the policy may use.
        achieved_goal: What the task has reached; may hold privileged fields.
        desired_goal: What the task wants, in the same layout.
    """

    observation: tuple[Field, ...]
    achieved_goal: tuple[Field, ...] = ()
    desired_goal: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        """Refuse double names and privileged fields where a policy would see them."""
        names = [f.name for f in (*self.observation, *self.desired_goal)]
        double = sorted({n for n in names if names.count(n) > 1})
        if double:
            raise RefusedError(f"observation fields named twice: {', '.join(double)}")
        hidden = [f.name for f in (*self.observation, *self.desired_goal) if f.privileged]
        if hidden:
            raise RefusedError(f"privileged fields in the deployed observation: {', '.join(hidden)}")

    def group(self, name: str) -> tuple[Field, ...]:
        """Fields of one of `GROUPS`."""
        return {
            "observation": self.observation,
            "achieved_goal": self.achieved_goal,
            "desired_goal": self.desired_goal,
        }[name]

    def size(self, group: str) -> int:
        """Length of one vector."""
        return sum(f.size for f in self.group(group))

    def slices(self, group: str) -> dict[str, slice]:
        """Where each field of a group lies in its vector."""
        found, at = {}, 0
        for field in self.group(group):
            found[field.name] = slice(at, at + field.size)
            at += field.size
        return found

    def bounds(self, group: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Lower and upper bound of each number of a group."""
        fields = self.group(group)
        low = np.concatenate([np.full(f.size, f.low, np.float32) for f in fields])
        high = np.concatenate([np.full(f.size, f.high, np.float32) for f in fields])
        return low, high

    def pack(self, values: Mapping[str, Vector]) -> Observation:
        """Lay named values out as float32 vectors.

        Args:
            values: A value for every field of the three groups.

        Raises:
            RefusedError: If a field is missing or has the wrong size; the text names it.
        """
        packed: Observation = {}
        for group, names, size in self._layout:
            flat: list[float] = []
            try:
                for name in names:
                    flat.extend(values[name])
            except KeyError as error:
                raise RefusedError(f"observation field {error.args[0]!r} has no value") from None
            if len(flat) != size:
                self._explain(values, group)
            packed[group] = np.array(flat, dtype=np.float32)
        return packed

    @cached_property
    def _layout(self) -> tuple[tuple[str, tuple[str, ...], int], ...]:
        return tuple((group, tuple(f.name for f in self.group(group)), self.size(group)) for group in GROUPS)

    def _explain(self, values: Mapping[str, Vector], group: str) -> None:
        for field in self.group(group):
            if len(values[field.name]) != field.size:
                raise RefusedError(
                    f"observation field {field.name!r} has {len(values[field.name])} values, expected {field.size}"
                )

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts for a manifest."""
        return {group: [asdict(f) for f in self.group(group)] for group in GROUPS}

    @classmethod
    def from_json(cls, table: Mapping[str, Any], where: str = "spec") -> "ObservationSpec":
        """Read what `to_json` wrote.

        Raises:
            RefusedError: If a group is unknown or a field malformed.
        """
        unknown = sorted(set(table) - set(GROUPS))
        if unknown:
            raise RefusedError(f"{where}: unknown group {unknown[0]!r}; allowed: {', '.join(GROUPS)}")

        def fields(group: str) -> Sequence[Field]:
            rows = table.get(group, [])
            if not isinstance(rows, list):
                raise RefusedError(f"{where}.{group}: expected a list")
            return [build(Field, row, f"{where}.{group}[{i}]") for i, row in enumerate(rows)]

        return cls(
            observation=tuple(fields("observation")),
            achieved_goal=tuple(fields("achieved_goal")),
            desired_goal=tuple(fields("desired_goal")),
        )
