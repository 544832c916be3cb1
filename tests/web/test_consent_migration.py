"""Words on a purpose from before there were versions that stand: of each purpose the newest stands afterwards, back and forth."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from salus_web.common.clock import now
from salus_web.common.ids import new_id
from salus_web.records.models import Consent

from tests.web.test_encryption_migration import migrate, restored  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE, AFTER = [("records", "0007_what_a_patient_allows")], [("records", "0009_consents_stand")]


def planted(apps: Any) -> tuple[Any, Any]:
    """A person who recorded, and a patient with three words on research and one on training."""
    user = apps.get_model("accounts", "User").objects.create(username="one", display_name="Sister One")
    site = apps.get_model("accounts", "Site").objects.create(code="m", name="Hospital")
    patient = apps.get_model("records", "Patient").objects.create(id=new_id(), site=site, mrn_index="i", created_at=now())
    for purpose, version, granted in (("research", 1, True), ("research", 2, False), ("research", 3, True), ("training", 1, True)):
        apps.get_model("records", "Consent").objects.create(
            id=new_id(), patient=patient, purpose=purpose, version=version, granted=granted,
            recorded_at=now() - timedelta(days=9 - version), recorded_by=str(user.pk) if version < 3 else "system:ingest",
        )  # fmt: skip
    return user, patient


def standing() -> dict[tuple[str, int], tuple[bool, str]]:
    return {(row.purpose, row.version): (row.superseded_at is None, row.recorded_by_name) for row in Consent._base_manager.all()}


def test_of_each_purpose_the_newest_word_stands(restored: None) -> None:  # noqa: F811
    planted(migrate(BEFORE))
    for _ in range(2):
        migrate(AFTER)
        assert standing() == {
            ("research", 1): (False, "Sister One"), ("research", 2): (False, "Sister One"),
            ("research", 3): (True, "system:ingest"), ("training", 1): (True, "Sister One"),
        }  # fmt: skip
        rows = {(row.purpose, row.version): row for row in Consent._base_manager.all()}
        assert rows["research", 1].superseded_at == rows["research", 2].recorded_at
        apps = migrate(BEFORE)
        said = apps.get_model("records", "Consent").objects.order_by("purpose", "version").values_list("purpose", "version", "granted")
        assert list(said) == [("research", 1, True), ("research", 2, False), ("research", 3, True), ("training", 1, True)]
