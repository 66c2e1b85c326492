"""Putting a part into a place that it barely fits: out of a rack, over its seat, down without force.

The part waits in a rack, a locating fixture whose place the cell's controller knows. Fingers that close on both sides
centre it, so the tool then tells where the part is better than any camera; an arm with one moving jaw, whose own place
is known worse than a part's, goes by what is seen. Below the mouth the hand follows the hole: it takes back whatever
keeps the tool from where it was sent. Each phase is a region of what is observed, none a memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...robots.description import RobotDescription
from ..randomize import ONE, PRESETS, Randomization
from .skills import Bools, Floats, Handling, grip_action, look, motion_action, tool_axes, turn_to, yield_to

# A part five per cent larger would not fit at all, so fitted parts keep their size.
EXACT_SIZES: Mapping[str, Randomization] = {name: replace(r, part_size=ONE) for name, r in PRESETS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """How a part is fitted.

    Attributes:
        grip_above: Height above the part's centre at which it is gripped, m.
        depth: How far above its seat the part is when it meets the mouth of its place, m.
        socket: How far it must be lifted to leave its rack, m.
        around: How far from the rack's middle the part must stay above it, m.
        travel: Height of the TCP above the table while it crosses the cell with empty fingers, m.
        clear: How far above the mouth the part crosses the cell, m.
        open_by: How much wider than the part the fingers are when approaching and letting go, m.
        press: How far the tool's target may lie below the tool, m.
        aim: How far from the axis the tool may be when it goes down, m.
        square: How far askew the part may be then, rad.
        deep: How far above its seat the part may be to be let go, m.
        gain: Share of the remaining way asked for in one tick.
        search: Radius of the circle on which a part is moved that does not drop in, m.
        wiggle: Turn to either side while it circles, rad.
        plunge: Greatest step down in one tick near the mouth and near the seat, m.
    """

    grip_above: float
    depth: float
    socket: float
    travel: float
    around: float = 0.020
    clear: float = 0.008
    open_by: float = 0.018
    press: float = 0.0007
    aim: float = 0.0004
    square: float = 0.003
    deep: float = 0.0008
    gain: float = 0.18
    search: float = 0.0004
    wiggle: float = 0.02
    plunge: float = 0.0008


def fit(
    robot: RobotDescription,
    fields: Mapping[str, Floats],
    *,
    width: Floats,
    symmetry: int,
    fitting: Fitting,
    leave: Bools | None = None,
    keep: Bools | None = None,
) -> Floats:
    """Take the part out of its rack and press it home.

    Args:
        robot: The arm.
        fields: What `skills.look` needs, `tcp_following_error`, `rack_position`, `rack_yaw`, `seat_position` and
            `seat_yaw`; positions are those of the part's centre.
        width: Of the part where it is gripped, m, (batch,).
        symmetry: Number of yaw turns under which the part looks the same.
        fitting: How it is done.
        leave: Where the part must be let go and left, whatever it looks like.
        keep: Where it must not be let go of, even at its seat.

    Returns:
        Actions (batch, 5) of `ee_delta` with gripper, within [-1, 1].
    """
    f = fitting
    tcp, part, rack = fields["tcp_position"], fields["part_position"], fields["rack_position"]
    seat, felt = fields["seat_position"], fields["tcp_following_error"]
    opening = fields["gripper_opening"][:, 0]
    approach = robot.gripper.approach
    centred = approach == 0.0
    closing, _ = tool_axes(fields["tcp_yaw"])
    handling = Handling(grip_above=f.grip_above, near=f.grip_above + 0.025)
    grip = look(robot, fields, width=width, symmetry=symmetry, handling=handling)
    # Fingers swing a little while the arm speeds up; only before lifting must they be seen to have closed.
    lifted = part[:, 2] - rack[:, 2] > 0.5 * f.socket
    held = grip.held & ((opening < width + 0.0015) | lifted | (not centred))

    # Good drives get where they are sent: asking from there, not from where the arm just swings, lets it settle.
    sent = tcp + felt if centred else tcp
    # Where the part hangs below the tool.
    hang = np.zeros_like(tcp) if centred else np.clip(part - tcp, -0.009, 0.009)
    hang[:, 2] = -f.grip_above
    at = tcp + hang
    high = at[:, 2] - seat[:, 2] if centred else part[:, 2] - seat[:, 2]

    around = np.hypot(part[:, 0] - seat[:, 0], part[:, 1] - seat[:, 1]) < 0.008
    deep = f.deep if centred else 0.003  # a hand that is led by what is seen is led by its errors, too
    down = (high < deep) | ((high < 0.0024) & (felt[:, 2] < -0.7 * f.press))
    placed = around & (np.abs(part[:, 2] - seat[:, 2]) < 0.0045) & ~(held & ~down)
    if leave is not None:
        placed |= leave
    if keep is not None:
        placed &= ~keep
    held &= ~placed

    # Take: over the rack, down with open fingers, close where they stand around the part.
    stands = np.hypot(part[:, 0] - rack[:, 0], part[:, 1] - rack[:, 1]) < 0.010
    stands &= np.abs(part[:, 2] - rack[:, 2]) < 0.010
    where = np.where(stands[:, None], rack, part) if centred else part
    part_yaw = np.where(stands[:, None], fields["rack_yaw"], fields["part_yaw"])
    # Which of the yaws that look alike is judged from where the tool goes, or it would change its mind on the way.
    turn = 1.5 * turn_to(robot, fields, part_yaw, symmetry, at=where)
    goal = where - closing * (0.6 * approach)
    way = goal - sent
    side = np.hypot(goal[:, 0] - tcp[:, 0], goal[:, 1] - tcp[:, 1])
    aim = f.aim if centred else 0.0015
    low = where[:, 2] + f.grip_above - tcp[:, 2]
    top = np.maximum(f.travel - where[:, 2] - f.grip_above, 0.0)
    way[:, 2] += f.grip_above + np.clip(6.0 * (side - 2.0 * aim) + 0.3 * (np.abs(turn) - 0.05), 0.0, top)
    way[:, :2] *= np.where(side > 0.010, np.clip(1.0 - (low + top - 0.010) / 0.010, 0.0, 1.0), 1.0)[:, None]
    begun = opening < width + 0.75 * f.open_by  # what has begun to close may be off a little more
    close = (side < np.where(begun, aim + 0.001, aim)) & (
        np.abs(turn) < (np.where(begun | (not centred), 0.06, max(0.008, 1.5 * f.square)))
    )
    close &= np.abs(low) < np.where(begun | (not centred), 0.002, 0.001)
    if not centred:
        close |= begun & (np.abs(grip.along) < 0.009) & (np.abs(grip.across) < 0.006) & (np.abs(low) < 0.005)
    close &= ~placed
    # One jaw pushes the part against the other finger: go to meet it, or the part tips over in its pocket.
    way[close] = 0.0 if centred else (closing * (grip.along - 0.0005)[:, None])[close]
    turn = np.where(close, 0.0, turn)
    action_grip = np.where(close | held, -1.0, grip_action(robot, width + f.open_by))

    carry, turn_seat = _carry(robot, fields, sent=sent, at=at, high=high, symmetry=symmetry, fitting=f)
    way = np.where(held[:, None], carry, way)
    turn = np.where(held, turn_seat, turn)

    # Placed: open, and leave upwards once open, the slower the nearer.
    let_go = opening > width + 0.6 * f.open_by
    back = np.where(let_go & (grip.above < 0.015) & (not centred), grip.along - approach, 0.0)
    cleared = let_go & ((np.abs(back) < 0.0025) | (grip.above > 0.015))
    retreat = closing * back[:, None]
    up = np.minimum((f.plunge + 0.15 * np.maximum(grip.above, 0.0)) / f.gain, np.maximum(f.travel - tcp[:, 2], 0.0))
    retreat[:, 2] = np.where(cleared, up, 0.0)
    way = np.where(placed[:, None], retreat, way)
    turn = np.where(placed, 0.0, turn)
    action_grip = np.where(placed, grip_action(robot, width + f.open_by), action_grip)

    motion = motion_action(robot, way, turn, f.gain)
    action = np.concatenate([motion, action_grip[:, None]], axis=1)
    yielding = held & (high < f.depth + 0.006)
    return np.where(yielding[:, None], yield_to(action, robot, felt, f.press), action)


def _carry(
    robot: RobotDescription,
    fields: Mapping[str, Floats],
    *,
    sent: Floats,
    at: Floats,
    high: Floats,
    symmetry: int,
    fitting: Fitting,
) -> tuple[Floats, Floats]:
    """Way in m, (batch, 3), and turn in rad of a tool that holds the part: out of the rack, across, down.

    Args:
        robot: The arm.
        fields: See `fit`.
        sent: Where the tool was sent, m, (batch, 3).
        at: Where the part is by the tool that holds it, m, (batch, 3).
        high: How far it is above its seat, m, (batch,).
        symmetry: See `fit`.
        fitting: See `fit`.
    """
    f = fitting
    rack, seat, felt = fields["rack_position"], fields["seat_position"], fields["tcp_following_error"]
    centred = robot.gripper.approach == 0.0
    aim = f.aim if centred else 0.0015
    to_seat = seat - at
    off = np.hypot(to_seat[:, 0], to_seat[:, 1])
    way = seat - sent - (at - fields["tcp_position"])
    turn = turn_to(robot, fields, fields["seat_yaw"], symmetry, at=seat)
    askew = np.clip((np.abs(turn) - f.square) / max(f.square, 0.006), 0.0, 1.0)
    missed = np.maximum(np.clip((off - aim) / aim, 0.0, 1.0), askew)
    lift = missed * (f.depth + 0.4 * f.clear) + np.clip(12.0 * (off - aim), 0.0, 0.6 * f.clear)
    inside = (high < f.depth - 0.001) & (off < (0.006 if centred else 0.010))
    way[:, 2] += np.where(inside, 0.0, lift)
    in_rack = np.hypot(at[:, 0] - rack[:, 0], at[:, 1] - rack[:, 1]) < f.around
    out = np.clip((at[:, 2] - rack[:, 2] - f.socket) / 0.015, 0.0, 1.0)
    over = np.clip((at[:, 2] - seat[:, 2] - f.depth - 0.002) / 0.004, 0.0, 1.0)
    free = np.where(in_rack, out, np.where(off > 0.004, over, 1.0))
    # Slowly: a jerk would wrench the part in its pocket.
    way[:, 2] = np.where(in_rack & (out < 1.0), (f.plunge + 0.003 * out) / f.gain, way[:, 2])
    way[:, :2] *= free[:, None]
    turning = np.where(inside, np.where(high > f.depth - 0.006, 0.5, 0.0), 1.5 * free)
    turn = turn * turning
    if centred:
        # Pressing bends an arm sideways, too, and a part is not quite where it was gripped: circle about the axis, the
        # tool as measured, until the part drops in. The place on the circle is the memory of it.
        touching = (high < f.depth + 0.001) & (high > f.depth - 0.006) & (felt[:, 2] < -0.3 * f.press)
        step, phase = _circle(-to_seat[:, :2], f.search)
        way[:, :2] = np.where(touching[:, None], step / f.gain, way[:, :2])
        turn = turn + np.where(touching, f.wiggle * phase, 0.0)
    else:
        # Below the mouth the walls lead; a tool that is corrected by what is seen gives way to them. In the mouth it
        # must not: there it would give way to the chamfer, too.
        mouth = (high > f.depth - 0.006)[:, None]
        way[:, :2] = np.where(inside[:, None], np.where(mouth, 0.7 * to_seat[:, :2], -felt[:, :2]), way[:, :2])
        # A part that is not quite where it is seen comes to rest on the chamfer: circle, wider than the error of sight.
        stuck = inside & mouth[:, 0] & (felt[:, 2] < -0.3 * f.press)
        step, _ = _circle(-to_seat[:, :2], 0.002)
        way[:, :2] = np.where(stuck[:, None], step / f.gain, way[:, :2])
    slow = np.where((high < 0.005) | (high > f.depth - 0.004), f.plunge, 0.0015) / f.gain
    way[:, 2] = np.where(high < f.depth + 0.012, np.maximum(way[:, 2] - 0.001 * inside, -slow), way[:, 2])
    return way, turn


def _circle(off: Floats, radius: float) -> tuple[Floats, Floats]:
    """Step towards and along a circle, m, (batch, 2), from where one is, and the cosine of twice the angle there."""
    far = np.linalg.norm(off, axis=1, keepdims=True)
    out = np.where(far > 2e-5, off / np.maximum(far, 2e-5), np.array([1.0, 0.0]))
    along = np.stack([-out[:, 1], out[:, 0]], axis=1)
    step: Floats = 0.15 * (radius - far) * out + 0.2 * radius * along
    return step, out[:, 0] ** 2 - out[:, 1] ** 2
