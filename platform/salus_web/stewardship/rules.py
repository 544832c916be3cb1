"""For how many years after a person's last encounter each kind of record is kept. Every change stays as a row; no rule: for ever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from salus_web.accounts.permissions import Resource, authorize
from salus_web.audit.services import Act, record
from salus_web.common.clock import now
from salus_web.common.errors import BadInput
from salus_web.stewardship.holdings import KIND_WORDS, KINDS
from salus_web.stewardship.models import RetentionRule

LONGEST_YEARS = 130


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for one kind of record. `years` is None where it is kept for ever."""

    kind: str
    words: str
    years: int | None
    changed: RetentionRule | None


def rules_now() -> dict[str, int | None]:
    """Years by kind of record (1 query)."""
    return {rule.kind: rule.years for rule in rules()}


def rules() -> list[Rule]:
    """The rule of each kind, with who last changed it (1 query). Says nothing of any patient."""
    newest: dict[str, RetentionRule] = {row.kind: row for row in RetentionRule.objects.order_by("changed_at", "pk")}
    return [Rule(kind, KIND_WORDS[kind], newest[kind].years if kind in newest else None, newest.get(kind)) for kind in KINDS]


@transaction.atomic
def set_rule(*, kind: str, years: int | None, by: Any) -> RetentionRule:
    """Change one rule from now on. Nothing is erased by it: that takes a run and two people."""
    authorize(by, "keeping.change", Resource("rule", kind))
    if kind not in KINDS:
        raise BadInput("Kind: choose a kind of record from the list.")
    if years is not None and not 0 < years <= LONGEST_YEARS:
        raise BadInput(f"Years: give a whole number from 1 to {LONGEST_YEARS}, or nothing to keep it for ever.")
    before = rules_now()[kind]
    row = RetentionRule.objects.create(kind=kind, years=years, changed_by_name=by.name, changed_at=now())
    record(Act("retention.rule", "rule", str(row.pk), detail={"kind": kind, "from": before, "to": years}), by=by)
    return row
