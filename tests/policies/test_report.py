"""A report is one well-formed page that loads nothing, shows every text as text and stays small."""

import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genba.policies.pages import media, report
from genba.policies.pages.media import encode_clip, encode_png, media_type
from genba.policies.pages.plot import MAX_POINTS, Panel, Plot, Series, joint_plot, plot_html
from genba.policies.pages.plot_file import plot_file
from genba.policies.pages.report import Clip, Picture, Section, Table, Text, render_report, write_report
from genba.robots.errors import DiskError, RefusedError

HOSTILE = """<script>alert('1')</script> & "quoted" onload="x" ]]> --> `<b>` \x00\x1b[31m\ud800 </style></section>"""


def frames(count: int = 12, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """A white square that moves to the right over a gradient."""
    base = np.zeros((height, width, 3), np.uint8)
    base[:, :, 2] = np.linspace(30, 200, width).astype(np.uint8)
    made = []
    for i in range(count):
        frame = base.copy()
        frame[10:30, 2 * i : 2 * i + 16] = 255
        made.append(frame)
    return made


def sections(words: str = "word") -> list[Section]:
    """One section of each form, with the same words in every text."""
    line = Series(label=words, x=[0.0, 1.0, 2.0], y=[0.0, math.nan, 1.0])
    limit = Series(label=words, x=[0.0, 2.0], y=[0.5, 0.5], style="limit")
    return [
        Table(title=words, columns=(words, "b", "c"), rows=[(words, 1.23456, True), ("x", None, False)], caption=words),
        Table(title=words, rows=[(words, words), ("-", -3)]),
        Plot(
            title=words,
            panels=(Panel(title=words, y_label=words, series=(line, limit)),),
            x_label=words,
            caption=words,
        ),
        joint_plot(words, [0.0, 1.0], [[0.0], [1.0]], [[0.0], [0.9]], [words]),
        Clip(title=words, data=encode_clip(frames(), 10.0), caption=words),
        Picture(title=words, data=encode_png(frames(1)[0]), caption=words),
        Text(title=words, text=f"{words}\n\n- {words}\n- `code`"),
    ]


def parsed(page: str) -> ET.Element:
    """The page as XML, which is stricter than what a browser asks."""
    assert page.startswith("<!DOCTYPE html>\n")
    return ET.fromstring(page.partition("\n")[2])


def page(words: str = "word") -> str:
    return render_report(title=words, intro=words, sections=sections(words))


def test_file_of_plots_is_an_svg_with_every_line() -> None:
    series = tuple(Series(label=f"seed {k}", x=[0.0, 1.0], y=[0.0, float(k)]) for k in range(3))
    plot = Plot(title="t", panels=(Panel(title="a < b", y_label="y", series=series),) * 2)
    drawn = ET.fromstring(plot_file([plot, plot], ["seed 0", "seed 1", "seed 2"]))
    lines = [e for e in drawn.iter("{http://www.w3.org/2000/svg}path") if (e.get("class") or "").startswith("line ")]
    assert len(lines) == 3 + 2 * 2 * 3
    assert {e.get("class") for e in lines} == {"line hue0", "line hue1", "line hue2"} | {
        f"line measured hue{k}" for k in range(3)
    }


def test_page_is_well_formed_and_holds_every_section() -> None:
    root = parsed(page())
    assert [s.get("class") for s in root.iter("section")] == [
        "table", "table", "plot", "plot", "clip", "picture", "text",
    ]  # fmt: skip
    assert len(list(root.iter("video"))) == 1
    assert len(list(root.iter("img"))) == 1


def test_page_loads_nothing() -> None:
    text = page()
    assert not re.search(r"https?://", text)
    assert not re.search(r"<(script|link|iframe|object|embed|base)\b|@import|url\(", text)
    for element in parsed(text).iter():
        for key in ("src", "href", "poster", "srcset"):
            assert element.get(key, "data:").startswith("data:")


def test_every_text_is_shown_as_text() -> None:
    root = parsed(page(HOSTILE))
    for element in root.iter():
        assert element.tag not in ("script", "b")
        assert not any(key.startswith("on") for key in element.keys())  # noqa: SIM118 - an Element is no mapping
    shown = "".join(root.itertext())
    # title and h1, intro, 7 headings, 8 captions and cells, panel titles, labels: all of it, unchanged but for
    # the characters that no page may hold.
    assert shown.count("<script>alert('1')</script>") >= 24
    assert "\x00" not in shown
    assert "\x1b" not in shown


def test_page_follows_the_reader_s_light_or_dark() -> None:
    text = page()
    assert "prefers-color-scheme:dark" in text
    light, dark = (set(re.findall(r"--(\w+):", part)) for part in text.split("@media(prefers-color-scheme:dark)"))
    assert light
    assert light == dark & light
    assert set(re.findall(r"var\(--(\w+)\)", text)) <= light


def test_numbers_and_truths_are_readable() -> None:
    shown = "".join(parsed(page()).itertext())
    for text in ("1.235", "✓ yes", "✗ no", "–", "−3"):
        assert text in shown


def test_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "demo.html"
    write_report(path, title=HOSTILE, intro="", sections=sections(HOSTILE))
    before = path.read_bytes()
    parsed(before.decode("utf-8"))
    with pytest.raises(RefusedError, match="expected 1"):
        write_report(path, title="t", intro="", sections=[Table(title="t", columns=("a",), rows=[(1, 2)])])
    assert path.read_bytes() == before
    with pytest.raises(DiskError, match="cannot be written"):
        write_report(tmp_path / "none" / "demo.html", title="t", intro="", sections=[])
    assert [p.name for p in tmp_path.iterdir()] == ["demo.html"]


def test_ten_minutes_of_six_joints_stay_small() -> None:
    stamps = np.arange(18_000) / 30.0
    targets = np.sin(stamps[:, None] * np.arange(1, 7))
    plot = joint_plot("t", stamps.tolist(), targets.tolist(), (targets * 0.9).tolist(), [f"j{i}" for i in range(6)])
    assert len(plot_html(plot)) < 120_000


def test_thinning_keeps_the_spike() -> None:
    y = [0.0] * 5000
    y[3217] = 1.0
    drawn = plot_html(
        Plot(title="t", panels=(Panel(title="p", y_label="y", series=(Series(label="s", x=range(5000), y=y),)),))
    )
    path = max(re.findall(r' d="([^"]+)"', drawn), key=len)
    heights = [float(point) for point in re.findall(r"[ML][\d.]+ ([\d.]+)", path)]
    assert len(heights) <= MAX_POINTS
    assert sum(h < max(heights) - 50.0 for h in heights) == 1


def test_gap_in_the_data_is_a_gap_in_the_line() -> None:
    line = Series(label="s", x=[0, 1, 2, 3, 4], y=[0.0, 1.0, math.nan, 1.0, 0.0])
    drawn = plot_html(Plot(title="t", panels=(Panel(title="p", y_label="y", series=(line,)),)))
    assert re.search(r'class="line measured hue0" d="M[^ML]+L[^ML]+M[^ML]+L[^ML]+"', drawn)


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=12),
    st.floats(-1e6, 1e6),
    st.floats(1e-6, 1e3),
)
def test_any_data_can_be_drawn(y: list[float], start: float, step: float) -> None:
    x = [start + i * step for i in range(len(y))]
    for series in ((), (Series(label="s", x=x, y=y),), (Series(label="s", x=y, y=x),)):
        drawn = plot_html(Plot(title="t", panels=(Panel(title="p", y_label="y", series=series),)))
        root = ET.fromstring(f"<div>{drawn}</div>")
        ticks = [e.text or "" for e in root.iter("text") if e.get("class") == "tick"]
        assert 2 <= len(ticks) <= 16
        assert not re.search(r"nan|inf", drawn)
        for axis in ("end", "middle"):
            texts = [e.text for e in root.iter("text") if e.get("class") == "tick" and e.get("text-anchor") == axis]
            assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (Table(title="t", columns=("a", "b"), rows=[(1,)]), "expected 2"),
        (Picture(title="t", data=b"<svg/>"), "WebM"),
        (Clip(title="t", data=b""), "WebM"),
        (Plot(title="t", panels=(Panel(title="p", y_label="", series=(Series(label="s", x=[1], y=[]),)),)), "length"),
    ],
    ids=["ragged", "not-a-picture", "empty-clip", "uneven-series"],
)
def test_section_that_does_not_fit_is_refused(section: Section, expected: str) -> None:
    with pytest.raises(RefusedError, match=expected):
        render_report(title="t", intro="", sections=[section])


def test_uneven_joints_are_refused() -> None:
    with pytest.raises(RefusedError, match="one row per stamp"):
        joint_plot("t", [0.0, 1.0], [[0.0]], [[0.0]], ["j"])


def test_media_too_large_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MAX_MEDIA_BYTES", 100)
    with pytest.raises(RefusedError, match="at most 100"):
        render_report(title="t", intro="", sections=[Picture(title="t", data=encode_png(frames(1)[0]))])


def test_a_share_that_stays_at_nothing_is_seen_to_be_nothing() -> None:
    """On an axis of its own it would run through the middle between a hundredth above and below."""
    series = (Series(label="s", x=[0.0, 1.0], y=[0.0, 0.0]),)
    panel = Panel(title="p", y_label="success", series=series, shown=(0.0, 1.0))
    words = plot_html(Plot(title="t", panels=(panel,)))
    assert ">1.0<" in words
    assert ">0.0<" in words
    assert "0.01" not in words


def test_png_keeps_every_pixel() -> None:
    cv2 = pytest.importorskip("cv2")
    pixels = np.random.default_rng(3).integers(0, 256, (17, 23, 3), dtype=np.uint8)
    back = cv2.imdecode(np.frombuffer(encode_png(pixels), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(back[:, :, ::-1], pixels)


def test_clip_is_webm_and_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cv2 = pytest.importorskip("cv2")
    data = encode_clip(frames(20, 49, 65), 15.0)
    assert capfd.readouterr() == ("", "")
    if media_type(data) != "video/webm":
        pytest.skip("this machine's OpenCV has no VP8")
    path = tmp_path / "clip.webm"
    path.write_bytes(data)
    movie = cv2.VideoCapture(str(path))
    shown = []
    while (got := movie.read())[0]:
        shown.append(got[1])
    assert len(shown) == 20
    assert shown[0].shape == (48, 64, 3)
    assert movie.get(cv2.CAP_PROP_FPS) == pytest.approx(15.0)
    wanted = frames(20, 48, 64)[10][:, :, ::-1]
    assert np.abs(shown[10].astype(int) - wanted.astype(int)).mean() < 12.0


def broken(*_: object) -> bytes:
    raise OSError("no such codec")


def test_clip_without_vp8_becomes_a_picture_and_the_report_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("cv2")
    monkeypatch.setattr(media, "_webm", broken)
    data = encode_clip(frames(), 10.0)
    assert media_type(data) in ("image/webp", "image/png")
    assert "VP8" in caplog.text
    text = render_report(title="t", intro="", sections=[Clip(title="t", data=data, caption="Episode 1.")])
    assert "<video" not in text
    assert "Episode 1. Shown as a picture" in text
    monkeypatch.setattr(media, "_webp", broken)
    strip = encode_clip(frames(30), 10.0)
    assert media_type(strip) == "image/png"
    assert int.from_bytes(strip[16:20], "big") == media.STRIP_FRAMES * 64


@pytest.mark.parametrize(
    ("bad", "fps"),
    [
        ([], 10.0),
        (frames(1) + frames(1, 50), 10.0),
        ([np.zeros((4, 4), np.uint8)], 10.0),
        ([np.zeros((4, 4, 3), np.float32)], 10.0),
        (frames(2), 0.0),
        (frames(2), math.nan),
    ],
    ids=["none", "two-sizes", "grey", "floats", "no-rate", "nan-rate"],
)
def test_frames_that_are_no_clip_are_refused(bad: list[np.ndarray], fps: float) -> None:
    with pytest.raises(RefusedError):
        encode_clip(bad, fps)


def test_report_needs_no_opencv() -> None:
    code = (
        "import sys; from pathlib import Path; from genba.policies.pages import media, report\n"
        "import numpy as np; png = media.encode_png(np.zeros((4, 4, 3), np.uint8))\n"
        "report.render_report(title='t', intro='i', sections=[report.Picture(title='p', data=png)])\n"
        "assert 'cv2' not in sys.modules and 'torch' not in sys.modules and 'pybullet' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
