"""What experts do with closed fingers: push something along, press something down; functions of what is observed."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ...robots.description import RobotDescription
from .skills import grip_action, motion_action

Floats = npt.NDArray[np.float64]

SHUT = 0.012  # m between fingers that count as closed
HALF_FINGER = 0.011  # m, half the width of any arm's finger across the closing direction


def push(
    robot: RobotDescription,
    fields: Mapping[str, Floats],
    *,
    post: Floats,
    direction: Floats,
    half: float,
    low: float,
    high: float,
    left: Floats,
    speed: float,
) -> Floats:
    """Push a post along, with the side of the closed fingers behind it.

    The hand comes down behind the post, never on top of it, and only with closed fingers.

    Args:
        robot: The arm.
        fields: `tcp_position`, `tcp_yaw`, `gripper_opening`.
        post: Centre of the post, m, (batch, 3).
        direction: Where to, a level unit vector, (batch, 3).
        half: Half extent of the post in that direction, m.
        low: Height of the TCP at which it pushes, m.
        high: Height at which it passes over everything, m.
        left: What is left to push, m, (batch,).
        speed: m/s.

    Returns:
        Actions (batch, 5) of `ee_delta` with gripper, within [-1, 1].
    """
    tcp = fields["tcp_position"]
    opening = fields["gripper_opening"][:, 0]
    relative = tcp - post
    along = np.sum(relative * direction, axis=1)
    beside = relative[:, :2] - along[:, None] * direction[:, :2]
    off = np.hypot(beside[:, 0], beside[:, 1])
    reach = half + HALF_FINGER
    behind = (along < 2e-3 - reach) & (off < 0.010) & (tcp[:, 2] < low + 0.006) & (along > -reach - 0.020)

    start = post - (reach + 0.006) * direction
    way = start - tcp
    side = np.hypot(way[:, 0], way[:, 1])
    hover = np.clip(3.0 * (side - 0.004), 0.0, high - low)
    hover = np.where(opening > SHUT, high - low, hover)
    up = low + hover - tcp[:, 2]
    way[:, :2] *= np.where(side > 0.008, np.clip(1.0 - (up - 0.003) / 0.006, 0.0, 1.0), 1.0)[:, None]
    way[:, 2] = up

    # A step of `way` is a share `gain` of it: ask for what gives the wanted speed, and less before the stop.
    gain = 0.18
    pace = np.clip(3.0 * left + 0.5 * speed, 0.0, speed) / (robot.control_rate_hz * gain)
    ahead = pace[:, None] * direction
    ahead[:, :2] -= beside
    ahead[:, 2] = low - tcp[:, 2]
    way = np.where(behind[:, None], ahead, way)
    return _closed(robot, fields, way, open_below=low - 0.010, gain=gain)


def press(
    robot: RobotDescription, fields: Mapping[str, Floats], *, button: Floats, high: float, speed: float
) -> Floats:
    """Press a button down with the tips of the closed fingers.

    Args:
        robot: The arm.
        fields: `tcp_position`, `gripper_opening`.
        button: Middle of its top, m, (batch, 3).
        high: Height at which the hand passes over everything, m.
        speed: With which it presses, m/s.

    Returns:
        Actions (batch, 5) of `ee_delta` with gripper, within [-1, 1].
    """
    tcp = fields["tcp_position"]
    opening = fields["gripper_opening"][:, 0]
    gain = 0.18
    way = button - tcp
    side = np.hypot(way[:, 0], way[:, 1])
    over = (side < np.where(tcp[:, 2] < high - 0.010, 0.008, 0.006)) & (opening < SHUT)
    up = high - tcp[:, 2]
    # Fast to where the longest fingers would touch, slowly from there.
    slow = -speed / (robot.control_rate_hz * gain)
    down = np.minimum(button[:, 2] + 0.024 - tcp[:, 2], slow)
    way[:, :2] *= np.where(over, 1.0, np.clip(1.0 - (up - 0.003) / 0.006, 0.0, 1.0))[:, None]
    way[:, 2] = np.where(over, down, up)
    return _closed(robot, fields, way, open_below=button[:, 2] + 0.004, gain=gain)


def rise(robot: RobotDescription, fields: Mapping[str, Floats], height: float) -> Floats:
    """Go straight up, or down, to a height with closed fingers.

    Args:
        robot: The arm.
        fields: `tcp_position`.
        height: Of the TCP, m.
    """
    way = (height - fields["tcp_position"][:, 2:]) * np.array([0.0, 0.0, 1.0])
    motion = motion_action(robot, way, np.zeros(len(way)), 0.18)
    return np.concatenate([motion, -np.ones((len(way), 1))], axis=1)


def _closed(
    robot: RobotDescription, fields: Mapping[str, Floats], way: Floats, *, open_below: Floats | float, gain: float
) -> Floats:
    """Move with closed fingers; those still open low down close only on their way up, so as to take nothing along.

    Args:
        robot: The arm.
        fields: `tcp_position`, `gripper_opening`.
        way: What is left, m, (batch, 3).
        open_below: Height below which open fingers stay open, m.
        gain: Share of the way taken in one tick.
    """
    opening = fields["gripper_opening"][:, 0]
    wide = (opening > SHUT) & (fields["tcp_position"][:, 2] < open_below)
    grip = np.where(wide, grip_action(robot, opening + 0.004), -1.0)
    motion = motion_action(robot, way, np.zeros(len(way)), gain)
    return np.concatenate([motion, grip[:, None]], axis=1)
