"""Episodes from several cells at once: by the expert, by a learner, or by a learner whom the expert corrects.

Cells of one worker run in lockstep, so that expert and network see batches. An episode depends only on its seed
and on who acts, because resets are exact; splitting the seeds over more workers changes the last digit of a network's
actions at most, where batches of another size are summed in another order.
"""

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver, get_context, parent_process, resource_tracker
from multiprocessing.connection import wait
from threading import Thread, current_thread, main_thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..envs.env import CellEnv
from ..robots.features import FeatureMap

Array = NDArray[np.float32]

LANES = 8  # cells per worker
HOLD = 8  # ticks for which exploration stays the same


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
    """

    env: tuple[tuple[str, Any], ...]
    seeds: tuple[int, ...]
    actor: BatchActor | None = None
    noise: float = 0.0
    explore: float = 0.0
    options: tuple[tuple[str, Any], ...] = ()


_CELLS: dict[tuple[tuple[str, Any], ...], list[CellEnv]] = {}


def run_job(job: Job) -> list[Trajectory]:
    """Run all episodes of a job in this process; its cells stay open for the next one."""
    cells = _CELLS.setdefault(job.env, [])
    while len(cells) < min(LANES, len(job.seeds)):
        cells.append(CellEnv(**dict(job.env)))
    waiting = list(reversed(job.seeds))
    lanes = [_Lane(cell) for cell in cells[: min(LANES, len(job.seeds))]]
    done: list[Trajectory] = []
    active = lanes
    for lane in active:
        lane.start(waiting.pop(), job)
    while active:
        env = active[0].env
        batch = {g: np.stack([lane.observation[g] for lane in active]) for g in ("observation", "desired_goal")}
        labels = type(env.task).expert(env.robot, env.fields(batch)).astype(np.float32)
        if job.actor is None:
            chosen = labels
        else:
            chosen = job.actor(np.concatenate([batch["observation"], batch["desired_goal"]], axis=1))
        still = []
        for lane, action, label in zip(active, chosen, labels, strict=True):
            if lane.step(action, label, job):
                still.append(lane)
                continue
            done.append(lane.trajectory())
            if waiting:
                lane.start(waiting.pop(), job)
                still.append(lane)
        active = still
    order = {seed: k for k, seed in enumerate(job.seeds)}
    return sorted(done, key=lambda t: order[t.seed])


class _Lane:
    """One cell on its way through an episode."""

    def __init__(self, env: CellEnv) -> None:
        self.env = env

    def start(self, seed: int, job: Job) -> None:
        self.seed = seed
        self.rng = np.random.default_rng((seed, 7))
        self.pace: NDArray[np.float64] | None = None
        self.observation, info = self.env.reset(seed=seed, options=dict(job.options))
        self.rows = [self.observation]
        self.actions: list[Array] = []
        self.labels: list[Array] = []
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
        action = np.clip(action, -1.0, 1.0).astype(np.float32)
        self.observation, _, ended, cut, info = self.env.step(action)
        self.rows.append(self.observation)
        self.actions.append(action)
        self.labels.append(label)
        self.success = bool(info["is_success"])
        return not (ended or cut)

    def trajectory(self) -> Trajectory:
        return Trajectory(
            seed=self.seed,
            observation=np.stack([r["observation"] for r in self.rows]),
            achieved_goal=np.stack([r["achieved_goal"] for r in self.rows]),
            desired_goal=np.stack([r["desired_goal"] for r in self.rows]),
            action=np.stack(self.actions),
            label=np.stack(self.labels),
            success=self.success,
        )


@contextmanager
def _postponed() -> Iterator[None]:
    """Let Ctrl-C and a polite kill wait until the end of the block: a worker half started belongs to nobody.

    Blocking the signals would not do, because any thread may take them; ignoring them would lose them.
    """
    if current_thread() is not main_thread():  # where no handler runs
        yield
        return
    came: list[int] = []
    before = {n: signal.signal(n, lambda number, frame: came.append(number)) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def _start_server() -> None:
    """Start the process that forks workers so that Ctrl-C reaches neither it nor them from their first instruction.

    Pressed while a worker starts, it would print a traceback. A blocked signal is inherited as blocked.
    """
    resource_tracker.ensure_running()  # blocks and unblocks by itself
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve() -> None:
    """Make a worker of this process: Ctrl-C is its parent's business, and it does not outlive its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = parent_process()
    if parent is not None:
        Thread(target=_leave_with, args=(parent.sentinel,), daemon=True).start()


def _leave_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


class Collectors:
    """Worker processes with cells; or none, then everything runs here."""

    def __init__(self, env: dict[str, Any], workers: int) -> None:
        """Prepare workers.

        Args:
            env: Keyword arguments of `CellEnv`.
            workers: Processes beside this one; 0 to run in this process.
        """
        self._env = tuple(sorted(env.items()))
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        if workers:
            with _postponed():
                _start_server()
            self._pool = ProcessPoolExecutor(workers, mp_context=get_context("forkserver"), initializer=_serve)

    def collect(
        self,
        seeds: Sequence[int],
        *,
        actor: BatchActor | None = None,
        noise: float = 0.0,
        explore: float = 0.0,
        options: Mapping[str, Any] | None = None,
    ) -> list[Trajectory]:
        """Run one episode per seed; see `Job` for the arguments. The result is in the order of the seeds."""
        parts = max(1, self._workers)
        jobs = [
            Job(
                env=self._env,
                seeds=tuple(seeds[k::parts]),
                actor=actor,
                noise=noise,
                explore=explore,
                options=tuple((options or {}).items()),
            )
            for k in range(parts)
            if len(seeds) > k
        ]
        if self._pool:
            # Interrupted in the middle of a start, the pool would not know its own worker, which nobody then ends.
            with _postponed():
                futures = [self._pool.submit(run_job, job) for job in jobs]
            results = [future.result() for future in futures]
        else:
            results = [run_job(job) for job in jobs]
        order = {seed: k for k, seed in enumerate(seeds)}
        return sorted((t for part in results for t in part), key=lambda t: order[t.seed])

    def close(self) -> None:
        """Stop the workers."""
        if self._pool:
            # Nothing waits for episodes that nobody will see: what they would have given is not kept anyway.
            workers = list((self._pool._processes or {}).values())
            self._pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.join()
        else:
            for cell in _CELLS.pop(self._env, []):
                cell.close()
