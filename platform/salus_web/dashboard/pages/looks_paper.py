"""The report of who looked as a PDF to hand to the patient. Holds no name and only the end of the record number."""

from __future__ import annotations

import io
from html import escape
from pathlib import Path
from typing import Any

import reportlab
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from salus_web.common.clock import now
from salus_web.dashboard.pages.looks import Report

_FONTS = Path(reportlab.__file__).parent / "fonts"
registerFont(TTFont("Vera", _FONTS / "Vera.ttf"))
registerFont(TTFont("VeraBold", _FONTS / "VeraBd.ttf"))
_TEXT = ParagraphStyle("text", fontName="Vera", fontSize=9, leading=13)
_HEAD = ParagraphStyle("head", parent=_TEXT, fontName="VeraBold", fontSize=16, leading=22)
_DAY = ParagraphStyle("day", parent=_TEXT, fontName="VeraBold", fontSize=11, leading=16, spaceBefore=8)
_LINES = TableStyle([
    ("LINEBELOW", (0, 0), (-1, -1), 0.4, colors.HexColor("#d8dcdf")), ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
])  # fmt: skip
_WIDTHS = [28 * mm, 50 * mm, 48 * mm, 48 * mm]


def paper_of(report: Report, *, made_by: str) -> bytes:
    """The report on A4."""
    stream = io.BytesIO()
    page = SimpleDocTemplate(
        stream, pagesize=A4, leftMargin=18 * mm, rightMargin=18 * mm, topMargin=18 * mm, bottomMargin=18 * mm,
        title="Who looked at my record", author="Salus", invariant=1,
    )  # fmt: skip
    story: list[Any] = [
        Paragraph("Who looked at my record", _HEAD),
        Paragraph(_intro(report, made_by), _TEXT),
        Spacer(1, 4 * mm),
    ]
    for day, looks in report.days:
        rows = [[_cell(_when(look)), _cell(f"{look.who}, {look.role}"), _cell(look.what), _cell(look.why)] for look in looks]
        heads = [[_cell(words, "VeraBold") for words in ("When (UTC)", "Who", "What", "Why they could")]]
        story += [Paragraph(f"{day:%d %B %Y}", _DAY), Table([*heads, *rows], colWidths=_WIDTHS, style=_LINES, repeatRows=1)]
    page.build(story)
    return stream.getvalue()


def _intro(report: Report, made_by: str) -> str:
    people = "Nobody has" if not report.people else "One person has" if report.people == 1 else f"{report.people} people have"
    refused = ""
    if report.refused:
        refused = f" {'One person' if report.refused == 1 else f'{report.refused} people'} tried to and {'was' if report.refused == 1 else 'were'} refused: nothing was shown."
    cut = " Older looks are not printed here; ask for them." if report.is_cut else ""
    return escape(
        f"Record number ending in {report.number_end}. {people} opened something of this record or managed access to it.{refused} "
        f"Every look is written to a log that cannot be changed unnoticed; this is what the log says.{cut} "
        f"Made {now():%d %B %Y %H:%M} UTC by {made_by}. If something here looks wrong to you, ask the hospital's data protection officer."
    )


def _when(look: Any) -> str:
    return look.when if look.how_often == 1 else f"{look.when}, {look.how_often} times"


def _cell(words: str, font: str = "Vera") -> Paragraph:
    return Paragraph(escape(words), ParagraphStyle("cell", parent=_TEXT, fontName=font, fontSize=8, leading=11))
