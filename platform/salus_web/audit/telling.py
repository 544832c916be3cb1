"""Telling others of signed notes: the append-only file beside the database, and the witness. What they remember is read here too."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Q

from salus_web.audit.chain import GENESIS
from salus_web.audit.models import Checkpoint, Countersign
from salus_web.audit.notes import WITNESS, BadNote, Note, opened, public_key, read_note
from salus_web.common.clock import now

SECONDS_TO_ANSWER = 10
NOTES_A_ROUND = 200


def file_path() -> Path:
    """The append-only file of signed notes."""
    return settings.SALUS_AUDIT_DIR / "checkpoints.jsonl"


def filed_notes() -> Iterator[tuple[Note, bytes]] | None:
    """The file's notes with their marks; None when there is no file."""
    return notes_of(file_path()) if file_path().exists() else None


def notes_of(path: Path) -> Iterator[tuple[Note, bytes]]:
    """The notes of a file with their marks. A line that is none is passed on as one whose signature cannot hold."""
    with path.open("rb") as stream:
        for line in stream:
            try:
                plain = json.loads(line)
                yield read_note(plain), base64.b64decode(plain.get("marks", ""))
            except (ValueError, BadNote):
                yield Note("", ""), b""


def write_file() -> int:
    """Append the notes that the file lacks; returns how many. Nothing in it is ever changed."""
    file_path().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file_path().open("a+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        lacking = list(_lacking(_last_line(stream)))
        for row in lacking:
            plain = {"body": row.body, "signature": row.signature, "marks": base64.b64encode(bytes(row.marks)).decode()}
            stream.write(json.dumps(plain).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    return len(lacking)


def _last_line(stream: Any) -> str:
    """The digest of the file's last note, GENESIS of an empty file."""
    size, step = stream.seek(0, os.SEEK_END), 1 << 20
    while size:
        stream.seek(max(0, size - step))
        tail = stream.read(step).rstrip(b"\n")
        if b"\n" in tail or step >= size:
            try:
                return read_note(json.loads(tail.rpartition(b"\n")[2])).digest
            except (ValueError, BadNote):
                return ""
        step *= 4
    return GENESIS


def _lacking(last: str) -> Iterator[Checkpoint]:
    """The database's notes that come after the file's last one."""
    rows = Checkpoint.objects.order_by("pk")
    if last == GENESIS:
        return rows.iterator()
    found = rows.filter(note=last).values_list("pk", flat=True).first()
    if found is not None:
        return rows.filter(pk__gt=found).iterator()
    known = {note.digest for note, _ in filed_notes() or ()}  # the database was taken back: the file knows more than it
    return (row for row in rows.iterator() if row.note not in known)


def show_witness() -> int:
    """Show the witness, in order, the notes it has not signed; returns how many it signed now. Its refusal is kept."""
    unsigned = Q(countersign__isnull=True) | Q(countersign__body="")
    rows = Checkpoint.objects.defer("marks", "peaks").filter(unsigned)
    waiting = sorted(rows.order_by("pk")[:NOTES_A_ROUND], key=lambda row: (row.kind != "fork", row.pk))  # a fork explains the rest
    signed = 0
    for row in waiting:
        note = Note(row.body, row.signature)
        answer = ask({"ask": "sign", "note": note.plain(), "proof": row.proof, "signer": _signer()})
        if answer is None:
            break
        told = {"body": "", "signature": "", "refused": str(answer.get("refused", ""))[:300], "at": now()}
        if answer.get("statement"):
            told |= answer["statement"]
            signed += 1
        Countersign.objects.update_or_create(checkpoint=row, defaults=told)
        if told["refused"]:
            break
    return signed


def _signer() -> str:
    path = settings.SALUS_AUDIT_DIR / "signer.pub"
    return path.read_text().strip() if path.exists() else ""


def witness_last() -> dict[str, Any] | None:
    """What the witness signed last, its signature checked; None when it has signed nothing or does not answer.

    Raises BadNote when it speaks with another key than it did at first.
    """
    answer = ask({"ask": "last"}) if settings.SALUS_AUDIT_WITNESS else None
    if not answer or not answer.get("last"):
        return None
    return opened(read_note(answer["last"]), key=public_key(witness_public()), voice=WITNESS)


def witness_public() -> str:
    """The witness's public key as it was first heard, or as a person put it there."""
    path = settings.SALUS_AUDIT_DIR / "witness.pub"
    return path.read_text() if path.exists() else ""


def ask(request: dict[str, Any]) -> dict[str, Any] | None:
    """The witness's answer, None when there is none to ask or it does not answer.

    SALUS_AUDIT_WITNESS is HOST:PORT, or folder:PATH for one on this machine that is started for each question.
    """
    where = settings.SALUS_AUDIT_WITNESS
    try:
        line = _ask_folder(where[7:], request) if where.startswith("folder:") else _ask_host(where, request) if where else b""
        answer = json.loads(line)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    path = settings.SALUS_AUDIT_DIR / "witness.pub"
    if isinstance(answer, dict) and answer.get("key") and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(f"{answer['key']}\n")
    return answer if isinstance(answer, dict) else None


def _ask_folder(folder: str, request: dict[str, Any]) -> bytes:
    command = [sys.executable, "-m", "salus_web.audit.witness", "--folder", folder]
    done = subprocess.run(
        command, input=json.dumps(request).encode() + b"\n", capture_output=True, timeout=SECONDS_TO_ANSWER, check=True
    )
    return done.stdout


def _ask_host(where: str, request: dict[str, Any]) -> bytes:
    host, _, port = where.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=SECONDS_TO_ANSWER) as link, link.makefile("rwb") as stream:
        stream.write(json.dumps(request).encode() + b"\n")
        stream.flush()
        return stream.readline()
