"""Reading patients, always for somebody. `open_patient` is the one way to one patient's page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from django.db.models import Case, Count, Max, Prefetch, Q, QuerySet, Value, When, Window
from django.db.models.functions import RowNumber

from salus_web.accounts.actors import Actor, system
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.places import allowed_at, where_allowed
from salus_web.accounts.selectors import actor_for_user
from salus_web.accounts.standing import may_sign_in
from salus_web.audit.services import Act, record, record_many
from salus_web.common.clock import now
from salus_web.common.encryption import blind_index
from salus_web.common.errors import Hidden, Withheld
from salus_web.records.consent import ERASED
from salus_web.records.identity import CASE_SYSTEM
from salus_web.records.models import (
    Allergy,
    CareRelation,
    CareTeam,
    CareTeamMembership,
    Condition,
    Encounter,
    Medication,
    Observation,
    Patient,
    PatientNameToken,
)
from salus_web.records.persons import case_token, number_index
from salus_web.records.scopes import EMERGENCY, cared_for, few_in_care, live_relations, seen_for

_ACCESS = system("access")
NOT_FOR_CARE = (
    "This patient does not allow their data to be used here, not for their own care either. The hospital's own record "
    "system has the record. What the patient allows can be read and changed on the page of consents."
)


def open_patient(*, patient_id: Any, viewer: Actor, looking_at: str, purpose: str = "care") -> Patient:
    """The patient, if this viewer may see them; logged before the caller renders anything. What is seen by having broken
    the glass, and in no other way, is logged with the purpose `emergency`.

    Raises Hidden (404, as for an absent id) when there is no live care relation, and Withheld where there is one but the
    person was erased or does not allow their data to be used for care. 1 query and 1 log entry, else one more query.
    """
    found = Patient.objects.for_actor(viewer).select_related("site").annotate(in_care=cared_for(viewer))
    patient = found.filter(pk=patient_id).first()
    if patient is None:
        _refuse_withheld(patient_id, viewer, looking_at, purpose)
        named = Patient.objects.for_actor(_ACCESS).filter(pk=patient_id).values_list("pseudonym", flat=True).first()
        refuse_look(looking_at=looking_at, kind="patient", object_id=patient_id, pseudonym=named or "", viewer=viewer, purpose=purpose)
    authorize(viewer, "patient.read", Resource("patient", str(patient_id), in_scope=True))
    purpose = purpose if patient.in_care else seen_for(patient)
    record(Act(f"{looking_at}.read", "patient", str(patient.pk), patient.pseudonym, purpose), by=viewer)
    return patient


def refuse_look(
    *, looking_at: str, kind: str, object_id: Any, pseudonym: str, viewer: Actor, purpose: str = "care"
) -> NoReturn:
    """Refuse a look at something of a patient who is not in the viewer's care, or that is not there: the answer is the same.

    The try is on the log first, with the pseudonym of whose it is, so that an auditor finds it by patient. Raises Hidden.
    """
    record(Act(f"{looking_at}.read", kind, str(object_id), pseudonym, purpose, "refused"), by=viewer)
    authorize(viewer, "patient.read", Resource(kind, str(object_id)))
    raise Hidden("There is no such page.", is_logged=True)


def in_care(*, viewer: Actor, patient_id: Any) -> bool:
    """Whether this patient is in the viewer's care now, for an answer that says nothing of the patient; not logged (1 query)."""
    return bool(Patient.objects.for_actor(viewer).filter(pk=patient_id).exists())


def _refuse_withheld(patient_id: Any, viewer: Actor, looking_at: str, purpose: str) -> None:
    """Say to somebody in a care relation why nothing is shown; to anybody else nothing. On the log as a look that found
    nothing."""
    if viewer.is_system:
        return
    patient = Patient.objects.related_to(viewer).annotate(in_care=cared_for(viewer)).filter(pk=patient_id).first()
    if patient is None:
        return
    purpose = purpose if patient.in_care else seen_for(patient)
    state, sentence = ("erased", ERASED) if patient.erased_at is not None else ("withheld", NOT_FOR_CARE)
    record(Act(f"{looking_at}.read", "patient", str(patient.pk), patient.pseudonym, purpose, outcome=state), by=viewer)
    raise Withheld(state, sentence)


FOUND_AT_MOST = 50
READINGS_AT_MOST = 3000
NEWEST_AT_MOST = 100
VALUES_AT_MOST = 60
ALLERGIES_IN_BANNER = 6


def search_patients(*, viewer: Actor, text: str) -> list[Patient]:
    """Patients in the viewer's care by whole record number or whole words of the name, one more than are shown; those that are
    shown are logged (2 queries and the log).

    Words are compared through their blind index, so part of a word finds nothing.
    """
    authorize(viewer, "patient.search", Resource("patient"))
    words = text.split()
    if not words:
        return []
    rows = Patient.objects.for_actor(viewer).select_related("site").annotate(in_care=cared_for(viewer))
    by_number = Q(mrn_index=number_index(text)) | Q(pk__in=_with_token(viewer, case_token(text)))
    by_name = Q()
    for word in words:
        by_name &= Q(pk__in=_with_token(viewer, blind_index(word, purpose="name")))
    found = list(rows.filter(by_number | by_name).order_by("birth_date", "pk")[: FOUND_AT_MOST + 1])
    acts = [Act("search.read", "patient", str(row.pk), row.pseudonym, seen_for(row)) for row in found[:FOUND_AT_MOST]]
    record_many(acts or [Act("search.read", "patient", outcome="nothing found")], by=viewer)
    return found


def _with_token(viewer: Actor, token: str) -> QuerySet[Any]:
    return PatientNameToken.objects.for_actor(viewer).filter(token=token).values("patient_id")


def my_patients(*, viewer: Actor, page: int, size: int = 25) -> list[Patient]:
    """The viewer's patients, newest first, one more than a page so that the caller knows of a next; logged."""
    authorize(viewer, "patient.search", Resource("patient"))
    start = (max(page, 1) - 1) * size
    rows, few = Patient.objects.for_actor(viewer).select_related("site").annotate(in_care=cared_for(viewer)), few_in_care(viewer)
    rows = rows if few is None else rows.filter(pk__in=few)
    found = list(rows.order_by("-created_at", "pk")[start : start + size + 1])
    record_many([Act("patient.list", "patient", str(row.pk), row.pseudonym, seen_for(row)) for row in found[:size]], by=viewer)
    return found


def purposes(*, viewer: Actor, patient_ids: Sequence[Any]) -> dict[Any, str]:
    """Per patient whom the viewer sees, the purpose that goes to the log: `care`, or `emergency` where only a broken glass
    opens the record (1 query). The machine has none."""
    if viewer.is_system:
        return dict.fromkeys(patient_ids, "")
    cared_for = live_relations(viewer).exclude(kind=EMERGENCY).filter(patient_id__in=list(patient_ids))
    known = set(cared_for.values_list("patient_id", flat=True))
    return {key: "care" if key in known else "emergency" for key in patient_ids}


def why_seen(actor: Actor, patient: Patient) -> CareRelation | None:
    """The relation through which somebody sees a patient now: the newest one, a broken glass only where there is no other
    (1 query)."""
    rows = live_relations(actor).select_related("team").filter(patient=patient).order_by("-starts_at")
    return min(rows, key=lambda row: row.kind == EMERGENCY, default=None)


@dataclass(frozen=True, slots=True)
class BannerFacts:
    """What the banner says beside the name."""

    ward: str
    allergies: list[str]  # the worst ones
    more_allergies: int
    care: str


def banner_facts(*, viewer: Actor, patient: Patient) -> BannerFacts:
    """Ward, allergies that are not over, and why the viewer may see this patient (3 queries)."""
    stay = Encounter.objects.for_actor(viewer).filter(patient=patient, is_taken_back=False).order_by("-starts_at").first()
    allergies = [row.display for row in _allergies(viewer, patient) if row.status not in Allergy.OVER]
    relation = why_seen(viewer, patient)
    care = "" if relation is None else f"care team: {relation.team.name}" if relation.team else f"{relation.kind}: {relation.why}"
    return BannerFacts(
        ward=stay.ward if stay and stay.ends_at is None else "", allergies=allergies[:ALLERGIES_IN_BANNER],
        more_allergies=max(0, len(allergies) - ALLERGIES_IN_BANNER), care=care,
    )  # fmt: skip


def _allergies(viewer: Actor, patient: Patient) -> list[Allergy]:
    """Those that are not over first, and of both the worst first: one of which nobody said how bad it is may be as bad (1 query)."""
    is_over = Case(When(status__in=Allergy.OVER, then=Value(1)), default=Value(0))
    worse = Case(When(criticality="high", then=Value(0)), When(criticality="low", then=Value(2)), default=Value(1))
    return list(Allergy.objects.for_actor(viewer).filter(patient=patient).order_by(is_over, worse, "display", "pk"))


@dataclass(frozen=True, slots=True)
class RecordRows:
    """A patient's record in a stretch of time."""

    encounters: list[Encounter]
    observations: list[Observation]
    conditions: list[Condition]
    medications: list[Medication]
    more_conditions: int
    more_medications: int
    allergies: list[Allergy]


def record_rows(*, viewer: Actor, patient: Patient, since: datetime) -> RecordRows:
    """What was recorded since a moment, oldest first; at most 3,000 readings, the newest ones. Of problems and drugs the newest
    hundred, and how many more there are; all allergies (5 queries, and one for each list that is longer)."""
    readings = Observation.objects.for_actor(viewer).filter(patient=patient, observed_at__gte=since)
    still = Q(ends_at__isnull=True) | Q(ends_at__gte=since)
    conditions, more_conditions = _newest(Condition.objects.for_actor(viewer).filter(patient=patient, is_other_coding=False).order_by("-recorded_at"))
    medications, more_medications = _newest(Medication.objects.for_actor(viewer).filter(patient=patient, is_other_coding=False).order_by("-starts_at"))
    return RecordRows(
        list(Encounter.objects.for_actor(viewer).filter(still, patient=patient, is_taken_back=False).order_by("starts_at")),
        list(readings.order_by("-observed_at")[:READINGS_AT_MOST])[::-1],
        conditions, medications, more_conditions, more_medications, _allergies(viewer, patient),
    )  # fmt: skip


def _newest(rows: QuerySet[Any]) -> tuple[list[Any], int]:
    """The first hundred, and how many more there are (1 query; 2 where there are more)."""
    found = list(rows[: NEWEST_AT_MOST + 1])
    return found[:NEWEST_AT_MOST], rows.count() - NEWEST_AT_MOST if len(found) > NEWEST_AT_MOST else 0


def newest_of_each(*, viewer: Actor, patient: Patient) -> list[Observation]:
    """The last value of everything that was ever measured, however long ago, by code and unit; the newest first, one more than
    are shown (2 queries)."""
    rows = Observation.objects.for_actor(viewer).filter(patient=patient)
    place = Window(RowNumber(), partition_by=["code", "unit"], order_by=["-observed_at", "-pk"])
    # the keys first: rows whole, with their sealed notes, would all be sorted to keep a few
    keys = rows.annotate(place=place).filter(place=1).order_by("-observed_at", "-pk").values_list("pk", flat=True)
    return list(rows.filter(pk__in=list(keys[: VALUES_AT_MOST + 1])).order_by("-observed_at", "-pk"))


def last_moment(*, viewer: Actor, patient: Patient) -> datetime | None:
    """When something was last recorded of a patient (1 query)."""
    rows = Observation.objects.for_actor(viewer).filter(patient=patient).order_by("-observed_at")
    return rows.values_list("observed_at", flat=True).first()


def newest_readings(*, viewer: Actor, patient_ids: Sequence[Any]) -> dict[Any, datetime]:
    """Per patient when something was last recorded (1 query)."""
    rows = Observation.objects.for_actor(viewer).filter(patient_id__in=list(patient_ids))
    return dict(rows.values_list("patient_id").annotate(newest=Max("observed_at")).values_list("patient_id", "newest"))


TEAMS_PAGE = 25
MEMBERS_SHOWN = 20
MEMBERS_PAGE = 50
MEMBERSHIPS_AT_MOST = 100
RELATIONS_SHOWN = 100


def teams(*, viewer: Actor, page: int = 1) -> list[CareTeam]:
    """A page of the care teams of the viewer's hospitals, one more than a page so that the caller knows of a next. Each has
    its first members by name as `live_members`, and how many more there are as `others` (3 queries)."""
    authorize(viewer, "access.read", Resource("team"))
    start = (max(page, 1) - 1) * TEAMS_PAGE
    shown = Prefetch("memberships", queryset=_live_members()[:MEMBERS_SHOWN], to_attr="live_members")
    rows = CareTeam.objects.filter(where_allowed(viewer, "access.read")).select_related("site").prefetch_related(shown)
    found = list(rows.order_by("site__name", "name", "pk")[start : start + TEAMS_PAGE + 1])
    sizes = _live_members().filter(team__in=found).order_by().values_list("team").annotate(size=Count("pk"))
    size_of = dict(sizes.values_list("team", "size"))
    for team in found:
        team.others = max(0, size_of.get(team.pk, 0) - MEMBERS_SHOWN)  # type: ignore[attr-defined]
    return found


def team_here(*, viewer: Actor, team_id: Any, page: int = 1) -> tuple[CareTeam, list[CareTeamMembership]]:
    """A care team of one of the viewer's hospitals and a page of its members of now, one more than a page; Hidden for any
    other team (2 queries)."""
    authorize(viewer, "access.read", Resource("team", str(team_id)))
    team = CareTeam.objects.select_related("site").filter(where_allowed(viewer, "access.read"), pk=team_id).first()
    if team is None:
        raise Hidden("There is no such page.")
    start = (max(page, 1) - 1) * MEMBERS_PAGE
    return team, list(_live_members().filter(team=team)[start : start + MEMBERS_PAGE + 1])


def memberships_of(*, viewer: Actor, user: Any) -> list[CareTeamMembership]:
    """The care teams of the viewer's hospitals in which a person is now, by name, the first hundred (1 query)."""
    authorize(viewer, "access.read", Resource("user", str(user.pk)))
    rows = _live_members().filter(where_allowed(viewer, "access.read", "team__site_id"), user=user).select_related("team__site")
    return list(rows.order_by("team__site__name", "team__name", "pk")[:MEMBERSHIPS_AT_MOST])


def _live_members() -> QuerySet[CareTeamMembership]:
    live = Q(ends_at__isnull=True) | Q(ends_at__gt=now())
    return CareTeamMembership.objects.select_related("user").filter(live).order_by("user__display_name", "pk")


def person_by_number(*, viewer: Actor, site_id: Any, mrn: str) -> Patient | None:
    """The patient of a record number, for those who manage or read access; of a number that no patient has, the one person of
    a case table who has it (where two tables have it: its data set and a slash before it). Nothing clinical is in what they
    are shown, and the look is logged (2 queries)."""
    authorize(viewer, "access.read", Resource("patient"))
    here = Patient.objects.for_actor(_ACCESS).filter(where_allowed(viewer, "access.read"), site_id=site_id)
    row = here.filter(mrn_index=number_index(mrn)).first() or _case_person(here, mrn.strip())
    found = row.pseudonym if row else ""
    record(Act("access.look", "patient", str(row.pk) if row else "", found, outcome="done" if row else "nothing found"), by=viewer)
    return row


def _case_person(here: QuerySet[Patient], text: str) -> Patient | None:
    data, slash, number = text.rpartition("/")
    named = Q(mrn_system__startswith=CASE_SYSTEM, pk__in=_with_token(_ACCESS, case_token(text)))
    if slash:
        named |= Q(mrn_system=f"{CASE_SYSTEM}{data}", pk__in=_with_token(_ACCESS, case_token(number)))
    found = list(here.filter(named).order_by("pk")[:2])
    return found[0] if len(found) == 1 else None


def relations_of(*, viewer: Actor, patient: Patient) -> list[CareRelation]:
    """The care relations of a patient, live ones first, the newest first of both, one more than are shown (1 query)."""
    authorize(viewer, "access.read", Resource("patient"))
    is_over = Case(When(ends_at__lte=now(), then=Value(1)), default=Value(0))
    rows = CareRelation.objects.select_related("team", "user", "site").filter(patient=patient).annotate(is_over=is_over)
    return list(rows.order_by("is_over", "-starts_at", "pk")[: RELATIONS_SHOWN + 1])


def relation_of_site(*, viewer: Actor, relation_id: Any) -> CareRelation | None:
    """A care relation to a patient of one of the viewer's hospitals, for those who manage access (2 queries)."""
    authorize(viewer, "access.manage", Resource("relation", str(relation_id)))
    row = CareRelation.objects.filter(pk=relation_id).first()
    theirs = Patient.objects.for_actor(_ACCESS).filter(where_allowed(viewer, "access.manage"))
    return row if row is not None and theirs.filter(pk=row.patient_id).exists() else None


def why_may_see(*, viewer: Actor, patient: Patient, user: Any) -> str:
    """One sentence: may this person see this patient now, and why: standing, role, and the relation, be it a care team, a
    consult, a granted request or an emergency (3 queries)."""
    authorize(viewer, "access.read", Resource("patient"))
    actor = actor_for_user(user)
    if not may_sign_in(user):
        over = f"the account ended on {user.expires_at:%d %b %Y}" if user.is_active else "the account is closed"
        return f"{user.display_name} may not see this patient: {over}."
    if "clinician" not in actor.roles:
        held = f" (at present: {', '.join(sorted(actor.roles))})" if actor.roles else " (no role at present)"
        return f"{user.display_name} may not see this patient: not a clinician at present{held}."
    if not allowed_at(actor, "patient.read", patient.site_id):
        return f"{user.display_name} may not see this patient: not a clinician of this hospital at present, only of another."
    relation = why_seen(actor, patient)
    if relation is None:
        return f"{user.display_name} may not see this patient: there is no care relation at present."
    end = _end_of(relation, user)
    until = f"until {end:%d %b %Y %H:%M}" if end else "with no end set"
    kind = "by breaking the glass in an emergency" if relation.kind == EMERGENCY else relation.kind
    through = f"care team {relation.team.name}" if relation.team else f"{kind} ({relation.why})"
    return f"{user.display_name} may see this patient {until}: {through}, since {relation.starts_at:%d %b %Y}."


def _end_of(relation: CareRelation, user: Any) -> datetime | None:
    """When a relation ends for a person: with itself, or before, with the person's time in the team."""
    ends = [relation.ends_at]
    if relation.team_id:
        live = CareTeamMembership.objects.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=now()), team_id=relation.team_id, user=user)
        spans = list(live.values_list("ends_at", flat=True))
        ends.append(None if None in spans else max(spans))
    return min((end for end in ends if end is not None), default=None)
