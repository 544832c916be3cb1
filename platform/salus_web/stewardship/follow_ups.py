"""What must follow when a purpose is taken back or a person is erased: which exports and bundles still hold them, and that
an administrator acted on each. Alters no export and no bundle."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction

from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.places import where_allowed
from salus_web.audit.services import Act, record
from salus_web.common import wall
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden, StateConflict
from salus_web.predictions.selectors import bundles_trained_on
from salus_web.records.models import Patient
from salus_web.records.scopes import RESEARCH, TRAINING
from salus_web.releases.selectors import releases_holding
from salus_web.stewardship.holdings import KEEPER
from salus_web.stewardship.models import FollowUp

ERASURE = "erasure"
WHY = {RESEARCH: "took research back", TRAINING: "took training back", ERASURE: "was erased"}
SENTENCE = 400


def note_follow_ups(*, patient: Patient, why: str, by: Any) -> int:
    """List what holds this person and is not listed yet, in the caller's transaction; returns how many were new."""
    found: list[tuple[str, Any, str]] = []
    if why in {RESEARCH, ERASURE}:
        found += [
            ("export", row.pk, f"{row.project.name}: {row.cohort.name}"[:200])
            for row in releases_holding(viewer=KEEPER, pseudonym=patient.pseudonym)
        ]
    if why in {TRAINING, ERASURE}:
        found += [
            ("bundle", row.pk, f"{row.task.title}, {row.digest[:12]}"[:200])
            for row in bundles_trained_on(viewer=KEEPER, patient_id=patient.pk)
        ]
    with wall.asked_by(wall.SYSTEM):
        open_ones = FollowUp.objects.for_actor(KEEPER).filter(patient=patient, done_at__isnull=True)
        known = set(open_ones.values_list("kind", "object_id"))
        fresh = [entry for entry in found if entry[:2] not in known]
        FollowUp.objects.bulk_create(
            [FollowUp(patient=patient, why=why, kind=kind, object_id=key, title=title, found_at=now()) for kind, key, title in fresh]
        )
    if found:
        act = Act("follow_up.list", "patient", str(patient.pk), patient.pseudonym, detail={"why": why, "found": len(found)})
        record(act, by=by)
    return len(fresh)


@transaction.atomic
def settle_follow_up(*, follow_up_id: UUID, words: str, by: Any) -> None:
    """Mark one as done, with a sentence on what was done. Raises Hidden for a patient of another hospital."""
    authorize(by, "keeping.change", Resource("follow-up", str(follow_up_id)))
    rows = FollowUp.objects.for_actor(KEEPER).filter(pk=follow_up_id)
    row = rows.filter(where_allowed(by, "keeping.change", "patient__site_id")).select_related("patient").first()
    if row is None:
        raise Hidden("There is no such page.")
    words = " ".join(words.split())
    if not 0 < len(words) <= SENTENCE:
        raise BadInput(f"What was done: say it in one sentence of at most {SENTENCE} letters. Name no patient.")
    marked = rows.filter(done_at__isnull=True).update(done_at=now(), done_by_name=by.name, done_words=words)
    if not marked:
        raise StateConflict("This was marked as done already.")
    record(Act("follow_up.done", row.kind, str(row.object_id), row.patient.pseudonym, detail={"why": row.why}), by=by)
