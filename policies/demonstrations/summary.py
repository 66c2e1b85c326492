"""Statistics of columns as LeRobot's normalisers read them, over all rows and not over a sample of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
Summary = dict[str, Any]


def summarise(rows: NDArray[Any]) -> Summary:
    """Of a column of numbers.

    Args:
        rows: (T,) or (T, n).

    Returns:
        `min`, `max`, `mean`, `std` and quantiles as lists of n, and `count` as a list of one.
    """
    table = np.asarray(rows, np.float64).reshape(len(rows), -1)
    return {
        "min": table.min(axis=0).tolist(),
        "max": table.max(axis=0).tolist(),
        "mean": table.mean(axis=0).tolist(),
        "std": table.std(axis=0).tolist(),
        "count": [len(table)],
        **{key: np.quantile(table, q, axis=0).tolist() for key, q in QUANTILES.items()},
    }


def summarise_pictures(shades: NDArray[np.int64], count: int) -> Summary:
    """Of pictures, as numbers from 0 to 1 for each of three channels, shaped (3, 1, 1).

    Args:
        shades: How often each brightness occurs, (3, 256).
        count: Pictures.
    """
    values = np.arange(shades.shape[1]) / (shades.shape[1] - 1)
    total = shades.sum(axis=1)
    mean = shades @ values / total
    share = shades.cumsum(axis=1) / total[:, None]
    found = {
        "min": [values[np.flatnonzero(row)[0]] for row in shades],
        "max": [values[np.flatnonzero(row)[-1]] for row in shades],
        "mean": mean,
        "std": np.sqrt(np.maximum(shades @ values**2 / total - mean**2, 0.0)),
        **{key: [values[np.searchsorted(row, q)] for row in share] for key, q in QUANTILES.items()},
    }
    return {"count": [count], **{key: [[[float(v)]] for v in row] for key, row in found.items()}}
