"""`manage.py replay [ID …]`: recompute stored risks from their receipts. Exit status 1 when one differs."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from salus_web.accounts.actors import system
from salus_web.common.clock import now
from salus_web.jobs.models import JobState
from salus_web.jobs.selectors import OVER
from salus_web.jobs.services import enqueue
from salus_web.predictions.models import Prediction

BY = system("command line")


class Command(BaseCommand):
    """Replays stored risks; a worker does the computing."""

    help = "Recompute stored risks from their receipts and compare to 1e-6 (all of them, or those named)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which risks."""
        parser.add_argument("ids", nargs="*", help="ids of risks (all that have a receipt unless given)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Queue, wait, say what differs."""
        rows = Prediction.objects.for_actor(BY).exclude(receipt_key="")
        ids = _known(rows, options["ids"]) if options["ids"] else [str(key) for key in rows.values_list("pk", flat=True)]
        if not ids:
            raise CommandError("There is no stored risk yet.")
        job = enqueue(
            kind="replay", unique_key=f"replay:{now().isoformat()}", payload={"prediction_ids": ids},
            title="Recomputing risks from their receipts", by=BY,
        )  # fmt: skip
        while job.state not in OVER:
            time.sleep(0.5)
            job.refresh_from_db()
        if job.state != JobState.DONE:
            raise CommandError(job.failure)
        for sentence in job.result["differences"]:
            self.stdout.write(sentence)
        if not job.result["agrees"]:
            raise CommandError("Not every risk came out again; the differences stand above.")
        self.stdout.write(f"{job.result['replayed']} risks came out again, to 1e-6.")


def _known(rows: Any, asked: list[str]) -> list[str]:
    """The ids as they are stored. CommandError names the first that is no id, or of which there is no risk with a receipt."""
    found = []
    for word in asked:
        try:
            key = UUID(word)
        except ValueError:
            raise CommandError(f"“{word}” is not the id of a risk. It stands in the address of the risk's page.") from None
        if not rows.filter(pk=key).exists():
            raise CommandError(f"There is no risk {key}, or it has no receipt.")
        found.append(str(key))
    return found
