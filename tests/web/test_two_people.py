"""What takes two people takes two: nobody is their own second person under a name that they made up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import QuerySet
from django.test import Client
from salus_web.access.services import review
from salus_web.accounts.models import RoleGrant, Site, User
from salus_web.accounts.services import create_user, end_role, grant_role, invite
from salus_web.accounts.two_people import may_be_two
from salus_web.cohorts.definition import CohortDefinition
from salus_web.cohorts.services import save_cohort
from salus_web.common import clock
from salus_web.common.errors import Refused
from salus_web.dashboard.demo import make_people
from salus_web.records.models import Patient
from salus_web.registry.models import BundleState, ModelBundle
from salus_web.registry.services import move_bundle
from salus_web.releases.models import ReleaseState
from salus_web.releases.services import decide
from salus_web.stewardship.erasures import ask_erasure, decide_erasure
from salus_web.stewardship.models import Decision, Erasure
from salus_web.stewardship.rules import set_rule
from salus_web.stewardship.runs import decide_run, dry_run

from tests.factories.cohorts import make_crowd, make_project
from tests.factories.emergencies import broken
from tests.factories.factors import enter
from tests.factories.hospital import make_bundle
from tests.factories.people import PASSWORD, SYSTEM, actor_of, make_patient, make_user
from tests.web.test_releases import asked, prepared

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_places")]
CHOSEN = {"password": "a long enough one", "again": "a long enough one"}
ALONE = "account you did not set up yourself"


@pytest.fixture
def alma(site: Site) -> User:
    return make_user("administrator", site)


def made_up(by: User, site: Site, name: str = "puppet", role: str = "administrator") -> User:
    """An account as the page *People* makes it."""
    actor = actor_of(by)
    user = create_user(username=name, display_name=name.title(), password=None, by=actor)
    grant_role(user=user, site=site, role=role, by=actor)
    invite(user=user, by=actor)
    return user


def two(one: User, other: User) -> bool:
    found = may_be_two(one=str(one.pk), other=str(other.pk))
    assert found == may_be_two(one=str(other.pk), other=str(one.pk))
    return found


def test_an_administrator_and_a_person_they_made_up_erase_nobody(alma: User, site: Site) -> None:
    patient, desk = make_patient(site, name="Stays Here", mrn="MRN-TWO"), enter(alma, PASSWORD)
    form = {"display_name": "Puppet", "username": "puppet", "role": "administrator", "site": str(site.pk)}
    link = desk.post("/access/people/", form).context["link"].removeprefix("http://testserver")
    assert Client().post(link, CHOSEN).status_code == 302
    desk.post("/keeping/erasures/", {"site": str(site.pk), "mrn": "MRN-TWO", "reason": "asked by the patient"})
    row = Erasure.objects.for_actor(SYSTEM).get()
    puppet = enter(User.objects.get(username="puppet"), CHOSEN["password"])
    answer = puppet.post(f"/keeping/erasures/{row.pk}/decide/", {"decision": "erase", "why": "fine with me"})
    assert answer.status_code == 403 and ALONE in answer.content.decode()
    kept = Patient.objects.for_actor(SYSTEM).get(pk=patient.pk)
    assert kept.name == "Stays Here" and kept.erased_at is None
    # a no needs no second person
    answer = puppet.post(f"/keeping/erasures/{row.pk}/decide/", {"decision": "refuse", "why": "not so"})
    assert Erasure.objects.for_actor(SYSTEM).get().state == Decision.REFUSED


def test_the_other_way_round_it_is_no_second_person_either(alma: User, site: Site) -> None:
    patient, puppet = make_patient(site), made_up(alma, site)
    row = ask_erasure(patient=patient, reason="r", by=actor_of(puppet))
    with pytest.raises(Refused, match=ALONE):
        decide_erasure(erasure=row, accept=True, why="w", by=actor_of(alma))
    second = actor_of(make_user("administrator", site))
    assert decide_erasure(erasure=row, accept=True, why="w", by=second).state == Decision.DONE


def test_no_model_is_made_live_and_no_retention_run_agreed_to_in_this_way(alma: User, site: Site) -> None:
    puppet, bundle = made_up(alma, site), make_bundle(BundleState.CANDIDATE)
    ModelBundle.objects.update(trained_by=str(puppet.pk))
    with pytest.raises(Refused, match=ALONE):
        move_bundle(bundle=bundle, to_state=BundleState.LIVE, why="good", by=actor_of(alma))
    set_rule(kind="record", years=10, by=actor_of(alma))
    run = dry_run(site=site, by=actor_of(alma))
    with pytest.raises(Refused, match=ALONE):
        decide_run(run=run, accept=True, why="w", by=actor_of(puppet))
    assert decide_run(run=run, accept=False, why="w", by=actor_of(puppet)).state == Decision.REFUSED


def test_of_the_two_who_let_files_out_neither_made_the_other_up_nor_who_asked(alma: User, site: Site) -> None:
    make_crowd(site, 60)
    puppet, asks, real = made_up(alma, site), make_user("researcher", site), make_user("administrator", site)
    project = make_project(site, members=[asks, made_up(alma, site, "second", "researcher")])
    cohort = save_cohort(project=project, name="Women", definition=CohortDefinition(sexes=("female",)), by=actor_of(asks))
    release = decide(release=prepared(asked(cohort, actor_of(asks))), accept=True, why="", by=actor_of(alma))
    with pytest.raises(Refused, match=ALONE):
        decide(release=release, accept=True, why="", by=actor_of(puppet))
    assert decide(release=release, accept=True, why="", by=actor_of(real)).state == ReleaseState.RELEASED
    again = prepared(asked(cohort, actor_of(User.objects.get(username="second"))))
    with pytest.raises(Refused, match=ALONE):
        decide(release=again, accept=True, why="", by=actor_of(alma))


def test_nobody_reviews_their_own_emergency_access_under_another_name(alma: User, site: Site) -> None:
    nurse = made_up(alma, site, "nurse", "clinician")
    glass = broken(nurse, make_patient(site), ago=timedelta(hours=5))
    verdict = {"glass_id": glass.pk, "verdict": "justified", "finding": "the ward confirms the call"}
    with pytest.raises(Refused, match=ALONE):
        review(**verdict, by=actor_of(made_up(alma, site, "checker", "auditor")))
    review(**verdict, by=actor_of(make_user("auditor", site)))


def made(by: Any, user: User, site: Site) -> None:
    create_user(username="new", display_name="New", password=None, by=by)


def given_a_role(by: Any, user: User, site: Site) -> None:
    grant_role(user=user, site=site, role="auditor", by=by)


def given_a_link(by: Any, user: User, site: Site) -> None:
    invite(user=user, by=by)


@pytest.mark.parametrize("act", [made, given_a_role, given_a_link])
def test_each_way_of_setting_up_an_account_counts_for_thirty_days(
    alma: User, site: Site, act: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_user("administrator", site)
    assert two(alma, other)
    act(actor_of(alma), other, site)
    other = User.objects.filter(username="new").first() or other
    assert not two(alma, other)
    later = clock.now() + timedelta(days=30, minutes=1)
    monkeypatch.setattr("salus_web.accounts.two_people.now", lambda: later)
    assert two(alma, other)


def test_a_role_that_was_ended_counts_no_longer(alma: User, site: Site) -> None:
    other = make_user("administrator", site)
    grant = grant_role(user=other, site=site, role="auditor", by=actor_of(alma))
    end_role(grant=grant, by=actor_of(alma))
    assert two(alma, other)


def test_neither_a_chain_of_made_up_people_nor_two_of_them_are_two(alma: User, site: Site) -> None:
    puppet = made_up(alma, site)
    behind = made_up(puppet, site, "behind")
    beside = made_up(alma, site, "beside")
    assert not two(alma, alma) and not two(alma, puppet) and not two(alma, behind) and not two(behind, beside)
    real = make_user("administrator", site)
    assert all(two(real, person) for person in (alma, puppet, behind, beside))


def test_people_of_the_machine_may_be_the_two(settings: Any, tmp_path: Any, alma: User) -> None:
    settings.SALUS_DATA_DIR = tmp_path
    make_people()
    names = ("administrator", "administrator-2", "researcher", "researcher-2", "clinician", "auditor")
    people = [User.objects.get(username=name) for name in names]
    assert all(two(one, other) for one in people for other in people if one != other)
    assert may_be_two(one=str(alma.pk), other=SYSTEM.id)
    assert QuerySet(RoleGrant).filter(granted_by="system:demo").exists()
