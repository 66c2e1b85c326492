"""A heat map as plain HTML: one row per thing that is varied, one field per strength, coloured by the page's style."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...robots.errors import RefusedError
from .plot import clean


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatRow:
    """One row.

    Attributes:
        label: What is varied, with its unit.
        values: Shares from 0 to 1, left to right.
        words: What stands small above each value, such as the strength.
        notes: What is shown when a pointer rests on the field; none if empty.
    """

    label: str
    values: tuple[float, ...]
    words: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """The map.

    Attributes:
        title: Heading of the section.
        rows: All of the same length.
        caption: Text below.
    """

    title: str
    rows: Sequence[HeatRow]
    caption: str = ""


def heat_html(heat: Heat) -> str:
    """Draw it.

    Raises:
        RefusedError: If rows differ in length, or a value is no share.
    """
    wide = len(heat.rows[0].values) if heat.rows else 0
    fields = []
    for row in heat.rows:
        if len(row.values) != wide or len(row.words) != wide or (row.notes and len(row.notes) != wide):
            raise RefusedError(f"heat map {heat.title!r}: row {row.label!r} has not {wide} fields")
        fields.append(f'<div class="row">{clean(row.label)}</div>')
        for value, word, note in zip(row.values, row.words, row.notes or row.words, strict=True):
            if not 0.0 <= value <= 1.0:
                raise RefusedError(f"heat map {heat.title!r}: {value} in row {row.label!r} is no share")
            fields.append(
                f'<div class="field" style="background:{_colour(value)}" title="{clean(note)}">'
                f"<small>{clean(word)}</small><b>{value:.0%}</b></div>"
            )
    columns = f"grid-template-columns:minmax(110px,max-content) repeat({wide},minmax(56px,1fr))"
    return f'<div class="scroll"><div class="heat" style="{columns}">{"".join(fields)}</div></div>'


def _colour(share: float) -> str:
    """From the page's "no" to its "yes", pale enough for ink to be read on it."""
    return f"color-mix(in oklab,color-mix(in oklab,var(--yes) {share:.1%},var(--no)) 55%,var(--card))"
