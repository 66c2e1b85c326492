"""Senses of the simulated cell: truth, made as poor as the task declares, and as late."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from ..robots.observation import Field
from ..robots.state import Vector
from .task import SenseNoise

BLOCK = 64  # readings whose errors are drawn together


class PoseSense:
    """Part poses with a bias for the episode, noise for each reading, and an age in ticks."""

    name = "parts"

    def __init__(self, fields: tuple[Field, ...], symmetry: int, noise: SenseNoise | None) -> None:
        """Prepare for the given fields.

        Args:
            fields: Those in m are positions or lengths, those named "..._yaw" or "..._yaws" are (sin, cos) pairs of a
                multiple of yaw; counts, labels and switches are known without error.
            symmetry: That multiple.
            noise: How poor; None for the truth.
        """
        self.fields = tuple(f.name for f in fields)
        self._sizes = tuple(f.size for f in fields)
        self._kinds = tuple(_kind(f) for f in fields)
        self._symmetry = symmetry
        self._noise = noise
        widths = {"length": 1.0, "yaw": 0.5, "exact": 0.0}
        self._width = sum(int(size * widths[kind]) for size, kind in zip(self._sizes, self._kinds, strict=True))
        self._seed: int | None = None
        self._bias = np.zeros(self._width)
        self._factor = 1.0
        self._rows: list[list[float]] = []
        self._block = -1
        self._delay = 0
        self._past: list[dict[str, Vector]] = []
        self._at = 0
        self._give: Callable[[], dict[str, Vector]] = dict

    def reset(
        self,
        rng: np.random.Generator,
        give: Callable[[], dict[str, Vector]],
        *,
        bias_factor: float = 1.0,
        noise_factor: float = 1.0,
    ) -> None:
        """Begin an episode: draw the errors that stay, and what later ones are drawn from.

        Args:
            rng: The environment's generator.
            give: Returns the true values.
            bias_factor: On the error that stays for the episode.
            noise_factor: On the error of one reading.
        """
        self._give = give
        self._past = []
        self._at = 0
        self._rows = []
        self._block = -1
        self._delay = 0
        if self._noise is None or not self.fields:
            self._seed = None
            return
        low, high = self._noise.delay_ticks
        self._delay = int(rng.integers(low, high + 1))
        self._bias = bias_factor * rng.standard_normal(self._width)
        self._factor = noise_factor
        self._seed = int(rng.integers(2**63))

    def _errors(self) -> list[float]:
        """Errors of the present reading.

        They are drawn by the block, from a generator of the block's own, so that a reset costs the same for a long
        episode as for a short one and nothing but a seed has to be saved.
        """
        block, row = divmod(self._at, BLOCK)
        if block != self._block:
            self._block = block
            self._rows = self._draw(np.random.default_rng((self._seed or 0, block)))
        return self._rows[row]

    def _draw(self, rng: np.random.Generator) -> list[list[float]]:
        """A block of errors: m for lengths, cosine and sine of the error for yaws."""
        noise = self._noise or SenseNoise()
        each = self._factor * rng.standard_normal((BLOCK, self._width))
        columns: list[npt.NDArray[np.float64]] = [np.empty((BLOCK, 0))]
        at = 0
        for size, kind in zip(self._sizes, self._kinds, strict=True):
            if kind == "length":
                cut = slice(at, at + size)
                columns.append(noise.position_bias * self._bias[cut] + noise.position_noise * each[:, cut])
                at += size
            elif kind == "yaw":
                for _ in range(size // 2):
                    angle = noise.yaw_bias * self._bias[at] + noise.yaw_noise * each[:, at]
                    turned = self._symmetry * angle
                    columns.append(np.stack([np.cos(turned), np.sin(turned)], axis=1))
                    at += 1
        rows: list[list[float]] = np.concatenate(columns, axis=1).tolist()
        return rows

    def read(self) -> Mapping[str, Vector]:
        """The newest reading, `delay` ticks old; one tick passes with each call."""
        if not self.fields:
            return {}
        values = self._give()
        if self._seed is not None:
            values = self._spoil(values)
        past = self._past
        past.append(values)
        if len(past) > self._delay + 1:
            del past[0]
        return past[0]

    def _spoil(self, values: dict[str, Vector]) -> dict[str, Vector]:
        errors = self._errors()
        self._at += 1
        poor: dict[str, Vector] = {}
        at = 0
        for name, size, kind in zip(self.fields, self._sizes, self._kinds, strict=True):
            if kind == "exact":
                poor[name] = values[name]
                continue
            if kind == "length":
                poor[name] = tuple([v + e for v, e in zip(values[name], errors[at : at + size], strict=True)])
            else:
                turned: list[float] = []
                pairs = values[name]
                for k in range(0, size, 2):
                    s, c, cosine, sine = pairs[k], pairs[k + 1], errors[at + k], errors[at + k + 1]
                    turned += (s * cosine + c * sine, c * cosine - s * sine)
                poor[name] = tuple(turned)
            at += size
        return poor

    def snapshot(self) -> tuple[object, ...]:
        """What the next readings depend on."""
        return self._seed, self._bias, self._factor, self._delay, list(self._past), self._at, self._give

    def restore(self, saved: tuple[object, ...]) -> None:
        """Go back to a snapshot."""
        self._seed, self._bias, self._factor, self._delay, past, self._at, self._give = saved  # type: ignore[assignment]
        self._block = -1
        self._past = list(past)  # type: ignore[call-overload]


class JobSense:
    """What the cell's own controller tells: whose turn it is, where it belongs. Nobody measures it, so it is exact."""

    name = "job"

    def __init__(self, fields: tuple[Field, ...], give: Callable[[], dict[str, Vector]]) -> None:
        """Serve named fields.

        Args:
            fields: Those of this source.
            give: Returns at least their values.
        """
        self.fields = tuple(f.name for f in fields)
        self._give = give

    def read(self) -> Mapping[str, Vector]:
        """What holds now."""
        if not self.fields:
            return {}
        values = self._give()
        return {name: values[name] for name in self.fields}


class TruthSense:
    """Values that only a simulation knows, or that the task sets: passed on as they are."""

    def __init__(self, name: str, fields: tuple[Field, ...], give: Callable[[], Vector]) -> None:
        """Serve one flat vector as named fields.

        Args:
            name: Name of the sense.
            fields: Fields in the order of the vector.
            give: Returns the vector.
        """
        self.name = name
        self.fields = tuple(f.name for f in fields)
        self._give = give
        self._cuts: list[tuple[str, int, int]] = []
        self._last: Vector = ()
        self._cut: dict[str, Vector] = {}
        at = 0
        for field in fields:
            self._cuts.append((field.name, at, at + field.size))
            at += field.size

    def read(self) -> Mapping[str, Vector]:
        """The vector of now, cut into fields."""
        vector = self._give()
        if vector is not self._last:
            self._last = vector
            self._cut = {name: vector[a:b] for name, a, b in self._cuts}
        return self._cut


def _kind(field: Field) -> str:
    if field.unit == "m":
        return "length"
    return "yaw" if field.name.endswith(("_yaw", "_yaws")) else "exact"
