"""What a risk's page and the list say where two figures could be mistaken for one another."""

from __future__ import annotations

import pytest
from django.test import Client
from salus_web.accounts.models import Site
from salus_web.common.ids import new_id
from salus_web.predictions.models import CurrentRisk, Prediction
from salus_web.registry.models import ModelBundle, TaskFile

from tests.factories.hospital import Person, make_bundle
from tests.factories.people import SYSTEM, client_of, make_user
from tests.web.test_current_risks import outcome, store
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("named", "threshold", "words"), [
    ("worse", 0.86, "the set holds “worse” alone"), ("not worse", 0.2, "the set holds “not worse” alone"), ("worse", 0.2, ""), ("not worse", 0.86, ""),
])  # fmt: skip
def test_a_set_and_an_operating_point_that_disagree_say_so(person: Person, browser: Client, named: str, threshold: float, words: str) -> None:
    Prediction.objects.for_actor(SYSTEM).update(prediction_set=[named], threshold=threshold)
    page = text_of(browser.get(f"/predictions/{person.prediction.pk}/"))
    assert ("disagree here" in page) == bool(words) and words in page


def test_last_time_says_when_it_was_another_model(person: Person, bundle: ModelBundle, browser: Client) -> None:
    store(bundle, outcome(person.patient, 0.4))
    same = CurrentRisk.objects.for_actor(SYSTEM).get().prediction_id
    assert "by another model" not in text_of(browser.get(f"/predictions/{same}/"))
    store(make_bundle(), outcome(person.patient, 0.5))
    other = CurrentRisk.objects.for_actor(SYSTEM).get().prediction_id
    assert "by another model" in text_of(browser.get(f"/predictions/{other}/"))


def test_two_questions_of_one_title_are_told_apart(person: Person, browser: Client) -> None:
    first = TaskFile.objects.get()
    assert "Deterioration (t48)" not in text_of(browser.get("/worklist/"))
    second = TaskFile.objects.create(task_id="t72", digest="e" * 64, title=first.title, text=first.text, loaded_by="x", loaded_at=first.loaded_at)
    copy = ModelBundle.objects.get()
    copy.pk, copy.digest, copy.task = new_id(), "f" * 64, second
    copy.save(force_insert=True)
    other = Prediction.objects.for_actor(SYSTEM).get()
    CurrentRisk.objects.create(patient=person.patient, task_id="t72", prediction=other, state="computed", sort_probability=0.3, updated_at=other.created_at)
    page = text_of(browser.get("/worklist/"))
    assert "Deterioration (t48)" in page and "Deterioration (t72)" in page


@pytest.mark.parametrize("repeats", [1, 3])
def test_means_over_repeats_are_told_from_the_report_of_one(bundle: ModelBundle, site: Site, repeats: int) -> None:
    ModelBundle.objects.filter(pk=bundle.pk).update(crossval=bundle.crossval | {"repeats": repeats})
    page = text_of(client_of(make_user("administrator", site)).get(f"/models/{bundle.pk}/"))
    assert ("means over 3 repeats" in page) == (repeats > 1)
