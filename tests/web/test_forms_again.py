"""A form that is refused stands there again, with what was wrong beside it and what was typed in it; elsewhere a link leads back."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from salus_web.accounts.models import Site, User
from salus_web.audit.models import Event
from salus_web.common.clock import now
from salus_web.records.models import Consent, LegalHold

from tests.factories.people import SYSTEM, client_of, make_patient, make_site, make_user, relate
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db
AHEAD = (now() + timedelta(days=9)).date().isoformat()


@pytest.fixture
def desk() -> tuple[Client, Site, User]:
    site = make_site()
    make_site()
    return client_of(make_user("administrator", site)), site, make_user("clinician", site, "mira")


def panel(answer: Any, name: str) -> str:
    return re.search(f'id="{name}">.*?</section>', answer.content.decode(), re.S).group(0)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("address", "name", "form", "said"),
    [
        ("/access/members/", "add-member", {"person": "mirra", "team": "Ward 3B", "ends": AHEAD}, "nobody has this sign-in name"),
        ("/access/members/", "add-member", {"person": "mira", "team": "Ward 3B", "ends": "1999-01-01"}, "must lie ahead"),
        ("/access/relations/", "add-relation", {"person": "mira", "mrn": "MRNwrong", "reason": "second opinion"}, "Nobody at this hospital"),
        ("/access/people/", "add-person", {"username": "mira", "display_name": "Mira Otherone", "role": "auditor"}, "There is already a person"),
        ("/keeping/holds/", "add-hold", {"mrn": "MRNwrong", "reason": "a claim", "ends": AHEAD}, "Nobody at this hospital"),
        ("/keeping/erasures/", "ask-erasure", {"mrn": "MRNwrong", "reason": "asked for"}, "Nobody at this hospital"),
    ],
)  # fmt: skip
def test_a_refused_form_stands_on_its_page_with_what_was_typed(desk: Any, address: str, name: str, form: dict[str, str], said: str) -> None:
    client, site, _ = desk
    answer = client.post(address, form | {"site": str(site.pk)})
    page = panel(answer, name)
    assert answer.status_code == 409 and said in page and 'role="alert"' in page and "Nothing was changed." in page
    for word in form.values():
        assert f'value="{word}"' in page, word
    assert f'{address}#{name}"' in page, "a browser comes back to the form"
    assert len(re.findall("✕ ", answer.content.decode())) == 1, "said once, beside the one form it is about"
    shown = "access.read" if address.startswith("/access") else "keeping.read"
    assert Event.objects.filter(action=shown, outcome="done").count() == 1, "the page is a look of its own"
    assert not LegalHold.objects.for_actor(SYSTEM).exists()


def test_a_question_of_access_about_nobody_is_asked_again(desk: Any) -> None:
    client, site, clinician = desk
    patient = make_patient(site, mrn="MRNasked")
    relate(clinician, patient)
    answer = client.post("/access/", {"site": str(site.pk), "mrn": "MRNasked", "person": "mirra"})
    assert answer.status_code == 409 and "nobody has this sign-in name" in text_of(answer)
    assert 'value="MRNasked"' in answer.content.decode() and 'value="mirra"' in answer.content.decode()


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"day": (now() + timedelta(days=2)).date().isoformat()}, "cannot lie ahead"), ({"form": " "}, "sheet"), ({"said": ""}, "allows it or does not")],
)
def test_a_refused_consent_keeps_what_was_typed(desk: Any, changes: dict[str, str], said: str) -> None:
    _, site, clinician = desk
    patient = make_patient(site)
    relate(clinician, patient)
    form = {"purpose": "research", "said": "no", "form": "Research consent 3.1", "day": "2026-01-02"} | changes
    answer = client_of(clinician).post(f"/patients/{patient.pk}/consent/", form)
    page = panel(answer, "say")
    assert answer.status_code == 409 and re.search(f'role="alert">✕ [^<]*{said}', page), page
    assert f'name="form" value="{form["form"]}"' in page and f'name="day" value="{form["day"]}"' in page
    assert 'value="research" required checked' in page and ('value="no" checked' in page) is (form["said"] == "no")
    assert not Consent.objects.for_actor(SYSTEM).filter(patient=patient, form__startswith="Research").exists()


def test_any_other_refusal_leads_back_to_the_page_of_the_form(desk: Any) -> None:
    client, _, _ = desk
    answer = client.post("/keeping/rules/", {"kind": "record", "years": "999"}, headers={"referer": "http://testserver/keeping/?holds=2"})
    assert answer.status_code == 409 and '<a href="http://testserver/keeping/?holds=2">Back to the page of the form</a>' in answer.content.decode()
    answer = client.post("/keeping/rules/", {"kind": "record", "years": "999"}, headers={"referer": "https://elsewhere.example/"})
    assert "elsewhere" not in answer.content.decode()
