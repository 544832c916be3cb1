"""Who looked at one record, in plain words, as a page and on paper: right reasons, nothing clinical, itself on the log."""

from __future__ import annotations

import html
import io
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from pypdf import PdfReader
from salus_web.accounts.models import Site, User
from salus_web.audit.models import Event
from salus_web.common.clock import now
from salus_web.records.models import CareRelation

from tests.factories.hospital import Person, make_bundle, make_person
from tests.factories.people import client_of, make_site, make_user, relate
from tests.house.test_every_url import plain
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def person(site: Site) -> Person:
    """A patient of whom a nurse of Ward 3B opened the record twice and a consultant the risk."""
    found = make_person(site, "Qlook", make_bundle())
    nurse, consultant = make_user("clinician", site, "nora nurse"), make_user("clinician", site, "carl consult")
    relate(nurse, found.patient, team_name="Ward 3B")
    CareRelation.objects.create(
        patient=found.patient, user=consultant, kind="consult", reason="second opinion", starts_at=now() - timedelta(hours=1),
        added_by="system:test",
    )  # fmt: skip
    for _ in range(2):
        client_of(nurse).get(f"/patients/{found.patient.pk}/")
    client_of(consultant).get(f"/predictions/{found.prediction.pk}/")
    return found


@pytest.mark.parametrize("role", ["auditor", "administrator"])
def test_the_report_says_who_when_why_and_what(site: Site, person: Person, role: str) -> None:
    desk = client_of(make_user(role, site, "olga office"))
    answer = desk.post("/audit/looked/", {"mrn": "MRNQlook"}, follow=True)
    said = text_of(answer)
    assert re.search(r"2 times\s+Nora Nurse, Clinician\s+opened the record\s+care team of Ward 3B", said)
    assert re.search(r"Carl Consult, Clinician\s+opened a computed risk\s+consult: second opinion", said)
    assert f"{now():%-d %B %Y}" in said and "Olga Office" in said and "made this report" in said
    assert "MRNQlook" not in answer.request["PATH_INFO"] + answer.request["QUERY_STRING"]
    for clinical in ("NameQlook", "Qlook display", "Qlook word", "MRNQlook"):
        assert clinical not in html.unescape(answer.content.decode())


def test_the_paper_says_the_same(site: Site, person: Person) -> None:
    desk = client_of(make_user("auditor", site))
    answer = desk.get(f"/audit/looked/{person.patient.pseudonym}/report.pdf")
    assert answer.headers["Content-Type"] == "application/pdf" and "no-store" in answer.headers["Cache-Control"]
    said = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages)
    said = re.sub(r"\s+", " ", said)
    for words in ("Who looked at my record", "Nora Nurse, Clinician", "care team of Ward 3B", "opened the record", "look"):
        assert words in said, words
    assert "NameQlook" not in said and "MRNQlook" not in said


def test_a_look_without_a_relation_says_so(site: Site, person: Person) -> None:
    CareRelation.objects.all().delete()
    said = text_of(client_of(make_user("auditor", site)).get(f"/audit/looked/{person.patient.pseudonym}/"))
    assert "no care relation is on record for this moment" in said and "Ward 3B" not in said


def test_the_report_is_on_the_log_before_it_is_shown(site: Site, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    auditor = make_user("auditor", site)
    desk, address = client_of(auditor), f"/audit/looked/{person.patient.pseudonym}/"
    desk.get(address)
    desk.get(f"{address}report.pdf")
    lines = Event.objects.filter(action="looked.report", patient=person.patient.pseudonym, actor_id=str(auditor.pk))
    assert lines.count() == 2

    def refuse(rows: Any) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr("salus_web.audit.services.append", refuse)
    for page in (address, f"{address}report.pdf"):
        answer = desk.get(page)
        assert answer.status_code == 503 and b"Nora" not in answer.content


@pytest.mark.parametrize("role", ["clinician", "researcher"])
def test_others_are_refused(site: Site, person: Person, role: str) -> None:
    theirs = client_of(make_user(role, site))
    for address in (f"/audit/looked/{person.patient.pseudonym}/", f"/audit/looked/{person.patient.pseudonym}/report.pdf"):
        assert theirs.get(address).status_code == 403
    assert theirs.post("/audit/looked/", {"mrn": "MRNQlook"}).status_code == 403


def test_a_patient_of_another_hospital_is_like_none(person: Person) -> None:
    desk = client_of(make_user("auditor", make_site()))
    hidden = desk.get(f"/audit/looked/{person.patient.pseudonym}/")
    nothing = desk.get(f"/audit/looked/{'0' * 32}/")
    assert plain(hidden) == plain(nothing) and hidden.status_code == 404
    answer = desk.post("/audit/looked/", {"mrn": "MRNQlook"})
    assert answer.status_code == 409 and "Nobody at your hospitals" in text_of(answer)


def test_the_report_costs_the_same_however_often_somebody_looked(site: Site, person: Person, django_assert_max_num_queries: Any) -> None:
    desk, address = client_of(make_user("auditor", site)), f"/audit/looked/{person.patient.pseudonym}/"
    nurse = client_of(User.objects.get(username="nora nurse"))
    for more in (0, 20):
        for _ in range(more):
            nurse.get(f"/patients/{person.patient.pk}/")
        with django_assert_max_num_queries(14):
            desk.get(address)
