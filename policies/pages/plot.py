"""Line plots as inline SVG: small multiples that share one legend, coloured by the page's style sheet."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np
import numpy.typing as npt

from ...robots.errors import RefusedError

Style = Literal["measured", "target", "limit"]
Floats = npt.NDArray[np.float64]

# Size of a panel in CSS pixels by how many stand side by side, so that text has one size everywhere.
SIZES = {1: (940.0, 280.0), 2: (500.0, 240.0)}
SMALL = (340.0, 190.0)
LEFT, RIGHT, TOP, BOTTOM = 46.0, 12.0, 12.0, 36.0
MAX_POINTS = 400
HUES = 6
ABSURD = 1e15  # no quantity of an arm; drawn as a gap

_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line.

    Attributes:
        label: Its name in the legend.
        x: Abscissae, in the unit of the plot's `x_label`.
        y: Ordinates, in the unit of the panel's `y_label`; a value that is not finite breaks the line.
        style: "measured" is solid and coloured, "target" dashed ink, "limit" dotted red.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    style: Style = "measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: What is plotted, such as a joint name.
        y_label: Quantity and unit, such as "position, rad".
        series: Its lines, drawn in order.
        shown: Ordinates that are within the axis whatever the lines do, such as 0 and 1 of a share.
    """

    title: str
    y_label: str
    series: tuple[Series, ...]
    shown: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Panels side by side over the same abscissa.

    Attributes:
        title: Heading of the section.
        panels: The axes.
        x_label: Quantity and unit of every abscissa.
        caption: What the reader should see in it.
    """

    title: str
    panels: tuple[Panel, ...]
    x_label: str = "time, s"
    caption: str = ""


def joint_plot(
    title: str,
    stamps: Sequence[float],
    targets: Sequence[Sequence[float]],
    measured: Sequence[Sequence[float]],
    names: Sequence[str],
    *,
    units: Sequence[str] | None = None,
    caption: str = "",
) -> Plot:
    """Targets against measurements over time, one panel per joint.

    Args:
        title: Heading.
        stamps: (ticks,) s.
        targets: (ticks, joints) rad, or m for a sliding joint.
        measured: (ticks, joints), same units.
        names: Joint names.
        units: Unit of each joint; rad if not given.
        caption: Text below.
    """
    wanted, got = np.asarray(targets, np.float64), np.asarray(measured, np.float64)
    if wanted.shape != (len(stamps), len(names)) or got.shape != wanted.shape:
        raise RefusedError(
            f"plot {title!r}: targets {wanted.shape} and measured {got.shape} must both be "
            f"({len(stamps)}, {len(names)}): one row per stamp, one column per joint"
        )
    units = units or ["rad"] * len(names)
    panels = tuple(
        Panel(
            title=name,
            y_label=f"position, {unit}",
            series=(
                Series(label="measured", x=stamps, y=got[:, i].tolist()),
                Series(label="target", x=stamps, y=wanted[:, i].tolist(), style="target"),
            ),
        )
        for i, (name, unit) in enumerate(zip(names, units, strict=True))
    )
    return Plot(title=title, panels=panels, caption=caption)


def clean(text: str) -> str:
    """Text made safe for HTML: escaped, and without control characters and lone surrogates.

    Args:
        text: From anywhere.
    """
    return escape(_UNSAFE.sub("\ufffd", text))


def plot_html(plot: Plot) -> str:
    """The legend and the panels of a plot as HTML; the page supplies heading and caption.

    Args:
        plot: What to draw.

    Raises:
        RefusedError: If a series has x and y of different lengths.
    """
    legend: dict[tuple[str, str], None] = {}
    drawn = []
    for panel in plot.panels:
        classes = _classes(panel)
        legend.update(dict.fromkeys(zip((s.label for s in panel.series), classes, strict=True)))
        drawn.append(
            f'<figure class="panel"><figcaption>{clean(panel.title)}</figcaption>{panel_svg(plot, panel)}</figure>'
        )
    keys = "".join(
        f'<li><svg class="key" viewBox="0 0 26 8" aria-hidden="true"><path class="{kind}" d="M1 4H25"/></svg>'
        f"{clean(label)}</li>"
        for label, kind in legend
    )
    panels = "".join(drawn)
    return f'<ul class="legend">{keys}</ul><div class="panels">{panels}</div>'


def _classes(panel: Panel) -> list[str]:
    """Style classes; measured lines of one panel take one hue after another."""
    classes, hue = [], 0
    for series in panel.series:
        if series.style == "measured":
            classes.append(f"line measured hue{hue % HUES}")
            hue += 1
        else:
            classes.append(f"line {series.style}")
    return classes


def panel_svg(plot: Plot, panel: Panel) -> str:
    """One pair of axes with its lines, without its title.

    Args:
        plot: Which it is part of.
        panel: What to draw.
    """
    width, height = SIZES.get(len(plot.panels), SMALL)
    lines = [(_thin(plot, panel, s), kind, s.label) for s, kind in zip(panel.series, _classes(panel), strict=True)]
    xs = _range(np.concatenate([x for (x, _), _, _ in lines]) if lines else np.zeros(0), pad=0.0)
    ys = _range(np.concatenate([np.asarray(panel.shown, np.float64), *(y for (_, y), _, _ in lines)]), pad=0.08)
    x_scale, y_scale = (width - LEFT - RIGHT) / (xs[1] - xs[0]), (height - TOP - BOTTOM) / (ys[1] - ys[0])

    def px(x: float) -> float:
        return LEFT + (x - xs[0]) * x_scale

    def py(y: float) -> float:
        return height - BOTTOM - (y - ys[0]) * y_scale

    parts = [
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-label="{clean(panel.title)}: {clean(panel.y_label)} over {clean(plot.x_label)}">'
    ]
    for value, text in _ticks(*ys, most=6):
        y = py(value)
        parts.append(f'<path class="grid" d="M{LEFT:g} {y:.1f}H{width - RIGHT:g}"/>')
        parts.append(f'<text class="tick" text-anchor="end" x="{LEFT - 6:g}" y="{y + 3.5:.1f}">{text}</text>')
    for value, text in _ticks(*xs, most=6):
        x = px(value)
        parts.append(f'<path class="mark" d="M{x:.1f} {height - BOTTOM:g}v4"/>')
        parts.append(f'<text class="tick" text-anchor="middle" x="{x:.1f}" y="{height - BOTTOM + 16:g}">{text}</text>')
    parts.append(f'<path class="axis" d="M{LEFT:g} {height - BOTTOM:g}H{width - RIGHT:g}"/>')
    parts.append(
        f'<text class="label" text-anchor="middle" x="{(LEFT + width - RIGHT) / 2:g}" y="{height - 5:g}">'
        f"{clean(plot.x_label)}</text>"
    )
    middle = (TOP + height - BOTTOM) / 2
    parts.append(
        f'<text class="label" text-anchor="middle" transform="translate(11 {middle:g}) rotate(-90)">'
        f"{clean(panel.y_label)}</text>"
    )
    for (x_values, y_values), kind, label in lines:
        path = _path([px(x) for x in x_values.tolist()], [py(y) for y in y_values.tolist()])
        parts.append(f'<path class="{kind}" d="{path}"><title>{clean(label)}</title></path>')
    return "".join(parts) + "</svg>"


def _thin(plot: Plot, panel: Panel, series: Series) -> tuple[Floats, Floats]:
    """At most `MAX_POINTS` points: of each bucket the lowest and the highest, so that no spike is lost."""
    x, y = (np.asarray(values, np.float64) for values in (series.x, series.y))
    if x.shape != y.shape or x.ndim != 1:
        raise RefusedError(
            f"plot {plot.title!r}, panel {panel.title!r}, series {series.label!r}: "
            f"x has shape {x.shape}, y {y.shape}; both must be lists of one length"
        )
    x, y = (np.where(np.abs(values) < ABSURD, values, np.nan) for values in (x, y))
    if x.size <= MAX_POINTS:
        return x, y
    keep: set[int] = {0, x.size - 1}
    for bucket in np.array_split(np.arange(x.size), MAX_POINTS // 2 - 1):
        part = y[bucket]
        if not np.isfinite(part).any():
            keep.add(int(bucket[0]))
            continue
        keep.update((int(bucket[np.nanargmin(part)]), int(bucket[np.nanargmax(part)])))
    chosen = np.array(sorted(keep))
    return x[chosen], y[chosen]


def _range(values: Floats, *, pad: float) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    # A joint that stands still is drawn as a flat line, not as magnified noise.
    if high - low < 1e-9 * max(1.0, abs(low), abs(high)):
        half = max(0.1 * abs(high), 0.01)
        return low - half, high + half
    margin = pad * (high - low)
    return low - margin, high + margin


def _ticks(low: float, high: float, *, most: int) -> list[tuple[float, str]]:
    """Round values between two limits, at most `most` of them, with their text."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1.0, 2.0, 5.0, 10.0) if power * m >= raw * (1.0 - 1e-9))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    largest = max(abs(low), abs(high))
    digits = math.ceil(math.log10(largest / step)) + 1
    form = f".{digits}g" if largest >= 1e5 or decimals > 4 else f".{decimals}f"
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(i * step, f"{i * step + 0.0:{form}}".replace("-", "−")) for i in range(first, last + 1)]


def _path(xs: list[float], ys: list[float]) -> str:
    """SVG path data; a point that is not finite lifts the pen."""
    parts, down = [], False
    for x, y in zip(xs, ys, strict=True):
        if not (math.isfinite(x) and math.isfinite(y)):
            down = False
            continue
        parts.append(f"{'L' if down else 'M'}{x:.1f} {y:.1f}")
        down = True
    return "".join(parts)
