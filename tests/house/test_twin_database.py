"""The twin of the hospital: whatever a person may not see is deleted, and no page they get may change by a byte but for
times and form tokens. Counts, sorts, neighbours, searches and empty states would all give a hidden row away here."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.db.models import Model, QuerySet
from django.urls import URLPattern
from pypdf import PdfReader
from salus_web.accounts.models import Site
from salus_web.cohorts.models import Cohort, Project
from salus_web.records.models import Patient
from salus_web.registry.models import ModelBundle
from salus_web.releases.models import Release, ReleaseDecision, ReleaseFile

from tests.factories.hospital import make_person, make_upload
from tests.house.test_every_url import LETTER, TABLE, Place, patterns, place  # noqa: F401 (a fixture)

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
# Names that fall before, between and after the person's own patient, so that a sort or a page would move.
HIDDEN = ("AAFIRST", "QOWNTOKEM", "QOWNTOKEO", "ZZLAST")
QUESTIONS = {
    "worklist": ("", "?order=name", "?order=risk&task=t48", "?order=change", "?page=2"),
    "patients": ("", "POST q=NameQOWNTOKEN", "POST q=NameQUNRELATED", "POST q=MRNQUNRELATED", "POST q=ZZLAST", "POST q=Name", "?page=2"),
    "patient": ("", "?span=all"),
    "jobs": ("", "?state=done", "?state=failed"),
    "audit": (),  # events are never deleted; what the auditor sees of them has tests of its own
    "operations": (),  # sizes of disk and database, which move by themselves; of no patient (tests/web/test_operations.py)
    "mfa_activate_totp": (), "mfa_add_webauthn": (),  # a secret of one's own, new each time
}
# the tables that say who cares for whom and where; an administrator works on these and sees nothing else of a patient
STANDING = {"Patient", "CareRelation", "BreakGlass", "LegalHold", "Erasure", "FollowUp", "RetentionItem"}


def rows_of(model: type[Model]) -> QuerySet[Any]:
    """All rows, past the scoped managers: this is the hand of the person who owns the database."""
    return QuerySet(model)


def tables_of_patients() -> list[type[Model]]:
    """Every table with a column that names a patient, found from the models, so that a new one is not forgotten."""
    found = [m for m in apps.get_models() if any(f.name == "patient" and f.related_model is Patient for f in m._meta.fields)]
    assert len(found) > 12
    return found


def delete_people(hidden: QuerySet[Any], keep: frozenset[str] = frozenset()) -> None:
    """Delete everything that belongs to these people, and, unless their standing is kept, the people."""
    ids = list(hidden.values_list("pk", flat=True))
    with connection.cursor() as cursor, unguarded(cursor):
        for model in tables_of_patients():
            if model.__name__ not in keep:
                table, column = model._meta.db_table, model._meta.get_field("patient").column
                for pk in ids:
                    prepared = model._meta.get_field("patient").get_db_prep_value(pk, connection)
                    cursor.execute(f'DELETE FROM "{table}" WHERE "{column}" = %s', [prepared])
    if "Patient" not in keep:
        QuerySet(Patient).filter(pk__in=ids)._raw_delete(connection.alias)


@contextmanager
def unguarded(cursor: Any) -> Iterator[None]:
    """The order of deletion does not matter; the checks come at the end of the transaction."""
    cursor.execute("PRAGMA defer_foreign_keys = ON" if connection.vendor == "sqlite" else "SET CONSTRAINTS ALL DEFERRED")
    yield


def delete_projects(hidden: QuerySet[Any]) -> None:
    """Delete other people's projects with all that hangs on them."""
    releases = Release.objects.filter(project__in=hidden)
    for model in (ReleaseFile, ReleaseDecision):
        model.objects.filter(release__in=releases)._raw_delete(connection.alias)  # type: ignore[attr-defined]
    releases._raw_delete(connection.alias)  # type: ignore[attr-defined]
    Cohort.objects.filter(project__in=hidden)._raw_delete(connection.alias)  # type: ignore[attr-defined]
    for project in hidden:
        project.members.clear()
        project.sites.clear()
    hidden._raw_delete(connection.alias)


def hide_from(role: str, place: Place) -> None:  # noqa: F811
    """Delete what this role of this hospital may not see."""
    people = rows_of(Patient)
    if role == "clinician":
        delete_people(people.exclude(pk=place.people["own"].patient.pk))
        delete_projects(Project.objects.all())
    elif role == "researcher":
        delete_people(people.exclude(site=place.here))
        delete_projects(Project.objects.exclude(members=place.users["researcher"]))
    else:  # administrators and auditors: no clinical content of anybody, and nobody of another hospital
        delete_people(people.exclude(site=place.here))
        delete_people(people.filter(site=place.here), keep=frozenset(STANDING))


def pages(place: Place, role: str) -> dict[str, bytes]:  # noqa: F811
    """Every answer this role gets to a GET about what is theirs, with each question that the page can be asked."""
    found = {}
    for pattern in patterns():
        for question in QUESTIONS.get(pattern.name or "", ("",)):
            answer = ask(place, role, pattern, question)
            if answer.status_code == 200:
                body = b"".join(answer.streaming_content) if answer.streaming else answer.content
                found[f"{pattern.name}{question}"] = plain(words_of(body) if body.startswith(b"%PDF") else body)
    return found


def words_of(pdf: bytes) -> bytes:
    """What a paper says: its bytes are packed, so that a time in it could not be told from anything else."""
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).encode()


def ask(place: Place, role: str, pattern: URLPattern, question: str) -> Any:  # noqa: F811
    """One look of which nothing stays."""
    point, address = transaction.savepoint(), place.address(pattern, "own")
    try:
        if question.startswith("POST "):  # what is searched for is in no address
            return place.client(role).post(address, dict([question.removeprefix("POST ").split("=")]))
        return place.client(role).get(address + question)
    finally:
        transaction.savepoint_rollback(point)


def plain(body: bytes) -> bytes:
    """The answer without form tokens and times, which differ from request to request."""
    body = re.sub(rb'name="csrfmiddlewaretoken" value="[^"]+"', b"", body)
    body = re.sub(rb"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+[\d:]+)?", b"TIME", body)
    body = re.sub(rb'data-age="\d+"', b"", body)
    return re.sub(rb"\d\d:\d\d(:\d\d)?|\d+ (second|minute)s?|(\d+ h )?\d+ min\b", b"TIME", body)


@pytest.mark.parametrize("role", ["clinician", "administrator", "auditor", "researcher"])
def test_what_a_person_may_not_see_changes_no_byte_of_what_they_get(place: Place, role: str) -> None:  # noqa: F811
    bundle = ModelBundle.objects.get(pk=place.people["own"].prediction.bundle_id)
    for number, name in enumerate(HIDDEN):
        site = place.here if number % 2 else Site.objects.exclude(pk=place.here.pk).get()
        make_person(site, name, bundle, probability=0.05 + 0.3 * number)
    if role != "auditor":
        make_upload(Site.objects.exclude(pk=place.here.pk).get(), "elsewhere.json")
    before = pages(place, role)
    assert before == pages(place, role), "the pages differ by themselves, so nothing could be told"
    for pattern in patterns():
        if LETTER[role] in TABLE[pattern.name or ""][0] and TABLE[pattern.name or ""][1] == 200 and QUESTIONS.get(pattern.name or "") != ():
            assert any(key.partition("?")[0] == pattern.name for key in before), f"{pattern.name} was not looked at"
    hide_from(role, place)
    after = pages(place, role)
    assert sorted(before) == sorted(after)
    for key, body in before.items():
        assert body == after[key], f"{key} as {role} tells of what is hidden"


def test_the_twin_tells_a_page_that_leaks(place: Place) -> None:  # noqa: F811
    """A page that may show what is deleted does change, so the comparison above can fail."""
    before = pages(place, "clinician")
    delete_people(rows_of(Patient).filter(pk=place.people["own"].patient.pk))
    after = pages(place, "clinician")
    assert "patient" in before and "patient" not in after and before["worklist"] != after["worklist"]
