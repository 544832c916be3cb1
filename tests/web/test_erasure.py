"""A person is erased by two people and for ever; what is left says so plainly, and a copy from before does not bring them back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.models import QuerySet
from django.test import Client
from salus_web.access.requests import decide
from salus_web.accounts.models import Site, User
from salus_web.audit.models import Event
from salus_web.common import erased_list, keyring, vault
from salus_web.common.clock import now
from salus_web.common.encryption import blind_index
from salus_web.common.errors import BadInput, Hidden, Refused, StateConflict
from salus_web.common.keyring import KeyGone
from salus_web.ingest.models import Upload, UploadState
from salus_web.ingest.services import read_and_store, receive
from salus_web.jobs.models import Job
from salus_web.records.models import CareRelation, LegalHold, Patient
from salus_web.records.personal_keys import destroy_person_key
from salus_web.records.selectors import my_patients, search_patients
from salus_web.registry.models import BundlePerson
from salus_web.releases.models import ReleaseState
from salus_web.stewardship.copies import apply_erasures
from salus_web.stewardship.erasing import erase_person
from salus_web.stewardship.erasures import ask_erasure, decide_erasure
from salus_web.stewardship.follow_ups import settle_follow_up
from salus_web.stewardship.holdings import KEPT, RECORD
from salus_web.stewardship.models import Decision, Erasure, FollowUp
from salus_web.stewardship.services import lift_hold, record_consent, set_hold

from tests.factories.cohorts import make_project, say
from tests.factories.emergencies import asked_for
from tests.factories.hospital import Person, judged, make_bundle, make_person, make_release
from tests.factories.people import SYSTEM, actor_of, client_of, make_site, make_user, relate
from tests.house.test_twin_database import rows_of, tables_of_patients
from tests.web.test_encryption_persons import _bundle_with_note, everything_sealed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_places")]


@pytest.fixture
def person(site: Site, clinician: User) -> Person:
    """Somebody with a row in every table, a consent, an ended and a live care relation."""
    found = make_person(site, "PLANTED", make_bundle())
    judged(found, clinician)
    relate(clinician, found.patient)
    gone = relate(make_user("clinician", site), found.patient)
    gone.ends_at, gone.reason = now() - timedelta(days=9), "on Ward PLANTED"
    gone.save()
    say(found.patient, True)
    Job.objects.update(unique_key="p")  # the maker of jobs writes the token there; the platform writes ids
    return found


def administrators(site: Site) -> tuple[Any, Any]:
    return actor_of(make_user("administrator", site)), actor_of(make_user("administrator", site))


def erased(patient: Patient, site: Site, capture: Any) -> Erasure:
    """By two people."""
    first, second = administrators(site)
    row = ask_erasure(patient=patient, reason="asked by the person", by=first)
    with capture(execute=True):
        return decide_erasure(erasure=row, accept=True, why="agreed", by=second)


# --- refused


@pytest.mark.parametrize("role", ["clinician", "auditor", "researcher"])
def test_only_administrators_ask_hold_and_decide(person: Person, site: Site, role: str) -> None:
    by = actor_of(make_user(role, site))
    first, _ = administrators(site)
    row = ask_erasure(patient=person.patient, reason="r", by=first)
    for act in (
        lambda: ask_erasure(patient=person.patient, reason="r", by=by), lambda: decide_erasure(erasure=row, accept=True, why="w", by=by),
        lambda: set_hold(patient=person.patient, reason="r", until=None, by=by),
    ):  # fmt: skip
        with pytest.raises(Refused):
            act()


def test_nobody_erases_alone_nor_elsewhere_nor_without_a_reason(person: Person, site: Site) -> None:
    first, _ = administrators(site)
    elsewhere = actor_of(make_user("administrator", make_site()))
    with pytest.raises(Hidden):
        ask_erasure(patient=person.patient, reason="r", by=elsewhere)
    with pytest.raises(BadInput, match="Reason"):
        ask_erasure(patient=person.patient, reason=" ", by=first)
    row = ask_erasure(patient=person.patient, reason="r", by=first)
    with pytest.raises(StateConflict, match="waits for a second person"):
        ask_erasure(patient=person.patient, reason="r", by=first)
    with pytest.raises(Refused, match="somebody else"):
        decide_erasure(erasure=row, accept=True, why="w", by=first)
    with pytest.raises(Refused, match="A person has to decide"):
        decide_erasure(erasure=row, accept=True, why="w", by=SYSTEM)
    with pytest.raises(Hidden):
        decide_erasure(erasure=row, accept=True, why="w", by=elsewhere)
    assert Patient.objects.for_actor(SYSTEM).get(pk=person.patient.pk).name == "PLANTED NamePLANTED"


def test_a_hold_stops_an_erasure_at_every_door(person: Person, site: Site) -> None:
    first, second = administrators(site)
    row = ask_erasure(patient=person.patient, reason="r", by=first)
    hold = set_hold(patient=person.patient, reason="A claim of negligence", until=None, by=first)
    assert LegalHold.objects.for_actor(SYSTEM).get().reason == "A claim of negligence"
    with pytest.raises(StateConflict, match="hold"):
        decide_erasure(erasure=row, accept=True, why="w", by=second)
    with pytest.raises(StateConflict, match="hold"):
        ask_erasure(patient=person.patient, reason="r", by=second)
    for door in (lambda: destroy_person_key(patient_id=person.patient.pk, by=SYSTEM, reason="r"),
                 lambda: erase_person(patient=person.patient, reason="r", by=SYSTEM)):  # fmt: skip
        with pytest.raises(StateConflict, match="hold"):
            door()
    lift_hold(hold=hold, why="settled", by=second)
    with pytest.raises(StateConflict, match="lifted already"):
        lift_hold(hold=hold, why="settled", by=second)
    assert decide_erasure(erasure=row, accept=True, why="w", by=second).state == Decision.DONE


def test_a_hold_ends_by_itself(person: Person, site: Site) -> None:
    first, _ = administrators(site)
    with pytest.raises(BadInput, match="ahead"):
        set_hold(patient=person.patient, reason="r", until=now() - timedelta(days=1), by=first)
    set_hold(patient=person.patient, reason="r", until=now() + timedelta(days=1), by=first)
    QuerySet(LegalHold).update(until=now() - timedelta(seconds=1))
    assert ask_erasure(patient=person.patient, reason="r", by=first).state == Decision.WAITING


def test_a_refused_erasure_leaves_everything(person: Person, site: Site) -> None:
    first, second = administrators(site)
    row = ask_erasure(patient=person.patient, reason="r", by=first)
    assert decide_erasure(erasure=row, accept=False, why="the law says to keep it", by=second).state == Decision.REFUSED
    with pytest.raises(StateConflict, match="Refused"):
        decide_erasure(erasure=row, accept=True, why="w", by=second)
    assert all(reader() for reader in everything_sealed(person.patient))


# --- erased


def test_every_table_of_a_person_is_either_deleted_or_kept_for_a_reason() -> None:
    """A new table with a patient in it has to be decided on here, or nobody would be erased from it."""
    named = {model.__name__ for model in RECORD} | set(KEPT)
    assert {model.__name__ for model in tables_of_patients()} == named


def test_nothing_of_the_person_opens_or_stands_anywhere_afterwards(
    person: Person, site: Site, django_capture_on_commit_callbacks: Any
) -> None:
    set_hold_that_is_over(person.patient, site)
    readers, patient = everything_sealed(person.patient), person.patient
    row = erased(patient, site, django_capture_on_commit_callbacks)
    assert row.counts["rows"] > 12 and row.counts["files"] == 5
    for reader in readers:
        with pytest.raises((KeyGone, vault.BlobMissing)):
            reader()
    for model in RECORD:
        assert not rows_of(model).filter(patient_id=patient.pk).exists(), model
    left = Patient.objects.for_actor(SYSTEM).get(pk=patient.pk)
    assert (left.birth_date, left.sex, left.died_at, left.mrn_system, left.mrn, left.name) == (None, "unknown", None, "", "", "")
    assert left.erased_at is not None and left.pseudonym == patient.pseudonym and left.site == site
    assert not Patient.objects.for_actor(SYSTEM).filter(mrn_index=blind_index("MRNPLANTED", purpose="mrn")).exists()
    (relation,) = CareRelation.objects.filter(patient_id=patient.pk)
    assert relation.reason == "" and relation.starts_at >= left.erased_at - timedelta(seconds=5)
    assert relation.ends_at is not None and relation.ends_at <= now() + timedelta(days=90)
    assert "PLANTED" not in everything_readable()


def test_what_was_written_when_access_was_asked_for_and_granted_goes_too(
    person: Person, site: Site, django_capture_on_commit_callbacks: Any
) -> None:
    asker = make_user("clinician", site)
    granted, other = asked_for(asker, site, "MRNPLANTED"), asked_for(asker, site, "MRNSOMEBODY")
    decide(request_id=granted.pk, grant=True, answer="agreed with the lead", by=administrators(site)[0])
    erased(person.patient, site, django_capture_on_commit_callbacks)
    granted.refresh_from_db()
    other.refresh_from_db()
    assert (granted.reason, granted.answer, granted.state) == ("", "", "granted") and other.reason


def set_hold_that_is_over(patient: Patient, site: Site) -> None:
    first, second = administrators(site)
    lift_hold(hold=set_hold(patient=patient, reason="PLANTED claim", until=None, by=first), why="PLANTED settled", by=second)


def everything_readable() -> str:
    """Every column of every table as text."""
    found = []
    with connection.cursor() as cursor:
        for model in apps.get_models():
            cursor.execute(f'SELECT * FROM "{model._meta.db_table}"')
            found += [str([bytes(v) if isinstance(v, memoryview) else v for v in row]) for row in cursor.fetchall()]
    return "\n".join(found)


def test_what_is_planted_is_readable_before(person: Person) -> None:
    assert "WardPLANTED" in everything_readable() and "PLANTED word" in everything_readable()


def test_pages_say_plainly_that_the_person_was_erased(
    person: Person, site: Site, clinician: User, django_capture_on_commit_callbacks: Any
) -> None:
    client, viewer = Client(), actor_of(clinician)
    client.force_login(clinician)
    erased(person.patient, site, django_capture_on_commit_callbacks)
    for page in ("", "looked/", "consent/"):
        answer = client.get(f"/patients/{person.patient.pk}/{page}")
        body = answer.content.decode()
        assert answer.status_code == 200 and "⌧ erased" in body and "neither low nor high" in body and "%" not in body
    assert client.get(f"/predictions/{person.prediction.pk}/").status_code == 404
    for page in ("/worklist/", "/patients/"):
        assert b"PLANTED" not in client.get(page).content and str(person.patient.pk) not in client.get(page).content.decode()
    assert my_patients(viewer=viewer, page=1) == [] and search_patients(viewer=viewer, text="MRNPLANTED") == []
    stranger = Client()
    stranger.force_login(make_user("clinician", site))
    assert stranger.get(f"/patients/{person.patient.pk}/").status_code == 404
    assert Event.objects.filter(action="patient.read", outcome="erased", patient=person.patient.pseudonym).count() == 1
    with pytest.raises(StateConflict, match="erased"):
        record_consent(patient=person.patient, purpose="research", granted=True, form="s", said_on=None, by=SYSTEM)


def test_who_looked_is_still_told_of_an_erased_person(person: Person, site: Site, django_capture_on_commit_callbacks: Any) -> None:
    """The report stays for the auditor; it names no number, as there is none any more."""
    desk, address = client_of(make_user("auditor", site)), f"/audit/looked/{person.patient.pseudonym}/"
    assert f"Record number ending in {person.patient.number_end}" in desk.get(address).content.decode()
    erased(person.patient, site, django_capture_on_commit_callbacks)
    page, paper = desk.get(address), desk.get(f"{address}report.pdf")
    body = page.content.decode()
    assert page.status_code == 200 and "Record of a person who was erased." in body and "erased the person" in body
    assert "ending in" not in body and paper.status_code == 200 and paper.content.startswith(b"%PDF")


def test_the_log_still_verifies(person: Person, site: Site, clinician: User, django_capture_on_commit_callbacks: Any) -> None:
    client = Client()
    client.force_login(clinician)
    client.get(f"/patients/{person.patient.pk}/")
    before = Event.objects.count()
    erased(person.patient, site, django_capture_on_commit_callbacks)
    acts = list(Event.objects.filter(number__gt=0).order_by("at").values_list("action", flat=True))
    assert Event.objects.count() > before
    assert {"patient.read", "erasure.ask", "key.destroy", "patient.erase", "erasure.decide"} <= set(acts)
    call_command("verify_log")


def test_the_raw_file_goes_and_is_not_taken_in_again(site: Site, django_capture_on_commit_callbacks: Any) -> None:
    content = _bundle_with_note()
    upload = receive(filename="Planted Name.json", content=content, site=site, by=SYSTEM)
    read_and_store(upload=upload, by=SYSTEM)
    twice = receive(filename="Planted again.json", content=content, site=site, by=SYSTEM)
    erased(Patient.objects.for_actor(SYSTEM).get(), site, django_capture_on_commit_callbacks)
    for row in Upload.objects.filter(pk__in=[upload.pk, twice.pk]):
        assert (row.state, row.filename, row.problems, row.counts, row.blob_key) == (UploadState.ERASED, "", [], {}, "")
    with pytest.raises(vault.BlobMissing):
        vault.get(upload.blob_key, sha256=upload.blob_sha256)
    with pytest.raises(BadInput, match="not read again"):
        receive(filename="Planted Name.json", content=content, site=site, by=SYSTEM)
    client = Client()
    client.force_login(make_user("administrator", site))
    page = client.get("/uploads/").content.decode()
    assert "Erased with a person" in page and "Planted" not in page


# --- what must follow


def test_a_withdrawal_lists_what_holds_the_person_and_an_administrator_acts_on_each(person: Person, site: Site) -> None:
    researcher, bundle = make_user("researcher", site), person.prediction.bundle
    pseudonym = person.patient.pseudonym
    gone = make_release(make_project(site, members=[researcher]), researcher, state=ReleaseState.RELEASED, people=(pseudonym,))
    make_release(make_project(site, members=[researcher]), researcher, state=ReleaseState.RELEASED, people=("somebody else",))
    BundlePerson.objects.create(bundle=bundle, patient=person.patient)
    first, _ = administrators(site)
    _, research = record_consent(patient=person.patient, purpose="research", granted=False, form="W 1", said_on=None, by=SYSTEM)
    _, training = record_consent(patient=person.patient, purpose="training", granted=False, form="W 1", said_on=None, by=SYSTEM)
    _, again = record_consent(patient=person.patient, purpose="training", granted=False, form="W 1", said_on=None, by=SYSTEM)
    assert (research, training, again) == (1, 1, 0)
    export, model = FollowUp.objects.for_actor(SYSTEM).order_by("-kind")
    assert (export.object_id, model.object_id) == (gone.pk, bundle.pk)
    with pytest.raises(BadInput, match="What was done"):
        settle_follow_up(follow_up_id=export.pk, words=" ", by=first)
    with pytest.raises(Hidden):
        settle_follow_up(follow_up_id=export.pk, words="done", by=actor_of(make_user("administrator", make_site())))
    with pytest.raises(Refused):
        settle_follow_up(follow_up_id=export.pk, words="done", by=actor_of(researcher))
    settle_follow_up(follow_up_id=export.pk, words="The project deleted its copy.", by=first)
    with pytest.raises(StateConflict, match="already"):
        settle_follow_up(follow_up_id=export.pk, words="again", by=first)
    row = FollowUp.objects.for_actor(SYSTEM).get(pk=export.pk)
    assert row.done_words == "The project deleted its copy." and row.done_by_name == first.name
    lines = Event.objects.filter(action="follow_up.done")
    assert [line.patient for line in lines] == [pseudonym]


def test_a_model_from_before_there_was_a_list_is_found_by_its_out_of_fold_risks(person: Person) -> None:
    QuerySet(type(person.prediction)).filter(pk=person.prediction.pk).update(origin="out_of_fold")
    _, listed = record_consent(patient=person.patient, purpose="training", granted=False, form="W", said_on=None, by=SYSTEM)
    assert listed == 1


# --- a copy from before


def back(person: Patient, whole: dict[str, Any]) -> None:
    """The person's row as it was before, as an older copy of the database has it."""
    QuerySet(Patient).filter(pk=person.pk).update(**whole)


def test_a_copy_from_before_is_cleared_again_by_the_list_alone(
    person: Person, site: Site, tmp_path: Path, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    whole = QuerySet(Patient).filter(pk=person.patient.pk).values("name_sealed", "mrn_index", "birth_date", "sex", "erased_at").get()
    erased(person.patient, site, django_capture_on_commit_callbacks)
    assert str(person.patient.pk) in erased_list.people() and str(person.patient.pk) in keyring.destroyed_people()
    back(person.patient, whole)
    # neither the keys nor the database's own decision are from after the erasure
    settings.SALUS_PERSON_KEYS_FILE = str(tmp_path / "older" / "persons.sqlite3")
    keyring.forget()
    QuerySet(apps.get_model("records", "DestroyedKey")).all().delete()
    set_hold(patient=person.patient, reason="the older copy still knew a hold", until=None, by=SYSTEM)
    with django_capture_on_commit_callbacks(execute=True):
        assert apply_erasures(by=SYSTEM) == 1
    left = Patient.objects.for_actor(SYSTEM).get(pk=person.patient.pk)
    assert left.erased_at is not None and left.birth_date is None and keyring.is_destroyed(f"person:{left.pk}")
    assert apply_erasures(by=SYSTEM) == 0


def test_a_copy_from_before_is_cleared_again_by_the_keys_alone(
    person: Person, site: Site, django_capture_on_commit_callbacks: Any
) -> None:
    whole = QuerySet(Patient).filter(pk=person.patient.pk).values("name_sealed", "mrn_index", "birth_date", "sex", "erased_at").get()
    erased(person.patient, site, django_capture_on_commit_callbacks)
    back(person.patient, whole)
    QuerySet(apps.get_model("records", "DestroyedKey")).all().delete()
    erased_list.place().unlink()
    with django_capture_on_commit_callbacks(execute=True):
        assert apply_erasures(by=SYSTEM) == 1


def test_a_line_that_is_not_ours_erases_nobody(person: Person) -> None:
    path = erased_list.place()
    path.parent.mkdir(parents=True)
    lines = [{"person": str(person.patient.pk), "tag": "0" * 64}, {"person": 7}, [], "x"]
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines) + b"not JSON\n")
    assert apply_erasures(by=SYSTEM) == 0 and erased_list.people() == frozenset()


def test_nothing_is_on_the_list_before_it_is_kept(person: Person, site: Site, django_capture_on_commit_callbacks: Any) -> None:
    first, second = administrators(site)
    row = ask_erasure(patient=person.patient, reason="r", by=first)
    with django_capture_on_commit_callbacks(execute=False):  # rolled back, or the process dies here
        decide_erasure(erasure=row, accept=True, why="w", by=second)
    assert erased_list.people() == frozenset() and not keyring.is_destroyed(f"person:{person.patient.pk}")
    assert apply_erasures(by=SYSTEM) == 0
    assert str(person.patient.pk) in erased_list.people() and keyring.is_destroyed(f"person:{person.patient.pk}")
