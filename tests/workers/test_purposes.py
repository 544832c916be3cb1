"""What workers read for a purpose is of those who allow it: training, risks; and a model is kept only while they still do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet
from django.test import Client
from salus_learn.tasks.loader import load_task
from salus_web.accounts.models import Site
from salus_web.common import wall
from salus_web.common.clock import now
from salus_web.common.errors import StateConflict
from salus_web.records.models import Encounter, Patient
from salus_web.records.scopes import CARE, TRAINING, purpose_key
from salus_web.registry.models import BundlePerson, ModelBundle
from salus_web.registry.services import register_task_file, store_bundle
from salus_workers.adapters.cases import current_cases, people_left_out, stored_cases
from salus_workers.pipelines import train_task

from tests.factories.cohorts import say
from tests.factories.people import SYSTEM, make_patient, make_site, make_user
from tests.factories.simulated import TASK

pytestmark = pytest.mark.django_db


@pytest.fixture
def site() -> Site:
    return make_site()


@pytest.fixture
def crowd(site: Site) -> list[Patient]:
    """Four people with a stay each: the first two do not allow training, the third does not allow care."""
    found = [make_patient(site) for _ in range(4)]
    for patient in found:
        start = now() - timedelta(days=90)
        Encounter.objects.create(
            patient=patient, kind="inpatient", ward="A", starts_at=start, ends_at=start + timedelta(days=3), source="t", source_key="s"
        )
    for patient in found[:2]:
        say(patient, False, purpose=TRAINING)
    say(found[2], False, purpose=CARE)
    return found


def test_training_reads_nobody_who_does_not_allow_it_and_says_how_many(crowd: list[Patient]) -> None:
    task = load_task(TASK)
    assert {case.patient_id for case in stored_cases(task, SYSTEM, purpose=TRAINING)} == {str(p.pk) for p in crowd[2:]}
    assert people_left_out(task, SYSTEM, purpose=TRAINING) == 2
    QuerySet(Patient).filter(pk=crowd[3].pk).update(erased_at=now())
    assert people_left_out(task, SYSTEM, purpose=TRAINING) == 2


def test_training_of_silent_people_is_the_hospitals_rule(crowd: list[Patient], settings: Any) -> None:
    settings.SALUS_CONSENT_WHEN_SILENT = frozenset({"care"})
    task = load_task(TASK)
    assert stored_cases(task, SYSTEM, purpose=TRAINING) == [] and people_left_out(task, SYSTEM, purpose=TRAINING) == 4


def test_no_risk_is_computed_of_who_does_not_allow_care(crowd: list[Patient]) -> None:
    found = current_cases(load_task(TASK), SYSTEM, [str(patient.pk) for patient in crowd])
    assert {case.patient_id for case in found} == {str(crowd[0].pk), str(crowd[1].pk), str(crowd[3].pk)}


def stored(people: list[Patient], left_out: int | None = None) -> ModelBundle:
    task = register_task_file(text="[task]", task_id="t1", title="One", digest="a" * 64, by=SYSTEM)
    return store_bundle(
        digest="b" * 64, task=task, archive=b"x", card={}, crossval={}, people=[str(one.pk) for one in people], left_out=left_out, by=SYSTEM
    )


def test_a_model_whose_people_change_their_word_while_it_is_trained_is_not_kept(crowd: list[Patient]) -> None:
    with pytest.raises(StateConflict, match="train it anew"), transaction.atomic():
        stored([crowd[0], crowd[3]])
    assert not ModelBundle.objects.exists()
    QuerySet(Patient).filter(pk=crowd[2].pk).update(erased_at=now())
    with pytest.raises(StateConflict, match="train it anew"), transaction.atomic():
        stored([crowd[2], crowd[3]])
    bundle = stored([crowd[3], crowd[3]])
    assert list(BundlePerson.objects.for_actor(SYSTEM).values_list("bundle_id", "patient_id")) == [(bundle.pk, crowd[3].pk)]


@pytest.mark.parametrize(
    ("number", "words"), [(None, "not recorded"), (0, "fewer than 11, or nobody"), (3, "fewer than 11, or nobody"), (38, "about 40 people")]
)
def test_the_models_page_says_how_many_were_left_out_and_tells_of_nobody(site: Site, number: int | None, words: str) -> None:
    bundle = stored([], number)
    ModelBundle.objects.filter(pk=bundle.pk).update(
        card={"threshold": {"rule": "youden", "probability": 0.3}}, crossval={"fused_minus_best": [0, 0, 0], "arms": {}}
    )
    client = Client()
    client.force_login(make_user("researcher", site))
    page = client.get(f"/models/{bundle.pk}/").content.decode()
    assert words in page and "38" not in page.split("left out")[1][:80]


def test_the_database_itself_is_told_what_training_reads_for(crowd: list[Patient], monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def look(*_: Any, **__: Any) -> Any:
        said.append(wall._purpose.get())
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM records_patient")
                said.append(str(cursor.fetchone()[0]))
        raise StateConflict("far enough")

    kept = register_task_file(text=TASK.read_text(), task_id="t1", title="One", digest="a" * 64, by=SYSTEM)
    monkeypatch.setattr(train_task, "stored_cases", look)
    claim: Any = type("Claim", (), {"payload": {"task_file_id": str(kept.pk)}})()
    with pytest.raises(StateConflict, match="far enough"):
        train_task.run(claim, lambda share, words: None)
    assert said == [purpose_key(TRAINING)] + (["2"] if connection.vendor == "postgresql" else [])
    assert wall._purpose.get() == ""
