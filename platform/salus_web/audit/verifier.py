"""Proves a chain whole, or says where it is not. Pure: it is given rows and a saved head, and reads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from salus_web.audit.chain import GENESIS, digest

WHOLE, CHANGED, CUT_SHORT = 0, 2, 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found: `code` is WHOLE, CHANGED (first at `number`) or CUT_SHORT; the end of what was read."""

    code: int
    number: int
    digest: str
    sentence: str


def verify(events: Iterable[Mapping[str, Any]], *, saved_head: tuple[int, str] | None = None) -> Finding:
    """Walk events in order of number. A change, a gap, a doubled or a moved line is CHANGED at its place.

    With a saved head (number, digest), a chain that ends before it is CUT_SHORT, and one whose line at that
    number differs was written anew and is CHANGED there.
    """
    number, last = 0, GENESIS
    for event in events:
        number += 1
        whole = event["number"] == number and event["previous"] == last and digest(event) == event["digest"]
        rewritten = saved_head is not None and saved_head[0] == number and event["digest"] != saved_head[1]
        if not whole or rewritten:
            return Finding(CHANGED, number, last, f"The log was changed at line {number}.")
        last = event["digest"]
    if saved_head is not None and number < saved_head[0]:
        return Finding(
            CUT_SHORT, number, last, f"The log ends at line {number}; line {saved_head[0]} was seen before."
        )
    return Finding(WHOLE, number, last, f"The log is whole: lines 1 to {number}.")
