"""Gradient steps on a loss, with the learning rate that each of them is given."""

from collections.abc import Callable, Iterator
from math import cos, pi

import torch as th

EVERY = 100  # steps between two losses that are told


def falling_share(step: int, steps: int) -> float:
    """Share of a learning rate that falls to 2 % along a cosine."""
    return 0.02 + 0.98 * 0.5 * (1.0 + cos(pi * step / steps))


def descend(
    optimiser: th.optim.Optimizer, loss_of: Callable[[], th.Tensor], updates: int, rate: Callable[[int], float]
) -> Iterator[float]:
    """Take gradient steps; yields the mean loss of every 100 of them.

    Args:
        optimiser: Of what is fitted.
        loss_of: Draws a batch and says how wrong it is.
        updates: Gradient steps.
        rate: Learning rate of a step, the first of which is 0.
    """
    total = 0.0
    for step in range(updates):
        optimiser.param_groups[0]["lr"] = rate(step)
        loss = loss_of()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += loss.item()
        if step % EVERY == EVERY - 1:
            yield total / EVERY
            total = 0.0
