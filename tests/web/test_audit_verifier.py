"""A changed, removed, moved or cut line of the log is found, at its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from salus_web.audit.chain import FIELDS, digest
from salus_web.audit.models import Event
from salus_web.audit.services import Act, record_many
from salus_web.audit.verifier import CHANGED, CUT_SHORT, WHOLE, verify

from tests.factories.people import SYSTEM

pytestmark = pytest.mark.django_db
Rows = list[dict[str, Any]]


@pytest.fixture
def rows() -> Rows:
    record_many([Act("patient.read", "patient", str(number), detail={"n": number}) for number in range(9)], by=SYSTEM)
    return list(Event.objects.order_by("number").values(*FIELDS, "digest"))


def rechained(rows: Rows) -> Rows:
    """What somebody would do who changed a line and knows how the chain is made."""
    last = "0" * 64
    for row in rows:
        row["previous"] = last
        last = row["digest"] = digest(row)
    return rows


def test_an_untouched_log_is_whole(rows: Rows) -> None:
    found = verify(rows, saved_head=(9, rows[-1]["digest"]))
    assert (found.code, found.number) == (WHOLE, 9)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda rows: rows[4].update(action="forged"),
        lambda rows: rows[4].update(at=rows[3]["at"]),
        lambda rows: rows[4]["detail"].update(n=99),
        lambda rows: rows.pop(4),
        lambda rows: rows.insert(4, dict(rows[4], number=5, action="added")),
        lambda rows: rows.__setitem__(slice(4, 6), [rows[5], rows[4]]),
    ],
    ids=["word", "time", "detail", "removed", "added", "swapped"],
)
def test_a_tampered_line_is_found_at_its_place(rows: Rows, tamper: Callable[[Rows], Any]) -> None:
    tamper(rows)
    found = verify(rows)
    assert (found.code, found.number) == (CHANGED, 5)


def test_a_cut_end_is_found_against_a_saved_head(rows: Rows) -> None:
    head = (9, rows[-1]["digest"])
    assert verify(rows[:6]).code == WHOLE  # alone, a shorter chain cannot be told from a young one
    assert verify(rows[:6], saved_head=head).code == CUT_SHORT


def test_a_chain_written_anew_is_found_against_a_saved_head(rows: Rows) -> None:
    head = (9, rows[-1]["digest"])
    rows[2]["action"] = "forged"
    assert verify(rechained(rows)).code == WHOLE
    assert verify(rows, saved_head=head).code == CHANGED


def test_the_command_saves_a_head_and_compares_with_it(rows: Rows, tmp_path: Path) -> None:
    call_command("verify_log", save_head=tmp_path / "head.json")
    call_command("verify_log", head=tmp_path / "head.json")
    (tmp_path / "head.json").write_text('{"number": 12, "digest": "ab"}')
    with pytest.raises(SystemExit) as ended:
        call_command("verify_log", head=tmp_path / "head.json")
    assert ended.value.code == CUT_SHORT
