"""A key per person: everything of a person is sealed with it, and nothing opens once it is destroyed, in any copy."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from salus_web.accounts.actors import system
from salus_web.audit.models import Event
from salus_web.common import keyring, vault
from salus_web.common.encryption import key_name, seal, unseal
from salus_web.common.errors import BadInput, Hidden, IntegrityBroken, Refused
from salus_web.common.fields import SealedText, sealed_fields
from salus_web.common.ids import new_id
from salus_web.common.key_sources import KeyTrouble
from salus_web.common.keyring import KeyGone
from salus_web.imaging.models import Instance, Study
from salus_web.ingest.models import Upload
from salus_web.ingest.services import read_and_store, receive
from salus_web.predictions.models import Prediction, RiskMap
from salus_web.records.models import DestroyedKey, Encounter, Observation, Patient
from salus_web.records.personal_keys import destroy_person_key, finish_destroying
from salus_web.records.sealing import blob_columns, sealed_tables

from tests.factories.hospital import make_bundle, make_person
from tests.factories.people import SYSTEM, actor_of, make_patient, make_site, make_user
from tests.web.test_ingest_parsers import bundle

pytestmark = pytest.mark.django_db
NOTE = "Her daughter Planted Daughter rang and asked for a call back tonight"


@pytest.fixture(autouse=True)
def own_key_file(tmp_path: Path, settings: Any) -> Iterator[Path]:
    """Keys of this test alone."""
    settings.SALUS_PERSON_KEYS_FILE = str(tmp_path / "keys" / "persons.sqlite3")
    keyring.forget()
    yield tmp_path / "keys" / "persons.sqlite3"
    keyring.forget()


def destroyed(patient: Patient, capture: Any, by: Any = SYSTEM) -> DestroyedKey:
    with capture(execute=True):
        return destroy_person_key(patient_id=patient.pk, by=by, reason="The person asked for it.")


def everything_sealed(patient: Patient) -> list[Any]:
    """A way to read each sealed value and blob of a person."""
    readers: list[Any] = []
    for table in sealed_tables():
        for one in table.fields:
            if one.owner_kind == "person":
                rows = table.model._base_manager.filter(**{one.owner_attribute: patient.pk}).exclude(**{one.column: b""})
                readers += [lambda row=row, one=one: one.__get__(row) for row in rows]
    for column in blob_columns():
        if column.owner == "person:patient_id":
            rows = column.model._base_manager.filter(patient_id=patient.pk)
            for row in rows:
                key, sha256 = getattr(row, column.column), getattr(row, column.column.replace("_key", "_sha256"))
                readers.append(lambda key=key, sha256=sha256: vault.get(key, sha256=sha256))
    return readers


def legacy(row: Any) -> None:
    """Seal a row's columns as earlier versions did: with a master key."""
    for one in sealed_fields(type(row)):
        if value := getattr(row, one.column):
            plain = unseal(value, bound_to=one.place(row))
            type(row)._base_manager.filter(pk=row.pk).update(**{one.column: seal(plain, bound_to=one.place(row))})


def test_every_sealed_field_and_blob_of_a_person_is_under_their_key() -> None:
    person = make_person(make_site(), "planted", make_bundle())
    found = everything_sealed(person.patient)
    # name, number, reason, description, source of the image, account; and 1 receipt, 1 map, 1 image, 2 renditions
    assert len(found) >= 11 and all(reader() for reader in found)
    row = Patient.objects.for_actor(SYSTEM).get(pk=person.patient.pk)
    assert key_name(row.name_sealed).owned == keyring.sealing_key(f"person:{row.pk}").id.hex()


def test_no_blob_column_of_a_patients_table_is_forgotten() -> None:
    assert {column.place for column in blob_columns()} == {
        "imaging_instance.blob_key", "imaging_rendition.blob_key", "predictions_prediction.receipt_key",
        "predictions_riskmap.blob_key", "ingest_upload.blob_key",
    }  # fmt: skip


def test_what_the_services_store_is_under_the_persons_key() -> None:
    """The real door: a note, a stay's reason, and the raw file under a key of the upload's own."""
    upload = receive(filename="Planted Name.json", content=_bundle_with_note(), site=make_site(), by=SYSTEM)
    read_and_store(upload=upload, by=SYSTEM)
    patient = Patient.objects.for_actor(SYSTEM).get()
    row = Observation.objects.for_actor(SYSTEM).exclude(note_sealed=b"").get()
    assert row.note == row.words == NOTE and row.value_text == ""
    own = keyring.sealing_key(f"person:{patient.pk}").id.hex()
    sealed = [patient.name_sealed, patient.mrn_sealed, row.note_sealed]
    sealed += list(Encounter.objects.for_actor(SYSTEM).exclude(reason_sealed=b"").values_list("reason_sealed", flat=True))
    assert {key_name(value).owned for value in sealed} == {own}
    assert vault.sealed_with(upload.blob_key).owned == keyring.sealing_key(f"upload:{upload.pk}").id.hex()


def _bundle_with_note() -> bytes:
    document = bundle()
    patient = next(e["resource"] for e in document["entry"] if e["resource"]["resourceType"] == "Patient")
    document["entry"].append({"resource": {
        "resourceType": "Observation", "id": "note", "status": "final", "subject": {"reference": f"Patient/{patient['id']}"},
        "effectiveDateTime": "2026-01-01T10:00:00Z", "code": {"text": "Telephone note"}, "valueString": NOTE,
    }})  # fmt: skip
    return json.dumps(document).encode()


def test_nothing_of_a_person_opens_after_their_key_is_destroyed(django_capture_on_commit_callbacks: Any) -> None:
    site, bundle_row = make_site(), make_bundle()
    gone, kept = make_person(site, "gone", bundle_row).patient, make_person(site, "kept", bundle_row).patient
    readers, others = everything_sealed(gone), everything_sealed(kept)
    destroyed(gone, django_capture_on_commit_callbacks)
    for reader in readers:
        with pytest.raises(KeyGone, match="cannot be read again by anybody"):
            reader()
    assert all(reader() for reader in others)
    with pytest.raises(KeyGone):  # and nothing new can be sealed for them
        Patient.objects.for_actor(SYSTEM).get(pk=gone.pk).name = "Jane"


def test_what_an_earlier_version_sealed_with_the_master_key_goes_too(django_capture_on_commit_callbacks: Any) -> None:
    person = make_person(make_site(), "old", make_bundle())
    for model in (Patient, Encounter, Study, Instance, Prediction):
        column = "pk" if model is Patient else "patient_id"
        for row in model._base_manager.filter(**{column: person.patient.pk}):
            legacy(row)
    for model, column in ((Instance, "blob_key"), (RiskMap, "blob_key"), (Prediction, "receipt_key")):
        vault.reseal(getattr(model._base_manager.get(patient_id=person.patient.pk), column))
    readers = everything_sealed(person.patient)
    assert all(reader() for reader in readers)
    destroyed(person.patient, django_capture_on_commit_callbacks)
    again = everything_sealed(person.patient)
    assert len(again) == len(readers)
    for reader in again:
        with pytest.raises(KeyGone):
            reader()


def test_the_raw_file_that_brought_a_person_goes_with_them(django_capture_on_commit_callbacks: Any) -> None:
    site = make_site()
    upload = receive(filename="Planted Name.json", content=_bundle_with_note(), site=site, by=SYSTEM)
    read_and_store(upload=upload, by=SYSTEM)
    other = receive(filename="other.json", content=b"{}", site=site, by=SYSTEM)
    destroyed(Patient.objects.for_actor(SYSTEM).get(), django_capture_on_commit_callbacks)
    with pytest.raises(KeyGone):
        vault.get(upload.blob_key, sha256=upload.blob_sha256)
    with pytest.raises(KeyGone):
        assert Upload.objects.get(pk=upload.pk).filename
    assert vault.get(other.blob_key, sha256=other.blob_sha256) == b"{}"


def test_a_copy_of_database_and_vault_with_the_keys_of_today_does_not_bring_them_back(
    own_key_file: Path, django_capture_on_commit_callbacks: Any
) -> None:
    person = make_person(make_site(), "backup", make_bundle()).patient
    sealed, place = bytes(person.name_sealed), sealed_fields(Patient)[1].place(person)
    destroyed(person, django_capture_on_commit_callbacks)
    with pytest.raises(KeyGone):
        unseal(sealed, bound_to=place)


def test_nothing_of_a_destroyed_key_is_left_in_its_file(own_key_file: Path, django_capture_on_commit_callbacks: Any) -> None:
    patients = [make_patient(make_site()) for _ in range(40)]
    with sqlite3.connect(own_key_file) as link:
        wrapped = dict(link.execute("SELECT owner, wrapped FROM keys"))
    victims = patients[5:30:7]
    for victim in victims:
        destroyed(victim, django_capture_on_commit_callbacks)
    files = b"".join(path.read_bytes() for path in own_key_file.parent.iterdir())
    assert [v for v in victims if wrapped[f"person:{v.pk}"][12:28] in files] == []
    assert wrapped[f"person:{patients[0].pk}"][12:28] in files


def test_an_older_copy_of_the_keys_is_cleared_again(own_key_file: Path, tmp_path: Path, django_capture_on_commit_callbacks: Any) -> None:
    person = make_patient(make_site())
    keyring.copy_to(tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    destroyed(person, django_capture_on_commit_callbacks)
    keyring._local.__dict__.clear()
    for path in own_key_file.parent.iterdir():
        path.unlink()
    shutil.copy(tmp_path / "copy", own_key_file)
    keyring.forget()
    assert Patient.objects.for_actor(SYSTEM).get(pk=person.pk).name == "Planted Token"  # as the docs warn
    assert finish_destroying(by=SYSTEM) == 1 and finish_destroying(by=SYSTEM) == 0
    with pytest.raises(KeyGone):
        assert Patient.objects.for_actor(SYSTEM).get(pk=person.pk).name


def test_a_crash_between_decision_and_deed_is_made_good(django_capture_on_commit_callbacks: Any) -> None:
    person = make_patient(make_site())
    with django_capture_on_commit_callbacks(execute=False):  # the process dies here
        destroy_person_key(patient_id=person.pk, by=SYSTEM, reason="The person asked for it.")
    assert DestroyedKey.objects.get().done_at is None and person.name
    assert finish_destroying(by=SYSTEM) == 1
    assert DestroyedKey.objects.get().done_at is not None
    with pytest.raises(KeyGone):
        assert person.name


def test_the_log_says_who_and_still_verifies(django_capture_on_commit_callbacks: Any) -> None:
    site = make_site()
    person, admin = make_patient(site), actor_of(make_user("administrator", site))
    destroyed(person, django_capture_on_commit_callbacks, by=admin)
    event = Event.objects.get(action="key.destroy")
    assert (event.patient, event.actor_id) == (person.pseudonym, admin.id) and "asked" not in str(event.detail)
    call_command("verify_log")


def test_who_may_not_destroy_and_what_is_missing(django_capture_on_commit_callbacks: Any) -> None:
    site = make_site()
    person = make_patient(site)
    for role in ("clinician", "auditor", "researcher"):
        with pytest.raises(Refused):
            destroy_person_key(patient_id=person.pk, by=actor_of(make_user(role, site)), reason="x")
    with pytest.raises(BadInput):
        destroy_person_key(patient_id=person.pk, by=SYSTEM, reason=" ")
    with pytest.raises(Hidden):
        destroy_person_key(patient_id=new_id(), by=SYSTEM, reason="x")
    assert person.name == "Planted Token" and not DestroyedKey.objects.exists()
    first = destroyed(person, django_capture_on_commit_callbacks)
    assert destroyed(person, django_capture_on_commit_callbacks).decided_at == first.decided_at


def test_what_does_not_open_stops_the_destruction(django_capture_on_commit_callbacks: Any) -> None:
    person = make_patient(make_site())
    legacy(person)
    held = bytes(Patient.objects.for_actor(SYSTEM).get().name_sealed)
    Patient._base_manager.update(name_sealed=held[:-1] + bytes([held[-1] ^ 1]))
    with pytest.raises(IntegrityBroken, match="its key was not destroyed"):
        destroyed(person, django_capture_on_commit_callbacks)
    assert not DestroyedKey.objects.exists() and person.mrn


def test_a_wrapped_key_moved_to_another_owner_does_not_open(own_key_file: Path) -> None:
    anna, ben = (f"person:{new_id()}" for _ in range(2))
    for owner in (anna, ben):
        keyring.sealing_key(owner)
    with sqlite3.connect(own_key_file) as link:
        link.execute("UPDATE keys SET wrapped = (SELECT wrapped FROM keys WHERE owner = ?) WHERE owner = ?", (anna, ben))
    keyring.forget()
    keyring.sealing_key(anna)
    with pytest.raises(IntegrityBroken, match="belongs to somebody else"):
        keyring.sealing_key(ben)


def test_a_key_that_is_not_in_the_file_is_not_called_destroyed(own_key_file: Path) -> None:
    sealed = seal(b"a", bound_to="t.a.1", owner=f"person:{new_id()}")
    with sqlite3.connect(own_key_file) as link:
        link.execute("DELETE FROM keys")
    keyring.forget()
    with pytest.raises(IntegrityBroken, match="not in this installation") as refusal:
        unseal(sealed, bound_to="t.a.1")
    assert not isinstance(refusal.value, KeyGone)


def test_a_key_file_that_others_can_read_is_refused(own_key_file: Path) -> None:
    own_key_file.parent.mkdir()
    own_key_file.touch(0o644)
    own_key_file.chmod(0o644)
    with pytest.raises(KeyTrouble, match="chmod 600"):
        keyring.sealing_key(f"person:{new_id()}")


def test_two_processes_make_one_key() -> None:
    owner = f"person:{new_id()}"
    keyring.sealing_key(f"person:{new_id()}")
    children = []
    for _ in range(4):
        if (child := os.fork()) == 0:
            try:
                keyring.sealing_key(owner)
            finally:
                os._exit(0)
        children.append(child)
    assert {os.waitpid(child, 0)[1] for child in children} == {0}
    assert keyring.count_keys() == (2, 0)


def test_unwrapped_keys_are_few_and_leave_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "CACHED_AT_MOST", 5)
    owners = [f"person:{new_id()}" for _ in range(12)]
    sealed = [seal(owner.encode(), bound_to="t.a.1", owner=owner) for owner in owners]
    assert len(keyring._cache) <= 10
    assert [unseal(value, bound_to="t.a.1").decode() for value in sealed] == owners
    monkeypatch.setattr(keyring, "CACHED_SECONDS", 0.05)
    keyring.forget()
    held = keyring.sealing_key(owners[0])
    with sqlite3.connect(keyring.key_file()) as link:  # another process destroys it
        link.execute("UPDATE keys SET wrapped = NULL WHERE owner = ?", (owners[0],))
    assert keyring.sealing_key(owners[0]) is held
    time.sleep(0.06)
    with pytest.raises(KeyGone):
        keyring.sealing_key(owners[0])


def test_one_person_has_one_key_however_the_id_is_written() -> None:
    number = new_id()
    assert keyring.sealing_key(f"person:{number.hex}").id == keyring.sealing_key(f"person:{number}").id
    with pytest.raises(ValueError):
        keyring.sealing_key("person:None")


def test_a_sealed_field_can_be_given_when_a_row_is_made() -> None:
    patient = make_patient(make_site())
    study, made = Study.objects.for_actor(SYSTEM).get_or_create(
        patient=patient, uid="1", defaults={"description": "Chest", "started_at": patient.created_at}
    )
    assert made and isinstance(Study.description, SealedText)
    assert Study.objects.for_actor(system("x")).get(pk=study.pk).description == "Chest"


def test_those_who_open_a_new_key_file_at_once_all_get_their_keys(tmp_path: Path, settings: Any) -> None:
    """Two writers of a new installation: one was refused with “database is locked”, about once in twenty new files."""
    for number in range(60):
        settings.SALUS_PERSON_KEYS_FILE = str(tmp_path / f"keys-{number}.sqlite3")
        together, owners = threading.Barrier(8), [f"person:{new_id()}" for _ in range(8)]

        def make(owner: str, together: threading.Barrier = together) -> bytes:
            together.wait()
            return keyring.sealing_key(owner).id

        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(make, owners))
        assert len(set(made)) == 8 and [keyring.sealing_key(owner).id for owner in owners] == made


def test_a_key_file_that_cannot_be_read_is_said_at_once(tmp_path: Path, settings: Any) -> None:
    """Only another process is waited for: no request hangs for half a minute on a broken disk."""
    settings.SALUS_PERSON_KEYS_FILE = str(tmp_path / "keys.sqlite3")
    (tmp_path / "keys.sqlite3-wal").mkdir()  # nobody can write a log there
    Path(settings.SALUS_PERSON_KEYS_FILE).touch(mode=0o600)
    began = time.monotonic()
    with pytest.raises(sqlite3.OperationalError):
        keyring.sealing_key(f"person:{new_id()}")
    assert time.monotonic() - began < 10
