"""From nothing to a policy that runs on servos: train TeachPoint, pack it, run the file on a virtual SO-101."""

import sys
import tempfile
from pathlib import Path

from genba.drivers.arm import BenchArm
from genba.policies.bundle import PolicyBundle
from genba.policies.evaluate import evaluate
from genba.policies.pack import pack
from genba.policies.run import run_bundle
from genba.policies.train import train
from genba.policies.training.recipe_load import load_recipe
from genba.robots.catalogue import load_robot


def main() -> int:
    """Train for less than a minute on two processors; return the exit code of the run."""
    with tempfile.TemporaryDirectory() as folder:
        run, file = Path(folder) / "run", Path(folder) / "point.genba"
        recipe = load_recipe("TeachPoint", load_robot("so101"), changes=[("algorithm", "imitate")])
        outcome = train(task="TeachPoint", robot="so101", out=run, recipe=recipe, seed=7)
        print(f"trained in {outcome.seconds:.0f} s, {outcome.steps} steps")
        print("in simulation:", evaluate(pack(run, file), 50).rate)
        with BenchArm.open(load_robot("so101"), "genba-sim://so101?time=virtual") as arm:
            arm.arm()
            report = run_bundle(PolicyBundle.load(file), arm, episodes=3)
    print(report)
    return report.exit_code


if __name__ == "__main__":  # collectors are processes of their own and import this file
    sys.exit(main())
