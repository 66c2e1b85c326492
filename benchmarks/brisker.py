"""Shipped policies beside the scripted expert at its own tempo, on the same seeds.

`python benchmarks/brisker.py 200 BinPick_ur5e Kit_ur5e` runs 200 episodes of each; success is compared by the exact
McNemar test. Cycles are simulated time, so a busy machine changes nothing.
"""

import sys
from contextlib import closing

import numpy as np

from genba.envs.env import CellEnv
from genba.policies.catalogue import find_policy
from genba.policies.crews.crew import LocalCrew
from genba.policies.evaluate import evaluate
from genba.policies.statistics import sign_test
from genba.policies.training.collect import Collectors


def main() -> None:
    """Print a line for each policy."""
    episodes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with closing(LocalCrew()) as crew:
        for name in sys.argv[2:] or ["TeachPoint_panda"]:
            policy = evaluate(find_policy(name), episodes, crew=crew)
            options = {"task": policy.task, "robot": policy.robot}
            with closing(CellEnv(**options)) as env:
                dt, hold = env.dt, env.task.success.hold_s
            with closing(Collectors(options, crew)) as collectors:
                expert = collectors.collect(range(episodes))
            could = np.array([episode.success for episode in expert])
            can = np.array([trial.success for trial in policy.trials])
            own = float(np.mean([len(e) * dt - hold for e in expert if e.success]))
            cycle = float(np.mean([t.cycle_time for t in policy.trials if t.success]))
            p = sign_test(int((could & ~can).sum()), int((can & ~could).sum()))
            print(
                f"{name}: expert {could.sum()}/{episodes} {own:.2f} s, policy {can.sum()}/{episodes} {cycle:.2f} s, "
                f"shorter by {100.0 * (1.0 - cycle / own):.1f} %, p {p:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
