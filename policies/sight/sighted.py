"""Episodes in which the learner sees pictures while the expert, who sees everything, says what to do.

Of the whole state every tick is kept, of the pictures every few ticks: neighbours look alike, and pictures are what
fills the memory.

A learner whose eyes are poor stands before the first part for the rest of the episode and sees nothing new. So in every
other episode it is relieved: block by block it acts, or the expert acts and brings the work forward, or the hand is led
astray for some ticks, from where either has to come back.

And since pictures cost less than episodes, wherever a picture is kept others are taken of what would be seen if the
hand were a little elsewhere, see `envs/glance.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.env import CellEnv
from ...envs.glance import Glances
from ...robots.observation import Observation, ObservationSpec
from ..crews.crew import Crew
from ..eyes import Eyes
from ..eyes_numpy import Sight
from ..training.collect import BatchActor, Job, Lane, Trajectory, expert_labels, jobs_of, run_lanes
from ..training.tempo import Tempo

Array = NDArray[np.float32]
Frames = dict[str, NDArray[np.uint8]]

ASIDE, TURNED = 0.020, 0.25  # standard deviations of a glance, m and rad
LOW = 0.020  # height of the tool, m, below which no glance goes down
BLOCK, ASTRAY = 40, 8  # ticks of a block, and at the most of being led astray
EXPERT, LED = 0.4, 0.2  # shares of the blocks in which the expert acts, and that begin with being led astray


@dataclass(frozen=True, slots=True, kw_only=True)
class SightedActor:
    """A learner on batches, light enough to send to a collector.

    Attributes:
        eyes: What its eyes are.
        spec: What is measured.
        weights: Of the eyes.
        behind: What acts on measured and estimated fields.
    """

    eyes: Eyes
    spec: ObservationSpec
    weights: Mapping[str, Array]
    behind: BatchActor


@dataclass(frozen=True, slots=True, kw_only=True)
class SightedJob(Job):
    """Episodes for one worker; see `Job`.

    Attributes:
        learner: Who acts; the expert if None.
        every: Ticks between two pictures that are kept.
        most: Ticks after which an episode is cut; as in the environment if 0.
        glances: How many there are for each picture that is kept.
    """

    learner: SightedActor | None = None
    every: int = 1
    most: int = 0
    glances: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighted:
    """One episode of which pictures were kept.

    Attributes:
        whole: The episode, with the whole state behind the pictures.
        ticks: Of which ticks there are pictures, (m,).
        aside: Whole observation and goal of each glance, (g, inputs).
        label: What the expert would have done there, (g, actions).
        frames: By camera, (m + g, height, width, 3), those of the ticks first.
    """

    whole: Trajectory
    ticks: NDArray[np.int64]
    aside: Array
    label: Array
    frames: Frames


class SightedLane(Lane):
    """A cell with cameras on its way through an episode."""

    def __init__(self, env: CellEnv) -> None:
        """Take a cell."""
        super().__init__(env)
        self._names = [mount.name for mount in env.task.cameras]

    def start(self, seed: int, job: Job) -> None:
        """Begin the episode of a seed."""
        self.ticks: list[int] = []
        self.frames: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in self._names}
        self.every = job.every if isinstance(job, SightedJob) else 1
        self.glances = job.glances if isinstance(job, SightedJob) else 0
        self.tempo = job.tempo
        self.aside: list[Array] = []
        self.elsewhere: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in self._names}
        self.wander = np.random.default_rng((seed, 13))
        self.relief = np.random.default_rng((seed, 11)) if isinstance(job, SightedJob) and relieved(seed, job) else None
        super().start(seed, job)

    def take(self, observation: Observation, info: Mapping[str, Any]) -> None:
        """Keep a moment: the whole state, and pictures if it is their turn."""
        self.seen = observation
        tick = len(self.rows)
        # Episodes begin alike, so each has another phase.
        if (tick + self.seed) % self.every == 0:
            self.ticks.append(tick)
            for name in self._names:
                self.frames[name].append(observation[f"{name}_rgb"])  # type: ignore[arg-type]
        whole = self.env.behind()
        if self.glances and self.ticks[-1:] == [tick]:
            self._glance()
        super().take(whole, info)

    def _glance(self) -> None:
        """Look from a little elsewhere: mostly above, and never deeper into the table."""
        draws = self.wander.normal(0.0, (ASIDE, ASIDE, ASIDE, TURNED), (self.glances, 4))
        down = self.wander.random(self.glances) < 0.25
        height = self.env.station.pose.position[2]
        with Glances(self.env) as look:
            for (x, y, z, turn), lower in zip(draws.tolist(), down, strict=True):
                up = -min(abs(z), max(height - LOW, 0.0)) if lower else abs(z)
                seen, whole = look((x, y, up, turn))
                self.aside.append(np.concatenate([whole["observation"], whole["desired_goal"]]))
                for name in self._names:
                    self.elsewhere[name].append(seen[f"{name}_rgb"])  # type: ignore[arg-type]

    def step(self, action: Array, label: Array, job: Job) -> bool:
        """Act once; False when the episode is over."""
        if self.relief is not None:
            action = self._relieve(action, label)
        goes_on = super().step(action, label, job)
        return goes_on and not (isinstance(job, SightedJob) and len(self.actions) == job.most)

    def _relieve(self, action: Array, label: Array) -> Array:
        """What is sent in a relieved episode; the fingers are never led astray, or they would drop what they hold."""
        at = len(self.actions) % BLOCK
        if at == 0 and self.relief is not None:
            self._expert = self.relief.random() < EXPERT
            self._astray = int(self.relief.integers(1, ASTRAY + 1)) if self.relief.random() < LED else 0
            self._way = self.relief.uniform(-1.0, 1.0, label.shape).astype(np.float32)
        sent = label if self._expert else action
        if at < self._astray:
            sent = self._way.copy()
            if self.env.task.gripper:
                sent[-1] = label[-1]
        return sent

    def sighted(self) -> Sighted:
        """What came of it; of the last moment, on which nobody acted, there is no picture."""
        whole = self.trajectory()
        kept = [k for k, tick in enumerate(self.ticks) if tick < len(whole)]
        shapes = {name: self.seen[f"{name}_rgb"].shape for name in self._names}
        frames = {name: [self.frames[name][k] for k in kept] + self.elsewhere[name] for name in self._names}
        aside = np.stack(self.aside) if self.aside else np.zeros((0, whole.x.shape[1]), np.float32)
        return Sighted(
            whole=whole,
            ticks=np.array([self.ticks[k] for k in kept], np.int64),
            aside=aside,
            label=self._labels(aside),
            frames={
                name: np.stack(seen) if seen else np.zeros((0, *shapes[name]), np.uint8)
                for name, seen in frames.items()
            },
        )

    def _labels(self, x: Array) -> Array:
        """What the expert would do there."""
        split = self.env.spec_.size("observation")
        batch = {"observation": x[:, :split], "desired_goal": x[:, split:]}
        return expert_labels(self.env, batch, self.tempo)


def relieved(seed: int, job: SightedJob) -> bool:
    """Whether a learner is relieved in the episode of a seed."""
    return job.learner is not None and job.most > 0 and seed % 2 == 1


def run_sighted_job(job: SightedJob) -> list[Sighted]:
    """Run all episodes of a job in this process, side by side."""
    act = None
    if job.learner is not None:
        act = Acting(job.learner)
    return [lane.sighted() for lane in run_lanes(job, SightedLane, act)]


class Acting:
    """A learner at work on several lanes."""

    def __init__(self, learner: SightedActor) -> None:
        """Lay out its eyes."""
        self._sight = Sight(learner.eyes, learner.spec, learner.weights)
        self._behind = learner.behind
        self._names = [f"{view.name}_rgb" for view in learner.eyes.views]

    def __call__(self, lanes: Sequence[SightedLane]) -> Array:
        """What it does now, (lanes, actions)."""
        own = np.stack([lane.seen["observation"] for lane in lanes])
        goal = np.stack([lane.seen["desired_goal"] for lane in lanes])
        pictures: Any = {name: np.stack([lane.seen[name] for lane in lanes]) for name in self._names}
        estimated = self._sight(pictures, np.concatenate([own, goal], axis=1))
        return self._behind(np.concatenate([own, estimated, goal], axis=1))


def collect(
    env: Mapping[str, Any],
    crew: Crew,
    seeds: Sequence[int],
    *,
    every: int,
    learner: SightedActor | None = None,
    noise: float = 0.0,
    most: int = 0,
    glances: int = 0,
    tempo: Tempo | None = None,
) -> list[Sighted]:
    """Run one episode per seed; see `SightedJob` for the arguments. The result is in the order of the seeds."""
    jobs = [
        SightedJob(
            env=job.env,
            seeds=job.seeds,
            noise=noise,
            learner=learner,
            every=every,
            most=most,
            glances=glances,
            tempo=job.tempo,
        )
        for job in jobs_of(env, seeds, tempo=tempo)
    ]
    return [one for part in crew.run(run_sighted_job, jobs) for one in part]
