"""The web processes killed by SIGKILL while files arrive: what was acknowledged is there and opens, with its job and its lines; of
the rest nothing is half there, and what lies in the vault without a row is found by the sweep.

4 kills, or SALUS_DRILL_KILLS of them. Prints its figures as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread

import pytest
from salus_web.audit.scratch import scratch_database

from tests.drills.hostile_server import Server, answer_of

pytestmark = [pytest.mark.drill, pytest.mark.slow]
KILLS = int(os.environ.get("SALUS_DRILL_KILLS") or 4)
SENDERS, SIZES = 3, (2_000, 3_000_000)
EACH = 4  # files that are taken in at least between two kills
UNCOUNTED = {"SALUS_REQUESTS_PER_PERSON": "0", "SALUS_SHARE_PER_PERSON": "0"}
# run in a process of its own, as after the crash
LOOK = """
import json, sys
import django; django.setup()
from datetime import timedelta
from django.conf import settings
from django.core.management import call_command
from salus_web.accounts.actors import system
from salus_web.audit.models import Event
from salus_web.common import vault
from salus_web.ingest.models import Upload
from salus_web.ingest.sweeping import named, sweep
from salus_web.jobs.models import Job
by = system("drill")
rows = list(Upload.objects.select_related("job"))
found = {"rows": [], "broken": 0, "without_job": sum(row.job is None for row in rows)}
for row in rows:
    try:
        vault.get(row.blob_key, sha256=row.blob_sha256)
        found["rows"].append(row.blob_sha256)
    except Exception as error:
        found["broken"] += 1
lines = Event.objects.filter(action="upload.receive", outcome="done")
found["lines"], found["lines_without_row"] = lines.count(), lines.exclude(object_id__in=[str(row.pk) for row in rows]).count()
found["jobs"] = Job.objects.filter(kind="ingest_upload").count()
swept = sweep(remove=True, by=by, young=timedelta(0))
found["nameless"], found["half"] = len(swept.nameless), swept.half
keys = {key for folder in vault.folders() for key in vault.keys_in(folder)}
found["nameless_after"] = len(keys - named())
print("FOUND " + json.dumps(found))
"""


@pytest.fixture
def server(tmp_path: Path, repository_root: Path) -> Iterator[Server]:
    with scratch_database(migrated=False) as environment:
        own = UNCOUNTED | {"DATABASE_URL": environment["DATABASE_URL"]}
        with Server(tmp_path / "server", repository_root, **own) as found:
            yield found


class Sender(Thread):
    """Sends one file after the other, each unlike all others; keeps the digest of each that was acknowledged."""

    def __init__(self, server: Server, enough: Event, number: int) -> None:
        super().__init__(daemon=True)
        self.server, self.enough, self.chance = server, enough, random.Random(number)
        self.lock, self.sent, self.acknowledged = Lock(), 0, list[str]()

    def run(self) -> None:
        while not self.enough.is_set():
            body = self.chance.randbytes(self.chance.randint(*SIZES))
            self.sent += 1
            with suppress(OSError):
                if self._answer(body).startswith("HTTP/1.1 302") and not self.enough.is_set():
                    self.acknowledged.append(hashlib.sha256(body).hexdigest())
                    continue
            time.sleep(0.05)

    def _answer(self, body: bytes) -> str:
        before, after = self.server.parts("Planted Name.bin")
        head = self.server.head("/uploads/", len(before) + len(body) + len(after), kind="multipart/form-data; boundary=drill")
        with self.server.open() as line:
            with suppress(ConnectionError):
                line.sendall(head + before + body + after)
            return answer_of(line)


def test_a_killed_web_process_loses_nothing_it_acknowledged(server: Server) -> None:
    enough, chance = Event(), random.Random(4)
    senders = [Sender(server, enough, number) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    for kill in range(KILLS):
        deadline = time.monotonic() + 60
        while sum(len(sender.acknowledged) for sender in senders) < EACH * (kill + 1):
            assert time.monotonic() < deadline, "files are not taken in"
            time.sleep(0.02)
        time.sleep(chance.uniform(0.0, 1.5))
        server.kill()
        server.start()
    time.sleep(1.0)
    enough.set()
    for sender in senders:
        sender.join(150)
        assert not sender.is_alive()
    look = [sys.executable, "-c", LOOK]
    said = subprocess.run(look, env=server.environment, cwd=server.root, check=True, capture_output=True, text=True).stdout
    found = json.loads(said.rpartition("FOUND ")[2])
    acknowledged = [digest for sender in senders for digest in sender.acknowledged]
    kept = found.pop("rows")
    figures = {"kills": KILLS, "sent": sum(sender.sent for sender in senders), "acknowledged": len(acknowledged), "kept": len(kept)} | found
    sys.stdout.write(json.dumps(figures) + "\n")
    assert len(acknowledged) >= EACH * KILLS, "too little was acknowledged to prove anything"
    assert sorted(set(acknowledged) - set(kept)) == [], "acknowledged and lost"
    assert len(kept) == len(set(kept)) == found["lines"] == found["jobs"], figures
    assert found["broken"] == found["without_job"] == found["lines_without_row"] == found["nameless_after"] == 0, figures
    verified = subprocess.run([sys.executable, "manage.py", "verify_log"], env=server.environment, cwd=server.root, capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout + verified.stderr
