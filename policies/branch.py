"""Branches: what would have happened had the policy acted a little differently, measured exactly.

    rollout of the policy  ----s----------------------------> success after T ticks
                               |\--- perturbed for H ticks, then the policy ---> success after T' ticks
                               |\--- another perturbation ...

Because a saved cell state is restored to the bit, sensor noise included, T' - T is the perturbation's effect and
nothing else: an advantage without the critic's error and without the luck of another episode. This is the "vine"
of TRPO (Schulman et al. 2015) with a simulator that keeps its promise.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..envs.env import CellEnv
from ..robots.observation import Observation
from .collect import BatchActor

Array = NDArray[np.float32]

WINDOW = 10  # ticks for which a perturbation lasts
CELLS: dict[tuple[tuple[str, Any], ...], CellEnv] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchJob:
    """Work for one worker.

    Attributes:
        env: Keyword arguments of `CellEnv`.
        seeds: One rollout each.
        actor: The policy.
        states: Branching points per rollout.
        branches: Perturbations tried at each.
        spread: Standard deviation of the perturbation of the motion, as a share of full scale.
        least: Ticks that a branch must save to be kept.
    """

    env: tuple[tuple[str, Any], ...]
    seeds: tuple[int, ...]
    actor: BatchActor
    states: int
    branches: int
    spread: float
    least: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Branches:
    """What a job found.

    Attributes:
        better_x: Observation and goal along the windows that saved time, (n, x).
        better_action: Actions taken there, (n, a).
        saved: Ticks each of those rows' window saved.
        x: Observation and goal along the unperturbed rollouts, (m, x).
        lengths: Ticks of each rollout that succeeded.
        rollouts: How many there were.
        tried: Branches run.
        improved: Branches that saved time.
    """

    better_x: Array
    better_action: Array
    saved: Array
    x: Array
    lengths: tuple[int, ...]
    rollouts: int
    tried: int
    improved: int


def run_branches(job: BranchJob) -> Branches:
    """Roll out, branch, and keep the best perturbation of every branching point that saved time."""
    if job.env not in CELLS:
        CELLS[job.env] = CellEnv(**dict(job.env))
    env = CELLS[job.env]
    better_x: list[Array] = []
    better_action: list[Array] = []
    saved: list[float] = []
    plain: list[Array] = []
    lengths: list[int] = []
    tried = improved = 0
    for seed in job.seeds:
        rng = np.random.default_rng((seed, 11))
        observation, _ = env.reset(seed=seed)
        # Branching points are drawn before the rollout's length is known; those after its end are not reached.
        points = set(rng.choice(np.arange(2, env.horizon // 2), job.states, replace=False).tolist())
        kept: list[tuple[int, int, Observation]] = []
        rows: list[Array] = []
        step, success = 0, False
        while True:
            if step in points:
                kept.append((step, env.save_state(), observation))
            x = _x(observation)
            rows.append(x)
            observation, _, ended, cut, info = env.step(job.actor(x[None])[0])
            step += 1
            if ended or cut:
                success = bool(info["is_success"])
                break
        plain.append(np.stack(rows))
        if success:
            lengths.append(step)
        limit = step if success else env.horizon
        for at, state, start in kept:
            best: tuple[int, list[Array], list[Array]] | None = None
            for _ in range(job.branches):
                env.restore_state(state)
                shift = _perturbation(env, rng, job.spread)
                length, xs, actions = _branch(env, start, at, limit - job.least, job.actor, shift)
                tried += 1
                if length is not None and (best is None or length < best[0]):
                    best = (length, xs, actions)
            if best is not None:
                improved += 1
                better_x += best[1]
                better_action += best[2]
                saved += [float(limit - best[0])] * len(best[1])
            env.remove_state(state)
    size, actions_size = len(plain[0][0]), env.action_space.shape[0]
    return Branches(
        better_x=np.stack(better_x) if better_x else np.zeros((0, size), np.float32),
        better_action=np.stack(better_action) if better_action else np.zeros((0, actions_size), np.float32),
        saved=np.array(saved, np.float32),
        x=np.concatenate(plain),
        lengths=tuple(lengths),
        rollouts=len(job.seeds),
        tried=tried,
        improved=improved,
    )


def _perturbation(env: CellEnv, rng: np.random.Generator, spread: float) -> tuple[Array, Array]:
    """Factors on the action, and offsets added to it."""
    size = env.action_space.shape[0]
    factor = 1.0 + rng.normal(0.0, 2.0 * spread) * np.ones(size)
    offset = rng.normal(0.0, spread, size) * (rng.random(size) < 0.5)
    if env.task.gripper:
        factor[-1] = 1.0
        offset[-1] = rng.choice([0.0, 0.0, -0.5, 0.5, -2.0, 2.0])
    return factor.astype(np.float32), offset.astype(np.float32)


def _branch(
    env: CellEnv, observation: Observation, at: int, limit: int, actor: BatchActor, shift: tuple[Array, Array]
) -> tuple[int | None, list[Array], list[Array]]:
    """Run one branch; None if it does not succeed by `limit` ticks."""
    xs: list[Array] = []
    actions: list[Array] = []
    step = at
    while step < limit:
        x = _x(observation)
        action = actor(x[None])[0]
        if step < at + WINDOW:
            action = np.clip(action * shift[0] + shift[1], -1.0, 1.0).astype(np.float32)
            xs.append(x)
            actions.append(action)
        observation, _, ended, cut, _ = env.step(action)
        step += 1
        if ended:
            return step, xs, actions
        if cut:
            break
    return None, xs, actions


def _x(observation: Observation) -> Array:
    return np.concatenate([observation["observation"], observation["desired_goal"]])
