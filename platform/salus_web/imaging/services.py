"""Keeping parsed DICOM objects: study, series, instance, the object itself and its renditions in the vault."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from salus_web.audit.services import Act, record
from salus_web.common import vault
from salus_web.common.errors import BadInput
from salus_web.imaging.models import Instance, Rendition, Series, Study
from salus_web.records.models import Patient

_COLUMNS = (
    "sop_class", "transfer_syntax", "view", "laterality", "rows", "columns", "frames", "photometric",
    "pixel_spacing_mm", "region", "outline", "pixel_state", "pixel_problem", "source",
)  # fmt: skip


@transaction.atomic
def store_images(
    *, patient: Patient, images: Sequence[dict[str, Any]], by: Any, encounters: dict[str, Any] | None = None
) -> int:
    """Keep images that are not here yet; returns how many were new. The same object twice changes nothing; another
    one under its identifier raises BadInput.

    An image that names its encounter (a case's) has its study tied to that row through `encounters`.
    """
    new = 0
    for image in images:
        acquired = _moment(image["acquired_at"])
        study, _ = Study.objects.for_actor(by).get_or_create(
            patient=patient, uid=image["study_uid"],
            defaults={
                "description": image["description"], "started_at": acquired,
                "encounter_id": (encounters or {}).get(image.get("encounter", "")),
            },
        )  # fmt: skip
        series, _ = Series.objects.for_actor(by).get_or_create(
            study=study, uid=image["series_uid"],
            defaults={"patient": patient, "modality": image["modality"], "body_part": image["body_part"]},
        )  # fmt: skip
        _check_content(patient, image, by)
        if not Instance.objects.for_actor(by).filter(series=series, uid=image["uid"]).exists():
            _instance(patient, series, image, acquired)
            new += 1
    if new:
        record(Act("image.store", "patient", str(patient.pk), patient.pseudonym, detail={"instances": new}), by=by)
    return new


@transaction.atomic
def put_pictures_right(*, patient: Patient, images: Sequence[dict[str, Any]], slots: Mapping[Any, Sequence[str]], by: Any) -> int:
    """Take over what a case table that is read again says of pictures that are here: their marks, and that it names one no more.
    Returns how many changed. `slots` are those that the table fills, by the row of the case; pictures of others stay."""
    said = {image["uid"]: image for image in images}
    changed = 0
    rows = Instance.objects.for_actor(by).select_related("series__study").filter(patient=patient, series__study__encounter__in=list(slots))
    for row in rows:
        image = said.get(row.uid)
        if image is None and row.view not in slots[row.series.study.encounter_id]:
            continue
        now = (True, row.region, row.outline) if image is None else (False, image["region"], image["outline"])
        if now != (row.is_dropped, row.region, row.outline):
            row.is_dropped, row.region, row.outline = now
            row.save(update_fields=["is_dropped", "region", "outline"])
            changed += 1
    return changed


def _moment(said: str | None) -> datetime | None:
    """Without an offset it is the hospital's clock; of an hour that comes twice the later, so that no model sees a film too early."""
    if said is None:
        return None
    moment = datetime.fromisoformat(said)
    return moment if moment.tzinfo else moment.replace(tzinfo=settings.SALUS_HOSPITAL_ZONE, fold=1)


def _check_content(patient: Patient, image: dict[str, Any], by: Any) -> None:
    """Raises BadInput where the identifier belongs to something else that is here: an identifier names one object in the world
    (PS3.5, 9). A case's picture has one of our own making, made of what it shows."""
    if "wrapped_sha256" in image:
        return
    rows = Instance.objects.for_actor(by).filter(uid=image["uid"]).exclude(blob_sha256=hashlib.sha256(image["bytes"]).hexdigest())
    if rows.exists():
        raise BadInput(
            f"{image['source']}: an image with its identifier (SOPInstanceUID {image['uid']}) is here already, with other content or of "
            "another patient. An identifier names one image, so nothing of the file was stored."
        )


def _instance(patient: Patient, series: Series, image: dict[str, Any], acquired: datetime | None) -> None:
    """One object and its renditions."""
    owner = f"person:{patient.pk}"
    blob = vault.put(image["bytes"], owner=owner)
    instance = Instance.objects.create(
        patient=patient, series=series, uid=image["uid"], acquired_at=acquired, blob_key=blob.key,
        blob_sha256=blob.sha256, blob_bytes=blob.size_bytes, **{name: image[name] for name in _COLUMNS},
    )  # fmt: skip
    for rendition in image["renditions"]:
        kept = vault.put(rendition["bytes"], owner=owner)
        Rendition.objects.create(
            patient=patient, instance=instance, kind=rendition["kind"], width=rendition["width"],
            height=rendition["height"], blob_key=kept.key, blob_sha256=kept.sha256, original_sha256=blob.sha256,
        )  # fmt: skip
