"""A researcher's projects and cohorts by pages: each is there once, the page asks the same, and another's are nobody's."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from salus_web.accounts.models import Site, User
from salus_web.accounts.tokens import make_token
from salus_web.cohorts.models import Cohort, Project
from salus_web.common.clock import now
from salus_web.common.ids import new_id

from tests.factories.people import actor_of, client_of, make_user
from tests.web.test_long_lists import projects_of
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def researcher(site: Site) -> User:
    return make_user("researcher", site)


def cohorts_in(project: Project, by: User, numbers: range) -> None:
    Cohort.objects.bulk_create(
        Cohort(project=project, name=f"Cohort {number:03}", definition={}, created_by=by, created_at=now()) for number in numbers
    )


def test_projects_and_cohorts_come_by_pages_and_each_once(site: Site, researcher: User) -> None:
    made, client = projects_of(site, [researcher], [], range(14)), client_of(researcher)
    cohorts_in(made[0], researcher, range(31))
    cohorts_in(made[13], researcher, range(3))
    first, second = (client.get(f"/cohorts/?page={number}") for number in (1, 2))
    names = [project.name for page in (first, second) for project, _, _ in page.context["projects"]]
    assert names == [f"Study {number:03}" for number in range(14)] and "page 1 of 2" in text_of(first)
    _, shown, has_more = first.context["projects"][0]
    assert [one.name for one in shown] == [f"Cohort {number:03}" for number in range(10)] and has_more
    assert f'href="/cohorts/?project={made[0].pk}"' in first.content.decode() and first.content.count(b"All cohorts of") == 1
    assert [len(kept) for _, kept, _ in second.context["projects"]] == [0, 0, 0, 3]
    pages = [client.get(f"/cohorts/?project={made[0].pk}&page={number}") for number in (1, 2)]
    assert [one.name for page in pages for one in page.context["rows"]] == [f"Cohort {number:03}" for number in range(31)]
    assert f"project={made[0].pk}&amp;page=2" in pages[0].content.decode()


def test_another_s_project_has_no_list_of_cohorts(site: Site, researcher: User) -> None:
    (hers,) = projects_of(site, [make_user("researcher", site, "other")], [], range(1))
    cohorts_in(hers, researcher, range(1))
    asked = [client_of(researcher).get(f"/cohorts/?project={key}") for key in (hers.pk, new_id(), "1 OR 1", "")]
    assert [answer.status_code for answer in asked] == [404] * 4 and len({text_of(answer) for answer in asked}) == 1


def test_a_page_of_projects_asks_as_often_with_many_cohorts(site: Site, researcher: User) -> None:
    client, made = client_of(researcher), projects_of(site, [researcher], [], range(1))
    client.get("/cohorts/")
    with CaptureQueriesContext(connection) as few:
        client.get("/cohorts/")
    cohorts_in(made[0], researcher, range(40))
    projects_of(site, [researcher], [], range(1, 30))
    with CaptureQueriesContext(connection) as many:
        client.get("/cohorts/")
    assert len(many) == len(few)


def test_a_program_reads_projects_by_pages(site: Site, researcher: User) -> None:
    made = projects_of(site, [researcher], [], range(60))
    cohorts_in(made[0], researcher, range(205))
    _, secret = make_token(user=researcher, name="desk", purpose="research", role="researcher", days=3, by=actor_of(researcher))
    pages = [Client().get(f"/api/projects/?page={number}", headers={"Authorization": f"Bearer {secret}"}).json() for number in (1, 2)]
    assert [len(page["projects"]) for page in pages] == [50, 10] and [page["has_next"] for page in pages] == [True, False]
    assert len(pages[0]["projects"][0]["cohorts"]) == 200 and pages[0]["projects"][0]["more_cohorts"]
    assert pages[1]["projects"][0] == {"id": str(made[50].pk), "name": "Study 050", "cohorts": [], "more_cohorts": False}
