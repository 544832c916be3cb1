"""Numbers beyond the limit of a measurement, as laboratories write them: “<0.5”, “≥ 600”."""

from __future__ import annotations

import re
from dataclasses import dataclass

SIGNS = ("<", "<=", ">=", ">")
_AS_WRITTEN = {"≤": "<=", "≥": ">="}
_BEYOND = re.compile(r"(<=|>=|<|>|≤|≥)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)")


@dataclass(frozen=True, slots=True)
class Limit:
    """What is known of a value that could not be measured: its sign (one of SIGNS) and the limit."""

    sign: str
    number: float


def limit_of(word: str) -> Limit | None:
    """The limit that a word states, or None where it states none."""
    found = _BEYOND.fullmatch(word.strip())
    if found is None:
        return None
    return Limit(_AS_WRITTEN.get(found.group(1), found.group(1)), float(found.group(2)))
