"""A backup is put back as it was or refused in words that name the file; a drill says which."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from salus_web.audit.scratch import scratch_database
from salus_web.backups.sealing import SEGMENT_BYTES, Opener, Sealer
from salus_web.common.errors import IntegrityBroken

KEY, OTHER = "ab" * 32, "cd" * 32
FILL = """
from django.db import transaction
from salus_web.audit.services import Act, record
from salus_web.audit.shell import SHELL
from salus_web.common import vault
from tests.factories.people import make_patient, make_site
site = make_site()
for number in range(20):
    make_patient(site)
    vault.put(bytes([number]) * 3000)
    with transaction.atomic():
        record(Act("backup.tried"), by=SHELL)
"""
TELL = """
import json
from salus_web.backups.databases import describe
from salus_web.backups.models import Run
from salus_web.common import vault
print(json.dumps([describe(), sorted(key for folder in vault.folders() for key in vault.keys_in(folder)),
    [[run.kind, run.done, run.reason] for run in Run.objects.order_by("finished_at")]]))
"""


# --- the sealed stream


def sealed(path: Path, plain: bytes, bound_to: str = "one") -> Path:
    sealer = Sealer(path, key=KEY, bound_to=bound_to)
    for start in range(0, len(plain), 700_000):
        sealer.write(plain[start : start + 700_000])
    assert sealer.finish() == hashlib.sha256(path.read_bytes()).hexdigest()
    return path


@pytest.mark.parametrize("size", [0, 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES])
def test_a_sealed_stream_opens_as_it_was(tmp_path: Path, size: int) -> None:
    plain = bytes(range(256)) * (size // 256 + 1)
    path = sealed(tmp_path / "a", plain[:size])
    assert Opener(path, key=KEY, bound_to="one").read() == plain[:size]
    assert size < 256 or plain[:64] not in path.read_bytes()


@pytest.mark.parametrize("harm", ["changed", "cut", "whole segments cut", "swapped", "longer length", "key", "place"])
def test_a_harmed_stream_is_refused_by_name(tmp_path: Path, harm: str) -> None:
    path = sealed(tmp_path / "database.sealed", bytes(3 * SEGMENT_BYTES))
    body, one = path.read_bytes(), 4 + 12 + SEGMENT_BYTES + 16
    harmed = {
        "changed": body[:5000] + bytes([body[5000] ^ 1]) + body[5001:],
        "cut": body[:-1],
        "whole segments cut": body[:one],
        "swapped": body[one : 2 * one] + body[:one] + body[2 * one :],
        "longer length": b"\x7f\xff\xff\xff" + body[4:],
    }
    path.write_bytes(harmed.get(harm, body))
    with pytest.raises(IntegrityBroken, match="database.sealed"):
        Opener(path, key=OTHER if harm == "key" else KEY, bound_to="two" if harm == "place" else "one").read()


# --- whole installations, each by processes of its own


@dataclass(frozen=True)
class House:
    """An installation of its own."""

    root: Path
    environment: dict[str, str]

    def manage(self, *words: str, code: int = 0) -> str:
        command = [sys.executable, str(self.root / "manage.py"), *words]
        ended = subprocess.run(command, env=self.environment, cwd=self.root, capture_output=True, text=True, check=False)
        said = ended.stdout + ended.stderr
        assert ended.returncode == code and "Traceback" not in said, said[-3000:]
        return said

    def tell(self) -> list:  # type: ignore[type-arg]
        found: list = json.loads(self.manage("shell", "-v", "0", "-c", TELL).splitlines()[-1])  # type: ignore[type-arg]
        return found


@contextmanager
def empty_house(root: Path) -> Iterator[House]:
    with scratch_database(migrated=False) as environment:
        yield House(root, environment)


@pytest.fixture(scope="module")
def house(repository_root: Path) -> Iterator[House]:
    with scratch_database() as environment:
        made = House(repository_root, environment)
        made.manage("migrate", "-v", "0")
        made.manage("shell", "-v", "0", "-c", FILL)
        made.manage("audit_checkpoint")
        yield made


@pytest.fixture(scope="module")
def taken(house: House, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one backup and its key."""
    place = tmp_path_factory.mktemp("backups")
    (place / "backups").mkdir()
    house.manage("backup", "--make-key", "--key-file", str(place / "key"), "--to", str(place / "backups"))
    return place


def backup_in(place: Path) -> Path:
    return next((place / "backups").glob("backup-*"))


@pytest.mark.slow
def test_what_is_put_back_is_what_was_there(house: House, taken: Path) -> None:
    before, blobs, _ = house.tell()
    with empty_house(house.root) as other:
        said = other.manage("restore", "--from", str(backup_in(taken)), "--key-file", str(taken / "key"))
        after, found, runs = other.tell()
        assert "are as they were" in said and "whole" in other.manage("verify_log")
        again = other.manage("restore", "--from", str(backup_in(taken)), "--key-file", str(taken / "key"), code=1)
    assert "only put into an empty one" in again
    assert found == blobs and len(blobs) == 20
    # the backup's own row and line came after its moment; putting it back wrote one line
    assert runs == [] and before["rows"]["backups_run"] == 1
    assert after["rows"] == before["rows"] | {"backups_run": 0}
    assert after["log"]["lines"] == before["log"]["lines"]
    assert after["migrations"] == before["migrations"]


HARMS = {
    "database.sealed": lambda body: body[:900] + bytes([body[900] ^ 4]) + body[901:],
    "vault.sealed": lambda body: body[:-40],
    "log.sealed": lambda body: body[:-1],
    "manifest.json": lambda body: body.replace(b'"blobs": 20', b'"blobs": 19'),
    "manifest.tag": lambda body: b"00" + body[2:],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(HARMS))
def test_a_harmed_backup_is_refused_before_a_byte_is_written(house: House, taken: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(backup_in(taken), tmp_path / backup_in(taken).name)
    body = (copy / name).read_bytes()
    assert HARMS[name](body) != body
    (copy / name).write_bytes(HARMS[name](body))
    with empty_house(house.root) as other:
        said = other.manage("restore", "--from", str(copy), "--key-file", str(taken / "key"), code=1)
        place = Path(other.environment["SALUS_DATA_DIR"])
        assert not (place / "vault").exists() and not (place / "salus.sqlite3").exists()
    assert name.replace(".tag", ".json") in said


@pytest.mark.slow
def test_the_wrong_key_and_half_a_backup_are_refused(house: House, taken: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(OTHER)
    (tmp_path / "key").chmod(0o600)
    half = shutil.copytree(backup_in(taken), tmp_path / "half")
    (half / "manifest.json").unlink()
    with empty_house(house.root) as other:
        wrong = other.manage("restore", "--from", str(backup_in(taken)), "--key-file", str(tmp_path / "key"), code=1)
        absent = other.manage("restore", "--from", str(half), "--key-file", str(taken / "key"), code=1)
    assert "not the key of this backup" in wrong
    assert "no whole backup" in absent


@pytest.mark.slow
def test_a_drill_restores_elsewhere_and_keeps_what_it_found(house: House, taken: Path, tmp_path: Path) -> None:
    place, key = taken / "backups", str(taken / "key")
    assert "is what was copied" in house.manage("restore_drill", "--from", str(place), "--key-file", key)
    spoilt = shutil.copytree(backup_in(taken), tmp_path / "spoilt" / backup_in(taken).name)
    (spoilt / "vault.sealed").write_bytes(b"nothing")
    said = house.manage("restore_drill", "--from", str(spoilt.parent), "--key-file", key, code=1)
    assert "vault.sealed" in said
    (tmp_path / "none").mkdir()
    assert "no whole backup" in house.manage("restore_drill", "--from", str(tmp_path / "none"), "--key-file", key, code=1)
    drills = [run for run in house.tell()[2] if run[0] == "drill"]
    assert [done for _, done, _ in drills] == [True, False] and "vault.sealed" in drills[1][2]


@pytest.mark.slow
def test_a_backup_that_cannot_be_written_leaves_nothing_and_says_so(house: House, taken: Path) -> None:
    said = house.manage("backup", "--key-file", str(taken / "key"), "--to", str(taken / "nowhere"), code=1)
    assert "is no folder" in said and not (taken / "nowhere").exists()
    kind, done, reason = house.tell()[2][-1]
    assert (kind, done) == ("backup", False) and "is no folder" in reason
    assert "never replaced" in house.manage("backup", "--make-key", "--key-file", str(taken / "key"), code=1)


TELL_ERASED = """
import json
from django.db.models import QuerySet
from salus_web.records.models import Patient
found = QuerySet(Patient).order_by("pk")
print(json.dumps([[str(row.pk), row.erased_at is not None, str(row.birth_date)] for row in found]))
"""


@pytest.mark.slow
def test_whoever_was_erased_since_does_not_come_back_with_a_backup(house: House, taken: Path, tmp_path: Path) -> None:
    elsewhere = {"SALUS_ERASED_FILE": str(tmp_path / "erased.jsonl")}
    gone = json.loads(house.manage("shell", "-v", "0", "-c", TELL_ERASED).splitlines()[-1])[7][0]
    listing = f"from salus_web.common import erased_list; erased_list.add([('{gone}', 'p', 'now')])"
    House(house.root, house.environment | elsewhere).manage("shell", "-v", "0", "-c", listing)
    with empty_house(house.root) as found:
        other = House(house.root, found.environment | elsewhere)
        # a restore is done with the keys that were kept apart
        shutil.copy(Path(house.environment["SALUS_DATA_DIR"]) / "keys.json", found.environment["SALUS_DATA_DIR"])
        said = other.manage("restore", "--from", str(backup_in(taken)), "--key-file", str(taken / "key"))
        people = json.loads(other.manage("shell", "-v", "0", "-c", TELL_ERASED).splitlines()[-1])
        assert "erased again: 1" in said and "whole" in other.manage("verify_log")
        assert "erased again: 0" in other.manage("apply_erasures")
    assert [entry for entry in people if entry[1]] == [[gone, True, "None"]] and len(people) == 20
