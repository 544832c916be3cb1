"""The witness: a small program of its own that countersigns checkpoints and remembers the last it saw.

`python -m salus_web.audit.witness --folder FOLDER [--signer-key PUB] [--listen HOST:PORT]`. It knows nothing of the log but signed
notes, roots and sizes. It countersigns a checkpoint only when that extends the last one it saw, and leaves a line only for a
signed fork record that names what is left. Without `--listen` it answers one line from standard input.
No Django: standard library and `cryptography` only, so that it runs on a machine where nothing else of Salus is.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import socketserver
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from salus_web.audit import merkle
from salus_web.audit.notes import (
    SIGNER,
    WITNESS,
    BadNote,
    Note,
    load_or_make_key,
    opened,
    public_hex,
    public_key,
    read_note,
    sign,
)

LONGEST_REQUEST = 1 << 20
TAIL_BYTES = 1 << 16
SECONDS_A_REQUEST = 10


class Refusal(Exception):
    """Why the witness does not countersign."""


class Witness:
    """Answers requests from what its folder remembers: its key, the one signer it listens to, and every note it signed."""

    def __init__(self, folder: Path, *, signer: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.key = load_or_make_key(folder / "witness.key")
        (folder / "witness.pub").write_text(public_hex(self.key) + "\n")
        self.seen, self.pinned = folder / "seen.jsonl", folder / "signer.pub"
        if signer and not self.pinned.exists():
            self.pinned.write_text(signer + "\n")

    def answer(self, request: Any) -> dict[str, Any]:
        """One request's answer; a refusal says why and shows the last statement."""
        try:
            with self._alone():
                return self._answer(request if isinstance(request, dict) else {}) | {"key": public_hex(self.key)}
        except Refusal as reason:
            return {"refused": str(reason), "last": self.last(), "key": public_hex(self.key)}
        except BadNote as reason:
            return {"refused": str(reason), "key": public_hex(self.key)}

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("ask") == "last":
            return {"last": self.last()}
        if request.get("ask") != "sign":
            raise Refusal("The witness does not know this request.")
        if not self.pinned.exists():  # the first signer it hears of is the only one it listens to from then on
            self.pinned.write_text(str(request.get("signer", "")) + "\n")
        note = read_note(request.get("note"))
        content = opened(note, key=public_key(self.pinned.read_text()), voice=SIGNER)
        try:
            if content["kind"] == "fork":
                self._check_fork(content)
            elif self._check_extends(note, content, request["proof"]):
                return {"statement": self.last()}
            return {"statement": self._keep(note, content)}
        except (KeyError, TypeError, ValueError):
            raise Refusal("The note lacks something.") from None

    def _check_extends(self, note: Note, content: dict[str, Any], proof: list[str]) -> bool:
        """Refuse a checkpoint that does not extend the last; True for the last one itself, which is signed already."""
        last = self._state()
        if last is None:
            return False  # the first checkpoint it is shown is where its memory begins
        if last["note"] == note.digest:
            return True
        if content["sequence"] != last["sequence"] + 1:
            raise Refusal(f"Checkpoint {last['sequence']} was the last I saw; {content['sequence']} does not follow it.")
        old_root, root = bytes.fromhex(last["root"]), bytes.fromhex(content["root"])
        if not merkle.is_consistent(last["size"], old_root, content["size"], root, [bytes.fromhex(part) for part in proof]):
            raise Refusal(f"Checkpoint {content['sequence']} does not contain the {last['size']} lines I saw before.")
        return False

    def _check_fork(self, content: dict[str, Any]) -> None:
        """Refuse a fork record that does not name what I saw last, or that keeps what I never saw."""
        last = self._state()
        if last is None or last["checkpoint"] != content["left"]["checkpoint"]:
            raise Refusal("The fork record does not name the checkpoint that I saw last.")
        kept = content["kept"]
        if kept["sequence"] and not any(_is_same(line, kept) for line in self._statements()):
            raise Refusal("The fork record keeps a checkpoint that I never saw.")

    def _keep(self, note: Note, content: dict[str, Any]) -> dict[str, Any]:
        """Countersign, remember on disk, and only then answer."""
        is_fork = content["kind"] == "fork"
        reached = content["kept"] if is_fork else content | {"checkpoint": note.digest}
        statement = sign(
            {
                "kind": content["kind"], "note": note.digest, "checkpoint": reached["checkpoint"], "root": reached["root"],
                "sequence": reached["sequence"], "size": reached["size"], "at": datetime.now(UTC).isoformat(timespec="seconds"),
            },
            key=self.key, voice=WITNESS,
        )  # fmt: skip
        with self.seen.open("ab") as stream:
            stream.write(json.dumps({"statement": statement.plain(), "of": note.plain()}).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        return statement.plain()

    def last(self) -> dict[str, Any] | None:
        """The last statement it signed, as a note."""
        try:
            with self.seen.open("rb") as stream:
                stream.seek(max(0, self.seen.stat().st_size - TAIL_BYTES))
                lines = stream.read().splitlines()
        except FileNotFoundError:
            return None
        try:
            return json.loads(lines[-1])["statement"] if lines else None
        except (ValueError, KeyError, TypeError):
            raise BadNote("The witness's own memory cannot be read.") from None

    def _state(self) -> dict[str, Any] | None:
        """What the last statement says. Raises BadNote when somebody wrote into the file."""
        last = self.last()
        return None if last is None else opened(read_note(last), key=self.key.public_key(), voice=WITNESS)

    def _statements(self) -> Iterator[dict[str, Any]]:
        with self.seen.open("rb") as stream:
            for line in stream:
                yield opened(read_note(json.loads(line)["statement"]), key=self.key.public_key(), voice=WITNESS)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One answer at a time, over processes too."""
        with self.seen.with_name("lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _is_same(line: dict[str, Any], kept: dict[str, Any]) -> bool:
    return all(line[name] == kept[name] for name in ("checkpoint", "sequence", "size", "root"))


class _Line(socketserver.StreamRequestHandler):
    """One request and one answer, each one line of JSON."""

    timeout = SECONDS_A_REQUEST

    def handle(self) -> None:
        witness: Witness = self.server.witness  # type: ignore[attr-defined]
        try:
            request = json.loads(self.rfile.readline(LONGEST_REQUEST))
        except (ValueError, OSError):
            request = None
        self.wfile.write(json.dumps(witness.answer(request)).encode() + b"\n")


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="salus_web.audit.witness", description="Countersigns checkpoints that extend the last.")
    parser.add_argument("--folder", type=Path, required=True, help="where its key and its memory lie")
    parser.add_argument("--signer-key", type=Path, help="the signer's public key; else the first signer heard of is kept")
    parser.add_argument("--listen", help="HOST:PORT to listen at; without it one request is read from standard input")
    asked = parser.parse_args(arguments)
    witness = Witness(asked.folder, signer=asked.signer_key.read_text().strip() if asked.signer_key else "")
    if not asked.listen:
        try:
            request = json.loads(sys.stdin.readline(LONGEST_REQUEST))
        except ValueError:
            request = None
        sys.stdout.write(json.dumps(witness.answer(request)) + "\n")
        return 0
    host, _, port = asked.listen.rpartition(":")
    socketserver.TCPServer.allow_reuse_address = True
    with socketserver.TCPServer((host, int(port)), _Line) as server:
        server.witness = witness  # type: ignore[attr-defined]
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
