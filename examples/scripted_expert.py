"""The scripted expert of a task on every arm: what a policy imitates, and the proof that it can be done.

    python examples/scripted_expert.py [Task]

An expert is a function of the observation alone, so it can say what it would do in any state, not only in its own.
"""

import sys

from genba.envs.env import CellEnv
from genba.envs.tasks import load_task

EPISODES = 3


def main() -> None:
    """Let it do one task with every arm that can."""
    task = sys.argv[1] if len(sys.argv) > 1 else "PickPlace"
    for robot in load_task(task).offered():
        env = CellEnv(task, robot)
        successes, ticks = 0, 0
        for seed in range(EPISODES):
            observation, info = env.reset(seed=seed)
            done = False
            while not done:
                observation, _, terminated, truncated, info = env.step(env.expert_action(observation))
                ticks, done = ticks + 1, terminated or truncated
            successes += info["is_success"]
        mean = ticks * env.dt / EPISODES
        print(f"{task} on {robot}: {successes}/{EPISODES}, {mean:.2f} s an episode, tolerance {env.task.tolerance}")
        env.close()


if __name__ == "__main__":
    main()
