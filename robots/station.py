"""The tick: the one place where an action becomes motion and motion becomes an observation.

Simulation and bench both call `Station.tick`; what differs is the arm behind it and the senses beside it.
"""

from collections.abc import Callable, Mapping, Sequence
from math import atan2, cos, isfinite, sin
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from .arm import Arm
from .controller import ArmController
from .description import RobotDescription
from .envelope import Admitted, SafetyEnvelope
from .errors import RefusedError
from .kinematics import Kinematics
from .observation import Field, Observation, ObservationSpec
from .pose import Pose
from .recorder import Recorder, Tick
from .state import ArmState, Vector


@runtime_checkable
class Sense(Protocol):
    """Something beside the arm that measures named fields: part poses, a camera, a goal.

    `read` never waits; it gives the newest values.
    """

    @property
    def name(self) -> str:
        """Name for people and for error texts."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields it can give."""

    def read(self) -> Mapping[str, Vector]:
        """Newest value of each field."""


def arm_fields(robot: RobotDescription, *, symmetry: int = 1) -> tuple[Field, ...]:
    """What every arm can tell a policy about itself.

    Args:
        robot: The arm.
        symmetry: Multiple of the tool yaw that is reported, to be compared with a part of that symmetry.
    """
    n = len(robot.joints)
    fast = max(j.max_velocity for j in robot.joints) * 3.0 + 5.0
    return (
        Field(name="joint_positions", size=n, unit="rad", low=-7.0, high=7.0),
        Field(name="joint_velocities", size=n, unit="rad/s", low=-fast, high=fast),
        Field(name="following_error", size=n + 1, unit="rad", low=-2.0, high=2.0),
        Field(name="gripper_opening", size=1, unit="m", low=-0.05, high=0.3),
        Field(name="tcp_position", size=3, unit="m", low=-2.0, high=2.0),
        Field(name=_yaw_name(symmetry), size=2, unit="1", low=-1.0, high=1.0),
        Field(name="tcp_tilt", size=2, unit="1", low=-1.0, high=1.0),
    )


def _yaw_name(symmetry: int) -> str:
    return "tcp_yaw" if symmetry == 1 else f"tcp_yaw_x{symmetry}"


def is_arm_field(name: str) -> bool:
    """Whether every arm measures this field itself."""
    return name in _OWN or name.startswith("tcp_yaw_x")


class Station:
    """An arm with its controller, envelope and senses: everything between a policy and the world."""

    def __init__(
        self,
        *,
        arm: Arm,
        kinematics: Kinematics,
        controller: ArmController,
        envelope: SafetyEnvelope,
        spec: ObservationSpec,
        dt: float,
        senses: Sequence[Sense] = (),
        recorder: Recorder | None = None,
    ) -> None:
        """Connect the parts and check that every observation field has a source.

        Args:
            arm: Simulated or real.
            kinematics: Chain of the same robot.
            controller: Turns actions into targets.
            envelope: Turns targets into admitted commands.
            spec: What the policy sees.
            dt: Length of a tick, s.
            senses: Sources of the fields that the arm does not measure.
            recorder: Where rows go, if anywhere.

        Raises:
            RefusedError: If a field of the spec has no source; the text names it.
        """
        self.arm = arm
        self.kinematics = kinematics
        self.controller = controller
        self.envelope = envelope
        self.spec = spec
        self.dt = dt
        self.senses = tuple(senses)
        self.recorder = recorder
        self._robot = arm.robot
        wanted = [f.name for group in ("observation", "achieved_goal", "desired_goal") for f in spec.group(group)]
        self._own = [(name, self._provider(name)) for name in wanted if is_arm_field(name)]
        sensed = {field for sense in self.senses for field in sense.fields}
        for name in wanted:
            if not is_arm_field(name) and name not in sensed:
                have = ", ".join(sorted(sensed)) or "none"
                raise RefusedError(f"no sense gives the field {name!r}; fields that are sensed: {have}")

    def start(self) -> Observation:
        """Read the arm and start from where it is.

        Returns:
            The first observation.
        """
        self.state: ArmState = self.arm.read()
        self.pose: Pose = self.kinematics.forward(self.state.joint_positions)
        self.admitted: Admitted = self.envelope.reset(self.state)
        self.target: Vector = (*self.admitted.joint_positions, self.admitted.gripper)
        return self.observe()

    def tick(self, action: Sequence[float] | npt.NDArray[np.floating]) -> Observation:
        """One control step.

        Args:
            action: Values in [-1, 1], one per controller axis; larger ones are clipped.

        Returns:
            What the policy sees after `dt` seconds.

        Raises:
            RefusedError: If the action is not finite or has the wrong length; nothing has moved then.
            SafetyError: If the measurement is stale.
        """
        asked = self.clip(action)
        self.target = self.controller.target(asked, self.admitted, self.pose)
        self.admitted = self.envelope.admit(self.target, self.state, self.pose, self.dt)
        self.arm.write(self.admitted)
        self.arm.advance(self.dt)
        self.state = self.arm.read()
        self.pose = self.kinematics.forward(self.state.joint_positions)
        observation = self.observe()
        if self.recorder is not None:
            self.recorder.add(
                Tick(
                    stamp=self.state.stamp,
                    action=asked,
                    target=self.target,
                    admitted=(*self.admitted.joint_positions, self.admitted.gripper),
                    reasons=self.admitted.reasons,
                    state=self.state,
                    observation=observation,
                )
            )
        return observation

    def clip(self, action: Sequence[float] | npt.NDArray[np.floating]) -> Vector:
        """Check an action and bring it into [-1, 1].

        Raises:
            RefusedError: If it has the wrong length or is not finite.
        """
        values: list[float] = action.tolist() if isinstance(action, np.ndarray) else list(action)
        size = self.controller.action_size
        if len(values) != size or (isinstance(action, np.ndarray) and action.ndim != 1):
            shape = action.shape if isinstance(action, np.ndarray) else (len(values),)
            raise RefusedError(f"action has shape {shape}; {self.controller.mode} needs ({size},)")
        clipped = tuple([-1.0 if a < -1.0 else 1.0 if a > 1.0 else a for a in values])
        if not isfinite(sum(values)):
            raise RefusedError(f"action {values} is not finite; nothing was moved")
        return clipped

    def observe(self) -> Observation:
        """Gather all fields of the present moment and pack them."""
        values: dict[str, Vector] = {name: give() for name, give in self._own}
        for sense in self.senses:
            values.update(sense.read())
        self.values = values
        return self.spec.pack(values)

    def _provider(self, name: str) -> Callable[[], Vector]:
        if name.startswith("tcp_yaw"):
            symmetry = int(name.removeprefix("tcp_yaw_x")) if name != "tcp_yaw" else 1

            def yaw() -> Vector:
                x, y, _ = self.pose.x_axis
                angle = symmetry * atan2(y, x)
                return sin(angle), cos(angle)

            return yaw
        robot = self._robot

        def following_error() -> Vector:
            joints = zip(self.admitted.joint_positions, self.state.joint_positions, strict=True)
            return (*[a - q for a, q in joints], self.admitted.gripper - self.state.gripper)

        def tcp_following_error() -> Vector:
            joints = zip(self.admitted.joint_positions, self.state.joint_positions, strict=True)
            errors = [a - q for a, q in joints]
            return tuple(
                [sum([j * e for j, e in zip(row, errors, strict=True)]) for row in self.pose.jacobian_rows[:3]]
            )

        return {
            "joint_positions": lambda: self.state.joint_positions,
            "joint_velocities": lambda: self.state.joint_velocities,
            "following_error": following_error,
            "tcp_following_error": tcp_following_error,
            "gripper_opening": lambda: (robot.opening(self.state.gripper),),
            "tcp_position": lambda: self.pose.position,
            "tcp_tilt": lambda: (self.pose.z_axis[0], self.pose.z_axis[1]),
        }[name]


_OWN = frozenset(
    {
        "joint_positions",
        "joint_velocities",
        "following_error",
        "tcp_following_error",
        "gripper_opening",
        "tcp_position",
        "tcp_yaw",
        "tcp_tilt",
    }
)
