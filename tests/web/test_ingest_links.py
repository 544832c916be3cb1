"""A FHIR link between two records of a patient: nothing is merged here, and the upload says so."""

from __future__ import annotations

from typing import Any

import pytest
from salus_web.jobs.models import Job
from salus_web.predictions.models import CurrentRisk
from salus_web.records.models import Patient
from salus_web.registry.models import ModelBundle

from tests.factories.hospital import make_bundle
from tests.factories.people import SYSTEM, client_of, make_user
from tests.web.test_current_risks import outcome, store
from tests.web.test_ingest_corrections import Door, door, values  # noqa: F401 - one is a fixture

pytestmark = pytest.mark.django_db


def link(kind: str) -> dict[str, Any]:
    return {"active": kind != "replaced-by", "link": [{"type": kind, "other": {"reference": "Patient/q"}}]}


@pytest.mark.parametrize("use", ["usual", "old"])
def test_a_record_that_another_replaces_is_counted_not_stored_and_asks_for_no_risk(door: Door, use: str) -> None:  # noqa: F811
    door.bring()
    patient, model = Patient.objects.for_actor(SYSTEM).get(), make_bundle()
    ModelBundle.objects.filter(pk=model.pk).update(requests_on_new_data=True)
    store(model, outcome(patient, 0.31))
    Job.objects.all().delete()
    number = [{"system": "urn:mrn", "value": "4417", "use": use}]
    said = door.bring(id="o2", patient=link("replaced-by") | {"identifier": number, "name": [{"family": "Else"}]})
    assert sum(said.values()) == 2 and all(kind.startswith("left out: ") for kind in said)
    assert any("nothing is merged here" in kind for kind in said) and any(kind.startswith("left out: Observation of a patient whom") for kind in said)
    assert values() == [88.0] and not Job.objects.filter(kind="predict").exists()
    assert CurrentRisk.objects.for_actor(SYSTEM).get().state == "computed"
    page = client_of(make_user("administrator", door.site)).get("/uploads/").content.decode()
    assert "Patient whom another record replaces" in page


def test_a_replaced_record_that_is_not_here_makes_no_patient(door: Door) -> None:  # noqa: F811
    door.bring(patient=link("replaced-by"))
    assert not Patient.objects.for_actor(SYSTEM).exists()


@pytest.mark.parametrize(("kind", "words"), [
    ("replaces", "link by which this record replaces another"), ("refer", "link to another record of the same patient"),
    ("seealso", "link to another record of the same patient"),
])  # fmt: skip
def test_a_record_in_use_is_kept_and_its_link_is_counted(door: Door, kind: str, words: str) -> None:  # noqa: F811
    said = door.bring(patient=link(kind))
    assert values() == [88.0] and any(one.startswith(f"left out: {words}") for one in said)
