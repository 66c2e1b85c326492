"""One HTML file that explains a run to whoever opens it: no script, no network, light and dark.

    header   title, introduction
    section  Table | Plot | Heat | Clip | Picture | Text, in the order given, numbered

Media are base64 inside the file and plots are inline SVG, so it can be mailed and archived as it is.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from re import sub

from ...robots.errors import RefusedError
from ...robots.files import whole
from .heat import Heat, heat_html
from .media import media_type
from .plot import Plot, clean, plot_html

MAX_MEDIA_BYTES = 30_000_000

Cell = str | float | int | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells.

    Attributes:
        title: Heading of the section.
        rows: Cells; numbers are rounded to four digits, True and False become marks.
        columns: Column heads; without them the first cell of each row is its head.
        caption: Text below.
    """

    title: str
    rows: Sequence[Sequence[Cell]]
    columns: Sequence[str] = ()
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A moving picture.

    Attributes:
        title: Heading of the section.
        data: What `media.encode_clip` returned.
        caption: Text below.
    """

    title: str
    data: bytes
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A still.

    Attributes:
        title: Heading of the section.
        data: What `media.encode_png` returned, or the content of a PNG, JPEG, WebP or GIF file.
        caption: Text below, also read aloud in its place.
    """

    title: str
    data: bytes
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Prose.

    Attributes:
        title: Heading of the section.
        text: Paragraphs divided by blank lines; lines that begin with "- " are a list, `this` is code.
    """

    title: str
    text: str


Section = Table | Plot | Heat | Clip | Picture | Text


def write_report(path: Path, *, title: str, intro: str, sections: Sequence[Section]) -> None:
    """Write the file, whole or not at all.

    Args:
        path: Where; its folder must exist.
        title: Of the page.
        intro: One or more paragraphs below it, in the form of `Text.text`.
        sections: What the reader sees, top to bottom.

    Raises:
        RefusedError: If a section does not fit its form, or media are too large.
        DiskError: If the file cannot be written.
    """
    page = render_report(title=title, intro=intro, sections=sections)
    with whole(path) as draft:
        draft.write_text(page, encoding="utf-8", newline="\n")


def render_report(*, title: str, intro: str, sections: Sequence[Section]) -> str:
    """The page as text; arguments as for `write_report`."""
    body = "".join(
        f'<section class="{type(section).__name__.lower()}"><h2><span class="number">{number}</span>'
        f"{clean(section.title)}</h2>{_inside(section)}</section>\n"
        for number, section in enumerate(sections, 1)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        '<meta name="color-scheme" content="light dark"/><meta name="generator" content="genba"/>'
        f"<title>{clean(title)}</title><style>{_STYLE}</style></head>\n<body>"
        f'<header><div class="brand">{_SEAL}genba</div><h1>{clean(title)}</h1>'
        f'<div class="intro">{_prose(intro)}</div></header>\n<main>\n{body}</main>\n'
        "<footer>Written by genba. This file is complete in itself and loads nothing.</footer></body></html>\n"
    )


def _inside(section: Section) -> str:
    match section:
        case Table():
            return _table(section) + _caption(section.caption)
        case Plot():
            return plot_html(section) + _caption(section.caption)
        case Heat():
            return heat_html(section) + _caption(section.caption)
        case Clip():
            return _clip(section)
        case Picture():
            return _image(section.title, section.data, section.caption)
        case Text():
            return f'<div class="prose">{_prose(section.text)}</div>'


def _table(table: Table) -> str:
    wide = len(table.columns) or max((len(row) for row in table.rows), default=0)
    for row in table.rows:
        if len(row) != wide:
            raise RefusedError(f"table {table.title!r}: row {list(row)!r} has {len(row)} cells, expected {wide}")
    numeric = [all(_fits_numbers(row[i]) for row in table.rows) for i in range(wide)]
    side = ' class="num"'
    head = ""
    if table.columns:
        cells = "".join(
            f'<th scope="col"{side * number}>{clean(name)}</th>'
            for name, number in zip(table.columns, numeric, strict=True)
        )
        head = f"<thead><tr>{cells}</tr></thead>"
    rows = []
    for row in table.rows:
        cells = "".join(
            f'<th scope="row">{_cell(cell)}</th>' if i == 0 else f"<td{side * numeric[i]}>{_cell(cell)}</td>"
            for i, cell in enumerate(row)
        )
        rows.append(f"<tr>{cells}</tr>")
    kind = "" if head else ' class="pairs"'
    return f'<div class="scroll"><table{kind}>{head}<tbody>{"".join(rows)}</tbody></table></div>'


def _fits_numbers(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool))


def _cell(cell: Cell) -> str:
    if cell is None:
        return '<span class="none">–</span>'
    if cell is True:
        return '<span class="yes">✓ yes</span>'
    if cell is False:
        return '<span class="no">✗ no</span>'
    if isinstance(cell, float):
        return f"{cell:.4g}".replace("-", "−")
    if isinstance(cell, int):
        return str(cell).replace("-", "−")
    return _inline(cell)


def _clip(clip: Clip) -> str:
    kind, data = _embed(clip.title, clip.data)
    if kind.startswith("image/"):
        note = "Shown as a picture, because the machine that wrote this report could not encode video."
        return _image(clip.title, clip.data, f"{clip.caption} {note}".strip())
    return (
        '<figure><video controls="" autoplay="" loop="" muted="" playsinline="" '
        f'src="data:{kind};base64,{data}"></video>'
        f"{_caption(clip.caption, 'figcaption')}</figure>"
    )


def _image(title: str, data: bytes, caption: str) -> str:
    kind, text = _embed(title, data)
    return (
        f'<figure><img src="data:{kind};base64,{text}" alt="{clean(caption or title)}"/>'
        f"{_caption(caption, 'figcaption')}</figure>"
    )


def _embed(title: str, data: bytes) -> tuple[str, str]:
    if len(data) > MAX_MEDIA_BYTES:
        raise RefusedError(
            f"section {title!r}: {len(data)} bytes of media, at most {MAX_MEDIA_BYTES}; use fewer or smaller frames"
        )
    return media_type(data), b64encode(data).decode("ascii")


def _caption(text: str, tag: str = "p") -> str:
    return f'<{tag} class="caption">{_inline(text)}</{tag}>' if text else ""


def _prose(text: str) -> str:
    parts = []
    for block in text.strip().split("\n\n"):
        lines = [line.strip() for line in block.splitlines() if line.strip()]
        if lines and all(line.startswith("- ") for line in lines):
            parts.append("<ul>" + "".join(f"<li>{_inline(line[2:])}</li>" for line in lines) + "</ul>")
        elif lines:
            parts.append(f"<p>{_inline(' '.join(lines))}</p>")
    return "".join(parts)


def _inline(text: str) -> str:
    return sub(r"`([^`]+)`", r"<code>\1</code>", clean(text))


# A seal: the horizon of a work cell with an arm reaching over it.
_SEAL = (
    '<svg class="seal" viewBox="0 0 24 24" aria-hidden="true"><rect width="24" height="24" rx="5"/>'
    '<path d="M6 18.5h12M8 18.5V12l5-5 4 4v2.5M15.2 13.5h3.6"/></svg>'
)

_STYLE = """
:root{--paper:#fbfaf7;--card:#fff;--ink:#1d2329;--soft:#5c6670;--rule:#e3e0d9;--grid:#ecebe6;--accent:#c8452c;
--yes:#1b7a46;--no:#b3261e;--tint:#f4f2ec;
--h0:#2468b4;--h1:#d97706;--h2:#0f8a6d;--h3:#a8447f;--h4:#6d5fc4;--h5:#7a6a1f}
@media(prefers-color-scheme:dark){:root{--paper:#14181c;--card:#1b2126;--ink:#e8e9e6;--soft:#9aa5ae;--rule:#2e363d;
--grid:#2f3840;--accent:#ef7a5f;--yes:#5fce92;--no:#ff8f85;--tint:#20272d;
--h0:#6fb1f5;--h1:#f2a63b;--h2:#4cc9a4;--h3:#e48cc0;--h4:#a99cf5;--h5:#cdb95a}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);line-height:1.6;
font:16px/1.6 "Inter","Segoe UI",system-ui,-apple-system,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif}
header,main,footer{max-width:1120px;margin:0 auto;padding:0 28px}
header{padding-top:44px;padding-bottom:10px}
.brand{display:flex;align-items:center;gap:10px;color:var(--soft);font-size:14px;font-weight:600;letter-spacing:.14em}
.seal{width:24px;height:24px}.seal rect{fill:var(--accent)}
.seal path{fill:none;stroke:#fff;stroke-width:1.9;stroke-linecap:round;stroke-linejoin:round}
h1{font-size:clamp(28px,4vw,42px);line-height:1.15;letter-spacing:-.02em;font-weight:700;margin:18px 0 10px;
text-wrap:balance}
.intro{max-width:70ch;color:var(--soft);font-size:18px}
section{background:var(--card);border:1px solid var(--rule);border-radius:12px;padding:24px 28px 26px;margin:22px 0;
break-inside:avoid}
h2{font-size:19px;font-weight:650;margin:0 0 16px;letter-spacing:-.005em;display:flex;align-items:baseline;gap:12px}
.number{color:var(--accent);font-variant-numeric:tabular-nums;font-size:14px;font-weight:700}
p{margin:.5em 0}.caption{color:var(--soft);font-size:14.5px;margin:14px 0 0;max-width:80ch}
.prose,.intro{overflow-wrap:anywhere}.prose{max-width:74ch}.prose p:first-child{margin-top:0}ul{padding-left:1.2em}
code{font:.9em ui-monospace,"Cascadia Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;background:var(--tint);
padding:.1em .35em;border-radius:4px;overflow-wrap:anywhere}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:15px;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:8px 16px 8px 0;border-bottom:1px solid var(--rule);vertical-align:top}
tbody tr:last-child>*{border-bottom:0}
thead th{color:var(--soft);font-size:13px;font-weight:600;border-bottom:2px solid var(--rule);white-space:nowrap}
tbody th{font-weight:550}.pairs tbody th{color:var(--soft);font-weight:500;width:34%}
th.num,td.num{text-align:right;padding-right:24px}th:last-child,td:last-child{padding-right:0}
.heat{display:grid;gap:4px}
.heat .row{align-self:center;padding-right:12px;font-size:14.5px;color:var(--soft)}
.heat .field{border-radius:6px;padding:8px 10px;text-align:right;font-variant-numeric:tabular-nums;color:var(--ink)}
.heat .field b{display:block;font-size:16px;font-weight:650}.heat .field small{font-size:11.5px;opacity:.8}
.yes{color:var(--yes);font-weight:650}.no{color:var(--no);font-weight:650}.none{color:var(--soft)}
figure{margin:0}video,figure>img{display:block;max-width:100%;height:auto;border-radius:8px;
border:1px solid var(--rule);background:var(--tint)}
video{width:min(100%,860px)}figure>img{min-width:min(100%,480px)}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:18px 26px}
.panel figcaption{font-size:14px;font-weight:600;margin:0 0 2px;padding-left:46px}
.panel svg{display:block;width:100%;height:auto;overflow:visible}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 22px;margin:-6px 0 14px;padding:0;color:var(--soft);
font-size:14px}.legend li{display:flex;align-items:center;gap:8px}.key{width:26px;height:8px}
.grid{stroke:var(--grid);stroke-width:1}.axis,.mark{stroke:var(--soft);stroke-width:1;fill:none}
.tick,.label{fill:var(--soft);font-size:10px;font-variant-numeric:tabular-nums}.label{font-size:10.5px}
.line{fill:none;stroke-linejoin:round;stroke-linecap:round}.measured{stroke-width:2}
.target{stroke:var(--ink);stroke-width:1.2;stroke-dasharray:4 3;stroke-linecap:butt}
.limit{stroke:var(--no);stroke-width:1.2;stroke-dasharray:1.5 3}
.hue0{stroke:var(--h0)}.hue1{stroke:var(--h1)}.hue2{stroke:var(--h2)}
.hue3{stroke:var(--h3)}.hue4{stroke:var(--h4)}.hue5{stroke:var(--h5)}
footer{color:var(--soft);font-size:13px;padding-top:6px;padding-bottom:44px}
@media(max-width:620px){header,main,footer{padding-left:16px;padding-right:16px}section{padding:18px 16px}}
@media print{body{background:#fff}section{border:0;padding:0}}
"""
