"""When a film was made, and what becomes of one that does not say it: no model sees it, or sees it too early."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.utils.dateparse import parse_datetime
from salus_learn.tasks.loader import load_task
from salus_web.imaging.models import Instance, Rendition
from salus_web.ingest.models import Upload
from salus_web.ingest.parsers.dicom import parse_dicom
from salus_web.ingest.parsers.forms import Unreadable
from salus_web.ingest.services import read_and_store, receive
from salus_web.records.models import Encounter
from salus_workers.adapters.stays import stay_cases

from tests.factories.films import dicom
from tests.factories.people import SYSTEM, client_of, make_patient, make_site, make_user, relate
from tests.factories.simulated import TASK

GREY = np.random.default_rng(3).integers(0, 4000, (40, 48)).astype(np.uint16)
UIDS = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4"}
CHEST = {"Modality": "DX", "BodyPartExamined": "CHEST", "ViewPosition": "PA"}
UNDATED = {"StudyDate": "", "StudyTime": ""}


def film(**tags: Any) -> bytes:
    return dicom(GREY, **UIDS, **tags)


def image_of(raw: bytes) -> dict[str, Any]:
    (person,) = parse_dicom(raw, "a.dcm").people
    return person.images[0]


def kinds(image: dict[str, Any]) -> set[str]:
    return {one["kind"] for one in image["renditions"]}


SAID = {
    "by the hospital's clock": ({}, "2026-01-02T09:30:00"),
    "an offset": ({"TimezoneOffsetFromUTC": "+0900"}, "2026-01-02T09:30:00+09:00"),
    "the most specific pair": ({"AcquisitionDate": "20260103", "AcquisitionTime": "0715", "ContentDate": "20260104", "ContentTime": "10"}, "2026-01-03T07:15:00"),
    "both in one": ({"AcquisitionDateTime": "20260105120001.5+0100", "AcquisitionDate": "20260103", "AcquisitionTime": "0715"}, "2026-01-05T12:00:01+01:00"),
    "both in one, the object's offset": ({"AcquisitionDateTime": "2026010512", "TimezoneOffsetFromUTC": "-0330"}, "2026-01-05T12:00:00-03:30"),
    "a day alone, the same": ({"AcquisitionDate": "20260102"}, "2026-01-02T09:30:00"),
    "a time without its day": ({"ContentTime": "101500"}, "2026-01-02T09:30:00"),
    "colons and points": ({"StudyDate": "2026.01.02", "StudyTime": "09:30:00"}, "2026-01-02T09:30:00"),
    "a leap second": ({"StudyTime": "235960"}, "2026-01-02T23:59:59"),
    "nothing": (UNDATED, None),
    "a day and no time at all": ({"StudyTime": ""}, None),
    "made on a later day than the pair says": ({"AcquisitionDate": "20260110"}, None),
    "made on a later day, in one tag": ({"AcquisitionDateTime": "20260110"}, None),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("tags", "moment"), SAID.values(), ids=SAID.keys())
def test_a_film_s_moment_is_one_tag_s_day_with_that_tag_s_time(tags: dict[str, str], moment: str | None) -> None:
    image = image_of(film(**tags))
    assert image["acquired_at"] == moment
    assert ("model" in kinds(image)) is (moment is not None)


@pytest.mark.parametrize(("tag", "value", "says"), [
    ("StudyTime", "9", "time of day"), ("StudyTime", "2530", "time of day"), ("StudyDate", "20260231", "date"), ("AcquisitionDateTime", "yesterday", "date and time"),
    ("TimezoneOffsetFromUTC", "CET", "offset"), ("TimezoneOffsetFromUTC", "+2500", "offset"), ("StudyDate", "00010101", "date"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_cannot_be_read_is_refused_by_name(tag: str, value: str, says: str) -> None:
    with pytest.raises(Unreadable, match=f"a.dcm: {tag} “.*{value[1:]}” is not an? {says}"):
        image_of(film(**{tag: value}))


def brought(raw: bytes, site: Any) -> Upload:
    upload = receive(filename="a.dcm", content=raw, site=site, by=SYSTEM)
    read_and_store(upload=upload, by=SYSTEM)
    upload.refresh_from_db()
    return upload


@pytest.mark.django_db
@pytest.mark.parametrize(("clock", "utc"), [("20260102093000", "2026-01-02T14:30Z"), ("20260702093000", "2026-07-02T13:30Z"), ("20261101013000", "2026-11-01T06:30Z")])
def test_a_film_without_an_offset_was_made_by_the_hospital_s_clock(settings: Any, clock: str, utc: str) -> None:
    """In summer too; of the hour that comes twice in autumn it is the later."""
    settings.SALUS_HOSPITAL_ZONE = ZoneInfo("America/New_York")
    brought(film(StudyDate=clock[:8], StudyTime=clock[8:]), make_site())
    assert Instance.objects.for_actor(SYSTEM).get().acquired_at == parse_datetime(utc)


@pytest.mark.django_db
def test_no_model_sees_a_film_before_it_was_made_nor_one_that_does_not_say_when(settings: Any) -> None:
    task, site = load_task(TASK), make_site()
    patient = make_patient(site, mrn="somebody")
    start = datetime(2026, 1, 2, 1, tzinfo=UTC)
    Encounter.objects.create(patient=patient, kind="inpatient", ward="A", starts_at=start, ends_at=start + timedelta(days=5), source="t", source_key="s")
    index = min(case.snapshot.index_time for case in stay_cases(task, SYSTEM, purpose="training"))
    patient.sex, patient.birth_date = "unknown", None
    patient.save()
    spec = task.images[0]
    tags = {"Modality": spec.modality, "BodyPartExamined": spec.body_part or "", "ViewPosition": spec.view or ""}

    def seen() -> int:
        """At the stay's first moment."""
        (case,) = (one for one in stay_cases(task, SYSTEM, purpose="training") if one.snapshot.index_time == index)
        return len(case.snapshot.images)

    local = index - timedelta(hours=2)
    settings.SALUS_HOSPITAL_ZONE = ZoneInfo("America/New_York")  # five hours behind
    assert brought(film(StudyDate=f"{local:%Y%m%d}", StudyTime=f"{local:%H%M%S}", **tags), site).state == "stored"
    assert brought(film(**UNDATED, **tags), site).state == "stored"
    assert Instance.objects.for_actor(SYSTEM).count() == 2 and seen() == 0
    brought(film(StudyDate=f"{local:%Y%m%d}", StudyTime=f"{local:%H%M%S}", TimezoneOffsetFromUTC="+0000", **tags), site)
    assert seen() == 1


@pytest.mark.django_db
def test_a_film_that_does_not_say_when_is_shown_with_the_reason_and_stands_last() -> None:
    site = make_site()
    for tags in (UNDATED, {}):
        brought(film(**CHEST, **tags), site)
    user, row = make_user("clinician", site), Instance.objects.for_actor(SYSTEM).first()
    assert row is not None
    relate(user, row.patient)
    page = client_of(user).get(f"/patients/{row.patient_id}/?span=all").content.decode()
    assert "1993" not in page and "DX chest PA<br>date not said<br>" in page
    assert "It does not say on which day and at what time it was made, so no model looks at it." in page
    assert page.index("02 Jan 2026 09:30") < page.index("date not said")
    assert Rendition.objects.for_actor(SYSTEM).filter(kind="model").count() == 1
