"""What a researcher sees of people: rounded counts, never a row; and what leaves needs somebody else."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from salus_web.accounts.models import RoleGrant
from salus_web.accounts.tokens import make_token
from salus_web.cohorts.models import Cohort, Project, ProjectGuest
from salus_web.common.clock import now
from salus_web.jobs.models import Job
from salus_web.releases.models import Release

from tests.factories.cohorts import diagnose, make_bundle, make_crowd, make_project, observe, predict
from tests.factories.hospital import make_release
from tests.factories.people import actor_of, client_of, make_site, make_user
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> tuple[Project, Client, Client]:
    """A project with 43 women of 50 and 7 men of 70, its researcher, and a second one."""
    site = make_site()
    first, second = make_user("researcher", site), make_user("researcher", site)
    project = make_project(site, members=[first, second])
    make_crowd(site, 43, sex="female", age=50)
    make_crowd(site, 7, sex="male", age=70)
    return project, client_of(first), client_of(second)


def test_counts_are_rounded_and_small_ones_hidden(study: tuple[Project, Client, Client]) -> None:
    project, desk, _ = study
    address = f"/cohorts/projects/{project.pk}/"
    assert re.search(r"\b50 people", text_of(desk.get(address)))
    women = text_of(desk.get(address, {"sex": "female", "fragment": ""}))
    assert re.search(r"\b45 people", women) and not re.search(r"\b43\b", women)
    men = text_of(desk.get(address, {"sex": "male", "fragment": ""}))
    assert "fewer than 11 people; not shown" in men and not re.search(r"\b7\b", men)


@pytest.mark.parametrize(("does", "does_not"), [
    ({"code_0": "cr", "code_low_0": "1.3", "code_unit_0": "mg/dL"}, {"code_0": "cr", "code_low_0": "1.4", "code_unit_0": "mg/dL"}),
    ({"conditions": "C50"}, {"conditions": "C51"}),
    ({"task": "sepsis", "risk_low": "76"}, {"task": "sepsis", "risk_low": "77"}),
    ({"conditions": "C50", "modality": "CT"}, {"conditions": "C51", "modality": "CT"}),
])  # fmt: skip
def test_of_a_known_person_no_page_tells_which_question_they_meet(
    study: tuple[Project, Client, Client], does: dict[str, str], does_not: dict[str, str]
) -> None:
    """Age, sex and hospital were enough to find a person; whether “0” or “not shown” came back told their values."""
    project, desk, _ = study
    site = project.sites.get()
    (known,) = make_crowd(site, 1, sex="male", age=83)
    observe(known, "cr", 1.35, unit="mg/dL")
    diagnose(known, "C50")
    predict(known, make_bundle("sepsis", 'code = "x"'), 0.765)
    one = {"age_low": "83", "age_high": "83", "sex": "male", "site": str(site.pk)}
    told = []
    for asked in (does, does_not):
        page = desk.get(f"/cohorts/projects/{project.pk}/", one | asked | {"fragment": ""}).content.decode()
        assert "fewer than 11" in page
        for word in asked.values():
            page = re.sub(rf"\b{re.escape(word)}\b", "…", page)  # and no part of an id
        told.append(re.sub(r"\b0\.7[67]\b", "…", page))
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("asked", "words"),
    [({"age_low": "old"}, "is not a number"), ({"age_low": "80", "age_high": "20"}, "Age, from"), ({"age_low": "1.5"}, "whole years")],
)
def test_a_wrong_definition_is_a_sentence(study: tuple[Project, Client, Client], asked: dict[str, str], words: str) -> None:
    project, desk, _ = study
    answer = desk.get(f"/cohorts/projects/{project.pk}/", asked | {"fragment": ""})
    assert answer.status_code == 200 and words in text_of(answer)


def test_a_project_is_hidden_from_those_outside_it(study: tuple[Project, Client, Client]) -> None:
    project, _, _ = study
    outsider = client_of(make_user("researcher", project.sites.get()))
    absent = outsider.get("/cohorts/projects/00000000-0000-0000-0000-000000000007/")
    answer = outsider.get(f"/cohorts/projects/{project.pk}/")
    assert answer.status_code == absent.status_code == 404 and project.name not in answer.content.decode()
    assert "No project yet" in text_of(outsider.get("/cohorts/"))


def test_a_project_that_ended_or_has_not_begun_locks_nobody_out_of_the_others(study: tuple[Project, Client, Client]) -> None:
    project, desk, _ = study
    researcher = project.members.order_by("username").first()
    ended, ahead = (make_project(project.sites.get(), members=list(project.members.all())) for _ in range(2))
    Project.objects.filter(pk=ended.pk).update(ends_at=now() - timedelta(hours=1))
    Project.objects.filter(pk=ahead.pk).update(starts_at=now() + timedelta(days=3))
    page = text_of(desk.get("/cohorts/"))
    assert project.name in page.split("Not running")[0] and ended.name not in page.split("Not running")[0]
    assert f"{ended.name} has ended" in page and f"{ahead.name} begins" in page
    assert desk.get("/releases/").status_code == 200
    assert desk.get(f"/cohorts/projects/{ended.pk}/").status_code == desk.get(f"/cohorts/projects/{ahead.pk}/").status_code == 403
    _, secret = make_token(user=researcher, name="desk", purpose="research", role="researcher", days=3, by=actor_of(researcher))
    answer = Client().get("/api/projects/", headers={"Authorization": f"Bearer {secret}"})
    assert [row["name"] for row in answer.json()["projects"]] == [project.name]


def test_membership_ends_with_the_role_at_the_project_s_hospitals(study: tuple[Project, Client, Client]) -> None:
    """A role as a researcher at another hospital opens nothing of this one's project, whoever is still on its list."""
    project, desk, _ = study
    researcher = project.members.get(pk=desk.session["_auth_user_id"])
    elsewhere = make_site()
    RoleGrant.objects.create(user=researcher, site=elsewhere, role="researcher", starts_at=now() - timedelta(days=1), granted_by="x")
    RoleGrant.objects.filter(user=researcher, site__in=project.sites.all()).update(ends_at=now())
    assert desk.get(f"/cohorts/projects/{project.pk}/").status_code == 404
    assert "No project yet" in text_of(desk.get("/cohorts/"))
    assert desk.post(f"/cohorts/projects/{project.pk}/save/", {"name": "Women"}).status_code == 404
    ProjectGuest.objects.create(project=project, user=researcher, starts_at=now(), ends_at=now() + timedelta(days=3), added_by="x")
    assert desk.get(f"/cohorts/projects/{project.pk}/").status_code == 404, "a guest's time does not outlive the role either"
    project.sites.add(elsewhere)
    assert desk.get(f"/cohorts/projects/{project.pk}/").status_code == 200


def test_the_page_of_projects_asks_as_little_for_many_as_for_few(study: tuple[Project, Client, Client]) -> None:
    project, desk, _ = study

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            desk.get("/cohorts/")
        return len(seen)

    make_release(project, project.members.first())
    desk.get("/cohorts/")  # the first time the log opens its stripe
    before = queries()
    for _ in range(4):
        more = make_project(project.sites.get(), members=list(project.members.all()))
        for _ in range(3):
            make_release(more, make_user("researcher", project.sites.get()))
    assert queries() == before


def test_nothing_is_kept_where_no_figures_are_shown(study: tuple[Project, Client, Client]) -> None:
    """The form for keeping brings back what was shown; where a wrong field left nothing, it does not become everybody."""
    project, desk, _ = study
    page = desk.get(f"/cohorts/projects/{project.pk}/", {"age_low": "80", "age_high": "20"})
    assert b'name="definition" form="keep" value=""' in page.content
    answer = desk.post(f"/cohorts/projects/{project.pk}/save/", {"name": "All", "definition": ""})
    assert answer.status_code == 409 and "No figures are shown yet" in text_of(answer) and not Cohort.objects.exists()
    answer = desk.post(f"/cohorts/projects/{project.pk}/save/", {"name": "All", "definition": '{"age_low": "x"}'})
    assert answer.status_code == 409 and not Cohort.objects.exists()


def test_a_range_of_risk_without_a_choice_of_risk_is_said(study: tuple[Project, Client, Client]) -> None:
    project, desk, _ = study
    answer = desk.get(f"/cohorts/projects/{project.pk}/", {"risk_low": "50", "fragment": ""})
    assert "needs a choice of whose risk is meant" in text_of(answer)


def test_a_cohort_is_kept_and_its_release_waits_for_somebody_else(study: tuple[Project, Client, Client]) -> None:
    project, desk, other = study
    desk.post(f"/cohorts/projects/{project.pk}/save/", {"name": "Women", "sex": "female"})
    cohort = Cohort.objects.get()
    assert cohort.definition["sexes"] == ["female"]
    desk.post(f"/cohorts/{cohort.pk}/release/", {"purpose": "a table"})
    release = Release.objects.get()
    assert Job.objects.get(kind="prepare_release").payload == {"release_id": str(release.pk)}
    Release.objects.filter(pk=release.pk).update(state="requested", requested_at=now() - timedelta(minutes=1))
    assert b"Your decision" not in desk.get(f"/releases/{release.pk}/").content
    assert desk.post(f"/releases/{release.pk}/decide/", {"decision": "release", "why": "mine"}).status_code == 403
    assert b"Your decision" in other.get(f"/releases/{release.pk}/").content
    assert "Women" in text_of(other.get("/releases/")).split("Of your projects")[0]
    other.post(f"/releases/{release.pk}/decide/", {"decision": "refuse", "why": "too few"})
    release.refresh_from_db()
    assert release.state == "refused"
