"""Damaged and odd files of four kinds through the reading child under its limits; what is accepted is stored; some go the whole way
from the upload's form to the job. No process of ours may die of one, no page may be an error, nothing may take more than it may.

400 files, or SALUS_DRILL=long 20,000 (SALUS_DRILL_MUTANTS and SALUS_DRILL_SEED say otherwise). Prints its figures as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from salus_web.accounts.models import Site
from salus_web.common.errors import BadInput
from salus_web.imaging.services import store_images
from salus_web.ingest import child as door
from salus_web.ingest.models import Upload
from salus_web.records.services import store_person

from tests.drills.hostile_mutants import KINDS, mutant, seeds
from tests.factories.people import SYSTEM, make_site, make_user
from tests.factories.simulated import run

pytestmark = [pytest.mark.drill, pytest.mark.slow, pytest.mark.django_db, pytest.mark.filterwarnings("ignore::UserWarning")]
LONG = os.environ.get("SALUS_DRILL") == "long"
MUTANTS = int(os.environ.get("SALUS_DRILL_MUTANTS") or (20_000 if LONG else 400))
SEED = int(os.environ.get("SALUS_DRILL_SEED") or 4)
WHOLE_WAY_EACH = 100 if LONG else 33


class Nursery:
    """The process that forks the children."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.drills.hostile_nursery"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=os.environ | door._environment() | {"PYTHONPATH": os.pathsep.join(["", door._environment()["PYTHONPATH"]])},
            cwd=Path(__file__).parents[2],
        )  # fmt: skip

    def read(self, kind: str, name: str, raw: bytes, folder: str) -> dict[str, Any]:
        """What the child of one file said and took."""
        head = {"name": name, "folder": folder, "taken_at": "2026-01-02T03:04:05+00:00", "zone": "UTC", "received_at": "2026-06-01T00:00:00+00:00"}
        said = orjson.dumps(head)
        frame = len(said).to_bytes(8, "big") + said + raw
        memory, cpu = door.limits_for(len(raw))
        asked = orjson.dumps({"main": "cases" if kind == "cases" else "read", "memory": memory, "cpu": cpu, "bytes": len(frame)})
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(len(asked).to_bytes(8, "big") + asked + frame)
        self.process.stdin.flush()
        told = orjson.loads(self.process.stdout.read(int.from_bytes(self.process.stdout.read(8), "big")))
        return told | {"answer": self.process.stdout.read(told["bytes"]), "size": len(raw)}


class Gone:
    """A child that has ended, with all it said; what `child._parts` asks of a process."""

    def __init__(self, told: dict[str, Any], stream: Any) -> None:
        self.stdout, self._code = stream, int(told["code"])

    def wait(self) -> int:
        """How it ended."""
        return self._code


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    found = Nursery()
    yield found
    assert found.process.stdin is not None
    found.process.stdin.close()
    assert found.process.wait(30) == 0, "the process that reads files died"


def taken_in(told: dict[str, Any], name: str, site: Site) -> str:
    """`refused`, `stored` or, for what must not be, a fault: the same way as behind the door, and nothing of it stays."""
    with tempfile.TemporaryFile() as stream:
        stream.write(told["answer"])
        stream.seek(0)
        try:
            parts = list(door._parts(Gone(told, stream), name))  # type: ignore[arg-type]
        except BadInput as refusal:
            assert len(str(refusal)) < 2000 and "Traceback" not in str(refusal)
            return "refused" if told["code"] == 0 else "refused after its child died"
    point = transaction.savepoint()
    try:
        for person in [person for part in parts for person in part.get("people", [])]:
            stored = store_person(person=person, site=site, by=SYSTEM)
            store_images(patient=stored.patient, images=person["images"], encounters=stored.encounters, by=SYSTEM)
    except BadInput:
        return "refused"
    except Exception as fault:  # noqa: BLE001 - what the drill is for
        return f"fault: {type(fault).__name__}: {str(fault)[:160]}"
    finally:
        transaction.savepoint_rollback(point)
    return "stored"


def whole_way(client: Client, site: Site, name: str, raw: bytes) -> list[int]:
    """Upload, job, page; the statuses of every answer, and 599 for a job that failed in a way nobody foresaw."""
    answers = [client.post("/uploads/", {"site": str(site.pk), "files": SimpleUploadedFile(name, raw)}).status_code]
    upload = Upload.objects.order_by("-received_at").first()
    if upload is not None and upload.job is not None and upload.job.state == "queued":
        job = run(upload.job)
        answers.append(599 if "nobody foresaw" in job.failure or job.state not in {"done", "failed"} else 200)
    return [*answers, client.get("/uploads/").status_code, client.get("/jobs/").status_code]


def test_hostile_files_are_refused_with_a_reason_or_stored(nursery: Nursery) -> None:
    site, client = make_site(), Client(raise_request_exception=False)
    client.force_login(make_user("clinician", site))
    outcomes: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    most, faults, statuses = {"megabytes": 0.0, "cpu_seconds": 0.0, "seconds": 0.0}, [], Counter[int]()
    for number in range(MUTANTS):
        kind, name, raw = mutant(SEED, number)
        with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
            told = nursery.read(kind, name, raw, folder)
        said = taken_in(told, name, site)
        outcomes[kind][said.partition(":")[0]] += 1
        if said.startswith("fault"):
            faults.append(f"{kind} {number}: {said}")
        for key, value in (("megabytes", told["kilobytes"] / 1024), ("cpu_seconds", told["cpu"]), ("seconds", told["seconds"])):
            most[key] = round(max(most[key], value), 2)
        memory, cpu = door.limits_for(told["size"])
        assert told["kilobytes"] << 10 <= memory and told["cpu"] <= cpu + 1, f"{kind} {number} took more than it may"
        if number % WHOLE_WAY_EACH == 0:
            statuses.update(whole_way(client, site, name, raw))
        if number % 1000 == 999 or number == MUTANTS - 1:
            figures = {"mutants": number + 1, "seed": SEED, "outcomes": outcomes, "at_most": most, "statuses": statuses, "faults": faults[:10]}
            sys.stdout.write(json.dumps(figures) + "\n")
            sys.stdout.flush()
    assert faults == [], faults[:10]
    assert not any(status >= 500 for status in statuses), statuses
    assert all(counts["refused"] and counts["stored"] for counts in outcomes.values()), "the files are all alike"


def test_every_good_file_is_stored(nursery: Nursery, tmp_path: Path) -> None:
    """What the mutants are made of: were these refused, the drill would prove nothing."""
    site = make_site()
    for kind, files in seeds().items():
        for number, raw in enumerate(files):
            (folder := tmp_path / f"{kind}{number}").mkdir()
            assert taken_in(nursery.read(kind, kind, raw, str(folder)), kind, site) == "stored", f"{kind} {number}"


def test_a_mutant_is_the_same_each_time() -> None:
    assert [mutant(SEED, number) for number in range(40)] == [mutant(SEED, number) for number in range(40)]
    assert len({mutant(SEED, number)[2] for number in range(80)}) > 70
