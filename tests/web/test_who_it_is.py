"""Whose file it is: the number in use, its system, and what is known of the person so far."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from salus_web.common.clock import now
from salus_web.ingest.models import Upload
from salus_web.ingest.services import read_and_store, receive
from salus_web.records.models import Patient
from salus_web.records.selectors import search_patients

from tests.factories.films import dicom
from tests.factories.people import SYSTEM, actor_of, make_user, relate
from tests.web.test_ingest_corrections import Door

pytestmark = pytest.mark.django_db
MR = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
SSN = {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "999-1"}
TYPED, OTHER = {"type": MR, "system": "urn:a", "value": "A1"}, {"type": MR, "system": "urn:b", "value": "B1"}


@pytest.fixture
def door() -> Door:
    return Door()


def people() -> list[tuple[str, str]]:
    return [(row.mrn, row.mrn_system) for row in Patient.objects.for_actor(SYSTEM).order_by("created_at")]


@pytest.mark.parametrize(
    ("identifiers", "number"),
    [
        ([{"use": "old", "type": MR, "value": "1111"}, {"use": "usual", "type": MR, "value": "4417"}], "4417"),
        ([{"type": MR, "value": "1111", "period": {"end": "2015-01-01"}}, {"type": MR, "value": "4417"}], "4417"),
        ([{"type": MR, "value": "1111", "period": {"end": "2015"}}, {"value": "4417"}], "4417"),
        ([{"type": MR, "value": "4417", "period": {"start": "2015-01-01", "end": "2999-12-31"}}, {"value": "77"}], "4417"),
        ([{"value": "77"}, {"type": MR, "value": "4417"}], "4417"),
        ([SSN, {"system": "urn:mrn", "value": "4417"}], "4417"),
        ([{"type": {"coding": [{"code": "SS"}]}, "value": "999-1"}, {"value": "4417"}], "4417"),
    ],
)
def test_the_number_in_use_is_taken(door: Door, identifiers: list[Any], number: str) -> None:
    door.bring(patient={"identifier": identifiers})
    assert [mrn for mrn, _ in people()] == [number]


def test_without_a_number_in_use_nobody_can_be_meant(door: Door) -> None:
    assert "none of the patient's identifiers is in use any more" in door.refused(patient={"identifier": [{"use": "old", "value": "1"}]})


def test_one_person_with_two_numbers_is_found_by_either(door: Door) -> None:
    door.bring(patient={"identifier": [TYPED, OTHER]})
    door.bring(patient={"identifier": [OTHER, TYPED]}, id="o2")
    assert people() == [("A1", "urn:a")]


def test_a_file_that_names_two_people_who_are_here_is_refused(door: Door) -> None:
    door.bring(patient={"identifier": [TYPED]})
    door.bring(patient={"identifier": [OTHER]}, id="o2")
    assert "record numbers of two patients who are here" in door.refused(patient={"identifier": [TYPED, OTHER]}, id="o3")


def test_the_same_number_in_another_system_is_refused_and_in_none_goes_on(door: Door) -> None:
    door.bring(patient={"identifier": [{"system": "urn:hosp-a", "value": "4417"}]})
    said = door.refused(patient={"identifier": [{"system": "urn:hosp-b", "value": "4417"}]}, id="o2")
    assert "“urn:hosp-a”" in said and "“urn:hosp-b”" in said and "may be two people" in said
    door.bring(patient={"identifier": [{"value": "4417"}]}, id="o2")
    assert len(people()) == 1


def test_a_system_that_comes_later_counts_from_then_on(door: Door) -> None:
    door.bring(patient={"identifier": [{"value": "4417"}]})
    door.bring(patient={"identifier": [{"system": "urn:hosp-a", "value": "4417"}]}, id="o2")
    assert people() == [("4417", "urn:hosp-a")]
    door.refused(patient={"identifier": [{"system": "urn:hosp-b", "value": "4417"}]}, id="o3")


def test_what_came_first_as_empty_is_filled_and_then_checked(door: Door) -> None:
    door.bring(patient={"name": [], "birthDate": None, "gender": "unknown"})
    assert door.bring(id="o2")["patients completed"] == 1
    patient = Patient.objects.for_actor(SYSTEM).get()
    assert (patient.name, str(patient.birth_date), patient.sex) == ("Jane Doe", "1963-04-02", "female")
    nurse = make_user("clinician", door.site)
    relate(nurse, patient)
    assert search_patients(viewer=actor_of(nurse), text="doe") == [patient]
    assert "another birth date" in door.refused(patient={"birthDate": "1980-01-01"}, id="o3")
    assert "another sex" in door.refused(patient={"gender": "male"}, id="o3")
    assert "patients completed" not in door.bring(id="o4")


@pytest.mark.parametrize(
    ("names", "name"),
    [
        ([{"text": "Jane Doe"}], "Jane Doe"),
        ([{"use": "maiden", "family": "Old", "given": ["Jane"]}, {"use": "official", "family": "New", "given": ["Jane"]}], "Jane New"),
        ([{"use": "nickname", "given": ["Janie"]}, {"use": "usual", "family": "Doe"}, {"use": "official", "family": "New"}], "New"),
        ([{"use": "old", "family": "Old"}], ""),
    ],
)
def test_the_name_in_use_is_taken(door: Door, names: list[Any], name: str) -> None:
    door.bring(patient={"name": names})
    assert Patient.objects.for_actor(SYSTEM).get().name == name


def test_nobody_is_born_tomorrow(door: Door) -> None:
    day = (now() + timedelta(days=2)).date()
    assert f"The birth date {day} lies ahead" in door.refused(patient={"birthDate": str(day)})
    assert people() == []


def film(door: Door, **tags: str) -> Upload:
    """The upload of a film of the record number 4417 with these tags."""
    raw = dicom(None, PatientID="4417", StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.4", **tags)
    upload = receive(filename="a.dcm", content=raw, site=door.site, by=SYSTEM)
    read_and_store(upload=upload, by=SYSTEM)
    return Upload.objects.get(pk=upload.pk)


def test_a_film_with_an_empty_head_does_not_switch_the_check_off(door: Door) -> None:
    assert film(door).state == "stored"
    door.bring()
    assert film(door, PatientBirthDate="19800101").problems[0].startswith("The record number is already here with another birth date.")
    assert film(door, PatientBirthDate="20990101").problems[0].startswith("The birth date 2099-01-01 lies ahead.")


@pytest.mark.parametrize("issuer", ["1.2.3", "URN:OID:1.2.3", " urn:oid:1.2.3", ""])
def test_a_film_of_the_same_issuer_however_written_is_of_the_same_person(door: Door, issuer: str) -> None:
    door.bring(patient={"identifier": [{"system": "urn:oid:1.2.3", "value": "4417"}]})
    assert film(door, IssuerOfPatientID=issuer).state == "stored" and len(people()) == 1


def test_a_film_of_another_issuer_is_refused(door: Door) -> None:
    door.bring(patient={"identifier": [{"system": "urn:oid:1.2.3", "value": "4417"}]})
    assert "“urn:oid:1.2.3”, and the file names “1.2.9”" in film(door, IssuerOfPatientID="1.2.9").problems[0]


def test_the_short_name_of_an_issuer_says_nothing_against_an_address_and_something_against_another_name(door: Door) -> None:
    assert film(door, IssuerOfPatientID="HOSP A").state == "stored"
    door.bring(patient={"identifier": [{"system": "urn:oid:1.2.3", "value": "4417"}]})
    assert len(people()) == 1
    assert "“HOSP A”, and the file names “HOSP B”" in film(door, IssuerOfPatientID="HOSP B").problems[0]


def test_that_somebody_died_counts_also_where_nobody_says_when_and_the_day_is_taken_over_later(door: Door) -> None:
    door.bring(patient={"deceasedBoolean": True})
    patient = Patient.objects.for_actor(SYSTEM).get()
    assert patient.died_at is not None and not patient.death_is_dated
    door.bring(patient={"deceasedBoolean": True}, id="o2")
    door.bring(patient={"deceasedDateTime": "2026-01-03T04:00:00Z"}, id="o3")
    patient.refresh_from_db()
    assert patient.death_is_dated and patient.died_at == datetime(2026, 1, 3, 4, tzinfo=UTC)
    door.bring(patient={"deceasedBoolean": True}, id="o4")
    patient.refresh_from_db()
    assert patient.death_is_dated


def test_deceased_false_is_no_death(door: Door) -> None:
    door.bring(patient={"deceasedBoolean": False})
    assert Patient.objects.for_actor(SYSTEM).get().died_at is None
