"""The ring from a folder of cases to stored, explained risks: door, records, training, predictions, log."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from salus_web.accounts.models import Site
from salus_web.audit.models import Event
from salus_web.common import vault
from salus_web.common.errors import NoRoom
from salus_web.ingest.models import Upload
from salus_web.ingest.services import receive
from salus_web.jobs.models import Job, JobState
from salus_web.jobs.services import claim
from salus_web.predictions.models import CurrentRisk, Prediction, RiskMap
from salus_web.predictions.selectors import account_of
from salus_web.records.models import Observation, Patient
from salus_web.registry.models import BundleReport, ModelBundle
from salus_workers.pipelines import load_cases, train_task
from salus_workers.pipelines.replay_prediction import replay_stored

from tests.factories.cases import make_cases
from tests.factories.hospital import make_bundle
from tests.factories.people import SYSTEM, make_site
from tests.web.test_current_risks import outcome, store

pytestmark = pytest.mark.django_db


def packed(folder: Path) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in folder.rglob("*"):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return stream.getvalue()


def quiet(fraction: float, message: str) -> None:
    assert 0 <= fraction <= 1 and message


def test_every_case_gets_an_explained_risk_with_a_receipt(tmp_path: Path) -> None:
    content = packed(make_cases(tmp_path / "data", people=41))
    upload = receive(filename="cases.zip", content=content, site=make_site(), by=SYSTEM)
    assert upload.job is not None and upload.job.kind == "load_cases"
    Upload.objects.filter(pk=upload.pk).update(received_by="person-who-brought-them")
    held = claim(job_id=str(upload.job.pk), worker="test")
    assert held is not None
    load_cases.run(held, quiet)
    # one case's outcome is still open: it teaches nothing and has no risk out of fold
    (last,) = (row.pk for row in Patient.objects.for_actor(SYSTEM) if row.mrn == "p40")
    Observation.objects.for_actor(SYSTEM).filter(code="ill", patient=last).delete()
    training = Job.objects.get(kind="train_task")
    Job.objects.filter(pk=training.pk).update(payload=training.payload | {"repeats": 1})
    held = claim(job_id=str(training.pk), worker="test")
    assert held is not None
    train_task.run(held, quiet)
    assert set(Job.objects.filter(kind__in=["load_cases", "train_task"]).values_list("state", flat=True)) == {JobState.DONE}
    kept = BundleReport.objects.get(form="json")
    assert orjson.loads(vault.get(kept.blob_key, sha256=kept.blob_sha256))["task"]["left_out"] == [["stored cases whose outcome is not known", 1]]
    predictions = list(Prediction.objects.for_actor(SYSTEM))
    assert {row.trained_by for row in ModelBundle.objects.all()} == {"person-who-brought-them"}
    assert len(predictions) == 40 == CurrentRisk.objects.for_actor(SYSTEM).count()
    assert RiskMap.objects.for_actor(SYSTEM).count() == 32
    assert Event.objects.filter(action="prediction.store").count() == 40
    for prediction in predictions:
        assert_whole(prediction)
    assert_replays(predictions)


def test_who_of_a_table_is_no_case_is_counted_and_not_quoted(tmp_path: Path) -> None:
    folder = make_cases(tmp_path / "data", people=6)
    with (folder / "cases.csv").open("a", encoding="utf-8") as table:
        table.write("p90,90,60,f,none,,,perhaps Mr Miller,0\n")
    upload = receive(filename="cases.zip", content=packed(folder), site=make_site(), by=SYSTEM)
    assert upload.job is not None
    held = claim(job_id=str(upload.job.pk), worker="test")
    assert held is not None
    load_cases.run(held, quiet)
    counts = Upload.objects.get(pk=upload.pk).counts
    assert counts["cases"] == 6 and counts["left out: cases of another outcome or none"] == 1
    assert counts["left out: rows that the task does not keep"] == 0 and "Miller" not in str(counts)


def test_a_case_table_is_not_read_into_the_reserve_of_the_disk(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: Any, **__: Any) -> Any:
        raise AssertionError("it was read")

    upload = receive(filename="cases.zip", content=packed(make_cases(tmp_path / "data", people=2)), site=make_site(), by=SYSTEM)
    held = claim(job_id=str(upload.job.pk), worker="test") if upload.job else None
    assert held is not None
    settings.SALUS_RESERVE_BYTES = 1 << 60
    monkeypatch.setattr(load_cases, "read_in_child", read)
    with pytest.raises(NoRoom):
        load_cases.run(held, quiet)
    assert Upload.objects.get().state == "received"


def brought(folder: Path, site: Site) -> None:
    upload = receive(filename="cases.zip", content=packed(folder), site=site, by=SYSTEM)
    held = claim(job_id=str(upload.job.pk), worker="test") if upload.job else None
    assert held is not None
    load_cases.run(held, quiet)


def test_a_new_case_takes_the_old_number_of_its_person_at_once(tmp_path: Path) -> None:
    """Not only when the training that is queued with it has ended; and it asks for no risk by the live model itself."""
    site, bundle, folder = make_site(), make_bundle(), make_cases(tmp_path / "data", people=4)
    ModelBundle.objects.update(requests_on_new_data=True)
    brought(folder, site)
    patients = {row.mrn: row for row in Patient.objects.for_actor(SYSTEM)}
    store(bundle, *(outcome(row, 0.31) for row in patients.values()))
    with (folder / "cases.csv").open("a") as table:
        table.write("p1,99,61,f,none,,,yes,1\n")
    brought(folder, site)
    states = {row.patient.mrn: row.state for row in CurrentRisk.objects.for_actor(SYSTEM).select_related("patient")}
    assert states == {key: "stale" if key == "p1" else "computed" for key in patients} and len(states) == 4
    assert not Job.objects.filter(kind="predict", state=JobState.QUEUED).exists()


def assert_whole(prediction: Prediction) -> None:
    """Reasons add up to the stored risk, and the receipt holds the same."""
    account = account_of(prediction)
    total = math.fsum(reason["points"] for reason in account["reasons"]) / 100
    assert prediction.probability is not None and prediction.reference_probability is not None
    assert total == pytest.approx(prediction.probability - prediction.reference_probability, abs=1e-6)
    receipt = orjson.loads(vault.get(prediction.receipt_key, sha256=prediction.receipt_sha256))
    assert receipt["outputs"]["probability"] == prediction.probability
    assert receipt["bundle"] == prediction.bundle.digest


def assert_replays(predictions: list[Prediction]) -> None:
    """Every stored risk comes out again from its receipt; a receipt of another number says what differs."""
    for prediction in predictions:
        assert replay_stored(str(prediction.pk)) == []
    changed = predictions[0]
    receipt = orjson.loads(vault.get(changed.receipt_key, sha256=changed.receipt_sha256))
    receipt["outputs"]["probability"] += 1e-4
    blob = vault.put(orjson.dumps(receipt))
    Prediction.objects.for_actor(SYSTEM).filter(pk=changed.pk).update(receipt_key=blob.key, receipt_sha256=blob.sha256)
    assert [sentence for sentence in replay_stored(str(changed.pk)) if sentence.startswith("Probability was")]
