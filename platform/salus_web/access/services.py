"""Breaking the glass: opening one patient's record in an emergency, handing it back, taking note, review by another person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction

from salus_web.access.models import BreakGlass, EmergencyReason, NoticeSeen, Verdict
from salus_web.access.words import sentence
from salus_web.accounts.actors import Actor, system
from salus_web.accounts.lockout import TooManyTries, give_back, limit_of_numbers, take
from salus_web.accounts.models import Site, User
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.selectors import sites_as
from salus_web.accounts.two_people import check_two_people
from salus_web.audit.services import Act, record
from salus_web.common.clock import now
from salus_web.common.encryption import blind_index
from salus_web.common.errors import BadInput, Hidden, StateConflict
from salus_web.records.models import CareRelation, Patient
from salus_web.records.scopes import EMERGENCY, cared_for, live_relations

OPEN_FOR = timedelta(hours=4)
REVIEWED_WITHIN = timedelta(hours=72)
PURPOSE = "emergency"
_ACCESS = system("access")


@dataclass(frozen=True, slots=True)
class Opening:
    """Whose record is open now, and whether the glass had to be broken for it."""

    patient_id: UUID
    is_new: bool


def break_glass(*, site_id: str, mrn: str, reason_code: str, reason: str, by: Actor) -> Opening | None:
    """Open one patient's record to one clinician for four hours, by whole record number. None: nobody has this number.

    The reason is checked before the number is looked at, so that no answer says anything of a number without a reason that
    is on the log. Each number is counted but one that opens a record anew. Raises BadInput, and TooManyTries after ten of them.
    """
    authorize(by, "emergency.break", Resource("patient"))
    site = next((site for site in sites_as(viewer=by, roles=["clinician"]) if str(site.pk) == site_id), None)
    if site is None:
        raise BadInput("Choose one of your hospitals.")
    if not mrn.strip():
        raise BadInput("Record number: type the whole number, as on the wristband.")
    if reason_code not in EmergencyReason.values:
        raise BadInput("Reason: choose one from the list.")
    text = sentence(reason, "What is happening")
    tries = [limit_of_numbers(by.id)]
    try:
        take(tries)
    except TooManyTries as passed:
        record(Act("emergency.break", "patient", purpose=PURPOSE, outcome="refused", detail={"why": "too many numbers"}), by=by)
        passed.is_logged = True
        raise
    opening = _open(site, mrn, EmergencyReason(reason_code), text, by)
    if opening is not None and opening.is_new:
        give_back(tries)  # not the ones before: nobody clears a row of guesses by a number they know
    return opening


@transaction.atomic
def _open(site: Site, mrn: str, code: EmergencyReason, text: str, by: Actor) -> Opening | None:
    User.objects.select_for_update().get(pk=by.id)  # two clicks at once are one opening
    patient = Patient.objects.for_actor(_ACCESS).filter(site=site, mrn_index=blind_index(mrn, purpose="mrn")).first()
    if patient is None:
        detail = {"reason": str(code)}
        record(Act("emergency.break", "patient", purpose=PURPOSE, outcome="nothing found", detail=detail), by=by)
        return None
    if live_relations(by).filter(patient=patient).exists():
        act = Act("emergency.break", "patient", str(patient.pk), patient.pseudonym, PURPOSE, "refused", {"why": "open already"})
        record(act, by=by)
        return Opening(patient.pk, False)
    moment = now()
    relation = CareRelation.objects.create(
        patient=patient, user_id=by.id, kind=EMERGENCY, reason=code.label, starts_at=moment, ends_at=moment + OPEN_FOR, added_by=by.id
    )
    glass = BreakGlass(
        patient=patient, user_id=by.id, relation=relation, reason_code=code, started_at=moment, review_by=moment + REVIEWED_WITHIN
    )
    glass.reason = text
    glass.save(force_insert=True)
    detail = {"reason": str(code), "until": (moment + OPEN_FOR).isoformat()}
    record(Act("emergency.break", "emergency", str(glass.pk), patient.pseudonym, PURPOSE, detail=detail), by=by)
    return Opening(patient.pk, True)


@transaction.atomic
def hand_back(*, glass_id: UUID, by: Actor) -> None:
    """End one's own emergency access before its time. Raises Hidden for anybody else's."""
    authorize(by, "emergency.break", Resource("emergency", str(glass_id)))
    rows = BreakGlass.objects.for_actor(_ACCESS).filter(pk=glass_id, user_id=by.id)
    glass = rows.select_related("patient", "relation").first()
    if glass is None:
        raise Hidden("There is no such page.")
    moment = now()
    if glass.relation.ends_at <= moment:
        raise StateConflict("This emergency access has already ended.")
    rows.update(handed_back_at=moment)
    CareRelation.objects.filter(pk=glass.relation_id).update(ends_at=moment)
    record(Act("emergency.hand_back", "emergency", str(glass.pk), glass.patient.pseudonym, PURPOSE), by=by)


@transaction.atomic
def take_note(*, glass_id: UUID, by: Actor) -> None:
    """Somebody of the patient's care team has read that the glass was broken. Raises Hidden for others. Twice is once."""
    authorize(by, "emergency.notice", Resource("emergency", str(glass_id)))
    rows = BreakGlass.objects.for_actor(by).annotate(theirs=cared_for(by, "patient_id")).exclude(user_id=by.id)
    glass = rows.select_related("patient").filter(pk=glass_id, theirs=True).first()
    if glass is None:
        raise Hidden("There is no such page.")
    _, made = NoticeSeen.objects.get_or_create(glass=glass, user_id=by.id, defaults={"seen_at": now()})
    if made:
        record(Act("emergency.seen", "emergency", str(glass.pk), glass.patient.pseudonym, "care"), by=by)


@transaction.atomic
def review(*, glass_id: UUID, verdict: str, finding: str, by: Actor) -> None:
    """Judge an emergency access that is over, and close it. Raises Hidden for another hospital's, StateConflict for one's
    own, for an open one and for one that is closed."""
    authorize(by, "emergency.review", Resource("emergency", str(glass_id)))
    sites = sites_as(viewer=by, roles=["auditor"])
    rows = BreakGlass.objects.for_actor(_ACCESS).filter(pk=glass_id, patient__site__in=sites)
    glass = rows.select_related("patient", "relation").first()
    if glass is None:
        raise Hidden("There is no such page.")
    if str(glass.user_id) == by.id:
        raise StateConflict("This was your own emergency access. Another person must review it.")
    check_two_people(one=str(glass.user_id), other=by.id)
    moment = now()
    if glass.relation.ends_at > moment:
        raise StateConflict("This emergency access is still open. It can be reviewed when it is over.")
    if verdict not in Verdict.values:
        raise BadInput("Verdict: choose one from the list.")
    glass.finding = sentence(finding, "What you found")
    held = BreakGlass.objects.for_actor(_ACCESS).filter(pk=glass.pk, reviewed_at__isnull=True)
    done = held.update(reviewer_id=by.id, reviewed_at=moment, verdict=verdict, finding_sealed=glass.finding_sealed)
    if not done:
        raise StateConflict("This emergency access was reviewed already. The first verdict stands.")
    detail = {"verdict": verdict, "late": moment > glass.review_by}
    record(Act("emergency.review", "emergency", str(glass.pk), glass.patient.pseudonym, PURPOSE, detail=detail), by=by)
