"""What a clinician sees: numbers only where they were computed, in the right order, in a fixed number of queries."""

from __future__ import annotations

import re
from datetime import timedelta

import orjson
import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from salus_web.audit.models import Event
from salus_web.common import vault
from salus_web.common.clock import now
from salus_web.jobs.models import Job
from salus_web.predictions.models import CurrentRisk, Prediction, Review
from salus_web.records.models import Patient

from tests.factories.cohorts import observe
from tests.factories.hospital import account, make_bundle, make_person
from tests.factories.people import SYSTEM, make_site, make_user, relate

pytestmark = pytest.mark.django_db


@pytest.fixture
def ward():
    """A clinician at a hospital with a live model."""
    site, bundle = make_site(), make_bundle()
    user, client = make_user("clinician", site), Client()
    client.force_login(user)

    def admit(token: str, **columns):
        person = make_person(site, token, bundle, **columns)
        relate(user, person.patient)
        return person

    return client, admit


def text_of(answer) -> str:
    """The page's words."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_real_risks_come_first_and_other_states_have_no_number(ward) -> None:
    client, admit = ward
    admit("Qlow", probability=0.21)
    admit("Qabstained", state="abstained", probability=0.97)
    admit("Qhigh", probability=0.83)
    admit("Qfailed", state="failed")
    page = client.get("/worklist/").content.decode()
    order = re.findall(r"Name(Q\w+)</a>", page)
    assert order[:2] == ["Qhigh", "Qlow"] and set(order[2:]) == {"Qabstained", "Qfailed"}
    rows = {re.search(r"Name(Q\w+)", row).group(1): row for row in re.findall(r"<tr>.*?</tr>", page, re.S) if "NameQ" in row}
    assert "83 %" in rows["Qhigh"]
    assert "cannot tell" in rows["Qabstained"] and "97" not in text_of_row(rows["Qabstained"])
    assert "not computed" in rows["Qfailed"] and "%" not in text_of_row(rows["Qfailed"])


def text_of_row(row: str) -> str:
    """A row's words, without its addresses."""
    return re.sub(r"<[^>]+>", " ", row)


@pytest.mark.parametrize("address", ["/worklist/", "/patients/"])
def test_queries_do_not_grow_with_patients(ward, address: str) -> None:
    client, admit = ward
    for number in range(3):
        admit(f"Qa{number}")
    client.get(address)  # the very first act also makes the log's head
    with CaptureQueriesContext(connection) as few:
        client.get(address)
    for number in range(20):
        admit(f"Qb{number}")
    with CaptureQueriesContext(connection) as many:
        client.get(address)
    assert len(many) == len(few) <= 30


def test_a_risk_says_everything_needed_to_doubt_it(ward) -> None:
    client, admit = ward
    person = admit("Qone", probability=0.31)
    said = text_of(client.get(f"/predictions/{person.prediction.pk}/"))
    for words in ("31 %", "90 % interval 20–40", "31 of 100 patients", "Heart rate 88", "Lactate", "operating point", "Receipt"):
        assert words in said, words


def test_reasons_that_do_not_add_up_are_not_shown(ward) -> None:
    client, admit = ward
    person = admit("Qsum", probability=0.31)
    person.prediction.account_json = account(25.0, "Qsum")
    person.prediction.save()
    answer = client.get(f"/predictions/{person.prediction.pk}/")
    assert "Explanation unavailable" in text_of(answer)
    assert b"typical patient" not in answer.content


def test_a_stale_risk_shows_no_number(ward) -> None:
    client, admit = ward
    person = admit("Qstale", probability=0.31)
    CurrentRisk.objects.for_actor(SYSTEM).update(state="stale", sort_probability=None)
    for address in (f"/predictions/{person.prediction.pk}/", "/worklist/"):
        said = text_of(client.get(address))
        assert "data changed since" in said and "31 %" not in said, address


def test_a_judgement_needs_a_reason_and_is_kept(ward) -> None:
    client, admit = ward
    person = admit("Qreview")
    address = f"/predictions/{person.prediction.pk}/review/"
    said = text_of(client.post(address, {"decision": "override", "reason": "other", "note": ""}, follow=True))
    assert "please say which" in said and not Review.objects.for_actor(SYSTEM).exists()
    said = text_of(client.post(address, {"decision": "override", "reason": "other", "note": "palliative"}, follow=True))
    assert "Overridden" in said and "palliative" in said
    sealed = Review.objects.for_actor(SYSTEM).get()
    assert b"palliative" not in bytes(sealed.note_sealed) and sealed.note == "palliative"


def test_the_receipt_is_the_stored_one(ward) -> None:
    client, admit = ward
    prediction = admit("Qreceipt").prediction
    body = client.get(f"/predictions/{prediction.pk}/receipt.json").content
    assert body == vault.get(prediction.receipt_key, sha256=prediction.receipt_sha256)
    assert orjson.loads(body)["snapshot"] == "Qreceipt"


def test_search_finds_only_whole_words_in_my_care(ward) -> None:
    client, admit = ward
    mine = admit("Qmine")
    make_person(make_site(), "Qother", make_bundle("candidate"))
    for text in ("MRNQmine", "nameqmine"):
        assert client.post("/patients/", {"q": text}, follow=True).redirect_chain[-1] == (f"/patients/{mine.patient.pk}/", 302)
    for text in ("MRNQother", "NameQother", "Qmin", "%"):
        assert "Nobody in your care" in text_of(client.post("/patients/", {"q": text}, follow=True))


def test_nothing_is_shown_when_the_log_cannot_be_written(ward, monkeypatch: pytest.MonkeyPatch) -> None:
    client, admit = ward
    person = admit("Qlog")

    def refuse(*args, **options):
        raise DatabaseError("disk full")

    monkeypatch.setattr("salus_web.audit.services.append", refuse)
    for address in ("/worklist/", f"/patients/{person.patient.pk}/", f"/predictions/{person.prediction.pk}/"):
        answer = client.get(address)
        assert answer.status_code == 503 and b"Qlog" not in answer.content


def test_asking_queues_one_job_and_goes_on_to_the_risk(ward) -> None:
    client, admit = ward
    person = admit("Qask")
    first = client.post(f"/patients/{person.patient.pk}/ask/", {"task": "t48"})
    assert client.post(f"/patients/{person.patient.pk}/ask/", {"task": "t48"}).headers["Location"] == first.headers["Location"]
    job = Job.objects.get(kind="predict", state="queued")
    assert job.payload["patient_ids"] == [str(person.patient.pk)]
    Job.objects.filter(pk=job.pk).update(state="done")
    Prediction.objects.for_actor(SYSTEM).filter(pk=person.prediction.pk).update(job=job)
    answer = client.get(first.headers["Location"] + "?fragment")
    assert answer.headers["HX-Redirect"] == f"/predictions/{person.prediction.pk}/"
    assert client.post(f"/patients/{person.patient.pk}/ask/", {"task": "none"}).status_code == 409


def test_the_list_asks_again_only_for_what_changed(ward) -> None:
    client, admit = ward
    admit("Qpoll")
    newest = CurrentRisk.objects.for_actor(SYSTEM).get().updated_at
    before = Event.objects.count()
    assert client.get("/worklist/", {"task": "t48", "since": newest.isoformat()}).status_code == 204
    assert Event.objects.count() == before
    earlier = newest.replace(year=newest.year - 1).isoformat()
    assert b"NameQpoll" in client.get("/worklist/", {"task": "t48", "since": earlier}).content



def test_a_limit_is_shown_as_one_and_is_the_newest_value(ward) -> None:
    client, admit = ward
    patient = admit("Qlimit").patient
    for days, value in ((3, 40.0), (2, 12.0), (1, "<5")):
        observe(patient, "CRP", value, unit="mg/L", at=now() - timedelta(days=days))
    page = client.get(f"/patients/{patient.pk}/?span=all").content.decode()
    newest = next(row for row in re.findall(r"<tr.*?</tr>", page, re.S) if "<td>CRP" in row or ">CRP<" in row)
    assert "&lt;5" in newest and "mg/L" in newest and "12" not in text_of_row(newest)
    chart = page[page.index("<svg") : page.index("</svg>")]
    assert "CRP &lt;5 mg/L, " in chart and chart.count("f-paper k-record") == 1, "a hollow mark, which says on hover what it is"
    assert re.search(r">&lt;5</text>", chart), "at the right end stands the newest value, not the last that was a number"


def test_something_dated_in_the_future_hides_nothing_that_there_is_now(ward) -> None:
    client, admit = ward
    person = admit("Qdate")
    observe(person.patient, "Pulse", 91.0, at=now() - timedelta(hours=2))
    observe(person.patient, "Potassium", 4.1, at=now() + timedelta(days=9000))
    assert "Pulse 91" in text_of(client.get(f"/patients/{person.patient.pk}/"))


def test_of_somebody_who_died_every_page_says_so(ward) -> None:
    client, admit = ward
    person = admit("Qdied")
    assert "† died" not in text_of(client.get(f"/patients/{person.patient.pk}/"))
    Patient.objects.for_actor(SYSTEM).filter(pk=person.patient.pk).update(died_at=now() - timedelta(hours=2))
    for address in (f"/patients/{person.patient.pk}/", f"/predictions/{person.prediction.pk}/"):
        assert "† died" in text_of(client.get(address))
