"""What leaves the hospital: asked for by one researcher, let out by another, fetched by members and by nobody else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from salus_web.accounts.models import RoleGrant, User
from salus_web.audit.models import Event
from salus_web.cohorts.definition import CodeRule, CohortDefinition, to_json
from salus_web.cohorts.models import Cohort, Project
from salus_web.common.clock import now
from salus_web.jobs.models import Job
from salus_web.records.models import Patient
from salus_web.releases.models import Release, ReleasedCount

from tests.factories.cohorts import make_crowd, make_project, say
from tests.factories.hospital import make_release
from tests.factories.people import SYSTEM, client_of, make_site, make_user
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db


def plain(answer: Any) -> bytes:
    """The page without its form tokens, which differ each time."""
    return re.sub(rb'name="csrfmiddlewaretoken" value="[^"]+"', b"", answer.content)


@dataclass
class Study:
    """A project of three researchers with 30 people, and a release that waits."""

    project: Project
    asker: User
    asks: Client
    decides: Client
    agrees: Client
    outside: Client
    release: Release

    @property
    def page(self) -> str:
        return f"/releases/{self.release.pk}/"

    @property
    def file(self) -> str:
        return f"{self.page}files/{self.release.files.get().pk}/"

    def decide(self, client: Client, decision: str, why: str = "checked") -> int:
        return client.post(f"{self.page}decide/", {"decision": decision, "why": why}).status_code

    def let_out(self) -> list[int]:
        """Both others of the project say yes."""
        return [self.decide(client, "release") for client in (self.decides, self.agrees)]

    def state(self) -> str:
        self.release.refresh_from_db()
        return str(self.release.state)


@pytest.fixture
def study() -> Study:
    site = make_site()
    asker, second, third, outside = (make_user("researcher", site) for _ in range(4))
    project = make_project(site, members=[asker, second, third])
    crowd = make_crowd(site, 30)
    release = make_release(project, asker, people=tuple(person.pseudonym for person in crowd))
    return Study(project, asker, client_of(asker), client_of(second), client_of(third), client_of(outside), release)


def test_two_others_let_out_and_members_fetch(study: Study) -> None:
    assert study.asks.get(study.file).status_code == 409, "not before it was let out"
    assert study.decide(study.decides, "release") == 302 and study.state() == "requested"
    assert study.asks.get(study.file).status_code == 409, "not by one yes"
    assert study.decide(study.agrees, "release") == 302 and study.state() == "released"
    for client in (study.asks, study.decides):
        answer = client.get(study.file)
        assert answer.content == b"person\n1\n" and answer.headers["Content-Type"] == "text/csv"
        assert 'filename="cohort.csv"' in answer.headers["Content-Disposition"]
    lines = Event.objects.filter(action="release.download")
    assert lines.count() == 2 and lines.filter(actor_id=str(study.asker.pk)).exists()
    assert ReleasedCount.objects.get().release_id == study.release.pk
    assert study.decide(study.decides, "refuse") == 409 and study.state() == "released"


def test_those_who_decide_see_of_whom_the_files_are_and_what_stands_in_them(study: Study) -> None:
    site = study.project.sites.get()
    definition = CohortDefinition(sexes=("female",), age_low=50, codes=(CodeRule("8867-4", 50, 100, "/min"),), site_ids=(str(site.pk),))
    Cohort.objects.update(definition=to_json(definition))
    columns = [{"name": "value_8867-4", "kind": "number", "meaning": "newest value of 8867-4", "unit": "/min", "made_safe": "three digits"}]
    said = {
        "people_in_cohort": 40, "left_out": None, "left_out_share": None, "k": 5, "l": 2, "quasi_identifiers": ["age_band", "sex"],
        "simulated": "none", "utility_lost": ["8867-4: words of fewer than 11 people are blank"], "columns": columns,
    }  # fmt: skip
    Release.objects.update(report=study.release.report | said)
    for client in (study.decides, client_of(make_user("administrator", site))):
        page = text_of(client.get(study.page))
        for words in (definition.sentence(), site.name, "value_8867-4", "newest value of 8867-4", "/min", "three digits", "words of fewer than 11 people"):
            assert words in page, words
        assert re.search(r"people in the cohort\s+about 40", page) and re.search(r"left out, as they would stand out\s+fewer than 11", page)
        assert "None" not in page and "people_file" not in page
    # as releases were prepared when nobody was told apart from few
    Release.objects.update(report=study.release.report | said | {"left_out": 0})
    assert re.search(r"would stand out\s+fewer than 11", text_of(study.decides.get(study.page)))


def test_how_large_the_files_are_is_told_only_once_they_are_out(study: Study) -> None:
    digest = study.release.files.get().blob_sha256[:16]
    for client in (study.asks, study.decides):
        page = client.get(study.page).content.decode()
        assert "cohort.csv" in page and "bytes" not in page and digest not in page
    study.decide(study.decides, "refuse")
    assert "bytes" not in study.asks.get(study.page).content.decode()


def test_the_page_says_who_has_said_yes_and_that_one_more_is_needed(study: Study) -> None:
    assert "Two people have to say yes" in text_of(study.asks.get(study.page))
    said = text_of(study.decides.post(f"{study.page}decide/", {"decision": "release", "why": "looked through"}, follow=True))
    assert "Nothing leaves until somebody else has said yes too" in said
    second = User.objects.get(pk=study.decides.session["_auth_user_id"]).display_name
    for client in (study.asks, study.decides, study.agrees):
        said = text_of(client.get(study.page))
        assert f"{second} said yes" in said and "looked through" in said and "One more person has to say yes" in said
    assert b"Your decision" not in study.decides.get(study.page).content, "nobody decides twice"
    assert study.decide(study.decides, "release") == 409 and study.state() == "requested"
    assert study.page not in study.decides.get("/releases/").content.decode().split("Of your projects")[0]
    assert b"Your decision" in study.agrees.get(study.page).content
    study.decide(study.agrees, "release")
    assert "One more" not in text_of(study.asks.get(study.page))


def test_the_page_names_the_hospital_for_which_nobody_said_yes(study: Study) -> None:
    there = make_site()
    study.project.sites.add(there)
    assert study.let_out() == [302, 302] and study.state() == "requested"
    assert f"Somebody has to say yes for {there.name}" in text_of(study.asks.get(study.page))
    desk = client_of(make_user("administrator", there))
    assert study.decide(desk, "release") == 302 and study.state() == "released"


def test_whoever_asked_sees_no_form_and_cannot_decide(study: Study) -> None:
    page = study.asks.get(study.page)
    assert page.status_code == 200 and b"Your decision" not in page.content
    for decision in ("release", "refuse"):
        assert study.decide(study.asks, decision) == 403
    assert study.state() == "requested" and not ReleasedCount.objects.exists()
    assert "Nobody decides on what they asked for themselves, nor twice" in text_of(study.asks.get("/releases/"))


def test_an_administrator_decides_and_fetches_nothing(study: Study) -> None:
    desk = client_of(make_user("administrator", study.project.sites.get()))
    assert b"Your decision" in desk.get(study.page).content
    assert study.decide(desk, "release") == 302 and study.decide(study.decides, "release") == 302 and study.state() == "released"
    assert desk.get(study.file).status_code == 403
    assert study.file.encode() not in desk.get(study.page).content, "no link to what cannot be fetched"


def test_no_link_is_shown_that_answers_nothing(study: Study) -> None:
    """An administrator who is a researcher too, but not in the project; and a member of a project that is over."""
    both = make_user("administrator", study.project.sites.get())
    RoleGrant.objects.create(user=both, site=study.project.sites.get(), role="researcher", starts_at=now(), granted_by="x")
    desk = client_of(both)
    assert study.file not in study.asks.get(study.page).content.decode()
    study.let_out()
    assert desk.get(study.file).status_code == 404
    assert study.file not in desk.get(study.page).content.decode() and study.file in study.asks.get(study.page).content.decode()
    Project.objects.update(ends_at=now())
    assert study.asks.get(study.file).status_code == 403 and study.file not in study.asks.get(study.page).content.decode()


def test_what_is_out_and_may_not_be_handed_out_any_more_is_said_so(study: Study) -> None:
    person = Patient.objects.for_actor(SYSTEM).order_by("pk").first()
    study.let_out()
    say(person, False)
    said = text_of(study.asks.get(study.file))
    assert "delete your copies" in said and "refuse them" not in said


def test_outside_the_project_nothing_of_it_exists(study: Study) -> None:
    for address in (study.page, study.file, f"/cohorts/projects/{study.project.pk}/"):
        absent = address.replace(str(study.release.pk), str(UUID(int=7))).replace(str(study.project.pk), str(UUID(int=7)))
        theirs, nothing = study.outside.get(address), study.outside.get(absent)
        assert theirs.status_code == nothing.status_code == 404 and plain(theirs) == plain(nothing), address
    assert study.decide(study.outside, "release") == 404 and study.state() == "requested"
    form = {"name": "Mine", "sex": "female"}
    assert study.outside.post(f"/cohorts/projects/{study.project.pk}/save/", form).status_code == 404
    assert study.outside.post(f"/cohorts/{study.release.cohort_id}/release/", {"purpose": "x"}).status_code == 404
    assert Cohort.objects.count() == Release.objects.count() == 1


def test_a_refusal_says_why(study: Study) -> None:
    assert study.decide(study.decides, "refuse", why="  ") == 409 and study.state() == "requested"
    assert study.decide(study.decides, "refuse", why="too narrow") == 302 and study.state() == "refused"
    assert "too narrow" in text_of(study.asks.get("/releases/"))
    assert study.asks.get(study.file).status_code == 409


def test_a_decision_that_is_no_decision_changes_nothing(study: Study) -> None:
    for decision in ("", "RELEASE", "yes"):
        assert study.decide(study.decides, decision) == 409
        assert study.state() == "requested" and not ReleasedCount.objects.exists()


def test_a_withdrawn_consent_stops_what_was_prepared(study: Study) -> None:
    person = make_crowd(study.project.sites.get(), 1)[0]
    study.release.delete()
    study.release = make_release(study.project, study.asker, people=(person.pseudonym,))
    say(person, False)
    assert study.decide(study.decides, "release") == 409 and study.state() == "requested"


def test_too_few_people_are_not_even_prepared(study: Study) -> None:
    make_crowd(study.project.sites.get(), 10, sex="male")
    study.asks.post(f"/cohorts/projects/{study.project.pk}/save/", {"name": "Men", "sex": "male"})
    cohort = Cohort.objects.get(name="Men")
    said = text_of(study.asks.post(f"/cohorts/{cohort.pk}/release/", {"purpose": "a table"}, follow=True))
    assert "Fewer than 11 people" in said and not Release.objects.filter(cohort=cohort).exists()
    assert Event.objects.get(action="release.request").outcome == "refused"
    make_crowd(study.project.sites.get(), 1, sex="male")
    said = text_of(study.asks.post(f"/cohorts/{cohort.pk}/release/", {"purpose": "a table"}, follow=True))
    assert "The files are being prepared" in said and Release.objects.get(cohort=cohort).requested_by == study.asker
    assert not Release.objects.get(cohort=cohort).with_images
    assert Job.objects.filter(kind="prepare_release").count() == 1


def test_images_leave_only_for_who_ticks_them(study: Study) -> None:
    assert study.asks.get("/cohorts/").content.count(b'type="checkbox" name="images"') == 1
    study.asks.post(f"/cohorts/{study.release.cohort_id}/release/", {"purpose": "films", "images": "yes"})
    found = Release.objects.get(purpose="films")
    assert found.with_images and "asked for, de-identified" in text_of(study.asks.get(f"/releases/{found.pk}/"))
    found.report = {"people_in_cohort": 40, "images": {"method": "PS3.15", "each_at_most": 4, "images": {"DX": 40}}}
    found.state = "requested"
    found.save()
    assert "about 40 DX" in text_of(study.asks.get(f"/releases/{found.pk}/"))


@pytest.mark.parametrize(
    ("state", "failure", "said"),
    [
        ("failed", "The disk was full.", "The disk was full."), ("quarantined", "The worker stopped 3 times.", "The worker stopped 3 times."),
        ("cancelled", "", "ended without saying why"),
    ],
)  # fmt: skip
def test_a_release_whose_job_is_over_without_a_result_is_not_being_prepared(study: Study, state: str, failure: str, said: str) -> None:
    study.asks.post(f"/cohorts/{study.release.cohort_id}/release/", {"purpose": "a table"})
    waits = Release.objects.exclude(pk=study.release.pk).get()
    for page in ("/releases/", f"/releases/{waits.pk}/"):
        Job.objects.update(state="running", failure="")
        assert "Being prepared" in text_of(study.asks.get(page)) and "Could not be prepared" not in text_of(study.asks.get(page))
        Job.objects.update(state=state, failure=failure)
        shown = text_of(study.asks.get(page))
        assert "Could not be prepared" in shown and said in shown and "Being prepared" not in shown
    Job.objects.update(state="queued", failure="")
    assert "Being prepared" in text_of(study.asks.get(f"/releases/{waits.pk}/")), "a job that is tried again prepares it again"


def test_a_release_needs_a_purpose(study: Study) -> None:
    said = text_of(study.asks.post(f"/cohorts/{study.release.cohort_id}/release/", {"purpose": " "}, follow=True))
    assert "purpose" in said and Release.objects.count() == 1


def test_a_kept_cohort_never_changes(study: Study) -> None:
    address = f"/cohorts/projects/{study.project.pk}/save/"
    assert study.asks.post(address, {"name": "Women", "sex": "female"}).status_code == 302
    again = study.decides.post(address, {"name": "Women", "sex": "male"})
    assert again.status_code == 409 and "already has a cohort named Women" in text_of(again)
    assert Cohort.objects.get(name="Women").definition["sexes"] == ["female"]
    assert "Women" in text_of(study.decides.get("/cohorts/")) and "Women" not in text_of(study.outside.get("/cohorts/"))


def test_no_page_names_the_list_of_people(study: Study) -> None:
    key = study.release.report["people_file"]["key"]
    study.let_out()
    for client in (study.asks, study.decides):
        assert key not in client.get(study.page).content.decode()
