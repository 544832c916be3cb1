"""The witness signs what extends the last it saw, and nothing else; its key and its memory are its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from salus_web.audit import merkle
from salus_web.audit.notes import (
    SIGNER,
    WITNESS,
    BadNote,
    Note,
    load_key,
    opened,
    public_hex,
    public_key,
    read_note,
    sign,
)
from salus_web.audit.witness import Witness

KEY = Ed25519PrivateKey.generate()
LEAVES = [merkle.leaf(bytes([number])) for number in range(30)]


def request(sequence: int, size: int, old: int, *, leaves: list[bytes] = LEAVES, key: Ed25519PrivateKey = KEY) -> dict[str, Any]:
    """What the log sends for its checkpoint number `sequence`."""
    before, after = merkle.Tree(), merkle.Tree()
    before.add(leaves[:old])
    after.add(leaves[:size])
    content = {"kind": "checkpoint", "sequence": sequence, "size": size, "root": after.root().hex()}
    proof = [part.hex() for part in merkle.consistency(before, leaves[old:size])]
    note = sign(content, key=key, voice=SIGNER)
    return {"ask": "sign", "note": note.plain(), "proof": proof, "signer": public_hex(key)}


def reached(asked: dict[str, Any]) -> dict[str, Any]:
    """A request's checkpoint as a fork record names it."""
    content = json.loads(asked["note"]["body"])
    return {"checkpoint": read_note(asked["note"]).digest} | {name: content[name] for name in ("sequence", "size", "root")}


def fork(kept: dict[str, Any], left: dict[str, Any]) -> dict[str, Any]:
    note = sign({"kind": "fork", "kept": kept, "left": left}, key=KEY, voice=SIGNER)
    return {"ask": "sign", "note": note.plain(), "proof": [], "signer": public_hex(KEY)}


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    """A witness that has signed checkpoints over 4 and 9 lines."""
    found = Witness(tmp_path / "witness")
    for asked in (request(1, 4, 0), request(2, 9, 4)):
        assert "statement" in found.answer(asked)
    return found


def test_it_signs_what_extends_the_last(witness: Witness, tmp_path: Path) -> None:
    answer = witness.answer(request(3, 20, 9))
    said = opened(read_note(answer["statement"]), key=public_key(answer["key"]), voice=WITNESS)
    assert (said["sequence"], said["size"]) == (3, 20)
    assert answer["key"] == (tmp_path / "witness" / "witness.pub").read_text().strip()
    assert witness.answer(request(3, 20, 9))["statement"] == answer["statement"], "asked again, it says the same"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (request(1, 4, 0), "Checkpoint 2 was the last I saw; 1 does not follow it"),
        (request(2, 8, 4), "Checkpoint 2 was the last I saw; 2 does not follow it"),
        (request(4, 12, 9), "4 does not follow it"),
        (request(3, 12, 9, leaves=[merkle.leaf(b"forged"), *LEAVES[1:]]), "does not contain the 9 lines I saw before"),
        (request(3, 12, 4), "does not contain the 9 lines"),
        (request(3, 12, 9, key=Ed25519PrivateKey.generate()), "A signature does not hold"),
        ({"ask": "sign", "note": {"body": "{}"}}, "no signed note"),
        ({"ask": "forget"}, "does not know this request"),
        (None, "does not know this request"),
    ],
)
def test_it_refuses_what_does_not(witness: Witness, asked: Any, words: str) -> None:
    before = witness.last()
    answer = witness.answer(asked)
    assert words in answer["refused"] and "statement" not in answer
    assert witness.last() == before


def test_it_remembers_over_a_restart(witness: Witness, tmp_path: Path) -> None:
    again = Witness(tmp_path / "witness")
    assert "refused" in again.answer(request(1, 4, 0)) and "statement" in again.answer(request(3, 10, 9))


def test_who_writes_into_its_memory_is_found_out(witness: Witness) -> None:
    body, *_ = witness.seen.read_text().splitlines()
    witness.seen.write_text(f"{body.replace('size', 'siz', 1)}\n")
    assert "does not hold" in witness.answer(request(2, 9, 4))["refused"]
    witness.seen.write_text("no line of ours\n")
    assert "memory cannot be read" in witness.answer({"ask": "last"})["refused"]


def test_it_leaves_a_line_only_for_a_record_that_names_it(witness: Witness) -> None:
    first, second = reached(request(1, 4, 0)), reached(request(2, 9, 4))
    assert "does not name the checkpoint" in witness.answer(fork(first, first))["refused"]
    assert "never saw" in witness.answer(fork(first | {"size": 5}, second))["refused"]
    assert "refused" in witness.answer(request(2, 6, 4)), "without the record it is a rollback"
    assert "statement" in witness.answer(fork(first, second))
    other = [*LEAVES[:4], *(merkle.leaf(bytes([90 + number])) for number in range(9))]
    assert "statement" in witness.answer(request(2, 6, 4, leaves=other)), "the new line goes on from what was kept"
    assert "refused" in witness.answer(request(3, 12, 9))


def test_keys_lie_in_files_that_only_their_owner_reads(witness: Witness, tmp_path: Path) -> None:
    path = tmp_path / "witness" / "witness.key"
    assert path.stat().st_mode & 0o777 == 0o600 and public_hex(load_key(path)) != public_hex(KEY)
    path.write_text("no key")
    with pytest.raises(BadNote, match="holds no key"):
        load_key(path)


def test_a_word_of_the_signer_is_not_taken_for_the_witness() -> None:
    note = sign({"kind": "checkpoint"}, key=KEY, voice=SIGNER)
    with pytest.raises(BadNote):
        opened(note, key=KEY.public_key(), voice=WITNESS)
    with pytest.raises(BadNote):
        opened(Note(note.body + " ", note.signature), key=KEY.public_key(), voice=SIGNER)


def test_it_is_a_program_of_its_own_without_django(tmp_path: Path) -> None:
    code = "import sys, salus_web.audit.witness; print('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
    (tmp_path / "signer.pub").write_text(public_hex(KEY))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "salus_web.audit.witness", "--folder", str(tmp_path / "w"), "--listen", f"127.0.0.1:{port}",
        "--signer-key", str(tmp_path / "signer.pub"),
    ]  # fmt: skip
    program = subprocess.Popen(command)
    try:
        assert "statement" in over_the_line(port, request(1, 4, 0))
        assert "refused" in over_the_line(port, request(1, 4, 0, key=Ed25519PrivateKey.generate()))
        assert "refused" in over_the_line(port, "not an object")
    finally:
        program.kill()
        program.wait()


def over_the_line(port: int, asked: Any) -> dict[str, Any]:
    for _ in range(100):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as link, link.makefile("rwb") as stream:
                stream.write(json.dumps(asked).encode() + b"\n")
                stream.flush()
                return json.loads(stream.readline())
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise AssertionError("the witness does not listen")


def test_on_a_server_only_one_service_can_sign_and_the_witness_holds_nothing_of_ours(repository_root: Path) -> None:
    services = yaml.safe_load((repository_root / "docker-compose.yml").read_text())["services"]
    assert [name for name, service in services.items() if "audit_signer_key" in service.get("secrets", [])] == ["worker-cpu"]
    assert services["worker-cpu"]["environment"]["SALUS_AUDIT_SIGNER_KEY_FILE"] == "/run/secrets/audit_signer_key"
    assert not {"secrets", "environment"} & set(services["witness"]), "the witness knows no key but its own"
