"""What a search found has an address of its own, so that Back leads to it; the address names nobody, and each look is a line."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.sessions.models import Session
from salus_web.audit.models import Event
from salus_web.common.encryption import blind_index
from salus_web.dashboard.views import searches
from salus_web.records.models import PatientNameToken

from tests.factories.people import client_of, make_site, make_user
from tests.web.test_pages_clinician import text_of, ward  # noqa: F401

pytestmark = pytest.mark.django_db


def found(client: Any, text: str) -> str:
    """The address that a search leads to."""
    answer = client.post("/patients/", {"q": text})
    assert answer.status_code == 302 and answer.headers["Location"].startswith("/patients/?found=")
    return answer.headers["Location"]


def test_going_back_to_what_was_found_asks_for_no_form_and_is_a_look(ward: Any) -> None:  # noqa: F811
    client, admit = ward
    people = [admit("Qfirst"), admit("Qsecond")]
    for person in people:
        PatientNameToken.objects.create(patient=person.patient, token=blind_index("Haddad", purpose="name"))
    address = found(client, "Haddad")
    assert "haddad" not in address.lower() and not Event.objects.filter(action="search.read").exists(), "nothing was shown yet"
    for look in (1, 2):
        page = client.get(address)
        assert page.status_code == 200 and "Found in your care" in text_of(page) and 'value="Haddad"' in page.content.decode()
        assert Event.objects.filter(action="search.read").count() == 2 * look, "a line for each who is shown"


def test_the_words_are_sealed_in_the_session_and_nobody_elses_address_opens_them(ward: Any) -> None:  # noqa: F811
    client, _ = ward
    address = found(client, "Haddad")
    assert "Haddad" in client.get(address).content.decode()
    assert not any("Haddad" in str(row.get_decoded()) for row in Session.objects.all())
    other = client_of(make_user("clinician", make_site()))
    page = other.get(address)
    assert "That search is over. Please search again." in text_of(page) and "Haddad" not in page.content.decode()


def test_a_session_keeps_the_last_searches_only(ward: Any) -> None:  # noqa: F811
    client, _ = ward
    first, second, *_ = [found(client, f"Haddad {number}") for number in range(searches.KEPT_AT_MOST + 1)]
    assert "search is over" in text_of(client.get(first)) and "Haddad 1" in client.get(second).content.decode()
    assert client.post("/patients/", {"q": "  "}).headers["Location"] == "/patients/"
