"""Every task with every arm beside panda-gym: simulated seconds per CPU second under the scripted expert, and resets.

    python benchmarks/suite.py [rounds [Task ...]]

The expert's actions of one episode are recorded first and replayed for the measurement, which resets being exact makes
the same episode to the bit: what is measured is the environment with all its contacts, not the expert. panda-gym's
PandaPickAndPlace-v3, which has no expert, takes random actions and so touches less. Episodes and peer take turns.
"""

import statistics
import sys
import time

import gymnasium as gym
import numpy as np
import panda_gym  # type: ignore[import-not-found]  # noqa: F401 - registers its ids

from genba.envs.bullet import bullet
from genba.envs.env import CellEnv
from genba.envs.tasks import load_task, task_names
from genba.robots.catalogue import load_robot

PEER_STEPS, PEER_DT = 150, 0.04
RESETS = 10_000


def record(env: CellEnv, seed: int) -> list[np.ndarray]:
    """Actions of the expert through one episode."""
    observation, _ = env.reset(seed=seed)
    actions = []
    ended = cut = False
    while not (ended or cut):
        actions.append(env.expert_action(observation))
        observation, _, ended, cut, _ = env.step(actions[-1])
    return actions


def replay(env: CellEnv, seed: int, actions: list[np.ndarray]) -> float:
    """Simulated seconds per CPU second of the same episode."""
    env.reset(seed=seed)
    start = time.process_time()
    for action in actions:
        env.step(action)
    return len(actions) * env.dt / (time.process_time() - start)


def peer_rate(peer: gym.Env, actions: np.ndarray) -> float:  # type: ignore[type-arg]
    """The same of panda-gym, reset every 50 steps as its horizon has it."""
    start = time.process_time()
    for k, action in enumerate(actions):
        if k % 50 == 0:
            peer.reset(seed=k)
        peer.step(action)
    return len(actions) * PEER_DT / (time.process_time() - start)


def physics_share(env: CellEnv, seed: int, actions: list[np.ndarray]) -> float:
    """Share of a step's CPU that Bullet's own `stepSimulation` takes."""
    inside = 0.0
    honest = bullet.stepSimulation

    def timed(*args: int) -> None:
        nonlocal inside
        start = time.process_time()
        honest(*args)
        inside += time.process_time() - start

    env.reset(seed=seed)
    bullet.stepSimulation = timed
    try:
        start = time.process_time()
        for action in actions[:600]:
            env.step(action)
        return inside / (time.process_time() - start)
    finally:
        bullet.stepSimulation = honest


def reset_ms(env: CellEnv, count: int = 200) -> float:
    """CPU ms of one reset, observation included."""
    start = time.process_time()
    for seed in range(count):
        env.reset(seed=seed)
    return (time.process_time() - start) / count * 1e3


def grown_mb(env: CellEnv) -> float:
    """By how much 10,000 resets enlarge the process, MB."""

    def resident() -> int:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - not a file of ours
            return int(file.read().split()[1]) * 4096

    for seed in range(300):
        env.reset(seed=seed)
    before = resident()
    for seed in range(RESETS):
        env.reset(seed=seed)
    return (resident() - before) / 1e6


def main() -> None:
    """Measure in turns and print one table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    names = sys.argv[2:] or task_names()
    peer = gym.make("PandaPickAndPlace-v3").unwrapped
    noise = np.random.default_rng(0).uniform(-1.0, 1.0, (PEER_STEPS, 4)).astype(np.float32)
    peer_rate(peer, noise)
    print("| task | arm | against panda-gym | wanted | x real time | stepSimulation | reset ms | 10,000 resets MB |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names:
        for robot in load_task(name).offered():
            env = CellEnv(name, robot)
            actions = record(env, 0)
            ratios, rates = [], []
            for _ in range(rounds):
                theirs = peer_rate(peer, noise)
                rates.append(replay(env, 0, actions))
                ratios.append(rates[-1] / theirs)
            wanted = 3.0 if load_robot(robot).tolerance == "servo" else 1.5
            ratio = statistics.median(ratios)
            print(
                f"| {name} | {robot} | {ratio:.2f}x{'' if ratio >= wanted else ' (missed)'} | {wanted}x "
                f"| {statistics.median(rates):.0f} | {100 * physics_share(env, 0, actions):.0f} % "
                f"| {reset_ms(env):.2f} | {grown_mb(env):.1f} |",
                flush=True,
            )
            env.close()
    peer.close()


if __name__ == "__main__":
    main()
