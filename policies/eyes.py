"""Eyes of a policy, as data: from pictures and what the arm measures to the fields that the pictures stand for.

    per camera   pixels -> convolutions -> one map per channel, and where the state says to look is added to it
                 -> softmax over the map -> where the channel's thing is (u, v), and how much of it there is
    all of them  + the state -> perceptron, and a linear way past it -> the hidden fields, seen from the tool

A softmax over a map gives a place to a fraction of a pixel (Levine, Finn, Darrell and Abbeel 2016). What follows is the
network of a policy that is told these fields, so a policy can say where it believes a part to be. They are computed by
`eyes_numpy.py` on the bench and by `eyes_torch.py` while they learn.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..robots.errors import RefusedError
from ..robots.observation import Field, ObservationSpec

Array = NDArray[np.float32]
Pictures = Mapping[str, NDArray[np.uint8]]

MAX_PIXELS, MAX_CHANNELS, MAX_KERNEL, MAX_CAMERAS = 512, 256, 11, 8
PER_CHANNEL = 3  # u, v and how much


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Where a camera stood in training, so that one can be put there.

    Attributes:
        name: Its name.
        link: Link that carries it and in whose frame the rest is; empty for the base.
        eye: Where it stands, m.
        target: Where it looks, m.
        up: What is up in its picture.
        fov: Vertical field of view, degrees.
    """

    name: str
    link: str
    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    up: tuple[float, float, float]
    fov: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """One convolution, without padding; all but the last end in a relu."""

    channels: int
    kernel: int
    stride: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A field that is estimated.

    Attributes:
        field: The field, as an observation of the whole state has it.
        about: Measured field from which it is seen, such as "tcp_position", which is then added; where both have two
            values they are (sin, cos) of angles, and those are added. Empty for what is estimated as it is.
        mean: Mean of what is estimated, in training.
        std: Its standard deviation.
    """

    field: Field
    about: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Eyes:
    """What pictures are made of and what is made of them.

    Attributes:
        views: The cameras, in order.
        height: Of every picture, pixels.
        width: Of every picture, pixels.
        convolutions: The same for every camera, each with weights of its own.
        hidden: Units of each hidden layer behind them.
        mean: Mean of each number of observation and goal, in training.
        std: Standard deviation of each.
        estimates: What comes out.
    """

    views: tuple[View, ...]
    height: int
    width: int
    convolutions: tuple[Convolution, ...]
    hidden: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    estimates: tuple[Estimate, ...]

    @property
    def outputs(self) -> int:
        """How many numbers are estimated."""
        return sum(e.field.size for e in self.estimates)

    def maps(self) -> tuple[int, int]:
        """Height and width of the last maps.

        Raises:
            RefusedError: If a convolution is larger than what it works on.
        """
        height, width = self.height, self.width
        for k, c in enumerate(self.convolutions):
            height, width = (height - c.kernel) // c.stride + 1, (width - c.kernel) // c.stride + 1
            if min(height, width) < 1:
                raise RefusedError(f"eyes: convolution {k} has nothing left of {self.height} x {self.width} pixels")
        return height, width

    def abouts(self, spec: ObservationSpec) -> tuple[tuple[slice, slice], ...]:
        """Where each estimate that is seen from a measured field is among the estimates, and that field in x."""
        cuts, found, at = spec.slices("observation"), [], 0
        for e in self.estimates:
            if e.about:
                found.append((slice(at, at + e.field.size), cuts[e.about]))
            at += e.field.size
        return tuple(found)

    def whole(self, spec: ObservationSpec) -> ObservationSpec:
        """The spec of what the network behind the eyes is told: what is measured, then what is estimated."""
        return ObservationSpec(
            observation=(*spec.observation, *(e.field for e in self.estimates)),
            achieved_goal=spec.achieved_goal,
            desired_goal=spec.desired_goal,
        )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every weight array."""
        found: dict[str, tuple[int, ...]] = {}
        inputs = len(self.mean)
        for view in self.views:
            channels = 3
            for k, c in enumerate(self.convolutions):
                found[f"{view.name}.conv{k}.weight"] = (c.channels, channels, c.kernel, c.kernel)
                found[f"{view.name}.conv{k}.bias"] = (c.channels,)
                channels = c.channels
            found[f"{view.name}.look.weight"] = (3 * channels, inputs)
            found[f"{view.name}.look.bias"] = (3 * channels,)
        seen = PER_CHANNEL * self.convolutions[-1].channels * len(self.views) + inputs
        sizes = (seen, *self.hidden, self.outputs)
        for k, (wide, next_) in enumerate(pairwise(sizes)):
            found[f"head{k}.weight"] = (next_, wide)
            found[f"head{k}.bias"] = (next_,)
        found["past.weight"] = (self.outputs, seen)
        return found

    def check(self, spec: ObservationSpec) -> None:
        """Check that the parts agree with each other and with what is measured.

        Args:
            spec: What is measured.

        Raises:
            RefusedError: If they do not; the text names the key.
        """
        names = [view.name for view in self.views]
        if (
            not 1 <= len(names) <= MAX_CAMERAS
            or len(set(names)) != len(names)
            or not all(n.isidentifier() for n in names)
        ):
            raise RefusedError(f"eyes.views: {names} are not 1 to {MAX_CAMERAS} different names")
        if not (1 <= self.height <= MAX_PIXELS and 1 <= self.width <= MAX_PIXELS):
            raise RefusedError(f"eyes: pictures of {self.height} x {self.width}; at most {MAX_PIXELS} pixels each way")
        for k, c in enumerate(self.convolutions):
            if not (1 <= c.channels <= MAX_CHANNELS and 1 <= c.stride <= c.kernel <= MAX_KERNEL):
                raise RefusedError(f"eyes.convolutions[{k}]: {c} is out of bounds")
        if not 1 <= len(self.convolutions) <= 8 or len(self.hidden) > 8:
            raise RefusedError("eyes: expected 1 to 8 convolutions and at most 8 hidden layers")
        if not all(1 <= size <= 4096 for size in self.hidden):
            raise RefusedError(f"eyes.hidden: {list(self.hidden)} are not widths within 1 and 4096")
        self.maps()
        inputs = spec.size("observation") + spec.size("desired_goal")
        if not self.estimates:
            raise RefusedError("eyes.estimates: nothing is estimated")
        rows = [("eyes", inputs, self.mean, self.std)]
        rows += [(f"eyes.estimates[{k}]", e.field.size, e.mean, e.std) for k, e in enumerate(self.estimates)]
        for where, size, mean, std in rows:
            if len(mean) != size or len(std) != size:
                raise RefusedError(f"{where}: mean and std have {len(mean)} and {len(std)} values, expected {size}")
            if min(std) < 1e-9:
                raise RefusedError(f"{where}: a std is zero or negative")
        for k, e in enumerate(self.estimates):
            seen_from = {f.name: f.size for f in spec.observation}.get(e.about)
            if e.field.size < 1 or (e.about and seen_from != e.field.size):
                raise RefusedError(f"eyes.estimates[{k}]: {e.field.name!r} cannot be seen from {e.about!r}")
