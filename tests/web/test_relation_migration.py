"""Care relations from before they named a hospital are given that of their patient."""

from __future__ import annotations

import pytest
from salus_web.common.clock import now
from salus_web.common.ids import new_id
from salus_web.records.models import CareRelation

from tests.web.test_encryption_migration import migrate, restored  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE = [("records", "0018_every_coding"), ("accounts", "0002_signing_in")]
AFTER = [("records", "0020_wall_by_hospital")]


def test_each_relation_is_of_the_hospital_of_its_patient(restored: None) -> None:  # noqa: F811
    apps, right = migrate(BEFORE), {}
    for code in ("one", "two"):
        site = apps.get_model("accounts", "Site").objects.create(code=code, name=f"Hospital {code}")
        patient = apps.get_model("records", "Patient").objects.create(id=new_id(), site=site, mrn_index=code, created_at=now())
        row = apps.get_model("records", "CareRelation").objects.create(id=new_id(), patient=patient, starts_at=now(), added_by="x")
        right[row.pk] = site.pk
    for _ in range(2):
        migrate(AFTER)
        assert dict(CareRelation.objects.values_list("pk", "site_id")) == right
        before = migrate(BEFORE).get_model("records", "CareRelation")
        assert set(before.objects.values_list("pk", flat=True)) == set(right)
