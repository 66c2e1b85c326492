"""From the travel of each joint and one known pose to a calibration, and to what the servos must hold for it.

    sign   by the pose: it lies off the middle of the travel, on one side or the other
    zero   by the travel: its middle is the middle of the described range; where a joint has no ends, by the pose
    seam   where the count wraps: if it lies in the travel, the servo's own offset moves it half a turn away

The offset is the only thing that calibrating writes, and only where the seam or an angle limit is in the way.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import ceil, floor

from ..robots.description import RobotDescription
from ..robots.errors import BusError, RefusedError
from .bus import ActuatorBus
from .calibration import FORMAT_VERSION, TWO_PI, ActuatorCalibration, Calibration, read_offset
from .wired import models_of

UNSURE = 0.3  # rad of difference between the two signs' fit below which the design decides
BAD_POSE = 0.8  # rad, both ends together, beyond which the arm is not in that pose
ENDLESS = 0.97  # share of a turn from which a joint counts as one without ends
SEAM_MARGIN = 24  # ticks that the seam must stay away from the travel
READ_BACK = 8  # ticks by which a joint may be moved while its offset is written
LIMITS = (("min_angle", "max_angle"), ("min_position", "max_position"))  # what protocols call them
MAX_OFFSET = 2047  # ticks; more is coded in a way that other tools do not read


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One EEPROM register that must hold something else.

    Attributes:
        joint: Joint of the servo.
        actuator_id: Its id.
        register: Name in the protocol's table.
        now: What it holds.
        becomes: What it must hold.
        why: The reason, for people.
    """

    joint: str
    actuator_id: int
    register: str
    now: int
    becomes: int
    why: str

    def to_json(self) -> dict[str, object]:
        """Plain values by name."""
        return asdict(self)

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.joint} (id {self.actuator_id}): {self.register} {self.now} -> {self.becomes}, {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A calibration and what it rests on.

    Attributes:
        calibration: For the servos as they will be after `changes`.
        changes: The EEPROM diff.
        pose_error: By joint, how far the pose was from where the travel says it is, rad.
        unsure: Joints whose sense of turning the pose does not tell; they turn as designed.
    """

    calibration: Calibration
    changes: tuple[Change, ...]
    pose_error: dict[str, float]
    unsure: tuple[str, ...]


def fit(
    robot: RobotDescription,
    bus: ActuatorBus,
    *,
    unit: str,
    lowest: Sequence[int],
    highest: Sequence[int],
    posed: Sequence[int],
    pose: Sequence[float],
) -> Fit:
    """Work out a calibration; nothing is written.

    Args:
        robot: The arm.
        bus: Its bus, for what the servos hold now.
        unit: Key of the unit.
        lowest: Unwrapped count of each joint at one end of its travel, gripper last.
        highest: At the other end.
        posed: In the pose.
        pose: The pose, rad.

    Raises:
        RefusedError: If a joint's travel or pose does not fit the arm; the text names it.
    """
    g = robot.gripper
    ranges = [*((j.lower, j.upper) for j in robot.joints), (min(g.closed, g.open), max(g.closed, g.open))]
    rows: list[ActuatorCalibration] = []
    changes: list[Change] = []
    errors: dict[str, float] = {}
    unsure: list[str] = []
    for k, (i, name, drive) in enumerate(
        zip(robot.actuator_ids, robot.actuator_names, robot.actuator_drives, strict=True)
    ):
        turn = drive.ticks_per_turn
        scale = TWO_PI / turn
        low, high, at = lowest[k], highest[k], posed[k]
        (lower, upper), angle = ranges[k], pose[k]
        travel = (high - low) * scale
        endless = high - low >= ENDLESS * turn
        if high - low >= turn - 2 * SEAM_MARGIN and not endless:
            raise RefusedError(f"{name} (id {i}) was moved by {travel:.2f} rad, more than its servo's turn")
        sign, sure = (1, False) if endless else _sign(name, i, (low, high, at), (lower, upper, angle), scale)
        if not sure:
            unsure.append(name)
        middle = 0.5 * (low + high)
        zero = at - sign * angle / scale if endless else middle - sign * 0.5 * (lower + upper) / scale
        errors[name] = sign * (at - zero) * scale - angle
        if endless:
            middle = zero + sign * 0.5 * (lower + upper) / scale
        ends = sorted((zero + sign * lower / scale, zero + sign * upper / scale))
        first, last = (ends[0], ends[1]) if endless else (max(ends[0], low), min(ends[1], high))
        shift, own = _seam(bus, name, i, first, last, middle, turn)
        changes += own
        first, last, zero = first + shift, last + shift, zero + shift
        row = ActuatorCalibration(
            actuator_id=i,
            joint=name,
            zero_ticks=zero,
            sign=sign,
            lower_ticks=ceil(first),
            upper_ticks=floor(last),
            ticks_per_turn=turn,
            model_number=models_of(robot)[i],
            offset_ticks=own[0].becomes if own else read_offset(bus, i),
        )
        changes += _limits(bus, row)
        rows.append(row)
    calibration = Calibration(
        format_version=FORMAT_VERSION,
        robot=robot.name,
        unit=unit,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        actuators=tuple(rows),
    )
    return Fit(calibration=calibration, changes=tuple(changes), pose_error=errors, unsure=tuple(unsure))


def _sign(
    name: str, actuator_id: int, ticks: tuple[int, int, int], angles: tuple[float, float, float], scale: float
) -> tuple[int, bool]:
    """Sense of turning, and whether the pose tells it."""
    low, high, at = ticks
    lower, upper, angle = angles
    down, up = (at - low) * scale, (high - at) * scale
    plus = abs(down - (angle - lower)) + abs(up - (upper - angle))
    minus = abs(up - (angle - lower)) + abs(down - (upper - angle))
    if min(plus, minus) > BAD_POSE:
        raise RefusedError(
            f"{name} (id {actuator_id}) does not stand as the pose says: it is {down:.2f} and {up:.2f} rad from its "
            f"ends, the pose is {angle - lower:.2f} and {upper - angle:.2f}: put it right, then calibrate again"
        )
    if abs(plus - minus) < UNSURE:
        return 1, False
    return (1 if plus < minus else -1), True


def _seam(
    bus: ActuatorBus, name: str, actuator_id: int, first: float, last: float, middle: float, turn: int
) -> tuple[int, list[Change]]:
    """How far the counts must shift so that a travel lies within one turn, and the offset that does it."""
    whole = -floor(first / turn) * turn  # the unwrapped counts started somewhere
    if first + whole >= SEAM_MARGIN and last + whole <= turn - 1 - SEAM_MARGIN:
        return whole, []
    if last - first > turn - 1 - 2 * SEAM_MARGIN:
        raise RefusedError(f"{name} (id {actuator_id}): its travel leaves no room for the wrap of the count")
    shift = turn // 2 - round(middle)
    register, sign = bus.framing.offset_register, bus.framing.offset_sign
    if register is None or not sign:
        raise RefusedError(
            f"{name} (id {actuator_id}): its count wraps within its travel, and no register of this servo mends that: "
            "mount its horn half a turn round"
        )
    now = bus.read(actuator_id, register)
    wanted = (now + sign * shift + turn // 2) % turn - turn // 2
    wanted = min(max(wanted, -MAX_OFFSET), MAX_OFFSET)
    shift += (sign * (wanted - now) - shift + turn // 2) % turn - turn // 2
    change = Change(
        joint=name,
        actuator_id=actuator_id,
        register=register,
        now=now,
        becomes=wanted,
        why="so that the count does not wrap within the travel",
    )
    return shift, [change]


def _limits(bus: ActuatorBus, row: ActuatorCalibration) -> list[Change]:
    """Angle limits in the servo that would cut the travel off."""
    table = bus.table(row.actuator_id)
    for low_name, high_name in LIMITS:
        if low_name in table:
            low, high = bus.read(row.actuator_id, low_name), bus.read(row.actuator_id, high_name)
            if low == high == 0 or (low <= row.lower_ticks and row.upper_ticks <= high):
                return []
            why = "so that the servo's own limits do not cut the travel off"
            top = min(row.ticks_per_turn - 1, table[high_name].upper)
            wanted = {low_name: (low, 0), high_name: (high, top)}
            return [
                Change(joint=row.joint, actuator_id=row.actuator_id, register=name, now=now, becomes=becomes, why=why)
                for name, (now, becomes) in wanted.items()
                if now != becomes
            ]
    return []


def write(bus: ActuatorBus, fitted: Fit) -> None:
    """Write the EEPROM diff, servo by servo, and see that every count has moved as it must.

    Args:
        bus: The arm's bus, without torque.
        fitted: From `fit`.

    Raises:
        BusError: If a register or a count does not read back.
    """
    for change in fitted.changes:
        i = change.actuator_id
        turn = next(a.ticks_per_turn for a in fitted.calibration.actuators if a.actuator_id == i)
        before = bus.read(i, "present_position")
        locked = "lock" in bus.table(i)
        if locked:
            bus.write(i, "lock", 0)
        try:
            bus.write(i, change.register, change.becomes)
        finally:
            if locked:
                bus.write(i, "lock", 1)
        if change.register == bus.framing.offset_register:
            moved = bus.framing.offset_sign * (change.becomes - change.now)
            after = bus.read(i, "present_position")
            if abs((after - before - moved + turn // 2) % turn - turn // 2) > READ_BACK:
                raise BusError(
                    f"{change.joint} (id {i}): its count went from {before} to {after} under the new offset, expected "
                    f"{(before + moved) % turn}: hold the arm still, then calibrate again"
                )
