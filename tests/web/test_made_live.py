"""A model that is made live is asked of everybody whose risk another model gave."""

from __future__ import annotations

from typing import Any

import pytest
from salus_web.accounts.models import Site
from salus_web.common.errors import LogNotWritten
from salus_web.jobs.models import Job
from salus_web.predictions import made_live, services
from salus_web.predictions.models import CurrentRisk
from salus_web.predictions.services import data_changed
from salus_web.registry.models import BundleState, ModelBundle

from tests.factories.cohorts import say
from tests.factories.hospital import make_bundle
from tests.factories.people import SYSTEM, client_of, make_patient, make_user
from tests.web.test_current_risks import outcome, store
from tests.web.test_due_stays import asked, ids

pytestmark = pytest.mark.django_db


@pytest.fixture
def old(db: None) -> ModelBundle:
    return make_bundle()


@pytest.fixture
def new(db: None) -> ModelBundle:
    """Not live yet, and to be asked by the machine as well."""
    found = make_bundle(BundleState.CANDIDATE)
    ModelBundle.objects.filter(pk=found.pk).update(requests_on_new_data=True)
    return found


def made_live_by_hand(site: Site, bundle: ModelBundle) -> str:
    desk = client_of(make_user("administrator", site))
    return str(desk.post(f"/models/{bundle.pk}/", {"to": "live", "why": "better"}, follow=True).content.decode())


def test_those_whose_risk_the_old_model_gave_are_asked_of_the_new_one(site: Site, old: ModelBundle, new: ModelBundle) -> None:
    spoken, failed, silent, trained, changed, withdrawn = (make_patient(site) for _ in range(6))
    make_patient(site)  # of whom no model ever spoke
    store(old, outcome(spoken, 0.3), outcome(failed, None), outcome(silent, 0.2))
    store(old, outcome(trained, 0.4), outcome(changed, 0.5), outcome(withdrawn, 0.6), origin="out_of_fold")
    data_changed(patient_ids=[str(changed.pk)], by=SYSTEM, ask=False)
    CurrentRisk.objects.for_actor(SYSTEM).filter(patient=withdrawn).update(state="withdrawn", sort_probability=None)
    Job.objects.all().delete()
    say(silent, False, purpose="care")
    assert "It was asked for a new risk of 4 patients whose risk another model gave or no longer stands." in made_live_by_hand(site, new)
    assert asked() == ids(spoken, failed, changed, withdrawn)
    assert {job.payload["bundle_id"] for job in Job.objects.all()} == {str(new.pk)}


def test_nobody_is_asked_where_only_people_may_ask_or_where_nobody_has_a_risk(site: Site, old: ModelBundle, new: ModelBundle) -> None:
    assert "It was asked" not in made_live_by_hand(site, new)
    store(new, outcome(make_patient(site), 0.3))
    Job.objects.all().delete()
    by_people_only = make_bundle(BundleState.CANDIDATE)
    assert "It was asked" not in made_live_by_hand(site, by_people_only) and asked() == []


def test_many_are_asked_in_parts_and_those_left_out_are_counted(
    site: Site, old: ModelBundle, new: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made_live, "A_JOB", 2)
    monkeypatch.setattr(made_live, "AT_MOST", 5)
    patients: list[Any] = [make_patient(site) for _ in range(7)]
    for patient in patients:
        store(old, outcome(patient, 0.3))
    Job.objects.all().delete()
    said = made_live_by_hand(site, new)
    assert "It was asked for a new risk of 5 patients" in said and "The risks of 2 more stand until somebody asks for them." in said
    assert asked() == ids(*patients[:5]), "those whose risk has stood longest"
    assert sorted(len(job.payload["patient_ids"]) for job in Job.objects.all()) == [1, 2, 2]


def test_a_model_is_not_made_live_where_asking_cannot_be_logged(
    site: Site, old: ModelBundle, new: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(old, outcome(make_patient(site), 0.3))

    def full(*_: Any, **__: Any) -> None:
        raise LogNotWritten

    monkeypatch.setattr(services, "record_many", full)
    desk = client_of(make_user("administrator", site))
    assert desk.post(f"/models/{new.pk}/", {"to": "live", "why": "better"}).status_code == 503
    assert sorted(ModelBundle.objects.values_list("state", flat=True)) == ["candidate", "live"], "the old one goes on"
