"""The report as a PDF: the same sections and charts, in the light tokens, A4."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape  # nosec B406 # escapes, and parses nothing

import reportlab
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import registerFont, registerFontFamily
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    Image,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
)
from reportlab.platypus import Table as Grid

from salus_learn.reporting.blocks import Cell, Photo, Pictures, Prose, Section, Sliders, Table
from salus_learn.reporting.drawing import chart_drawing, ink
from salus_learn.reporting.sections import facts, sections

FONT, BOLD = "SalusVera", "SalusVera-Bold"
_MARGIN = 16 * mm
_WIDTH = A4[0] - 2 * _MARGIN
_SWAP = {"\u202f": "\u00a0", "✕": "×", "◐": "?", "▒": "≈"}  # signs the font lacks


def write_paper(report: dict[str, Any], path: Path) -> None:
    """Write the PDF. The same report gives the same bytes; signs its font lacks become a question mark."""
    _register()
    task = report["task"]
    made = BaseDocTemplate(
        str(path), pagesize=A4, title=f"Model report: {task['title']}", author="Salus", subject=task["id"], lang="en",
        invariant=1,
    )  # fmt: skip
    frame = Frame(_MARGIN, 18 * mm, _WIDTH, A4[1] - 36 * mm, 0, 0, 0, 0)
    foot = f"{task['title']} · model report" + (" · SIMULATED PEOPLE" if task["simulated"] else "")

    def dress(canvas: Canvas, document: BaseDocTemplate) -> None:
        canvas.setFont(FONT, 7)
        canvas.setFillColor(ink("quiet"))
        canvas.drawString(_MARGIN, 10 * mm, _fit(foot))
        canvas.drawRightString(A4[0] - _MARGIN, 10 * mm, f"page {document.page}")

    made.addPageTemplates([PageTemplate("all", [frame], onPage=dress)])
    made.build(_head(report) + [flowable for part in sections(report) for flowable in _section(part)])


def _register() -> None:
    fonts = Path(reportlab.__file__).parent / "fonts"
    registerFont(TTFont(FONT, str(fonts / "Vera.ttf")))
    registerFont(TTFont(BOLD, str(fonts / "VeraBd.ttf")))
    registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=FONT, boldItalic=BOLD)


def _fit(text: str) -> str:
    """The text in signs the font has."""
    for sign, other in _SWAP.items():
        text = text.replace(sign, other)
    return "".join(sign if ord(sign) < 0x100 or sign in "–—−…•≥≤≈²×’“”" else "?" for sign in text)


def _style(size: float, *, bold: bool = False, quiet: bool = False, right: bool = False, after: float = 3) -> ParagraphStyle:
    return ParagraphStyle(
        "s", fontName=BOLD if bold else FONT, fontSize=size, leading=size * 1.35, spaceAfter=after,
        textColor=ink("quiet" if quiet else "ink"), alignment=2 if right else 0,
    )  # fmt: skip


def _said(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(escape(_fit(text)), style)


def _head(report: dict[str, Any]) -> list[Flowable]:
    made: list[Flowable] = [
        _said(f"Model report · {report['task']['id']}", _style(8, quiet=True)),
        _said(report["task"]["title"], _style(20, bold=True, after=8)),
    ]
    if report["task"]["simulated"]:
        made.append(_said("▒ Simulated people: these figures say nothing of real ones.", _style(8, bold=True)))
    rows = [[_said(name, _style(8, quiet=True)), _said(said, _style(8))] for name, said in facts(report)]
    grid = Grid(rows, colWidths=[90, _WIDTH - 90])
    grid.setStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("TOPPADDING", (0, 0), (-1, -1), 1),
                   ("BOTTOMPADDING", (0, 0), (-1, -1), 1), ("LEFTPADDING", (0, 0), (-1, -1), 0),
                   ("LINEBELOW", (0, -1), (-1, -1), 1.2, ink("ink"))])  # fmt: skip
    return [*made, grid]


def _section(part: Section) -> list[Flowable]:
    made: list[Flowable] = [CondPageBreak((110 if any(isinstance(block, Pictures) for block in part.blocks[:2]) else 45) * mm), Spacer(1, 10), _said(part.title, _style(12, bold=True, after=4))]
    for block in part.blocks:
        if isinstance(block, Prose):
            made.append(_said(block.text, _style(8, quiet=block.kind == "quiet")))
        elif isinstance(block, Table):
            made += _table(block)
        elif isinstance(block, Pictures):
            made += _pictures(block)
        elif isinstance(block, Photo):
            made += _photo(block)
        elif isinstance(block, Sliders):
            continue
    return made


def _table(block: Table) -> list[Flowable]:
    k = len(block.columns)
    size = 7.5 if k <= 5 else 6.5 if k <= 7 else 5.6
    head = [_said(word, _style(size, bold=True, quiet=True, right=at in block.numeric, after=0)) for at, word in enumerate(block.columns)]
    body = [[_cell(cell, size, at in block.numeric, at == 0) for at, cell in enumerate(row)] for row in block.rows]
    grid = Grid([head, *body], colWidths=_widths(block), repeatRows=1)
    grid.setStyle([
        ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LINEBELOW", (0, 0), (-1, 0), 0.8, ink("line-strong")),
        ("LINEBELOW", (0, 1), (-1, -1), 0.4, ink("line")), ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4), ("TOPPADDING", (0, 0), (-1, -1), 2), ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ])  # fmt: skip
    grid.hAlign = "LEFT"
    caption = _said(block.caption, _style(7.5, quiet=True, after=2))
    if len(block.rows) <= 14:
        return [KeepTogether([caption, grid]), Spacer(1, 8)]
    return [caption, grid, Spacer(1, 8)]


def _widths(block: Table) -> list[float]:
    """Columns by the length of their longest line, within bounds, and wide enough for the longest word in them."""
    k = len(block.columns)
    longest = [max(_length(row[at]) for row in block.rows) for at in range(k)]
    heads = [
        max(len(word) for said in (block.columns[at], *(row[at].said for row in block.rows)) for word in f"{said} -".split(" "))
        * 1.35
        for at in range(k)
    ]
    capped = [min(max(length, head, 7.0), 26.0) for length, head in zip(longest, heads, strict=True)]
    whole = min(_WIDTH, sum(capped) * 6.2)
    return [whole * part / sum(capped) for part in capped]


def _length(cell: Cell) -> float:
    return max(len(cell.said), len(cell.under) * 0.9)


def _cell(cell: Cell, size: float, right: bool, first: bool) -> Paragraph:
    under = f'<br/><font size="{size * 0.85}" color="#545c64">{escape(_fit(cell.under))}</font>' if cell.under else ""
    style = _style(size, bold=first, quiet=cell.quiet, right=right, after=0)
    return Paragraph(escape(_fit(cell.said)) + under, style)


def _pictures(block: Pictures) -> list[Flowable]:
    """Charts two in a row, then the tables of their numbers."""
    half = _WIDTH / 2 - 14
    shown = [
        [_said(chart.title, _style(8.5, bold=True)), chart_drawing(chart, half, FONT)] for chart, _ in block.charts
    ]
    made: list[Flowable] = []
    for at in range(0, len(shown), 2):
        pair = [*shown[at : at + 2], ""][:2]
        grid = Grid([pair], colWidths=[_WIDTH / 2] * 2)
        grid.setStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)])
        made += [grid, Spacer(1, 6)]
    for _, table in block.charts:
        if table is not None:
            made += _table(table)
    return made


def _photo(block: Photo) -> list[Flowable]:
    """The picture under its caption, at most as wide as the page."""
    shown = Image(io.BytesIO(base64.b64decode(block.png)))
    scale = min(1.0, _WIDTH / shown.imageWidth)
    shown.drawWidth, shown.drawHeight = shown.imageWidth * scale, shown.imageHeight * scale
    shown.hAlign = "LEFT"
    return [KeepTogether([_said(block.caption, _style(7.5, quiet=True, after=2)), shown]), Spacer(1, 8)]
