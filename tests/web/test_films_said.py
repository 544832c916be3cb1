"""What a page says of a film, and whose name stands on it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import RTDoseStorage
from salus_web.imaging.models import Instance
from salus_web.ingest.parsers.dicom import parse_dicom
from salus_web.predictions.models import RiskMap

from tests.factories.films import dicom
from tests.factories.hospital import make_bundle, make_person
from tests.factories.people import SYSTEM, client_of, make_site, make_user, relate
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
        assert f'alt="{name}, 02 Jan 2026 09:30"' in page and f">{name}<br>02 Jan 2026 09:30" in page
        assert f"{name}, 02 Jan 09:30" in page, "on the time line"
    assert page.count("No model looks at one frame of several.") == 1


@pytest.mark.django_db
def test_a_risk_s_page_says_the_side_of_its_film_and_when_that_is_not_known() -> None:
    site = make_site()
    user, person = make_user("clinician", site), make_person(site, "Qside", make_bundle())
    relate(user, person.patient)
    Instance.objects.for_actor(SYSTEM).filter(pk=person.instance.pk).update(laterality="L", acquired_at=None)
    assert RiskMap.objects.for_actor(SYSTEM).exists()
    assert "film, left, of date not said" in client_of(user).get(f"/predictions/{person.prediction.pk}/").content.decode()
