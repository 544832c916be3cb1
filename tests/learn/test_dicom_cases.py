"""DICOM files in a case table: the same pixels as by the door, what is refused, and what their headers betray."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from salus_learn.contracts import Region
from salus_learn.errors import CaseError
from salus_learn.leaks.finding import Finding
from salus_learn.leaks.hunt import hunt
from salus_learn.tasks.cases import read_cases
from salus_learn.tasks.loader import load_task
from salus_learn.tasks.pictures import mask_region, picture, text_region

from tests.factories.cases import make_cases
from tests.factories.films import as_dicom, dicom

GREY = np.random.default_rng(0).integers(0, 4000, (40, 60)).astype(np.uint16)
WHERE = "cases.csv row 2"


def written(folder: Path, pixels: np.ndarray | None, **tags: object) -> Path:
    path = folder / "a.dcm"
    path.write_bytes(dicom(pixels, **tags))
    return path


def test_grey_is_read_as_it_is_and_bright_is_dense(tmp_path: Path) -> None:
    pixels, _ = picture(written(tmp_path, GREY), WHERE)
    assert np.array_equal(pixels, GREY - GREY.min()) and pixels.dtype == np.uint16
    turned, _ = picture(written(tmp_path, GREY, PhotometricInterpretation="MONOCHROME1"), WHERE)
    assert np.array_equal(turned, GREY.max() - GREY)


def test_hounsfield_units_keep_their_steps(tmp_path: Path) -> None:
    signed = GREY.astype(np.int16) - 1000
    pixels, _ = picture(written(tmp_path, signed, RescaleSlope=1, RescaleIntercept=-24), WHERE)
    assert np.array_equal(pixels, signed - signed.min())


@pytest.mark.parametrize(
    ("pixels", "tags", "says"),
    [
        (np.stack([GREY, GREY]), {"NumberOfFrames": 2}, "a.dcm holds 2 pictures, and a cell names one"),
        (None, {}, "a.dcm is a DICOM object without a picture"),
        (GREY, {"Rows": 400}, "a.dcm cannot be read as an image: No decoder here could decode the pixels"),
        (GREY, {"Rows": 40_000, "Columns": 40_000}, "larger than 100 million pixels"),
    ],
)
def test_what_is_no_one_picture_is_refused_with_its_row(tmp_path: Path, pixels: np.ndarray | None, tags: dict[str, int], says: str) -> None:
    with pytest.raises(CaseError, match=f"cases.csv row 2: .*{says}"):
        picture(written(tmp_path, pixels, **tags), WHERE)


def test_a_file_that_only_begins_as_dicom_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    with pytest.raises(CaseError, match="cases.csv row 2: a.dcm"):
        picture(tmp_path / "a.dcm", WHERE)


@pytest.mark.data
def test_every_real_file_good_or_broken_is_read_or_refused_in_words(shared_data: Path) -> None:
    read, refused = [], []
    for path in sorted((shared_data / "dicom_samples").rglob("*.dcm")):
        try:
            pixels, _ = picture(path, WHERE)
        except CaseError as error:
            assert str(error).startswith(f"{WHERE}: {path.name}"), error
            refused.append(path.stem)
        else:
            assert pixels.ndim in (2, 3) and pixels.dtype in (np.uint8, np.uint16)
            read.append(path.stem)
    assert {"CT_small", "693_J2KI", "JPEG2000", "MR_small_RLE", "MR_small_bigendian", "examples_palette", "pydicomdata_US1_J2KR"} <= set(read)
    assert {"MR_truncated", "badVR", "no_meta", "dcmjs_cine-test", "test-SR", "rtdose"} <= set(refused)


def test_a_mark_lies_on_it_as_on_any_picture(tmp_path: Path) -> None:
    path = written(tmp_path, GREY)
    mark = np.zeros(GREY.shape, np.uint8)
    mark[5:15, 20:50] = 255
    Image.fromarray(mark).save(tmp_path / "mask.png")
    found = mask_region(tmp_path / "mask.png", path, WHERE)
    assert (found.left, found.top, found.right, found.bottom) == (20, 5, 50, 15) and found.solidity == pytest.approx(1, abs=0.05)
    assert text_region("3, 4, 10, 20", path, WHERE) == Region(3, 4, 13, 24, "box")
    with pytest.raises(CaseError, match="reaches outside a.dcm, which has 60 × 40 pixels"):
        text_region("30, 4, 60, 20", path, WHERE)


def told(folder: Path) -> list[Finding]:
    return hunt(folder, load_task(folder / "task.toml"))


def test_cases_are_the_same_as_from_plain_pictures_and_nothing_is_found_in_them(tmp_path: Path) -> None:
    plain = make_cases(tmp_path / "a", people=60)
    task = load_task(plain / "task.toml")
    films = [image.pixels for case in read_cases(task, plain) for image in case.snapshot.images]
    folder = as_dicom(make_cases(tmp_path / "b", people=60), Manufacturer=lambda at, ill: "ACME")
    again = [image.pixels for case in read_cases(task, folder) for image in case.snapshot.images]
    assert len(films) == 48 and all(np.array_equal(one - one.min(), other) for one, other in zip(films, again, strict=True))
    assert told(folder) == []


def test_a_scanner_that_stands_for_the_outcome_is_found(tmp_path: Path) -> None:
    folder = as_dicom(make_cases(tmp_path, people=120), StationName=lambda at, ill: "WARD" if ill or at % 8 == 0 else "CLINIC")
    (finding,) = (one for one in told(folder) if one.columns != ("image file",))
    assert (finding.kind, finding.columns) == ("source_predicts_outcome", ("device, DICOM StationName",))
    assert "of 36 people with “CLINIC” 0% have the outcome, of 60 others 80%" in finding.evidence


def test_one_patient_id_under_two_people_is_found(tmp_path: Path) -> None:
    folder = as_dicom(make_cases(tmp_path, people=60), PatientID=lambda at, ill: "4711" if at in (10, 31) else f"mrn{at}")
    (finding,) = told(folder)
    assert (finding.kind, finding.rows, finding.count) == ("same_person_two_ids", (12, 33), 2)
    assert "(1 such), the first under p10 and p31" in finding.evidence
    other = as_dicom(make_cases(tmp_path / "2", people=60), PatientID=lambda at, ill: "1", IssuerOfPatientID=lambda at, ill: f"site{at}")
    assert told(other) == [], "numbers of different issuers are different people"
