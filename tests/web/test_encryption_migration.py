"""The free text that earlier versions kept plain is sealed by the migration, and comes back on the way back."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from salus_web.common import keyring
from salus_web.common.clock import now
from salus_web.common.encryption import key_name
from salus_web.common.ids import new_id
from salus_web.imaging.models import Instance
from salus_web.ingest.models import Upload
from salus_web.records.models import CareRelation, Encounter

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE = [("records", "0002_worklist_by_index"), ("imaging", "0001_initial"), ("ingest", "0001_initial")]


def migrate(targets: list[tuple[str, str]]) -> Any:
    executor = MigrationExecutor(connection)
    executor.migrate(targets)
    return MigrationExecutor(connection).loader.project_state(targets).apps


def planted(apps: Any) -> tuple[Any, Any, Any]:
    """A stay, an image and a refused upload with words in the plain columns."""
    site = apps.get_model("accounts", "Site").objects.create(code="m", name="Hospital")
    patient = apps.get_model("records", "Patient").objects.create(id=new_id(), site=site, mrn_index="i", created_at=now())
    stay = apps.get_model("records", "Encounter").objects.create(
        id=new_id(), patient=patient, kind="IMP", reason="planted reason", starts_at=now(), source="s", source_key="k"
    )
    study = apps.get_model("imaging", "Study").objects.create(
        id=new_id(), patient=patient, uid="1", description="planted study", started_at=now()
    )
    series = apps.get_model("imaging", "Series").objects.create(id=new_id(), patient=patient, study=study, uid="2", modality="DX")
    image = apps.get_model("imaging", "Instance").objects.create(
        id=new_id(), patient=patient, series=series, uid="3", sop_class="x", transfer_syntax="y", acquired_at=now(),
        blob_key="b", blob_sha256="s", blob_bytes=1, source="DICOM planted.dcm", pixel_problem="planted problem",
    )  # fmt: skip
    upload = apps.get_model("ingest", "Upload").objects.create(
        id=new_id(), site=site, blob_key="b", blob_sha256="s", blob_bytes=1, received_by="x", received_at=now(),
        problems=["planted.json, entry 2: “planted” is not a date."],
    )  # fmt: skip
    return stay, image, upload


@pytest.fixture
def restored() -> Any:
    yield
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def test_plain_words_are_sealed_and_come_back(restored: None) -> None:
    stay, image, upload = planted(migrate(BEFORE))
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    # the models of today read them, so the tables are today's
    assert Encounter._base_manager.get(pk=stay.pk).reason == "planted reason"
    row = Instance._base_manager.get(pk=image.pk)
    assert (row.source, row.pixel_problem) == ("DICOM planted.dcm", "planted problem") and key_name(row.source_sealed).owned
    assert row.series.study.description == "planted study" and row.series.description == ""
    assert Upload.objects.get(pk=upload.pk).problems == ["planted.json, entry 2: “planted” is not a date."]
    apps = migrate(BEFORE)
    assert apps.get_model("records", "Encounter").objects.get(pk=stay.pk).reason == "planted reason"
    assert apps.get_model("imaging", "Instance").objects.get(pk=image.pk).source == "DICOM planted.dcm"
    assert apps.get_model("ingest", "Upload").objects.get(pk=upload.pk).problems[0].startswith("planted.json")



def test_the_reasons_of_care_relations_are_sealed_and_come_back_but_not_of_whose_key_is_gone(restored: None) -> None:
    apps = migrate([("records", "0009_consents_stand"), ("accounts", "0002_signing_in")])
    site = apps.get_model("accounts", "Site").objects.create(code="m", name="Hospital")
    relations = []
    for number in range(3):
        patient = apps.get_model("records", "Patient").objects.create(id=new_id(), site=site, mrn_index=str(number), created_at=now())
        relations.append(apps.get_model("records", "CareRelation").objects.create(
            id=new_id(), patient=patient, reason="planted why" if number < 2 else "", starts_at=now(), added_by="x"
        ))  # fmt: skip
    keyring.sealing_key(f"person:{relations[1].patient_id}")
    keyring.destroy(f"person:{relations[1].patient_id}")
    migrate([("records", "0012_plain_why_gone")])
    kept, gone, silent = (CareRelation.objects.defer("site").get(pk=row.pk) for row in relations)
    assert (kept.reason, gone.reason, silent.reason) == ("planted why", "", "") and key_name(kept.reason_sealed).owned
    apps = migrate([("records", "0009_consents_stand")])
    assert [apps.get_model("records", "CareRelation").objects.get(pk=row.pk).reason for row in relations] == ["planted why", "", ""]
