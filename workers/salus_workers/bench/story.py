"""The bench's own hospital: drawn, brought in, trained, then measured."""

from __future__ import annotations

import io
import os
import platform
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from salus_learn.simulate.hospital import simulate
from salus_web.accounts.actors import system
from salus_web.accounts.models import Site
from salus_web.imaging.models import Instance
from salus_web.ingest.services import receive
from salus_web.jobs.models import Job, JobState
from salus_web.jobs.services import claim, enqueue
from salus_web.registry.models import ModelBundle
from salus_web.registry.services import move_bundle

from salus_workers.bench import scoring, worklist
from salus_workers.runtime.environment import threads
from salus_workers.tasks.run_job import run_claimed

BY = system("bench")
SIZES, QUICK_SIZES = (1_000, 10_000, 100_000), (100, 1_000)
PATIENTS, QUICK_PATIENTS = 200, 60
Say = Callable[[str], None]


def tell(folder: Path, *, quick: bool, say: Say) -> dict[str, Any]:
    """Every figure with its unit, n and rounds, and the machine it was measured on."""
    call_command("migrate", verbosity=0, interactive=False)
    bundle = _hospital(folder / "hospital", QUICK_PATIENTS if quick else PATIENTS, say)
    seen = Instance.objects.for_actor(BY).values_list("patient_id", flat=True).distinct()
    found = {
        "machine": {
            "cores": os.cpu_count(), "threads": threads(), "processor": platform.processor() or platform.machine(),
            "python": platform.python_version(), "database": settings.DATABASES["default"]["ENGINE"].split(".")[-1],
            "versions": {name: version(name) for name in ("torch", "onnxruntime", "xgboost-cpu", "django")},
        },
        "quick": quick,
        "scoring": scoring.measure(bundle, [str(key) for key in seen], 2 if quick else 5, say),
    }  # fmt: skip
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
    found["worklist"] = worklist.measure(QUICK_SIZES if quick else SIZES, bundle, say)
    return found


def _hospital(folder: Path, patients: int, say: Say) -> ModelBundle:
    """A trained, live model over simulated patients that came through the door."""
    say(f"drawing {patients} patients")
    simulate(folder, patients=patients, present=0, seed=11)
    for code in ("st-anne", "harbour"):
        site = Site.objects.create(code=code, name=code)
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for path in sorted((folder / code).rglob("*.*")):
                archive.write(path, path.relative_to(folder / code))
        upload = receive(filename=f"{code}.zip", content=stream.getvalue(), site=site, by=BY)
        _run(upload.job, say)
    text = (settings.PROJECT_ROOT / "tasks" / "simulated_deterioration.toml").read_text()
    _run(enqueue(kind="load_task", unique_key="bench:task", payload={"text": text, "repeats": 1}, by=BY), say)
    _run(Job.objects.get(kind="train_task"), say)
    return move_bundle(bundle=ModelBundle.objects.get(), to_state="live", why="bench", by=BY)


def _run(job: Job | None, say: Say) -> None:
    """Do a job here and now; a failure stops the bench."""
    held = claim(job_id=str(job.pk), worker="bench") if job else None
    if job is None or held is None:
        raise RuntimeError("the bench could not claim its own job")
    say(job.title or job.kind)
    run_claimed(held)
    job.refresh_from_db()
    if job.state != JobState.DONE:
        raise RuntimeError(f"{job.kind}: {job.failure}")
