"""`manage.py load_cases --task TASK.toml --data FOLDER`: a folder of cases through the door, then its training."""

from __future__ import annotations

import codecs
import io
import posixpath
import time
import tomllib
import unicodedata
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

_OUTSIDE = ("..", "/")


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
            training = Job.objects.filter(kind="train_task", unique_key__endswith=str(upload.pk)).first()
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
    return f"Case review {_table(_named(task)[1], 'task').get('id', '')}"


def pack_cases(task: Path, data: Path) -> bytes:
    """One zip of the task file, its table, and the images it names: the folders of its image columns, and where a column has none the
    files in its cells. Nothing else of the data folder goes in, whatever lies there, and no other task file."""
    text, named = _named(task)
    table = str(_table(named, "cases").get("table") or "")
    if not table or not (data / table).is_file():
        raise CommandError(f"The table {table or '(none named)'} of {task.name} is not in the folder {data.name}.")
    files = _image_files(named, data, table)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        # fixed times, so that the same folder gives the same bytes and is known to be here already
        _add(archive, TASK_FILE, text.encode())
        _add(archive, table, (data / table).read_bytes())
        for name in sorted(files - {TASK_FILE, table}):
            _add(archive, name, (data / name).read_bytes())
    return stream.getvalue()


def _named(task: Path) -> tuple[str, dict[str, Any]]:
    """The text of a task file, and what it says; whether it may say so is judged where it is read. Raises CommandError."""
    try:
        text = task.read_text(encoding="utf-8-sig")
        return text, tomllib.loads(text)
    except UnicodeDecodeError:
        raise CommandError(f"The task file {task.name} cannot be read: it is not written in UTF-8.") from None
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise CommandError(f"The task file {task.name} cannot be read: {error}.") from None


def _table(named: dict[str, Any], key: str) -> dict[str, Any]:
    """A table of the task file; an empty one where it has none, or has it in another form (the worker refuses that in words)."""
    found = named.get(key)
    return found if isinstance(found, dict) else {}


def _image_files(named: dict[str, Any], data: Path, table: str) -> set[str]:
    """The names, within the data folder, of the image files and masks that belong to the task."""
    images = named.get("image")
    slots = [image for image in images if isinstance(image, dict)] if isinstance(images, list) else []
    folders = {str(slot.get("folder") or "") for slot in slots if slot.get("column")}
    folders |= {str(slot.get("region_folder") or slot.get("folder") or "") for slot in slots if slot.get("region_column")}
    files: set[str] = set()
    for place in {posixpath.normpath(folder or ".") for folder in folders}:
        if place == ".":
            files |= _named_in_table(data, table, str(_table(named, "cases").get("encoding") or ""))
        elif not place.startswith(_OUTSIDE):
            files |= _files_in(data, place)
    return files


def _files_in(data: Path, place: str) -> set[str]:
    return {path.relative_to(data).as_posix() for path in (data / place).rglob("*") if path.is_file()}


def _named_in_table(data: Path, table: str, encoding: str) -> set[str]:
    """The files of the data folder whose names stand somewhere in the table, in either of the forms that ü has."""
    raw = (data / table).read_bytes()
    marked = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = unicodedata.normalize("NFC", raw.decode(encoding or ("utf-16" if marked else "utf-8")))
    except (UnicodeError, LookupError) as error:
        raise CommandError(f"The table {table} cannot be read: {error}.") from None
    return {name for name in _files_in(data, ".") if unicodedata.normalize("NFC", name) in text}


def _add(archive: zipfile.ZipFile, name: str, body: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name), body)
