"""The operations page gathered: every part of it, each read for itself, so that one that fails takes no other with it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings

from salus_web.accounts.actors import Actor
from salus_web.dashboard.certificate import read_certificate
from salus_web.dashboard.pages.operations.disk import disk_figures
from salus_web.dashboard.pages.operations.figure import BAD, GOOD, LOOK, UNKNOWN, Figure, age
from salus_web.dashboard.pages.operations.keeping import backup_figures, log_figures
from salus_web.dashboard.pages.operations.keys import certificate_figure, key_figures
from salus_web.dashboard.pages.operations.migrations import migration_figure
from salus_web.dashboard.pages.operations.versions import NO_WORKER, depth_of, version_figures
from salus_web.dashboard.probes import PATIENCE_SECONDS, Answer, Probe
from salus_web.jobs.broker import ask
from salus_web.jobs.celery import QUEUES
from salus_web.jobs.models import Job, Outbox
from salus_web.jobs.selectors import Repairs, repairs
from salus_web.jobs.standing import (
    Queue,
    WorkerNow,
    measures,
    queues,
    sent_again,
    set_aside,
    workers,
)
from salus_web.predictions.selectors import DueLooks, due_looks


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue with what lies at the broker (None: not known) and what that means."""

    queue: Queue
    depth: int | None
    figure: Figure


@dataclass(frozen=True, slots=True)
class Operations:
    """All the page shows."""

    summary: list[Figure]
    workers: list[WorkerNow]
    queues: list[QueueRow]
    reconciler: Figure
    due: Figure | None
    set_aside: list[Job]
    sent_again: list[Outbox]
    groups: list[tuple[str, list[Figure]]]


@lru_cache(maxsize=4)
def broker_probe(url: str) -> Probe:
    """The one question to a broker."""
    return Probe(lambda: ask(url, queues=QUEUES), good_for_seconds=2.0)


@lru_cache(maxsize=4)
def certificate_probe(where: str) -> Probe:
    """The one question for a certificate."""
    return Probe(lambda: read_certificate(where), good_for_seconds=600.0)


def operations(*, viewer: Actor) -> Operations:
    """How everything stands. Waits a fifth of a second at most for what is outside this process and its database."""
    broker, where = broker_probe(settings.CELERY_BROKER_URL), settings.SALUS_CERTIFICATE
    certificate = certificate_probe(where) if where else None
    until = time.monotonic() + PATIENCE_SECONDS
    for probe in (broker, certificate):
        if probe is not None:
            probe.start()
    theirs, taken = workers(viewer=viewer), measures(viewer=viewer)
    groups = [
        ("The log", log_figures()), ("Backups", backup_figures()), ("Disk", disk_figures(taken)),
        ("Keys", key_figures(taken)),
    ]  # fmt: skip
    rows, keeper, due = queues(viewer=viewer), _reconciler(repairs(viewer=viewer)), _due(due_looks(viewer=viewer))
    again, aside = sent_again(viewer=viewer), set_aside(viewer=viewer)
    said = broker.answer(until=until)
    shown = [_queue(row, theirs, said) for row in rows]
    groups[3][1].append(certificate_figure(certificate.answer(until=until) if certificate else None))
    groups.append(("Version", [migration_figure(), *version_figures(theirs, said)]))
    figures = [*(row.figure for row in shown), keeper, *([due] if due else []), *(figure for _, group in groups for figure in group)]
    return Operations(_standing_out(figures), theirs, shown, keeper, due, aside, again, groups)


def _standing_out(figures: list[Figure]) -> list[Figure]:
    """What is not as it should be or not known, the worst first; versions that only a worker could tell are its absence, said once."""
    told = [figure for figure in figures if figure.hint != NO_WORKER]
    return [figure for state in (BAD, LOOK, UNKNOWN) for figure in told if figure.state == state]


def _queue(row: Queue, theirs: list[WorkerNow], broker: Answer) -> QueueRow:
    serving = [one for one in theirs if one.is_alive and row.name in one.row.queues.split(",")]
    label = f"Queue {row.name}"
    if not serving:
        figure = Figure(label, "nobody works for it", BAD if row.waiting or row.running else LOOK, "Start a worker for this queue.")
    else:
        figure = Figure(label, f"{len(serving)} at work", GOOD)
    return QueueRow(row, depth_of(broker, row.name), figure)


def _reconciler(found: Repairs) -> Figure:
    """The part that looks for lost jobs."""
    label = "Lost jobs"
    if found.row is None:
        return Figure(label, "nobody has looked for lost jobs yet", BAD, "Does a worker with the beat run?")
    said = f"last looked for {age(found.row.last_at)}; {found.row.sent:,} sent again in all"
    if found.is_overdue:
        return Figure(label, said, BAD, "It looks every ten seconds. Does the beat run?")
    return Figure(label, f"{said}; {found.late} late now" if found.late else said, LOOK if found.late else GOOD)


def _due(found: DueLooks | None) -> Figure | None:
    """The part that asks when a stay comes to its index moment; no figure where no live model waits for one."""
    if found is None:
        return None
    said = f"last looked for {age(found.last_at)}; {found.asked:,} risks asked for in all"
    hint = "It looks every minute. Does the beat run?" if found.is_overdue else ""
    return Figure("Stays old enough for a model", said, BAD if found.is_overdue else GOOD, hint)
