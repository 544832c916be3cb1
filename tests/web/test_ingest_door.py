"""The door, whole: bytes in, stored or refused whole, once, with images that open only unchanged."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pydicom
import pytest
from salus_web.common import vault
from salus_web.common.errors import IntegrityBroken, Refused
from salus_web.imaging.models import Instance, Rendition
from salus_web.ingest.models import Upload, UploadState
from salus_web.ingest.parsers.dicom import wrap_picture
from salus_web.ingest.services import read_and_store, receive
from salus_web.jobs.models import Job
from salus_web.records.models import Observation, Patient

from tests.factories.people import SYSTEM, actor_of, client_of, make_site, make_user
from tests.web.test_ingest_parsers import bundle

pytestmark = pytest.mark.django_db
SPEC = {"modality": "DX", "body_part": "chest", "view": "PA"}


def film(mrn: str = "4417") -> bytes:
    """A DICOM object of random grey that says when it was made."""
    pixels = np.random.default_rng(1).integers(0, 255, (40, 30)).astype(np.uint8)
    made = pydicom.dcmread(io.BytesIO(wrap_picture(pixels, SPEC, mrn, f"case|{mrn}")["bytes"]))
    made.StudyDate, made.StudyTime = "20260102", "093000"
    stream = io.BytesIO()
    made.save_as(stream)
    return stream.getvalue()


def archive(*entries: tuple[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name, body in entries:
            packed.writestr(name, body)
    return stream.getvalue()


def test_record_and_film_of_one_patient_meet_behind_the_door() -> None:
    content = archive(("a.json", json.dumps(bundle()).encode()), ("b.dcm", film()))
    upload = receive(filename="both.zip", content=content, site=make_site(), by=SYSTEM)
    patients = read_and_store(upload=upload, by=SYSTEM)
    patient = Patient.objects.for_actor(SYSTEM).get()
    assert patients == [str(patient.pk)]
    instance = Instance.objects.for_actor(SYSTEM).get()
    assert instance.patient == patient and (instance.rows, instance.columns) == (40, 30)
    upload.refresh_from_db()
    assert upload.state == UploadState.STORED
    assert (upload.counts["observations"], upload.counts["images"]) == (1, 1)


def test_one_bad_file_refuses_the_whole_upload() -> None:
    bad = json.dumps(bundle(valueQuantity={"value": "high"})).encode()
    content = archive(("a.json", json.dumps(bundle()).encode()), ("bad.json", bad))
    upload = receive(filename="both.zip", content=content, site=make_site(), by=SYSTEM)
    assert read_and_store(upload=upload, by=SYSTEM) == []
    upload.refresh_from_db()
    assert upload.state == UploadState.REFUSED
    assert "bad.json, entry 2 (Observation)" in upload.problems[0]
    assert not Patient.objects.for_actor(SYSTEM).exists()


def test_the_same_file_twice_changes_nothing() -> None:
    site, content = make_site(), json.dumps(bundle()).encode()
    read_and_store(upload=receive(filename="a.json", content=content, site=site, by=SYSTEM), by=SYSTEM)
    again = receive(filename="b.json", content=content, site=site, by=SYSTEM)
    assert again.state == UploadState.UNCHANGED
    assert Job.objects.filter(kind="ingest_upload").count() == 1
    assert Observation.objects.for_actor(SYSTEM).count() == 1


def test_a_refused_file_may_come_again() -> None:
    site = make_site()
    first = receive(filename="a", content=b"no record", site=site, by=SYSTEM)
    read_and_store(upload=first, by=SYSTEM)
    assert receive(filename="a", content=b"no record", site=site, by=SYSTEM).state == UploadState.RECEIVED


def test_a_refused_file_s_row_says_its_reason_and_does_not_send_to_itself() -> None:
    site = make_site()
    user = make_user("administrator", site)
    upload = receive(filename="a", content=b"no record", site=site, by=actor_of(user))
    read_and_store(upload=upload, by=SYSTEM)
    Job.objects.filter(pk=upload.job_id).update(state="failed", failure="The file was refused. The reason stands with it on the page Uploads.")
    upload.refresh_from_db()
    page = client_of(user).get("/uploads/").content.decode()
    assert upload.problems[0][:20] in page and "on the page Uploads" not in page
    Upload.objects.filter(pk=upload.pk).update(state=UploadState.RECEIVED, problems_sealed=b"")
    assert "on the page Uploads" in client_of(user).get("/uploads/").content.decode(), "a failure without a reason of the file is shown"


def test_a_researcher_may_not_upload() -> None:
    site = make_site()
    with pytest.raises(Refused):
        receive(filename="a", content=b"x", site=site, by=actor_of(make_user("researcher", site)))
    assert not Upload.objects.exists()


def test_pixels_open_only_as_they_were_stored() -> None:
    upload = receive(filename="f.dcm", content=film(), site=make_site(), by=SYSTEM)
    read_and_store(upload=upload, by=SYSTEM)
    first, second = Rendition.objects.for_actor(SYSTEM).order_by("kind")[:2]
    assert vault.get(first.blob_key, sha256=first.blob_sha256)
    with pytest.raises(IntegrityBroken):
        vault.get(first.blob_key, sha256=second.blob_sha256)
