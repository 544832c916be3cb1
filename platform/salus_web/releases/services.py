"""Asking for files, keeping what was prepared, two people's word, and handing a file out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import transaction

from salus_web.accounts.actors import Actor
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.two_people import check_two_people
from salus_web.audit.services import Act, record
from salus_web.cohorts.definition import from_json
from salus_web.cohorts.disclosure import SMALLEST
from salus_web.cohorts.models import Cohort, Project
from salus_web.cohorts.selectors import member_pseudonyms, project_for
from salus_web.common import vault
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden, Refused, StateConflict
from salus_web.jobs.services import Claim, check_fence, enqueue, finish
from salus_web.records.scopes import RESEARCH
from salus_web.releases.gate import ACTOR, People, check_consents, check_gate, check_prepared, near
from salus_web.releases.models import Release, ReleasedCount, ReleaseDecision, ReleaseFile, ReleaseState
from salus_web.releases.selectors import HELD_BACK, agreement_of, may_decide, speaks_for
from salus_web.releases.words import TOO_SMALL

WORDS = 400
# A release that could not be prepared may be prepared again when its job is tried again.
MOVES = {
    ReleaseState.PREPARING: {ReleaseState.REQUESTED, ReleaseState.FAILED},
    ReleaseState.FAILED: {ReleaseState.REQUESTED, ReleaseState.FAILED},
    ReleaseState.REQUESTED: {ReleaseState.RELEASED, ReleaseState.REFUSED},
    ReleaseState.RELEASED: set(),
    ReleaseState.REFUSED: set(),
}


@dataclass(frozen=True, slots=True)
class PreparedFile:
    """One file ready to be kept."""

    name: str
    media_type: str
    content: bytes


def request_release(*, cohort: Cohort, purpose: str, by: Any, with_images: bool = False) -> Release:
    """Ask for a cohort's files, with de-identified images or without. Refused at once where the gate would refuse them later;
    that is a line too, written after all else was undone, for who asks again and again learns from the refusals."""
    try:
        return _request(cohort, purpose, with_images, by)
    except Refused as refusal:
        if not isinstance(refusal, Hidden):  # of what is not theirs, the page writes the line
            detail = {"project": str(cohort.project_id), "why": str(refusal)[:WORDS]}
            record(Act("release.request", "cohort", str(cohort.pk), purpose=RESEARCH, outcome="refused", detail=detail), by=by)
        raise


@transaction.atomic
def _request(cohort: Cohort, purpose: str, with_images: bool, by: Any) -> Release:
    authorize(by, "release.request", Resource("cohort", str(cohort.pk)))
    if by.is_system:
        raise Refused("A person has to ask for a release.")
    project = project_for(by, cohort.project_id)
    purpose = " ".join(purpose.split())
    if not 0 < len(purpose) <= WORDS:
        raise BadInput(f"purpose: say in at most {WORDS} letters what the files are for.")
    people = member_pseudonyms(viewer=ACTOR, project=project, definition=from_json(cohort.definition))
    if len(people) < SMALLEST:
        raise Refused(TOO_SMALL)
    check_gate(project=project, people=People(people, frozenset()))
    release = Release.objects.create(
        project=project, cohort=cohort, state=ReleaseState.PREPARING, purpose=purpose, with_images=with_images,
        requested_by_id=by.id, requested_at=now(),
    )  # fmt: skip
    release.job = enqueue(
        kind="prepare_release", unique_key=f"release:{release.pk}", payload={"release_id": str(release.pk)},
        title="Preparing a release", by=by,
    )  # fmt: skip
    release.save(update_fields=["job"])
    detail = {"project": str(project.pk), "cohort": str(cohort.pk), "with_images": with_images}
    record(Act("release.request", "release", str(release.pk), purpose=RESEARCH, detail=detail), by=by)
    return release


@transaction.atomic
def store_prepared(
    *, claim: Claim, release: Release, files: Sequence[PreparedFile], report: dict[str, Any], receipt: dict[str, Any],
    people: People, by: Any,
) -> Release:  # fmt: skip
    """Keep what was prepared, with its receipt, and let it wait for two people. Ends the job."""
    check_fence(claim=claim)
    release = _locked(release)
    _check_move(release, ReleaseState.REQUESTED)
    if len(people.in_file) < SMALLEST:
        raise Refused(TOO_SMALL)
    check_gate(project=release.project, people=people)
    for file in files:
        blob = vault.put(file.content)
        ReleaseFile.objects.create(
            release=release, name=file.name, media_type=file.media_type,
            blob_key=blob.key, blob_sha256=blob.sha256, blob_bytes=blob.size_bytes,
        )  # fmt: skip
    kept = vault.put(orjson.dumps({"cohort": sorted(people.cohort), "in_file": sorted(people.in_file)}))
    release.report = report | {HELD_BACK: {"key": kept.key, "sha256": kept.sha256}}
    release.receipt, release.state, release.why = receipt, ReleaseState.REQUESTED, ""
    release.save(update_fields=["report", "receipt", "state", "why"])
    record(Act("release.prepare", "release", str(release.pk), detail={"files": len(files)}), by=by)
    finish(claim=claim, result={"release": str(release.pk)}, by=by)
    return release


@transaction.atomic
def mark_failed(*, claim: Claim, release: Release, why: str, by: Any) -> None:
    """Say why a release could not be prepared. The job itself is ended by whoever runs it."""
    check_fence(claim=claim)
    release = _locked(release)
    _check_move(release, ReleaseState.FAILED)
    release.state, release.why = ReleaseState.FAILED, why[:WORDS]
    release.save(update_fields=["state", "why"])
    record(Act("release.prepare", "release", str(release.pk), outcome="failed"), by=by)


@transaction.atomic
def decide(*, release: Release, accept: bool, why: str, by: Any) -> Release:
    """One person's word. The files leave when two people have said yes, neither of them the one who asked, and one of those who
    did speaks for each hospital whose people are in the files; one no ends it.

    The gate is looked at with each yes: the first must not stand for something that could not leave, and only what the
    gate lets through at the last one leaves.
    """
    reach = may_decide(viewer=by, release=release)
    authorize(by, "release.decide", Resource("release", str(release.pk), in_scope=reach))
    # one decision at a time of projects whose files are held against each other, so that no two pass each other at the gate
    list(Project.objects.select_for_update().filter(pk__in=near(release.project)).order_by("pk"))
    release = _locked(release)
    _check_decider(release, by)
    why = " ".join(why.split())[:WORDS]
    if not why and not accept:
        raise BadInput("why: say why you refuse, so that the one who asked can do better.")
    if accept:
        _check_own_people(release, by)
        check_prepared(release=release)
    for_sites = [str(site.pk) for site in speaks_for(viewer=by, release=release)]
    ReleaseDecision.objects.create(release=release, person_id=by.id, accepts=accept, why=why, at=now(), for_sites=for_sites)
    if not accept:
        release.state, release.why = ReleaseState.REFUSED, why
    elif agreement_of(release).is_enough:
        _let_out(release)
        release.state, release.why = ReleaseState.RELEASED, why
    release.save(update_fields=["state", "why"])
    detail = {"project": str(release.project_id), "decision": "accept" if accept else "refuse", "state": str(release.state)}
    record(Act("release.decide", "release", str(release.pk), detail=detail), by=by)
    return release


def _check_decider(release: Release, by: Any) -> None:
    """A person, not the one who asked, each once, and while it waits."""
    if by.is_system:
        raise Refused("A person has to decide on a release.")
    if str(release.requested_by_id) == by.id:
        raise Refused("You asked for these files, so others have to decide.")
    _check_move(release, ReleaseState.REFUSED)  # as open to a no as to a yes
    if release.decisions.filter(person_id=by.id).exists():
        raise StateConflict("You have decided on this already. Somebody else has to say yes too.")


def _check_own_people(release: Release, by: Any) -> None:
    """Whoever says yes, whoever said it before and whoever asked are each somebody of their own."""
    others = release.decisions.filter(accepts=True).values_list("person_id", flat=True)
    for other in (release.requested_by_id, *others):
        check_two_people(one=str(other), other=by.id)


def _let_out(release: Release) -> None:
    """The gate's memory of who went out."""
    kept = release.report[HELD_BACK]
    ReleasedCount.objects.create(
        project=release.project, release=release, definition=release.cohort.definition,
        members_key=kept["key"], members_sha256=kept["sha256"], released_at=now(),
    )  # fmt: skip


@transaction.atomic
def file_bytes(*, viewer: Actor, file: ReleaseFile) -> bytes:
    """A released file, for a member of its project. Logged before the first byte."""
    authorize(viewer, "cohort.use", Resource("release file", str(file.pk)))
    release = Release.objects.get(pk=file.release_id)
    project_for(viewer, release.project_id)
    if release.state != ReleaseState.RELEASED:
        raise StateConflict("These files have not been released.")
    check_consents(release=release)
    detail = {"release": str(release.pk), "name": file.name, "sha256": file.blob_sha256}
    record(Act("release.download", "release file", str(file.pk), purpose=RESEARCH, detail=detail), by=viewer)
    return vault.get(file.blob_key, sha256=file.blob_sha256)


def _locked(release: Release) -> Release:
    """The row as it is now, held until the transaction ends."""
    found = Release.objects.select_for_update().filter(pk=release.pk).first()
    if found is None:
        raise Hidden("There is no such release.")
    return found


def _check_move(release: Release, to_state: Any) -> None:
    if to_state not in MOVES[ReleaseState(release.state)]:
        raise StateConflict(f"This release is “{release.shown_state.label}”, so this cannot be done now.")
