"""Rotation: everything ends under the current key, nothing is lost, and no old key is called unused while something needs it."""

from __future__ import annotations

import contextlib
import io
import json
import secrets
import threading
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.core.management import CommandError, call_command
from salus_web.audit.models import Event
from salus_web.common import keyring, vault
from salus_web.common.encryption import key_name, seal, unseal
from salus_web.common.errors import StateConflict
from salus_web.common.fields import sealed_fields
from salus_web.common.key_sources import FileKeys
from salus_web.imaging.models import Instance
from salus_web.records import key_rotation
from salus_web.records.key_rotation import rotate, uses_of_masters
from salus_web.records.models import KeyRotation, Patient
from salus_web.records.sealing import SealedTable, seal_rows_anew

from tests.factories.hospital import make_bundle, make_person
from tests.factories.people import SYSTEM, make_patient, make_site
from tests.web.test_encryption_persons import everything_sealed, legacy

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, settings: Any) -> Iterator[Path]:
    """A key file, a file of persons' keys and a vault of this test alone."""
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": {"k1": secrets.token_hex(32)}, "current": "k1"}))
    path.chmod(0o600)
    settings.SALUS_KEY_SOURCE = FileKeys(path, fresh_for=0.0)
    settings.SALUS_PERSON_KEYS_FILE = str(tmp_path / "persons.sqlite3")
    settings.STORAGES = settings.STORAGES | {
        "vault": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "vault", "base_url": None},
        }
    }
    keyring.forget()
    yield path
    keyring.forget()


def run(*options: str) -> str:
    out = io.StringIO()
    call_command("rotate_keys", *options, stdout=out)
    return out.getvalue()


def old_patient(**values: Any) -> Patient:
    """A patient as an earlier version stored them: sealed with the master key."""
    patient = make_patient(make_site(), **values)
    legacy(patient)
    return Patient.objects.for_actor(SYSTEM).get(pk=patient.pk)


def drop(keys_file: Path, name: str) -> None:
    """Take a key away as the administrator does when it is no longer used."""
    said = json.loads(keys_file.read_text())
    del said["keys"][name]
    keys_file.write_text(json.dumps(said))
    keyring.forget()


def test_after_rotation_the_old_key_is_not_needed(keys: Path) -> None:
    person = make_person(make_site(), "planted", make_bundle()).patient
    old = [old_patient(name=f"Old {number}") for number in range(5)]
    shared = vault.put(b"a model of many")
    vault.reseal(Instance.objects.for_actor(SYSTEM).get(patient=person).blob_key)
    said = run("--new")
    assert "Made the key k2" in said and "The key k1 is no longer used by anything here" in said
    drop(keys, "k1")
    assert [row.name for row in Patient.objects.for_actor(SYSTEM).filter(pk__in=[o.pk for o in old]).order_by("pk")] == [
        f"Old {number}" for number in range(5)
    ]
    assert all(reader() for reader in everything_sealed(person))
    assert vault.get(shared.key, sha256=shared.sha256) == b"a model of many"
    assert vault.sealed_with(shared.key).master == "k2"
    for row in Patient.objects.for_actor(SYSTEM).all():
        assert key_name(row.name_sealed).owned == keyring.sealing_key(f"person:{row.pk}").id.hex()
    assert set(uses_of_masters()) == {"k2"}
    assert Event.objects.filter(action="keys.rotated").count() == 1


def test_a_second_run_finds_nothing_to_do() -> None:
    old_patient()
    run("--new")
    assert "Moved 0 to the key k2" in run()


def test_without_a_new_key_old_rows_still_come_under_their_persons_key() -> None:
    patient = old_patient(name="Jane Doe")
    assert "Moved 2 to the key k1" in run()
    row = Patient.objects.for_actor(SYSTEM).get(pk=patient.pk)
    assert key_name(row.name_sealed).owned and row.name == "Jane Doe"


class ObjectStore(Storage):
    """Objects by name: no paths; `save` never replaces, a put does. As S3 behind django-storages with its setting here."""

    objects: ClassVar[dict[str, bytes]] = {}

    def _open(self, name: str, mode: str = "rb") -> ContentFile[bytes]:
        try:
            return ContentFile(self.objects[name])
        except KeyError:
            raise FileNotFoundError(name) from None

    def _save(self, name: str, content: Any) -> str:
        self.objects[name] = content.read()
        return name

    def exists(self, name: str) -> bool:
        return name in self.objects

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        inside = [name.removeprefix(f"{path}/" if path else "") for name in self.objects if name.startswith(path)]
        return sorted({name.split("/")[0] for name in inside if "/" in name}), [name for name in inside if "/" not in name]


class Killed(BaseException):
    """The process is gone here."""


@pytest.mark.parametrize("place", ["seal_rows_anew", "seal_blobs_anew", "_cursor", "uses_of_masters", "vault.Resealing.add", "keyring.rewrap"])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_killed_anywhere_the_next_run_goes_on(place: str, after: int, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_rotation, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(key_rotation, "ROWS_AT_MOST", 2)
    person = make_person(make_site(), "planted", make_bundle()).patient
    old = [old_patient(name=f"Old {number}") for number in range(6)]
    blobs = [vault.put(bytes([number]) * 10) for number in range(6)]
    owner, _, name = place.rpartition(".")
    module = attrgetter(owner)(key_rotation) if owner else key_rotation
    real, calls, died = getattr(module, name), iter(range(1000)), True

    def dying(*args: Any, **options: Any) -> Any:
        if next(calls) >= after:
            raise Killed
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, dying)
        with contextlib.suppress(Killed):
            run("--new")
            died = False
    assert died or after  # the first call at least is reached everywhere
    assert all(row.name for row in Patient.objects.for_actor(SYSTEM).all())  # readable at every moment
    assert "The key k1 is no longer used" in run()
    drop(keys, "k1")
    assert {row.name for row in Patient.objects.for_actor(SYSTEM).all()} >= {f"Old {number}" for number in range(6)}
    assert [vault.get(blob.key, sha256=blob.sha256) for blob in blobs] == [bytes([number]) * 10 for number in range(6)]
    assert all(reader() for reader in everything_sealed(person)) and len(old) == 6


def test_a_run_goes_on_where_the_last_one_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_rotation, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(key_rotation, "ROWS_AT_MOST", 2)
    for number in range(6):
        old_patient(name=f"Old {number}")
    real, seen = key_rotation.seal_rows_anew, []

    def dying(table: SealedTable, rows: Any) -> Any:
        if table.model is Patient:
            if len(seen) == 2:
                raise Killed
            seen.append([row.pk for row in rows])
        return real(table, rows)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(key_rotation, "seal_rows_anew", dying)
        rotate(by=SYSTEM)
    cursor = KeyRotation.objects.get(pk="records_patient")
    assert (cursor.moved, cursor.finished, cursor.after) == (8, False, str(seen[1][-1]))
    read: list[Any] = []

    def watching(table: SealedTable, rows: Any) -> Any:
        read.extend(row.pk for row in rows if table.model is Patient)
        return real(table, rows)

    with monkeypatch.context() as patch:
        patch.setattr(key_rotation, "seal_rows_anew", watching)
        assert rotate(by=SYSTEM).moved == 4
    assert len(read) == 2 and not set(read) & {key for batch in seen for key in batch}


def test_what_does_not_open_keeps_the_old_key(keys: Path) -> None:
    fine, broken = old_patient(name="Fine"), old_patient(name="Broken")
    held = bytes(broken.name_sealed)
    Patient._base_manager.filter(pk=broken.pk).update(name_sealed=held[:-1] + bytes([held[-1] ^ 1]))
    with pytest.raises(CommandError, match="1 stored values do not open, so no key is said to be unused") as refusal:
        run("--new")
    assert f"records_patient.name_sealed.{broken.pk}" in str(refusal.value)
    assert key_name(Patient.objects.for_actor(SYSTEM).get(pk=fine.pk).name_sealed).owned
    assert "k1" in uses_of_masters()
    with pytest.raises(CommandError):  # and it is not forgotten
        run()


def test_a_blob_that_does_not_open_keeps_the_old_key() -> None:
    blob = vault.put(b"a model of many")
    path = Path(storages["vault"].path(f"{blob.key[:2]}/{blob.key}"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    out = io.StringIO()
    with pytest.raises(CommandError, match="do not open"):
        call_command("rotate_keys", "--new", stdout=out)
    assert "The key k1 is still used: vault 1." in out.getvalue() and "no longer used" not in out.getvalue()


def test_what_is_sealed_with_the_old_key_meanwhile_is_found(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not seen the new key yet writes behind the walker's back."""
    late: list[vault.BlobRef] = []
    old = seal(b"late", bound_to="vault.late.0")
    real = key_rotation.uses_of_masters

    def looking() -> Any:
        if not late:
            late.append(vault.BlobRef("la" + "te", vault.hashlib.sha256(b"late").hexdigest(), 4))
            body = seal_as("k1", b"late", "vault.late.0", old)
            storages["vault"].save("la/late", ContentFile(len(body).to_bytes(4, "big") + body))
        return real()

    monkeypatch.setattr(key_rotation, "uses_of_masters", looking)
    assert "The key k1 is no longer used" in run("--new")
    assert vault.sealed_with("late").master == "k2"
    assert vault.get("late", sha256=late[0].sha256) == b"late"


def seal_as(name: str, plain: bytes, place: str, made_before: bytes) -> bytes:
    """A value sealed before the key changed."""
    assert key_name(made_before).master == name and unseal(made_before, bound_to=place) == plain
    return made_before


def test_a_value_written_meanwhile_is_not_overwritten() -> None:
    patient = old_patient(name="Before")
    stale = Patient.objects.for_actor(SYSTEM).get(pk=patient.pk)
    patient.name = "After"
    patient.save()
    table = SealedTable(Patient, tuple(sealed_fields(Patient)))
    assert seal_rows_anew(table, [stale]) == (1, [])  # the number alone
    assert Patient.objects.for_actor(SYSTEM).get(pk=patient.pk).name == "After"


def test_one_rotation_at_a_time() -> None:
    with key_rotation._alone(), pytest.raises(StateConflict, match="running already"):
        rotate(by=SYSTEM)


def test_the_rest_of_a_killed_write_is_cleared_away(tmp_path: Path) -> None:
    blob = vault.put(b"whole")
    half = Path(storages["vault"].path(f"{blob.key[:2]}/{blob.key}.resealing"))
    half.write_bytes(b"half")
    run()
    assert not half.exists() and vault.get(blob.key, sha256=blob.sha256) == b"whole"


def test_a_reader_never_finds_a_part_of_a_blob() -> None:
    body = bytes(range(256)) * 400
    blob, stop, faults, reads = vault.put(body), threading.Event(), [], []

    def read() -> None:
        while not stop.is_set():
            try:
                reads.append(vault.get(blob.key, sha256=blob.sha256) == body)
            except Exception as fault:  # noqa: BLE001 - any fault is the finding
                faults.append(fault)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(30):
        vault.reseal(blob.key)
    stop.set()
    reader.join()
    assert faults == [] and reads and all(reads)


def test_an_object_store_is_given_the_whole_blob(settings: Any) -> None:
    settings.STORAGES = settings.STORAGES | {"vault": {"BACKEND": f"{__name__}.ObjectStore"}}
    blob = vault.put(b"a model of many")
    assert "The key k1 is no longer used" in run("--new")
    assert vault.sealed_with(blob.key).master == "k2" and vault.get(blob.key, sha256=blob.sha256) == b"a model of many"
    assert len(ObjectStore.objects) == 1


def test_a_key_that_the_environment_names_is_not_made_here(settings: Any, keys: Path) -> None:
    settings.SALUS_KEY_SOURCE = FileKeys(keys, "k1")
    with pytest.raises(CommandError, match="do not come from a file that names its current key"):
        run("--new")
    assert "must be started anew" in run()
