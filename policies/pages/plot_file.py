"""Plots as an SVG file of its own, for a document: one below the other, the panels of each side by side."""

from collections.abc import Sequence

from .plot import HUES, SIZES, SMALL, Plot, clean, panel_svg

TITLE, GAP, LEGEND = 26.0, 14.0, 30.0
INKS = ("#1f6fb8", "#c0700a", "#14866a", "#b0558c", "#6a5acd", "#7d6b12")
STYLE = (
    "text{font-family:sans-serif;fill:#4b5660}.title{font-size:14px;font-weight:600}.key,.tick,.label{font-size:11px}"
    ".grid{stroke:#e2e6e9}.axis,.mark{stroke:#8b959d;fill:none}.line{fill:none;stroke-width:2;stroke-linejoin:round}"
    ".line.target{stroke:#4b5660;stroke-width:1.2;stroke-dasharray:4 3}"
    ".line.limit{stroke:#c0392b;stroke-width:1.2;stroke-dasharray:1.5 3}"
) + "".join(f".hue{k}{{stroke:{ink}}}" for k, ink in enumerate(INKS[:HUES]))


def plot_file(plots: Sequence[Plot], labels: Sequence[str]) -> str:
    """The file's text.

    Args:
        plots: Rows, each with equally many panels.
        labels: What the coloured lines of every panel are, in their order.
    """
    width, height = SIZES.get(len(plots[0].panels), SMALL)
    wide = len(plots[0].panels) * (width + GAP)
    tall = LEGEND + len(plots) * (TITLE + height + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {tall:g}" width="{wide:g}" height="{tall:g}">'
        f'<style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
    ]
    for k, label in enumerate(labels):
        x = 46.0 + 110.0 * k
        parts.append(f'<path class="line hue{k % HUES}" d="M{x:g} 16h26"/>')
        parts.append(f'<text class="key" x="{x + 32.0:g}" y="20">{clean(label)}</text>')
    for row, plot in enumerate(plots):
        top = LEGEND + row * (TITLE + height + GAP)
        for column, panel in enumerate(plot.panels):
            left = column * (width + GAP)
            parts.append(f'<text class="title" x="{left + 46.0:g}" y="{top + 18.0:g}">{clean(panel.title)}</text>')
            place = f'<svg x="{left:g}" y="{top + TITLE:g}" width="{width:g}" height="{height:g}"'
            parts.append(panel_svg(plot, panel).replace("<svg", place, 1))
    return "".join(parts) + "</svg>\n"
