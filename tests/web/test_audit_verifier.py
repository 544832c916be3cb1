"""What the verifier says: of chains in stripes, of lines in their first form, of checkpoints, and by what status it ends.

The eight kinds of tampering at random places are tests/drills/test_audit_tamper.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from salus_web.audit import verify as alone
from salus_web.audit.chain import EXPORTED, GENESIS, digest
from salus_web.audit.line import Line
from salus_web.audit.models import Checkpoint, Event, Head
from salus_web.audit.reading import heads, lines
from salus_web.audit.verifier import CHANGED, CUT_SHORT, ROLLED_BACK, WHOLE, verify, walk

from tests.factories.glass import Glass, make_glass, take_guards_off

Rows = list[dict[str, Any]]
MODEL = dict.fromkeys(EXPORTED, "") | {"detail": {}, "at": "2026-03-04T05:06:07.000000Z"}


def striped(*lengths: int, form: int = 2) -> Rows:
    """Lines in as many stripes as there are lengths, each chained."""
    rows, number = [], 0
    for stripe, length in enumerate(lengths):
        last = GENESIS
        for place in range(1, length + 1):
            number += 1
            row = MODEL | {"stripe": stripe, "place": place, "number": number, "form": form, "previous": last}
            last = row["digest"] = digest(row)
            rows.append(row)
    return rows


def ends(rows: Rows) -> dict[int, tuple[int, str]]:
    return {row["stripe"]: (row["place"], row["digest"]) for row in rows}


def test_stripes_are_whole_each_for_itself() -> None:
    rows = striped(3, 0, 5)
    found = verify(walk(rows), heads=ends(rows), held=Line())
    assert (found.code, found.lines) == (WHOLE, 8)


@pytest.mark.parametrize(
    ("tamper", "code", "where"),
    [
        (lambda rows: rows[5].update(action="forged"), CHANGED, (2, 3)),
        (lambda rows: rows[5].update(action="x") or rows[5].update(digest=digest(rows[5])), CHANGED, (2, 4)),
        (lambda rows: rows.pop(4), CHANGED, (2, 2)),
        (lambda rows: rows.pop(), CUT_SHORT, (2, 5)),
        (lambda rows: rows.__setitem__(slice(0, 3), []), CUT_SHORT, (0, 1)),
        (lambda rows: rows[1].update(stripe=2), CHANGED, (2, 1)),
        (lambda rows: rows[0].update(form=7), CHANGED, (0, 1)),
    ],
)
def test_a_bad_line_is_named_by_stripe_and_place(tamper: Callable[[Rows], Any], code: int, where: tuple[int, int]) -> None:
    rows = striped(3, 0, 5)
    heads_before = ends(rows)
    tamper(rows)
    found = verify(walk(rows), heads=heads_before, held=Line())
    assert (found.code, (found.stripe, found.place)) == (code, where)


def test_a_stripe_that_no_head_knows_is_a_change() -> None:
    rows = striped(3, 2)
    found = verify(walk(rows), heads={0: ends(rows)[0]}, held=Line())
    assert (found.code, found.stripe, found.place) == (CHANGED, 1, 1)


def test_lines_of_the_first_form_verify_and_cannot_hide_new_fields() -> None:
    old = striped(4, form=1)
    assert verify(walk(old), heads=ends(old), held=Line()).code == WHOLE
    new = MODEL | {"stripe": 0, "place": 5, "number": 9, "form": 2, "previous": old[-1]["digest"]}
    new["digest"] = digest(new)
    assert walk([*old, new]).broken is None
    back = MODEL | {"stripe": 0, "place": 6, "number": 6, "form": 1, "previous": new["digest"]}
    back["digest"] = digest(back)
    assert walk([*old, new, back]).broken == (0, 6), "the first form does not come back"
    old[2]["before_hash"] = "ab"  # not part of the first form's digest
    assert walk(old).broken == (0, 3)


# --- the database, and files that need none


@pytest.fixture
def glass(db: None, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Glass:
    return make_glass(tmp_path, settings, monkeypatch)


def exported(glass: Glass) -> list[str]:
    """The arguments of the verifier that stands alone, for an export of the database as it is."""
    folder = glass.folder / "export"
    call_command("audit_export", folder=folder)
    return [
        "--events", str(folder / "events.jsonl"), "--checkpoints", str(glass.folder / "checkpoints.jsonl"), "--witness",
        str(glass.folder / "witness" / "seen.jsonl"), "--signer-key", str(glass.folder / "signer.pub"), "--witness-key",
        str(glass.folder / "witness.pub"),
    ]  # fmt: skip


def status(*arguments: str) -> int:
    """The exit status of `manage.py verify_log`."""
    try:
        call_command("verify_log", *arguments)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_a_whole_log_is_said_whole_by_both(glass: Glass, capsys: pytest.CaptureFixture[str]) -> None:
    glass.grow(20, 30)
    glass.write(2)
    assert status() == WHOLE == alone.main(exported(glass))
    said = capsys.readouterr().out
    assert "lines 1 to 52" in said and "2 newest lines are not under a checkpoint yet" in said
    assert "The witness has signed checkpoint 2" in said and json.loads(Checkpoint.objects.last().body)["root"] in said


def cut(last: int) -> None:
    Event.objects.filter(place__gt=last).delete()


def roll_back(last: int, checkpoints: int) -> None:
    """The database as it was when it had so many lines and checkpoints."""
    for row in list(Checkpoint.objects.order_by("pk")[checkpoints:]):
        row.delete()
    cut(last)
    Head.objects.update(place=last, digest=Event.objects.get(place=last).digest)


@pytest.mark.parametrize(
    ("tamper", "code", "words"),
    [
        (lambda: Event.objects.filter(place=31).update(action="forged"), CHANGED, "changed at line 31"),
        (lambda: cut(44), CUT_SHORT, "cut short from line 45"),
        (lambda: roll_back(20, 1), ROLLED_BACK, "more than the database holds, from line 21"),
    ],
    ids=["changed", "cut", "rolled back"],
)
def test_both_end_by_the_same_status(
    glass: Glass, capsys: pytest.CaptureFixture[str], tamper: Callable[[], Any], code: int, words: str
) -> None:
    glass.grow(20, 30)
    take_guards_off()
    tamper()
    assert status() == code
    assert words in capsys.readouterr().out
    # the export is itself a line; what was cut stays cut, so the status is the same and the first bad line as well
    files = exported_as_it_is(glass)
    assert alone.main(files) == code and words in capsys.readouterr().out


def exported_as_it_is(glass: Glass) -> list[str]:
    """An export without the line that says so, which would hide a cut end behind a broken chain."""
    arguments = exported(glass)
    path = Path(arguments[1])
    kept = path.read_bytes().splitlines(keepends=True)
    header = json.loads(kept[0])
    last = Event.objects.order_by("-number").first()
    assert last is not None and last.action == "audit.export"
    before = {str(stripe): end for stripe, end in heads().items()} | {str(last.stripe): [last.place - 1, last.previous]}
    path.write_bytes(b"".join([json.dumps(header | {"heads": before}).encode() + b"\n", *kept[1:-1]]))
    return arguments


def test_a_log_that_went_on_after_a_rollback_is_found(glass: Glass, capsys: pytest.CaptureFixture[str]) -> None:
    glass.grow(20, 30)
    take_guards_off()
    roll_back(24, 1)
    glass.grow(40)
    assert status() == ROLLED_BACK and "from line 25" in capsys.readouterr().out
    assert "refused" in str(glass.witness.answer({"ask": "sign"}))
    assert Checkpoint.objects.last().countersign.refused


def test_the_witness_alone_is_enough_to_find_a_rollback(glass: Glass, capsys: pytest.CaptureFixture[str]) -> None:
    """Database and file are of the same old day; only the witness remembers more."""
    glass.grow(20)
    file = glass.folder / "checkpoints.jsonl"
    old = file.read_bytes()
    glass.grow(30)
    take_guards_off()
    roll_back(24, 1)
    file.write_bytes(old)
    assert status() == ROLLED_BACK and "from line 25" in capsys.readouterr().out
    glass.grow(9)
    assert status() == ROLLED_BACK and "the witness saw other lines from line 21" in capsys.readouterr().out


def test_a_forged_checkpoint_is_found(glass: Glass, capsys: pytest.CaptureFixture[str]) -> None:
    glass.grow(5, 5)
    take_guards_off()
    last = Checkpoint.objects.order_by("pk").last()
    Checkpoint.objects.filter(pk=last.pk).update(body=last.body.replace('"size":10', '"size":11'))
    assert status() == CHANGED and "A signature does not hold" in capsys.readouterr().out


def test_a_witness_with_another_key_is_not_believed(glass: Glass) -> None:
    glass.grow(5)
    (glass.folder / "witness.pub").write_text("ab" * 32)
    with pytest.raises(Exception, match="witness's word cannot be trusted"):
        call_command("verify_log")


def test_a_line_behind_the_head_is_found(glass: Glass, capsys: pytest.CaptureFixture[str]) -> None:
    glass.grow(5)
    row = list(lines(heads()))[-1]
    extra = row | {"place": 6, "number": row["number"] + 1, "previous": row["digest"], "action": "added"}
    Event.objects.create(**extra | {"digest": digest(extra)})
    assert status() == CHANGED and "behind the end of the log" in capsys.readouterr().out


@pytest.mark.parametrize("change", [lambda text: text.replace("patient.read", "patient.reap", 1), lambda text: text + "no line\n"])
def test_a_changed_export_is_found(glass: Glass, change: Callable[[str], str]) -> None:
    glass.grow(20)
    arguments = exported(glass)
    path = Path(arguments[1])
    path.write_text(change(path.read_text()))
    assert alone.main(arguments) == CHANGED


def test_what_cannot_be_read_is_a_sentence(glass: Glass, capsys: pytest.CaptureFixture[str]) -> None:
    glass.grow(3)
    arguments = exported(glass)
    assert alone.main(["--events", "/nowhere"]) == 1
    assert "/nowhere cannot be read" in capsys.readouterr().out
    assert alone.main(arguments[:4]) == 1 and "--signer-key" in capsys.readouterr().out
    (glass.folder / "signer.pub").write_text("no key")
    assert alone.main(arguments) == 1 and "no public key" in capsys.readouterr().out


def test_the_verifier_stands_alone(glass: Glass) -> None:
    glass.grow(10)
    code = "import sys; from salus_web.audit.verify import main; r = main(sys.argv[1:]); print('django' in sys.modules); sys.exit(r)"
    done = subprocess.run([sys.executable, "-c", code, *exported(glass)], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.endswith("False\n"), done.stderr
