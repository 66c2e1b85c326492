"""Where each number of a policy's observation comes from on this arm, or by what name it is missing.

    arm fields           the tick itself
    fields of a sense    a camera, or a simulated plant that says what it knows
    achieved, from "arm" the TCP's own pose, for tasks that move the tool and no part
    desired goal         a sense if one gives it, else the points taught with the policy

A field without a source is refused before anything moves. Achieved fields are the exception: they judge, they do not
decide, so a bench that cannot sense them still runs the policy and says what was not judged.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from math import cos, hypot, sin, sqrt
from typing import Protocol, runtime_checkable

from ..robots.errors import RefusedError
from ..robots.observation import Field, ObservationSpec
from ..robots.state import Vector
from ..robots.station import Sense, Station, is_arm_field
from .bundle import PolicyBundle


@runtime_checkable
class Judging(Protocol):
    """A sense that knows whether the task is achieved."""

    def judge(self) -> bool:
        """Whether every condition of the task holds at this instant; holding it long enough is counted here."""


@runtime_checkable
class Resettable(Protocol):
    """A sense that can bring the world into a fresh start, as a person puts a part back."""

    def reset(self, seed: int) -> None:
        """Lay out the world for one episode and return when new values have arrived."""


class ArmPose:
    """The achieved goal of a task that moves only the tool, from the arm's own measurements."""

    name = "the arm's own pose"

    def __init__(self, fields: Sequence[Field], symmetry: int) -> None:
        """Remember which fields to give.

        Args:
            fields: Achieved fields whose source is the arm.
            symmetry: Multiple of the yaw that is reported.
        """
        self.fields = tuple(field.name for field in fields)
        self._symmetry = symmetry
        self.station: Station | None = None

    def read(self) -> Mapping[str, Vector]:
        """Pose and speed of the TCP in the layout of a goal vector."""
        station = self.station
        if station is None:
            return {}
        pose, speeds = station.pose, station.state.joint_velocities
        vx, vy, vz, wx, wy, wz = (sum(j * v for j, v in zip(row, speeds, strict=True)) for row in pose.jacobian_rows)
        yaw = self._symmetry * pose.yaw
        values = {
            "achieved_position": pose.position,
            "achieved_yaw": (sin(yaw), cos(yaw)),
            "achieved_tilt": (pose.tilt,),
            "achieved_speed": (sqrt(vx * vx + vy * vy + vz * vz),),
            "achieved_spin": (hypot(wx, wy, wz),),
            "achieved_released": (1.0,),
            "achieved_reach": (0.0,),
        }
        return {name: values[name] for name in self.fields}


ARM_POSE_FIELDS = frozenset(
    f"achieved_{part}" for part in ("position", "yaw", "tilt", "speed", "spin", "released", "reach")
)


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
        spec: The policy's spec without the achieved fields that nobody here can sense.
        senses: Those given, and what the policy brings along.
        pose: The arm's own pose as achieved goal, when the task asks for it.
        taught: The taught points, when no sense gives the goal.
        unjudged: Achieved fields without a source.
    """

    spec: ObservationSpec
    senses: tuple[Sense, ...]
    pose: ArmPose | None
    taught: TaughtPoints | None
    unjudged: tuple[str, ...]


def find_sources(bundle: PolicyBundle, senses: Sequence[Sense]) -> Sources:
    """Give every field of a policy a source on this arm.

    Args:
        bundle: The policy.
        senses: What is there beside the arm.

    Raises:
        RefusedError: If a field that the policy decides by has none; the text names the field.
    """
    manifest = bundle.manifest
    spec = manifest.spec
    sensed = {name: sense for sense in senses for name in sense.fields}
    found = list(senses)

    own = [
        field
        for field in spec.achieved_goal
        if field.source == "arm" and field.name in ARM_POSE_FIELDS and field.name not in sensed
    ]
    pose = ArmPose(own, manifest.success.symmetry) if own else None
    if pose is not None:
        found.append(pose)

    taught = None
    missing = [field for field in spec.desired_goal if not _has_source(field, sensed)]
    if missing and manifest.taught_points:
        rest = [field for field in spec.desired_goal if field.name in sensed]
        if rest:
            raise RefusedError(
                f"{bundle.name}: field {missing[0].name!r} of the goal has no source, while {rest[0].name!r} has one; "
                "give a sense for all of the goal or for none of it"
            )
        taught = TaughtPoints(spec.desired_goal, manifest.taught_points)
        found.append(taught)
        missing = []
    for field in (*(f for f in spec.observation if not _has_source(f, sensed)), *missing):
        have = ", ".join(sorted(sensed)) or "none"
        raise RefusedError(
            f"{bundle.name}: field {field.name!r} has no source here (in training: {field.source!r}; "
            f"sensed fields: {have}); add a sense that gives it, `genba run ... --sense URL`"
        )
    judged = tuple(f for f in spec.achieved_goal if _has_source(f, sensed) or f in own)
    return Sources(
        spec=dataclasses.replace(spec, achieved_goal=judged),
        senses=tuple(found),
        pose=pose,
        taught=taught,
        unjudged=tuple(f.name for f in spec.achieved_goal if f not in judged),
    )


def _has_source(field: Field, sensed: Mapping[str, Sense]) -> bool:
    return field.name in sensed or is_arm_field(field.name)
