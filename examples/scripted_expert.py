"""The scripted expert on both arms: what a policy imitates, and the proof that a task can be done.

An expert is a function of the observation alone, so it can say what it would do in any state, not only in its own.
"""

from genba.envs.env import CellEnv
from genba.envs.tasks import task_names
from genba.robots.description import robot_names

EPISODES = 3


def main() -> None:
    """Let it do every task with every arm."""
    for task in task_names():
        for robot in robot_names():
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
