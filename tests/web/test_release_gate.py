"""The gate: what may not leave after what already left, alone and put together, and after consents have changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest
from salus_web.accounts.actors import Actor
from salus_web.accounts.models import Site, User
from salus_web.audit.models import Event
from salus_web.cohorts.definition import CohortDefinition
from salus_web.cohorts.models import Cohort, Project, ProjectGuest
from salus_web.cohorts.services import save_cohort
from salus_web.common import vault
from salus_web.common.clock import now
from salus_web.common.errors import Refused, StateConflict
from salus_web.jobs.models import Job
from salus_web.records.models import Patient
from salus_web.releases.gate import People
from salus_web.releases.models import Release, ReleasedCount, ReleaseFile, ReleaseState
from salus_web.releases.services import (
    decide,
    file_bytes,
    store_prepared,
)

from tests.factories.cohorts import make_crowd, make_project, say
from tests.factories.people import SYSTEM, actor_of, make_user
from tests.web.test_releases import (  # noqa: F401 - fixtures
    FILES,
    agrees,
    asked,
    asks,
    cohort,
    decides,
    held,
    let_out,
    prepared,
    project,
    released,
)

# ruff: noqa: F811


def test_ten_people_are_too_few_to_leave(site: Site, project: Project, asks: Actor) -> None:
    make_crowd(site, 10, sex="male")
    men = save_cohort(project=project, name="Men", definition=CohortDefinition(sexes=("male",)), by=asks)
    with pytest.raises(Refused, match="Fewer than 11"):
        asked(men, asks)
    make_crowd(site, 1, sex="male")
    release = asked(men, asks)
    ten = People(frozenset("abcdefghijk"), frozenset("abcdefghij"))
    with pytest.raises(Refused, match="Fewer than 11"):
        store_prepared(claim=held(release), release=release, files=FILES, report={}, receipt={}, people=ten, by=SYSTEM)
    assert Release.objects.get().state == ReleaseState.PREPARING and not ReleaseFile.objects.exists()


def test_a_request_that_the_gate_refuses_is_a_line_and_nothing_else(site: Site, project: Project, cohort: Cohort, asks: Actor) -> None:
    make_crowd(site, 10, sex="male")
    men = save_cohort(project=project, name="Men", definition=CohortDefinition(sexes=("male",)), by=asks)
    with pytest.raises(Refused, match="Fewer than 11"):
        asked(men, asks)
    line = Event.objects.get(action="release.request")
    assert (line.outcome, line.actor_id, line.object_id, line.detail["project"]) == ("refused", asks.id, str(men.pk), str(project.pk))
    assert "Fewer than 11" in line.detail["why"] and not Release.objects.exists() and not Job.objects.exists()
    released(cohort, asks)
    make_crowd(site, 3)
    with pytest.raises(Refused, match="nearly the same people"):
        asked(cohort, asks)
    assert Event.objects.filter(action="release.request", outcome="refused").count() == 2


@pytest.mark.parametrize("joined", [1, 10])
def test_nearly_the_same_people_do_not_leave_twice(
    joined: int, site: Site, cohort: Cohort, asks: Actor, decides: Actor
) -> None:
    released(cohort, asks)
    make_crowd(site, joined)
    with pytest.raises(Refused, match="nearly the same people"):
        asked(cohort, asks)
    make_crowd(site, 11 - joined)
    assert asked(cohort, asks).state == ReleaseState.PREPARING


def test_people_who_left_count_as_those_who_joined(site: Site, cohort: Cohort, asks: Actor, decides: Actor) -> None:
    released(cohort, asks)
    say(Patient.objects.for_actor(SYSTEM).filter(consent=None).first(), False)
    with pytest.raises(Refused, match="nearly the same people"):
        asked(cohort, asks)


def test_files_are_held_against_files_even_where_the_cohorts_are_the_same(
    cohort: Cohort, asks: Actor, decides: Actor
) -> None:
    first = released(cohort, asks)
    again = asked(cohort, asks)
    kept = ReleasedCount.objects.get(release=first)
    in_file = orjson.loads(vault.get(kept.members_key, sha256=kept.members_sha256))["in_file"]
    with pytest.raises(Refused, match="nearly the same people"):
        prepared(again, in_file=frozenset(in_file[3:]))


def test_two_that_wait_cannot_pass_each_other(site: Site, cohort: Cohort, asks: Actor, decides: Actor, agrees: Actor) -> None:
    """The second already had one yes when the first went out: the gate is looked at again."""
    first = prepared(asked(cohort, asks))
    make_crowd(site, 4)
    second = prepared(asked(cohort, asks))
    decide(release=second, accept=True, why="", by=agrees)
    let_out(first)
    with pytest.raises(Refused, match="nearly the same people"):
        decide(release=second, accept=True, why="", by=decides)
    assert decide(release=second, accept=False, why="too close", by=decides).state == ReleaseState.REFUSED
    assert ReleasedCount.objects.count() == 1


def elsewhere(site: Site, name: str, *, with_them: User | None = None) -> tuple[Actor, Cohort]:
    """Another project at the same hospital with a cohort of the same women, and who asks there."""
    user = make_user("researcher", site, name)
    other = make_project(site, members=[user, *([with_them] if with_them else [])])
    asks_too = actor_of(user)
    return asks_too, save_cohort(project=other, name="Women", definition=CohortDefinition(sexes=("female",)), by=asks_too)


def test_a_project_that_shares_nobody_does_not_close_the_gate(site: Site, cohort: Cohort, asks: Actor) -> None:
    released(cohort, asks)
    make_crowd(site, 3)
    third, women = elsewhere(site, "third")
    assert asked(women, third).state == ReleaseState.PREPARING


def test_a_project_that_shares_a_member_or_a_guest_closes_it(site: Site, project: Project, cohort: Cohort, asks: Actor) -> None:
    released(cohort, asks)
    make_crowd(site, 3)
    third, women = elsewhere(site, "third", with_them=project.members.get(username="agrees"))
    fourth, others = elsewhere(site, "fourth")
    for by, theirs in ((third, women), (fourth, others)):
        # whose time as a guest is over still has what they took
        if by == fourth:
            assert asked(theirs, by).state == ReleaseState.PREPARING
            over = {"starts_at": now() - timedelta(days=9), "ends_at": now() - timedelta(days=1), "added_by": "x"}
            ProjectGuest.objects.create(project=theirs.project, user_id=asks.id, **over)
        with pytest.raises(Refused, match="nearly the same people"):
            asked(theirs, by)


def test_what_two_releases_tell_together_does_not_leave_as_a_third(site: Site, project: Project, cohort: Cohort, asks: Actor) -> None:
    """Thirty of 30 and the 59 women of 50 went out; all women, of whom three more joined, would tell of those three."""
    made = {}
    make_crowd(site, 30, age=30)
    for name, ages in (("Young", {"age_high": 40}), ("Old", {"age_low": 41}), ("All", {})):
        made[name] = save_cohort(project=project, name=name, definition=CohortDefinition(sexes=("female",), **ages), by=asks)
    for name in ("Young", "Old"):
        let_out(prepared(asked(made[name], asks)))
    assert asked(made["All"], asks).state == ReleaseState.PREPARING, "exactly both together tells nothing new"
    make_crowd(site, 3, age=30)
    with pytest.raises(Refused, match="taken together"):
        asked(made["All"], asks)
    make_crowd(site, 8, age=30)
    assert asked(made["All"], asks).state == ReleaseState.PREPARING


def test_a_consent_taken_back_since_the_files_were_made_stops_them(
    site: Site, cohort: Cohort, asks: Actor, decides: Actor
) -> None:
    release = prepared(asked(cohort, asks))
    say(Patient.objects.for_actor(SYSTEM).filter(consent=None).first(), False)
    with pytest.raises(StateConflict, match="Consents have changed"):
        decide(release=release, accept=True, why="", by=decides)


def test_a_consent_taken_back_since_the_files_went_out_stops_them_from_being_handed_out_again(
    site: Site, cohort: Cohort, asks: Actor, decides: Actor
) -> None:
    release = let_out(prepared(asked(cohort, asks)))
    file = ReleaseFile.objects.filter(release=release).first()
    assert file is not None and file_bytes(viewer=asks, file=file)
    say(Patient.objects.for_actor(SYSTEM).filter(consent=None).first(), False)
    with pytest.raises(StateConflict, match="Consents have changed"):
        file_bytes(viewer=asks, file=file)


def test_where_silence_is_no_yes_silent_people_are_in_no_file(
    site: Site, cohort: Cohort, asks: Actor, decides: Actor, settings: Any
) -> None:
    release = prepared(asked(cohort, asks))
    settings.SALUS_CONSENT_WHEN_SILENT = frozenset({"care"})
    with pytest.raises(StateConflict, match="Consents have changed"):
        decide(release=release, accept=True, why="", by=decides)
    with pytest.raises(Refused, match="Fewer than 11"):
        asked(cohort, asks)


