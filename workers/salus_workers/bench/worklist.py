"""The work list's page at growing sizes of hospital, through the whole web stack."""

from __future__ import annotations

import statistics
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from django.test import Client
from salus_web.accounts import proofs, sessions
from salus_web.accounts.models import RoleGrant, Site, User
from salus_web.common.clock import now
from salus_web.common.ids import new_id
from salus_web.predictions.models import CurrentRisk, Prediction
from salus_web.records.models import CareRelation, CareTeam, CareTeamMembership, Patient
from salus_web.registry.models import ModelBundle, TaskFile

GETS, BATCH = 9, 5_000
MINE = 40


def measure(sizes: tuple[int, ...], bundle: ModelBundle, say: Any) -> dict[str, Any]:
    """Median ms of GET /worklist/ at each size: for a clinician with 40 patients, and for one who cares for everybody."""
    site, task = Site.objects.create(code="bench", name="Bench"), f"bench-{new_id().hex[:8]}"
    clients = {name: _clinician(site, name) for name in ("forty_patients", "everybody")}
    TaskFile.objects.create(task_id=task, digest=task, title="Bench", text="", loaded_by="bench", loaded_at=now())
    found: dict[str, dict[str, float]] = {name: {} for name in clients}
    made = 0
    for size in sizes:
        say(f"work list at {size:,} patients")
        _grow(site, bundle, task, made, size)
        made = size
        for name, client in clients.items():
            found[name][str(size)] = round(_median_ms(client, f"/worklist/?task={task}"), 2)
    return {
        "unit": "ms", "gets": GETS, **found,
        "ratio_largest_to_smallest": {
            name: round(times[str(sizes[-1])] / times[str(sizes[0])], 3) for name, times in found.items()
        },
    }  # fmt: skip


def _clinician(site: Site, name: str) -> Client:
    user = User.objects.create_user(f"bench-{name}", None, display_name=name)
    RoleGrant.objects.create(user=user, site=site, role="clinician", starts_at=now(), granted_by="bench")
    team = CareTeam.objects.create(site=site, name=name)
    CareTeamMembership.objects.create(team=team, user=user, starts_at=now() - timedelta(hours=1), added_by="bench")
    client = Client()
    client.force_login(user)
    session = client.session  # past the door, which is not what is measured
    sessions.begin(session, user)
    proofs.shown_now(SimpleNamespace(session=session, user=user), kind="bench")
    session.save()
    return client


def _grow(site: Site, bundle: ModelBundle, task: str, made: int, size: int) -> None:
    """More patients, each with a risk; every one in the large team, the first forty in the small one."""
    teams = {team.name: team for team in CareTeam.objects.filter(site=site)}
    for start in range(made, size, BATCH):
        numbers = range(start, min(start + BATCH, size))
        patients = [_patient(site, number) for number in numbers]
        predictions = [_prediction(patient, bundle, task, number) for patient, number in zip(patients, numbers, strict=True)]
        relations = [CareRelation(patient=p, site=site, team=teams["everybody"], starts_at=now(), added_by="bench") for p in patients]
        relations += [
            CareRelation(patient=patient, site=site, team=teams["forty_patients"], starts_at=now(), added_by="bench")
            for patient, number in zip(patients, numbers, strict=True) if number < MINE
        ]  # fmt: skip
        Patient.objects.bulk_create(patients)
        Prediction.objects.bulk_create(predictions)
        CareRelation.objects.bulk_create(relations)
        CurrentRisk.objects.bulk_create([_current(prediction) for prediction in predictions])


def _patient(site: Site, number: int) -> Patient:
    patient = Patient(id=new_id(), site=site, mrn_index=f"bench{number:059d}", sex="female", created_at=now())
    patient.name = f"Bench Patient {number}"
    return patient


def _prediction(patient: Patient, bundle: ModelBundle, task: str, number: int) -> Prediction:
    """Four of five with a number, one that cannot tell."""
    probability = (number * 7919 % 1000) / 1000
    prediction = Prediction(
        id=new_id(), patient=patient, bundle=bundle, task_id=task, index_at=now(), created_at=now(), requested_by="bench",
        state="abstained" if number % 5 == 4 else "computed", probability=probability, low=probability, high=probability,
        reference_probability=0.2, margin=0.0, reference_margin=0.0, threshold=0.5,
    )  # fmt: skip
    prediction.account_json = '{"reasons": [], "missing": []}'
    return prediction


def _current(prediction: Prediction) -> CurrentRisk:
    shown = prediction.probability if prediction.state == "computed" else None
    return CurrentRisk(
        patient_id=prediction.patient_id, task_id=prediction.task_id, prediction=prediction, state=prediction.state,
        sort_probability=shown, updated_at=now(),
    )  # fmt: skip


def _median_ms(client: Client, address: str) -> float:
    """The first GET warms up and is not counted."""
    client.get(address)
    times = []
    for _ in range(GETS):
        started = time.perf_counter()
        answer = client.get(address)
        times.append(1000 * (time.perf_counter() - started))
        if answer.status_code != 200 or b"Bench Patient" not in answer.content:
            raise RuntimeError("the work list did not show the patients")
    return statistics.median(times)
