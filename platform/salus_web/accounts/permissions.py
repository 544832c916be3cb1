"""May this person do this? One pure function decides; it looks nothing up."""

from __future__ import annotations

from dataclasses import dataclass

from salus_web.accounts.actors import Actor
from salus_web.common.errors import Hidden, Refused

CLINICAL = frozenset({"clinician"})
RULES: dict[str, frozenset[str]] = {
    "patient.read": CLINICAL,
    "patient.search": CLINICAL,
    "emergency.break": CLINICAL,
    "emergency.notice": CLINICAL,
    "emergency.read": frozenset({"administrator", "auditor"}),
    "emergency.review": frozenset({"auditor"}),
    "prediction.request": CLINICAL,
    "prediction.review": CLINICAL,
    "consent.record": CLINICAL,
    "upload.create": frozenset({"clinician", "administrator"}),
    "upload.read": frozenset({"clinician", "administrator"}),
    "jobs.read": frozenset({"administrator", "clinician", "researcher"}),
    "jobs.retry": frozenset({"administrator"}),
    "jobs.stop": frozenset({"administrator"}),
    "models.read": frozenset({"administrator", "clinician", "researcher"}),
    "models.promote": frozenset({"administrator"}),
    "operations.read": frozenset({"administrator"}),
    "access.ask": frozenset({"clinician", "researcher"}),
    "access.manage": frozenset({"administrator"}),
    "keys.destroy": frozenset({"administrator"}),
    "keeping.read": frozenset({"administrator"}),
    "keeping.change": frozenset({"administrator"}),
    "access.read": frozenset({"administrator", "auditor"}),
    "audit.read": frozenset({"auditor", "administrator"}),
    "audit.verify": frozenset({"auditor", "administrator"}),
    "audit.export": frozenset({"auditor"}),
    "audit.report": frozenset({"auditor", "administrator"}),
    "cohort.use": frozenset({"researcher"}),
    "release.request": frozenset({"researcher"}),
    "release.decide": frozenset({"researcher", "administrator"}),
    "token.make": frozenset({"clinician", "administrator", "researcher"}),
    "self.read": frozenset({"clinician", "administrator", "auditor", "researcher"}),
}


@dataclass(frozen=True, slots=True)
class Resource:
    """What is acted on. `in_scope` is None where the action concerns no single object, else whether the
    actor's scoped read found it."""

    kind: str
    id: str = ""
    in_scope: bool | None = None


def authorize(actor: Actor, action: str, resource: Resource) -> None:
    """Raise Refused (403) when the role may not, Hidden (404) when the object is not theirs to know of."""
    if actor.is_system:
        return
    if action not in RULES:
        raise Refused(f"Nobody has said who may do “{action}”.")
    if actor.is_anonymous:
        raise Refused("Please sign in first.")
    if not (actor.roles & RULES[action]):
        raise Refused("Your role does not include this.")
    if resource.in_scope is False:
        raise Hidden("There is no such page.")


def can(actor: Actor, action: str) -> bool:
    """Whether the role part of `authorize` would allow this."""
    return actor.is_system or (not actor.is_anonymous and bool(actor.roles & RULES.get(action, frozenset())))
