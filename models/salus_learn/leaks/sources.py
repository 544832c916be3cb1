"""Where a case comes from: columns of site, device, view, address or day, and whether they predict the outcome."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from scipy.stats import fisher_exact

from salus_learn.evaluation.metrics import Figure
from salus_learn.leaks.alone import alone, by_numbers, by_words, comes_back
from salus_learn.leaks.finding import Finding
from salus_learn.leaks.table import Table, parts

SOURCE = 0.65
# One level that stands out: a site may be a small part of a table and still give most of those without the outcome.
LEVEL_APART, LEVEL_CHANCE, LEVEL_PEOPLE = 0.2, 0.01, 10
# name parts that tell where, when, with what or how a record came about
SOURCE_WORDS = frozenset(
    ["site", "source", "hospital", "centre", "center", "clinic", "ward", "device", "scanner", "vendor", "manufacturer", "machine", "view", "projection", "position", "folder", "url", "doi", "license", "licence", "repo", "repository", "hannover", "location", "modality", "protocol", "batch", "collection", "dataset", "origin", "orig", "split", "md5", "hash", "date", "filename", "file"]
)
_ADDRESS = re.compile(r"^(?:https?://)?(?:www\.)?([^/\s]+\.[a-z]{2,})(?:/|$)", re.IGNORECASE)
_DOI = re.compile(r"^(?:doi:)?(10\.\d{4,})/")
_PATH = re.compile(r"^(.*?)[^/\\]*\.[A-Za-z0-9]{2,4}$")
_FILE_START = re.compile(r"^[^\W\d_]+")


def is_source(table: Table, column: str) -> bool:
    """Whether the column's name, or what is in it (addresses, DOIs), tells where a case comes from."""
    if parts(column) & SOURCE_WORDS:
        return True
    cells = [cell for cell in table.cells[column] if cell not in table.missing][:50]
    return bool(cells) and sum(bool(cell.startswith("http") or _DOI.match(cell)) for cell in cells) > 0.8 * len(cells)


def origin(cell: str) -> str:
    """The part of a cell that tells the source: an address's host, a DOI's publisher, how a file's name begins; else the cell."""
    if found := _DOI.match(cell):
        return found.group(1)
    if cell.startswith("http") and (found := _ADDRESS.match(cell)):
        return found.group(1).lower()
    if _PATH.match(cell):
        start = _FILE_START.match(cell)
        return start.group(0).lower() if start else "(number)"
    return cell


def source(table: Table, column: str, y: np.ndarray, people: np.ndarray) -> Finding | None:
    """What a source column says of the outcome, or None. y (n,) of 0 and 1, people (n,)."""
    figure, words = _figure(table, column, y, people)
    level = _level(words, y, people)
    strong = figure is not None and figure[0] >= SOURCE and figure[1] > 0.5
    if figure is None or not (strong or level):
        return None
    sentence = (
        f"Where the case comes from ({column}) predicts the outcome (AUROC {figure[0]:.2f}, 95 % interval {figure[1]:.2f} to "
        f"{figure[2]:.2f}){level}: a model can learn the source instead of the patient."
    )
    return Finding("source_predicts_outcome", "warns", table.name, (column,), (), len(y), len(y), sentence, figure)


def _figure(table: Table, column: str, y: np.ndarray, people: np.ndarray) -> tuple[Figure | None, list[str]]:
    """The AUROC of the column, as days, as numbers or as where its cells come from; and its words, where it has any."""
    days = table.days(column)
    if days is not None:
        return by_numbers(days, y, people), []
    numbers = table.numbers(column)
    if numbers is not None and len(np.unique(numbers[np.isfinite(numbers)])) > 2:
        return alone(table, column, y, people), []
    words = ["" if cell in table.missing else origin(cell) for cell in table.cells[column]]
    known = np.array([bool(word) for word in words])
    there = [word for word in words if word]
    if not there or not comes_back(there, people[known]):
        return None, []
    return by_words(there, y[known], people[known]), words


def _level(words: Sequence[str], y: np.ndarray, people: np.ndarray) -> str:
    """A clause on the level that stands out most, or nothing. Each person counts once a level; Fisher's exact test, corrected
    for the number of levels."""
    told, labels = [], np.array(words)
    names = [str(name) for name in np.unique(labels)] if len(labels) else []
    for name in names if len(names) < 100 else []:
        if not name:
            continue
        first_in, first_out = (_once(np.flatnonzero(there), people) for there in (labels == name, (labels != name) & (labels != "")))
        if min(len(first_in), len(first_out)) < LEVEL_PEOPLE:
            continue
        inside, outside = y[first_in], y[first_out]
        chance = fisher_exact([[inside.sum(), (inside == 0).sum()], [outside.sum(), (outside == 0).sum()]]).pvalue * len(names)
        if abs(inside.mean() - outside.mean()) >= LEVEL_APART and chance < LEVEL_CHANCE:
            rank = round(float(np.log10(max(chance, 1e-300))), 6)
            told.append((rank, len(inside), f"; of {len(inside)} people with “{name}” {inside.mean():.0%} have the outcome, of {len(outside)} others {outside.mean():.0%}"))
    return min(told)[2] if told else ""


def _once(places: np.ndarray, people: np.ndarray) -> np.ndarray:
    """The first of a person's places (m,)."""
    return places[np.unique(people[places], return_index=True)[1]] if len(places) else places
