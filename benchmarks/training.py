"""From nothing to a policy: wall time of imitation, then success and cycle time of the packed bundle.

Success is that of the shipped numpy inference over 200 episodes whose seeds training never used, sense noise and
latency on; the cycle is compared with the scripted expert's on the same seeds.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from genba.policies.collect import Collectors
from genba.policies.crew import LocalCrew
from genba.policies.evaluate import evaluate
from genba.policies.pack import pack
from genba.policies.recipe import load_recipe
from genba.policies.train import train
from genba.robots.description import load_robot

EPISODES = 200
WANTED = (("TeachPoint", "so101", 60.0, 0.99), ("PickPlace", "so101", 120.0, 0.95), ("PickPlace", "panda", 120.0, 0.95))


def expert(task: str, robot: str) -> tuple[float, float]:
    """Success rate and mean cycle of the scripted expert, s."""
    collectors = Collectors({"task": task, "robot": robot}, LocalCrew(0))
    episodes = collectors.collect(range(EPISODES))
    collectors.close()
    rate = 30.0
    return (
        float(np.mean([t.success for t in episodes])),
        float(np.mean([len(t) for t in episodes if t.success])) / rate,
    )


def main() -> int:
    """Train, pack, evaluate and print one row per task and arm."""
    algo = sys.argv[1] if len(sys.argv) > 1 else "imitate"
    print(f"| task, arm ({algo}) | wall time | at most | success | at least | cycle | expert's cycle | shorter by |")
    print("|---|---|---|---|---|---|---|---|")
    met = True
    for task, robot, longest, least in WANTED:
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            recipe = load_recipe(task, load_robot(robot), changes=[("algorithm", algo)])
            train(task=task, robot=robot, out=Path(folder) / "run", recipe=recipe, quiet=True)
            bundle = pack(Path(folder) / "run")
            seconds = time.monotonic() - started
        result = evaluate(bundle, EPISODES)
        _, by_expert = expert(task, robot)
        cycle = result.cycle_time.mean + bundle.manifest.success.hold_s
        met &= result.rate.rate >= least and (algo != "imitate" or seconds <= longest)
        print(
            f"| {task} {robot} | {seconds:.0f} s | {longest:.0f} s | {result.rate} | {least:.0%} "
            f"| {cycle:.2f} s | {by_expert:.2f} s | {1 - cycle / by_expert:.1%} |",
            flush=True,
        )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
