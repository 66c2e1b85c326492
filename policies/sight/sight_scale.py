"""Eyes before they have learnt anything: laid out by the recipe and scaled by the demonstrations."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...envs.env import CellEnv
from ...robots.features import FeatureMap
from ...robots.observation import Field, ObservationSpec
from ..evaluate import views_of
from ..eyes import Convolution, Estimate, Eyes
from ..training.imitate import STD_FLOOR
from ..training.recipe import SightRecipe
from .shots import Columns

Array = NDArray[np.float32]
Rows = NDArray[np.float64]


def scaled_eyes(
    env: CellEnv, spec: ObservationSpec, hidden: Sequence[Field], columns: Columns, sight: SightRecipe, x: Rows
) -> Eyes:
    """Lay out eyes.

    Args:
        env: What they look at.
        spec: What is measured.
        hidden: What they are to estimate.
        columns: Where what is in a row.
        sight: Their layers.
        x: Whole observations with goals of the demonstrations, (n, inputs).
    """
    given = x[:, columns.given]
    cuts = env.spec_.slices("observation")
    estimates = []
    for field in hidden:
        values, about = x[:, cuts[field.name]], _about(env, spec, field)
        if about and field.size == 2:
            s, c = values.T
            sine, cosine = x[:, cuts[about]].T
            values = np.stack([s * cosine - c * sine, c * cosine + s * sine], axis=1)
        elif about:
            values = values - x[:, cuts[about]]
        mean, std = values.mean(axis=0), np.maximum(values.std(axis=0), STD_FLOOR)
        estimates.append(Estimate(field=field, about=about, mean=tuple(mean.tolist()), std=tuple(std.tolist())))
    views = views_of(env)
    height, width, _ = env.observation_space[f"{views[0].name}_rgb"].shape  # type: ignore[index]
    eyes = Eyes(
        views=views,
        height=height,
        width=width,
        convolutions=tuple(Convolution(channels=c, kernel=k, stride=s) for c, k, s in sight.convolutions),
        hidden=sight.hidden,
        mean=tuple(given.mean(axis=0).tolist()),
        std=tuple(np.maximum(given.std(axis=0), STD_FLOOR).tolist()),
        estimates=tuple(estimates),
    )
    eyes.check(spec)
    return eyes


def feature_scale(env: CellEnv, told: ObservationSpec, rows: Rows) -> tuple[Array, Array]:
    """Mean and standard deviation of every feature.

    Args:
        env: Of whose task.
        told: What the network behind the eyes is told.
        rows: Of that, (n, inputs).
    """
    found = FeatureMap.from_spec(told, env.task.features)(rows)
    return found.mean(axis=0).astype(np.float32), np.maximum(found.std(axis=0), STD_FLOOR).astype(np.float32)


def _about(env: CellEnv, spec: ObservationSpec, field: Field) -> str:
    """Measured field from which a hidden one is seen: the one that the task compares it with.

    What lies about is seen best from the hand that nears it; what the cell's controller knows stands still.
    """
    if field.source != "parts":
        return ""
    measured = {f.name for f in spec.observation}
    pairs = [(f.a, f.b) for f in env.task.features if f.b]
    partners = [b if a == field.name else a for a, b in pairs if field.name in (a, b)]
    return next((name for name in partners if name in measured), "")
