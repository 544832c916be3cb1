"""Whether what a file says under an id is the thing that is here under it. Another thing under the same id is refused: kept, it
would be lost in silence, and an end or an error would fall upon the wrong row."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from salus_web.common.errors import BadInput
from salus_web.records.corrections import KEPT
from salus_web.records.identity import source_key
from salus_web.records.models import Encounter, Patient

A_DAY = timedelta(days=1)


def check_same(*, patient: Patient, person: dict[str, Any], by: Any) -> None:
    """Raise BadInput, naming the resource, where the id of something that is here, or of something else in the file, is given to
    another thing (6 queries)."""
    _check_stays(patient, person["encounters"], by)
    for name, (kind, table) in KEPT.items():
        gone = [one for one in person.get("taken_back", []) if one["kind"] == kind]
        if not person[name] and not gone:
            continue
        what = "display" if name == "allergies" else "code"
        here: dict[str, dict[str, str]] = {}
        rows = table.objects.for_actor(by).filter(patient=patient)  # type: ignore[attr-defined]
        for source, key, said in rows.values_list("source", "source_key", what).iterator():
            here.setdefault(source, {})[key] = said
        # a panel that was preliminary may have been given a part of its values only
        is_open = set(rows.filter(is_preliminary=True).values_list("source", flat=True)) if name == "observations" else set()
        _check_entries(here, person[name], what, is_open)
        _check_gone(here, gone)


def _check_stays(patient: Patient, entries: list[dict[str, Any]], by: Any) -> None:
    """A stay is known again by its start. A case of a table has none: its start is when it came in."""
    stays = [entry for entry in entries if entry["kind"] != "case"]
    if not stays:
        return
    rows = Encounter.objects.for_actor(by).filter(patient=patient, source_key__in={source_key(entry["key"]) for entry in stays})
    starts = dict(rows.values_list("source_key", "starts_at"))
    for entry in stays:
        said = datetime.fromisoformat(entry["starts_at"])
        apart = abs(starts.setdefault(source_key(entry["key"]), said) - said)
        if apart and not (entry.get("starts_on_a_day") and apart < A_DAY):
            raise BadInput(
                f"{entry['source']} is already here with another start. Nothing was stored; please check whether two stays have one id."
            )


def _check_entries(here: dict[str, dict[str, str]], entries: list[dict[str, Any]], what: str, is_open: set[str]) -> None:
    by_source: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        by_source.setdefault(entry["source"], []).append(entry)
    for source, said in by_source.items():
        known = dict(here.get(source, {}))
        # of two in one file the first is the one that the second is compared with
        matches = [known.setdefault(source_key(entry["key"]), entry[what]) in _names(entry, what) for entry in said]
        if not all(matches) and not _is_same_whole(here.get(source, {}), said, what, source in is_open):
            _refuse(source)


def _is_same_whole(here: dict[str, str], said: list[dict[str, Any]], what: str, is_open: bool) -> bool:
    """Whether a resource of several parts is the same in another order, or what comes after one that was preliminary or corrects
    one, and has a part in common."""
    parts = {entry[what] for entry in said}
    if is_open or any(entry.get("corrected") for entry in said):
        return bool(set(here.values()) & parts)
    return set(here.values()) == parts


def _check_gone(here: dict[str, dict[str, str]], gone: Iterable[dict[str, Any]]) -> None:
    """An error names what it takes back, where it names anything."""
    for one in gone:
        whole = here.get(one["source"], {}).get(source_key(one.get("key", "")))
        if whole is not None and one.get("names") and whole not in one["names"]:
            _refuse(one["source"])


def _names(entry: dict[str, Any], what: str) -> list[str]:
    return [entry[what], *entry.get("names", [])]


def _refuse(source: str) -> None:
    raise BadInput(f"{source} is already here with another code. Nothing was stored; please check which of the two is meant.")
