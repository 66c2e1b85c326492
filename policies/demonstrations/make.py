"""A set of demonstrations, from a task's name to a dataset on disk.

The episodes are those that a training of the same seed, noise and count would begin with: the first half clean, the
second with noise on what is sent. An interrupted run goes on with the job it was in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...envs.env import CellEnv
from ...robots.errors import RefusedError
from ..crews.crew import Crew
from ..statistics import Rate, success_rate
from ..training.collect import close_cells, jobs_of
from ..training.outcome import SEED_BLOCK, VALIDATION_SEEDS
from .columns import columns_of
from .identity import identity_of
from .pieces import Pieces
from .record import Episode, record_job
from .whole import write_whole

WAVE = 4  # jobs per worker that may be in memory at the same time


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was written.

    Attributes:
        path: The dataset.
        task: Task name.
        robot: Robot name.
        episodes: Episodes in it.
        frames: Frames in it.
        rate: How many episodes ended in success.
        resumed: Episodes that an earlier run had left.
    """

    path: Path
    task: str
    robot: str
    episodes: int
    frames: int
    rate: Rate
    resumed: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "path": str(self.path),
            "task": self.task,
            "robot": self.robot,
            "episodes": self.episodes,
            "frames": self.frames,
            "successes": self.rate.successes,
            "resumed": self.resumed,
        }


def make(
    *,
    task: str,
    robot: str,
    out: Path,
    episodes: int,
    crew: Crew,
    seed: int = 0,
    noise: float = 0.0,
    randomize: str = "off",
    level: str = "",
    obs: str = "state",
    on_episode: Callable[[bool], None] = lambda success: None,
) -> Made:
    """Let the expert demonstrate a task and write what it did.

    Args:
        task: Task name.
        robot: Robot name.
        out: Folder of the dataset, which must not exist yet.
        episodes: How many.
        crew: Who runs them.
        seed: As in a training; another gives other episodes.
        noise: Standard deviation of the noise on what is sent in the second half of the episodes.
        randomize: What differs between episodes: "off", "nominal" or "wide".
        level: Degree of difficulty, where the task has several; what the arm is judged by if empty.
        obs: "state", "rgb" or "state+rgb".
        on_episode: Called after each with whether it succeeded.

    Raises:
        RefusedError: If a name is unknown, the folder holds something, or the disk refuses.
    """
    if not 0.0 <= noise <= 1.0:
        raise RefusedError(f"noise is {noise}; it must be within 0 and 1, the size of the largest action")
    if episodes >= VALIDATION_SEEDS:
        raise RefusedError(f"{episodes} episodes are too many for one seed; it has fewer than {VALIDATION_SEEDS}")
    options: dict[str, Any] = {"task": task, "robot": robot, "randomize": randomize, "obs": obs}
    if level:
        options["level"] = level
    cell = CellEnv(**options)
    try:
        identity = identity_of(cell, obs=obs, randomize=randomize, seed=seed, episodes=episodes, noise=noise)
        pieces = Pieces(out, identity, columns_of(cell))
        words, rate_hz = cell.task.title, cell.control_rate_hz
    finally:
        cell.close()
    first = (seed + 1) * SEED_BLOCK
    half = first + episodes // 2
    jobs = jobs_of(options, range(first, half)) + jobs_of(options, range(half, first + episodes), noise=noise)
    index = {job.seeds[0]: k for k, job in enumerate(jobs)}

    def keep(found: list[Episode]) -> None:
        pieces.add(index[found[0].seed], found[0].seed - first, found, rate_hz)
        for episode in found:
            on_episode(episode.success)

    done = [k for k in range(len(jobs)) if pieces.has(k)]
    for row in [row for k in done for row in pieces.episodes(k)]:
        on_episode(bool(row["genba/success"]))
    left = [job for k, job in enumerate(jobs) if k not in done]
    wave = WAVE * max(1, crew.size)
    try:
        for k in range(0, len(left), wave):
            crew.run(record_job, left[k : k + wave], keep)
    finally:
        close_cells(options)
    said = [row for k in range(len(jobs)) for row in pieces.episodes(k)]
    write_whole(pieces, len(jobs), identity, words)
    return Made(
        path=out,
        task=identity.task,
        robot=identity.robot,
        episodes=episodes,
        frames=sum(row["length"] for row in said),
        rate=success_rate(sum(bool(row["genba/success"]) for row in said), episodes),
        resumed=sum(len(jobs[k].seeds) for k in done),
    )
