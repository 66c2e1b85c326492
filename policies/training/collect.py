"""Episodes from several cells at once: by the expert, by a learner, or by a learner whom the expert corrects.

The cells of a job run in lockstep, so that expert and network see batches. A job is the same few episodes whoever runs
it: an episode depends only on its seed and on who acts, because resets are exact, and the batches in which a network's
products are summed depend on the job alone. So neither the count of workers nor the machine changes a bit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...envs.env import CellEnv
from ...robots.features import FeatureMap
from ...robots.observation import Observation
from ..crews.crew import Crew
from .tempo import Tempo, at_tempo

Array = NDArray[np.float32]
L = TypeVar("L", bound="Lane")

LANES = 8  # episodes of a job, each in a cell of its own
HOLD = 8  # ticks for which exploration stays the same
TURN = 20  # ticks for which the expert acts, or the learner, where both take turns


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchActor:
    """Deterministic actor on batches, light enough to send to a collector.

    Attributes:
        features: Map from observation and goal to features.
        mean: Mean of each feature.
        std: Standard deviation of each.
        layers: Weight and bias, first to last.
        activation: "relu" or "tanh" between layers.
        squash: "tanh" or "clip" after the last.
    """

    features: FeatureMap
    mean: Array
    std: Array
    layers: tuple[tuple[Array, Array], ...]
    activation: str = "relu"
    squash: str = "tanh"

    def __call__(self, x: Array) -> Array:
        """Actions (batch, n) for packed observation and goal (batch, inputs)."""
        out = (self.features(x) - self.mean) / self.std
        last = len(self.layers) - 1
        for k, (weight, bias) in enumerate(self.layers):
            out = out @ weight.T + bias
            if k < last and self.activation == "relu":
                np.maximum(out, 0.0, out=out)
            elif k < last or self.squash == "tanh":
                np.tanh(out, out=out)
        actions: Array = np.clip(out, -1.0, 1.0, dtype=np.float32)
        return actions


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """One episode; T steps, so observation vectors have T + 1 rows.

    Attributes:
        seed: Seed of its reset.
        observation: (T + 1, n).
        achieved_goal: (T + 1, g).
        desired_goal: (T + 1, g).
        action: (T, a), as sent.
        label: (T, a), as the expert would have acted.
        success: Whether it ended in success.
    """

    seed: int
    observation: Array
    achieved_goal: Array
    desired_goal: Array
    action: Array
    label: Array
    success: bool

    @property
    def x(self) -> Array:
        """Observation and goal of every step that was acted on, (T, n + g)."""
        return np.concatenate([self.observation[:-1], self.desired_goal[:-1]], axis=1)

    def __len__(self) -> int:
        """Number of steps."""
        return len(self.action)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Episodes for one worker.

    Attributes:
        env: Keyword arguments of `CellEnv`.
        seeds: One per episode.
        actor: Who acts; the expert if None.
        noise: Standard deviation of Gaussian noise on the motion sent, not on the gripper and not on the label.
        explore: Standard deviation of the exploration: how much faster or slower than the learner asks, held for
            `HOLD` ticks, because one tick of 33 ms alone changes next to nothing.
        options: Reset options of every episode.
        tempo: How briskly the expert moves, as it acts and as it labels.
        mix: Share of the turns in which the expert acts instead of the learner.
    """

    env: tuple[tuple[str, Any], ...]
    seeds: tuple[int, ...]
    actor: BatchActor | None = None
    noise: float = 0.0
    explore: float = 0.0
    options: tuple[tuple[str, Any], ...] = ()
    tempo: Tempo = field(default_factory=Tempo)
    mix: float = 0.0


_CELLS: dict[tuple[tuple[str, Any], ...], list[CellEnv]] = {}


def run_job(job: Job) -> list[Trajectory]:
    """Run all episodes of a job in this process."""
    return [lane.trajectory() for lane in run_lanes(job, Lane)]


def run_lanes(job: Job, kind: type[L], act: Callable[[Sequence[L]], Array] | None = None) -> list[L]:
    """Run all episodes of a job in this process, side by side; its cells stay open for the next one.

    Args:
        job: What to run.
        kind: What keeps each episode.
        act: Decides for the lanes that are under way; the job's actor, or the expert, if None.

    Returns:
        Lanes that have come to their end, in the order of the seeds.
    """
    cells = _CELLS.setdefault(job.env, [])
    while len(cells) < len(job.seeds):
        cells.append(CellEnv(**dict(job.env)))
    lanes = [kind(cell) for cell in cells[: len(job.seeds)]]
    for lane, seed in zip(lanes, job.seeds, strict=True):
        lane.start(seed, job)
    active = lanes
    while active:
        env = active[0].env
        batch = {g: np.stack([lane.observation[g] for lane in active]) for g in ("observation", "desired_goal")}
        labels = expert_labels(env, batch, job.tempo)
        if act is not None:
            chosen = act(active)
        elif job.actor is None:
            chosen = labels
        else:
            chosen = job.actor(np.concatenate([batch["observation"], batch["desired_goal"]], axis=1))
        rows = zip(active, chosen, labels, strict=True)
        active = [lane for lane, action, label in rows if lane.step(action, label, job)]
    return lanes


def expert_labels(env: CellEnv, batch: Mapping[str, Array], tempo: Tempo) -> Array:
    """What the expert would do at a tempo, (batch, actions).

    Args:
        env: Of whose task and arm.
        batch: Whole `observation` and `desired_goal`, (batch, n) each.
        tempo: How briskly.
    """
    fields = env.fields(batch)
    wanted = type(env.task).expert(env.robot, fields)
    labels: Array = at_tempo(tempo, env.robot, fields, wanted, gripper=env.task.gripper).astype(np.float32)
    return labels


class Lane:
    """One cell on its way through an episode."""

    def __init__(self, env: CellEnv) -> None:
        """Take a cell."""
        self.env = env

    def start(self, seed: int, job: Job) -> None:
        """Begin the episode of a seed."""
        self.seed = seed
        self.rng = np.random.default_rng((seed, 7))
        self.pace: NDArray[np.float64] | None = None
        self.rows: list[Observation] = []
        self.actions: list[Array] = []
        self.labels: list[Array] = []
        self.take(*self.env.reset(seed=seed, options=dict(job.options)))

    def take(self, observation: Observation, info: Mapping[str, Any]) -> None:
        """Keep a moment: what `reset` or `step` gave."""
        self.observation = observation
        self.rows.append(observation)
        self.success = bool(info["is_success"])

    def step(self, action: Array, label: Array, job: Job) -> bool:
        """Act once; False when the episode is over."""
        if job.noise:
            jitter = self.rng.normal(0.0, job.noise, action.shape)
            if self.env.task.gripper:
                jitter[-1] = 0.0
            action = (action + jitter).astype(np.float32)
        if job.explore:
            if self.pace is None or len(self.actions) % HOLD == 0:
                self.pace = self.rng.normal(0.0, job.explore, action.shape)
            grip = action[-1] + 0.5 * self.pace[-1]
            action = (action * (1.0 + self.pace) + self.rng.normal(0.0, 0.02, action.shape)).astype(np.float32)
            if self.env.task.gripper:
                action[-1] = grip
        if job.mix and self.expert_acts(job.mix):
            action = label
        action = np.clip(action, -1.0, 1.0).astype(np.float32)
        observation, _, ended, cut, info = self.env.step(action)
        self.actions.append(action)
        self.labels.append(label)
        self.take(observation, info)
        return not (ended or cut)

    def expert_acts(self, mix: float) -> bool:
        """Whether this is a turn of the expert's; drawn when one begins."""
        if len(self.actions) % TURN == 0:
            self._relieved = bool(self.rng.random() < mix)
        return self._relieved

    def trajectory(self) -> Trajectory:
        """What came of it."""
        return Trajectory(
            seed=self.seed,
            observation=np.stack([r["observation"] for r in self.rows]),
            achieved_goal=np.stack([r["achieved_goal"] for r in self.rows]),
            desired_goal=np.stack([r["desired_goal"] for r in self.rows]),
            action=np.stack(self.actions),
            label=np.stack(self.labels),
            success=self.success,
        )


def jobs_of(
    env: Mapping[str, Any],
    seeds: Sequence[int],
    *,
    actor: BatchActor | None = None,
    noise: float = 0.0,
    explore: float = 0.0,
    options: Mapping[str, Any] | None = None,
    tempo: Tempo | None = None,
    mix: float = 0.0,
) -> list[Job]:
    """One episode per seed, in the jobs that decide which episodes run side by side; see `Job` for the arguments."""
    return [
        Job(
            env=tuple(sorted(env.items())),
            seeds=tuple(seeds[k : k + LANES]),
            actor=actor,
            noise=noise,
            explore=explore,
            options=tuple((options or {}).items()),
            tempo=tempo or Tempo(),
            mix=mix,
        )
        for k in range(0, len(seeds), LANES)
    ]


def close_cells(env: Mapping[str, Any]) -> None:
    """Close the cells of an environment that this process has opened."""
    for cell in _CELLS.pop(tuple(sorted(env.items())), []):
        cell.close()


class Collectors:
    """A crew that runs episodes of one environment."""

    def __init__(self, env: dict[str, Any], crew: Crew, tempo: Tempo | None = None) -> None:
        """Prepare; cells are built where and when they are needed.

        Args:
            env: Keyword arguments of `CellEnv`.
            crew: Who runs the episodes; not closed here.
            tempo: How briskly the expert moves; its own way if not given.
        """
        self._env = env
        self._crew = crew
        self.tempo = tempo or Tempo()

    def collect(
        self,
        seeds: Sequence[int],
        *,
        actor: BatchActor | None = None,
        noise: float = 0.0,
        explore: float = 0.0,
        options: Mapping[str, Any] | None = None,
        tempo: Tempo | None = None,
        mix: float = 0.0,
    ) -> list[Trajectory]:
        """Run one episode per seed; see `Job` for the arguments. The result is in the order of the seeds."""
        tempo = tempo or self.tempo
        how: dict[str, Any] = {"noise": noise, "explore": explore, "options": options, "mix": mix}
        jobs = jobs_of(self._env, seeds, actor=actor, tempo=tempo, **how)
        return [trajectory for part in self._crew.run(run_job, jobs) for trajectory in part]

    def close(self) -> None:
        """Close the cells in this process; those of workers end with them."""
        close_cells(self._env)
