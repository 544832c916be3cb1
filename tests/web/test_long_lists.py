"""Lists that grow with the hospital or with the years: a page stays the same size and asks the same, and nothing falls off unsaid."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from salus_web.access.models import AccessRequest
from salus_web.accounts.models import Site, User
from salus_web.audit.models import Event
from salus_web.audit.services import Act, record_many
from salus_web.cohorts.models import Cohort, Project, ProjectGuest
from salus_web.common.clock import now
from salus_web.common.encryption import blind_index
from salus_web.records.models import CareRelation, CareTeam, LegalHold, Patient, PatientNameToken
from salus_web.releases.models import Release, ReleaseState
from salus_web.stewardship.models import Decision, Erasure, FollowUp

from tests.factories.cohorts import make_project
from tests.factories.emergencies import asked_for, broken
from tests.factories.people import SYSTEM, actor_of, client_of, make_patient, make_site, make_user, relate
from tests.web.test_access_many import KILOBYTE, crowd, queries, size, teams_of
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(site: Site) -> Client:
    """An administrator's desk."""
    return client_of(make_user("administrator", site, "alma"))


# --- research projects


def projects_of(site: Site, members: list[User], guests: list[User], numbers: range) -> list[Project]:
    """Projects, each with all these members and guests: Study 000, Study 001 and so on."""
    start = now() - timedelta(days=1)
    made = Project.objects.bulk_create(Project(name=f"Study {number:03}", starts_at=start) for number in numbers)
    for project in made:
        project.sites.set([site])
        project.members.set(members)
    ProjectGuest.objects.bulk_create(
        ProjectGuest(project=project, user=user, starts_at=start, ends_at=now() + timedelta(days=9), added_by="x") for project in made for user in guests
    )
    return made


def test_projects_are_shown_by_pages_and_each_once(site: Site, desk: Client) -> None:
    projects_of(site, [], [], range(30))
    pages = [desk.get(f"/access/projects/?page={number}") for number in (1, 2)]
    assert [project.name for page in pages for project in page.context["rows"]] == [f"Study {number:03}" for number in range(30)]
    assert b"page=2" in pages[0].content and "page 1 of 2" in text_of(pages[0]) and "Study 025" not in text_of(pages[0])


def test_a_project_names_its_first_five_and_says_how_many_there_are(site: Site, desk: Client) -> None:
    people = crowd(site, range(68), "researcher")
    (project,) = projects_of(site, people[:60], people[60:], range(1))
    projects_of(site, people[:1], [], range(1, 2))
    page = desk.get("/access/projects/")
    said, names = text_of(page), text_of(page).partition("Make a project")[0]
    assert "60 members, 8 guests" in said and "and 58 others" in said
    assert "Nurse 0004" in names and "Nurse 0005" not in names and "Nurse 0064 (guest)" in names and "Nurse 0065" not in names
    assert f'<a href="/access/projects/{project.pk}/">and 58 others</a>' in page.content.decode()
    assert "1 member " in names and "0 guests" not in names


def test_the_list_of_projects_costs_the_same_however_many_there_are_and_are_in_them(site: Site, desk: Client) -> None:
    people = crowd(site, range(120), "researcher")
    projects_of(site, people[:30], people[30:35], range(25))
    queries(desk, "/access/projects/")
    few, before = queries(desk, "/access/projects/"), size(desk, "/access/projects/")
    projects_of(site, people, people[:50], range(25, 60))
    for project in Project.objects.all():
        project.members.set(people)
    assert queries(desk, "/access/projects/") == few <= 20
    assert size(desk, "/access/projects/") < before + KILOBYTE


def test_the_page_of_a_project_shows_its_people_by_pages(site: Site, desk: Client) -> None:
    people = crowd(site, range(220), "researcher")
    (project,) = projects_of(site, people[:60], people[60:120], range(1))
    address = f"/access/projects/{project.pk}/"
    pages = [desk.get(f"{address}?page={number}&guests={number}") for number in (1, 2)]
    assert [user for page in pages for user in page.context["members"]] == people[:60]
    assert [guest.user for page in pages for guest in page.context["guests"]] == people[60:120]
    assert "60 members, 60 guests" in text_of(pages[0]) and "Nurse 0055" not in text_of(pages[0]).partition("Sign-in name")[0]
    few, before = queries(desk, address), size(desk, address)
    project.members.set(people)
    assert queries(desk, address) == few <= 25 and size(desk, address) < before + KILOBYTE
    for user in (people[55], people[110]):
        assert desk.post(f"{address}members/{user.pk}/end/").status_code == 302
    assert people[55] not in project.members.all()


# --- asking for access


def test_a_request_is_offered_fifty_care_teams_and_takes_any_other_by_its_name(site: Site) -> None:
    client, elsewhere = client_of(make_user("clinician", site)), make_site()
    teams_of(site, [], range(50))
    CareTeam.objects.create(site=elsewhere, name="Away")
    said = text_of(client.get("/requests/"))
    assert "Ward 049" in said and "Away" not in said and "type the whole name" not in said
    before = size(client, "/requests/")
    teams_of(site, [], range(50, 400))
    said = text_of(client.get("/requests/"))
    assert "Ward 049" in said and "Ward 050" not in said and "first 50 care teams by name; type the whole name of any other" in said
    assert size(client, "/requests/") < before + KILOBYTE
    form = {"site": str(site.pk), "scope": "team", "wanted": "Ward 321", "purpose": "consult", "reason": "asked by the ward for an opinion"}
    assert client.post("/requests/", form | {"ends": (now() + timedelta(days=3)).date().isoformat()}).status_code == 302


def test_the_fifty_requests_that_wait_longest_are_shown_and_that_there_are_more(site: Site, desk: Client) -> None:
    users = [make_user("clinician", site) for _ in range(3)]
    for number in range(50):
        asked_for(users[number % 3], site, f"MRN{number}")
    assert "the fifty that" not in text_of(desk.get("/access/"))
    for number in range(50, 54):
        asked_for(users[number % 3], site, f"MRN{number}")
    page = desk.get("/access/")
    said = text_of(page)
    assert "Requests that wait 50+" in said and "the fifty that have waited longest; the others come up as these are decided" in said
    assert "MRN49" in said and "MRN50" not in said and AccessRequest.objects.count() == 54


def test_the_relations_of_a_patient_are_bounded_with_those_that_hold_first(site: Site, desk: Client) -> None:
    patient, start = make_patient(site, mrn="MRN5"), now() - timedelta(days=900)
    relate(make_user("clinician", site), patient, team_name="Ward now")
    team = CareTeam.objects.create(site=site, name="Ward then")
    ask = {"site": str(site.pk), "mrn": "MRN5"}
    CareRelation.objects.bulk_create(
        CareRelation(patient=patient, site_id=patient.site_id, team=team, starts_at=start, ends_at=start + timedelta(days=number), added_by="x") for number in range(99)
    )
    whole = text_of(desk.post("/access/", ask))
    assert whole.count("care team Ward then") == 99 and "older ones are not shown" not in whole
    CareRelation.objects.create(patient=patient, team=team, starts_at=start - timedelta(days=9), ends_at=start, added_by="x")
    cut = text_of(desk.post("/access/", ask))
    assert cut.count("care team Ward then") == 99 and "care team Ward now" in cut and "the older ones are not shown" in cut


# --- releases


def test_releases_are_shown_by_pages_newest_first_at_the_same_cost(site: Site) -> None:
    user = make_user("researcher", site)
    client, others = client_of(user), [make_user("researcher", site) for _ in range(2)]

    def ask(count: int) -> None:
        for _ in range(count):
            project = make_project(site, members=[user, *others])
            cohort = Cohort.objects.create(project=project, name="All", definition={}, created_by=user, created_at=now())
            rows = [(user, ReleaseState.RELEASED), (others[0], ReleaseState.REQUESTED)]
            Release.objects.bulk_create(
                Release(project=project, cohort=cohort, state=state, purpose="p", requested_by=by, requested_at=now()) for by, state in rows
            )

    ask(13)
    queries(client, "/releases/")
    few, pages = queries(client, "/releases/"), [client.get(f"/releases/?page={number}") for number in (1, 2)]
    shown = [row for page in pages for row in page.context["mine"]]
    assert shown == list(Release.objects.order_by("-requested_at", "pk")) and len(pages[1].context["mine"]) == 1
    ask(100)
    assert queries(client, "/releases/") == few <= 20
    page = client.get("/releases/")
    assert len(page.context["waiting"]) == 100 and "the hundred that have waited longest" in text_of(page)
    assert "the hundred" not in text_of(pages[0])


# --- emergencies


def test_the_board_of_emergencies_shows_a_hundred_of_a_kind_and_counts_all(site: Site) -> None:
    patient, desk = make_patient(site), client_of(make_user("auditor", site))
    for number, hours in enumerate([1] * 103 + [5] * 104):
        broken(make_user("clinician", site, f"doc{number:03}"), patient, ago=timedelta(hours=hours, minutes=-number / 10))
    page = desk.get("/emergencies/")
    board, said = page.context["board"], text_of(page)
    assert (len(board.open), len(board.review), len(board.figures)) == (100, 100, 100)
    assert "Open 103" in said and "To review 104, within 72 hours" in said
    assert said.count("come up as these are") == 2 and "the hundred who opened most" in said
    assert board.review[0].who == "Doc103", "what is due first stands first"


# --- keeping


def patients_of(site: Site, count: int) -> list[Patient]:
    return [make_patient(site, mrn=f"MRN{number:04}") for number in range(1000, 1000 + count)]


def test_what_is_to_do_is_not_pushed_off_the_list_by_what_came_after(site: Site, desk: Client) -> None:
    people, start = patients_of(site, 3), now() - timedelta(days=30)
    FollowUp.objects.for_actor(SYSTEM).bulk_create(
        FollowUp(
            patient=people[number % 3], why="research", kind="export", object_id=people[0].pk, title=f"Study {number:03}",
            found_at=start + timedelta(hours=number), done_at=None if number == 0 else now(), done_words="done", done_by_name="x",
        )
        for number in range(600)
    )  # fmt: skip
    said = text_of(desk.get("/keeping/"))
    assert "Export, Study 000" in said, "the oldest that waits"
    assert said.count("Export, Study") == 21 and "to do in all" not in said
    FollowUp.objects.for_actor(SYSTEM).bulk_create(
        FollowUp(patient=people[0], why="research", kind="bundle", object_id=person.pk, title="Sepsis", found_at=now()) for person in patients_of(make_site(), 120)
    )
    said = text_of(desk.get("/keeping/"))
    assert said.count("Model, Sepsis") == 99 and "121 to do in all; the hundred oldest are shown" in said


def test_an_erasure_that_waits_stays_on_the_list(site: Site, desk: Client) -> None:
    people = patients_of(site, 4)
    columns = {"reason": "asked by the person", "asked_by": "x", "asked_by_name": "Ida"}
    Erasure.objects.for_actor(SYSTEM).create(patient=people[0], state=Decision.WAITING, asked_at=now() - timedelta(days=9), **columns)
    Erasure.objects.for_actor(SYSTEM).bulk_create(
        Erasure(patient=people[1 + number % 3], state=Decision.REFUSED, asked_at=now() - timedelta(hours=number), **columns) for number in range(210)
    )
    said = text_of(desk.get("/keeping/")).partition("Hold a patient")[0]
    assert "Waiting for a second person" in said and said.count("Refused") == 20


def test_holds_are_shown_by_pages(site: Site, desk: Client) -> None:
    (patient,), holds = patients_of(site, 1), LegalHold.objects.for_actor(SYSTEM)

    def hold(numbers: range) -> None:
        made = [LegalHold(patient=patient, set_by="x", set_by_name=f"Clerk {number:03}", set_at=now() - timedelta(days=number)) for number in numbers]
        for row in made:
            row.reason = "a claim"
        holds.bulk_create(made)

    hold(range(26))
    queries(desk, "/keeping/")
    few, pages = queries(desk, "/keeping/"), [text_of(desk.get(f"/keeping/?holds={number}")) for number in (1, 2)]
    assert [f"Clerk {number:03}" in pages[0] for number in (0, 24, 25)] == [True, True, False] and "Clerk 025" in pages[1]
    hold(range(26, 90))
    assert queries(desk, "/keeping/") == few <= 20


# --- bounds that are said


def test_a_search_that_finds_more_than_fifty_patients_says_so(site: Site) -> None:
    user, people = make_user("clinician", site), patients_of(site, 51)
    team = relate(user, people[0]).team
    CareRelation.objects.bulk_create(CareRelation(patient=one, site_id=one.site_id, team=team, starts_at=now() - timedelta(hours=1), added_by="x") for one in people[1:])
    PatientNameToken.objects.bulk_create(PatientNameToken(patient=one, token=blind_index("Maria", purpose="name")) for one in people)
    client = client_of(user)
    page = client.post("/patients/", {"q": "maria"}, follow=True)
    assert len(page.context["found"]) == 50 and "There are more than fifty. Add a word of the name, or search by the record number." in text_of(page)
    assert Event.objects.filter(action="search.read").count() == 50, "what is not shown is no look"
    PatientNameToken.objects.for_actor(SYSTEM).filter(patient=people[0]).delete()
    page = client.post("/patients/", {"q": "maria"}, follow=True)
    assert len(page.context["found"]) == 50 and "more than fifty" not in text_of(page)


def test_the_list_of_who_looked_says_where_it_ends(site: Site) -> None:
    user, patient = make_user("clinician", site), make_patient(site)
    relate(user, patient)
    client, address = client_of(user), f"/patients/{patient.pk}/looked/"
    acts = [Act("patient.read", "patient", str(patient.pk), patient.pseudonym, "care")] * 199
    record_many(acts, by=actor_of(make_user("clinician", site)))
    whole = client.get(address)
    assert len(whole.context["looks"]) == 200 and "the newest 200" not in text_of(whole)
    cut = client.get(address)
    assert len(cut.context["looks"]) == 200 and "the newest 200" in text_of(cut)
