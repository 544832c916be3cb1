"""What the rules of audit.odd need to know: the looks of the last days, care relations then, and names by their blind index."""

from __future__ import annotations

from datetime import timedelta

from salus_web.accounts.actors import Actor, system
from salus_web.accounts.permissions import Resource, authorize
from salus_web.audit.odd import Look, Odd, rank
from salus_web.audit.selectors import looks_since
from salus_web.common.clock import now
from salus_web.common.encryption import blind_index
from salus_web.dashboard.pages.care_history import care_history
from salus_web.records.models import PatientNameToken

DAYS, ROWS = 7, 25
_AUDIT = system("audit")


def odd_looks(*, viewer: Actor) -> list[Odd]:
    """The oddest looks of the last seven days, at most 25 (4 queries however many looks)."""
    authorize(viewer, "audit.read", Resource("log"))
    looks = [Look(*row) for row in looks_since(since=now() - timedelta(days=DAYS))]
    patients, people = {look.patient for look in looks}, {look.actor_id for look in looks}
    history = care_history(patients=patients, people=people)
    namesakes = _namesakes({look.actor_name for look in looks}, patients)
    found = rank(
        looks,
        has_relation=lambda look: history.relation(actor_id=look.actor_id, patient=look.patient, at=look.at) is not None,
        shares_surname=lambda look: (look.actor_name, look.patient) in namesakes,
    )
    return found[:ROWS]


def _namesakes(names: set[str], patients: set[str]) -> set[tuple[str, str]]:
    """Pairs of a person's name and a patient's pseudonym that share the person's surname; compared by token only."""
    tokens: dict[str, list[str]] = {}
    for name in names:
        if name.split():
            tokens.setdefault(blind_index(name.split()[-1], purpose="name"), []).append(name)
    rows = PatientNameToken.objects.for_actor(_AUDIT).filter(token__in=list(tokens), patient__pseudonym__in=list(patients))
    return {(name, patient) for token, patient in rows.values_list("token", "patient__pseudonym") for name in tokens[token]}
