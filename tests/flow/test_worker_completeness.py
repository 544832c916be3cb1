"""A simulated hospital from the door to a released table, the connection watched: nothing a worker stores is without its line, and no line is without
what it says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from salus_web.accounts.models import Site
from salus_web.audit.models import Event
from salus_web.predictions.models import Prediction
from salus_web.predictions.services import request
from salus_web.records.models import Encounter, Patient
from salus_web.registry.models import ModelBundle

from tests.factories.completeness import watching
from tests.factories.people import SYSTEM
from tests.factories.simulated import make_live, open_hospital, run

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

# every silent write of this story as it was seen, and how often: the test makes two hospitals, and that one of the two files is being
# read now is said before its transaction, whose end is a line (that update sets more than the state)
SILENT = {
    'INSERT INTO "accounts_site" ("id", "code", "name") VALUES (%s, %s, %s)': 2,
    'UPDATE "ingest_upload" SET "state" = %s WHERE "ingest_upload"."id" = %s': 2,
}


def test_whatever_a_worker_stores_leaves_its_line_and_each_line_its_row(tmp_path: Path) -> None:
    with watching() as watch:
        open_hospital(tmp_path / "hospital", patients=90, present=12)
        bundle = make_live()
        present = Encounter.objects.for_actor(SYSTEM).filter(ends_at__isnull=True).values_list("patient_id", flat=True)
        assert run(request(patient_ids=[str(key) for key in present], bundle=bundle, why="test", by=SYSTEM)).state == "done"
    assert Counter(first for _, first in watch.silent) == SILENT
    assert {"records_patient", "records_observation", "records_encounter", "imaging_instance", "registry_modelbundle",
            "predictions_prediction", "predictions_currentrisk", "ingest_upload"} <= watch.written  # fmt: skip
    assert Site.objects.count() == 2 and ModelBundle.objects.count() == 1
    stored = Counter(Event.objects.filter(action="prediction.store").values_list("patient", flat=True))
    held = Counter(Prediction.objects.for_actor(SYSTEM).values_list("patient__pseudonym", flat=True))
    assert stored == held, "0 missing and 0 unmatched"
    named = set(Event.objects.filter(action="record.store").values_list("patient", flat=True))
    assert named == set(Patient.objects.for_actor(SYSTEM).values_list("pseudonym", flat=True))
