"""Clips of episodes that were evaluated, drawn by whoever is free: one takes as long as twenty evaluations."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from .bundle import PolicyBundle
from .crews.crew import Crew
from .evaluate import Trial, make_env
from .pages.media import encode_clip, encode_gif

FPS = 12.0
MOST_FRAMES = 150  # longer episodes are shown faster


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """An episode to draw.

    Attributes:
        bundle: Who acts.
        trial: The episode, as it was evaluated.
        randomize: What differs between episodes, as in the evaluation.
        gif: Whether it is wanted as GIF too.
    """

    bundle: PolicyBundle
    trial: Trial
    randomize: str
    gif: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Filmed:
    """What was drawn.

    Attributes:
        data: The clip.
        gif: Every other frame as GIF; empty where none was wanted or none can be written.
        shape: Height, width and colours of a frame.
        faster: How many times faster than the arm it plays.
    """

    data: bytes
    gif: bytes
    shape: tuple[int, ...]
    faster: float


def film(crew: Crew, films: Sequence[Film], on_clip: Callable[[], None]) -> list[Filmed]:
    """Draw episodes.

    Args:
        crew: Who draws.
        films: What.
        on_clip: Called when another is drawn.

    Returns:
        One clip each.
    """
    return crew.run(draw, films, lambda clip: on_clip())


def draw(job: Film) -> Filmed:
    """Run an episode again, which gives the same to the bit, and draw what is shown of it."""
    with closing(make_env(job.bundle, randomize=job.randomize, render_mode="rgb_array")) as env:
        steps = job.trial.steps
        every = max(1, round(1.0 / (FPS * env.dt)))
        ticks = [*range(0, steps, every), steps]
        picks = np.linspace(0, len(ticks) - 1, min(MOST_FRAMES, len(ticks))).round().astype(int)
        shown = {ticks[k] for k in picks}
        observation, _ = env.reset(seed=job.trial.seed)
        frames: list[Any] = [env.render()]
        for tick in range(1, steps + 1):
            observation, *_ = env.step(job.bundle.act(observation))
            if tick in shown:
                frames.append(env.render())
    return Filmed(
        data=encode_clip(frames, FPS),
        gif=encode_gif(frames[::2], FPS / 2) if job.gif else b"",
        shape=frames[0].shape,
        faster=len(ticks) / len(frames),
    )
