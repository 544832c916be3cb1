"""An auditor takes lines out with proofs that hold without Salus; nobody else does, and each export is on the log."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from salus_web.audit import services
from salus_web.audit import verify as alone
from salus_web.audit.models import Countersign, Event
from salus_web.audit.selectors import Wanted
from salus_web.audit.services import Act, export_events, forget_search, record, save_search
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
