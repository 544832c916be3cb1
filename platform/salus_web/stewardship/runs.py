"""A retention run: the dry run that says who and how much would go and who is held, and the second person's word."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from salus_web.accounts.models import Site
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.places import allowed_at, where_allowed
from salus_web.accounts.two_people import check_two_people
from salus_web.audit.services import Act, record
from salus_web.common import wall
from salus_web.common.clock import now
from salus_web.common.errors import Hidden, Refused, StateConflict
from salus_web.jobs.services import enqueue
from salus_web.records.holds import live_holds
from salus_web.stewardship.due import due_at
from salus_web.stewardship.holdings import amount_of
from salus_web.stewardship.models import Decision, RetentionItem, RetentionRun
from salus_web.stewardship.reasons import reason_of
from salus_web.stewardship.rules import rules_now


@transaction.atomic
def dry_run(*, site: Site, by: Any) -> RetentionRun:
    """Find who is due at a hospital and what would go, and keep it for a second person to read. Deletes nothing.

    Raises StateConflict where no rule says that anything ends.
    """
    authorize(by, "keeping.change", Resource("run", in_scope=allowed_at(by, "keeping.change", site.pk)))
    rules = rules_now()
    if not any(rules.values()):
        raise StateConflict("Everything is kept for ever at present, so nobody is due. Set a rule first.")
    run = RetentionRun.objects.create(site=site, rules=rules, asked_by=by.id, asked_by_name=by.name, asked_at=now())
    found = list(due_at(site_id=site.pk, rules=rules))
    held = {hold.patient_id for hold in live_holds(patient_ids=[one.patient.pk for one in found])}
    items = []
    for one in found:
        amount = amount_of(one.patient.pk, one.kind)
        items.append(RetentionItem(
            run=run, patient=one.patient, kind=one.kind, last_at=one.last_at, rows=amount.rows, files=amount.files, held=one.patient.pk in held,
        ))  # fmt: skip
    with wall.asked_by(wall.SYSTEM):
        RetentionItem.objects.bulk_create(items, batch_size=500)
    going = [item for item in items if not item.held]
    run.counts = {
        "people": len({item.patient_id for item in going}), "rows": sum(item.rows for item in going),
        "files": sum(item.files for item in going), "held": len({item.patient_id for item in items if item.held}),
    }  # fmt: skip
    run.save(update_fields=["counts"])
    record(Act("retention.dry_run", "run", str(run.pk), detail=run.counts), by=by)
    return run


@transaction.atomic
def decide_run(*, run: RetentionRun, accept: bool, why: str, by: Any) -> RetentionRun:
    """The second person's word on a dry run, never that of whoever asked for it. Agreeing queues the job that carries it out."""
    authorize(by, "keys.destroy", Resource("run", str(run.pk)))
    if by.is_system:
        raise Refused("A person has to decide on a retention run.")
    row = RetentionRun.objects.select_for_update().filter(where_allowed(by, "keys.destroy"), pk=run.pk).first()
    if row is None:
        raise Hidden("There is no such page.")
    if row.asked_by == by.id:
        raise Refused("You asked for this run, so somebody else has to decide.")
    if row.state != Decision.WAITING:
        raise StateConflict(f"This run is “{row.get_state_display()}”, so this cannot be done now.")
    row.why, row.decided_by_name, row.decided_at = reason_of(why), by.name, now()
    row.state = Decision.AGREED if accept else Decision.REFUSED
    if accept:
        check_two_people(one=row.asked_by, other=by.id)
        row.job = enqueue(
            kind="retention_run", unique_key=f"retention:{row.pk}", payload={"run_id": str(row.pk)}, title="Erasing what is kept no longer", by=by,
        )  # fmt: skip
    row.save(update_fields=["why", "decided_by_name", "decided_at", "state", "job"])
    record(Act("retention.decide", "run", str(row.pk), detail={"decision": str(row.state)}), by=by)
    return row
