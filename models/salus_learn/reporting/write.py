"""Writes a report: report.json (every number), report.html (self-contained) and report.pdf."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from salus_learn.evaluation.claims import SEED_CLAIMS, Claim
from salus_learn.evaluation.judged import JudgedPeople
from salus_learn.reporting.build import build_report
from salus_learn.reporting.page import page_html
from salus_learn.reporting.paper import write_paper


@dataclass(frozen=True, slots=True)
class Written:
    """Where the three files lie."""

    json: Path
    html: Path
    pdf: Path


def write_report(judged: JudgedPeople, out_folder: Path, *, claims: tuple[Claim, ...] = SEED_CLAIMS) -> Written:
    """Write the three files into `out_folder` (made if absent, files of the same name replaced).

    Deterministic: the same people give the same bytes. Raises ValueError when the fused risk speaks for nobody."""
    report = build_report(judged, claims)
    out_folder.mkdir(parents=True, exist_ok=True)
    written = Written(*(out_folder / f"report.{kind}" for kind in ("json", "html", "pdf")))
    written.json.write_text(json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")
    written.html.write_text(page_html(report), encoding="utf-8")
    write_paper(report, written.pdf)
    return written
