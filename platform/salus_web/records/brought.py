"""Whether somebody may bring in what a file says of these people: a file is no way round the walls, and no way to ask who is here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from salus_web.accounts.actors import Actor, system
from salus_web.accounts.lockout import TooManyTries, give_back, limit_of_numbers, take
from salus_web.accounts.models import Site
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.places import allowed_at
from salus_web.audit.services import Act, record, record_many
from salus_web.common.errors import BadInput, Refused
from salus_web.records.models import Patient
from salus_web.records.persons import numbers_of

NOT_OPEN = (
    "One of the record numbers of this file belongs to a patient who is already here and whose record is not open to you. "
    "Nothing was stored. Break the glass first, or ask an administrator to bring the file in.")  # fmt: skip
_AT_ONCE = 500  # numbers in one query
_RECORDS = system("records")


def check_may_bring(*, people: Sequence[dict[str, Any]], site: Site, by: Actor) -> None:
    """Raise BadInput unless each of these parsed people is new to the hospital, or in the care of who brought the file (`by`) at
    this moment; the refusal is logged, and says the same whatever else of the file fits. Who acts for the hospital brings in
    anybody. Call it before anything is compared with what is here, and outside the transaction that stores: it counts.
    Refusals are counted like numbers of an emergency. After ten, only files of one's own patients alone are taken: of any other
    number a refusal and a stored file would go on telling who is here."""
    if allowed_at(by, "access.manage", site.pk):  # its administrators, and no other hospital's; the machine
        return
    numbers = {index for person in people for index, _ in numbers_of(person)}
    here = _who_is_here(sorted(numbers), site)
    closed = _not_open([pk for pk, _ in here.values()], by)
    if not closed and numbers <= here.keys():
        return
    tries = [limit_of_numbers(by.id, "file")]
    try:
        take(tries)
    except TooManyTries as passed:
        record(_refused("too many numbers"), by=by)
        raise BadInput(f"{passed} Nothing was stored.") from None
    if closed:
        record_many([_refused("not in care", str(pk), pseudonym) for pk, pseudonym in here.values() if pk in closed], by=by)
        raise BadInput(NOT_OPEN)
    give_back(tries)


def _who_is_here(indexes: Sequence[str], site: Site) -> dict[str, tuple[UUID, str]]:
    """Of these numbers those that somebody has, whatever system gives them: id and pseudonym (1 query for 500)."""
    rows = Patient.objects.for_actor(_RECORDS).filter(site=site).values_list("mrn_index", "pk", "pseudonym")
    here: dict[str, tuple[UUID, str]] = {}
    for start in range(0, len(indexes), _AT_ONCE):
        here |= {index: (pk, name) for index, pk, name in rows.filter(mrn_index__in=indexes[start : start + _AT_ONCE])}
    return here


def _not_open(ids: Sequence[UUID], by: Actor) -> Collection[UUID]:
    """Those of these patients whom this person may not open (1 query for 500)."""
    known: set[UUID] = set()
    for start in range(0, len(ids), _AT_ONCE):
        known |= set(Patient.objects.for_actor(by).filter(pk__in=ids[start : start + _AT_ONCE]).values_list("pk", flat=True))
    closed = set()
    for pk in ids:
        try:
            authorize(by, "patient.read", Resource("patient", str(pk), in_scope=pk in known))
        except Refused:
            closed.add(pk)
    return closed


def _refused(why: str, patient_id: str = "", pseudonym: str = "") -> Act:
    return Act("record.store", "patient", patient_id, pseudonym, "care", "refused", {"why": why})
