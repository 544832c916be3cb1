"""When something was: a day is no moment, hours need a zone, and nothing is known before it was found or after it came in."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from salus_web.common.clock import now
from salus_web.common.errors import BadInput
from salus_web.ingest.child import parse_in_child

from tests.web.test_ingest_corrections import ALLERGY, CONDITION, ENCOUNTER, MEDICATION
from tests.web.test_ingest_parsers import bundle, read

CAME_IN = datetime(2026, 3, 10, 15, tzinfo=UTC)


def said(*extra: dict[str, Any], without: str = "", came_in: datetime = CAME_IN, **changes: Any) -> dict[str, Any]:
    """What is read of the patient of a bundle that came in at a moment."""
    person: dict[str, Any] = whole(*extra, without=without, came_in=came_in, **changes)["people"][0]
    return person


def whole(*extra: dict[str, Any], without: str = "", came_in: datetime = CAME_IN, **changes: Any) -> dict[str, Any]:
    document = bundle(**changes)
    document["entry"][1]["resource"].pop(without, None)
    document["entry"] += extra
    return parse_in_child(json.dumps(document).encode(), "b.json", received_at=came_in)


def changed(entry: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"resource": entry["resource"] | fields}


@pytest.mark.parametrize(
    ("zone", "day", "known"),
    [
        ("UTC", "2026-01-02", "2026-01-02T23:59:59+00:00"), ("Europe/Vienna", "2026-01-02", "2026-01-02T22:59:59+00:00"),
        ("America/New_York", "2026-01-02", "2026-01-03T04:59:59+00:00"), ("UTC", "2026-03-10", "2026-03-10T15:00:00+00:00"),
    ],
)  # fmt: skip
def test_what_is_dated_by_a_day_is_known_at_its_end_and_never_after_the_file_came_in(settings: Any, zone: str, day: str, known: str) -> None:
    settings.SALUS_HOSPITAL_ZONE = UTC if zone == "UTC" else ZoneInfo(zone)
    found = said(changed(CONDITION, recordedDate=day), changed(MEDICATION, authoredOn=day), changed(ALLERGY, recordedDate=day), effectiveDateTime=day)
    assert found["observations"][0]["observed_at"] == found["conditions"][0]["recorded_at"] == known
    assert found["medications"][0]["starts_at"] == found["allergies"][0]["recorded_at"] == known


def test_a_stay_begins_with_its_day_and_ends_with_it(settings: Any) -> None:
    settings.SALUS_HOSPITAL_ZONE = ZoneInfo("Europe/Vienna")
    stay = said(changed(ENCOUNTER, period={"start": "2026-01-02", "end": "2026-01-02"}))["encounters"][0]
    assert (stay["starts_at"], stay["ends_at"]) == ("2026-01-01T23:00:00+00:00", "2026-01-02T22:59:59+00:00")


@pytest.mark.parametrize("text", ["2026-01-02T14:00:00", "2026-01-02 14:00:00", "2026-01-02t14:00:00"])
def test_hours_need_a_zone_however_they_are_written(text: str) -> None:
    with pytest.raises(BadInput, match="has no time zone"):
        read(bundle(effectiveDateTime=text))


@pytest.mark.parametrize(
    "form",
    [{"effectiveInstant": "2026-01-02T03:00:00Z"}, {"effectiveTiming": {"event": ["2026-01-02T03:00:00Z", "2026-01-03T03:00:00Z"]}}, {"effectivePeriod": {"end": "2026-01-02T03:00:00Z"}}],
)
def test_the_time_of_finding_is_read_before_the_time_of_reporting(form: dict[str, Any]) -> None:
    found = said(without="effectiveDateTime", issued="2026-01-04T09:00:00Z", **form)
    assert found["observations"][0]["observed_at"] == "2026-01-02T03:00:00+00:00"


@pytest.mark.parametrize(
    ("extra", "changes", "says"),
    [
        ([changed(ENCOUNTER, period={"start": "2026-01-02", "end": "2026-01-01"})], {}, "period.end lies before period.start"),
        ([changed(CONDITION, onsetDateTime="2026-01-02", abatementDateTime="2025-01-02")], {}, "its end lies before its onset"),
        ([], {"effectiveDateTime": None, "effectivePeriod": {"start": "2026-01-02T10:00:00Z", "end": "2026-01-02T09:00:00Z"}}, "effectivePeriod.end lies before effectivePeriod.start"),
        ([], {"effectiveDateTime": "2062-01-02T03:04:05Z"}, "entry 2 (Observation): effectiveDateTime “2062-01-02T03:04:05Z” lies ahead: the file came in on 2026-03-10"),
        ([changed(ENCOUNTER, period={"start": "2026-03-12"})], {}, "period.start “2026-03-12” lies ahead"),
    ],
)  # fmt: skip
def test_what_ends_before_it_began_or_lies_ahead_is_refused(extra: list[Any], changes: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput) as refused:
        said(*extra, **changes)
    assert says in str(refused.value)


def test_clocks_may_differ_by_a_day() -> None:
    assert said(effectiveDateTime="2026-03-11T14:00:00Z")["observations"][0]["observed_at"] == "2026-03-11T14:00:00+00:00"


@pytest.mark.parametrize(("day", "known"), [("2024-03", "2024-03-31T23:59:59+00:00"), ("2024", "2024-12-31T23:59:59+00:00"), ("2026", "2026-03-10T15:00:00+00:00")])
def test_a_problem_of_some_month_or_year_is_known_at_its_end(day: str, known: str) -> None:
    assert said(changed(CONDITION, recordedDate=day))["conditions"][0]["recorded_at"] == known
    onset = {"resource": {key: value for key, value in CONDITION["resource"].items() if key != "recordedDate"} | {"onsetDateTime": day}}
    assert said(onset)["conditions"][0]["recorded_at"] == known


@pytest.mark.parametrize("day", ["2024", "2024-03"])
def test_a_value_of_some_month_or_year_is_left_out_and_the_file_is_kept(day: str) -> None:
    found = whole(CONDITION, effectiveDateTime=day)
    assert found["left_out"] == {"Observation dated only by month or year": 1}
    assert found["people"][0]["observations"] == [] and len(found["people"][0]["conditions"]) == 1


def test_without_a_word_when_it_came_in_it_is_now() -> None:
    ahead = (now() + timedelta(days=3)).isoformat()
    with pytest.raises(BadInput, match="lies ahead"):
        read(bundle(effectiveDateTime=ahead))
