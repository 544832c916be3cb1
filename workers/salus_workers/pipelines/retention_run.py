"""Carries out a retention run that two people agreed to."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction
from salus_web.accounts.actors import system
from salus_web.jobs.services import Claim, finish
from salus_web.stewardship.carrying_out import carry_out, close_run

ACTOR = system("retention")


def run(claim: Claim, report: Callable[[float, str], None]) -> None:
    """Each person in a transaction of its own; the run and the job end together."""
    run_id = claim.payload["run_id"]
    found = carry_out(run_id=run_id, report=report, by=ACTOR)
    with transaction.atomic():
        close_run(run_id=run_id, by=ACTOR)
        finish(claim=claim, result=found, by=ACTOR)
