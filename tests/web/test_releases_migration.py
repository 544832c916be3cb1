"""Releases of which one person decided, from before two were asked for: they stay what they were, back and forth."""

from __future__ import annotations

from typing import Any

import pytest
from salus_web.common.clock import now
from salus_web.common.ids import new_id
from salus_web.releases.models import Release, ReleaseState
from salus_web.releases.selectors import agreement_of

from tests.web.test_encryption_migration import migrate, restored  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE, AFTER = [("releases", "0001_initial")], [("releases", "0005_with_images")]
STATES = ("released", "refused", "requested", "preparing")


def planted(apps: Any) -> Any:
    """A person who decided on two of four releases, with the true number of rows in each report that was prepared."""
    make = {name: apps.get_model(*name.split(".")).objects.create for name in ("accounts.User", "cohorts.Project", "cohorts.Cohort", "releases.Release")}
    asked, decided = make["accounts.User"](username="asks"), make["accounts.User"](username="decides")
    project = make["cohorts.Project"](id=new_id(), name="p", starts_at=now())
    cohort = make["cohorts.Cohort"](id=new_id(), project=project, name="c", definition={}, created_by=asked, created_at=now())
    for state in STATES:
        over = state in {"released", "refused"}
        make["releases.Release"](
            id=new_id(), project=project, cohort=cohort, state=state, purpose=state, requested_by=asked, requested_at=now(),
            why="said so" if over else "", decided_by=decided if over else None, decided_at=now() if over else None,
            report={} if state == "preparing" else {"rows": 42, "k": 5}, receipt={} if state == "preparing" else {"counts": {"rows": 42}},
        )  # fmt: skip
    return decided


def test_one_person_s_word_becomes_a_row_and_comes_back(restored: None) -> None:  # noqa: F811
    decided = planted(migrate(BEFORE))
    for _ in range(2):
        migrate(AFTER)
        rows = {row.purpose: row for row in Release.objects.all()}
        assert {state: rows[state].state for state in STATES} == {state: state for state in STATES}
        said = {state: [(one.person_id, one.accepts, one.why) for one in agreement_of(rows[state]).decisions] for state in STATES}
        assert said == {"released": [(decided.pk, True, "said so")], "refused": [(decided.pk, False, "said so")], "requested": [], "preparing": []}
        assert rows["released"].state == ReleaseState.RELEASED and rows["released"].report == {"people_in_files": 40, "k": 5}
        assert rows["preparing"].report == {}
        earlier = migrate(BEFORE).get_model("releases", "Release").objects
        assert {row.purpose: row.decided_by_id for row in earlier.all()} == {
            "released": decided.pk, "refused": decided.pk, "requested": None, "preparing": None,
        }  # fmt: skip
        assert earlier.get(purpose="requested").report == {"rows": 42, "k": 5} and earlier.get(purpose="released").decided_at is not None
