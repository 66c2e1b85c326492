"""What every test may rely on: Hypothesis without time limits, for a loaded machine is not a fault, and policies."""

import os
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from genba.policies.bundle import PolicyBundle

# A shell that starts a job in the background tells it to ignore Ctrl-C, and a test that presses it would wait for ever.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run: what fails was broken by the change at hand. New ones are searched for with
# HYPOTHESIS_PROFILE=search.
settings.register_profile("genba", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "genba"))


@pytest.fixture
def proportional() -> "PolicyBundle":
    """A policy of one layer that does TeachPoint on the SO-101: each axis asks for a quarter of what is left."""
    from genba.envs.tasks import load_task
    from genba.policies.manifest import Control, Normalisation, Provenance, TaskInfo
    from genba.policies.pack import Layers, TrainingRun, assemble
    from genba.robots.catalogue import load_robot
    from genba.robots.features import Feature
    from genba.robots.success import goal_vector

    robot = load_robot("so101")
    task = load_task("TeachPoint")(robot, "servo")
    spec = task.spec()
    features = (
        Feature("difference", "goal_position", "tcp_position"),
        Feature("angle_difference", "goal_yaw", "tcp_yaw"),
    )
    rng = np.random.default_rng(5)
    poses = [task.sample_pose(rng) for _ in range(4)]
    weight = np.zeros((4, 5), dtype=np.float32)
    weight[[0, 1, 2], [0, 1, 2]] = 0.25 / robot.ee_step
    weight[3, 3] = 0.25 / robot.ee_turn
    run = TrainingRun(
        task=TaskInfo(name="TeachPoint", tolerance="servo", max_steps=round(task.horizon_s * robot.control_rate_hz)),
        robot="so101",
        control=Control(mode="ee_delta", rate_hz=robot.control_rate_hz, gripper=False),
        spec=spec,
        features=features,
        normalisation=Normalisation(mean=(0.0,) * 5, std=(1.0,) * 5),
        network=Layers(layers=("actor.mu",), activation="relu", squash="clip"),
        success=task.success,
        taught_points=tuple(goal_vector((x, y, z), yaw, 1) for x, y, z, yaw in poses),
        provenance=Provenance(command="none", algorithm="by hand", seed=0, steps=0, seconds=0.0, versions=()),
    )
    return assemble(run, {"layer0.weight": weight, "layer0.bias": np.zeros(4, dtype=np.float32)})


@pytest.fixture
def bowing() -> "Callable[[str], PolicyBundle]":
    """Policies of one layer, by arm: each joint goes to a place of its own off home and stays there."""

    def make(name: str) -> "PolicyBundle":
        from genba.envs.tasks import load_task
        from genba.policies.manifest import Control, Normalisation, Provenance, TaskInfo
        from genba.policies.pack import Layers, TrainingRun, assemble
        from genba.robots.catalogue import load_robot
        from genba.robots.features import Feature
        from genba.robots.success import goal_vector

        robot = load_robot(name)
        task = load_task("TeachPoint")(robot, robot.tolerance)
        n = len(robot.joints)
        x, y, z, yaw = task.sample_pose(np.random.default_rng(5))
        goals = [
            q + (0.2 if q < 0.5 * (j.lower + j.upper) else -0.2) for q, j in zip(robot.home, robot.joints, strict=True)
        ]
        run = TrainingRun(
            task=TaskInfo(name="TeachPoint", tolerance=robot.tolerance, max_steps=40),
            robot=name,
            control=Control(mode="joint_delta", rate_hz=robot.control_rate_hz, gripper=False),
            spec=task.spec(),
            features=(Feature("field", "joint_positions"),),
            normalisation=Normalisation(mean=tuple(goals), std=(1.0,) * n),
            network=Layers(layers=("actor.mu",), activation="relu", squash="clip"),
            success=task.success,
            taught_points=(goal_vector((x, y, z), yaw, 1),),
            provenance=Provenance(command="none", algorithm="by hand", seed=0, steps=0, seconds=0.0, versions=()),
        )
        gain = -0.25 / robot.joint_step * np.eye(n, dtype=np.float32)
        return assemble(run, {"layer0.weight": gain, "layer0.bias": np.zeros(n, dtype=np.float32)})

    return make


@pytest.fixture(scope="session")
def still() -> "PolicyBundle":
    """A policy that asks for nothing."""
    import dataclasses

    from genba.policies.bundle import PolicyBundle
    from genba.policies.catalogue import find_policy

    shipped = find_policy("TeachPoint_so101")
    manifest = shipped.manifest
    # A network of zeros answers zero, and so must the proof in its bundle.
    proof = tuple(dataclasses.replace(one, action=(0.0,) * len(one.action)) for one in manifest.reference)
    weights = {name: np.zeros_like(array) for name, array in shipped.weights.items()}
    return PolicyBundle(dataclasses.replace(manifest, reference=proof), weights)
