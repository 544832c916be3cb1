"""The people of case tables that came in before tables had numbers of their own are moved apart from the hospital's."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from salus_web.accounts.models import Site
from salus_web.common.clock import now
from salus_web.common.encryption import blind_index
from salus_web.common.fields import SealedText
from salus_web.common.ids import new_id
from salus_web.records.models import Patient, PatientNameToken
from salus_web.records.persons import Found, case_token, find_or_make

from tests.factories.people import SYSTEM
from tests.web.test_encryption_migration import migrate, restored  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db(transaction=True)
TEXT = '[task]\nid = "tiny"\ndata = "lungs"\n[cases]\ntable = "cases.csv"'
BEFORE = [("records", "0015_allergy_status"), ("registry", "0003_who_trained_a_model")]
AFTER = [("records", "0016_case_numbers_apart")]
TODAY = [("records", "0017_death_without_a_date")]


def planted(apps: Any) -> Any:
    """The person p1 of the table tiny and the hospital's p2, as they were kept."""
    site = apps.get_model("accounts", "Site").objects.create(code="m", name="Hospital")
    apps.get_model("registry", "TaskFile").objects.create(task_id="tiny", digest="d", title="t", text=TEXT, loaded_by="x", loaded_at=now())
    for number, system in (("p1", "urn:salus:case-table:tiny"), ("p2", "urn:mrn")):
        row = apps.get_model("records", "Patient")(
            id=new_id(), site=site, pseudonym=new_id().hex, mrn_system=system, mrn_index=blind_index(number, purpose="mrn"), created_at=now()
        )
        SealedText("mrn_sealed", "person:id").__set__(row, number)
        row.save(force_insert=True)
    return site


def numbers() -> dict[str, tuple[str, str]]:
    return {row.mrn: (row.mrn_system, row.mrn_index) for row in Patient._base_manager.only("mrn_system", "mrn_index", "mrn_sealed")}


def test_a_table_that_is_read_again_finds_its_people_and_no_patient(restored: None) -> None:  # noqa: F811
    site = planted(migrate(BEFORE))
    before = numbers()
    for _ in range(2):
        migrate(AFTER)
        assert numbers()["p2"] == before["p2"] and numbers()["p1"][0] == "urn:salus:case-table:lungs"
        migrate(BEFORE)
        assert numbers() == before
    migrate(TODAY)

    def found(number: str, **space: str) -> Found:
        person = {
            "mrn": number, "mrn_system": "", "name": "Case 1", "birth_date": None, "sex": "unknown", "died_at": None,
            "death_is_dated": True, "is_simulated": False,
        }  # fmt: skip
        return find_or_make(person=person | space, site=Site.objects.get(pk=site.pk), by=SYSTEM)

    with transaction.atomic():
        case = found("p1", number_space="lungs/cases.csv")
        assert (case.is_new, case.patient.mrn, case.patient.mrn_system) == (False, "p1", "urn:salus:case-table:lungs")
        assert PatientNameToken.objects.for_actor(SYSTEM).filter(patient=case.patient, token=case_token("p1")).exists()
        assert found("p2", number_space="lungs/cases.csv").is_new
        assert (found("p1").is_new, found("p2").is_new) == (True, False)
