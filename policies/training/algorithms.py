"""The algorithms that a policy can be trained with: their names, what each reads of a recipe, and the library's own."""

import inspect
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final

from ...robots.errors import RefusedError

OURS: Final = ("imitate", "imitate+sac", "tempo+imitate")
LIBRARY: Final[Mapping[str, str]] = {
    "PPO": "stable_baselines3",
    "SAC": "stable_baselines3",
    "TD3": "stable_baselines3",
    "DDPG": "stable_baselines3",
    "TQC": "sb3_contrib",
    "CrossQ": "sb3_contrib",
}
ALGORITHMS: Final = (*OURS, *LIBRARY)
FROM_DEMOS: Final = ("imitate", "imitate+sac")  # those that can begin with demonstrations from disk
OBSERVED: Final = ("state", "rgb")
# What a training from pictures has no use for.
SIGHTLESS: Final = (("nets", "critic"), ("imitation", "mix"), ("imitation", "mix_rounds"))
ON_POLICY: Final = ("PPO",)
WITHOUT_GOALS: Final = ("CrossQ",)  # takes no dict of observation and goal, so it cannot learn from hindsight
WITHOUT_NOISE: Final = ("TD3", "DDPG")  # deterministic, so they explore by noise on their actions
NOT_OFFERED: Final[Mapping[str, str]] = {
    "RecurrentPPO": "no task here hides what a memory would have to keep, and a bundle runs without one; take PPO",
    "A2C": "PPO does the same with fewer steps; take PPO",
}
# What `policies/training/scratch_run.py` decides itself.
TAKEN: Final = (
    "policy", "env", "seed", "device", "verbose", "_init_setup_model", "policy_kwargs", "tensorboard_log",
    "replay_buffer_class", "replay_buffer_kwargs", "optimize_memory_usage", "stats_window_size", "rollout_buffer_class",
    "rollout_buffer_kwargs", "action_noise", "use_sde", "sde_sample_freq", "use_sde_at_warmup",
)  # fmt: skip


def check_algorithm(name: str) -> None:
    """Refuse an algorithm that is not offered.

    Raises:
        RefusedError: The text lists those there are, or says what to take instead.
    """
    if name in NOT_OFFERED:
        raise RefusedError(f"{name} is not offered: {NOT_OFFERED[name]}")
    if name not in ALGORITHMS:
        raise RefusedError(f"no algorithm named {name!r}; there are: {', '.join(ALGORITHMS)}")


def algorithm_class(name: str) -> Any:
    """The class of one of the library's algorithms; imports torch."""
    return getattr(import_module(LIBRARY[name]), name)


def read_by(algorithm: str, obs: str) -> set[str]:
    """Tables and keys that an algorithm reads."""
    common = {"algorithm", "obs", "randomize", "level"}
    if obs == "rgb":
        return common | {"nets", "tempo", "imitation", "sight"}
    if algorithm in OURS:
        own = {"imitate": {"tempo"}, "imitate+sac": {"tempo", "improvement"}, "tempo+imitate": {"search"}}
        return common | {"curriculum", "nets", "imitation"} | own[algorithm]
    return common | {"scratch", "algorithms"}


@cache
def arguments(algorithm: str) -> set[str]:
    """Keyword arguments that one of the library's algorithms takes from a recipe."""
    signature = inspect.signature(algorithm_class(algorithm).__init__)
    return set(signature.parameters) - {"self", *TAKEN}
