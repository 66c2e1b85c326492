"""What a policy computes from an observation before its first layer: relative positions and relative angles.

    x        = observation ++ desired_goal                       as packed, n values
    z        = x ++ x[left] * x[right]                           the products angle differences need
                 ++ tanh((z[a] - z[b]) / scale)                  differences seen through a magnifying glass
    features = z @ matrix.T

A millimetre decides whether a part is in its seat, yet beside positions that vary by decimetres a network hardly
sees it: "local_difference" gives it a scale of its own, and where tenths of a millimetre and milliradians decide,
"fine_difference" and "fine_angle" do.

A task declares its features as data. The same arrays then serve the trainer (torch) and the bundle
(numpy, folded into the first layer), so what was trained and what runs cannot drift apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .errors import RefusedError
from .observation import ObservationSpec

OPERATIONS = ("field", "difference", "angle_difference", "local_difference", "fine_difference", "fine_angle")
Real = TypeVar("Real", np.float32, np.float64)

LOCAL_SCALE = 0.01  # m; tanh is nearly linear below a third of it and saturates beyond three times it
FINE_SCALE = 0.001  # m
FINE_ANGLE = 0.05  # sine of the difference


@dataclass(frozen=True, slots=True)
class Feature:
    """One group of features.

    Attributes:
        op: "field" passes `a` on, "difference" is a - b, "angle_difference" is (sin, cos) of the angle a - b
            where both fields are (sin, cos) pairs, "local_difference" is tanh((a - b) / LOCAL_SCALE),
            "fine_difference" tanh((a - b) / FINE_SCALE) and "fine_angle" tanh(sin(a - b) / FINE_ANGLE).
        a: Name of a field of the observation or the desired goal.
        b: Name of the field that is subtracted; empty for "field".
    """

    op: str
    a: str
    b: str = ""


@dataclass(frozen=True, kw_only=True)
class FeatureMap:
    """Features of one observation spec, exact in numpy and torch alike.

    Attributes:
        inputs: Length n of x.
        pairs: Indices into x whose products extend it, shape (p, 2).
        locals: Indices into x ++ products whose magnified differences extend it further, shape (m, 2).
        scales: What those differences are divided by, shape (m,).
        matrix: The linear map from z to features, shape (features, n + p + m), entries -1, 0 and 1.
    """

    inputs: int
    pairs: NDArray[np.int64]
    locals: NDArray[np.int64]
    scales: NDArray[np.float64]
    matrix: NDArray[np.float32]

    @property
    def size(self) -> int:
        """How many features come out."""
        return int(self.matrix.shape[0])

    def __call__(self, x: NDArray[Real]) -> NDArray[Real]:
        """Compute features.

        Args:
            x: Concatenated observation and desired goal, shape (..., n).

        Returns:
            Features, shape (..., size), in the precision of `x`.
        """
        products = x[..., self.pairs[:, 0]] * x[..., self.pairs[:, 1]]
        z = np.concatenate((x, products), axis=-1)
        near = np.tanh((z[..., self.locals[:, 0]] - z[..., self.locals[:, 1]]) / self.scales.astype(x.dtype))
        z = np.concatenate((z, near), axis=-1)
        return np.asarray(z @ self.matrix.T.astype(x.dtype), dtype=x.dtype)

    @classmethod
    def from_spec(cls, spec: ObservationSpec, features: Sequence[Feature]) -> "FeatureMap":
        """Resolve field names into indices.

        Args:
            spec: Fields in the order in which they are packed.
            features: What to compute; empty passes every field on.

        Raises:
            RefusedError: If a name is unknown, or sizes do not fit the operation.
        """
        where, inputs = _layout(spec)
        rows: list[dict[int, float]] = []
        pairs: list[tuple[int, int]] = []
        locals_: list[tuple[int, int]] = []
        scales: list[float] = []
        near: list[tuple[int, int]] = []  # row of a local difference, and its place among them
        for feature in features or [Feature(op="field", a=name) for name in where]:
            start_a, start_b, size = _operands(feature, where)
            if feature.op == "angle_difference":
                sin_a, cos_a, sin_b, cos_b = start_a, start_a + 1, start_b, start_b + 1
                k = inputs + len(pairs)
                pairs += [(sin_a, cos_b), (cos_a, sin_b), (cos_a, cos_b), (sin_a, sin_b)]
                rows += [{k: 1.0, k + 1: -1.0}, {k + 2: 1.0, k + 3: 1.0}]
                continue
            if feature.op == "fine_angle":
                k = inputs + len(pairs)
                pairs += [(start_a, start_b + 1), (start_a + 1, start_b)]
                near.append((len(rows), len(locals_)))
                locals_.append((k, k + 1))
                scales.append(FINE_ANGLE)
                rows.append({})
                continue
            if feature.op in ("local_difference", "fine_difference"):
                near += [(len(rows) + i, len(locals_) + i) for i in range(size)]
                locals_ += [(start_a + i, start_b + i) for i in range(size)]
                scales += [LOCAL_SCALE if feature.op == "local_difference" else FINE_SCALE] * size
                rows += [{} for _ in range(size)]
                continue
            for i in range(size):
                row = {start_a + i: 1.0}
                if feature.op == "difference":
                    row[start_b + i] = row.get(start_b + i, 0.0) - 1.0
                rows.append(row)
        matrix = np.zeros((len(rows), inputs + len(pairs) + len(locals_)), dtype=np.float32)
        for i, row in enumerate(rows):
            matrix[i, list(row)] = list(row.values())
        for i, place in near:
            matrix[i, inputs + len(pairs) + place] = 1.0
        return cls(
            inputs=inputs,
            pairs=np.array(pairs, dtype=np.int64).reshape(-1, 2),
            locals=np.array(locals_, dtype=np.int64).reshape(-1, 2),
            scales=np.array(scales),
            matrix=matrix,
        )


def _layout(spec: ObservationSpec) -> tuple[dict[str, tuple[int, int]], int]:
    """Start and size of each field in x, and the length of x; the spec has seen to unique names."""
    where: dict[str, tuple[int, int]] = {}
    start = 0
    for field in (*spec.observation, *spec.desired_goal):
        where[field.name] = (start, field.size)
        start += field.size
    return where, start


def _operands(feature: Feature, where: dict[str, tuple[int, int]]) -> tuple[int, int, int]:
    """Start of a, start of b (that of a when the operation has none) and their common size."""
    if feature.op not in OPERATIONS:
        raise RefusedError(f"features: op is {feature.op!r}; allowed: {', '.join(OPERATIONS)}")
    names = (feature.a,) if feature.op == "field" else (feature.a, feature.b)
    if feature.op == "field" and feature.b:
        raise RefusedError(f"features: op 'field' takes one field, found a second, {feature.b!r}")
    for name in names:
        if name not in where:
            raise RefusedError(f"features: no field named {name!r}; there are: {', '.join(where)}")
    start_a, size = where[names[0]]
    start_b, size_b = where[names[-1]]
    if size != size_b:
        raise RefusedError(f"features: {feature.a!r} has {size} values and {feature.b!r} has {size_b}")
    if feature.op in ("angle_difference", "fine_angle") and size != 2:
        raise RefusedError(f"features: an angle is a (sin, cos) pair, but {feature.a!r} has {size} values")
    return start_a, start_b, size
