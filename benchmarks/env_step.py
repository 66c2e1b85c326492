"""What a control step costs: PickPlace beside panda-gym's PandaPickAndPlace-v3, and the Python around the physics.

    python benchmarks/env_step.py [rounds]

Random actions, a reset every 50 steps on both sides, as panda-gym's horizon has it. The second row takes panda-gym's
own physics time: 1/500 s, 20 substeps a control step. The third subtracts from `CellEnv.step` a bare loop over the same
substeps: read joints, servo law with its gearbox, write torques, step.
"""

import sys

import gymnasium as gym
import numpy as np
import panda_gym  # type: ignore[import-not-found]  # noqa: F401 - registers its ids
from _measure import Row, Slice, cpu_per_call, medians, show

from genba.envs.arm.drives_servo import ServoDrives
from genba.envs.bullet import bullet
from genba.envs.env import CellEnv

STEPS = 50


def stepping(env: gym.Env, seed: int = 0) -> Slice:  # type: ignore[type-arg]
    """An episode of random steps; actions are drawn beforehand."""
    size = env.action_space.shape or ()
    actions = np.random.default_rng(seed).uniform(-1.0, 1.0, (STEPS, *size)).astype(np.float32)

    def run() -> int:
        env.reset(seed=seed)
        for action in actions:
            env.step(action)
        return STEPS

    return run


def bare_loop(env: CellEnv, seed: int = 0) -> Slice:
    """The substeps of the same number of control steps and nothing else, following goals that were recorded."""
    actions = np.random.default_rng(seed).uniform(-1.0, 1.0, (STEPS, *(env.action_space.shape or ())))
    env.reset(seed=seed)
    goals = []
    for action in actions.astype(np.float32):
        env.step(action)
        goals.append([*env.station.admitted.joint_positions, env.station.admitted.gripper])
    arm, client, joints = env.cell.arm, env.cell.client, env.arm.joints.ids
    drives = env.arm.drives
    assert isinstance(drives, ServoDrives)
    law = drives.law.run
    get, put, step = bullet.getJointStates, bullet.setJointMotorControlArray, bullet.stepSimulation
    torque_control, count = bullet.TORQUE_CONTROL, round(env.dt / env.cell.physics_dt)

    def run() -> int:
        env.reset(seed=seed)
        for goal in goals:
            for _ in range(count):
                torques = law(goal, get(arm, joints, client))
                put(arm, joints, torque_control, forces=torques, physicsClientId=client)
                step(client)
        return STEPS

    return run


def main() -> None:
    """Measure in turns and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    peer = gym.make("PandaPickAndPlace-v3").unwrapped
    so101 = CellEnv("PickPlace", "so101", terminate_on_success=False)
    panda = CellEnv("PickPlace", "panda", terminate_on_success=False, physics_rate_hz=500, control_rate_hz=25)
    replay = CellEnv("PickPlace", "so101", terminate_on_success=False)
    found = cpu_per_call(
        {
            "panda-gym": stepping(peer),
            "so101": stepping(so101),
            "bare": bare_loop(replay),
            "panda": stepping(panda),
        },
        rounds=rounds,
    )
    cost = medians(found)
    overhead = sorted(a - b for a, b in zip(found["so101"], found["bare"], strict=True))[rounds // 2]
    show(
        "CellEnv.step, random actions",
        [
            Row(
                what=f"PickPlace so101, {so101.control_rate_hz} Hz, against PandaPickAndPlace-v3",
                measured=cost["panda-gym"] / cost["so101"], wanted=5.0, unit="x", least=True,
            ),
            Row(
                what="PickPlace panda, 1/500 s x 20, against PandaPickAndPlace-v3",
                measured=cost["panda-gym"] / cost["panda"], wanted=2.0, unit="x", least=True,
            ),
            Row(
                what="Python in one so101 control step beside stepSimulation and servo law",
                measured=overhead * 1e6, wanted=60.0, unit="us",
            ),
        ],
    )  # fmt: skip
    print("\n| environment | CPU us per step | steps per CPU second |\n|---|---|---|")
    for name, seconds in cost.items():
        print(f"| {name} | {seconds * 1e6:.0f} | {1 / seconds:.0f} |")
    for env in (peer, so101, panda, replay):
        env.close()


if __name__ == "__main__":
    main()
