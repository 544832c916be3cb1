"""Asking for access and deciding on it. Looking up what was asked for happens at the decision, never before."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from salus_web.access.models import AccessPurpose, AccessRequest, RequestState, Scope
from salus_web.access.words import sentence
from salus_web.accounts.actors import Actor, system
from salus_web.accounts.models import User
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.selectors import actor_for_user, sites_as
from salus_web.accounts.standing import may_sign_in
from salus_web.audit.services import Act, record
from salus_web.cohorts.models import Project
from salus_web.cohorts.selectors import is_member
from salus_web.cohorts.services import join_project
from salus_web.common.clock import SENT_TWICE, now
from salus_web.common.encryption import blind_index
from salus_web.common.errors import BadInput, Hidden, StateConflict
from salus_web.records.models import CareRelation, CareTeam, CareTeamMembership, Patient
from salus_web.records.services import join_team

REQUESTED = "access request"  # the kind of a relation that was asked for and granted
LONGEST = timedelta(days=366)
OPEN_AT_MOST = 20
# who may ask for what: the role that they hold at the hospital
ROLE: dict[str, str] = {str(Scope.PATIENT): "clinician", str(Scope.TEAM): "clinician", str(Scope.PROJECT): "researcher"}
_ACCESS = system("access")


@transaction.atomic
def ask_access(
    *, site_id: str, scope: str, wanted: str, purpose: str, reason: str, ends_at: datetime | None, by: Actor
) -> AccessRequest:
    """Ask for access to a patient, a team or a project until an end. What is wanted is kept as it was typed and not looked
    up. The same request sent twice within a moment is one. Raises BadInput."""
    authorize(by, "access.ask", Resource("request"))
    if ROLE.get(scope) not in by.roles:
        raise BadInput("What for: choose a patient or a care team as a clinician, a research project as a researcher.")
    site = next((site for site in sites_as(viewer=by, roles=[ROLE[scope]]) if str(site.pk) == site_id), None)
    if site is None:
        raise BadInput("Hospital: choose one of yours.")
    if not 0 < len(wanted.strip()) <= 200:
        raise BadInput("Record number or name: type it whole, up to 200 letters.")
    if purpose not in AccessPurpose.values or (scope == Scope.PROJECT) != (purpose == AccessPurpose.RESEARCH):
        raise BadInput("Purpose: choose one that fits; research is for projects, and projects are for research.")
    said = sentence(reason, "Why")
    _check_end(ends_at)
    asked = {"site": site, "scope": scope, "purpose": purpose, "ends_at": ends_at}
    if (earlier := _asked_just_now(by, asked, wanted.strip(), said)) is not None:
        return earlier
    if AccessRequest.objects.filter(user_id=by.id, state=RequestState.OPEN, ends_at__gt=now()).count() >= OPEN_AT_MOST:
        raise BadInput(f"You have {OPEN_AT_MOST} open requests. Withdraw one, or wait until they are decided.")
    row = AccessRequest(user_id=by.id, asked_at=now(), **asked)
    row.wanted, row.reason = wanted.strip(), said
    row.save(force_insert=True)
    record(Act("access.ask", "request", str(row.pk), purpose=_purpose(row), detail={"scope": scope, "for": purpose}), by=by)
    return row


def _asked_just_now(by: Actor, asked: dict[str, Any], wanted: str, reason: str) -> AccessRequest | None:
    """The same request, asked a moment ago. The person's row is held, so that of two clicks the second finds the first one's."""
    list(User.objects.select_for_update(no_key=True).filter(pk=by.id).values_list("pk", flat=True))
    rows = AccessRequest.objects.filter(user_id=by.id, state=RequestState.OPEN, asked_at__gt=now() - SENT_TWICE, **asked)
    return next((row for row in rows if (row.wanted, row.reason) == (wanted, reason)), None)


def _check_end(ends_at: datetime | None) -> None:
    moment = now()
    if ends_at is None or not moment < ends_at <= moment + LONGEST:
        raise BadInput("Last day: choose one that lies ahead, within a year. Access ends with that day by itself.")


def _purpose(row: AccessRequest) -> str:
    """What the log says it was for."""
    return "research" if row.scope == Scope.PROJECT else "care"


@transaction.atomic
def withdraw(*, request_id: UUID, by: Actor) -> None:
    """Take back one's own open request. Raises Hidden for anybody else's."""
    authorize(by, "access.ask", Resource("request", str(request_id)))
    row = AccessRequest.objects.select_for_update().filter(pk=request_id, user_id=by.id).first()
    if row is None:
        raise Hidden("There is no such page.")
    _close(row, str(RequestState.WITHDRAWN), "", by)
    record(Act("access.withdraw", "request", str(row.pk), purpose=_purpose(row)), by=by)


def _close(row: AccessRequest, state: str, answer: str, by: Actor) -> None:
    """Keep what became of a request that is open. A record number is not kept longer than it is needed."""
    if row.state != RequestState.OPEN:
        raise StateConflict(f"This request is not open any more: it was {row.get_state_display()}.")
    if row.ends_at <= now():
        raise StateConflict("This request is over: the day until which access was asked for has passed.")
    row.state, row.decided_at, row.answer = state, now(), answer
    row.decided_by_id = by.id if state != RequestState.WITHDRAWN else None
    if row.scope == Scope.PATIENT:
        row.wanted = ""
    row.save()


@transaction.atomic
def decide(*, request_id: UUID, grant: bool, answer: str, by: Actor) -> AccessRequest:
    """Grant or refuse a request of one of one's hospitals, with a reason; not one's own. What is granted lapses by itself.

    Raises Hidden for another hospital's, StateConflict for a closed one and where the person could not use it any more,
    BadInput where nobody and nothing here has that number or name.
    """
    authorize(by, "access.manage", Resource("request", str(request_id)))
    sites = sites_as(viewer=by, roles=["administrator"])
    row = AccessRequest.objects.select_for_update().filter(pk=request_id, site__in=sites).first()
    if row is None:
        raise Hidden("There is no such page.")
    if str(row.user_id) == by.id:
        raise StateConflict("This is your own request. Another administrator decides on it.")
    said, wanted = sentence(answer, "Reason of the decision"), row.wanted
    _close(row, str(RequestState.GRANTED if grant else RequestState.REFUSED), said, by)
    pseudonym = _give(row, wanted, by) if grant else ""
    detail = {"scope": row.scope, "for": row.purpose, "until": row.ends_at.isoformat(), "person": str(row.user_id)}
    action = "access.grant" if grant else "access.refuse"
    record(Act(action, "request", str(row.pk), pseudonym, _purpose(row), detail=detail), by=by)
    return row


def _give(row: AccessRequest, wanted: str, by: Actor) -> str:
    """Open what was asked for, until its end; returns the patient's pseudonym, where it is one patient."""
    role = ROLE[row.scope]
    theirs = sites_as(viewer=actor_for_user(row.user), roles=[role])
    if not may_sign_in(row.user) or row.site not in theirs:
        raise StateConflict(f"{row.user.display_name} is not a {role} at this hospital any more.")
    if row.scope == Scope.PATIENT:
        return _give_patient(row, wanted, by)
    if row.scope == Scope.TEAM:
        row.membership = _give_team(row, wanted, by)
    else:
        project = Project.objects.filter(name=wanted, sites=row.site).first()
        if project is None:
            raise BadInput("There is no project of this name at this hospital. Refuse the request, and say so.")
        if Project.objects.filter(is_member(actor_for_user(row.user)), pk=project.pk).exists():
            raise StateConflict(f"{row.user.display_name} is in this project already.")
        row.guest = join_project(project=project, user=row.user, ends_at=row.ends_at, by=by)
    row.save(update_fields=["membership", "guest"])
    return ""


def _give_patient(row: AccessRequest, number: str, by: Actor) -> str:
    patient = Patient.objects.for_actor(_ACCESS).filter(site=row.site, mrn_index=blind_index(number, purpose="mrn")).first()
    if patient is None:
        raise BadInput("Nobody at this hospital has this record number. Refuse the request, and say so.")
    row.relation = CareRelation.objects.create(
        patient=patient, user=row.user, kind=REQUESTED, reason=row.get_purpose_display(), starts_at=now(), ends_at=row.ends_at,
        added_by=by.id,
    )  # fmt: skip
    row.save(update_fields=["relation"])
    return patient.pseudonym


def _give_team(row: AccessRequest, name: str, by: Actor) -> CareTeamMembership:
    if not CareTeam.objects.filter(site=row.site, name=name).exists():
        raise BadInput("There is no care team of this name at this hospital. Refuse the request, and say so.")
    before: Any = now()
    member = join_team(site=row.site, team_name=name, user=row.user, ends_at=row.ends_at, by=by)
    if member.starts_at < before:
        raise StateConflict(f"{row.user.display_name} is in this care team already.")
    return member
