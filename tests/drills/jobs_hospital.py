"""What the jobs drill asks of the database, in a process of its own. `python -m tests.drills.jobs_hospital COMMAND …` prints JSON."""

from __future__ import annotations

import json
import sys
from collections import Counter

import django

django.setup()

from salus_web.accounts.actors import system  # noqa: E402 - Django must be up first
from salus_web.audit.models import Event  # noqa: E402
from salus_web.audit.services import Act, record  # noqa: E402
from salus_web.jobs.models import Job, JobState, Outbox  # noqa: E402
from salus_web.jobs.services import enqueue, publish, reconcile  # noqa: E402

DRILL = system("drill")


def ask(count: int, seconds: float, kind: str = "drill") -> dict[str, int]:
    """Queue so many jobs."""
    for number in range(count):
        enqueue(kind=kind, unique_key=f"{kind} {number}", payload={"seconds": seconds}, by=DRILL)
    return {"asked": count}


def mend() -> dict[str, int]:
    """One round of the reconciler, and a person who tries what was set aside once more."""
    again = Job.objects.filter(kind="drill", state=JobState.QUARANTINED)
    tried = 0
    for job in again:
        Job.objects.filter(pk=job.pk).update(state=JobState.QUEUED, crashes=0)
        Outbox.objects.filter(job=job).update(published_at=None)
        record(Act("job.retry", "job", str(job.pk)), by=DRILL)
        tried += 1
    return {"sent": reconcile(), "tried": tried, **dict(Counter(Job.objects.values_list("state", flat=True)))}


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


COMMANDS = {"ask": ask, "mend": mend, "twice": twice, "count": count}

if __name__ == "__main__":
    arguments = [json.loads(word) if word[0].isdigit() else word for word in sys.argv[2:]]
    sys.stdout.write(json.dumps(COMMANDS[sys.argv[1]](*arguments)))  # type: ignore[operator]
