"""Hazards of the hazard file that no other test looks at: whose page it is, whose model explained, which side, which zone, and that
what was not computed never stands where a low risk would."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from salus_web.accounts.models import Site, User
from salus_web.accounts.tokens import make_token
from salus_web.imaging.models import Instance
from salus_web.predictions.models import CurrentRisk, Prediction
from salus_web.records.models import Patient
from salus_web.registry.models import BundleState, ModelBundle

from tests.factories.hospital import Person, make_bundle, make_job, make_person
from tests.factories.people import SYSTEM, actor_of, relate
from tests.web.test_pages_clinician import text_of
from tests.web.test_pages_risks import Admit, ward  # noqa: F401 (a fixture)

pytestmark = pytest.mark.django_db


def pages_about(person: Person) -> list[str]:
    waiting = make_job("predict", "queued", patient_ids=[str(person.patient.pk)])
    return [
        f"/patients/{person.patient.pk}/", f"/patients/{person.patient.pk}/looked/", f"/predictions/{person.prediction.pk}/",
        f"/patients/{person.patient.pk}/waiting/{waiting.pk}/",
    ]  # fmt: skip


def test_every_page_about_a_patient_says_whose_it_is(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    client, admit = ward
    one, other = admit("Qone"), admit("Qother")
    for person, stranger in ((one, other), (other, one)):
        for address in pages_about(person):
            page = client.get(address).content.decode()
            banner = re.search(r'<div class="banner".*?</div>', page, re.DOTALL)
            assert banner is not None, address
            for words in (person.patient.name, f"{person.patient.birth_date:%Y-%m-%d}", "<span>F ", f"••••{person.patient.mrn[-4:]}", "⚠"):
                assert words in banner[0], f"{address}: {words}"
            assert stranger.token not in page


def test_a_job_of_one_patient_never_answers_on_the_page_of_another(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    client, admit = ward
    one, other = admit("Qmine"), admit("Qtheirs")
    for job in (make_job("predict", "queued", patient_ids=[str(other.patient.pk)]), other.job):
        answer = client.get(f"/patients/{one.patient.pk}/waiting/{job.pk}/?fragment")
        assert answer.status_code == 404 and "Qtheirs" not in str(answer.headers) + answer.content.decode()


def test_an_explanation_is_that_of_its_own_model_whatever_is_live_now(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    client, admit = ward
    person = admit("Qversion")
    own = ModelBundle.objects.get(pk=person.prediction.bundle_id)
    ModelBundle.objects.filter(pk=own.pk).update(state=BundleState.RETIRED)
    newer = make_bundle()
    assert newer.digest != own.digest
    page = client.get(f"/predictions/{person.prediction.pk}/").content.decode()
    assert f'href="/models/{own.pk}/" class="mono">{own.digest[:12]}' in page and newer.digest[:12] not in page


def test_nothing_that_was_not_computed_stands_among_the_low_risks(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    """A failed, abstained or stale risk whose number would have been the lowest: no number, its word, and after all numbers."""
    client, admit = ward
    low = admit("Qlow", probability=0.02)
    others = {state: admit(f"Q{state}", probability=0.01, state=state) for state in ("failed", "abstained", "stale")}
    page = client.get("/worklist/", {"task": "t48"}).content.decode()
    rows = re.findall(r"<tr.*?</tr>", page, re.DOTALL)
    place = {token: next(n for n, row in enumerate(rows) if f"Name{token}" in row) for token in ("Qlow", *(f"Q{state}" for state in others))}
    assert "2 %" in rows[place["Qlow"]] and place["Qlow"] == min(place.values()), "a number comes before all that have none"
    for state, words in (("failed", "not computed"), ("abstained", "cannot tell"), ("stale", "data changed")):
        row = rows[place[f"Q{state}"]]
        assert words in row and not re.search(r"\d+ %", re.sub(r"since=[^\"&]*", "", row)), state
    assert low.prediction.probability == 0.02
    assert CurrentRisk.objects.for_actor(SYSTEM).filter(sort_probability__isnull=True).count() == 3


def test_a_program_gets_no_number_of_what_was_not_computed_and_gets_it_last(site: Site, clinician: User) -> None:
    """The same for a ward's board, which reads the list with a token."""
    bundle, states = make_bundle(), ("computed", "failed", "abstained", "stale", "withdrawn")
    for state in states:
        relate(clinician, make_person(site, f"Q{state}", bundle, state=state, probability=0.01).patient)
    secret = make_token(user=clinician, name="board", purpose="care", role="clinician", days=1, by=actor_of(clinician))[1]
    rows = Client().get("/api/worklist/", headers={"authorization": f"Bearer {secret}"}).json()["rows"]
    assert (rows[0]["state"], rows[0]["probability"]) == ("computed", 0.01)
    assert {row["state"] for row in rows[1:]} == set(states[1:])
    assert {(row["probability"], row["low"], row["high"]) for row in rows[1:]} == {(None, None, None)}


def test_a_film_says_which_side_it_is_of(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    client, admit = ward
    person = admit("Qside")
    address = f"/predictions/{person.prediction.pk}/"
    assert "left" not in re.findall(r"<figcaption>(film.*?)</figcaption>", client.get(address).content.decode())[0]
    for code, word in (("L", "left"), ("R", "right")):
        Instance.objects.for_actor(SYSTEM).filter(pk=person.instance.pk).update(laterality=code)
        assert f"film, {word}, of " in re.findall(r"<figcaption>(film.*?)</figcaption>", client.get(address).content.decode())[0]


def test_a_risk_says_its_moment_with_its_zone(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    client, admit = ward
    person = admit("Qzone")
    at = Prediction.objects.for_actor(SYSTEM).get(pk=person.prediction.pk).index_at
    assert f"as of {at:%d %b %Y %H:%M} UTC" in text_of(client.get(f"/predictions/{person.prediction.pk}/"))


def test_no_page_alarms_by_itself(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    """Nothing blinks, sounds or opens by itself over a risk, however high: what moves is what a person asked for."""
    client, admit = ward
    person = admit("Qhigh", probability=0.99)
    for address in ("/worklist/", *pages_about(person)):
        page = client.get(address).content.decode().lower()
        for alarm in ("<audio", "<marquee", "blink", "<dialog open", "autoplay", 'role="alert"'):
            assert alarm not in page, f"{alarm} on {address}"


def test_a_simulated_patient_is_marked_wherever_the_name_stands(ward: tuple[Client, Admit], settings: Any) -> None:  # noqa: F811
    client, admit = ward
    person = admit("Qdrawn")
    assert all("▒" not in client.get(address).content.decode() for address in pages_about(person))
    Patient.objects.for_actor(SYSTEM).filter(pk=person.patient.pk).update(is_simulated=True)
    settings.SALUS_SIMULATED = True
    for address in pages_about(person):
        page = client.get(address).content.decode()
        assert "▒ Demonstration" in page and '<span title="simulated">▒</span>' in page, address
