"""From nothing to a policy: wall time of imitation, then success and cycle time of the packed bundle.

Success is that of the shipped numpy inference over 200 episodes whose seeds training never used, sense noise and
latency on; the cycle is compared with the scripted expert's on the same seeds.

    python benchmarks/training.py                                     what is wanted of the first two tasks
    python benchmarks/training.py tempo+imitate MachineTend/panda ... an algorithm on tasks and arms of one's own
"""

import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from genba.envs.env import CellEnv
from genba.policies.crews.crew import LocalCrew
from genba.policies.evaluate import evaluate
from genba.policies.pack import pack
from genba.policies.train import train
from genba.policies.training.collect import Collectors
from genba.policies.training.outcome import judged
from genba.policies.training.recipe_load import load_recipe
from genba.robots.catalogue import load_robot

EPISODES = 200
WANTED = (("TeachPoint", "so101", 60.0, 0.99), ("PickPlace", "so101", 120.0, 0.95), ("PickPlace", "panda", 120.0, 0.95))
LONGEST = {"imitate": 180.0, "tempo+imitate": 900.0, "imitate+sac": 900.0}  # s, of any other task
LEAST = 0.95
SHORTER = {"tempo+imitate": 0.15, "imitate+sac": 0.15}


def expert(task: str, robot: str, crew: LocalCrew) -> tuple[float, float]:
    """Success rate of the scripted expert, and its mean time until success began, s."""
    with closing(CellEnv(task, robot)) as env, closing(Collectors({"task": task, "robot": robot}, crew)) as collectors:
        return judged(env, [(t.success, len(t)) for t in collectors.collect(range(EPISODES))])


def main() -> int:
    """Train, pack, evaluate and print one row per task and arm."""
    algo = sys.argv[1] if len(sys.argv) > 1 else "imitate"
    pairs = [pair.split("/") for pair in sys.argv[2:]]
    wanted = [(task, robot, LONGEST.get(algo, 900.0), LEAST) for task, robot in pairs] or WANTED
    print(
        f"| task, arm ({algo}) | wall time | at most | success | expert's | at least | cycle | expert's | shorter by |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    met = True
    for task, robot, longest, least in wanted:
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            recipe = load_recipe(task, load_robot(robot), changes=[("algorithm", algo)])
            train(task=task, robot=robot, out=Path(folder) / "run", recipe=recipe, quiet=True)
            bundle = pack(Path(folder) / "run")
            seconds = time.monotonic() - started
        with closing(LocalCrew()) as crew:
            result = evaluate(bundle, EPISODES, crew=crew)
            rate, by_expert = expert(task, robot, crew)
        cycle = result.cycle_time.mean
        shorter = 1.0 - cycle / by_expert
        met &= result.rate.rate >= least and seconds <= longest and shorter >= SHORTER.get(algo, -1.0)
        print(
            f"| {task} {robot} | {seconds:.0f} s | {longest:.0f} s | {result.rate} | {rate:.1%} | {least:.0%} "
            f"| {cycle:.2f} s | {by_expert:.2f} s | {shorter:.1%} |",
            flush=True,
        )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
