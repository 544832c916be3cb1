"""A process that writes until it is killed: a row of its own and a line of the log in one transaction, over and over.

`python -m tests.drills.audit_writer FILE` notes in the file, after each commit, which row was acknowledged.
"""

from __future__ import annotations

import os
import sys
import uuid

import django

django.setup()

from django.db import connection, transaction  # noqa: E402 - Django must be up first
from salus_web.audit.services import Act, record  # noqa: E402
from salus_web.audit.shell import SHELL  # noqa: E402


def main(path: str) -> None:
    """Write until killed."""
    acknowledged = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    while True:
        name = str(uuid.uuid4())
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("INSERT INTO drill_side (name) VALUES (%s)", [name])
            record(Act("drill.write", "drill", name), by=SHELL)
        os.write(acknowledged, f"{name}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1])
