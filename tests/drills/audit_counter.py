"""Looks at what killed writers left: rows without a line, lines without a row, acknowledged rows that are gone, and the chain.

`python -m tests.drills.audit_counter FILE` prints one JSON object; with `--prepare` it makes the table of rows.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import django

django.setup()

from django.db import connection  # noqa: E402 - Django must be up first
from salus_web.audit.examination import examine  # noqa: E402
from salus_web.audit.models import Event, Head  # noqa: E402


def main(path: str) -> None:
    """Prepare or count."""
    with connection.cursor() as cursor:
        if path == "--prepare":
            cursor.execute("CREATE TABLE drill_side (name varchar(40) PRIMARY KEY)")
            return
        cursor.execute("SELECT name FROM drill_side")
        rows = {name for (name,) in cursor.fetchall()}
    lines = list(Event.objects.values_list("object_id", flat=True))
    acknowledged = set(Path(path).read_text().split())
    found = {
        "rows": len(rows), "without_a_line": len(rows - set(lines)), "without_a_row": len(set(lines) - rows),
        "twice": len(lines) - len(set(lines)), "lost": len(acknowledged - rows), "code": examine().code,
        "stripes": Head.objects.count(),
    }  # fmt: skip
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
