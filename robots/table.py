"""Rows of values as text: aligned columns for people, JSON for machines."""

import json
from collections.abc import Mapping, Sequence

Row = Mapping[str, object]


def as_json(value: object) -> str:
    """JSON with one space of indent; a number that is not finite is a fault and raises."""
    return json.dumps(value, indent=1, allow_nan=False)


def as_columns(rows: Sequence[Row]) -> str:
    """Aligned columns under the keys of the first row.

    Args:
        rows: All with the same keys.
    """
    if not rows:
        return "none"
    cells = [list(rows[0]), *([_text(value) for value in row.values()] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def as_text(rows: Sequence[Row], *, json_wanted: bool) -> str:
    """One or the other."""
    return as_json(list(rows)) if json_wanted else as_columns(rows)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "-" if value is None else str(value)
