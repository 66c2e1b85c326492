"""Draw what was monitored as one picture: a panel per quantity, a line per joint, gaps where a servo was silent.

Drawn by OpenCV at twice the size and shrunk, so that thin lines are smooth. The colours are those of Okabe and Ito,
which people with any kind of colour vision tell apart.
"""

from collections.abc import Sequence
from math import floor, isfinite, log10, nan
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..robots.errors import RefusedError
from ..robots.files import whole
from .monitor import Reading, Sample

WIDTH, PANEL, HEAD, FOOT, LEFT, RIGHT, GAP = 1200, 165, 100, 36, 90, 30, 38  # px
SCALE = 2
COLOURS = (
    (178, 114, 0),
    (0, 94, 213),
    (115, 158, 0),
    (167, 121, 204),
    (0, 159, 230),
    (233, 180, 86),
    (40, 40, 40),
)  # BGR
GRID, INK = (225, 225, 225), (60, 60, 60)
# What is drawn, its unit, and the least span of its axis, so that noise does not fill a panel.
PANELS = (
    ("position", "rad", 0.2),
    ("velocity", "rad/s", 0.2),
    ("load", "of full", 0.2),
    ("voltage", "V", 1.0),
    ("temperature", "degC", 5.0),
)
Canvas = npt.NDArray[np.uint8]


def round_steps(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers between two ends, about so many, for an axis.

    Args:
        low: Lower end.
        high: Upper end, above it.
        count: How many are wanted.
    """
    rough = (high - low) / count
    power = 10.0 ** floor(log10(rough))
    step = next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= rough * 0.75)
    first = int(np.ceil(low / step - 1e-9))
    last = int(np.floor(high / step + 1e-9))
    return [round(k * step, 10) for k in range(first, last + 1)]


def draw(samples: Sequence[Sample], title: str) -> Canvas:
    """Draw samples.

    Args:
        samples: In order of time; at least two.
        title: Written above.

    Returns:
        Picture as height x width x 3 bytes, BGR.

    Raises:
        RefusedError: If there are fewer than two samples.
    """
    if len(samples) < 2:
        raise RefusedError("a plot needs two samples or more: monitor for longer")
    import cv2

    height = HEAD + len(PANELS) * (PANEL + GAP) + FOOT
    canvas: Canvas = np.full((height * SCALE, WIDTH * SCALE, 3), 255, dtype=np.uint8)
    names = list(samples[0].joints)
    times = np.array([s.time for s in samples])
    _write(canvas, title, LEFT, 28, size=0.7)
    x = LEFT
    for k, name in enumerate(names):
        cv2.line(canvas, _at(x, 50), _at(x + 22, 50), COLOURS[k % len(COLOURS)], 3 * SCALE, cv2.LINE_AA)
        _write(canvas, name, x + 28, 55)
        x += 50 + 9 * len(name)
    for number, (quantity, unit, span) in enumerate(PANELS):
        top = HEAD + number * (PANEL + GAP)
        lines = [_column(samples, name, quantity) for name in names]
        _panel(canvas, times, lines, top, f"{quantity}, {unit}", span, last=number == len(PANELS) - 1)
    _write(canvas, "time, s", WIDTH - RIGHT - 55, height - 14)
    small: Canvas = np.asarray(cv2.resize(canvas, (WIDTH, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return small


def save(samples: Sequence[Sample], title: str, path: Path) -> None:
    """Draw samples into a PNG.

    Args:
        samples: In order of time.
        title: Written above.
        path: The file.

    Raises:
        RefusedError: If there is nothing to draw.
        DiskError: If the file cannot be written.
    """
    import cv2

    coded = cv2.imencode(".png", draw(samples, title))[1]
    with whole(path) as draft:
        draft.write_bytes(coded.tobytes())


def _column(samples: Sequence[Sample], name: str, quantity: str) -> npt.NDArray[np.float64]:
    def value(reading: Reading | None) -> float:
        return nan if reading is None else float(getattr(reading, quantity))

    return np.array([value(s.joints[name]) for s in samples])


def _at(x: float, y: float) -> tuple[int, int]:
    return round(x * SCALE), round(y * SCALE)


def _write(canvas: Canvas, text: str, x: float, y: float, *, size: float = 0.5) -> None:
    import cv2

    cv2.putText(canvas, text, _at(x, y), cv2.FONT_HERSHEY_SIMPLEX, size * SCALE, INK, SCALE, cv2.LINE_AA)


def _panel(
    canvas: Canvas,
    times: npt.NDArray[np.float64],
    lines: Sequence[npt.NDArray[np.float64]],
    top: int,
    title: str,
    span: float,
    *,
    last: bool,
) -> None:
    import cv2

    heard = np.concatenate([line[np.isfinite(line)] for line in lines])
    low, high = (float(heard.min()), float(heard.max())) if heard.size else (0.0, 0.0)
    middle, half = 0.5 * (low + high), max(0.55 * (high - low), 0.5 * span)
    low, high = middle - half, middle + half
    right, bottom = WIDTH - RIGHT, top + PANEL
    begun, ended = float(times[0]), float(times[-1])

    def place(time: float, value: float) -> tuple[int, int]:
        x = LEFT + (time - begun) / max(ended - begun, 1e-9) * (right - LEFT)
        return _at(x, bottom - (value - low) / (high - low) * PANEL)

    for value in round_steps(low, high):
        y = place(begun, value)[1]
        cv2.line(canvas, (LEFT * SCALE, y), (right * SCALE, y), GRID, SCALE)
        text = f"{value:g}"
        _write(canvas, text, LEFT - 10 - 9 * len(text), y / SCALE + 5)
    for value in round_steps(begun, max(ended, begun + 1e-3), 8):
        x = place(value, low)[0]
        cv2.line(canvas, (x, top * SCALE), (x, bottom * SCALE), GRID, SCALE)
        if last:
            _write(canvas, f"{value:g}", x / SCALE - 4 * len(f"{value:g}"), bottom + 18)
    cv2.rectangle(canvas, _at(LEFT, top), _at(right, bottom), INK, SCALE)
    for k, line in enumerate(lines):
        points: list[tuple[int, int]] = []
        for time, value in [*zip(times.tolist(), line.tolist(), strict=True), (ended, nan)]:
            if isfinite(value):
                points.append(place(time, value))
            elif points:
                curve = np.array(points, dtype=np.int32).reshape(-1, 1, 2)
                cv2.polylines(canvas, [curve], False, COLOURS[k % len(COLOURS)], 2 * SCALE - 1, cv2.LINE_AA)
                points = []
    _write(canvas, title, LEFT, top - 9)
