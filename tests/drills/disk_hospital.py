"""A hospital on a small disk of its own, which is filled and freed. `python -m tests.drills.disk_hospital FOLDER` prints JSON.

Runs inside a mount namespace of its own: the folder is a real file system of 96 MB, made and unmade by `test_disk_full`.
"""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import django

django.setup()

from django.conf import settings  # noqa: E402 - Django must be up first
from django.core.files.uploadedfile import SimpleUploadedFile  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from salus_web.accounts.actors import system  # noqa: E402
from salus_web.audit.examination import examine  # noqa: E402
from salus_web.audit.models import Event  # noqa: E402
from salus_web.common import arrivals, vault  # noqa: E402
from salus_web.ingest.models import Upload  # noqa: E402
from salus_web.jobs.models import Job  # noqa: E402
from salus_web.jobs.services import claim, retry  # noqa: E402
from salus_web.records.models import Patient  # noqa: E402
from salus_workers.tasks.run_job import run_claimed  # noqa: E402

import tests.conftest  # noqa: E402, F401 - people who are let in by a client are as if they had come by the door
from tests.factories.people import make_patient, make_site, make_user, relate  # noqa: E402
from tests.web.test_ingest_parsers import bundle  # noqa: E402

DRILL = system("drill")
RESERVE = 24 << 20
settings.SALUS_RESERVE_BYTES = RESERVE
settings.ALLOWED_HOSTS = ["testserver"]


class Ballast:
    """A file that takes the disk's room until it is let go."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ballast"

    def leave(self, free: int) -> None:
        """Fill until so many bytes are free; 0 fills to the last."""
        with self.path.open("ab") as stream:
            while left(self.path) > free:
                try:
                    os.write(stream.fileno(), bytes(min(1 << 20, max(left(self.path) - free, 512))))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    return

    def go(self) -> None:
        """Make room."""
        self.path.unlink()


def left(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


class Desk:
    """Two people at their browsers, and a worker."""

    def __init__(self) -> None:
        self.site = make_site("small")
        self.patient = make_patient(self.site)
        doctor, administrator = make_user("clinician", self.site), make_user("administrator", self.site)
        relate(doctor, self.patient)
        self.doctor, self.administrator = (Client(raise_request_exception=False) for _ in range(2))
        self.doctor.force_login(doctor)
        self.administrator.force_login(administrator)

    def read(self) -> dict[str, Any]:
        """A patient's page, and how many lines the log has of such readings."""
        answer = self.doctor.get(f"/patients/{self.patient.pk}/")
        return {"status": answer.status_code, "shows": self.patient.name in answer.content.decode(), **words(answer)}

    def bring(self, name: str, content: bytes) -> dict[str, Any]:
        """A file through the door."""
        files = {"site": str(self.site.pk), "files": [SimpleUploadedFile(name, content)]}
        answer = self.administrator.post("/uploads/", files, follow=True)
        return {"status": answer.status_code, "taken": "1 of 1 file came in" in answer.content.decode(), **words(answer)}


def filling(ballast: Ballast, free: int) -> Any:
    """While a file arrives somebody else fills the disk: so many bytes are free once its first segment was sealed."""
    seal, begun = vault.segment, []

    def segment(*args: Any) -> bytes:
        sealed = seal(*args)
        if not begun:
            ballast.leave(free)
        begun.append(True)
        return sealed

    return mock.patch.object(vault, "segment", segment)


def words(answer: Any) -> dict[str, Any]:
    """Whether the answer says that the disk is (almost) full or the log cannot be written, and shows no inside."""
    said = answer.content.decode()
    return {
        "says": next((word for word in ("almost full", "disk of this system is full", "log cannot be written") if word in said), ""),
        "inside": [word for word in ("Traceback", "sqlite", "ENOSPC", "OSError") if word in said],
    }


def person(number: int) -> bytes:
    """A file with one person of their own and a note that takes room."""
    said = json.loads(json.dumps(bundle()).replace("MRN", f"MRN{number}").replace("4417", f"{number:04d}"))
    return json.dumps(said).encode()


def held() -> dict[str, Any]:
    """What is stored: rows, blobs, blobs that no upload names, and files that are still arriving or were left half way."""
    keys = {key for folder in vault.folders() for key in vault.keys_in(folder)}
    named = set(Upload.objects.values_list("blob_key", flat=True))
    return {
        "uploads": Upload.objects.count(), "patients": Patient.objects.for_actor(DRILL).count(), "jobs": Job.objects.count(),
        "blobs": len(keys), "missing": len(named - keys), "of_nobody": len(keys - named),
        "arriving": sum(1 for _ in arrivals.place().iterdir()) if arrivals.place().is_dir() else 0,
    }  # fmt: skip


def work(job: Job) -> dict[str, Any]:
    """One job as a worker does it."""
    mine = claim(job_id=str(job.pk), worker="drill")
    assert mine is not None
    run_claimed(mine)
    job.refresh_from_db()
    return {"state": job.state, "failure": job.failure}


def lines() -> int:
    """How many readings of patients the log holds."""
    return Event.objects.filter(action="patient.read").count()


def arrived(desk: Desk, ballast: Ballast, free: int) -> dict[str, Any]:
    """A file for which there was room when it was sent; there is room again afterwards."""
    with filling(ballast, free):
        answer = desk.bring("six.json", person(6) + b" " * (4 << 20))
    ballast.go()
    return answer


def stages(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Room, a file that arrives meanwhile, almost none, none, room again; what was seen in each."""
    desk, ballast = Desk(), Ballast(folder)
    yield "room", {"read": desk.read(), "door": desk.bring("one.json", person(1)), "held": held(), "lines": lines()}
    job = Job.objects.get()
    yield "while a file arrived", {"reserve": arrived(desk, ballast, RESERVE), "full": arrived(desk, ballast, 0), "held": held()}
    ballast.leave(RESERVE - (1 << 20))
    readings = [desk.read() for _ in range(50)]
    yield "almost none", {
        "read": readings[-1], "all": all(found == readings[0] for found in readings), "door": desk.bring("two.json", person(2)),
        "work": work(job), "held": held(), "lines": lines(),
    }  # fmt: skip
    ballast.leave(0)
    answers = [desk.read() for _ in range(200)]
    yield "none", {
        "read": answers[-1], "kinds": sorted({(found["status"], found["shows"], found["says"]) for found in answers}),
        "inside": [word for found in answers for word in found["inside"]],
        "refused_after": next((at for at, found in enumerate(answers) if found["status"] != 200), -1),
        "door": desk.bring("three.json", person(3)), "big": desk.bring("four.json", person(4) + b" " * (4 << 20)), "held": held(),
        "front": Client(raise_request_exception=False).get("/login/").status_code, "lines": lines(),
        "shown": sum(found["status"] == 200 for found in answers),
    }  # fmt: skip
    ballast.go()
    again = retry(job_id=str(job.pk), by=DRILL)
    yield "room again", {
        "read": desk.read(), "work": work(again), "door": desk.bring("five.json", person(5)), "held": held(), "lines": lines(),
        "log": examine().code, "whole": connection.cursor().execute("PRAGMA integrity_check").fetchone()[0],
    }  # fmt: skip


def main(folder: Path) -> None:
    """All stages, as one JSON object."""
    call_command("migrate", verbosity=0, stdout=io.StringIO())
    sys.stdout.write(json.dumps(dict(stages(folder))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
