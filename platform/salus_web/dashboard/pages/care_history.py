"""Why somebody could see a patient at a moment that has passed: care relations and memberships as they were then."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from salus_web.accounts.actors import system
from salus_web.records.models import CareRelation, CareTeamMembership, Patient

_ACCESS = system("access")
Span = tuple[datetime, datetime | None]


@dataclass
class CareHistory:
    """Relations by patient and memberships by person and team; `pseudonyms` of the patients by their id."""

    relations: dict[str, list[CareRelation]] = field(default_factory=dict)
    memberships: dict[tuple[str, Any], list[Span]] = field(default_factory=dict)
    pseudonyms: dict[Any, str] = field(default_factory=dict)

    def relation(self, *, actor_id: str, patient: str, at: datetime) -> CareRelation | None:
        """The relation through which a person could see a patient then, the newest of several."""
        live = [row for row in self.relations.get(patient, []) if _holds((row.starts_at, row.ends_at), at)]
        theirs = [row for row in live if str(row.user_id) == actor_id or self._was_member(actor_id, row.team_id, at)]
        return max(theirs, key=lambda row: row.starts_at, default=None)

    def why(self, *, actor_id: str, patient: str, at: datetime) -> str:
        """The same in plain words; empty when there was none."""
        found = self.relation(actor_id=actor_id, patient=patient, at=at)
        if found is None:
            return ""
        through = f"care team of {found.team.name}" if found.team else found.kind.replace("_", " ")
        return through if found.team or not found.why else f"{through}: {found.why}"

    def _was_member(self, actor_id: str, team_id: Any, at: datetime) -> bool:
        return any(_holds(span, at) for span in self.memberships.get((actor_id, team_id), []))


def _holds(span: Span, at: datetime) -> bool:
    return span[0] <= at and (span[1] is None or at < span[1])


def care_history(*, patients: Iterable[str], people: Iterable[str]) -> CareHistory:
    """All relations of these patients (pseudonyms) and all memberships of these people (3 queries)."""
    named = Patient.objects.for_actor(_ACCESS).filter(pseudonym__in=list(patients))
    found = CareHistory(pseudonyms=dict(named.values_list("pk", "pseudonym")))
    for row in CareRelation.objects.select_related("team").filter(patient_id__in=list(found.pseudonyms)):
        found.relations.setdefault(found.pseudonyms[row.patient_id], []).append(row)
    held = CareTeamMembership.objects.filter(user_id__in=list(people))
    for user, team, start, end in held.values_list("user_id", "team_id", "starts_at", "ends_at"):
        found.memberships.setdefault((str(user), team), []).append((start, end))
    return found
