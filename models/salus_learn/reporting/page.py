"""The report as one HTML file that asks nothing of any network: styles, charts and script are inside it."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from pathlib import Path
from typing import Any

from salus_learn.reporting.blocks import Block, Cell, Photo, Pictures, Prose, Section, Sliders, Table
from salus_learn.reporting.sections import facts, sections
from salus_learn.reporting.svg import chart_svg

_HERE = Path(__file__).parent
STYLE = (_HERE / "report.css").read_text(encoding="utf-8")
SCRIPT = (_HERE / "report.js").read_text(encoding="utf-8")
FOOT = "Written by Salus from report.json, which holds every number to six digits. Nothing was left out for looking bad."


def content_policy() -> str:
    """The Content-Security-Policy under which the page works whole; it names style and script by their digest, and of
    pictures allows only those inside the page itself."""
    style, script = (f"'sha256-{_digest(text)}'" for text in (STYLE, SCRIPT))
    return f"default-src 'none'; style-src {style}; script-src {script}; img-src data:; base-uri 'none'; form-action 'none'"


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def page_html(report: dict[str, Any]) -> str:
    """The whole page from the report's plain form."""
    parts = sections(report)
    title = escape(report["task"]["title"])
    links = "".join(f'<li><a href="#{part.id}">{escape(part.title)}</a></li>' for part in parts)
    head = "".join(f"<dt>{escape(name)}</dt><dd>{escape(said)}</dd>" for name, said in facts(report))
    simulated = ""
    if report["task"]["simulated"]:
        simulated = '<p class="simulated">▒ Simulated people: these figures say nothing of real ones.</p>'
    body = "".join(_section(part) for part in parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{content_policy()}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>Model report: {title}</title><style>{STYLE}</style></head>\n"
        f'<body><header><p class="kind">Model report · {escape(report["task"]["id"])}</p><h1>{title}</h1>{simulated}'
        f'<dl>{head}</dl></header><nav aria-label="Parts of the report"><ul>{links}</ul></nav>\n<main>{body}</main>\n'
        f"<footer>{FOOT}</footer>\n<script>{SCRIPT}</script></body></html>\n"
    )


def _section(part: Section) -> str:
    blocks = "".join(_block(block) for block in part.blocks)
    return f'<section id="{part.id}" aria-labelledby="{part.id}-head"><h2 id="{part.id}-head">{escape(part.title)}</h2>{blocks}</section>\n'


def _block(block: Block) -> str:
    if isinstance(block, Prose):
        return _prose(block)
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Sliders):
        return _sliders(block)
    if isinstance(block, Photo):
        return _photo(block)
    return _pictures(block)


def _prose(block: Prose) -> str:
    if block.kind == "state":
        mark, _, rest = block.text.partition(" ")
        return f'<p class="state"><span>{escape(mark)}</span><span>{escape(rest)}</span></p>'
    look = ' class="quiet"' if block.kind == "quiet" else ""
    return f"<p{look}>{escape(block.text)}</p>"


def _table(block: Table) -> str:
    caption = escape(block.caption)
    head = "".join(f'<th scope="col"{_num(block, at)}>{escape(word) or _EMPTY}</th>' for at, word in enumerate(block.columns))
    rows = "".join(
        "<tr>" + "".join(_cell(block, at, cell) for at, cell in enumerate(row)) + "</tr>" for row in block.rows
    )
    table = (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{caption}"><table><caption><span>{caption}</span></caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
    return f"<details><summary>{caption}</summary>{table}</details>" if block.folded else table


_EMPTY = '<span class="hidden">row</span>'


def _num(block: Table, at: int) -> str:
    return ' class="num"' if at in block.numeric else ""


def _cell(block: Table, at: int, cell: Cell) -> str:
    under = f"<small>{escape(cell.under)}</small>" if cell.under else ""
    kind = "words num" if at in block.numeric else "words"
    if at == 0:
        return f'<th scope="row">{escape(cell.said)}{under}</th>'
    look = f' class="{kind}"' if cell.quiet else _num(block, at)
    return f"<td{look}>{escape(cell.said)}{under}</td>"


def _pictures(block: Pictures) -> str:
    figures = "".join(
        f"<figure><figcaption>{escape(chart.title)}</figcaption>{chart_svg(chart)}{_table(table) if table else ''}</figure>"
        for chart, table in block.charts
    )
    kind = "pictures one" if len(block.charts) == 1 else "pictures"
    return f'<div class="{kind}">{figures}</div>'


def _photo(block: Photo) -> str:
    source = f"data:image/png;base64,{escape(block.png)}"
    return f'<figure class="photo"><figcaption>{escape(block.caption)}</figcaption><img src="{source}" alt="{escape(block.said)}"></figure>'


def _sliders(block: Sliders) -> str:
    """The movable matrix; hidden until its script runs. Numbers in it are put there by the script alone."""
    counts = json.dumps(block.arms, separators=(",", ":")).replace("<", "\\u003c")
    order = sorted(block.arms, key=lambda arm: arm != "fused")
    arms = "".join(f'<option value="{arm}">{escape(block.arms[arm]["label"])}</option>' for arm in order)
    own = min(995, max(1, round(1000 * block.prevalence)))
    return (
        f'<script type="application/json" id="counts">{counts}</script>'  # nosec B608 # HTML, and no query
        "<noscript><p>Threshold and prevalence can be moved where scripts may run; the table above is the operating point.</p></noscript>"
        '<div class="sliders" id="sliders" hidden><h3>Move the threshold, and set the prevalence of your ward</h3>'
        '<div class="controls">'
        f'<label for="arm">Arm<select id="arm">{arms}</select></label>'
        '<div><label for="threshold">Flag from a risk of <output id="threshold-said" for="threshold"></output></label>'
        f'<input type="range" id="threshold" min="0" max="{block.arms["fused"]["thresholds"]["steps"]}" step="1"></div>'
        '<div><label for="prevalence">Local prevalence <output id="prevalence-said" for="prevalence"></output></label>'
        f'<input type="range" id="prevalence" min="1" max="995" step="1" data-own="{own}"></div></div>'
        f'<div class="outcomes">{_matrix(_COUNTED, "Counted among those judged")}'
        f'{_matrix(_EXPECTED, _EXPECTED_OF)}{_OUTCOMES}</div>'
        '<p id="said" aria-live="polite"></p><p class="quiet">Sensitivity and specificity are taken to hold at another prevalence; '
        f"where the people differ in more than prevalence, they do not. {escape(block.caution)}</p>"
        '<button type="button" id="back">Back to the operating point</button></div>'
    )


_EXPECTED_OF = "Expected of 1\u202f000 people at the local prevalence, rounded"
_COUNTED = ("tp", "fp", "fn", "tn")
_EXPECTED = ("found", "alarms", "missed", "left")


def _matrix(ids: tuple[str, ...], caption: str) -> str:
    tp, fp, fn, tn = (
        f'<td class="num"><span class="big" id="{name}"></span><small>{word}</small></td>'
        for name, word in zip(ids, ("found", "false alarm", "missed", "rightly left"), strict=True)
    )
    return (
        f'<table><caption>{caption}</caption><thead><tr><th scope="col">{_EMPTY}</th><th scope="col" class="num">with the outcome</th>'
        f'<th scope="col" class="num">without</th></tr></thead><tbody><tr><th scope="row">flagged</th>{tp}{fp}</tr>'
        f'<tr><th scope="row">not flagged</th>{fn}{tn}</tr></tbody></table>'
    )


def _outcome_rows() -> str:
    named = (
        ("sensitivity", "sensitivity", "Wilson"), ("specificity", "specificity", "Wilson"),
        ("ppv", "PPV", "at the local prevalence"), ("npv", "NPV", "at the local prevalence"),
    )  # fmt: skip
    return "".join(
        f'<tr><th scope="row">{word}<small>{how}</small></th><td class="num"><span class="big" id="{name}"></span>'
        f'<small id="{name}-under"></small></td></tr>'
        for name, word, how in named
    )


_OUTCOMES = (
    '<table><caption>What that gives, 95 % intervals</caption><thead><tr><th scope="col">figure</th>'
    f'<th scope="col" class="num">value</th></tr></thead><tbody>{_outcome_rows()}</tbody></table>'
)
