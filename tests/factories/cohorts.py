"""Makers of projects, and of crowds of patients with values, images and risks, for the researcher's tests."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from salus_web.accounts.models import Site, User
from salus_web.cohorts.models import Project
from salus_web.common.clock import now
from salus_web.imaging.models import Series, Study
from salus_web.predictions.models import CurrentRisk, Prediction, PredictionState
from salus_web.records.models import Condition, Consent, Observation, Patient
from salus_web.registry.models import BundleState, ModelBundle, TaskFile

from tests.factories.people import SYSTEM

_numbers = count(1)


def make_project(*sites: Site, members: list[User]) -> Project:
    """A running project."""
    project = Project.objects.create(name=f"project-{next(_numbers)}", starts_at=now() - timedelta(days=1))
    project.sites.set(sites)
    project.members.set(members)
    return project


def make_crowd(site: Site, size: int, *, sex: str = "female", age: int | None = 50, **columns: Any) -> list[Patient]:
    """Patients of one sex who turned an age half a year ago."""
    birth = None if age is None else (now() - timedelta(days=age * 365.2425 + 180)).date()
    crowd = [
        Patient(site=site, mrn_index=f"{next(_numbers):064d}", birth_date=birth, sex=sex, created_at=now(), **columns)
        for _ in range(size)
    ]
    return list(Patient.objects.bulk_create(crowd))


def observe(
    patient: Patient, code: str, value: float | str, *, unit: str = "", at: datetime | None = None, encounter: Any = None
) -> Observation:
    """One measurement or word."""
    number, text = (None, value) if isinstance(value, str) else (value, "")
    return Observation.objects.create(
        patient=patient, encounter=encounter, system="http://loinc.org", code=code, display=code, value_number=number,
        value_text=text, unit=unit, observed_at=at or now(), source="test", source_key=f"o{next(_numbers)}",
    )  # fmt: skip


def diagnose(patient: Patient, code: str) -> None:
    """One diagnosis."""
    Condition.objects.create(
        patient=patient, system="http://snomed.info/sct", code=code, display=code, recorded_at=now(), source="test",
        source_key=f"d{next(_numbers)}",
    )  # fmt: skip


def picture(patient: Patient, modality: str = "CT") -> None:
    """One series of a modality."""
    study = Study.objects.create(patient=patient, uid=f"1.2.{next(_numbers)}", started_at=now())
    Series.objects.create(patient=patient, study=study, uid=f"1.3.{next(_numbers)}", modality=modality)


def say(patient: Patient, granted: bool, *, version: int = 1, purpose: str = "research") -> None:
    """One word of consent; it replaces the one that stood."""
    Consent.objects.for_actor(SYSTEM).filter(patient=patient, purpose=purpose, superseded_at__isnull=True).update(superseded_at=now())
    Consent.objects.create(
        patient=patient, purpose=purpose, version=version, granted=granted, recorded_at=now(), recorded_by="system:test"
    )


def make_bundle(task_id: str, outcome: str, state: str = BundleState.LIVE) -> ModelBundle:
    """A bundle of a task whose file holds this [outcome] table."""
    number = next(_numbers)
    task = TaskFile.objects.create(
        task_id=task_id, digest=f"{number:064d}", title=task_id, text=f"[outcome]\n{outcome}\n", loaded_by="system:test",
        loaded_at=now(),
    )  # fmt: skip
    return ModelBundle.objects.create(
        digest=f"{number:064d}", task=task, state=state, blob_key="k", blob_sha256="s", trained_by="system:test",
        trained_at=now(),
    )  # fmt: skip


def predict(
    patient: Patient, bundle: ModelBundle, risk: float, *, at: datetime | None = None, encounter: Any = None,
    origin: str = "live",
) -> Prediction:  # fmt: skip
    """A computed risk that is also the current one."""
    moment = at or now()
    prediction = Prediction.objects.create(
        patient=patient, encounter=encounter, bundle=bundle, task_id=bundle.task.task_id, origin=origin,
        state=PredictionState.COMPUTED, index_at=moment, created_at=moment, probability=risk, requested_by="system:test",
    )  # fmt: skip
    CurrentRisk.objects.for_actor(SYSTEM).filter(patient=patient, task_id=prediction.task_id).delete()
    CurrentRisk.objects.create(
        patient=patient, task_id=prediction.task_id, prediction=prediction, state=PredictionState.COMPUTED,
        sort_probability=risk, updated_at=moment,
    )  # fmt: skip
    return prediction
