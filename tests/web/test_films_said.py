"""What a page says of a film, whose name stands on it, and that one identifier is one image."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.fileset import FileSet
from pydicom.uid import RTDoseStorage
from salus_web.imaging.models import Instance, Rendition
from salus_web.imaging.services import store_images
from salus_web.ingest.parsers.dicom import parse_dicom, wrap_picture
from salus_web.predictions.models import RiskMap

from tests.factories.films import dicom
from tests.factories.hospital import make_bundle, make_person
from tests.factories.people import SYSTEM, client_of, make_patient, make_site, make_user, relate
from tests.web.test_film_moments import GREY, UIDS, brought, film, image_of, kinds

FUNDUS = {"Modality": "OP", "BodyPartExamined": "RETINA"}
SEVERAL = np.stack([GREY, GREY // 2, GREY])


@pytest.mark.parametrize(("said", "name"), [
    ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Tarou Yamada"), ("=山田^太郎", "太郎 山田"), ("Doe^Jane^Mary", "Jane Mary Doe"), ("Doe", "Doe"), ("", ""),
])  # fmt: skip
def test_a_name_is_its_letters_and_no_other_script_twice(said: str, name: str) -> None:
    (person,) = parse_dicom(film(SpecificCharacterSet="ISO_IR 192", PatientName=said), "a.dcm").people
    assert person.name == name


def test_one_frame_of_several_is_no_model_s_input_and_doses_are_none() -> None:
    several = image_of(dicom(SEVERAL, NumberOfFrames=3, **UIDS))
    assert several["frames"] == 3 and several["pixel_state"] == "readable" and kinds(several) == {"display", "thumbnail"}
    assert several["pixel_problem"] == "No model looks at one frame of several."
    doses = image_of(film(SOPClassUID=RTDoseStorage, Modality="RTDOSE"))
    assert kinds(doses) == {"display", "thumbnail"} and doses["pixel_problem"].startswith("It holds doses of radiation and no picture of a body")
    assert kinds(image_of(film())) == {"display", "thumbnail", "model"}


def test_padding_takes_no_grey_from_the_page() -> None:
    body = np.zeros((64, 64), np.uint16)
    body[20:44, 20:44] = 30_000 + np.arange(24 * 24).reshape(24, 24)
    image = image_of(dicom(body, PixelPaddingValue=0, **UIDS))
    (shown,) = (np.asarray(Image.open(io.BytesIO(one["bytes"]))) for one in image["renditions"] if one["kind"] == "display")
    assert len(np.unique(shown[20:44, 20:44])) > 200 and not shown[:20].any()


@pytest.mark.django_db
def test_a_page_says_the_side_and_that_one_frame_of_several_is_shown() -> None:
    site = make_site()
    for raw in (film(**FUNDUS, ImageLaterality="L"), film(**FUNDUS, Laterality="R"), dicom(SEVERAL, NumberOfFrames=3, **UIDS, **FUNDUS, ImageLaterality="B")):
        assert brought(raw, site).state == "stored"
    user, row = make_user("clinician", site), Instance.objects.for_actor(SYSTEM).first()
    assert row is not None
    relate(user, row.patient)
    page = client_of(user).get(f"/patients/{row.patient_id}/?span=all").content.decode()
    for name in ("OP retina, left", "OP retina, right", "OP retina, both sides, first of 3 frames"):
        assert f'alt="{name}, 02 Jan 2026 09:30 UTC"' in page and f">{name}<br>02 Jan 2026 09:30 UTC" in page
        assert f"{name}, 02 Jan 2026 09:30 UTC</title>" in page, "on the time line"
    assert page.count("No model looks at one frame of several.") == 1


@pytest.mark.django_db
def test_a_risk_s_page_says_the_side_of_its_film_and_when_that_is_not_known() -> None:
    site = make_site()
    user, person = make_user("clinician", site), make_person(site, "Qside", make_bundle())
    relate(user, person.patient)
    Instance.objects.for_actor(SYSTEM).filter(pk=person.instance.pk).update(laterality="L", acquired_at=None)
    assert RiskMap.objects.for_actor(SYSTEM).exists()
    assert "film, left, of date not said" in client_of(user).get(f"/predictions/{person.prediction.pk}/").content.decode()


def changed(raw: bytes, **tags: Any) -> bytes:
    """The same object with other tags: its identifier stays."""
    made = pydicom.dcmread(io.BytesIO(raw))
    for tag, value in tags.items():
        setattr(made, tag, value)
    stream = io.BytesIO()
    made.save_as(stream)
    return stream.getvalue()


def packed(*files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number, body in enumerate(files):
            archive.writestr(f"{number}.dcm", body)
    return stream.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize("change", [{"PixelData": (GREY + 1).tobytes()}, {"PatientID": "another"}, {"ImageLaterality": "R"}, {"StudyInstanceUID": "1.2.9"}])
def test_one_identifier_is_one_image(change: dict[str, Any]) -> None:
    site, first = make_site(), film()
    uid = str(pydicom.dcmread(io.BytesIO(first)).SOPInstanceUID)
    assert brought(first, site).state == "stored"
    upload = brought(changed(first, **change), site)
    assert upload.state == "refused"
    assert upload.problems == [
        f"DICOM a.dcm: an image with its identifier (SOPInstanceUID {uid}) is here already, with other content or of another patient. "
        "An identifier names one image, so nothing of the file was stored."
    ]
    assert Instance.objects.for_actor(SYSTEM).count() == 1
    both = brought(packed(film(), (other := film(Modality="CR")), changed(other, **change)), site)
    assert both.state == "refused" and Instance.objects.for_actor(SYSTEM).count() == 1, "in one file as well"


@pytest.mark.django_db
def test_the_same_image_again_is_the_same_image() -> None:
    site, first = make_site(), film()
    brought(first, site)
    again = brought(packed(first, first, b"\x07" * 128 + first[128:]), site)
    assert (again.state, again.counts["images"]) == ("stored", 0)
    assert Rendition.objects.for_actor(SYSTEM).count() == 3
    assert brought(first, make_site()).counts["images"] == 1, "another hospital's copy is its own"


@pytest.mark.django_db
def test_another_picture_of_a_case_is_another_image_and_the_same_one_is_not() -> None:
    spec, patient = {"modality": "OP", "body_part": "eye", "view": "fundus"}, make_patient(make_site())
    first, second = ([wrap_picture(pixels, spec, "7", "eyes/7|fundus") | {"source": "eyes.csv row 2, a.png", "acquired_at": "2026-01-02T00:00:00+00:00"}]
                     for pixels in (GREY, GREY + 1))  # fmt: skip
    assert [store_images(patient=patient, images=images, by=SYSTEM) for images in (first, first, second)] == [1, 0, 1]
    assert store_images(patient=make_patient(make_site()), images=second, by=SYSTEM) == 1


@pytest.mark.django_db
def test_a_disc_comes_in_with_its_list_passed_over(tmp_path: Path) -> None:
    """Every disc that a patient brings along holds a DICOMDIR, and each was refused for it."""
    disc = FileSet()
    disc.add(pydicom.dcmread(io.BytesIO(film(PatientID="7", PatientName="Disc", StudyID="1", StudyDate="20260102", StudyTime="0930", SeriesNumber="1", InstanceNumber="1"))))
    disc.write(tmp_path / "disc")
    files = [path.read_bytes() for path in sorted((tmp_path / "disc").rglob("*")) if path.is_file()]
    came = brought(packed(*files), make_site())
    assert len(files) == 2 and (came.state, came.counts["images"]) == ("stored", 1)
    assert came.counts["left out: list of what is on a disc (DICOMDIR)"] == 1
