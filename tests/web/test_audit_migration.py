"""A log written before there were stripes keeps verifying, and goes on in stripe 0; back and forth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from salus_web.audit.scratch import scratch_database

pytestmark = pytest.mark.slow
OLD_LINES = """
import django; django.setup()
from datetime import UTC, datetime, timedelta
from django.db import connection
from salus_web.audit.chain import FIRST_FIELDS, GENESIS, digest
last, start = GENESIS, datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
with connection.cursor() as cursor:
    for number in range(1, 41):
        row = dict.fromkeys(FIRST_FIELDS, "") | {"number": number, "at": start + timedelta(milliseconds=500 * number),
            "action": "a", "actor_name": "Zoë", "detail": {"n": number, "x": 0.5}, "previous": last, "form": 1}
        last = row["digest"] = digest(row)
        names = [*FIRST_FIELDS, "digest"]
        values = [connection.ops.adapt_datetimefield_value(row["at"]) if name == "at" else
                  __import__("json").dumps(row[name]) if name == "detail" else row[name] for name in names]
        cursor.execute(f"INSERT INTO audit_event ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})", values)
    cursor.execute("INSERT INTO audit_head (id, number, digest) VALUES (0, 40, %s)", [last])
"""
NEW_LINE = """
import django; django.setup()
from salus_web.audit.services import Act, record
from salus_web.audit.shell import SHELL
from salus_web.audit.models import Event
from django.db import DatabaseError
event = record(Act("b", before={"x": 1}, after={"x": 2}), by=SHELL)
assert (event.stripe, event.place, event.form) == (0, 41, 2) and event.number == 41, event.number
for change in (lambda: Event.objects.update(action="x"), lambda: Event.objects.all().delete()):
    try:
        change()
    except DatabaseError:
        continue
    raise SystemExit("the triggers are gone")
"""


def test_an_old_log_is_taken_over_as_it_stands(repository_root: Path) -> None:
    with scratch_database() as environment:

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, *arguments]
            return subprocess.run(command, env=environment, cwd=repository_root, capture_output=True, text=True)

        def migrate(to: str) -> int:
            done = run("manage.py", "migrate", "audit", to, "--verbosity", "0")
            return done.returncode

        assert migrate("0002") == 0
        old = run("-c", OLD_LINES)
        assert old.returncode == 0, old.stderr[-600:]
        assert migrate("0003") == 0 and "lines 1 to 40" in run("manage.py", "verify_log").stdout
        assert migrate("0002") == 0 and migrate("0003") == 0
        new = run("-c", NEW_LINE)
        assert new.returncode == 0, new.stderr[-600:]
        run("manage.py", "audit_checkpoint")
        found = run("manage.py", "verify_log")
        assert found.returncode == 0 and "lines 1 to 41" in found.stdout, found.stdout + found.stderr[-600:]
        assert migrate("0002") != 0, "lines of the second form cannot be taken back"
        assert run("manage.py", "verify_log").returncode == 0
