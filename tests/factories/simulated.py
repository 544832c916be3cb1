"""A small simulated hospital, through the real door and the real pipelines, without a broker."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from salus_learn.simulate.hospital import simulate
from salus_web.accounts.models import Site
from salus_web.ingest.models import Upload
from salus_web.ingest.services import receive
from salus_web.jobs.models import Job
from salus_web.jobs.services import claim, enqueue
from salus_web.registry.models import ModelBundle
from salus_web.registry.services import move_bundle
from salus_workers.tasks.run_job import run_claimed

from tests.factories.people import SYSTEM

TASK = Path(__file__).resolve().parents[2] / "tasks" / "simulated_deterioration.toml"
ONCE = TASK.read_text().replace(", then every 24 h to 96 h", "")  # the same question, asked once a stay


def run(job: Job) -> Job:
    """Do one job as a worker would."""
    held = claim(job_id=str(job.pk), worker="test", device="cpu")
    assert held is not None
    run_claimed(held)
    job.refresh_from_db()
    return job


def bring_in(folder: Path, site: Site) -> Upload:
    """One hospital's files as a zip through the door."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, path.relative_to(folder))
    upload = receive(filename=f"{folder.name}.zip", content=stream.getvalue(), site=site, by=SYSTEM)
    assert upload.job is not None and run(upload.job).state == "done"
    upload.refresh_from_db()
    return upload


def open_hospital(folder: Path, *, patients: int, present: int) -> dict[str, Any]:
    """Draw, bring in, train once over; returns the truth."""
    simulate(folder, patients=patients, present=present, seed=7)
    for code in ("st-anne", "harbour"):
        bring_in(folder / code, Site.objects.create(code=code, name=code.title()))
    payload = {"text": TASK.read_text(), "name": TASK.name, "repeats": 1}
    loaded = run(enqueue(kind="load_task", unique_key="t", payload=payload, by=SYSTEM))
    assert loaded.state == "done", loaded.failure
    trained = run(Job.objects.get(kind="train_task"))
    assert trained.state == "done", trained.failure
    return json.loads((folder / "truth.json").read_text())


def make_live() -> ModelBundle:
    """The newest bundle, made live."""
    return move_bundle(bundle=ModelBundle.objects.latest("trained_at"), to_state="live", why="test", by=SYSTEM)
