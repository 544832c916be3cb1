"""Releases: who may ask, who may decide, and what becomes of it. What the gate refuses is in `test_release_gate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.db import IntegrityError, transaction
from salus_web.accounts.actors import Actor
from salus_web.accounts.models import RoleGrant, Site, User
from salus_web.audit.models import Event
from salus_web.cohorts.definition import CohortDefinition, from_json
from salus_web.cohorts.models import Cohort, Project
from salus_web.cohorts.selectors import member_pseudonyms
from salus_web.cohorts.services import save_cohort
from salus_web.common import vault
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden, Refused, StateConflict
from salus_web.dashboard.demo import make_people
from salus_web.jobs.models import Job, JobState
from salus_web.jobs.services import Claim, claim
from salus_web.records.models import Patient
from salus_web.releases.gate import People
from salus_web.releases.models import Release, ReleasedCount, ReleaseDecision, ReleaseFile, ReleaseState
from salus_web.releases.selectors import (
    agreement_of,
    files_of,
    own_releases,
    release_for,
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
from tests.factories.hospital import make_release
from tests.factories.people import SYSTEM, actor_of, client_of, make_site, make_user

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
        lambda: release_for(viewer=asks, release_id=uuid4()),
    ):
        with pytest.raises(Hidden):
            read()
    assert waiting_for(viewer=stranger) == [] == list(own_releases(viewer=stranger))
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


def role_ends(user: User, project: Project) -> None:
    RoleGrant.objects.filter(user=user).update(ends_at=now())


def leaves_the_project(user: User, project: Project) -> None:
    project.members.remove(user)


def is_closed(user: User, project: Project) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


@pytest.mark.parametrize("ends", [role_ends, leaves_the_project, is_closed])
def test_a_yes_counts_while_its_giver_could_still_say_it(
    project: Project, cohort: Cohort, asks: Actor, decides: Actor, agrees: Actor, ends: Callable[[User, Project], None]
) -> None:
    release = prepared(asked(cohort, asks))
    decide(release=release, accept=True, why="", by=decides)
    ends(User.objects.get(pk=decides.id), project)
    standing = agreement_of(release)
    assert ([str(one.person_id) for one in standing.lapsed], standing.people_lacking) == ([decides.id], 2)
    assert decide(release=release, accept=True, why="", by=agrees).state == ReleaseState.REQUESTED and not ReleasedCount.objects.exists()
    page = client_of(User.objects.get(pk=agrees.id)).get(f"/releases/{release.pk}/").content.decode()
    assert "It counts no longer: " in page and "One more person has to say yes" in page
    administrator = actor_of(make_user("administrator", project.sites.get()))
    release = decide(release=release, accept=True, why="", by=administrator)
    ends(User.objects.get(pk=agrees.id), project)
    assert release.state == ReleaseState.RELEASED and agreement_of(release).people_lacking == 0, "what went out is not judged again"


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
    assert list(own_releases(viewer=asks)) == [release] and waiting_for(viewer=decides) == []
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


@pytest.mark.django_db
def test_the_demonstration_has_people_who_can_let_a_release_out(settings: Any, tmp_path: Path) -> None:
    """Whichever researcher asks, the other one and an administrator, or both administrators, are enough for both hospitals."""
    settings.SALUS_DATA_DIR = tmp_path
    make_people()
    users = {user.username: user for user in User.objects.all()}
    project = Project.objects.get()
    for pair in (("researcher-2", "administrator"), ("administrator", "administrator-2")):
        cohort = make_release(project, users["researcher"]).cohort
        make_crowd(project.sites.order_by("pk")[0], 12, age=40)  # far enough from what the first pair let out
        asked_for = prepared(asked(cohort, actor_of(users["researcher"])))
        for name in pair:
            asked_for = decide(release=asked_for, accept=True, why="", by=actor_of(users[name]))
        assert asked_for.state == ReleaseState.RELEASED, pair


def test_what_failed_can_be_prepared_again(cohort: Cohort, asks: Actor) -> None:
    release = asked(cohort, asks)
    mark_failed(claim=held(release), release=release, why="The disk is full.", by=SYSTEM)
    found = Release.objects.get()
    assert (found.state, found.why) == (ReleaseState.FAILED, "The disk is full.")
    Job.objects.update(lease_until=now())
    assert prepared(found).state == ReleaseState.REQUESTED
