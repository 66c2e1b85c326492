"""An arm as data: what one TOML beside its URDF says (`catalogue.py` reads it)."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from .assets import asset_root
from .servo import Drive
from .state import Vector
from .urdf import read_urdf


@dataclass(frozen=True, kw_only=True)
class Joint:
    """One driven joint of the arm; SI units.

    Attributes:
        name: Joint name in the URDF and in every bundle.
        actuator_id: Id of its servo on the bus.
        lower: Soft lower limit, rad.
        upper: Soft upper limit, rad.
        max_velocity: Largest speed the envelope admits, rad/s.
        max_acceleration: Largest acceleration the envelope admits, rad/s2.
        drive: Key of the drive in the `[drives]` table.
        home: Position from which episodes start, rad.
        park: Position in which the arm may be released, rad.
        shadow_ids: Ids of further servos on the same shaft, mounted the other way round: they obey what is written to
            `actuator_id`, but answer to their own id only. The drive's torque is that of all of them.
        reversed: Whether the servo is mounted so that it must count the other way round.
    """

    name: str
    actuator_id: int
    lower: float
    upper: float
    max_velocity: float
    max_acceleration: float
    drive: str
    home: float
    park: float
    shadow_ids: tuple[int, ...] = ()
    reversed: bool = False


@dataclass(frozen=True, kw_only=True)
class Passive:
    """A joint without a motor: rods and levers make it follow the driven ones.

    Attributes:
        name: Joint name in the URDF.
        offset: Its position while all driven joints are at 0, rad.
        coefficients: By how much it turns with each driven joint, in order of `joints`.
    """

    name: str
    offset: float = 0.0
    coefficients: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Linkage:
    """A limit on several joints together, beyond which the rods between them jam.

    Attributes:
        name: What it is, for people.
        coefficients: Weight of each driven joint, in order of `joints`.
        lower: Least weighted sum of their positions, rad.
        upper: Largest.
    """

    name: str
    coefficients: tuple[float, ...]
    lower: float
    upper: float


@dataclass(frozen=True, kw_only=True)
class Gripper:
    """The gripper as one more driven joint, with the map from joint position to free opening.

    Attributes:
        joint: Joint name in the URDF.
        actuator_id: Id of its servo on the bus.
        closed: Position with the fingers shut: of the joint, or of the drive where a crank slides the fingers; rad,
            or m for fingers that the drive moves straight.
        open: The same with the fingers wide open.
        max_velocity: Largest admitted speed, rad/s or m/s.
        max_acceleration: Largest admitted acceleration, rad/s2 or m/s2.
        drive: Key of its drive.
        home: Position from which episodes start.
        followers: URDF joints that mirror this one (a second finger).
        opening: Free opening between the finger pads in m at evenly spaced positions from `closed` to `open`.
        slide: Position in m of each sliding finger's joint at the same positions, where a crank turns the drive's angle
            into a way; empty where the joint moves as the drive does.
        finger_links: URDF links whose contact with a part is a grasp.
        max_force: Torque or force limit set in the gripper's drive, N m or N.
        travel_time: Time in s that fingers which are only switched open or shut, and tell nothing, take end to end:
            their position is then what this time says, not what they do. 0 for fingers that are driven and measured.
        approach: How far the part must lie along the TCP's +x while the gripper is open, m, so that a finger that
            does not move clears it; 0 where both fingers close.
        squeeze: Following error of the closing gripper beyond which a part between the fingers is held, rad or m.
    """

    joint: str
    actuator_id: int
    closed: float
    open: float
    max_velocity: float
    max_acceleration: float
    drive: str
    home: float
    followers: tuple[str, ...] = ()
    opening: tuple[float, ...]
    slide: tuple[float, ...] = ()
    finger_links: tuple[str, ...]
    max_force: float
    squeeze: float
    travel_time: float = 0.0
    approach: float = 0.0

    def joint_at(self, position: float) -> float:
        """Position of its URDF joint, rad or m, at a position of the gripper."""
        if not self.slide:
            return position
        return float(np.interp(position, np.linspace(self.closed, self.open, len(self.slide)), self.slide))

    def turned(self, joint: float) -> float:
        """Position of the gripper at a position of its URDF joint."""
        if not self.slide:
            return joint
        return float(np.interp(joint, self.slide, np.linspace(self.closed, self.open, len(self.slide))))


@dataclass(frozen=True, kw_only=True)
class Bus:
    """How the arm is wired.

    Attributes:
        protocol: Name of the file in `drivers/protocols/`.
        baud_rate: Bits per second.
        model_number: What every servo must answer when asked for its model; 0 where a controller hides its motors.
        zeros: What a controller that plans by itself counts for each joint that stands at 0 here, rad; empty for
            servos, whose calibration says it.
    """

    protocol: str
    baud_rate: int
    model_number: int = 0
    zeros: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the safety envelope keeps, beside each joint's own range.

    Attributes:
        tcp_speed: Largest speed of the TCP, m/s. 0.25 is the reduced manual speed of ISO 10218.
        workspace_lower: Lower corner of the box the TCP must stay in, m, base frame.
        workspace_upper: Upper corner.
        stale_after: Age of a measurement beyond which no motion is admitted, s.
        look_ahead: Largest distance between goal and measurement, rad, per joint and gripper in order.
    """

    tcp_speed: float = 0.25
    workspace_lower: tuple[float, float, float]
    workspace_upper: tuple[float, float, float]
    stale_after: float = 0.1
    look_ahead: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Where a tool held vertically can work, as a cylinder sector around the base axis.

    Attributes:
        axis: x, y of the vertical axis the sector turns about, m.
        radius: Nearest and farthest distance from that axis, m.
        azimuth: Angles about z, rad, 0 along +x.
        height: Lowest and highest TCP, m.
        yaw: Tool yaw relative to the azimuth, rad.
    """

    axis: tuple[float, float]
    radius: tuple[float, float]
    azimuth: tuple[float, float]
    height: tuple[float, float]
    yaw: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Delays between decision and motion, and between motion and knowledge.

    Attributes:
        action_latency: From the command to the moment the drives follow it, s.
        observation_latency: Age of joint measurements when they are read, s.
    """

    action_latency: float = 0.0
    observation_latency: float = 0.0


@dataclass(frozen=True, kw_only=True)
class RobotDescription:
    """Everything genba knows of one arm model.

    Attributes:
        name: Catalogue name.
        title: Name for people.
        urdf: URDF file, relative to `sim_assets/`, or to the TOML's own folder where a plug-in brings both.
        tolerance: Default tolerance class of tasks: "servo", "lab" or "industrial".
        control_rate_hz: Default rate of the tick; divides 240.
        joint_step: Full-scale change of a joint target in one tick of `joint_delta`, rad.
        ee_step: Full-scale TCP translation in one tick of `ee_delta`, m.
        ee_turn: Full-scale TCP yaw in one tick of `ee_delta`, rad.
        tcp_link: Link whose frame is the tool centre point; its +z axis points out of the tool.
        base_link: Root link.
        joints: Arm joints, base to tip.
        passive: Joints that follow the driven ones by linkages.
        linkages: Limits that linkages set to several joints together.
        gripper: The gripper.
        bus: The wire, for arms that genba drives.
        limits: The envelope.
        reach: Where tasks place things.
        timing: Delays.
        drives: Drive constants by key.
    """

    name: str
    title: str
    urdf: str
    tolerance: str
    control_rate_hz: int
    joint_step: float
    ee_step: float
    ee_turn: float
    tcp_link: str
    base_link: str
    joints: tuple[Joint, ...]
    passive: tuple[Passive, ...] = ()
    linkages: tuple[Linkage, ...] = ()
    gripper: Gripper
    bus: Bus | None = None
    limits: Limits
    reach: Reach
    timing: Timing = field(default_factory=Timing)
    drives: dict[str, Drive]
    source: Path = field(default=Path(), repr=False, compare=False)

    @cached_property
    def urdf_path(self) -> Path:
        """The URDF on disk."""
        beside = self.source.parent / self.urdf
        ours = asset_root() / self.urdf
        return beside if self.source.name and not ours.is_file() and beside.is_file() else ours

    @cached_property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the arm joints, gripper excluded."""
        return tuple(j.name for j in self.joints)

    @cached_property
    def actuator_names(self) -> tuple[str, ...]:
        """Arm joints and then the gripper joint: the order of every target vector."""
        return (*self.joint_names, self.gripper.joint)

    @cached_property
    def actuator_ids(self) -> tuple[int, ...]:
        """Bus ids in the same order."""
        return (*(j.actuator_id for j in self.joints), self.gripper.actuator_id)

    @cached_property
    def shadow_ids(self) -> dict[int, int]:
        """The actuator id that each shadow servo obeys, by the shadow's own id."""
        return {shadow: j.actuator_id for j in self.joints for shadow in j.shadow_ids}

    @cached_property
    def servo_names(self) -> dict[int, str]:
        """What each servo on the bus moves, by id, in the order in which they hang on the wire."""
        names = dict(zip(self.actuator_ids, self.actuator_names, strict=True))
        for joint in self.joints:
            for k, shadow in enumerate(joint.shadow_ids):
                names[shadow] = f"{joint.name}_shadow{k + 1 if k else ''}"
        return dict(sorted(names.items(), key=lambda item: self._wire_order(item[0])))

    def _wire_order(self, servo_id: int) -> tuple[int, int]:
        """A shadow hangs right behind the servo that it obeys."""
        owner = self.shadow_ids.get(servo_id, servo_id)
        return self.actuator_ids.index(owner), int(owner != servo_id)

    @cached_property
    def actuator_drives(self) -> tuple[Drive, ...]:
        """Drives in the same order."""
        return (*(self.drives[j.drive] for j in self.joints), self.drives[self.gripper.drive])

    @cached_property
    def gripper_unit(self) -> str:
        """In which the gripper's position is measured: "m" where the drive moves the fingers straight, else "rad"."""
        kinds = {joint.name: joint.kind for joint in read_urdf(self.urdf_path).values()}
        return "m" if kinds.get(self.gripper.joint) == "prismatic" and not self.gripper.slide else "rad"

    @cached_property
    def home(self) -> Vector:
        """Home position of the arm joints, rad."""
        return tuple(j.home for j in self.joints)

    @cached_property
    def park(self) -> Vector:
        """Park position of the arm joints, rad."""
        return tuple(j.park for j in self.joints)

    @cached_property
    def hash(self) -> str:
        """SHA-256 over the TOML and the URDF, which a policy bundle remembers."""
        digest = hashlib.sha256()
        for path in (self.source, self.urdf_path):
            digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
        return digest.hexdigest()

    def opening(self, gripper: float) -> float:
        """Free opening between the finger pads in m at a gripper position."""
        g = self.gripper
        span = (gripper - g.closed) / (g.open - g.closed) * (len(g.opening) - 1)
        i = min(max(int(span), 0), len(g.opening) - 2)
        f = min(max(span - i, 0.0), 1.0)
        return g.opening[i] + f * (g.opening[i + 1] - g.opening[i])

    def gripper_at(self, opening: float) -> float:
        """Gripper position at which the pads are `opening` m apart."""
        g = self.gripper
        grid = np.linspace(g.closed, g.open, len(g.opening))
        return float(np.interp(opening, g.opening, grid))
