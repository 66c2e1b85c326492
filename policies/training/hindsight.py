"""The library's hindsight replay with genba's goals, and its content as plain arrays for a checkpoint.

The library saves a buffer as a pickle, which runs code when it is read; a checkpoint here holds tensors alone.
"""

from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

POSE = 5  # numbers of a goal vector that say where; the rest are limits, which stay what the task wants


class HindsightBuffer(HerReplayBuffer):
    """Relabels where a part shall lie, not how still it must lie there."""

    def _sample_goals(self, batch_indices: Any, env_indices: Any) -> Any:
        reached = super()._sample_goals(batch_indices, env_indices)
        goals = self.observations["desired_goal"][batch_indices, env_indices].copy()
        goals[:, :POSE] = reached[:, :POSE]
        return goals


def save_buffer(buffer: ReplayBuffer) -> dict[str, Any]:
    """What is in a buffer, as tensors and numbers."""
    rows = buffer.buffer_size if buffer.full else buffer.pos
    table: dict[str, Any] = {"pos": buffer.pos, "full": buffer.full}
    for name, array in _arrays(buffer).items():
        table[name] = th.as_tensor(np.ascontiguousarray(array[:rows]))
    if isinstance(buffer, HerReplayBuffer):
        table["episode_starts"] = th.as_tensor(buffer._current_ep_start.copy())
    return table


def load_buffer(buffer: ReplayBuffer, table: dict[str, Any]) -> None:
    """Put it back into a fresh buffer of the same size."""
    for name, array in _arrays(buffer).items():
        content = table[name].numpy()
        array[: len(content)] = content
    buffer.pos, buffer.full = table["pos"], table["full"]
    if isinstance(buffer, HerReplayBuffer):
        buffer._current_ep_start = table["episode_starts"].numpy().copy()


def _arrays(buffer: ReplayBuffer) -> dict[str, Any]:
    names = ["actions", "rewards", "dones", "timeouts"]
    if isinstance(buffer, HerReplayBuffer):
        names += ["ep_start", "ep_length"]
    found = {name: getattr(buffer, name) for name in names}
    for group in ("observations", "next_observations"):
        content = getattr(buffer, group)
        if isinstance(content, dict):
            found.update({f"{group}.{key}": array for key, array in content.items()})
        else:
            found[group] = content
    return found
