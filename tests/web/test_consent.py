"""What a patient allows: every word is a version, nobody changes one, and what they do not allow is read by nobody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import Q, QuerySet
from django.test import Client
from salus_web.accounts.models import Site, User
from salus_web.audit.models import Event
from salus_web.common import wall
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden, Refused
from salus_web.config.keeping import silent_purposes
from salus_web.jobs.models import Job
from salus_web.predictions.models import CurrentRisk, Prediction
from salus_web.predictions.services import data_changed, request
from salus_web.records.consent import keep_statement, standing_of
from salus_web.records.models import Consent, Observation, Patient
from salus_web.records.scopes import CARE, PURPOSES, RESEARCH, TRAINING, purpose_key
from salus_web.records.selectors import my_patients, search_patients

from tests.factories.cohorts import say
from tests.factories.hospital import Person, make_bundle, make_person
from tests.factories.people import SYSTEM, actor_of, make_patient, make_user, relate
from tests.house.test_every_url import plain

pytestmark = pytest.mark.django_db


@pytest.fixture
def person(site: Site, clinician: User) -> Person:
    found = make_person(site, "PLANTED", make_bundle())
    relate(clinician, found.patient)
    return found


@pytest.fixture
def browser(clinician: User) -> Client:
    client = Client()
    client.force_login(clinician)
    return client


def said(patient: Patient, granted: bool, *, purpose: str = RESEARCH, by: Any = SYSTEM, form: str = "Sheet 2") -> Consent:
    return keep_statement(patient=patient, purpose=purpose, granted=granted, form=form, said_on=None, by=by)


# --- who may not, and what is refused


@pytest.mark.parametrize("role", ["administrator", "auditor", "researcher"])
def test_only_a_clinician_records_what_a_patient_says(person: Person, role: str) -> None:
    with pytest.raises(Refused):
        said(person.patient, True, by=actor_of(make_user(role, person.patient.site)))
    assert not Consent.objects.for_actor(SYSTEM).exists()


def test_a_stranger_is_told_nothing_and_records_nothing(person: Person) -> None:
    stranger = make_user("clinician", person.patient.site)
    with pytest.raises(Hidden):
        said(person.patient, True, by=actor_of(stranger))
    client = Client()
    client.force_login(stranger)
    theirs, absent = (client.get(f"/patients/{key}/consent/") for key in (person.patient.pk, "00000000-0000-0000-0000-000000000007"))
    assert plain(theirs) == plain(absent) and theirs.status_code == 404
    assert not Consent.objects.for_actor(SYSTEM).exists()


@pytest.mark.parametrize(
    ("change", "word"),
    [({"purpose": "teaching"}, "Purpose"), ({"form": "  "}, "Form"), ({"form": "x" * 121}, "Form"),
     ({"said_on": (now() + timedelta(days=2)).date()}, "Day")],
)  # fmt: skip
def test_a_word_that_makes_no_sense_is_refused_by_its_field(person: Person, change: dict[str, Any], word: str) -> None:
    whole: dict[str, Any] = {"purpose": RESEARCH, "granted": True, "form": "Sheet 1", "said_on": None}
    with pytest.raises(BadInput, match=word):
        keep_statement(patient=person.patient, by=SYSTEM, **whole | change)


def test_no_word_is_ever_changed(person: Person) -> None:
    first = said(person.patient, False)
    rows = QuerySet(Consent).filter(pk=first.pk)
    for change in ({"granted": True}, {"form": "another"}, {"recorded_by": "nobody"}, {"version": 4}):
        with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic():
            rows.update(**change)
    said(person.patient, True)
    with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic():
        rows.update(superseded_at=None)
    assert rows.get().granted is False


def test_two_words_never_stand_at_once(person: Person) -> None:
    said(person.patient, True)
    with pytest.raises(IntegrityError), transaction.atomic():
        Consent.objects.create(
            patient=person.patient, purpose=RESEARCH, version=9, granted=False, recorded_at=now(), recorded_by="x"
        )


# --- the history


def test_each_word_is_a_version_with_who_when_and_on_which_sheet(browser: Client, person: Person, clinician: User) -> None:
    address = f"/patients/{person.patient.pk}/consent/"
    for answer, form in (("yes", "Research consent 3.1"), ("no", "Withdrawal 1.0")):
        done = browser.post(address, {"purpose": "research", "said": answer, "form": form, "day": "2026-01-05"})
        assert done.status_code == 302
    first, second = Consent.objects.for_actor(SYSTEM).order_by("version")
    assert (first.version, first.granted, second.version, second.granted) == (1, True, 2, False)
    assert first.superseded_at is not None and second.superseded_at is None
    assert second.recorded_by == str(clinician.pk) and second.recorded_by_name == clinician.display_name
    page = browser.get(address).content.decode()
    assert "Research consent 3.1" in page and "Withdrawal 1.0" in page and page.count(clinician.display_name) >= 2
    lines = Event.objects.filter(action="consent.record").order_by("number")
    assert [line.detail for line in lines] == [{"for": "research", "version": 1}, {"for": "research", "version": 2}]
    assert lines[0].after_hash == lines[1].before_hash != ""
    assert "3.1" not in str([line.detail for line in lines])


def test_what_holds_where_nothing_was_said_is_the_hospitals_rule(person: Person, settings: Any) -> None:
    settings.SALUS_CONSENT_WHEN_SILENT = frozenset({"care"})
    assert {one.purpose: one.allowed for one in standing_of(patient=person.patient)} == {"care": True, "research": False, "training": False}
    said(person.patient, True)
    assert {one.purpose for one in standing_of(patient=person.patient) if one.allowed} == {"care", "research"}


def test_settings_that_name_no_purpose_stop_the_start() -> None:
    assert silent_purposes("care, research") == {"care", "research"} and silent_purposes("") == frozenset()
    with pytest.raises(Exception, match="takes care, research and training"):
        silent_purposes("care,reserch")


# --- enforced where data is read


def test_who_does_not_allow_care_is_shown_to_nobody_and_gets_no_risk(browser: Client, person: Person, clinician: User) -> None:
    viewer, patient = actor_of(clinician), person.patient
    assert len(my_patients(viewer=viewer, page=1)) == 1
    said(patient, False, purpose=CARE)
    assert my_patients(viewer=viewer, page=1) == [] and search_patients(viewer=viewer, text="MRNPLANTED") == []
    page = browser.get(f"/patients/{patient.pk}/")
    assert page.status_code == 200 and "does not allow" in page.content.decode() and "PLANTED" not in page.content.decode()
    for address in ("/worklist/", "/patients/", f"/predictions/{person.prediction.pk}/"):
        assert b"PLANTED" not in browser.get(address).content
    with pytest.raises(Hidden):
        request(patient_ids=[str(patient.pk)], bundle=person.prediction.bundle, why="x", by=viewer)
    line = Event.objects.filter(action="patient.read", object_id=str(patient.pk)).latest("number")
    assert line.outcome == "withheld"
    said(patient, True, purpose=CARE, by=viewer)
    assert b"PLANTED" in browser.get(f"/patients/{patient.pk}/").content


def test_new_data_asks_for_no_risk_of_who_does_not_allow_care(person: Person) -> None:
    person.prediction.bundle.requests_on_new_data = True
    person.prediction.bundle.save()
    said(person.patient, False, purpose=CARE)
    before = Job.objects.count()
    data_changed(patient_ids=[str(person.patient.pk)], by=SYSTEM)
    assert Job.objects.count() == before
    said(person.patient, True, purpose=CARE)
    data_changed(patient_ids=[str(person.patient.pk)], by=SYSTEM)
    assert Job.objects.count() == before + 1


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("silence", [True, False])
def test_a_purpose_on_the_scope_leaves_out_who_does_not_allow_it(site: Site, settings: Any, purpose: str, silence: bool) -> None:
    settings.SALUS_CONSENT_WHEN_SILENT = frozenset(PURPOSES if silence else ())
    silent, yes, no, changed = (make_patient(site) for _ in range(4))
    say(yes, True, purpose=purpose)
    say(no, False, purpose=purpose)
    say(changed, True, purpose=purpose)
    say(changed, False, purpose=purpose, version=2)
    for patient in (silent, yes, no, changed):
        Observation.objects.create(
            patient=patient, system="s", code="c", display="d", observed_at=now(), source="s", source_key=str(patient.pk)
        )
    expected = {yes.pk} | ({silent.pk} if silence else set())
    assert set(Patient.objects.for_actor(SYSTEM).for_purpose(purpose).values_list("pk", flat=True)) == expected
    assert set(Observation.objects.for_actor(SYSTEM).for_purpose(purpose).values_list("patient_id", flat=True)) == expected


def test_a_purpose_that_nobody_is_asked_about_is_refused() -> None:
    with pytest.raises(ValueError, match="teaching"):
        Patient.objects.for_actor(SYSTEM).for_purpose("teaching")


# --- the second wall


postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="row-level security is PostgreSQL's")


def seen(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT count(*) FROM "{table}"')
        return int(cursor.fetchone()[0])


@postgresql
@pytest.mark.parametrize("silence", [True, False])
def test_raw_sql_and_bulk_writes_cannot_slip_past_a_purpose(site: Site, settings: Any, silence: bool) -> None:
    settings.SALUS_CONSENT_WHEN_SILENT = frozenset(PURPOSES if silence else ())
    bundle = make_bundle()
    yes, no, silent = (make_person(site, token, bundle) for token in ("YES", "NO", "SILENT"))
    say(yes.patient, True, purpose=TRAINING)
    say(no.patient, False, purpose=TRAINING)
    tables = [model._meta.db_table for model in (Patient, Observation, Prediction, CurrentRisk)]
    tables += ["imaging_rendition", "imaging_instance", "records_encounter", "records_condition"]
    whole = {table: seen(table) for table in tables}
    with wall.reading_for(purpose_key(TRAINING)):
        for table in tables:
            assert seen(table) * 3 == whole[table] * (2 if silence else 1), table
        assert QuerySet(Observation).filter(patient=no.patient).update(code="x") == 0
        with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
            Observation.objects.bulk_create([Observation(
                patient=no.patient, system="s", code="c", display="d", observed_at=now(), source="s", source_key="new",
            )])  # fmt: skip
        assert (QuerySet(Patient).filter(pk=silent.patient.pk).count() == 1) is silence
    assert {table: seen(table) for table in tables} == whole


@postgresql
def test_with_the_scope_broken_the_database_still_holds_to_the_purpose(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    yes, no = make_patient(site), make_patient(site)
    say(no, False, purpose=RESEARCH)
    monkeypatch.setattr("salus_web.records.scopes.allowing", lambda purpose, path: Q())
    found = Patient.objects.for_actor(SYSTEM).for_purpose(RESEARCH)
    assert list(found.values_list("pk", flat=True)) == [yes.pk] and found.count() == 1




@postgresql
def test_every_table_behind_the_wall_knows_purposes() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_policies WHERE policyname = 'salus_purpose'")
        narrowed = {row[0] for row in cursor.fetchall()}
        cursor.execute("SELECT tablename FROM pg_policies WHERE policyname = 'salus_wall'")
        walled = {row[0] for row in cursor.fetchall()}
    own_purpose = {
        "records_consent", "records_legalhold", "registry_bundleperson", "stewardship_followup", "stewardship_erasure",
        "stewardship_retentionitem",
    }  # fmt: skip
    assert walled - narrowed == own_purpose, "a table of clinical facts is not narrowed by purpose"
