"""Giving one's judgement of a risk: a refusal is said where the form is, nothing typed is lost, and two clicks are one."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from salus_web.audit.models import Event
from salus_web.common import clock
from salus_web.predictions.models import Review
from salus_web.predictions.services import data_changed

from tests.factories.people import SYSTEM
from tests.web.test_pages_clinician import text_of, ward  # noqa: F401

pytestmark = pytest.mark.django_db
NOTE = "Palliative since Tuesday & at home"


def panel(answer: Any) -> str:
    """The judgement's own part of the page."""
    return re.search(r'id="judgement">.*?</section>', answer.content.decode(), re.S).group(0)  # type: ignore[union-attr]


def judge(client: Client, person: Any, **form: str) -> Any:
    return client.post(f"/predictions/{person.prediction.pk}/review/", {"note": NOTE} | form)


def test_the_form_begins_without_a_reason(ward: Any) -> None:  # noqa: F811
    client, admit = ward
    page = panel(client.get(f"/predictions/{admit('Qempty').prediction.pk}/"))
    assert re.search(r'<select name="reason" required><option value="">choose</option>', page) and " selected" not in page
    assert "/review/#judgement" in page, "a browser comes back to the form, not to the top of the page"


def test_an_override_that_agrees_is_refused_beside_the_form_with_what_was_typed(ward: Any) -> None:  # noqa: F811
    client, admit = ward
    answer = judge(client, admit("Qover"), decision="override", reason="agree")
    page = panel(answer)
    assert answer.status_code == 409 and not Review.objects.for_actor(SYSTEM).exists()
    assert "An override needs another reason than agreement." in page and 'role="alert"' in page
    assert "Palliative since Tuesday &amp; at home</textarea>" in page
    assert 'value="override" checked' in page and 'value="agree" selected' in page


def test_a_note_survives_a_risk_that_no_longer_holds(ward: Any) -> None:  # noqa: F811
    client, admit = ward
    person = admit("Qgone")
    data_changed(patient_ids=[str(person.patient.pk)], by=SYSTEM)
    answer = judge(client, person, decision="override", reason="knows_more")
    assert answer.status_code == 409 and "Data has changed since" in panel(answer)
    assert "Your note, which was not kept: “Palliative since Tuesday" in panel(answer)


def test_a_judgement_sent_twice_is_kept_once(ward: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    client, admit = ward
    person = admit("Qtwice")
    for _ in range(2):
        assert judge(client, person, decision="override", reason="knows_more").status_code == 302
    assert Review.objects.for_actor(SYSTEM).count() == 1 and Event.objects.filter(action="prediction.review").count() == 1
    judge(client, person, decision="accept", reason="agree")
    judge(client, person, decision="override", reason="knows_more")
    assert Review.objects.for_actor(SYSTEM).count() == 3, "who thinks again, and again, said three things"
    later = clock.now() + timedelta(seconds=11)
    monkeypatch.setattr("salus_web.predictions.services.now", lambda: later)
    judge(client, person, decision="override", reason="knows_more")
    assert Review.objects.for_actor(SYSTEM).count() == 4


def test_the_words_of_a_refused_judgement_are_in_no_line_of_the_log(ward: Any) -> None:  # noqa: F811
    client, admit = ward
    answer = judge(client, admit("Qlog"), decision="override", reason="agree")
    assert "Nothing was kept yet." in text_of(answer)
    assert not any("Palliative" in str(line) for line in Event.objects.values())
