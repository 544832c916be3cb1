"""What the jobs drill asks of the database, in a process of its own. `python -m tests.drills.jobs_hospital COMMAND …` prints JSON."""

from __future__ import annotations

import json
import sys
from collections import Counter

import django

django.setup()

import orjson  # noqa: E402 - Django must be up first
from salus_web.accounts.actors import system  # noqa: E402
from salus_web.audit.models import Event  # noqa: E402
from salus_web.audit.services import Act, record  # noqa: E402
from salus_web.common import vault  # noqa: E402
from salus_web.jobs.models import Job, JobState, Outbox  # noqa: E402
from salus_web.jobs.services import enqueue, publish, reconcile  # noqa: E402
from salus_web.predictions.models import CurrentRisk, Prediction, RiskMap  # noqa: E402
from salus_web.predictions.services import request  # noqa: E402
from salus_web.records.models import Patient  # noqa: E402
from salus_web.registry.models import ModelBundle  # noqa: E402

DRILL, FILLING = system("drill"), ("load_cases", "train_task")


def risks(first: int, count: int) -> dict[str, int]:
    """Ask for the risk of each of so many people, from a place in their row on: one job for each."""
    bundle = ModelBundle.objects.get(state="live")
    keys = [str(key) for key in Patient.objects.for_actor(DRILL).order_by("pk").values_list("pk", flat=True)[first : first + count]]
    for key in keys:
        request(patient_ids=[key], bundle=bundle, why="drill", by=DRILL)
    return {"asked": len(keys)}


def told() -> dict[str, object]:
    """Whether each job that was asked for has one risk, one line of it and of its end, and a receipt that opens and says the same."""
    jobs = list(Job.objects.filter(kind="predict"))
    rows = list(Prediction.objects.for_actor(DRILL).filter(origin="live"))
    per_job, lines = Counter(row.job_id for row in rows), Counter(Event.objects.values_list("action", "object_id"))
    receipts = [orjson.loads(vault.get(row.receipt_key, sha256=row.receipt_sha256)) for row in rows]
    maps = RiskMap.objects.for_actor(DRILL).filter(prediction__origin="live")
    current = CurrentRisk.objects.for_actor(DRILL).filter(prediction__in=rows).count()
    return {
        "asked": len(jobs), "done": sum(job.state == JobState.DONE for job in jobs), "rows": len(rows),
        "not_one_row": sum(per_job[job.pk] != 1 for job in jobs), "of_no_job": len(set(per_job) - {job.pk for job in jobs}),
        "not_one_word": sum(lines["job.done", str(job.pk)] != 1 for job in jobs),
        "not_one_line": sum(lines["prediction.store", str(row.pk)] != 1 for row in rows),
        "lines_of_nothing": sum(action == "prediction.store" for action, _ in lines) - Prediction.objects.for_actor(DRILL).count(),
        "wrong_receipts": sum(found["outputs"]["probability"] != row.probability for found, row in zip(receipts, rows, strict=True)),
        "maps": sum(bool(vault.get(one.blob_key, sha256=one.blob_sha256)) for one in maps), "current": current,
        "attempts": sum(job.attempts for job in jobs), "crashes": sum(job.crashes for job in jobs),
        "failed": [job.failure for job in jobs if job.failure],
    }  # fmt: skip


def ask(count: int, seconds: float, kind: str = "drill") -> dict[str, int]:
    """Queue so many jobs."""
    for number in range(count):
        enqueue(kind=kind, unique_key=f"{kind} {number}", payload={"seconds": seconds}, by=DRILL)
    return {"asked": count}


def mend() -> dict[str, int]:
    """One round of the reconciler, and a person who tries what was set aside once more."""
    again = Job.objects.filter(kind__in=["drill", "predict"], state=JobState.QUARANTINED)
    tried = 0
    for job in again:
        Job.objects.filter(pk=job.pk).update(state=JobState.QUEUED, crashes=0)
        Outbox.objects.filter(job=job).update(published_at=None)
        record(Act("job.retry", "job", str(job.pk)), by=DRILL)
        tried += 1
    return {"sent": reconcile(), "tried": tried, **dict(Counter(Job.objects.exclude(kind__in=FILLING).values_list("state", flat=True)))}


def twice() -> dict[str, int]:
    """Send every waiting job's id three times over, as a broker does whose memory of what was taken is too short."""
    for key in list(Job.objects.filter(state=JobState.QUEUED).values_list("pk", flat=True)):
        for _ in range(3):
            publish(job_id=str(key))
    return {}


def count() -> dict[str, object]:
    """Jobs by state, and how many have not exactly one result and one word of being done."""
    jobs = {str(key) for key in Job.objects.filter(kind="drill").values_list("pk", flat=True)}
    lines = Counter(Event.objects.filter(action__in=["drill.result", "job.done"]).values_list("action", "object_id"))
    wrong = {name: sum(lines[name, key] != 1 for key in jobs) for name in ("drill.result", "job.done")}
    states = Counter(Job.objects.values_list("kind", "state"))
    return {
        "states": {f"{kind} {state}": number for (kind, state), number in states.items()}, "wrong_results": wrong["drill.result"],
        "wrong_words": wrong["job.done"], "attempts": sum(Job.objects.values_list("attempts", flat=True)),
        "crashes": sum(Job.objects.values_list("crashes", flat=True)),
        "poison": [job.failure for job in Job.objects.filter(kind="poison")],
    }  # fmt: skip


COMMANDS = {"risks": risks, "told": told, "ask": ask, "mend": mend, "twice": twice, "count": count}

if __name__ == "__main__":
    arguments = [json.loads(word) if word[0].isdigit() else word for word in sys.argv[2:]]
    sys.stdout.write(json.dumps(COMMANDS[sys.argv[1]](*arguments)))  # type: ignore[operator]
