"""A case table that is read again is the newer word: what it says otherwise stands, and a training is on its own cases."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pytest
from salus_learn.tasks.loader import task_from_text
from salus_web.accounts.models import Site
from salus_web.common import vault
from salus_web.imaging.models import Instance
from salus_web.imaging.selectors import films_of, rendition_for
from salus_web.ingest.models import Upload
from salus_web.jobs.models import Job
from salus_web.jobs.services import claim
from salus_web.predictions.models import CurrentRisk
from salus_web.records.models import Encounter, Observation, Patient
from salus_web.registry.models import BundleReport, ModelBundle
from salus_workers.adapters.snapshots import StoredCase, table_cases
from salus_workers.pipelines import train_task

from tests.factories.cases import TASK, make_cases
from tests.factories.hospital import make_bundle
from tests.factories.people import SYSTEM, make_site
from tests.flow.test_cases_to_risks import quiet
from tests.flow.test_live_question import brought
from tests.web.test_current_risks import outcome, store

pytestmark = pytest.mark.django_db
Rows = list[dict[str, str]]
MARKER = '\n[[feature]]\nname = "marker"\nlabel = "Marker"\nunit = "mg/L"\ncolumn = "marker"\n'


class Table:
    """A data set that its keeper changes and brings in again."""

    def __init__(self, folder: Path, people: int) -> None:
        self.folder, self.site = make_cases(folder, people=people), make_site()

    def change(self, changed: Callable[[Rows], Rows]) -> None:
        with (self.folder / "cases.csv").open(newline="") as stream:
            rows = changed(list(csv.DictReader(stream)))
        with (self.folder / "cases.csv").open("w", newline="") as stream:
            table = csv.DictWriter(stream, list(rows[0]))
            table.writeheader()
            table.writerows(rows)

    def bring(self, site: Site | None = None) -> Upload:
        return brought(self.folder, site or self.site, None)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path / "data", 8)


def patient(number: str) -> Patient:
    return next(row for row in Patient.objects.for_actor(SYSTEM) if row.mrn == number)


def said(number: str, code: str) -> list[float | str]:
    rows = Observation.objects.for_actor(SYSTEM).filter(patient=patient(number), code=code)
    return [row.words if row.value_number is None else row.value_number for row in rows]


def case_of(number: str, text: str = TASK) -> StoredCase:
    (found,) = table_cases(task_from_text(text), SYSTEM, [str(patient(number).pk)], purpose="care")
    return found


def test_what_a_table_says_otherwise_or_no_longer_stands_in_its_place_and_the_risk_is_stale(table: Table) -> None:
    table.bring()
    bundle = make_bundle()
    store(bundle, *(outcome(patient(number), 0.3) for number in ("p0", "p1", "p2", "p3")))

    def changed(rows: Rows) -> Rows:
        rows[0] |= {"age": "91"}
        rows[1] |= {"ill": "no"}
        rows[2] |= {"box": "1 1 20 20"}
        rows[4] |= {"sex": ""}
        return rows

    table.change(changed)
    assert table.bring().counts == {"cases": 8, "corrected": 4, "left out: rows that the task does not keep": 0, "left out: cases of another outcome or none": 0}
    assert said("p0", "age") == [91.0] and said("p1", "ill") == ["no"] and said("p4", "sex") == []
    assert case_of("p1").outcome == 0
    assert Instance.objects.for_actor(SYSTEM).get(patient=patient("p2")).region == [1, 1, 21, 21]
    states = {risk.patient.mrn: risk.state for risk in CurrentRisk.objects.for_actor(SYSTEM).select_related("patient")}
    assert states == {"p0": "stale", "p1": "stale", "p2": "stale", "p3": "computed"}


def test_the_same_table_with_its_rows_in_another_order_corrects_nothing_and_says_the_new_rows(table: Table) -> None:
    table.bring()
    table.change(lambda rows: rows[::-1])
    assert "corrected" not in table.bring().counts
    assert Encounter.objects.for_actor(SYSTEM).get(patient=patient("p7")).source == "cases.csv row 2"


def test_an_input_or_a_cell_that_is_added_later_is_known_at_the_case_s_moment(table: Table) -> None:
    table.bring()
    first = case_of("p6").snapshot.index_time
    (table.folder / "task.toml").write_text(TASK + MARKER)
    table.change(lambda rows: [row | {"marker": str(at), "age": row["age"].replace("unknown", "77")} for at, row in enumerate(rows)])
    table.bring()
    found = case_of("p6", TASK + MARKER).snapshot
    assert found.index_time == first
    assert {value.code: value.value for value in found.values if value.code in {"marker", "age"}} == {"marker": 6.0, "age": 77.0}


def test_a_training_is_on_the_cases_of_its_own_table_and_says_who_of_it_was_none(tmp_path: Path) -> None:
    table = Table(tmp_path / "data", 44)
    table.bring()
    table.change(lambda rows: [row | ({"ill": "perhaps"} if row["person"] == "p0" else {}) for row in rows[:41]])
    upload = table.bring()
    training = Job.objects.get(kind="train_task", payload__upload_id=str(upload.pk))
    Job.objects.filter(pk=training.pk).update(payload=training.payload | {"repeats": 1})
    held = claim(job_id=str(training.pk), worker="test")
    assert held is not None
    train_task.run(held, quiet)
    assert ModelBundle.objects.get().card["people"] == 40, "those who are in the table no more teach nothing"
    kept = BundleReport.objects.get(form="json")
    assert orjson.loads(vault.get(kept.blob_key, sha256=kept.blob_sha256))["task"]["left_out"] == [["cases of another outcome or none", 1]]


def test_the_same_files_at_another_hospital_are_trained_on_there(table: Table) -> None:
    uploads = [table.bring(), table.bring(make_site())]
    trainings = Job.objects.filter(kind="train_task")
    assert {job.payload["upload_id"] for job in trainings} == {str(upload.pk) for upload in uploads}


def test_a_picture_that_the_table_replaces_or_names_no_more_is_looked_at_no_more(table: Table) -> None:
    table.bring()
    before = case_of("p0").snapshot.images[0]
    store(make_bundle(), *(outcome(patient(number), 0.3) for number in ("p0", "p1", "p2", "p4")))
    shutil.copy(table.folder / "films" / "c3.png", table.folder / "films" / "c0.png")
    table.change(lambda rows: [row | {"1": {"film": ""}, "4": {"film": "c3.png"}}.get(row["case"], {}) for row in rows])
    assert table.bring().counts["corrected"] == 2, "a picture that is added corrects nothing"
    (now,) = case_of("p0").snapshot.images
    assert now.sha256 != before.sha256 and np.array_equal(now.pixels, case_of("p3").snapshot.images[0].pixels)
    assert case_of("p1").snapshot.images == () and films_of(viewer=SYSTEM, patient_id=patient("p1").pk) == []
    added = case_of("p4").snapshot
    assert [image.time for image in added.images] == [added.index_time], "known at the case's moment"
    assert rendition_for(viewer=SYSTEM, instance_id=before.id, kind="model") is not None, "what it was a reason for can be replayed"
    states = {risk.patient.mrn: risk.state for risk in CurrentRisk.objects.for_actor(SYSTEM).select_related("patient")}
    assert states == {"p0": "stale", "p1": "stale", "p2": "computed", "p4": "stale"}
    table.change(lambda rows: [row | ({"film": "c1.png"} if row["case"] == "1" else {}) for row in rows])
    table.bring()
    assert len(case_of("p1").snapshot.images) == 1, "named again"
