"""The gate: asking for files, keeping what was prepared, the second person's word, and handing a file out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import transaction

from salus_web.accounts.actors import Actor, system
from salus_web.accounts.permissions import Resource, authorize
from salus_web.audit.services import Act, record
from salus_web.cohorts.definition import from_json
from salus_web.cohorts.disclosure import SMALLEST, differs_too_little
from salus_web.cohorts.models import Cohort, Project
from salus_web.cohorts.selectors import member_pseudonyms, not_allowing, project_for
from salus_web.common import vault
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden, Refused, StateConflict
from salus_web.jobs.services import Claim, check_fence, enqueue, finish
from salus_web.records.scopes import RESEARCH
from salus_web.releases.models import Release, ReleasedCount, ReleaseFile, ReleaseState
from salus_web.releases.selectors import HELD_BACK, lists_of, may_decide

# The gate reads who is in a cohort for itself: an administrator who decides may not.
ACTOR = system("releases")
WORDS = 400
TOO_SMALL = f"Fewer than {SMALLEST} people are in this cohort, so nothing of it leaves."
TOO_CLOSE = (
    f"Something was already released to this project of nearly the same people: 1 to {SMALLEST - 1} of them joined or "
    "left since. The two files together would tell of those few, so this one does not leave. Change the definition "
    "or wait until more people have joined or left."
)  # fmt: skip
CHANGED = "Consents have changed since these files were made. Please refuse them and have them made anew."
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


@dataclass(frozen=True, slots=True)
class People:
    """Who a release is about, by pseudonym: the cohort's members, and those of them who stayed in the file."""

    cohort: frozenset[str]
    in_file: frozenset[str]


@transaction.atomic
def request_release(*, cohort: Cohort, purpose: str, by: Any) -> Release:
    """Ask for a cohort's files. Refused at once where the gate would refuse them later."""
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
        project=project, cohort=cohort, state=ReleaseState.PREPARING, purpose=purpose,
        requested_by_id=by.id, requested_at=now(),
    )  # fmt: skip
    release.job = enqueue(
        kind="prepare_release", unique_key=f"release:{release.pk}", payload={"release_id": str(release.pk)},
        title="Preparing a release", by=by,
    )  # fmt: skip
    release.save(update_fields=["job"])
    detail = {"project": str(project.pk), "cohort": str(cohort.pk)}
    record(Act("release.request", "release", str(release.pk), purpose=RESEARCH, detail=detail), by=by)
    return release


def check_gate(*, project: Project, people: People) -> None:
    """Refuse what differs by 1 to 10 people from anything that went out to this project.

    Cohorts are held against cohorts and files against files: a file lacks those whom k-anonymity left out,
    so the two kinds always differ by a few.
    """
    for row in ReleasedCount.objects.filter(project=project):
        gone = orjson.loads(vault.get(row.members_key, sha256=row.members_sha256))
        before = People(frozenset(gone["cohort"]), frozenset(gone["in_file"]))
        if differs_too_little(before.cohort, people.cohort):
            raise Refused(TOO_CLOSE)
        if people.in_file and differs_too_little(before.in_file, people.in_file):
            raise Refused(TOO_CLOSE)


@transaction.atomic
def store_prepared(
    *, claim: Claim, release: Release, files: Sequence[PreparedFile], report: dict[str, Any], receipt: dict[str, Any],
    people: People, by: Any,
) -> Release:  # fmt: skip
    """Keep what was prepared, with its receipt, and let it wait for a second person. Ends the job."""
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
    """The second person's word. Whoever asked never decides; nothing leaves that the gate would not let through now."""
    reach = may_decide(viewer=by, release=release)
    authorize(by, "release.decide", Resource("release", str(release.pk), in_scope=reach))
    # one decision of a project at a time, so that two files cannot pass each other at the gate
    Project.objects.select_for_update().get(pk=release.project_id)
    release = _locked(release)
    if by.is_system:
        raise Refused("A person has to decide on a release.")
    if str(release.requested_by_id) == by.id:
        raise Refused("You asked for these files, so somebody else has to decide.")
    state = ReleaseState.RELEASED if accept else ReleaseState.REFUSED
    _check_move(release, state)
    why = " ".join(why.split())[:WORDS]
    if not why and not accept:
        raise BadInput("why: say why you refuse, so that the one who asked can do better.")
    if accept:
        _let_out(release)
    release.state, release.why = state, why
    release.decided_by_id, release.decided_at = by.id, now()
    release.save(update_fields=["state", "why", "decided_by", "decided_at"])
    detail = {"project": str(release.project_id), "decision": str(state)}
    record(Act("release.decide", "release", str(release.pk), detail=detail), by=by)
    return release


def _let_out(release: Release) -> None:
    """The last look at the gate, and its memory of who went out."""
    kept, lists = release.report[HELD_BACK], lists_of(release)
    people = People(frozenset(lists["cohort"]), frozenset(lists["in_file"]))
    _check_consents(release)
    check_gate(project=release.project, people=people)
    ReleasedCount.objects.create(
        project=release.project, release=release, definition=release.cohort.definition,
        members_key=kept["key"], members_sha256=kept["sha256"], released_at=now(),
    )  # fmt: skip


def _check_consents(release: Release) -> None:
    """Refuse while anybody in the files does not allow research, or was erased. Never says how many or who."""
    people = frozenset(lists_of(release)["in_file"])
    if not_allowing(viewer=ACTOR, project=release.project, pseudonyms=people):
        raise StateConflict(CHANGED)


@transaction.atomic
def file_bytes(*, viewer: Actor, file: ReleaseFile) -> bytes:
    """A released file, for a member of its project. Logged before the first byte."""
    authorize(viewer, "cohort.use", Resource("release file", str(file.pk)))
    release = Release.objects.get(pk=file.release_id)
    project_for(viewer, release.project_id)
    if release.state != ReleaseState.RELEASED:
        raise StateConflict("These files have not been released.")
    _check_consents(release)
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
        raise StateConflict(f"This release is “{ReleaseState(release.state).label}”, so this cannot be done now.")
