"""What administrators and auditors can do and see, and what they cannot."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from salus_web.accounts.models import RoleGrant, Site, User
from salus_web.audit.models import Event
from salus_web.common.ids import new_id
from salus_web.jobs.models import Job
from salus_web.predictions.models import CurrentRisk, Prediction
from salus_web.records.models import CareTeamMembership

from tests.factories.hospital import account, make_bundle, make_person
from tests.factories.people import SYSTEM, actor_of, client_of, make_site, make_user, relate
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def office() -> tuple[Site, Client]:
    """An administrator's desk."""
    site = make_site()
    return site, client_of(make_user("administrator", site))


def add_person(client: Client, at: Site, **changes: Any) -> Any:
    form = {
        "display_name": "Dr New", "username": "new", "role": "clinician", "site": str(at.pk),
    } | changes  # fmt: skip
    return client.post("/access/people/", form, follow=True)


def test_a_new_person_signs_in_and_sees_nobody_until_put_into_a_team(office: tuple[Site, Client]) -> None:
    site, desk = office
    invited = add_person(desk, site)
    assert "Dr New was invited" in text_of(invited)
    person = make_person(site, "Qward", make_bundle())
    relation = relate(make_user("clinician", site), person.patient)
    theirs = Client()
    form = {"password": "a long enough one", "again": "a long enough one"}
    assert theirs.post(invited.context["link"].removeprefix("http://testserver"), form).headers["Location"] == "/login/"
    assert theirs.post("/login/", {"username": "new", "password": "a long enough one"}).status_code == 302
    assert theirs.get(f"/patients/{person.patient.pk}/").status_code == 404
    assert relation.team is not None
    user = User.objects.get(username="new")
    form = {"person": str(user.pk), "site": str(site.pk), "team": relation.team.name}
    desk.post("/access/members/", form)
    assert theirs.get(f"/patients/{person.patient.pk}/").status_code == 200
    asked = {"site": str(site.pk), "mrn": "MRNQward", "person": str(user.pk)}
    said = text_of(desk.post("/access/", asked))
    assert f"Dr New may see this patient with no end set: care team {relation.team.name}" in said
    assert "NameQward" not in said and "Qward display" not in said
    membership = CareTeamMembership.objects.get(user=user)
    desk.post(f"/access/members/{membership.pk}/end/")
    assert theirs.get(f"/patients/{person.patient.pk}/").status_code == 404
    assert "Dr New may not see this patient" in text_of(desk.post("/access/", asked))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"username": " "}, "needs a sign-in name"),
        ({"role": "king"}, "is not a role"),
        ({"site": "00000000-0000-0000-0000-000000000000"}, "Choose one of your hospitals"),
        ({"ends": "soon"}, "is not a date"),
    ],
)
def test_a_wrong_form_is_a_sentence_and_adds_nobody(office: tuple[Site, Client], changes: dict[str, str], words: str) -> None:
    site, desk = office
    answer = add_person(desk, site, **changes)
    assert answer.status_code == 409 and words in text_of(answer)
    assert not RoleGrant.objects.filter(user__username="new").exists()


def test_an_ended_role_ends_at_once(office: tuple[Site, Client]) -> None:
    site, desk = office
    user = make_user("auditor", site)
    theirs = client_of(user)
    assert theirs.get("/audit/").status_code == 200
    desk.post(f"/access/roles/{RoleGrant.objects.get(user=user).pk}/end/")
    assert theirs.get("/audit/").status_code == 403
    assert actor_of(user).roles == frozenset()


def test_an_auditor_reads_and_changes_nothing(office: tuple[Site, Client]) -> None:
    site, _ = office
    auditor = client_of(make_user("auditor", site))
    assert auditor.get("/access/").status_code == 200
    assert add_person(auditor, site).status_code == 403
    assert not User.objects.filter(username="new").exists()


def test_the_log_is_found_by_person_act_and_patient(office: tuple[Site, Client]) -> None:
    site, desk = office
    person = make_person(site, "Qfind", make_bundle())
    clinician = make_user("clinician", site, "finder")
    relate(clinician, person.patient)
    client_of(clinician).get(f"/patients/{person.patient.pk}/")
    for asked in ({"person": str(clinician.pk)}, {"action": "patient.read"}, {"mrn": "MRNQfind", "action": "patient.read"}):
        said = desk.post("/audit/", asked, follow=True).content.decode()
        assert "Finder" in said.split("<tbody>")[1], asked
    assert "Nobody at your hospitals" in text_of(desk.post("/audit/", {"mrn": "nobody"}))
    assert "Qfind" not in desk.get("/audit/").content.decode()
    assert Event.objects.filter(action="audit.read").count() == 8  # a posted search is two: the question and its answer


def test_verify_is_queued_and_its_answer_is_shown(office: tuple[Site, Client]) -> None:
    _, desk = office
    assert b"Verifying" in desk.post("/audit/verify/").content
    job = Job.objects.get(kind="verify_log")
    Job.objects.filter(pk=job.pk).update(state="done", result={"code": 2, "sentence": "The log was changed at line 7."})
    assert "The log was changed at line 7." in text_of(desk.get(f"/audit/verify/{job.pk}/"))


def test_only_an_administrator_tries_a_failed_job_again(office: tuple[Site, Client]) -> None:
    site, desk = office
    job = make_person(site, "Qjob", make_bundle()).job
    Job.objects.filter(pk=job.pk).update(state="failed", failure="The film could not be read.")
    assert "The film could not be read." in text_of(desk.get("/jobs/"))
    assert client_of(make_user("clinician", site)).post(f"/jobs/{job.pk}/retry/").status_code == 403
    desk.post(f"/jobs/{job.pk}/retry/")
    job.refresh_from_db()
    assert (job.state, job.failure) == ("queued", "")


def test_a_model_is_made_live_by_a_second_person_who_says_why(office: tuple[Site, Client]) -> None:
    site, desk = office
    live, candidate = make_bundle(), make_bundle("candidate")
    assert desk.post(f"/models/{candidate.pk}/", {"to": "live", "why": ""}).status_code == 409
    assert desk.post(f"/models/{candidate.pk}/", {"to": "retired", "why": "x"}).status_code == 409
    desk.post(f"/models/{candidate.pk}/", {"to": "live", "why": "better calibrated"})
    for bundle, state in ((candidate, "live"), (live, "retired")):
        bundle.refresh_from_db()
        assert bundle.state == state
    assert "better calibrated" in text_of(desk.get(f"/models/{candidate.pk}/"))
    assert client_of(make_user("researcher", site)).post(f"/models/{candidate.pk}/", {"to": "withdrawn", "why": "x"}).status_code == 403


def test_nobody_ends_what_belongs_to_another_hospital(office: tuple[Site, Client]) -> None:
    _, desk = office
    user = make_user("clinician", make_site())
    grant = RoleGrant.objects.get(user=user)
    assert desk.post(f"/access/roles/{grant.pk}/end/").status_code == 404
    grant.refresh_from_db()
    assert grant.ends_at is None


def test_what_has_ended_is_not_ended_again(office: tuple[Site, Client]) -> None:
    site, desk = office
    grant = RoleGrant.objects.get(user=make_user("clinician", site))
    desk.post(f"/access/roles/{grant.pk}/end/")
    grant.refresh_from_db()
    ended = grant.ends_at
    assert "already ended" in text_of(desk.post(f"/access/roles/{grant.pk}/end/"))
    grant.refresh_from_db()
    assert grant.ends_at == ended


def test_who_brought_the_cases_does_not_make_their_model_live(office: tuple[Site, Client]) -> None:
    site, _ = office
    trainer = make_user("administrator", site)
    bundle = make_bundle("candidate")
    bundle.trained_by = str(trainer.pk)
    bundle.save()
    answer = client_of(trainer).post(f"/models/{bundle.pk}/", {"to": "live", "why": "mine"})
    assert answer.status_code == 403 and "second person" in text_of(answer)


def test_a_withdrawn_model_takes_its_numbers_off_every_page(office: tuple[Site, Client]) -> None:
    site, desk = office
    bundle = make_bundle()
    person = make_person(site, "Qgone", bundle, probability=0.77)
    clinician = make_user("clinician", site)
    relate(clinician, person.patient)
    theirs = client_of(clinician)
    pages = ("/worklist/", f"/patients/{person.patient.pk}/", f"/predictions/{person.prediction.pk}/")
    assert all("77 %" in text_of(theirs.get(page)) for page in pages)
    desk.post(f"/models/{bundle.pk}/", {"to": "withdrawn", "why": "wrong labels"})
    for page in pages:
        said = text_of(theirs.get(page))
        assert "withdrawn" in said and "77 %" not in said, page


def test_a_withdrawn_number_does_not_come_back_as_history(office: tuple[Site, Client]) -> None:
    site, desk = office
    old, new = make_bundle(), make_bundle("candidate")
    person = make_person(site, "Qagain", old, probability=0.77)
    clinician = make_user("clinician", site)
    relate(clinician, person.patient)
    before, person.prediction.pk = person.prediction.pk, None
    Prediction.objects.for_actor(SYSTEM).filter(pk=before).update(index_at=person.prediction.index_at - timedelta(days=1))
    fresh = person.prediction
    fresh.pk, fresh.bundle, fresh.job, fresh.previous_id, fresh.probability = new_id(), new, None, before, 0.31
    fresh.account_json = account(11.0, "Qagain")
    fresh.save(force_insert=True)
    CurrentRisk.objects.for_actor(SYSTEM).update(prediction=fresh, sort_probability=0.31)
    theirs, address = client_of(clinician), f"/predictions/{fresh.pk}/"
    assert "77 %" in theirs.get("/worklist/").content.decode() and "77 %" in text_of(theirs.get(address))
    desk.post(f"/models/{old.pk}/", {"to": "withdrawn", "why": "wrong labels"})
    assert "77 %" not in theirs.get("/worklist/").content.decode()
    said = text_of(theirs.get(address))
    assert "31 %" in said and "77 %" not in said and "withdrawn, as of" in said
