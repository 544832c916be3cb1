"""A person of a table with several cases: they are named by their own number, and each risk says which case it is of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from salus_learn.tasks.loader import task_from_text
from salus_web.ingest.services import receive
from salus_web.jobs.services import claim
from salus_web.predictions.models import Prediction
from salus_web.records.models import Encounter, Patient
from salus_workers.adapters.snapshots import table_cases
from salus_workers.pipelines import load_cases

from tests.factories.cases import TASK, make_cases
from tests.factories.hospital import make_bundle
from tests.factories.people import SYSTEM, client_of, make_site, make_user, relate
from tests.flow.test_cases_to_risks import packed, quiet
from tests.web.test_current_risks import outcome, store
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def loaded(tmp_path: Path) -> Patient:
    """Rows 9 and 10 of the table are two cases of one person."""
    folder = make_cases(tmp_path / "data", people=12)
    table = folder / "cases.csv"
    table.write_text(table.read_text().replace("p8,8,", "p7,8,"))
    upload = receive(filename="cases.zip", content=packed(folder), site=make_site(), by=SYSTEM)
    held = claim(job_id=str(upload.job.pk), worker="test")  # type: ignore[union-attr]
    assert held is not None
    load_cases.run(held, quiet)
    return next(row for row in Patient.objects.for_actor(SYSTEM) if row.mrn == "p7")


def test_the_person_is_named_and_each_risk_says_of_which_case_it_is(loaded: Patient) -> None:
    assert loaded.name == "Person p7"
    cases = table_cases(task_from_text(TASK), SYSTEM, [str(loaded.pk)], purpose="care")
    assert [Encounter.objects.for_actor(SYSTEM).get(pk=case.encounter_id).source for case in cases] == ["cases.csv row 9", "cases.csv row 10"]
    bundle, moment = make_bundle(), cases[0].snapshot.index_time
    of_each = zip(cases, (0.11, 0.92), strict=True)
    results = [replace(outcome(loaded, risk, index_at=moment), encounter_id=case.encounter_id) for case, risk in of_each]
    store(bundle, *results)
    nurse = make_user("clinician", loaded.site)
    relate(nurse, loaded)
    page = text_of(client_of(nurse).get("/worklist/", {"task": bundle.task.task_id}))
    assert "Person p7 cases.csv row 10" in page and "92 %" in page and "row 9" not in page
    now, other = (Prediction.objects.for_actor(SYSTEM).get(probability=risk) for risk in (0.92, 0.11))
    assert "cases.csv row 10" in text_of(client_of(nurse).get(f"/predictions/{now.pk}/"))
    said = text_of(client_of(nurse).get(f"/predictions/{other.pk}/"))
    assert "cases.csv row 9" in said and "that one is of cases.csv row 10" in said
