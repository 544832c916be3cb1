"""The hospital of the jobs drill before any harm: people with films, a model trained on some of them, and the model live.

`python -m tests.drills.jobs_filler N`
"""

from __future__ import annotations

import io
import sys
import tempfile
import zipfile
from pathlib import Path

import django

django.setup()

from salus_web.accounts.actors import system  # noqa: E402 - Django must be up first
from salus_web.accounts.models import Site  # noqa: E402
from salus_web.ingest.services import receive  # noqa: E402
from salus_web.jobs.models import Job, JobState  # noqa: E402
from salus_web.jobs.services import claim, stop  # noqa: E402
from salus_web.registry.models import ModelBundle  # noqa: E402
from salus_web.registry.services import move_bundle  # noqa: E402
from salus_workers.tasks.run_job import run_claimed  # noqa: E402

from tests.factories.cases import make_cases  # noqa: E402

DRILL, SECOND = system("drill"), system("second person")
TRAINED_ON = 40


def fill(people: int) -> None:
    """So many people with films through the door, a model trained on the first of them, and the model live."""
    site = Site.objects.create(code="drill", name="Drill")
    with tempfile.TemporaryDirectory() as place:
        folder = make_cases(Path(place) / "cases", people=people)
        head, *rows = (folder / "cases.csv").read_text().splitlines()
        for part in (rows[:TRAINED_ON], rows[TRAINED_ON:]):
            if part:
                (folder / "cases.csv").write_text("\n".join([head, *part]))
                _work(receive(filename="cases.zip", content=_packed(folder), site=site, by=DRILL).job)
                _train_once()
    move_bundle(bundle=ModelBundle.objects.get(), to_state="live", why="drill", by=SECOND)


def _packed(folder: Path) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in folder.rglob("*.*"):
            archive.write(path, path.relative_to(folder))
    return stream.getvalue()


def _train_once() -> None:
    """The training that the first table asked for; what the second asks for is called off."""
    training = Job.objects.filter(kind="train_task", state=JobState.QUEUED).get()
    if ModelBundle.objects.exists():
        stop(job_id=str(training.pk), by=DRILL)
        return
    Job.objects.filter(pk=training.pk).update(payload=training.payload | {"repeats": 1})
    _work(training)


def _work(job: Job | None) -> None:
    held = claim(job_id=str(job.pk), worker="fill") if job else None
    assert held is not None
    run_claimed(held)
    done = Job.objects.get(pk=held.job_id)
    assert done.state == JobState.DONE, done.failure


if __name__ == "__main__":
    fill(int(sys.argv[1]))
