"""Two watchers of a running policy: has it done its task, and does it see what it was trained on?"""

from collections import deque
from collections.abc import Mapping, Sequence
from math import asin, ceil, cos, dist, hypot, sin, sqrt

import numpy as np
from numpy.typing import NDArray

from ..robots.errors import BusError, SafetyError
from ..robots.observation import Field, ObservationSpec
from ..robots.pose import Pose
from ..robots.state import Vector
from ..robots.station import Sense, Station
from ..robots.success import Success
from .manifest import Range, Ranges
from .sources import Judging, Sources

WARN_AFTER_S = 0.5
HOLD_AFTER_S = 2.0
MARGIN = 0.2  # share of the training range by which a value may lie outside it
SMALLEST_MARGIN = 1e-3
SPEED_WINDOW_S = 0.2


class Judge:
    """Success of one episode after another: by a world that knows, else by the task's conditions on what is measured.

    Attributes:
        by: Who judges, for the report.
        can: Whether success can be judged at all.
        terms: Sub-conditions at the newest tick, by name, with value, limit and whether they hold.
    """

    def __init__(self, success: Success, spec: ObservationSpec, sources: Sources, station: Station) -> None:
        """Choose who judges.

        Args:
            success: Conditions of the task.
            spec: The policy's full spec.
            sources: What can be sensed here.
            station: The arm, for a task that moves only the tool.
        """
        self._success = success
        self._fields = spec.achieved_goal
        self._goal = spec.desired_goal
        self._station = station
        self._needed = max(1, ceil(success.hold_s / station.dt - 1e-9))
        self._held = 0
        self._past: deque[tuple[float, Pose]] = deque()
        self.terms: Mapping[str, Mapping[str, object]] = {}
        sensed = {name for sense in sources.senses for name in sense.fields}
        self._tool = sources.tool_task
        self._part = {"achieved_position": "part_position", "achieved_yaw": "part_yaw"}
        known = {f.name for f in self._fields if self._tool or {f.name, self._part.get(f.name, "")} & sensed}
        missing = [f.name for f in self._fields if f.name not in known]
        world = next((sense for sense in sources.senses if _judges(sense)), None)
        self._world: Judging | None = world if isinstance(world, Judging) else None
        self.can = world is not None or set(self._part) <= known
        if world is not None:
            self.by = f"the sense {world.name!r}"
        elif not self.can:
            self.by = f"nobody: {', '.join(missing) or 'what is achieved'} not sensed"
        elif missing:
            self.by = f"pose only: {', '.join(missing)} not sensed"
        elif self._tool and not {f.name for f in self._fields} <= sensed:
            self.by = "the arm's own measurements"
        else:
            self.by = "all conditions of the task"

    def start(self) -> None:
        """Begin an episode."""
        self._held = 0
        self._past.clear()
        self.terms = {}

    def tick(self, values: Mapping[str, Vector]) -> bool:
        """Look at one tick.

        Args:
            values: Measured fields.

        Returns:
            True from the tick on which all conditions have held long enough.
        """
        if self._world is not None:
            verdict = self._world.judge()
            terms = verdict.get("success_terms")
            self.terms = terms if isinstance(terms, Mapping) else {}
            return verdict.get("is_success") is True
        if not self.can:
            return False
        desired = [v for field in self._goal for v in values[field.name]]
        tool = self._measure_tool() if self._tool else {}
        achieved: list[float] = []
        for field in self._fields:
            given = values.get(field.name) or tool.get(field.name) or values.get(self._part.get(field.name, ""))
            # What is not sensed is taken as it should be: it neither fails nor proves anything, and `by` says so.
            achieved.extend(given or desired[len(achieved) : len(achieved) + field.size])
        self.terms = self._success.terms(achieved, desired)
        self._held = self._held + 1 if self._success.met(achieved, desired) else 0
        return self._held >= self._needed

    def _measure_tool(self) -> dict[str, Vector]:
        """Pose and speed of the TCP in the layout of a goal vector; there is nothing to let go of."""
        pose = self._station.pose
        yaw = self._success.symmetry * pose.yaw
        speed, spin = self._speed_of_tool(pose)
        return {
            "achieved_position": pose.position,
            "achieved_yaw": (sin(yaw), cos(yaw)),
            "achieved_tilt": (pose.tilt,),
            "achieved_speed": (speed,),
            "achieved_spin": (spin,),
            "achieved_released": (1.0,),
            "achieved_reach": (0.0,),
        }

    def _speed_of_tool(self, pose: Pose) -> tuple[float, float]:
        """Speed in m/s and rad/s over the last fifth of a second.

        One encoder tick of a servo, differentiated over one control tick, is 7 mm/s at the tool of an arm that stands.
        """
        now = self._station.state.stamp
        past = self._past
        past.append((now, pose))
        while len(past) > 2 and now - past[1][0] >= SPEED_WINDOW_S:
            past.popleft()
        then, before = past[0]
        if now - then < 0.5 * SPEED_WINDOW_S:
            speeds = self._station.state.joint_velocities
            rows = [sum(j * v for j, v in zip(row, speeds, strict=True)) for row in pose.jacobian_rows]
            return hypot(*rows[:3]), hypot(*rows[3:])
        # |R - R'|^2 = 8 sin^2(angle / 2) for rotation matrices, exact where acos of the trace would lose all digits.
        axes = ((pose.x_axis, before.x_axis), (pose.y_axis, before.y_axis), (pose.z_axis, before.z_axis))
        chord = hypot(*(dist(a, b) for a, b in axes)) / sqrt(8.0)
        return dist(pose.position, before.position) / (now - then), 2.0 * asin(min(chord, 1.0)) / (now - then)


def _judges(sense: Sense) -> bool:
    """Whether a sense's world really offers a verdict; a remote one may have the method and nobody behind it."""
    if not isinstance(sense, Judging):
        return False
    try:
        return "is_success" in sense.judge()
    except BusError:
        return False


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
