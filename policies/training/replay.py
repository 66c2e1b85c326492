"""Whole episodes in flat arrays, sampled as n-step transitions with hindsight goals.

Hindsight (Andrychowicz et al. 2017, "future" strategy): what an episode reached later is taken as what it had
wanted. Rewards are computed anew from the goal vectors; a transition ends where the goal is first met.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...robots.success import Success
from .collect import Trajectory

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Transitions; B rows.

    Attributes:
        x: Observation and goal, (B, n).
        action: (B, a).
        next_x: Observation and the same goal after the transition's last step.
        reward: Discounted sum over its steps.
        discount: What the value after it counts; 0 where the goal was met.
    """

    x: Array
    action: Array
    next_x: Array
    reward: Array
    discount: Array


class Replay:
    """A ring of episodes."""

    def __init__(self, success: Success, *, gamma: float, steps: int, hindsight: float, capacity: int) -> None:
        """Start empty.

        Args:
            success: Says when a goal is met.
            gamma: Discount per step.
            steps: Steps in one transition.
            hindsight: Share of samples whose goal is replaced.
            capacity: Rows kept; the oldest episodes go first.
        """
        self._success = success
        self._powers = gamma ** np.arange(steps + 1)
        self._sums = np.concatenate([[0.0], np.cumsum(self._powers)[:-1]])
        self._hindsight = hindsight
        self._capacity = capacity
        self._episodes: list[Trajectory] = []
        self._rows = 0
        self._stale = True

    def __len__(self) -> int:
        """Steps that can be sampled."""
        return self._rows

    def add(self, trajectories: list[Trajectory]) -> None:
        """Keep episodes."""
        self._episodes.extend(trajectories)
        self._rows += sum(len(t) for t in trajectories)
        while self._rows > self._capacity and len(self._episodes) > 1:
            self._rows -= len(self._episodes.pop(0))
        self._stale = True

    def _flatten(self) -> None:
        episodes = self._episodes
        self._observation = np.concatenate([t.observation for t in episodes])
        self._achieved = np.concatenate([t.achieved_goal for t in episodes])
        self._desired = np.concatenate([t.desired_goal for t in episodes])
        self._action = np.concatenate([np.concatenate([t.action, t.action[-1:]]) for t in episodes])
        sizes = np.array([len(t) + 1 for t in episodes])
        ends = np.cumsum(sizes) - 1
        self._end = np.repeat(ends, sizes)
        self._starts = np.setdiff1d(np.arange(len(self._end)), ends)
        self._stale = False

    def sample(self, count: int, rng: np.random.Generator) -> Batch:
        """Draw transitions.

        Args:
            count: How many.
            rng: Generator.
        """
        if self._stale:
            self._flatten()
        at = self._starts[rng.integers(len(self._starts), size=count)]
        end = self._end[at]
        goal = self._desired[at].copy()
        relabel = rng.random(count) < self._hindsight
        future = at + 1 + (rng.random(count) * (end - at)).astype(np.int64)
        goal[relabel] = self._achieved[future[relabel]]
        # The wanted state is at rest and let go, whatever the moment was that gave the pose.
        goal[relabel, 5:] = self._desired[at[relabel], 5:]
        longest = len(self._powers) - 1
        reach = np.minimum(at[:, None] + 1 + np.arange(longest)[None], end[:, None])
        met = self._success.met_batch(
            self._achieved[reach], np.broadcast_to(goal[:, None], (count, longest, goal.shape[1]))
        )
        taken = np.minimum(longest, end - at)
        met &= np.arange(longest)[None] < taken[:, None]
        ended = met.any(axis=1)
        first = np.where(ended, met.argmax(axis=1), taken)
        last = np.where(ended, at + first + 1, at + taken)
        return Batch(
            x=np.concatenate([self._observation[at], goal], axis=1),
            action=self._action[at],
            next_x=np.concatenate([self._observation[last], goal], axis=1),
            reward=(-self._sums[first]).astype(np.float32),
            discount=np.where(ended, 0.0, self._powers[taken]).astype(np.float32),
        )
