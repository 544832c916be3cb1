"""Storing parsed records: whole, once, under the right person, and readable only by those who care for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from salus_web.audit.models import Event
from salus_web.common.errors import BadInput, ScopeMissing
from salus_web.ingest.child import parse_in_child
from salus_web.records.models import CareTeam, CareTeamMembership, Encounter, Observation, Patient
from salus_web.records.services import store_person

from tests.factories.people import SYSTEM, actor_of, make_site, make_user

pytestmark = pytest.mark.django_db


def person(**changes: Any) -> dict[str, Any]:
    """One parsed person with an open encounter on a ward and one observation."""
    body = {
        "mrn": "4417", "mrn_system": "urn:mrn", "name": "Zebulon Plantedname", "birth_date": "1963-04-02",
        "sex": "male", "died_at": None, "death_is_dated": True, "is_simulated": False, "conditions": [], "medications": [], "allergies": [],
        "images": [],
        "encounters": [{
            "key": "Encounter/e1", "id": "e1", "kind": "IMP", "ward": "Ward 3B", "reason": "", "source": "FHIR e1",
            "starts_at": "2026-01-02T00:00:00+00:00", "ends_at": None, "encounter": "",
        }],
        "observations": [{
            "key": "Observation/o1", "source": "FHIR o1", "encounter": "e1", "system": "http://loinc.org",
            "code": "8867-4", "display": "Heart rate", "number": 88.0, "text": "", "unit": "/min",
            "observed_at": "2026-01-02T03:00:00+00:00",
        }],
    }  # fmt: skip
    return body | changes


def test_a_record_is_stored_once_with_its_encounter() -> None:
    site = make_site()
    first = store_person(person=person(), site=site, by=SYSTEM)
    again = store_person(person=person(), site=site, by=SYSTEM)
    assert first.new["observations"] == 1 and first.new["encounters"] == 1
    assert set(again.new.values()) == {0}
    observation = Observation.objects.for_actor(SYSTEM).get()
    assert (observation.value_number, observation.unit) == (88.0, "/min")
    assert observation.encounter == Encounter.objects.for_actor(SYSTEM).get()


@pytest.mark.parametrize("changes", [{"birth_date": "1970-01-01"}, {"sex": "female"}])
def test_another_person_under_the_same_number_is_refused_whole(changes: dict[str, Any]) -> None:
    site = make_site()
    store_person(person=person(), site=site, by=SYSTEM)
    other = person(**changes, observations=[person()["observations"][0] | {"key": "Observation/o2"}])
    with pytest.raises(BadInput, match="please check who this is"):
        store_person(person=other, site=site, by=SYSTEM)
    assert Observation.objects.for_actor(SYSTEM).count() == 1


def test_only_the_ward_s_team_can_read_the_patient() -> None:
    site = make_site()
    stored = store_person(person=person(), site=site, by=SYSTEM).patient
    nurse, stranger = make_user("clinician", site), make_user("clinician", site)
    team = CareTeam.objects.get(name="Ward 3B")
    CareTeamMembership.objects.create(team=team, user=nurse, starts_at=stored.created_at, added_by="system:test")
    assert Patient.objects.for_actor(actor_of(nurse)).get() == stored
    assert not Patient.objects.for_actor(actor_of(stranger)).exists()
    assert not Observation.objects.for_actor(actor_of(make_user("administrator", site))).exists()
    with pytest.raises(ScopeMissing):
        Patient.objects.all()


def test_names_and_numbers_are_nowhere_in_the_tables() -> None:
    store_person(person=person(mrn="MRN-PLANTED-77"), site=make_site(), by=SYSTEM)
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            for row in cursor.fetchall():
                text = " ".join(bytes(v).decode("latin1") if isinstance(v, bytes | memoryview) else str(v) for v in row)
                assert "Plantedname" not in text and "MRN-PLANTED-77" not in text, table
    assert Patient.objects.for_actor(SYSTEM).get().name == "Zebulon Plantedname"


def test_storing_is_on_the_log_under_a_pseudonym() -> None:
    patient = store_person(person=person(), site=make_site(), by=SYSTEM).patient
    event = Event.objects.get(action="record.store")
    assert event.patient == patient.pseudonym


@pytest.mark.data
def test_every_synthetic_record_is_stored(shared_data: Path) -> None:
    site = make_site()
    files = sorted((shared_data / "fhir_r4_synthea").glob("*.json"))
    for path in files:
        parsed = parse_in_child(path.read_bytes(), path.name)["people"][0]
        new = store_person(person=parsed, site=site, by=SYSTEM).new
        assert new["observations"] == len(parsed["observations"])
    assert Patient.objects.for_actor(SYSTEM).count() == len(files)
