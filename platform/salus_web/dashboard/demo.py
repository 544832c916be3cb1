"""Opens the demonstration hospital: people, simulated patients through the door, a model trained on them, risks.

Everything goes the way a hospital's own data would; the actor is named `system:demo` in the log.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from salus_web.accounts.actors import system
from salus_web.accounts.models import Site, User
from salus_web.accounts.services import create_site, create_user, grant_role
from salus_web.cohorts.services import create_project
from salus_web.common.errors import StateConflict
from salus_web.dashboard.demo_emergencies import show_emergencies
from salus_web.ingest.models import Upload, UploadState
from salus_web.ingest.services import receive
from salus_web.jobs.models import Job, JobState
from salus_web.jobs.selectors import unfinished
from salus_web.jobs.services import enqueue
from salus_web.predictions.services import request
from salus_web.records.models import Encounter
from salus_web.records.services import join_team
from salus_web.registry.models import BundleState, ModelBundle
from salus_web.registry.services import move_bundle

BY = system("demo")
TASK_PATH = settings.PROJECT_ROOT / "tasks" / "simulated_deterioration.toml"
SITES = (("st-anne", "St Anne's Hospital (simulated)"), ("harbour", "Harbour Hospital (simulated)"))
TEAMS = {"clinician": ("st-anne", ("Ward 3B", "Ward 2A")), "clinician-harbour": ("harbour", ("Ward North", "Ward Quay"))}
PEOPLE = (
    ("clinician", "Dr Mira Holt", "clinician", ("st-anne",)),
    ("clinician-harbour", "Dr Jonas Beck", "clinician", ("harbour",)),
    ("administrator", "Alma Reyes", "administrator", ("st-anne", "harbour")),
    ("administrator-2", "Piet Lund", "administrator", ("st-anne", "harbour")),
    ("auditor", "Noor Idris", "auditor", ("st-anne", "harbour")),
    ("researcher", "Dr Tomas Weld", "researcher", ("st-anne", "harbour")),
    ("researcher-2", "Dr Ines Falk", "researcher", ("st-anne", "harbour")),
)
_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "iris", "juniper", "kelp", "linden")
Say = Callable[[str], None]


def logins_path() -> Path:
    """Where the demonstration's sign-in names and passwords are kept (mode 600)."""
    return settings.SALUS_DATA_DIR / "demo_logins.json"


def is_open() -> bool:
    """Whether the demonstration hospital is already complete."""
    return ModelBundle.objects.filter(state=BundleState.LIVE).exists()


@transaction.atomic
def make_people() -> dict[str, str]:
    """Sites, people, roles and care teams; returns sign-in names with passwords. Done once."""
    path = logins_path()
    if path.exists() and User.objects.filter(username="clinician").exists():
        return json.loads(path.read_text())
    password = "-".join([*(secrets.choice(_WORDS) for _ in range(2)), str(secrets.randbelow(9000) + 1000)])
    sites = {code: create_site(code=code, name=name, by=BY) for code, name in SITES}
    users = {}
    for username, display, role, at in PEOPLE:
        users[username] = create_user(username=username, display_name=display, password=password, by=BY)
        for code in at:
            grant_role(user=users[username], site=sites[code], role=role, by=BY)
    for username, (code, wards) in TEAMS.items():
        for ward in wards:
            join_team(site=sites[code], team_name=ward, user=users[username], by=BY)
    create_project(
        name="Deterioration on the wards", purpose="How well does the 48-hour risk serve the two hospitals?",
        site_ids=[site.pk for site in sites.values()], member_ids=[users["researcher"].pk, users["researcher-2"].pk], by=BY,
    )  # fmt: skip
    logins = {username: password for username, *_ in PEOPLE}
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as stream:
        json.dump(logins, stream)
    return logins


def open_hospital(say: Say, *, patients: int = 360, present: int = 56, repeats: int = 1) -> None:
    """Bring the patients in, train, make the model live and ask for the risks of those present now."""
    if not Upload.objects.filter(state=UploadState.STORED).exists():
        say("drawing the simulated patients and their films")
        with tempfile.TemporaryDirectory(prefix="salus-demo-") as place:
            folder = Path(place) / "hospital"
            _draw(folder, patients, present)
            uploads = [_bring_in(folder, code) for code, _ in SITES]
        _wait([upload.job_id for upload in uploads if upload.job_id], say)
    bundle = ModelBundle.objects.select_related("task").order_by("-trained_at").first()
    if bundle is None:
        bundle = _train(repeats, say)
    if bundle.state == BundleState.CANDIDATE:
        why = "Opening of the demonstration hospital; a hospital's own model is made live by a second person."
        bundle = move_bundle(bundle=bundle, to_state="live", why=why, by=BY)
    inpatients = Encounter.objects.for_actor(BY).filter(ends_at__isnull=True).exclude(kind="case")
    ids = [str(key) for key in inpatients.values_list("patient_id", flat=True).distinct()]
    _wait([request(patient_ids=ids, bundle=bundle, why="opening of the demonstration", by=BY).pk], say)
    show_emergencies()


def _draw(folder: Path, patients: int, present: int) -> None:
    """The library's own command line, in a process of its own: the web's process never loads the library."""
    command = [
        sys.executable, "-m", "salus_learn.cli", "simulate", "--out", str(folder),
        "--patients", str(patients), "--present", str(present),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    (settings.SALUS_DATA_DIR / "simulated_truth.json").write_bytes((folder / "truth.json").read_bytes())


def _bring_in(folder: Path, code: str) -> Upload:
    """One hospital's files as one zip through the door."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted((folder / code).rglob("*.*")):
            archive.write(path, path.relative_to(folder / code))
    site = Site.objects.get(code=code)
    return receive(filename=f"{code}.zip", content=stream.getvalue(), site=site, by=BY)


def _train(repeats: int, say: Say) -> ModelBundle:
    text = TASK_PATH.read_text(encoding="utf-8")
    job = enqueue(
        kind="load_task", unique_key="demo:task", title="Reading a task file", by=BY,
        payload={"text": text, "name": TASK_PATH.name, "repeats": repeats},
    )  # fmt: skip
    _wait([job.pk], say)
    job.refresh_from_db()
    _wait([job.result["training"]], say)
    return ModelBundle.objects.select_related("task").latest("trained_at")


def _wait(job_ids: Sequence[Any], say: Say) -> None:
    """Until these jobs are over. Raises StateConflict with the failure of one that did not end well."""
    said = ""
    while waiting := unfinished(job_ids):
        job = waiting[0]
        words = f"{job.title.lower()}: {job.progress:.0%} {job.message}".rstrip()
        if words != said:
            say(words)
            said = words
        time.sleep(0.5)
    failed = Job.objects.filter(pk__in=list(job_ids)).exclude(state=JobState.DONE).first()
    if failed is not None:
        raise StateConflict(f"{failed.title}: {failed.failure}")
    refused = Upload.objects.filter(job_id__in=list(job_ids), state=UploadState.REFUSED).first()
    if refused is not None:
        raise StateConflict(f"{refused.filename} was refused: {' '.join(refused.problems)}")
