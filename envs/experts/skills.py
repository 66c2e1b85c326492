"""What scripted experts are made of: taking a part and setting it down, as a function of the present observation.

Approach, close, carry, set down, open, retreat: each is a region of what is observed, none a memory, so that the
expert can label any state a learner gets into. Everything works on batches.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from ...robots.catalogue import load_robot
from ...robots.description import RobotDescription
from ...robots.kinematics import Kinematics

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

HOVER = 0.022  # m above a part at which the open gripper travels where nothing stands in the way
CARRY = 0.026  # m above its seat at which a part travels where nothing stands in the way
PRESS_BY = 0.003  # m below where it is that a part is sent which is pressed down
PUSH_BY = 0.005  # m below where it is that a hand is sent which pushes on a part
UNTOLD_NEAR = 0.025  # m from the tool within which fingers that tell nothing may hold a part
TRAVEL_BY = 0.006  # m by which fingers that tell nothing must seem to have gone beyond a part's width to hold it
LETTING_GO = 0.006  # m by which fingers are wider than a part that they let go of
CLOSE_BY = 0.008  # m by which fingers that hold a part may seem closer than the part is wide


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """How parts are handled in one task.

    Attributes:
        grip_above: Height above the part's centre at which it is gripped, m.
        open_by: How much wider than the part the fingers are when approaching, m.
        release_by: The same when letting go, m.
        gain: Share of the remaining way asked for in one tick.
        travel: Least height of the TCP above the table while it crosses the cell with empty fingers, m; 0 where
            nothing stands in the way.
        lift: Least height of a carried part's centre above the table while it crosses the cell, m.
        retreat: How far above the seat the hand goes after letting go, m.
        seat_within: How far below or above its seat a part may be to be let go, m.
        grip_within: How far from the height at which it is gripped the hand may be to close, m.
        near: How far from the tool a part that is held may seem, m; a reading of a part that moves is old, and at
            full speed on two axes 35 mm behind.
        aim: How far beside its seat a part that is let down may be, m.
        funnel: Height at which it waits per length by which it is farther off.
        press: How far below the tool its target must be pushed for a part to count as down, m: it stands on the floor
            of its place then, and not on the rim; 0 to go by the part's reading alone. Needs `tcp_following_error`;
            hobby servos cannot tell.
            Where a task tells what is seated, what was let go of and is not, is pushed down with shut fingers.
        mouth: Height above its seat below which the walls of its place lead a part and the hand only presses, m.
        slip: How far off the middle of the tool a held part is believed to sit, m.
        regrip: Turn between the fingers beyond which a part at its seat is let go and gripped anew, rad; 0 for never.
    """

    grip_above: float = 0.005
    open_by: float = 0.018
    release_by: float = 0.024
    gain: float = 0.18
    travel: float = 0.0
    lift: float = 0.0
    retreat: float = 0.045
    seat_within: float = 0.0035
    grip_within: float = 0.006
    slack: float = 0.5
    near: float = 0.045
    slip: float = 0.004
    aim: float = 0.004
    funnel: float = 2.0
    press: float = 0.0
    mouth: float = 0.0
    regrip: float = 0.0
    meet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grip:
    """Where the hand stands to a part.

    Attributes:
        along: Offset of the part along the closing direction, m.
        across: Offset across it, m.
        above: Height of the tool above the height at which the part is gripped, m.
        turn: Turn that would line the fingers up with the part, rad.
        held: Whether the part is between closed fingers.
        between: Whether it is between open fingers, ready to be gripped.
    """

    along: Floats
    across: Floats
    above: Floats
    turn: Floats
    held: Bools
    between: Bools


def angle_between(a: Floats, b: Floats) -> Floats:
    """Angle from b to a in rad, (batch, 1), of two (sin, cos) columns."""
    sine = a[:, 0:1] * b[:, 1:2] - a[:, 1:2] * b[:, 0:1]
    cosine = a[:, 1:2] * b[:, 1:2] + a[:, 0:1] * b[:, 0:1]
    result: Floats = np.arctan2(sine, cosine)
    return result


def grip_action(robot: RobotDescription, opening: Floats | float) -> Floats:
    """Gripper action that asks for an opening in m."""
    g = robot.gripper
    at = np.interp(opening, g.opening, np.linspace(g.closed, g.open, len(g.opening)))
    return np.asarray(2.0 * (at - g.closed) / (g.open - g.closed) - 1.0)


def sent_opening(robot: RobotDescription, fields: Mapping[str, Floats]) -> Floats:
    """Opening that the fingers are on their way to, m, (batch,)."""
    g = robot.gripper
    along = np.linspace(g.closed, g.open, len(g.opening))
    at = np.interp(fields["gripper_opening"][:, 0], g.opening, along) + fields["following_error"][:, -1]
    return np.interp(at, along, g.opening)


def tool_axes(tool_yaw: Floats) -> tuple[Floats, Floats]:
    """Closing direction and the one across it, (batch, 3) each, of a vertical tool of (sin, cos) yaw."""
    zero = np.zeros(len(tool_yaw))
    closing = np.stack([tool_yaw[:, 1], tool_yaw[:, 0], zero], axis=1)
    across = np.stack([-tool_yaw[:, 0], tool_yaw[:, 1], zero], axis=1)
    return closing, across


@cache
def _home_yaw(name: str) -> float:
    """Yaw of an arm's tool at home relative to the azimuth of the tool, rad."""
    robot = load_robot(name)
    pose = Kinematics(robot).forward(robot.home)
    x, y, _ = pose.position
    return pose.yaw - float(np.arctan2(y - robot.reach.axis[1], x - robot.reach.axis[0]))


def turn_to(
    robot: RobotDescription,
    fields: Mapping[str, Floats],
    wanted: Floats,
    symmetry: int,
    slack: float = 0.5,
    at: Floats | None = None,
) -> Floats:
    """Shortest turn of the tool to a symmetric yaw that does not wind up the wrist, rad, (batch,).

    Of the directions that look alike the nearest would do once; part after part it would turn the wrist to its stop.
    So directions are left out that would be too far from the one in which the tool points at home, seen from the base
    where the turn is wanted: a choice made where the tool is now would change on the way, and the turn with it.

    Args:
        robot: The arm.
        fields: `tcp_position` and `tcp_yaw`.
        wanted: (sin, cos) of the multiple of the yaw, (batch, 2).
        symmetry: That multiple.
        slack: By how much a direction may be farther from home than the nearest of those that look alike, rad: little
            where neighbours leave room for the fingers on two sides only, much where any side will do.
        at: Where the tool will point there, m, (batch, 3); where it is if not given.
    """
    place, axis = fields["tcp_position"] if at is None else at, robot.reach.axis
    azimuth = np.arctan2(place[:, 1] - axis[1], place[:, 0] - axis[0])
    yaw = np.arctan2(fields["tcp_yaw"][:, 0], fields["tcp_yaw"][:, 1])
    away = _wrap(yaw - azimuth - _home_yaw(robot.name))
    turns = (np.arctan2(wanted[:, 0], wanted[:, 1]) / symmetry - yaw)[:, None]
    turns = _wrap(turns + 2.0 * np.pi / symmetry * np.arange(symmetry)[None])
    wound = np.abs(away[:, None] + turns) > np.pi / symmetry + slack
    best = np.argmin(np.abs(turns) + 10.0 * wound, axis=1)
    chosen: Floats = turns[np.arange(len(turns)), best]
    return chosen


def _wrap(angle: Floats) -> Floats:
    wrapped: Floats = (angle + np.pi) % (2.0 * np.pi) - np.pi
    return wrapped


def look(
    robot: RobotDescription, fields: Mapping[str, Floats], *, width: Floats, symmetry: int, handling: Handling
) -> Grip:
    """Relate hand and part.

    Args:
        robot: The arm.
        fields: `tcp_position`, `tcp_yaw`, `gripper_opening`, `following_error`, `part_position`, `part_yaw`.
        width: Of the part where it is gripped, m, (batch,).
        symmetry: Number of yaw turns under which the part looks the same.
        handling: How the part is gripped.
    """
    tcp, part = fields["tcp_position"], fields["part_position"]
    opening = fields["gripper_opening"][:, 0]
    closing, sideways = tool_axes(fields["tcp_yaw"])
    offset = part - tcp
    along, across = np.sum(offset * closing, axis=1), np.sum(offset * sideways, axis=1)
    above = -offset[:, 2] - handling.grip_above
    turn = turn_to(robot, fields, fields["part_yaw"], symmetry, handling.slack, part)
    distance = np.linalg.norm(offset, axis=1)
    if robot.gripper.travel_time:
        # They tell nothing: once they have had the time to reach it, a part so near that follows the hand is held.
        held = (distance < min(handling.near, UNTOLD_NEAR)) & (opening < width - TRAVEL_BY)
    else:
        firm = fields["following_error"][:, -1] < -robot.gripper.squeeze
        held = (distance < handling.near) & firm & (opening < width + 0.005) & (opening > width - CLOSE_BY)
    between = (
        (along > -0.006)
        & (along < robot.gripper.approach + 0.006)
        & (np.abs(across) < 0.006)
        & (np.abs(above) < handling.grip_within)
        & (np.abs(turn) < 0.12)
    )
    return Grip(along=along, across=across, above=above, turn=turn, held=held, between=between)


def transfer(
    robot: RobotDescription,
    fields: Mapping[str, Floats],
    *,
    width: Floats,
    symmetry: int,
    position_tolerance: Floats | float,
    angle_tolerance: Floats | float,
    handling: Handling,
    let_be: Bools | None = None,
) -> Floats:
    """Take a part and set it into its seat.

    Args:
        robot: The arm.
        fields: What `look` needs, `seat_position` of the part's centre and `seat_yaw`.
        width: Of the part where it is gripped, m, (batch,).
        symmetry: Number of yaw turns under which the part looks the same.
        position_tolerance: Within which of its seat a part counts as placed, m.
        angle_tolerance: The same for its yaw, rad.
        handling: How the part is handled.
        let_be: Where the part must not be touched whatever it looks like: there the hand opens and retreats.

    Returns:
        Actions (batch, 5) of `ee_delta` with gripper, within [-1, 1].
    """
    h = handling
    tcp, part, seat = fields["tcp_position"], fields["part_position"], fields["seat_position"]
    opening = fields["gripper_opening"][:, 0]
    closing, _ = tool_axes(fields["tcp_yaw"])
    grip = look(robot, fields, width=width, symmetry=symmetry, handling=h)
    # A part may lie askew between the fingers: it is the part that must come to lie straight, not the hand.
    turn_seat = turn_to(robot, fields, fields["seat_yaw"], symmetry, h.slack, seat) - np.clip(grip.turn, -0.3, 0.3)

    to_seat = seat - part
    off = np.hypot(to_seat[:, 0], to_seat[:, 1])
    twisted = np.abs(angle_between(fields["seat_yaw"], fields["part_yaw"])[:, 0]) / symmetry
    # Fingers that open around a part near its seat are letting it go: judge it less strictly then, and from the tick
    # on at which they were told to, or what a reading is unsure of shuts them again.
    share = np.where(np.maximum(opening, sent_opening(robot, fields)) > width + LETTING_GO, 0.85, 0.6)
    near_seat = (off < share * position_tolerance) & (twisted < share * angle_tolerance)
    placed = near_seat & (np.abs(to_seat[:, 2]) < h.seat_within)
    presses = h.press > 0.0 and robot.tolerance != "servo"  # hobby servos sag by more than they could tell
    at_seat = placed
    pressed = fields["tcp_following_error"][:, 2] < -h.press if h.press else np.zeros(len(off), bool)
    if presses:
        placed = at_seat & (pressed | ~grip.held)
    # What was let go of over its seat and does not count, lies askew there: push it down with the fingers shut. The
    # hand shuts when it has come away from the part and opens again when it has pushed.
    lost, shut = np.zeros(len(off), bool), opening < width - CLOSE_BY
    if let_be is not None and h.press:
        lost = ~let_be & (off < 0.006) & (np.abs(to_seat[:, 2]) < 0.008) & (twisted < angle_tolerance)
        placed |= lost & shut
    if let_be is not None:
        placed |= let_be
    held = grip.held & ~placed
    askew = _askew(grip, to_seat, off, opening - width, h) & ~placed
    held &= ~askew

    # Approach with open fingers: a funnel that lets the tool down only when it stands over the part.
    way = part - closing * robot.gripper.approach - tcp
    side = np.hypot(way[:, 0], way[:, 1])
    top = np.maximum(HOVER, h.travel - part[:, 2] - h.grip_above)
    hover = np.clip(3.0 * (side - 0.004) + 0.15 * np.abs(grip.turn), 0.0, top)
    if h.press:
        hover = np.maximum(hover, np.where(opening < width + 0.004, HOVER, 0.0))  # they would jam on the part
    height = part[:, 2] + h.grip_above + hover
    if h.travel:
        height = np.minimum(height, h.travel + 0.012)  # a part that sticks to the hand would rise with it for ever
    low = height - tcp[:, 2]
    if h.travel:
        way[:, :2] *= np.where(side > 0.012, np.clip(1.0 - (low - 0.008) / 0.012, 0.0, 1.0), 1.0)[:, None]
    way[:, 2] = low
    turn = grip.turn
    action_grip = grip_action(robot, width + h.open_by)

    # Close where the part is between the fingers.
    close = grip.between & ~placed
    if h.regrip:
        # Fingers that squeeze and do not get there hold a tilted part, or something beside it: up, and once more.
        jammed = close & (fields["following_error"][:, -1] < -robot.gripper.squeeze) & (opening > width + 0.005)
        way[jammed, 2] = np.where(tcp[jammed, 2] < max(h.travel, HOVER), HOVER, 0.0)
        close &= ~jammed
    way[close] = 0.0
    if h.meet and robot.gripper.approach > 0.0:
        # One jaw would push the part over to the other finger, and tip it: that finger goes to meet it.
        wide = close & (opening > width + 0.004)
        way[wide] = closing[wide] * (grip.along[wide] - 0.0005)[:, None]
        way[wide, 2] = -grip.above[wide]
    turn = np.where(close, 0.0, turn)
    action_grip = np.where(close | held, -1.0, action_grip)
    way[askew] = 0.0
    turn = np.where(askew, 0.0, turn)

    # Carry: lift, travel, let down over the seat. The part's reading is old, so trust the tool while moving.
    high = h.grip_within + 0.001
    slip = np.clip(part - tcp, (-h.slip, -h.slip, -h.grip_above - high), (h.slip, h.slip, -h.grip_above + high))
    carry = seat - tcp - slip
    far = np.hypot(carry[:, 0], carry[:, 1])
    highest = np.maximum(CARRY, h.lift - seat[:, 2])
    lift = np.clip(h.funnel * (far - h.aim) + 0.10 * np.abs(turn_seat), 0.0, highest)
    carry[:, 2] = seat[:, 2] + lift - slip[:, 2] - tcp[:, 2]
    if presses:
        carry[(to_seat[:, 2] > -h.mouth) & (off < 0.004), 2] = -PRESS_BY
    needed = np.where(lift < highest, 0.0, highest - 0.014) if h.lift else 0.0
    clear = np.clip((tcp[:, 2] + slip[:, 2] - seat[:, 2] - needed - 0.004) / 0.008, 0.0, 1.0)
    free = np.where(far > 0.006, clear, 1.0)
    carry[:, :2] *= free[:, None]
    way = np.where(held[:, None], carry, way)
    turn = np.where(held, turn_seat * free, turn)

    # Placed: open, back the fixed finger off the part, then leave upwards.
    let_go = opening > width + 0.007
    back = np.where(let_go & (grip.above < 0.015), grip.along - robot.gripper.approach, 0.0)
    cleared = let_go & ((grip.along > robot.gripper.approach - 0.0025) | (grip.above > 0.015))
    retreat = closing * back[:, None]
    retreat[:, 2] = np.where(cleared, seat[:, 2] + h.retreat - tcp[:, 2], 0.0)
    way = np.where(placed[:, None], retreat, way)
    turn = np.where(placed, 0.0, turn)
    action_grip = np.where(placed, grip_action(robot, width + h.release_by), action_grip)
    aloft = lost & ~shut & (tcp[:, 2] > seat[:, 2] + h.retreat - 0.010)
    push = lost & shut & ~pressed
    over = part - tcp
    beside = np.hypot(over[:, 0], over[:, 1])
    straight = push & (beside < 0.004)  # fingers that move sideways would drag the part out of its place
    over[:, :2] *= ~straight[:, None]
    over[:, 2] = np.where(straight, -PUSH_BY, np.maximum(seat[:, 2] + h.retreat - tcp[:, 2], 0.0))
    way = np.where((push | aloft)[:, None], over, way)
    # Having pushed, away from the part before the fingers open: they would drag it out again.
    if let_be is not None and h.press:
        leave = shut & ((lost & pressed) | let_be) & (tcp[:, 2] < seat[:, 2] + h.retreat - 0.010)
        way[leave] = 0.0
        way[leave, 2] = seat[leave, 2] + h.retreat - tcp[leave, 2]
        push |= leave
    action_grip = np.where(push | aloft, -1.0, action_grip)

    motion = motion_action(robot, way, turn, h.gain)
    return np.concatenate([motion, action_grip[:, None]], axis=1)


def _askew(grip: Grip, to_seat: Floats, off: Floats, gap: Floats, handling: Handling) -> Bools:
    """Where a part that met an obstacle at its seat has turned or slipped in fingers that are not open yet."""
    if not handling.regrip:
        return np.zeros(len(off), bool)
    low = (np.abs(to_seat[:, 2]) < 0.007) & (off < 0.020)
    around = (np.abs(grip.along) < 0.014) & (np.abs(grip.across) < 0.014) & (np.abs(grip.above) < 0.014)
    wrong = (np.abs(grip.turn) > handling.regrip) | (np.abs(grip.above) > handling.grip_within + 0.004)
    closed: Bools = gap < 0.75 * handling.open_by
    return low & around & wrong & closed


def motion_action(robot: RobotDescription, way: Floats, turn: Floats, gain: float) -> Floats:
    """Action (batch, 4) of `ee_delta` that goes a share of the way in a straight line.

    Args:
        robot: The arm.
        way: What is left, m, (batch, 3).
        turn: What is left to turn, rad, (batch,).
        gain: That share.
    """
    action = np.concatenate([way * (gain / robot.ee_step), (turn * (gain / robot.ee_turn))[:, None]], axis=1)
    # One scale for all axes keeps the path straight.
    scaled: Floats = action / np.maximum(1.0, np.abs(action).max(axis=1, keepdims=True))
    return scaled


def yield_to(action: Floats, robot: RobotDescription, pressing: Floats, limit: float) -> Floats:
    """Go up instead of pressing harder: keeps the tool's target at most `limit` below the tool.

    Args:
        action: Of `ee_delta`.
        robot: The arm.
        pressing: `tcp_following_error`, (batch, 3), m.
        limit: m; times the arm's stiffness it is the force it presses with.
    """
    yielding = action.copy()
    too_deep = -pressing[:, 2] - limit
    yielding[:, 2] = np.where(too_deep > 0.0, np.maximum(action[:, 2], 0.5 * too_deep / robot.ee_step), action[:, 2])
    return yielding
