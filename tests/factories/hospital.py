"""A small hospital without workers: patients with planted words in every field, an image, a risk, a model."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import orjson
from PIL import Image
from salus_web.accounts.models import Site, User
from salus_web.cohorts.models import Cohort, Project
from salus_web.common import vault
from salus_web.common.clock import now
from salus_web.common.encryption import blind_index
from salus_web.common.ids import new_id
from salus_web.imaging.models import Instance, Rendition, Series, Study
from salus_web.ingest.models import Upload
from salus_web.jobs.models import Job
from salus_web.predictions.models import CurrentRisk, Prediction, Review, RiskMap
from salus_web.records.models import (
    Allergy,
    Condition,
    Encounter,
    Medication,
    Observation,
    Patient,
    PatientNameToken,
)
from salus_web.registry.models import BundleState, ModelBundle, TaskFile
from salus_web.releases.models import Release, ReleaseFile, ReleaseState
from salus_web.releases.selectors import HELD_BACK

from tests.factories.people import make_patient

FIGURE = [0.8, 0.7, 0.9]
ARM = {
    "n": 60, "auroc": FIGURE, "brier": FIGURE, "calibration_slope": FIGURE, "sensitivity": FIGURE, "specificity": FIGURE,
    "accuracy": FIGURE,
}  # fmt: skip
TASK_TEXT = '[task]\nid = "t48"\ntitle = "Deterioration"\n[outcome]\nlabel = "worse"\ncode = "65710008"\nhorizon_days = 2\n'


@dataclass
class Person:
    """A patient and the ids of what belongs to them; `token` stands in every free field."""

    token: str
    patient: Patient
    prediction: Prediction
    instance: Instance
    job: Job
    ids: dict[str, Any] = field(default_factory=dict)


def make_bundle(state: str = BundleState.LIVE) -> ModelBundle:
    """A model that was never trained, with figures as training writes them."""
    task, _ = TaskFile.objects.get_or_create(
        digest="d" * 64, defaults={"task_id": "t48", "title": "Deterioration", "text": TASK_TEXT, "loaded_by": "x", "loaded_at": now()}
    )
    return ModelBundle.objects.create(
        digest=new_id().hex * 2, task=task, state=state, blob_key="k", blob_sha256="s", trained_by="system:train_task",
        trained_at=now(), requests_on_new_data=False,
        card={"outcome": "worse", "horizon_days": 2.0, "threshold": {"rule": "youden", "target": 0.9, "probability": 0.3}},
        crossval={"n": 60, "events": 20, "repeats": 1, "folds": 5, "best_single": "line", "fused_minus_best": [0.05, 0.01, 0.09],
                  "arms": dict.fromkeys(("line", "trees", "image", "fused"), ARM)},
    )  # fmt: skip


def make_person(site: Site, token: str, bundle: ModelBundle, *, state: str = "computed", probability: float = 0.31) -> Person:
    """A patient with a stay, values, an image, and a risk whose reasons add up."""
    patient = make_patient(site, name=f"{token} Name{token}", mrn=f"MRN{token}")
    for word in patient.name.split():
        PatientNameToken.objects.create(patient=patient, token=blind_index(word, purpose="name"))
    start = now() - timedelta(hours=30)
    stay = Encounter.objects.create(
        patient=patient, kind="IMP", ward=f"Ward{token}", reason=token, starts_at=start, source=token, source_key=f"e{token}"
    )
    base: dict[str, Any] = {"patient": patient, "system": "s", "code": "c", "display": f"{token} display", "source": token}
    for hour in range(3):
        Observation.objects.create(
            **base, encounter=stay, value_number=80.0 + hour, unit="/min", observed_at=start + timedelta(hours=hour),
            source_key=f"o{token}{hour}",
        )  # fmt: skip
    Observation.objects.create(
        **base | {"code": "w"}, encounter=stay, value_text=f"{token} word", observed_at=start, source_key=f"w{token}"
    )
    Condition.objects.create(**base, recorded_at=start, source_key=f"c{token}")
    Medication.objects.create(**base, starts_at=start, source_key=f"m{token}")
    Allergy.objects.create(patient=patient, display=f"{token} allergy", source=token, source_key=f"a{token}")
    instance = _image(patient, token)
    prediction, job = _risk(patient, stay, instance, bundle, token, state, probability)
    return Person(token, patient, prediction, instance, job)


def _image(patient: Patient, token: str) -> Instance:
    """One instance with its three renditions in the vault."""
    study = Study.objects.create(patient=patient, uid=f"1.{token}", description=token, started_at=now())
    series = Series.objects.create(patient=patient, study=study, uid=f"2.{token}", modality="DX", body_part="CHEST")
    blob = vault.put(token.encode())
    instance = Instance.objects.create(
        patient=patient, series=series, uid=f"3.{token}", sop_class="x", transfer_syntax="y", view="PA", rows=14, columns=14,
        acquired_at=now(), blob_key=blob.key, blob_sha256=blob.sha256, blob_bytes=5, source=token,
    )  # fmt: skip
    pixels, stream = np.zeros((14, 14), np.uint8), io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    for kind in ("display", "thumbnail"):
        kept = vault.put(stream.getvalue())
        Rendition.objects.create(
            patient=patient, instance=instance, kind=kind, width=14, height=14, blob_key=kept.key, blob_sha256=kept.sha256,
            original_sha256=blob.sha256,
        )  # fmt: skip
    return instance


def _risk(
    patient: Patient, stay: Encounter, instance: Instance, bundle: ModelBundle, token: str, state: str, probability: float
) -> tuple[Prediction, Job]:
    job = Job.objects.create(
        kind="predict", unique_key=f"p{token}", created_at=now(), requested_by="x", state="done",
        payload={"patient_ids": [str(patient.pk)]},
    )  # fmt: skip
    prediction = Prediction(
        id=new_id(), patient=patient, encounter=stay, bundle=bundle, job=job, task_id="t48", state=state, index_at=now(),
        created_at=now(), requested_by="x", probability=None if state == "failed" else probability, low=0.2, high=0.4,
        reference_probability=0.2, margin=0.1, reference_margin=0.0, threshold=0.3, pattern="record+image",
    )  # fmt: skip
    prediction.account_json = account(100 * (probability - 0.2), token)
    blob = vault.put(orjson.dumps({"snapshot": token}))
    prediction.receipt_key, prediction.receipt_sha256 = blob.key, blob.sha256
    prediction.save(force_insert=True)
    stream = io.BytesIO()
    np.save(stream, np.full((7, 7), 0.1, np.float32))
    cells = vault.put(stream.getvalue())
    RiskMap.objects.create(
        patient=patient, prediction=prediction, instance=instance, slot="film", box=[0, 0, 14, 14], total_points=4.9,
        blob_key=cells.key, blob_sha256=cells.sha256,
    )  # fmt: skip
    CurrentRisk.objects.create(
        patient=patient, task_id="t48", prediction=prediction, state=state, updated_at=now(),
        sort_probability=probability if state == "computed" else None,
    )  # fmt: skip
    return prediction, job


def account(points: float, token: str) -> str:
    """An account of two reasons that sum to `points` percentage points."""
    reason = {"part": "record", "unit": "/min", "source": token, "time": now().isoformat(), "term": 0.1, "missing": False}
    reasons = [
        reason | {"name": "hr", "label": "Heart rate", "value": "88", "points": points - 4.9},
        reason | {"name": "image", "label": "Chest film", "part": "image", "value": "DX", "unit": None, "points": 4.9},
    ]
    missing = [{"name": "lactate", "label": "Lactate", "part": "record"}]
    return orjson.dumps({"reasons": reasons, "missing": missing}).decode()


def judged(person: Person, reviewer: User) -> Review:
    """A clinician's judgement with the planted word in its note."""
    row = Review(
        patient=person.patient, prediction=person.prediction, reviewer=reviewer, decision="override", reason_code="other",
        reviewed_at=now(),
    )  # fmt: skip
    row.note = f"{person.token} note"
    row.save(force_insert=True)
    return row


def make_job(kind: str, state: str = "done", **payload: Any) -> Job:
    """One job that somebody asked for."""
    return Job.objects.create(
        kind=kind, unique_key=new_id().hex, created_at=now(), requested_by="x", state=state, payload=payload,
        result={"agrees": True, "code": 0, "sentence": "The log is whole."} if state == "done" else {},
    )  # fmt: skip


def make_upload(site: Site, filename: str = "bundle.json") -> Upload:
    """One file that came in and was stored."""
    upload = Upload(
        site=site, state="stored", form="fhir", blob_key="k", blob_sha256="s", blob_bytes=3, received_by="x",
        received_at=now(), counts={"observations": 3},
    )  # fmt: skip
    upload.filename = filename
    upload.save(force_insert=True)
    return upload


def make_release(project: Project, asked_by: User, *, state: str = ReleaseState.REQUESTED, people: tuple[str, ...] = ()) -> Release:
    """A cohort of a project and a release of it that was prepared, with one file in the vault."""
    cohort = Cohort.objects.create(
        project=project, name=new_id().hex, definition={}, created_by=asked_by, created_at=now()
    )
    held = vault.put(orjson.dumps({"cohort": people, "in_file": people}))
    release = Release.objects.create(
        project=project, cohort=cohort, state=state, purpose="a table", requested_by=asked_by, requested_at=now(),
        report={"people_in_files": 30, HELD_BACK: {"key": held.key, "sha256": held.sha256}},
    )  # fmt: skip
    blob = vault.put(b"person\n1\n")
    ReleaseFile.objects.create(
        release=release, name="cohort.csv", media_type="text/csv", blob_key=blob.key, blob_sha256=blob.sha256, blob_bytes=9
    )
    return release
