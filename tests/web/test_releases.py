"""The gate: who may ask, who may decide, and what may not leave after what already left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.db import IntegrityError, transaction
from salus_web.accounts.actors import Actor
from salus_web.accounts.models import RoleGrant, Site, User
from salus_web.audit.models import Event
from salus_web.cohorts.definition import CohortDefinition, from_json
from salus_web.cohorts.models import Cohort, Project, ProjectGuest
from salus_web.cohorts.selectors import member_pseudonyms
from salus_web.cohorts.services import save_cohort
from salus_web.common import vault
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden, Refused, StateConflict
from salus_web.jobs.models import Job, JobState
from salus_web.jobs.services import Claim, claim
from salus_web.records.models import Patient
from salus_web.releases.gate import People
from salus_web.releases.models import Release, ReleasedCount, ReleaseDecision, ReleaseFile, ReleaseState
from salus_web.releases.selectors import (
    agreement_of,
    files_of,
    release_for,
    releases_of,
    report_of,
    speaks_for,
    waiting_for,
)
from salus_web.releases.services import (
    PreparedFile,
    decide,
    file_bytes,
    mark_failed,
    request_release,
    store_prepared,
)

from tests.factories.cohorts import make_crowd, make_project, say
from tests.factories.people import SYSTEM, actor_of, make_site, make_user

FILES = [PreparedFile("cohort.csv", "text/csv", b"person\n1\n")]


@pytest.fixture
def project(site: Site) -> Project:
    """A project of three researchers at a site with 60 women, one of whom refused."""
    crowd = make_crowd(site, 60)
    say(crowd[-1], False)
    return make_project(site, members=[make_user("researcher", site, name) for name in ("asks", "decides", "agrees")])


@pytest.fixture
def asks(project: Project) -> Actor:
    return actor_of(project.members.get(username="asks"))


@pytest.fixture
def decides(project: Project) -> Actor:
    return actor_of(project.members.get(username="decides"))


@pytest.fixture
def agrees(project: Project) -> Actor:
    return actor_of(project.members.get(username="agrees"))


@pytest.fixture
def cohort(project: Project, asks: Actor) -> Cohort:
    return save_cohort(project=project, name="Women", definition=CohortDefinition(sexes=("female",)), by=asks)


def asked(cohort: Cohort, by: Actor) -> Release:
    return request_release(cohort=cohort, purpose="A study", by=by)


def held(release: Release) -> Claim:
    found = claim(job_id=str(release.job_id), worker="test")
    assert found is not None
    return found


def prepared(release: Release, *, in_file: frozenset[str] | None = None) -> Release:
    """What the worker does, without its files."""
    definition = from_json(release.cohort.definition)
    everybody = member_pseudonyms(viewer=SYSTEM, project=release.project, definition=definition)
    return store_prepared(
        claim=held(release), release=release, files=FILES, report={"people_in_files": 60}, receipt={"r": 1},
        people=People(everybody, in_file or everybody), by=SYSTEM,
    )  # fmt: skip


def let_out(release: Release) -> Release:
    """Both others of the project say yes."""
    for name in ("decides", "agrees"):
        release = decide(release=release, accept=True, why="", by=actor_of(User.objects.get(username=name)))
    return release


def released(cohort: Cohort, by: Actor) -> Release:
    return let_out(prepared(asked(cohort, by)))


# --- what is refused


def test_a_non_member_can_neither_ask_nor_decide_nor_read(site: Site, cohort: Cohort, asks: Actor, decides: Actor) -> None:
    stranger = actor_of(make_user("researcher", site))
    with pytest.raises(Hidden):
        asked(cohort, stranger)
    release = prepared(asked(cohort, asks))
    for read in (
        lambda: decide(release=release, accept=True, why="", by=stranger),
        lambda: release_for(viewer=stranger, release_id=release.pk),
        lambda: files_of(viewer=stranger, release=release),
        lambda: report_of(viewer=stranger, release=release),
        lambda: releases_of(viewer=stranger, project=cohort.project),
        lambda: release_for(viewer=asks, release_id=uuid4()),
    ):
        with pytest.raises(Hidden):
            read()
    assert waiting_for(viewer=stranger) == []
    let_out(release)
    with pytest.raises(Hidden):
        file_bytes(viewer=stranger, file=ReleaseFile.objects.get())
    with pytest.raises(Refused, match="role"):
        file_bytes(viewer=actor_of(make_user("administrator", site)), file=ReleaseFile.objects.get())
    assert not Event.objects.filter(action="release.download").exists()


def test_whoever_asked_never_decides(cohort: Cohort, asks: Actor) -> None:
    release = prepared(asked(cohort, asks))
    for accept in (True, False):
        with pytest.raises(Refused, match="others have to decide"):
            decide(release=release, accept=accept, why="fine", by=asks)
    with pytest.raises(Refused, match="A person"):
        decide(release=release, accept=True, why="", by=SYSTEM)
    assert waiting_for(viewer=asks) == []
    assert Release.objects.get().state == ReleaseState.REQUESTED and not ReleasedCount.objects.exists()


def test_one_yes_lets_nothing_out_and_nobody_says_it_twice(cohort: Cohort, asks: Actor, decides: Actor, agrees: Actor) -> None:
    release = prepared(asked(cohort, asks))
    decide(release=release, accept=True, why="", by=decides)
    for accept in (True, False):
        with pytest.raises(StateConflict, match="Somebody else"):
            decide(release=release, accept=accept, why="again", by=decides)
    with pytest.raises(Refused, match="others have to decide"):
        decide(release=release, accept=True, why="", by=asks)
    with pytest.raises(StateConflict, match="not been released"):
        file_bytes(viewer=agrees, file=ReleaseFile.objects.get())
    assert Release.objects.get().state == ReleaseState.REQUESTED and not ReleasedCount.objects.exists()
    decide(release=release, accept=True, why="", by=agrees)
    lines = Event.objects.filter(action="release.decide").order_by("number")
    assert [(line.actor_id, line.detail["decision"], line.detail["state"]) for line in lines] == [
        (decides.id, "accept", "requested"), (agrees.id, "accept", "released"),
    ]  # fmt: skip
    assert ReleasedCount.objects.count() == 1


def test_one_no_ends_it_after_a_yes(cohort: Cohort, asks: Actor, decides: Actor, agrees: Actor) -> None:
    release = prepared(asked(cohort, asks))
    decide(release=release, accept=True, why="", by=decides)
    assert decide(release=release, accept=False, why="Too wide", by=agrees).state == ReleaseState.REFUSED
    assert not ReleasedCount.objects.exists() and waiting_for(viewer=actor_of(make_user("administrator", cohort.project.sites.get()))) == []


def test_the_database_keeps_one_word_of_a_person(cohort: Cohort, asks: Actor, decides: Actor) -> None:
    release = prepared(asked(cohort, asks))
    decide(release=release, accept=True, why="", by=decides)
    with pytest.raises(IntegrityError), transaction.atomic():
        ReleaseDecision.objects.create(release=release, person_id=decides.id, accepts=True, at=now())


def test_a_consent_taken_back_between_the_two_words_stops_the_files(cohort: Cohort, asks: Actor, decides: Actor, agrees: Actor) -> None:
    release = prepared(asked(cohort, asks))
    decide(release=release, accept=True, why="", by=decides)
    say(Patient.objects.for_actor(SYSTEM).filter(consent=None).first(), False)
    with pytest.raises(StateConflict, match="Consents have changed"):
        decide(release=release, accept=True, why="", by=agrees)
    assert Release.objects.get().state == ReleaseState.REQUESTED and ReleaseDecision.objects.count() == 1


def test_the_machine_asks_for_no_release_and_no_purpose_is_no_request(cohort: Cohort, asks: Actor) -> None:
    with pytest.raises(Refused, match="A person"):
        asked(cohort, SYSTEM)
    for purpose in (" ", "x" * 401):
        with pytest.raises(BadInput, match="purpose"):
            request_release(cohort=cohort, purpose=purpose, by=asks)
    assert not Release.objects.exists() and not Job.objects.exists()


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


def test_only_a_waiting_release_is_decided_and_only_once(cohort: Cohort, asks: Actor, decides: Actor) -> None:
    release = asked(cohort, asks)
    with pytest.raises(StateConflict, match="Being prepared"):
        decide(release=release, accept=True, why="", by=decides)
    release = prepared(release)
    with pytest.raises(BadInput, match="why"):
        decide(release=release, accept=False, why=" ", by=decides)
    with pytest.raises(StateConflict, match="not been released"):
        file_bytes(viewer=asks, file=ReleaseFile.objects.get())
    decide(release=release, accept=False, why="Too wide", by=decides)
    with pytest.raises(StateConflict, match="Refused"):
        decide(release=release, accept=True, why="", by=decides)
    with pytest.raises(StateConflict, match="not been released"):
        file_bytes(viewer=asks, file=ReleaseFile.objects.get())


def test_a_late_worker_stores_nothing(cohort: Cohort, asks: Actor) -> None:
    release = asked(cohort, asks)
    late = Claim(str(release.job_id), "prepare_release", {}, 0)
    held(release)
    with pytest.raises(StateConflict, match="taken over"):
        store_prepared(
            claim=late, release=release, files=FILES, report={}, receipt={}, people=People(frozenset(), frozenset()),
            by=SYSTEM,
        )  # fmt: skip
    with pytest.raises(StateConflict, match="taken over"):
        mark_failed(claim=late, release=release, why="x", by=SYSTEM)
    assert not ReleaseFile.objects.exists()


# --- what is done


def test_asking_queues_one_job_with_only_the_release_s_id(cohort: Cohort, asks: Actor) -> None:
    release = asked(cohort, asks)
    job = Job.objects.get()
    assert (job.kind, job.payload) == ("prepare_release", {"release_id": str(release.pk)})
    assert Release.objects.get().job == job
    assert Event.objects.get(action="release.request").actor_id == asks.id


def test_a_release_goes_from_asking_to_a_file_in_the_hand_of_a_member(
    site: Site, cohort: Cohort, asks: Actor, decides: Actor, agrees: Actor
) -> None:
    release = prepared(asked(cohort, asks))
    assert Job.objects.get().state == JobState.DONE
    assert waiting_for(viewer=decides) == [release] == waiting_for(viewer=actor_of(make_user("administrator", site)))
    assert report_of(viewer=decides, release=release) == {"people_in_files": 60}
    release = decide(release=release, accept=True, why="Good", by=decides)
    assert release.state == ReleaseState.REQUESTED and waiting_for(viewer=decides) == [] and waiting_for(viewer=agrees) == [release]
    release = decide(release=release, accept=True, why="Good too", by=agrees)
    assert (release.state, release.why) == (ReleaseState.RELEASED, "Good too")
    said = [(str(row.person_id), row.accepts, row.why) for row in agreement_of(release).decisions]
    assert said == [(decides.id, True, "Good"), (agrees.id, True, "Good too")]
    (file,) = files_of(viewer=asks, release=release)
    assert file_bytes(viewer=asks, file=file) == FILES[0].content
    logged = Event.objects.get(action="release.download")
    assert (logged.actor_id, logged.detail["sha256"]) == (asks.id, file.blob_sha256)
    assert releases_of(viewer=asks, project=cohort.project) == [release] and waiting_for(viewer=decides) == []
    kept = ReleasedCount.objects.get()
    people = orjson.loads(vault.get(kept.members_key, sha256=kept.members_sha256))
    assert len(people["cohort"]) == 59 and kept.definition == cohort.definition
    assert {event.action for event in Event.objects.all()} >= {"release.request", "release.prepare", "release.decide"}


def test_an_administrator_decides_at_their_own_sites_only(site: Site, cohort: Cohort, asks: Actor) -> None:
    release = prepared(asked(cohort, asks))
    elsewhere = actor_of(make_user("administrator", make_site()))
    with pytest.raises(Hidden):
        decide(release=release, accept=True, why="", by=elsewhere)
    assert waiting_for(viewer=elsewhere) == []
    for state in (ReleaseState.REQUESTED, ReleaseState.RELEASED):
        assert decide(release=release, accept=True, why="", by=actor_of(make_user("administrator", site))).state == state


def test_another_role_at_a_hospital_of_the_project_opens_nothing(site: Site, cohort: Cohort, asks: Actor) -> None:
    """Administrator elsewhere and clinician here is no administrator here."""
    release = prepared(asked(cohort, asks))
    user = make_user("administrator", make_site())
    RoleGrant.objects.create(user=user, site=site, role="clinician", starts_at=now(), granted_by="system:test")
    for read in (lambda: release_for(viewer=actor_of(user), release_id=release.pk), lambda: decide(release=release, accept=True, why="", by=actor_of(user))):
        with pytest.raises(Hidden):
            read()
    assert waiting_for(viewer=actor_of(user)) == [] and not ReleaseDecision.objects.exists()


def test_each_hospital_whose_people_are_in_the_files_has_somebody_who_says_yes(site: Site, project: Project, cohort: Cohort, asks: Actor) -> None:
    there = make_site()
    project.sites.add(there)
    release = prepared(asked(cohort, asks))
    here, too, far = (actor_of(make_user("administrator", at)) for at in (site, site, there))
    for one in (here, too):
        release = decide(release=release, accept=True, why="", by=one)
    standing = agreement_of(release)
    assert (release.state, standing.people_lacking, standing.sites_lacking) == (ReleaseState.REQUESTED, 0, [there])
    assert not ReleasedCount.objects.exists() and waiting_for(viewer=far) == [release]
    assert decide(release=release, accept=True, why="", by=far).state == ReleaseState.RELEASED


def test_a_hospital_that_the_cohort_left_out_need_not_speak(site: Site, project: Project, asks: Actor) -> None:
    project.sites.add(make_site())
    here = save_cohort(project=project, name="Here", definition=CohortDefinition(sexes=("female",), site_ids=(str(site.pk),)), by=asks)
    assert let_out(prepared(asked(here, asks))).state == ReleaseState.RELEASED


def test_a_researcher_speaks_only_where_they_are_one(site: Site, project: Project, cohort: Cohort, asks: Actor, decides: Actor) -> None:
    there = make_site()
    project.sites.add(there)
    release = prepared(asked(cohort, asks))
    assert speaks_for(viewer=decides, release=release) == [site]
    RoleGrant.objects.create(user_id=decides.id, site=there, role="researcher", starts_at=now(), granted_by="system:test")
    assert {entry.pk for entry in speaks_for(viewer=decides, release=release)} == {site.pk, there.pk}
    assert speaks_for(viewer=actor_of(make_user("researcher", there)), release=release) == [], "not in the project"


def test_what_failed_can_be_prepared_again(cohort: Cohort, asks: Actor) -> None:
    release = asked(cohort, asks)
    mark_failed(claim=held(release), release=release, why="The disk is full.", by=SYSTEM)
    found = Release.objects.get()
    assert (found.state, found.why) == (ReleaseState.FAILED, "The disk is full.")
    Job.objects.update(lease_until=now())
    assert prepared(found).state == ReleaseState.REQUESTED
