"""Run a shipped policy in simulation: five episodes of PickPlace on the SO-101, judged by ground truth."""

import gymnasium as gym

from genba.policies.catalogue import find_policy


def main() -> None:
    """Run and print how each episode ended."""
    bundle = find_policy("PickPlace_so101")
    env = gym.make("genba.envs:genba/PickPlace-v0", robot="so101")
    for seed in range(5):
        observation, info = env.reset(seed=seed)
        ticks, done = 0, False
        while not done:
            observation, _, terminated, truncated, info = env.step(bundle.act(observation))
            ticks, done = ticks + 1, terminated or truncated
        missed = [name for name, term in info["success_terms"].items() if not term["ok"]]
        print(f"seed {seed}: success {info['is_success']}, {ticks} ticks, missed: {', '.join(missed) or 'nothing'}")
    env.close()


if __name__ == "__main__":
    main()
