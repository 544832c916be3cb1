"""`manage.py load_cases --task TASK.toml --data FOLDER`: a folder of cases through the door, then its training."""

from __future__ import annotations

import io
import time
import tomllib
import zipfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from salus_web.accounts.models import Role, Site, User
from salus_web.common.errors import SalusError
from salus_web.ingest.management.commands.ingest import BY, Patience, site_named
from salus_web.ingest.models import Upload
from salus_web.ingest.parsers.archive import TASK_FILE
from salus_web.ingest.services import receive
from salus_web.jobs.models import Job, JobState
from salus_web.jobs.selectors import OVER
from salus_web.records.services import join_team


class Command(BaseCommand):
    """Loads a data set of cases."""

    help = "Bring a folder of cases in (one CSV row per case, images beside it), train on it, show every risk."

    def add_arguments(self, parser: CommandParser) -> None:
        """The task file and the folder it speaks of."""
        parser.add_argument("--task", required=True, type=Path)
        parser.add_argument("--data", required=True, type=Path)
        parser.add_argument("--site", default="", help="the hospital's code")
        parser.add_argument("--for", dest="usernames", action="append", default=[], metavar="USERNAME",
                            help="who reviews the cases (may be repeated); every clinician of the hospital unless given")
        parser.add_argument("--no-wait", action="store_true", help="do not wait for the training")

    def handle(self, *args: Any, **options: Any) -> None:
        """Pack, receive, wait. The training's failure is this command's failure."""
        content = pack_cases(options["task"], options["data"])
        site = site_named(options["site"])
        self.stdout.write(f"For {site.name}:")
        for user in _reviewers(site, options["usernames"]):
            join_team(site=site, team_name=case_team(options["task"]), user=user, by=BY)
        try:
            upload = receive(filename=f"{options['data'].name}.zip", content=content, site=site, by=BY)
        except SalusError as error:
            raise CommandError(str(error)) from None
        if upload.job is None:
            self.stdout.write("These cases are already here; nothing was changed.")
        elif not options["no_wait"]:
            self._follow(upload.job, upload)
            training = Job.objects.filter(kind="train_task", unique_key__endswith=upload.blob_sha256[:16]).first()
            if training is not None:
                self._follow(training)

    def _follow(self, job: Job, upload: Upload | None = None) -> None:
        """Say what a job does until it is over. Raises CommandError with its failure, or why the upload was refused."""
        said, patience = "", Patience(self.stdout.write)
        while job.state not in OVER:
            patience.waiting(job.state == JobState.RUNNING)
            time.sleep(0.5)
            job.refresh_from_db()
            words = f"{job.title}: {job.progress:.0%} {job.message}".rstrip()
            if words != said:
                self.stdout.write(words)
                said = words
        if job.state != JobState.DONE:
            if upload is not None:
                upload.refresh_from_db()
            raise CommandError(f"{job.title}: {' '.join(upload.problems if upload is not None else []) or job.failure}")


def _reviewers(site: Site, usernames: list[str]) -> list[User]:
    """The clinicians who are to see the cases. Raises CommandError for a name nobody has."""
    if not usernames:
        return list(User.objects.filter(grants__site=site, grants__role=Role.CLINICIAN, is_active=True).distinct())
    found = list(User.objects.filter(username__in=usernames))
    unknown = set(usernames) - {user.username for user in found}
    if unknown:
        raise CommandError(f"Nobody here has the sign-in name {sorted(unknown)[0]}.")
    return found


def case_team(task: Path) -> str:
    """The care team of a task's cases, as the door names their ward."""
    return f"Case review {(tomllib.loads(task.read_text(encoding='utf-8')).get('task') or {}).get('id', '')}"


def pack_cases(task: Path, data: Path) -> bytes:
    """One zip of the task file, its table, and the folders it names (all of the data folder's files else)."""
    try:
        text = task.read_text(encoding="utf-8")
        named = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CommandError(f"The task file {task.name} cannot be read: {error}.") from None
    table = str((named.get("cases") or {}).get("table") or "")
    if not table or not (data / table).is_file():
        raise CommandError(f"The table {table or '(none named)'} of {task.name} is not in the folder {data.name}.")
    folders = {str(image.get(key)) for image in named.get("image", []) for key in ("folder", "region_folder") if image.get(key)}
    roots = [data / folder for folder in sorted(folders)] if folders else [data]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        # fixed times, so that the same folder gives the same bytes and is known to be here already
        _add(archive, TASK_FILE, text.encode())
        _add(archive, table, (data / table).read_bytes())
        for root in roots:
            for path in sorted(found for found in root.rglob("*") if found.is_file() and found != data / table):
                _add(archive, str(path.relative_to(data)), path.read_bytes())
    return stream.getvalue()


def _add(archive: zipfile.ZipFile, name: str, body: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name), body)
