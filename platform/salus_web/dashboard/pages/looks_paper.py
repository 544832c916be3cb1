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
_SMALL = ParagraphStyle("small", parent=_TEXT, fontSize=8, leading=12, textColor=colors.HexColor("#545c64"))
_HEAD = ParagraphStyle("head", parent=_TEXT, fontName="VeraBold", fontSize=16, leading=22)
_DAY = ParagraphStyle("day", parent=_TEXT, fontName="VeraBold", fontSize=11, leading=18, spaceBefore=10, keepWithNext=1)
_LINES = TableStyle([
    ("LINEBELOW", (0, 0), (-1, -1), 0.4, colors.HexColor("#d8dcdf")), ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LEFTPADDING", (0, 0), (-1, -1), 0), ("TOPPADDING", (0, 0), (-1, -1), 2), ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
])  # fmt: skip
_WIDTHS = [27 * mm, 47 * mm, 48 * mm, 47 * mm]  # within the frame, whose own rim is 6 points on each side
_WORDS = (
    "“Had the name on the work list” means that your name was one of many on a list of patients. “Care team of a ward” means that this ward cared for you at that "
    "moment. “Administration of access” means that somebody's task was to look after who may see records; they see nothing of your health. “Nothing was shown” "
    "means that Salus refused. Times are in UTC, the same as in the log."
)


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
        story += [Paragraph(f"{day:%d %B %Y}", _DAY), Table([*heads, *rows], colWidths=_WIDTHS, style=_LINES, repeatRows=1, hAlign="LEFT")]
    story += [Spacer(1, 6 * mm), Paragraph(escape(_WORDS), _SMALL)]
    foot = f"{report.hospital} · {report.called} · who looked"
    page.build(story, onFirstPage=_foot(foot), onLaterPages=_foot(foot))
    return stream.getvalue()


def _foot(words: str) -> Any:
    """Whose paper it is and which page, at the foot of each: loose sheets must not be mixed up."""

    def draw(canvas: Any, page: Any) -> None:
        canvas.setFont("Vera", 8)
        canvas.setFillColor(colors.HexColor("#545c64"))
        canvas.drawString(18 * mm + 6, 11 * mm, words)
        canvas.drawRightString(A4[0] - 18 * mm - 6, 11 * mm, f"page {page.page}")

    return draw


def _intro(report: Report, made_by: str) -> str:
    people = "Nobody has" if not report.people else "One person has" if report.people == 1 else f"{report.people} people have"
    refused = ""
    if report.refused:
        refused = f" {'One person' if report.refused == 1 else f'{report.refused} people'} tried to and {'was' if report.refused == 1 else 'were'} refused: nothing was shown."
    cut = " Older looks are not printed here; ask for them." if report.is_cut else ""
    return escape(
        f"{report.hospital}, {report.called}. {people} opened something of this record or managed access to it.{refused} "
        f"Every look is written to a log that cannot be changed unnoticed; this is what the log says.{cut} "
        f"Made {now():%d %B %Y %H:%M} UTC by {made_by}. If something here looks wrong to you, ask the hospital's data protection officer."
    )


def _when(look: Any) -> str:
    return look.when if look.how_often == 1 else f"{look.when}, {look.how_often} times"


def _cell(words: str, font: str = "Vera") -> Paragraph:
    return Paragraph(escape(words), ParagraphStyle("cell", parent=_TEXT, fontName=font, fontSize=8, leading=11))
