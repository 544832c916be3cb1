"""Several rows of a person through the door: stored as one case, and read back as the library reads the folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from salus_learn.contracts import Case
from salus_learn.tasks.cases import read_cases
from salus_learn.tasks.loader import load_task
from salus_learn.tasks.words import outcome_of
from salus_web.accounts.models import Site
from salus_web.ingest.models import Upload, UploadState
from salus_web.ingest.services import receive
from salus_web.jobs.services import claim
from salus_web.records.models import Observation
from salus_workers.adapters.cases import stored_cases
from salus_workers.adapters.snapshots import as_training
from salus_workers.pipelines import load_cases

from tests.factories.eyes import PER_EYE, make_eyes, some_people
from tests.factories.people import SYSTEM, make_site
from tests.flow.test_cases_to_risks import packed, quiet

pytestmark = pytest.mark.django_db


def loaded(folder: Path, site: Site | None = None) -> list[Case]:
    """The folder's cases after their way through door, records and snapshots, as training gets them."""
    upload = receive(filename="eyes.zip", content=packed(folder), site=site or make_site(), by=SYSTEM)
    assert upload.job is not None
    held = claim(job_id=str(upload.job.pk), worker="test")
    assert held is not None
    load_cases.run(held, quiet)
    assert Upload.objects.get(pk=upload.pk).state == UploadState.STORED
    return as_training(stored_cases(load_task(folder / "task.toml"), SYSTEM, purpose="training"))


def told(case: Case) -> tuple[object, ...]:
    """What is known of a case, apart from names that the platform gives anew."""
    values = sorted((value.code, value.value, value.source) for value in case.snapshot.values)
    own = case.image_outcomes or (None,) * len(case.snapshot.images)
    images = [(image.slot, image.source, answer) for image, answer in zip(case.snapshot.images, own, strict=True)]
    return case.outcome, case.kind, values, sorted(images, key=str)


def test_a_pooled_case_comes_back_as_it_went_in(tmp_path: Path) -> None:
    folder = make_eyes(tmp_path / "data")
    task = load_task(folder / "task.toml")
    before, after = read_cases(task, folder), loaded(folder)
    assert sorted(map(told, after), key=str) == sorted(map(told, before), key=str)
    assert len(after) == 12 and sum(case.outcome for case in after) == 6 and {case.kind for case in after} == {None, "Mild", "Severe"}
    assert {len(case.snapshot.images) for case in after} == {2} == {len(case.image_outcomes) for case in after}
    assert {(1, None), (1, 1), (0, 0)} == {case.image_outcomes for case in after}, "and right before left, as in the table"
    pixels = {image.source: image.pixels for case in before for image in case.snapshot.images}
    for image in (image for case in after for image in case.snapshot.images):
        assert np.array_equal(image.pixels, pixels[image.source])
    # read again, the views stand in the same order
    again = stored_cases(task, SYSTEM, purpose="training")
    assert [[image.id for image in case.snapshot.images] for case in again] == [[image.id for image in case.snapshot.images] for case in after]


def test_the_same_rows_twice_change_nothing(tmp_path: Path) -> None:
    folder, site = make_eyes(tmp_path / "data", some_people(8)), make_site()
    first = loaded(folder, site)
    stored = Observation.objects.for_actor(SYSTEM).count()
    (folder / "note.txt").write_text("another upload of the same table")
    assert [told(case) for case in loaded(folder, site)] == [told(case) for case in first]
    assert Observation.objects.for_actor(SYSTEM).count() == stored


def test_an_empty_cell_is_still_an_outcome_behind_the_door(tmp_path: Path) -> None:
    folder = make_eyes(tmp_path / "data", [row for row in some_people(6) if row["grade"] != "x"], task=PER_EYE)
    before, after = read_cases(load_task(folder / "task.toml"), folder), loaded(folder)
    assert sorted(map(told, after), key=str) == sorted(map(told, before), key=str)
    assert sorted(case.outcome for case in after) == [0] * 6 + [1] * 4 and {case.image_outcomes for case in after} == {()}


def test_no_outcome_of_an_image_is_an_input_or_the_outcome_of_the_case(tmp_path: Path) -> None:
    folder = make_eyes(tmp_path / "data")
    task = load_task(folder / "task.toml")
    loaded(folder)
    for case in stored_cases(task, SYSTEM, purpose="training"):
        assert {value.code for value in case.snapshot.values} == {"age", "sex"}
        words = list(Observation.objects.for_actor(SYSTEM).filter(encounter_id=case.encounter_id, code="grade").values_list("value_text", flat=True))
        assert len(words) == 1 and outcome_of(task.outcome, words[0]) == case.outcome
