"""What the hunter says: one finding, in a sentence with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

MOST_ROWS = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """One suspicion. `severity` is blocks (an input of the task gives the answer away) or warns. `rows` number the header as 1,
    at most 50 are named; `count` of `n` are concerned; `figure` is a value with its 95 % interval where one was measured."""

    kind: str
    severity: str
    table: str
    columns: tuple[str, ...]
    rows: tuple[int, ...]
    count: int
    n: int
    evidence: str
    figure: tuple[float, float, float] | None = None


def to_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Plain lists and dictionaries."""
    return [asdict(finding) for finding in findings]
