"""Glances: what would be seen and measured now if the hand were a little elsewhere, with what it holds in it.

A policy with eyes goes where no demonstration went, and there it must see as well. Letting it go there costs an
episode; moving the hand in the simulation for the length of a picture costs a few milliseconds. Nothing falls or
collides meanwhile, and the episode goes on as from any moment that was saved and restored.
"""

import dataclasses
from types import TracebackType
from typing import Self

import pybullet as bullet

from ..robots.least_squares import damped_least_squares
from ..robots.observation import Observation
from ..robots.pose import Pose
from ..robots.state import Vector
from .env import CellEnv

DAMPING = 1e-3
ARM = 0.02  # m for which a radian counts, where an arm has fewer joints than it would take: the place comes first
LAG = ("following_error", "tcp_following_error")


class Glances:
    """A block in which an environment stands still and its hand is looked at elsewhere."""

    def __init__(self, env: CellEnv) -> None:
        """Take an environment in the middle of an episode; whoever wants its `behind()` of now asks for it before."""
        self._env = env

    def __enter__(self) -> Self:
        """Keep the moment."""
        env = self._env
        self._state = env.save_state()
        self._true = env.arm.true_positions()[0]
        self._pose = env.station.kinematics.forward(self._true)
        self._moment = env.station.state
        self._lag = {name: v for name, v in env.station.values.items() if name in LAG}
        touched = env.cell.touching_arm()
        self._held = [(n, env.cell.pose(n)) for n in env.cell.parts if env.cell.uid(n) in touched]
        return self

    def __call__(self, shift: Vector) -> tuple[Observation, Observation]:
        """Look from elsewhere.

        Args:
            shift: Of the tool along x, y and z of the base, m, and its turn about the vertical, rad; an arm that cannot
                do all of it does what it can, within the limits of its joints.

        Returns:
            What the environment would give out, and the whole state behind it.
        """
        env = self._env
        x, y, z, turn = shift
        rows = self._pose.jacobian_rows
        weighed = [*rows[:3], *([ARM * j for j in row] for row in rows[3:])]
        step = damped_least_squares(weighed, (x, y, z, 0.0, 0.0, ARM * turn), damping=DAMPING)
        limits = zip(self._true, step, env.robot.joints, strict=True)
        true = tuple([min(max(q + s, j.lower), j.upper) for q, s, j in limits])
        moved = [b - a for a, b in zip(self._true, true, strict=True)]
        env.arm.displace(true)
        self._carry(env.station.kinematics.forward(true))
        station = env.station
        measured = tuple([q + m for q, m in zip(self._moment.joint_positions, moved, strict=True)])
        station.state = dataclasses.replace(self._moment, joint_positions=measured)
        station.pose = station.kinematics.forward(measured)
        station.observe()
        # It was sent as far ahead as it is now: nobody but the envelope may say where to.
        station.values.update(self._lag)
        return env.see(station.spec.pack(station.values)), env.behind()

    def _carry(self, pose: Pose) -> None:
        """Take what the arm touches along, as one body with the hand."""
        here, there = ((p.position, p.quaternion) for p in (self._pose, pose))
        for name, (at, turned) in self._held:
            inside = bullet.multiplyTransforms(*bullet.invertTransform(*here), at, turned)
            self._env.cell.place(name, *bullet.multiplyTransforms(*there, *inside))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Go back to the moment."""
        self._env.restore_state(self._state)
        self._env.remove_state(self._state)
