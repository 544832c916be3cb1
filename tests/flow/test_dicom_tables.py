"""A DICOM film in a case table: the same pixels as at the door, and nothing of its header is kept."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from salus_learn.tasks.cases import read_cases
from salus_learn.tasks.loader import load_task
from salus_learn.tasks.pictures import picture
from salus_web.common import vault
from salus_web.imaging.models import Instance
from salus_web.ingest.parsers.dicom import parse_dicom

from tests.factories.cases import make_cases
from tests.factories.films import as_dicom, dicom
from tests.factories.people import SYSTEM
from tests.flow.test_pooled_cases import loaded

GREY = np.random.default_rng(5).integers(0, 4000, (48, 64)).astype(np.uint16)
FILMS = {
    "as it is": {}, "bright is air": {"PhotometricInterpretation": "MONOCHROME1"},
    "rescaled": {"RescaleSlope": "0.5", "RescaleIntercept": "-1024"}, "steeper than 16 bits": {"RescaleSlope": "40", "RescaleIntercept": "0"},
}  # fmt: skip


@pytest.mark.parametrize("tags", FILMS.values(), ids=FILMS.keys())
def test_a_film_is_the_same_pixels_at_the_door_and_in_a_case_table(tmp_path: Path, tags: dict[str, str]) -> None:
    raw = dicom(GREY, StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.4", **tags)
    (tmp_path / "a.dcm").write_bytes(raw)
    from_table, _ = picture(tmp_path / "a.dcm", "cases.csv row 2")
    (person,) = parse_dicom(raw, "a.dcm").people
    (kept,) = (one["bytes"] for one in person.images[0]["renditions"] if one["kind"] == "model")
    at_the_door = np.load(io.BytesIO(kept), allow_pickle=False)
    assert at_the_door.dtype == from_table.dtype and np.array_equal(at_the_door, from_table)
    assert len(np.unique(from_table)) > 1000, "grey keeps its steps"


@pytest.mark.django_db
def test_a_table_of_dicom_films_is_stored_without_their_headers(tmp_path: Path) -> None:
    said = {"PatientName": "Miller^Jane", "InstitutionName": "Clinic on the Hill", "StudyDescription": "after the fall"}
    folder = as_dicom(make_cases(tmp_path / "data", people=8), **{tag: lambda at, ill, word=word: word for tag, word in said.items()})
    before = {image.source: image.pixels for case in read_cases(load_task(folder / "task.toml"), folder) for image in case.snapshot.images}
    after = {image.source: image.pixels for case in loaded(folder) for image in case.snapshot.images}
    assert len(before) == 7 and before.keys() == after.keys()
    assert all(np.array_equal(before[source], after[source]) for source in before)
    kept = b"".join(vault.get(row.blob_key, sha256=row.blob_sha256) for row in Instance.objects.for_actor(SYSTEM))
    assert not [word for word in (*said.values(), "mrn3") if word.encode() in kept]
