"""The child process that reads one zip of a case table: unpacked, its task file, rows and pictures read under limits of memory
and time. Speaks as salus_web.ingest.parse_child does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from salus_learn.errors import LearnError
from salus_learn.tasks.cases import read_case_table
from salus_learn.tasks.loader import load_task
from salus_web.ingest.parse_child import limit, run, said_head
from salus_web.ingest.parsers.archive import MOST_BYTES, TASK_FILE, checked_entries, unpacked
from salus_web.ingest.parsers.forms import Unreadable
from salus_web.ingest.parsers.storable import check_person

from salus_workers.adapters.case_tables import LEFT_OUT, TAKEN, person_of_row


def read(raw: bytes, folder: Path, name: str, taken_at: datetime) -> Iterator[dict[str, Any]]:
    """Every case as a person with its pictures; then the task file they are read by."""
    _unpack(raw, folder, name)
    try:
        task = load_task(folder / TASK_FILE)
        table = read_case_table(task, folder)
        for row in table.rows:
            person = person_of_row(task, row, taken_at)
            check_person(person, name)
            yield {"people": [person]}
    except LearnError as error:
        raise Unreadable(str(error)) from None
    # how many, and not in which words: a count is read by more people than the file
    left_out = {"rows that the task does not keep": table.not_kept, "cases of another outcome or none": table.others.total()}
    taken = {TAKEN: table.taken.total()} if table.taken else {}
    said = {"id": task.id, "title": task.title, "digest": task.digest, "text": task.source_text}
    yield {"done": True, "counts": {f"{LEFT_OUT}{kind}": number for kind, number in left_out.items()} | taken, "task": said}


def _unpack(raw: bytes, folder: Path, name: str) -> None:
    """Inside the folder only, each file as long as it said."""
    archive, entries = checked_entries(raw, name)
    for entry in entries:
        path = folder / entry.filename.replace("\\", "/")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(unpacked(archive, entry, name))
        except OSError as error:
            raise Unreadable(f"{name}, {entry.filename}: cannot be unpacked: {error.strerror}.") from None


def main() -> int:
    """Arguments: memory limit in bytes, processor time in seconds."""
    limit(int(sys.argv[1]), int(sys.argv[2]), may_write=MOST_BYTES)
    head = said_head()
    return run(_all(head), str(head["name"]))


def _all(head: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from read(sys.stdin.buffer.read(), Path(head["folder"]), str(head["name"]), datetime.fromisoformat(head["taken_at"]))


if __name__ == "__main__":
    sys.exit(main())
