"""An auditor takes lines out with proofs that hold without Salus; nobody else does, and each export is on the log."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from salus_web.audit import check_export, services
from salus_web.audit import verify as alone
from salus_web.audit.models import Countersign, Event
from salus_web.audit.selectors import Wanted
from salus_web.audit.services import (
    Act,
    export_events,
    export_package,
    forget_search,
    record,
    save_search,
)
from salus_web.common.errors import BadInput, Hidden, Refused

from tests.factories.glass import Glass, make_glass
from tests.factories.people import SYSTEM, actor_of, make_site, make_user

pytestmark = pytest.mark.django_db
READS = Wanted(action="patient.read")


@pytest.fixture
def glass(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Glass:
    return make_glass(tmp_path, settings, monkeypatch)


@pytest.fixture
def auditor() -> Any:
    return actor_of(make_user("auditor", make_site()))


def proven(glass: Glass, body: bytes, *, with_witness: bool = True) -> int:
    """The status of the verifier that stands alone."""
    path = glass.folder / "lines.jsonl"
    path.write_bytes(body)
    arguments = ["--proof", str(path), "--signer-key", str(glass.folder / "signer.pub")]
    return alone.main([*arguments, *(["--witness-key", str(glass.folder / "witness.pub")] if with_witness else [])])


def test_every_exported_line_is_proven(glass: Glass, auditor: Any, capsys: pytest.CaptureFixture[str]) -> None:
    glass.grow(40, 33, 5)
    body = export_events(wanted=READS, by=auditor)
    wanted = list(Event.objects.filter(action="patient.read").order_by("number").values_list("number", flat=True))
    assert [json.loads(line)["event"]["number"] for line in body.splitlines()[1:]] == wanted and len(wanted) > 5
    assert proven(glass, body) == 0
    said = capsys.readouterr().out
    assert f"{len(wanted)} of {len(wanted)} lines stand in the log" in said and "The witness signed this checkpoint" in said


def forge(lines: list[dict[str, Any]]) -> None:
    lines[3]["event"]["actor_name"] = "Somebody Else"


def forge_with_digest(lines: list[dict[str, Any]]) -> None:
    event = lines[3]["event"]
    event["actor_name"] = "Somebody Else"
    event["digest"] = alone.digest(event)


def move(lines: list[dict[str, Any]]) -> None:
    lines[3]["index"] += 1


@pytest.mark.parametrize("change", [forge, forge_with_digest, move, lambda lines: lines.pop(), lambda lines: lines[3].pop("event")])
def test_a_changed_export_is_found(glass: Glass, auditor: Any, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    glass.grow(60)
    lines = [json.loads(line) for line in export_events(wanted=READS, by=auditor).splitlines()]
    change(lines)
    assert proven(glass, b"".join(json.dumps(line).encode() + b"\n" for line in lines)) == 2


def test_what_is_not_proven_is_said(glass: Glass, auditor: Any, capsys: pytest.CaptureFixture[str]) -> None:
    glass.grow(40)
    record(Act("patient.read"), by=SYSTEM)
    Countersign.objects.all().delete()
    assert proven(glass, export_events(wanted=READS, by=auditor)) == 0
    said = capsys.readouterr().out
    assert "1 lines were not under a checkpoint yet" in said and "had not signed this checkpoint yet" in said


def test_a_checkpoint_of_another_signer_proves_nothing(glass: Glass, auditor: Any, capsys: pytest.CaptureFixture[str]) -> None:
    glass.grow(40)
    body = export_events(wanted=READS, by=auditor)
    (glass.folder / "signer.pub").write_text((glass.folder / "witness.pub").read_text())
    assert proven(glass, body) == 1 and "signature does not hold" in capsys.readouterr().out


@pytest.mark.parametrize("role", ["clinician", "administrator", "researcher"])
def test_only_an_auditor_exports(glass: Glass, role: str) -> None:
    glass.grow(3)
    with pytest.raises(Refused):
        export_events(wanted=READS, by=actor_of(make_user(role, make_site())))
    assert not Event.objects.filter(action="audit.export").exists()


def test_an_export_is_a_line_of_the_log(glass: Glass, auditor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    glass.grow(4)
    export_events(wanted=Wanted(patient="ab" * 16), by=auditor)
    line = Event.objects.get(action="audit.export")
    assert (line.actor_id, line.patient, line.detail) == (auditor.id, "ab" * 16, {"lines": 0})
    monkeypatch.setattr(services, "EXPORT_AT_MOST", 3)
    with pytest.raises(BadInput, match="More than 3 lines"):
        export_events(wanted=Wanted(), by=auditor)


def test_searches_are_ones_own(auditor: Any) -> None:
    other = actor_of(make_user("administrator", make_site()))
    row = save_search(name=" Refused ", wanted={"outcome": "refused"}, by=auditor)
    save_search(name="Refused", wanted={"outcome": "failed"}, by=auditor)
    row.refresh_from_db()
    assert (row.name, row.wanted) == ("Refused", {"outcome": "failed"})
    with pytest.raises(Hidden):
        forget_search(search_id=row.pk, by=other)
    with pytest.raises(Refused):
        save_search(name="x", wanted={}, by=actor_of(make_user("clinician", make_site())))
    with pytest.raises(BadInput):
        save_search(name=" ", wanted={}, by=auditor)
    forget_search(search_id=row.pk, by=auditor)
    acts = Event.objects.filter(action__startswith="audit.search").order_by("number")
    assert [line.action for line in acts] == ["audit.search.save", "audit.search.save", "audit.search.forget"]
    first, second, gone = acts
    assert first.before_hash == "" and second.before_hash == first.after_hash != second.after_hash == gone.before_hash
    assert all("refused" not in str(line.detail) for line in acts), "the log holds keyed hashes of values, never the values"


# --- the package: the same lines, checked without Salus


@pytest.fixture
def package(glass: Glass, auditor: Any, tmp_path: Path) -> Path:
    """An export unpacked into a folder of its own."""
    glass.grow(40, 33)
    record(Act("patient.read", detail={"share": 0.1, "tiny": 1e-07, "words": "Zoë — “quoted”, \t tab", "list": [1.5, 2**53, None, True]}), by=SYSTEM)
    glass.checkpoint()
    folder = tmp_path / "elsewhere"
    with zipfile.ZipFile(io.BytesIO(export_package(wanted=READS, by=auditor))) as archive:
        archive.extractall(folder)
    return folder


def checked(folder: Path, *, witness: bool = True) -> tuple[int, str]:
    """Run the program of the package by itself: no Django, no Salus, nothing but what lies in the folder."""
    command = [sys.executable, "-I", "check_export.py", "audit-lines.jsonl", "--signer-key", "signer.pub"]
    done = subprocess.run([*command, *(["--witness-key", "witness.pub"] if witness else [])], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_package_is_checked_by_the_program_that_lies_in_it(package: Path) -> None:
    assert sorted(path.name for path in package.iterdir()) == ["READ-ME.txt", "audit-lines.jsonl", "check_export.py", "signer.pub", "witness.pub"]
    lines = (package / "audit-lines.jsonl").read_text().count("\n") - 1
    code, said = checked(package)
    assert code == 0 and f"{lines} of {lines} lines stand unchanged under the signed root" in said and "The witness signed" in said, said
    words = (package / "READ-ME.txt").read_text()
    assert "Asked for: action patient.read." in words and f"holds {lines} lines" in words and "checkpoint 3 of" in words
    assert "python3 check_export.py audit-lines.jsonl --signer-key signer.pub --witness-key witness.pub" in words


def test_the_program_needs_nothing_of_salus() -> None:
    tree = ast.parse(Path(check_export.__file__).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names | {"cryptography", "__future__"}


@pytest.mark.parametrize("change", [forge, forge_with_digest, move, lambda lines: lines.pop(), lambda lines: lines[3].pop("event"), lambda lines: lines[5]["path"].pop()])
def test_the_program_finds_what_was_changed(package: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    path = package / "audit-lines.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, said = checked(package)
    assert code == 2 and "CHANGED" in said, said


def test_the_program_trusts_no_other_key(package: Path) -> None:
    (package / "signer.pub").write_text((package / "witness.pub").read_text())
    code, said = checked(package)
    assert code == 2 and "the signer's signature does not hold" in said
    (package / "signer.pub").write_text("no key")
    assert checked(package)[0] == 1


def test_a_witness_that_is_asked_for_and_has_not_signed_is_said(package: Path) -> None:
    path = package / "audit-lines.jsonl"
    head, _, rest = path.read_text().partition("\n")
    path.write_text(json.dumps(json.loads(head) | {"witness": None}) + "\n" + rest)
    assert "The witness had not signed this checkpoint yet" in checked(package)[1]
    assert "witness" not in checked(package, witness=False)[1].lower()


def test_lines_without_a_checkpoint_are_said_to_be_unproven(glass: Glass, auditor: Any, tmp_path: Path) -> None:
    glass.write(30)
    with zipfile.ZipFile(io.BytesIO(export_package(wanted=READS, by=auditor))) as archive:
        archive.extractall(tmp_path / "young")
        assert "none of them is proven" in archive.read("READ-ME.txt").decode()
    (tmp_path / "young" / "signer.pub").write_text((tmp_path / "witness.pub").read_text())
    code, said = checked(tmp_path / "young", witness=False)
    assert code == 0 and "0 of" in said and "too young for a checkpoint" in said
