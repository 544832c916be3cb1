"""Study, series, instance (DICOM PS3.3), and the renditions kept beside each instance. Pixels lie in the vault."""

from __future__ import annotations

from django.db import models

from salus_web.common.fields import SealedText
from salus_web.common.ids import new_id
from salus_web.records.models import Encounter, Patient
from salus_web.records.scopes import PatientScopedManager


class Study(models.Model):
    """One imaging examination of a patient."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    encounter = models.ForeignKey(Encounter, null=True, on_delete=models.SET_NULL)
    uid = models.CharField(max_length=64)
    description_sealed = models.BinaryField(default=b"")
    started_at = models.DateTimeField(null=True)

    description = SealedText("description_sealed", "person:patient_id")
    objects = PatientScopedManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["patient", "uid"], name="study_once")]
        indexes = [models.Index(fields=["patient", "-started_at"])]


class Series(models.Model):
    """Images of one study made in one go."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    study = models.ForeignKey(Study, on_delete=models.CASCADE)
    uid = models.CharField(max_length=64)
    modality = models.CharField(max_length=16)
    body_part = models.CharField(max_length=64, blank=True)
    description_sealed = models.BinaryField(default=b"")

    description = SealedText("description_sealed", "person:patient_id")
    objects = PatientScopedManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study", "uid"], name="series_once")]


class Instance(models.Model):
    """One DICOM object. `blob_*` is the whole object as accepted; `view` is ViewPosition or the task's slot.

    `region` is a marked box (left, top, right, bottom) and `outline` what its outline measures, where one was drawn:
    {"solidity", "roundness"}, each in (0, 1]. `acquired_at` is empty where the object does not say it. `pixel_problem` is why there is
    no picture or, of a readable one, why no model looks at it: it then has no `model` rendition. `is_dropped`: the case table that
    brought it names it no more; only what was computed with it shows it still.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    series = models.ForeignKey(Series, on_delete=models.CASCADE)
    uid = models.CharField(max_length=64)
    sop_class = models.CharField(max_length=64)
    transfer_syntax = models.CharField(max_length=64)
    view = models.CharField(max_length=40, blank=True)
    laterality = models.CharField(max_length=4, blank=True)
    rows = models.PositiveIntegerField(null=True)
    columns = models.PositiveIntegerField(null=True)
    frames = models.PositiveIntegerField(default=1)
    photometric = models.CharField(max_length=32, blank=True)
    pixel_spacing_mm = models.FloatField(null=True)
    acquired_at = models.DateTimeField(null=True)
    region = models.JSONField(null=True)
    outline = models.JSONField(null=True)
    pixel_state = models.CharField(max_length=20, default="readable")
    pixel_problem_sealed = models.BinaryField(default=b"")
    blob_key = models.CharField(max_length=64)
    blob_sha256 = models.CharField(max_length=64)
    blob_bytes = models.BigIntegerField()
    is_dropped = models.BooleanField(default=False)
    source_sealed = models.BinaryField(default=b"")

    pixel_problem = SealedText("pixel_problem_sealed", "person:patient_id")
    source = SealedText("source_sealed", "person:patient_id")
    objects = PatientScopedManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["series", "uid"], name="instance_once")]
        indexes = [models.Index(fields=["patient", "-acquired_at"]), models.Index(fields=["uid"])]


class Rendition(models.Model):
    """A small copy made at the door: `display` (PNG, 8 bit, at most 1024 px), `thumbnail` (PNG, 96 px) and
    `model` (NPY, full decoded first frame, grey uint8/uint16 or RGB) tied by hash to the original."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE)
    kind = models.CharField(max_length=16)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    blob_key = models.CharField(max_length=64)
    blob_sha256 = models.CharField(max_length=64)
    original_sha256 = models.CharField(max_length=64)

    objects = PatientScopedManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance", "kind"], name="rendition_once")]
