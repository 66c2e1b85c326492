"""What it costs to step many cells at once, beside the cells: `make_vec`, and SB3's and Gymnasium's own vectors.

    python benchmarks/vector.py [rounds] [cells]

Random actions and the same seeds for all, so that every contestant does the same physics; a reset where an episode is
over. CPU time is that of the calling process and its workers together; what the same cells cost in a bare loop is
subtracted round by round. Two processors that share caches, memory or one core slow each other down whatever they do,
so two workers stand beside two bare loops at once, which talk to nobody: what those cost is the cells' own. Where the
machine does something else, all figures but those of the empty cell grow; wall time means something only on an idle
machine with two processors.
"""

import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from _measure import Row, show
from gymnasium.vector import AsyncVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from genba.envs import make_vec

STEPS = 5  # vector steps a slice


class Bare:
    """The cells and a loop."""

    def __init__(self, make: Callable[[], gym.Env[Any, Any]], n: int) -> None:
        self.envs = [make().unwrapped for _ in range(n)]
        for k, env in enumerate(self.envs):
            env.reset(seed=k)

    def step(self, actions: Any) -> None:
        """Step all, reset those that are done."""
        for env, action in zip(self.envs, actions, strict=True):
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

    def close(self) -> None:
        """Close all."""
        for env in self.envs:
            env.close()


class TwoBare:
    """Half of the cells in each of two processes, which step at the same time and are told only when to begin."""

    def __init__(self, make: Callable[[], gym.Env[Any, Any]], n: int) -> None:
        context = multiprocessing.get_context("fork")
        self.lines = []
        self.processes = []
        for share in (n - n // 2, n // 2):
            line, theirs = context.Pipe()
            process = context.Process(target=_loop, args=(theirs, make, share), daemon=True)
            process.start()
            self.lines.append(line)
            self.processes.append(process)
        self.first = n - n // 2
        self._tell()

    def _tell(self) -> None:
        for line in self.lines:
            line.recv()

    def prepare(self, actions: Any) -> None:
        """Hand out the actions of a slice beforehand."""
        self.lines[0].send(actions[:, : self.first])
        self.lines[1].send(actions[:, self.first :])
        self._tell()

    def run(self) -> None:
        """Let both step through them."""
        for line in self.lines:
            line.send(None)
        self._tell()

    def close(self) -> None:
        """End both."""
        for process in self.processes:
            process.terminate()
            process.join()


def _loop(line: Any, make: Callable[[], gym.Env[Any, Any]], n: int) -> None:
    """One of the two processes."""
    cells = Bare(make, n)
    line.send(None)
    while True:
        actions = line.recv()
        line.send(None)
        line.recv()
        for each in actions:
            cells.step(each)
        line.send(None)


@dataclass(slots=True, kw_only=True)
class Contestant:
    """A vector with its processes.

    Attributes:
        vector: What steps.
        pids: Of its workers.
        cpu: CPU seconds per env step, all processes, one figure a round.
        own: Those of the calling process.
        wall: Seconds on the clock.
    """

    vector: Any
    pids: list[int]
    cpu: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def slice(self, actions: Any) -> None:
        """Step through the actions and note what it cost."""
        if isinstance(self.vector, TwoBare):
            self.vector.prepare(actions)
        own, cpu, wall = time.process_time(), sum(map(cpu_of, self.pids)), time.perf_counter()
        if isinstance(self.vector, TwoBare):
            self.vector.run()
        else:
            for each in actions:
                self.vector.step(each)
        wall, own = time.perf_counter() - wall, time.process_time() - own
        cpu = sum(map(cpu_of, self.pids)) - cpu + own
        for figures, seconds in ((self.cpu, cpu), (self.own, own), (self.wall, wall)):
            figures.append(seconds / actions.shape[0] / actions.shape[1])


def cpu_of(pid: int) -> float:
    """CPU seconds of another process, by the clock that Linux has for it."""
    return time.clock_gettime((~pid << 3) | 2)


def descendants(pid: int) -> set[int]:
    """All processes that a process and its children have started."""
    children = {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    return children.union(*map(descendants, children))


def compete(env_id: str, n: int, rounds: int) -> dict[str, Contestant]:
    """Let all step the same cells in turns."""

    def make() -> gym.Env[Any, Any]:
        return gym.make(env_id, disable_env_checker=True)

    kinds: dict[str, Callable[[], Any]] = {
        "the cells alone": lambda: Bare(make, n),
        "the cells alone, in two processes": lambda: TwoBare(make, n),
        "make_vec, no worker": lambda: make_vec(env_id, n, 0),
        "make_vec, 1 worker": lambda: make_vec(env_id, n, 1),
        "make_vec, 2 workers": lambda: make_vec(env_id, n, 2),
        "SB3 DummyVecEnv": lambda: DummyVecEnv([make] * n),
        f"SB3 SubprocVecEnv, {n} workers": lambda: SubprocVecEnv([make] * n),
        f"Gymnasium AsyncVectorEnv, {n} workers": lambda: AsyncVectorEnv([make] * n),
    }
    found: dict[str, Contestant] = {}
    for name, kind in kinds.items():
        before = descendants(os.getpid())
        vector = kind()
        if isinstance(vector, AsyncVectorEnv):
            vector.reset(seed=0)
        elif not isinstance(vector, Bare | TwoBare):
            vector.seed(0)
            vector.reset()
        found[name] = Contestant(vector=vector, pids=sorted(descendants(os.getpid()) - before))
    size = make().action_space.shape or ()
    rng = np.random.default_rng(0)
    for _ in range(rounds + 1):
        actions = rng.uniform(-1.0, 1.0, (STEPS, n, *size)).astype(np.float32)
        for contestant in found.values():
            contestant.slice(actions)
    for contestant in found.values():
        contestant.vector.close()
        for figures in (contestant.cpu, contestant.own, contestant.wall):
            del figures[0]  # caches, lazy imports
    return found


def beside(one: Contestant, alone: Contestant) -> float:
    """CPU seconds per env step beside the cells."""
    return statistics.median(a - b for a, b in zip(one.cpu, alone.cpu, strict=True))


def main() -> None:
    """Measure in turns and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 16
    rows = []
    tables = {}
    for what, env_id in (
        ("an empty cell", "_empty_cell:Empty-v0"),
        ("PickPlace so101", "genba.envs:genba/PickPlace-v0"),
    ):
        found = compete(env_id, n, rounds)
        alone, one, two = (found[k] for k in ("the cells alone", "make_vec, 1 worker", "make_vec, 2 workers"))
        apart = found["the cells alone, in two processes"]
        for name, contestant, control in (("1 worker", one, alone), ("2 workers", two, apart)):
            cost = beside(contestant, control) * 1e6
            rows.append(Row(what=f"{what}, {n} in {name}: CPU beside the cell", measured=cost, wanted=15.0, unit="us"))
        tables[what] = found
    ratio = statistics.median(a / b for a, b in zip(alone.wall, two.wall, strict=True))
    rows.append(Row(what=f"PickPlace so101, {n} in 2 workers: wall time of one process", measured=ratio, wanted=1.7,
                    unit="x", least=True))  # fmt: skip
    ceiling = statistics.median(a / b for a, b in zip(alone.wall, apart.wall, strict=True))
    show("Many cells at once, per env step", rows)
    print(f"\nTwo bare loops in two processes, the most that is possible here: {ceiling:.2f} x")
    for what, found in tables.items():
        print(f"\n| {what} | CPU us | beside the cells | here | wall us |\n|---|---|---|---|---|")
        alone = found["the cells alone"]
        for name, one in found.items():
            cpu, own, wall = (statistics.median(figures) * 1e6 for figures in (one.cpu, one.own, one.wall))
            here = own if one.pids else own - statistics.median(alone.cpu) * 1e6
            print(f"| {name} | {cpu:.1f} | {beside(one, alone) * 1e6:.1f} | {here:.1f} | {wall:.1f} |")


if __name__ == "__main__":
    main()
