"""De-identified images beside a release's table: whose they are is told by the table's random names alone, and few stand apart by them."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import timedelta
from typing import Any

import pydicom
import pytest
from salus_web.cohorts.definition import CohortDefinition
from salus_web.cohorts.services import save_cohort
from salus_web.common import vault
from salus_web.common.clock import now
from salus_web.common.errors import Refused
from salus_web.imaging.models import Instance, Series, Study
from salus_web.jobs.services import claim
from salus_web.records.models import Patient
from salus_web.releases.models import Release, ReleaseFile, ReleaseState
from salus_web.releases.services import request_release
from salus_workers.pipelines import prepare_release, release_images

from tests.factories.cohorts import make_crowd, make_project
from tests.factories.people import actor_of, make_site, make_user
from tests.web.test_deidentify import PIXELS, film, written

pytestmark = pytest.mark.django_db


def shown(person: Patient, modality: str = "DX", *, days_ago: int = 1, **changes: Any) -> None:
    """One image of a person in the vault, with their record number in it."""
    raw = written(film(PatientID=f"MRN{person.mrn_index[-5:]}", PatientName="Vesper^Planted", SOPInstanceUID=f"1.2.{person.pk.int % 10**9}.{days_ago}", **changes))
    blob = vault.put(raw, owner=f"person:{person.pk}")
    at = now() - timedelta(days=days_ago)
    study = Study.objects.create(patient=person, uid=f"{person.pk}{days_ago}", started_at=at)
    series = Series.objects.create(patient=person, study=study, uid="1", modality=modality)
    Instance.objects.create(
        patient=person, series=series, uid="1", sop_class="x", transfer_syntax="y", acquired_at=at, blob_key=blob.key,
        blob_sha256=blob.sha256, blob_bytes=blob.size_bytes,
    )  # fmt: skip


def asked(people: list[Patient], *, with_images: bool = True) -> Release:
    """A release of these people, prepared."""
    site = people[0].site
    me = make_user("researcher", site)
    cohort = save_cohort(project=make_project(site, members=[me]), name="All", definition=CohortDefinition(), by=actor_of(me))
    found = request_release(cohort=cohort, purpose="A study", with_images=with_images, by=actor_of(me))
    held = claim(job_id=str(found.job_id), worker="test")
    assert held is not None
    prepare_release.run(held, lambda fraction, message: None)
    found.refresh_from_db()
    return found


def unpacked(release: Release) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for file in ReleaseFile.objects.filter(release=release, media_type="application/zip"):
        with zipfile.ZipFile(io.BytesIO(vault.get(file.blob_key, sha256=file.blob_sha256))) as archive:
            found |= {entry.filename: archive.read(entry) for entry in archive.infolist()}
    return found


def names_in_table(release: Release) -> set[str]:
    file = ReleaseFile.objects.get(release=release, name="cohort.csv")
    return {row["person"] for row in csv.DictReader(io.StringIO(vault.get(file.blob_key, sha256=file.blob_sha256).decode()))}


def test_images_leave_under_the_names_of_the_table_and_under_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    people = make_crowd(make_site(), 20)
    for person in people:
        shown(person)
    monkeypatch.setattr(release_images, "PEOPLE_AT_ONCE", 7)
    release = asked(people)
    images = unpacked(release)
    assert release.state == ReleaseState.REQUESTED and len(images) == 20
    assert {name.partition("/")[0] for name in images} == names_in_table(release)
    for name, raw in images.items():
        image = pydicom.dcmread(io.BytesIO(raw))
        assert image.PatientID == name.partition("/")[0] and (image.pixel_array == PIXELS).all()
    everything = b"".join(images.values()) + repr([release.report, release.receipt]).encode() + "".join(images).encode()
    for person in people:
        for secret in (person.pseudonym, str(person.pk), f"MRN{person.mrn_index[-5:]}", "Vesper", "1.2.3.4", f"1.2.{person.pk.int % 10**9}."):
            assert secret.encode() not in everything
    assert release.report["images"]["images"] == {"DX": 20} and "PS3.15" in release.receipt["images"]["method"]
    assert "images-1.zip" in {file["name"] for file in release.receipt["files"]}


def test_who_did_not_ask_gets_none() -> None:
    people = make_crowd(make_site(), 20)
    for person in people:
        shown(person)
    release = asked(people, with_images=False)
    assert unpacked(release) == {} and release.receipt["images"] is None


def test_the_newest_images_leave_as_many_as_eleven_others_have() -> None:
    people = make_crowd(make_site(), 40)
    for number, person in enumerate(people):
        for days_ago in range(1, 2 + (number % 2) + (number < 3)):
            shown(person, days_ago=days_ago)
    images = unpacked(asked(people))
    assert len(images) == 40 + 22 and not any(name.endswith("DX-3.dcm") for name in images)


def test_a_modality_of_few_people_does_not_leave_and_what_stays_has_its_reason() -> None:
    people = make_crowd(make_site(), 30)
    for number, person in enumerate(people):
        shown(person, BurnedInAnnotation="YES" if number < 12 else "NO")
        shown(person, "US", days_ago=2, Modality="US")
        if number < 4:
            shown(person, "CR", days_ago=3, Modality="CR")
    release = asked(people)
    assert {name[-8:] for name in unpacked(release)} == {"DX-1.dcm"} and len(unpacked(release)) == 18
    lost = " ".join(release.report["utility_lost"])
    assert "modality CR" in lost and "says itself that letters" in lost and "an ultrasound" in lost


def test_too_much_is_refused_in_words_and_large_ones_come_in_several_files(monkeypatch: pytest.MonkeyPatch) -> None:
    people = make_crowd(make_site(), 12)
    for person in people:
        shown(person)
    monkeypatch.setattr(release_images, "ZIP_BYTES", 6_000)
    release = asked(people)
    zips = ReleaseFile.objects.filter(release=release, media_type="application/zip")
    assert zips.count() > 2 and len(unpacked(release)) == 12
    monkeypatch.setattr(release_images, "ALL_BYTES", 5_000)
    with pytest.raises(Refused, match="Ask for fewer people"):
        asked(people)
    assert Release.objects.get(state=ReleaseState.FAILED).why.startswith("The images are more than")
