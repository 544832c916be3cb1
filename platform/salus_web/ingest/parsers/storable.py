"""Whether what a file says can be kept at all: no character that no word has, no text longer than its column, no number that is
none. Every parsed person passes here, whatever they were read from. Pure.

The lengths are those of the tables (tests/web/test_ingest_hostile.py compares them); a longer one would be an error of the
database, of which nobody could say what was wrong with the file.
"""

from __future__ import annotations

import math
from typing import Any

from salus_web.ingest.parsers.forms import Unreadable

WHOLE_AT_MOST = 2**31 - 1
_SOURCE = {"source": 200, "key": 400, "encounter": 200}
_CODED = _SOURCE | {"system": 120, "code": 80, "display": 200}
LONGEST: dict[str, dict[str, int]] = {
    "person": {"mrn": 200, "mrn_system": 120, "name": 400, "sex": 10},
    "other_numbers": {"mrn": 200, "mrn_system": 120},
    "encounters": _SOURCE | {"id": 200, "kind": 40, "ward": 120, "reason": 400},
    "observations": _CODED | {"text": 400, "note": 400, "unit": 40},
    "conditions": _CODED,
    "medications": _CODED | {"status": 40},
    "allergies": {"source": 200, "key": 400, "display": 200, "status": 20, "criticality": 20},
    "taken_back": {"kind": 40, "source": 200, "key": 400},
    "images": {
        "study_uid": 64, "series_uid": 64, "uid": 64, "sop_class": 64, "transfer_syntax": 64, "modality": 16, "body_part": 64,
        "view": 40, "laterality": 4, "description": 200, "photometric": 32, "pixel_problem": 400, "source": 200,
    },
}  # fmt: skip
WORDS = {"mrn": "the record number", "mrn_system": "the record number's system", "uid": "the object's identifier", "key": "an identifier"}


def check_person(person: dict[str, Any], name: str) -> None:
    """Raise Unreadable for a person who cannot be kept as the file says them."""
    _check({key: value for key, value in person.items() if not isinstance(value, list)}, LONGEST["person"], f"{name}: the patient")
    if not person["mrn"].strip():
        raise Unreadable(f"{name}: the patient's record number is empty.")
    for kind, longest in LONGEST.items():
        for row in person.get(kind, []):
            _check(row, longest, f"{name}, {row.get('source') or kind}")


def _check(row: dict[str, Any], longest: dict[str, int], place: str) -> None:
    for key, value in row.items():
        if isinstance(value, str):
            _check_text(value, longest.get(key, 400), f"{place[:200]}: {WORDS.get(key, key)}")
        elif isinstance(value, float) and not math.isfinite(value):
            raise Unreadable(f"{place[:200]}: {key} is not a number.")
        elif isinstance(value, int) and not 0 <= value <= WHOLE_AT_MOST:
            raise Unreadable(f"{place[:200]}: {key} {value} is less or more than any such number can be.")


def _check_text(text: str, longest: int, place: str) -> None:
    if len(text) > longest:
        raise Unreadable(f"{place} is longer than {longest} letters.".replace("\x00", "�"))
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Unreadable(f"{place} holds a character that no word has.".replace("\x00", "�"))
