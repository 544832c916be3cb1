"""The clinician's pages over long lists and long records, and what stands in place of a number that no longer holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from salus_web.audit.models import Event
from salus_web.common import vault
from salus_web.common.clock import now
from salus_web.common.ids import new_id
from salus_web.imaging.models import Instance, Rendition
from salus_web.jobs.models import Job
from salus_web.predictions.models import CurrentRisk, Prediction, Review, RiskMap
from salus_web.predictions.services import data_changed
from salus_web.records.models import Observation
from salus_web.registry.models import ModelBundle

from tests.factories.cohorts import observe
from tests.factories.hospital import Person, account, make_bundle, make_person
from tests.factories.people import SYSTEM, make_site, make_user, relate
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db
Admit = Callable[..., Person]


@pytest.fixture
def ward() -> tuple[Client, Admit]:
    """A clinician, and a way to put patients into their care."""
    site, bundle = make_site(), make_bundle()
    user, client = make_user("clinician", site), Client()
    client.force_login(user)

    def admit(token: str, **columns: Any) -> Person:
        person = make_person(site, token, bundle, **columns)
        relate(user, person.patient)
        return person

    return client, admit


def queries(client: Client, addresses: list[str]) -> list[int]:
    """How many queries each address takes."""
    found = []
    for address in addresses:
        with CaptureQueriesContext(connection) as seen:
            assert client.get(address).status_code == 200
        found.append(len(seen))
    return found


def shown(answer: Any) -> str:
    """All of a page, its attributes too: what is read aloud is shown. Not the moment in the list's own address,
    whose last digits and escaped sign once in a hundred runs read like a percentage."""
    return re.sub(r"since=[^\"&]*", "", answer.content.decode())


def lengthen(person: Person, number: int) -> None:
    """A longer record: measurements of many kinds, and earlier risks."""
    for at in range(number):
        observe(person.patient, f"code{at}", 1.0, at=now() - timedelta(hours=at), encounter=person.prediction.encounter)
        Prediction.objects.create(
            patient=person.patient, encounter=person.prediction.encounter, bundle=person.prediction.bundle, task_id="t48", state="computed",
            index_at=person.prediction.index_at - timedelta(hours=at + 1), created_at=now() - timedelta(hours=at + 1), probability=0.5, low=0.4, high=0.6, requested_by="x",
        )  # fmt: skip


# --- long lists, long records


def test_queries_do_not_grow_with_the_record(ward: tuple[Client, Admit]) -> None:
    client, admit = ward
    person = admit("Qlong")
    patient = f"/patients/{person.patient.pk}/"
    addresses = [patient, f"{patient}?span=all", f"{patient}looked/", f"/predictions/{person.prediction.pk}/", "/worklist/"]
    lengthen(person, 5)
    queries(client, addresses)  # the first look makes the log's head
    few = queries(client, addresses)
    lengthen(person, 45)
    assert Observation.objects.for_actor(SYSTEM).filter(patient=person.patient).count() > 50
    assert queries(client, addresses) == few
    assert max(few) <= 30


def test_queries_do_not_grow_with_the_ward_and_the_order_goes_on_over_pages(ward: tuple[Client, Admit]) -> None:
    client, admit = ward
    for at in range(5):
        admit(f"Qn{at}x", state="abstained" if at % 2 else "computed", probability=0.97 if at % 2 else 0.2 + at / 100)
    queries(client, ["/worklist/"])
    few = queries(client, ["/worklist/"])
    for at in range(5, 50):
        admit(f"Qn{at}x", state="abstained" if at % 2 else "computed", probability=0.97 if at % 2 else 0.2 + at / 100)
    assert queries(client, ["/worklist/"]) == few
    order = [int(at) for page in (1, 2) for at in re.findall(r"NameQn(\d+)x</a>", shown(client.get(f"/worklist/?page={page}")))]
    assert order[:25] == list(range(48, -1, -2)), "real risks, the highest first"
    assert sorted(order[25:]) == list(range(1, 50, 2)), "then those without a number"


def test_the_list_goes_by_change_when_asked(ward: tuple[Client, Admit]) -> None:
    client, admit = ward
    for token, change in (("Qfell", -0.3), ("Qrose", 0.2), ("Qnew", None)):
        person = admit(token)
        CurrentRisk.objects.for_actor(SYSTEM).filter(patient=person.patient).update(change=change)
    admit("Qnone", state="abstained")
    admit("Qlate")
    page = shown(client.get("/worklist/?order=change"))
    assert re.findall(r"Name(Q\w+)</a>", page) == ["Qrose", "Qfell", "Qnew", "Qlate", "Qnone"], "what is no risk comes last"
    assert "+20" in page and "−30" in page


@pytest.mark.parametrize(
    ("risk", "number", "span", "people"),
    [((0.002, 0.001, 0.004), "&lt;1 %", "&lt;1", "fewer than 1"), ((0.998, 0.996, 0.999), "&gt;99 %", "&gt;99", "more than 99")],
)
def test_a_risk_at_either_end_is_never_said_to_be_certain(ward: tuple[Client, Admit], risk: tuple[float, ...], number: str, span: str, people: str) -> None:
    """On the page, in its charts as they are read aloud, and on the list and its line so far."""
    client, admit = ward
    person = admit("Qend", probability=risk[0])
    reference = 0.003 if risk[0] < 0.5 else 0.997
    Prediction.objects.for_actor(SYSTEM).update(low=risk[1], high=risk[2], reference_probability=reference)
    person.prediction.account_json = account(100 * (risk[0] - reference), "Qend")
    person.prediction.save(update_fields=["account_sealed"])
    page = shown(client.get(f"/predictions/{person.prediction.pk}/"))
    assert f"{number} <small>90 % interval {span}</small>" in page and page.count(f"{people} of 100 patients like this") == 2
    assert f'aria-label="From {number} for the typical patient to {number} for this one' in page
    listed = shown(client.get("/worklist/"))
    assert f'<span class="risk">{number}</span> <span class="interval">{span}</span>' in listed and f"risk so far: {number}" in listed
    history = shown(client.get(f"/patients/{person.patient.pk}/"))
    assert history.count(f'<span class="interval">{span}</span>') == 2, "in the rail and under the risks so far"
    for text in (page, listed, history):
        assert not re.search(r"(?<![\d–])0\s?%|100\s?%|\b0 of 100|100 of 100|1–0|100–", text.replace("0–100 %", ""))


def test_counts_above_the_list_come_with_the_rows_when_something_changed(ward: tuple[Client, Admit]) -> None:
    client, admit = ward
    admit("Qstays")
    gone = admit("Qgoes")
    page = shown(client.get("/worklist/"))
    assert "• computed 2</span>" in page and "Deterioration (2)</a>" in page and "hx-swap-oob" not in page
    admit("Qcomes", state="abstained")
    CurrentRisk.objects.for_actor(SYSTEM).filter(patient=gone.patient).update(state="stale", sort_probability=None)
    part = shown(client.get("/worklist/", {"task": "t48", "since": "2020-01-01T00:00:00+00:00"}))
    counts = re.search(r'<span id="counts"[^>]*hx-swap-oob="true">(.*?)\n', part)
    assert counts and all(words in counts[1] for words in ("• computed 1<", "↻ data changed since 1<", "◐ cannot tell 1<"))
    assert re.search(r'<nav id="questions"[^>]*hx-swap-oob="true">.*Deterioration \(3\)</a>', part)
    assert len(re.findall('id="(?:counts|questions|rows)"', page)) == 3 == len(re.findall('id="(?:counts|questions|rows)"', part))


def test_asking_for_all_of_a_long_list_says_that_some_were_left_out_and_takes_them_next(ward: tuple[Client, Admit], monkeypatch: pytest.MonkeyPatch) -> None:
    client, admit = ward
    monkeypatch.setattr("salus_web.dashboard.views.clinician.BULK_AT_MOST", 2)
    people = [admit(f"Qall{at}") for at in range(3)]
    ids = [str(person.patient.pk) for person in people]
    for person, hours in zip(people, (1, 9, 5), strict=True):
        CurrentRisk.objects.for_actor(SYSTEM).filter(patient=person.patient).update(updated_at=now() - timedelta(hours=hours))
    said = text_of(client.post("/worklist/ask/", {"task": "t48"}, follow=True))
    assert "the 2 patients of this list whose risk has stood longest. The others were left out" in said
    job = Job.objects.get(kind="predict", state="queued")
    assert set(job.payload["patient_ids"]) == {ids[1], ids[2]}
    CurrentRisk.objects.for_actor(SYSTEM).filter(patient_id__in=job.payload["patient_ids"]).update(updated_at=now())
    client.post("/worklist/ask/", {"task": "t48"})
    assert ids[0] in Job.objects.filter(kind="predict", state="queued").exclude(pk=job.pk).get().payload["patient_ids"]
    monkeypatch.undo()
    assert "New risks of 3 patients were asked for." in text_of(client.post("/worklist/ask/", {"task": "t48"}, follow=True))


# --- numbers that no longer hold


@pytest.mark.parametrize("state", ["stale", "withdrawn"])
def test_a_number_that_no_longer_holds_is_nowhere_in_its_row(ward: tuple[Client, Admit], state: str) -> None:
    client, admit = ward
    admit("Qgone", probability=0.37)
    assert re.search(r"37\s?%", shown(client.get("/worklist/")))
    CurrentRisk.objects.for_actor(SYSTEM).update(state=state, sort_probability=None, change=None)
    page = shown(client.get("/worklist/"))
    assert "NameQgone" in page
    assert not re.search(r"37\s?%|20–40|\+16", page), "the number is still drawn or read aloud"
    record = shown(client.get(f"/patients/{CurrentRisk.objects.for_actor(SYSTEM).get().patient_id}/"))
    assert not re.search(r"37\s?%|20–40", record), "in the rail, under the risks so far or on the time axis"
    word = "data changed since" if state == "stale" else "withdrawn"
    assert all(word in record.split(part)[1].split("</section>")[0] for part in ("one time axis</h2>", "Risks so far</h2>", "Risks now</h2>"))


def test_earlier_risks_are_still_drawn_beside_one_that_is_stale(ward: tuple[Client, Admit]) -> None:
    client, admit = ward
    person = admit("Qpast", probability=0.37)
    lengthen(person, 2)
    CurrentRisk.objects.for_actor(SYSTEM).update(state="stale", sort_probability=None)
    assert "risk so far: 50 %, 50 %, no number" in shown(client.get("/worklist/"))
    so_far = shown(client.get(f"/patients/{person.patient.pk}/")).split("Risks so far</h2>")[1].split("</section>")[0]
    assert len(re.findall(r"50 % <span", so_far)) == 2 and "37 %" not in so_far


def test_a_stale_risk_s_page_has_no_number_no_interval_and_no_reasons(ward: tuple[Client, Admit]) -> None:
    client, admit = ward
    person = admit("Qold", probability=0.37)
    address = f"/predictions/{person.prediction.pk}/"
    fresh = shown(client.get(address))
    for words in ("37 %", "20–40", "37 of 100", "typical patient", "operating point", "+12.1"):
        assert words in fresh, words
    CurrentRisk.objects.for_actor(SYSTEM).update(state="stale", sort_probability=None)
    stale = shown(client.get(address))
    for words in ("37 %", "20–40", "37 of 100", "typical patient", "operating point", "+12.1"):
        assert words not in stale, words
    assert "data changed since" in stale and "Heart rate" in stale and "Lactate" in stale


@pytest.mark.parametrize(("state", "words"), [("abstained", "cannot tell"), ("failed", "not computed")])
def test_a_risk_without_a_number_says_so_and_draws_no_reasons(ward: tuple[Client, Admit], state: str, words: str) -> None:
    client, admit = ward
    person = admit("Qnone", state=state, probability=0.37)
    page = shown(client.get(f"/predictions/{person.prediction.pk}/"))
    assert words in page and "37 %" not in page and "typical patient" not in page and "37 of 100" not in page


def test_reasons_that_are_off_by_more_than_a_millionth_are_not_drawn(ward: tuple[Client, Admit]) -> None:
    client, admit = ward
    person = admit("Qoff", probability=0.31)
    for points, drawn in ((11.0 + 5e-5, True), (11.0 + 5e-4, False)):
        person.prediction.account_json = account(points, "Qoff")
        person.prediction.save()
        page = shown(client.get(f"/predictions/{person.prediction.pk}/"))
        assert ("typical patient" in page) is drawn and ("Explanation unavailable" in page) is not drawn
        assert "31 %" in page


# --- judgements and films


def test_an_accepted_risk_is_kept_with_its_reason_and_logged(ward: tuple[Client, Admit]) -> None:
    client, admit = ward
    person = admit("Qyes")
    form = {"decision": "accept", "reason": "agree", "note": ""}
    said = text_of(client.post(f"/predictions/{person.prediction.pk}/review/", form, follow=True))
    assert re.search(r"Accepted by Clinician.*: Agrees with my judgement", said)
    kept = Review.objects.for_actor(SYSTEM).get()
    assert (kept.decision, kept.reason_code, kept.prediction_id) == ("accept", "agree", person.prediction.pk)
    line = Event.objects.get(action="prediction.review")
    assert (line.patient, line.detail) == (person.patient.pseudonym, {"decision": "accept", "reason": "agree"})


@pytest.mark.parametrize(
    "form",
    [
        {}, {"decision": "accept"}, {"decision": "accept", "reason": ""}, {"decision": "override", "reason": "because"},
        {"decision": "override", "reason": "agree"}, {"decision": "maybe", "reason": "agree"}, {"reason": "agree"},
        {"decision": "accept", "reason": "other", "note": "  "},
    ],
)  # fmt: skip
def test_a_judgement_without_its_reason_is_not_kept(ward: tuple[Client, Admit], form: dict[str, str]) -> None:
    client, admit = ward
    answer = client.post(f"/predictions/{admit('Qno').prediction.pk}/review/", form, follow=True)
    assert re.search("Choose a reason|needs another reason|Say whether|please say which", text_of(answer))
    assert not Review.objects.for_actor(SYSTEM).exists()


def test_a_risk_that_was_not_computed_is_not_judged(ward: tuple[Client, Admit]) -> None:
    client, admit = ward
    person = admit("Qfail", state="failed")
    form = {"decision": "accept", "reason": "agree"}
    assert client.post(f"/predictions/{person.prediction.pk}/review/", form).status_code == 409
    assert not Review.objects.for_actor(SYSTEM).exists()


@pytest.mark.parametrize("decision", ["accept", "override"])
def test_a_risk_whose_number_no_longer_holds_is_not_judged(ward: tuple[Client, Admit], decision: str) -> None:
    client, admit = ward
    person = admit("Qpast")
    address, form = f"/predictions/{person.prediction.pk}/review/", {"decision": decision, "reason": "wrong_input"}
    data_changed(patient_ids=[str(person.patient.pk)], by=SYSTEM)
    answer = client.post(address, form)
    assert answer.status_code == 409 and "Data has changed since" in text_of(answer)
    CurrentRisk.objects.for_actor(SYSTEM).update(state="computed")
    ModelBundle.objects.update(state="withdrawn")
    answer = client.post(address, form)
    assert answer.status_code == 409 and "was withdrawn" in text_of(answer)
    assert not Review.objects.for_actor(SYSTEM).exists()


def test_a_film_is_the_stored_picture_and_is_logged(ward: tuple[Client, Admit]) -> None:
    client, admit = ward
    person = admit("Qfilm")
    for kind in ("display", "thumbnail"):
        kept = Rendition.objects.for_actor(SYSTEM).get(instance=person.instance, kind=kind)
        answer = client.get(f"/images/{person.instance.pk}/{kind}.png")
        assert answer.content == vault.get(kept.blob_key, sha256=kept.blob_sha256) and answer.content[:4] == b"\x89PNG"
    assert Event.objects.filter(action="image.read", patient=person.patient.pseudonym).count() == 2


def test_search_is_logged_with_whom_it_found_and_without_what_was_typed(ward: tuple[Client, Admit]) -> None:
    client, admit = ward
    person = admit("Qseek")
    client.post("/patients/", {"q": "NameQseek"}, follow=True)
    client.post("/patients/", {"q": "Qnobody"}, follow=True)
    found, nobody = Event.objects.filter(action="search.read").order_by("number")
    assert (found.patient, nobody.patient, nobody.outcome) == (person.patient.pseudonym, "", "nothing found")
    assert not any("Qseek" in str(line) or "Qnobody" in str(line) for line in Event.objects.values())


def test_words_of_two_patients_find_neither(ward: tuple[Client, Admit]) -> None:
    client, admit = ward
    admit("Qleft")
    admit("Qright")
    assert "Nobody in your care" in text_of(client.post("/patients/", {"q": "Qleft Qright"}, follow=True))
    assert len(client.post("/patients/", {"q": "nameQleft qleft"}, follow=True).redirect_chain) == 2


def test_two_pictures_of_one_moment_are_told_apart_by_their_file(ward: tuple[Client, Admit]) -> None:
    client, admit = ward
    person = admit("Qeyes")
    page = f"/predictions/{person.prediction.pk}/"
    assert "Qeyes" not in "".join(re.findall(r"<figcaption>(film of .*?)</figcaption>", client.get(page).content.decode()))
    (first,) = RiskMap.objects.for_actor(SYSTEM).filter(prediction=person.prediction)
    other = Instance.objects.for_actor(SYSTEM).get(pk=person.instance.pk)
    other.pk, other.uid, other.source = new_id(), "3.left", "eyes.csv row 3, left.jpg"
    other.save(force_insert=True)
    first.pk, first.instance = new_id(), other
    first.save(force_insert=True)
    captions = re.findall(r"<figcaption>(film of .*?)</figcaption>", client.get(page).content.decode())
    assert [caption.partition(" · ")[2] for caption in captions] == ["Qeyes", "eyes.csv row 3, left.jpg"]


def test_a_frame_says_which_part_of_the_film_the_model_was_shown(ward: tuple[Client, Admit]) -> None:
    """On the plain film, and named under it; the style sheet must not take its line away, as it once did."""
    client, admit = ward
    person = admit("Qframe")
    page = f"/predictions/{person.prediction.pk}/"
    whole = client.get(page).content.decode()
    assert "what the model was shown" not in whole and 'class="frame"' not in whole, "the model was shown all of it"
    RiskMap.objects.for_actor(SYSTEM).filter(prediction=person.prediction).update(box=[2, -3, 9, 4])
    part = client.get(page).content.decode()
    assert re.search(r"<figcaption>film of [^<]*; in the frame, what the model was shown</figcaption>", part)
    assert re.search(r'<rect x="2" y="-3" width="7" height="7" [^>]*class="frame">', part)
