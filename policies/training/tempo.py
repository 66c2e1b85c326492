"""How briskly an expert moves: a law around what it asks for, with five numbers that a search can find.

    a  the expert's motion, in steps of one tick, at most 1
    e  how far the hand lags behind where it was sent, in steps
    m = a - GAIN * lead * e                             believe the hand to be where it was sent
    m * (1 + (quicken - 1) * min(1, max|m| / near))     quicker, but not the small steps by which a part is placed

An expert asks for a share of the way that it still sees, and what it sees is late: asked for more, it overshoots. A
drive that follows well will be where it was sent, so what is already under way need not be asked for again, and then
the share may be larger (a Smith predictor whose model is the drive). Servos that sag are never where they were sent;
for them a search finds little.

Fingers that hold a part are sent no farther beyond it than holds it, and so have less of a way back when they let go.

It is a function of the observation, as the expert is, so a learner is corrected at this tempo wherever it gets to.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from ...robots.catalogue import load_robot
from ...robots.description import RobotDescription
from ...robots.kinematics import Kinematics

Floats = npt.NDArray[np.float64]

GAIN: Final = 0.18  # share of the way that most experts ask for in one tick


@dataclass(frozen=True, slots=True, kw_only=True)
class Tempo:
    """The five numbers; as they come, they change nothing.

    Attributes:
        quicken: Factor on large motions.
        lead: Share of the lag by which the hand is believed to be ahead of where it is measured, sideways and in turn.
        lead_down: The same for up and down, where a hand that presses lags on purpose.
        near: Motion, in steps, from which on the whole factor holds; in proportion less below.
        hold: By how much at most the fingers are sent beyond where a part stops them, in what tells that it is held
            (`squeeze` of the gripper); 0 for as far as the expert does.
    """

    quicken: float = 1.0
    lead: float = 0.0
    lead_down: float = 0.0
    near: float = 0.2
    hold: float = 0.0

    @property
    def own(self) -> bool:
        """Whether it is the expert's own."""
        return self.quicken == 1.0 and self.lead == 0.0 and self.lead_down == 0.0 and self.hold == 0.0


def at_tempo(
    tempo: Tempo, robot: RobotDescription, fields: Mapping[str, Floats], action: Floats, *, gripper: bool
) -> Floats:
    """What the expert would ask for at a tempo.

    Args:
        tempo: How briskly.
        robot: The arm.
        fields: `joint_positions` and `following_error`, (batch, n) each, and `gripper_opening` where there is one.
        action: The expert's, (batch, actions): steps along x, y and z, a turn where the arm has one, and the gripper.
        gripper: Whether the last one is the gripper's.

    Returns:
        Actions of the same shape, within [-1, 1].
    """
    if tempo.own:
        return action
    moving = action.shape[1] - int(gripper)
    lag = _lag(robot, fields)[:, :moving]
    lag[:, 2] *= tempo.lead_down
    lag[:, [k for k in range(moving) if k != 2]] *= tempo.lead
    motion = action[:, :moving] - GAIN * lag
    most = np.abs(motion).max(axis=1, keepdims=True)
    motion *= 1.0 + (tempo.quicken - 1.0) * np.minimum(1.0, most / tempo.near)
    motion /= np.maximum(1.0, np.abs(motion).max(axis=1, keepdims=True))
    grip = action[:, moving:]
    if gripper and tempo.hold and not robot.gripper.travel_time:
        grip = np.maximum(grip, _held_by(tempo.hold, robot, fields, grip[:, 0])[:, None])
    return np.concatenate([motion, grip], axis=1)


def _held_by(hold: float, robot: RobotDescription, fields: Mapping[str, Floats], asked: Floats) -> Floats:
    """Least gripper action: what is asked for, and where a part is held, what holds it, (batch,)."""
    g = robot.gripper
    at = np.interp(fields["gripper_opening"][:, 0], g.opening, np.linspace(g.closed, g.open, len(g.opening)))
    enough = 2.0 * (at - hold * g.squeeze - g.closed) / (g.open - g.closed) - 1.0
    return np.where(fields["following_error"][:, -1] < -g.squeeze, enough, asked)


def _lag(robot: RobotDescription, fields: Mapping[str, Floats]) -> Floats:
    """How far the tool is behind where the joints were sent, in steps along x, y, z and in turn, (batch, 4)."""
    joints = fields["joint_positions"]
    kinematics = _kinematics(robot.name)
    at, turned = kinematics.forward_batch(joints)
    sent, sent_turned = kinematics.forward_batch(joints + fields["following_error"][:, : joints.shape[1]])
    yaw = np.arctan2(sent_turned[:, 1, 0], sent_turned[:, 0, 0]) - np.arctan2(turned[:, 1, 0], turned[:, 0, 0])
    yaw = (yaw + np.pi) % (2.0 * np.pi) - np.pi
    return np.concatenate([(sent - at) / robot.ee_step, yaw[:, None] / robot.ee_turn], axis=1)


@cache
def _kinematics(name: str) -> Kinematics:
    return Kinematics(load_robot(name))
