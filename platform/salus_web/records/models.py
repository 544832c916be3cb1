"""Patients, what is recorded about them, and who cares for them. Identifiers are sealed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models

from salus_web.accounts.models import Site, User
from salus_web.common.clock import now
from salus_web.common.fields import SealedText, text_or_gone
from salus_web.common.ids import new_id, new_pseudonym
from salus_web.common.keyring import KeyGone
from salus_web.records.scopes import PatientManager, PatientScopedManager


class Patient(models.Model):
    """A person in care at a site. `pseudonym` stands for them in the log and in exports' receipts."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    pseudonym = models.CharField(max_length=32, unique=True, default=new_pseudonym)
    mrn_system = models.CharField(max_length=120, default="")
    mrn_sealed = models.BinaryField(default=b"")
    mrn_index = models.CharField(max_length=64)
    name_sealed = models.BinaryField(default=b"")
    birth_date = models.DateField(null=True)
    sex = models.CharField(max_length=10, default="unknown")
    died_at = models.DateTimeField(null=True)
    death_is_dated = models.BooleanField(default=True)  # else died_at is when it came to be known
    is_simulated = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    erased_at = models.DateTimeField(null=True)  # from then on nothing of the person is here but this row
    # one more whenever data comes in, so that whoever read before finds out; a time would not do, as a row is seen only later
    data_version = models.PositiveBigIntegerField(default=0)

    mrn = SealedText("mrn_sealed", "person:id")

    @property
    def number_end(self) -> str:
        """The last four signs of the record number; empty once the person was erased or the key of their data destroyed."""
        try:
            return str(self.mrn)[-4:]
        except KeyGone:
            return ""
    name = SealedText("name_sealed", "person:id")
    objects = PatientManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "mrn_index"], name="one_patient_per_mrn")]
        indexes = [models.Index(fields=["mrn_index"]), models.Index(fields=["birth_date"]), models.Index(fields=["-created_at", "id"])]


class PatientNameToken(models.Model):
    """Blind index of one word of a patient's name, or of a case's number in its table, for search by the whole word."""

    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    token = models.CharField(max_length=64)

    objects = PatientScopedManager()

    class Meta:
        indexes = [models.Index(fields=["token", "patient"])]


# HL7 ActEncounterCode of what is no stay: ambulatory, at home, virtual
VISITS = ("AMB", "HH", "VR")


class Encounter(models.Model):
    """A stay or visit; for a row of a case table, the case (`kind` = "case"), with the upload whose table held it last. One that was
    taken back never was, and no model speaks of it; what was recorded in it still was."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    kind = models.CharField(max_length=40)
    ward = models.CharField(max_length=120, blank=True)
    reason_sealed = models.BinaryField(default=b"")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    source = models.CharField(max_length=200)
    source_key = models.CharField(max_length=64)
    upload_id = models.UUIDField(null=True)
    is_taken_back = models.BooleanField(default=False)

    reason = SealedText("reason_sealed", "person:patient_id")
    objects = PatientScopedManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["patient", "source_key"], name="encounter_once")]
        indexes = [
            models.Index(fields=["patient", "-starts_at"]),
            models.Index(fields=["starts_at", "id"], name="encounters_by_start"),  # whose index moment has passed
        ]

    def lasts_to(self, moment: datetime) -> bool:
        """Whether it had not ended before a moment, as far as is known."""
        return self.ends_at is None or self.ends_at >= moment


class Observation(models.Model):
    """A measurement or finding: a number with its UCUM unit, or a word that queries may ask for (`value_text`), or a longer
    note (`note`), which is sealed."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    encounter = models.ForeignKey(Encounter, null=True, on_delete=models.CASCADE)
    system = models.CharField(max_length=120)
    code = models.CharField(max_length=80)
    display = models.CharField(max_length=200)
    value_number = models.FloatField(null=True)
    value_text = models.CharField(max_length=400, blank=True)
    note_sealed = models.BinaryField(default=b"")
    unit = models.CharField(max_length=40, blank=True)
    observed_at = models.DateTimeField()
    is_preliminary = models.BooleanField(default=False)  # not verified yet; the final one of the same resource replaces it
    source = models.CharField(max_length=200)
    source_key = models.CharField(max_length=64)

    note = SealedText("note_sealed", "person:patient_id")
    objects = PatientScopedManager()

    @property
    def words(self) -> str:
        """What was said where no number was measured, short or long."""
        return self.value_text or self.note

    class Meta:
        constraints = [models.UniqueConstraint(fields=["patient", "source_key"], name="observation_once")]
        indexes = [
            models.Index(fields=["patient", "observed_at"]),
            models.Index(fields=["code", "patient", "observed_at"]),
        ]


class Condition(models.Model):
    """A diagnosis or problem, from when it was recorded. One that is coded in several vocabularies has a row for each, of which
    all but one are `is_other_coding`: they are there to be found, not to be counted or shown."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    encounter = models.ForeignKey(Encounter, null=True, on_delete=models.SET_NULL)
    system = models.CharField(max_length=120)
    code = models.CharField(max_length=80)
    display = models.CharField(max_length=200)
    is_other_coding = models.BooleanField(default=False)
    recorded_at = models.DateTimeField()
    abated_at = models.DateTimeField(null=True)
    source = models.CharField(max_length=200)
    source_key = models.CharField(max_length=64)

    objects = PatientScopedManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["patient", "source_key"], name="condition_once")]
        indexes = [models.Index(fields=["code", "patient"]), models.Index(fields=["patient", "recorded_at"])]


class Medication(models.Model):
    """A drug ordered, from a start to an end when known; further codings of it as those of a Condition."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    encounter = models.ForeignKey(Encounter, null=True, on_delete=models.SET_NULL)
    system = models.CharField(max_length=120)
    code = models.CharField(max_length=80)
    display = models.CharField(max_length=200)
    is_other_coding = models.BooleanField(default=False)
    status = models.CharField(max_length=40, blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    source = models.CharField(max_length=200)
    source_key = models.CharField(max_length=64)

    objects = PatientScopedManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["patient", "source_key"], name="medication_once")]
        indexes = [models.Index(fields=["patient", "starts_at"]), models.Index(fields=["code", "patient"])]


class Allergy(models.Model):
    """A known allergy or intolerance, shown in the banner unless it is over."""

    OVER = ("inactive", "resolved")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    display = models.CharField(max_length=200)
    recorded_at = models.DateTimeField(null=True)
    status = models.CharField(max_length=20, blank=True)
    criticality = models.CharField(max_length=20, blank=True)  # high, low or unable-to-assess
    source = models.CharField(max_length=200)
    source_key = models.CharField(max_length=64)

    objects = PatientScopedManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["patient", "source_key"], name="allergy_once")]


class CareTeam(models.Model):
    """People who care for a group of patients together, such as a ward's team."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    site = models.ForeignKey(Site, on_delete=models.CASCADE)
    name = models.CharField(max_length=120)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "name"], name="care_team_once")]

    def __str__(self) -> str:
        return self.name


class CareTeamMembership(models.Model):
    """A person in a care team, from a start to an end."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    team = models.ForeignKey(CareTeam, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    added_by = models.CharField(max_length=80)

    class Meta:
        indexes = [models.Index(fields=["user", "team"])]


class CareRelation(models.Model):
    """Why a person or team may see a patient: kind, reason, start and end. `site` is the patient's hospital, where they must be
    clinicians; it stands here so that both walls decide without reading the patient, who stands behind them."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, db_index=False)
    team = models.ForeignKey(CareTeam, null=True, on_delete=models.CASCADE)
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE)
    kind = models.CharField(max_length=40, default="care team")
    reason_sealed = models.BinaryField(default=b"")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    added_by = models.CharField(max_length=80)

    reason = SealedText("reason_sealed", "person:patient_id")

    def save(self, *args: Any, **options: Any) -> None:
        """As Django's; a new one is of its patient's hospital."""
        if self._state.adding:
            self.site_id = self.patient.site_id
        super().save(*args, **options)

    @property
    def why(self) -> str:
        """The reason for a page: readable also once the key of the patient's data was destroyed."""
        return text_or_gone(self, "reason")

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.ends_at is None or self.ends_at > now()

    class Meta:
        indexes = [
            models.Index(fields=["team", "patient"]),
            models.Index(fields=["user", "patient"]),
            models.Index(fields=["patient"]),
        ]


class Consent(models.Model):
    """What a patient said of one purpose. Each word is a version of its own, a withdrawal too; the one that no later word
    has replaced stands. The database refuses to change a version in anything but the moment when it was replaced."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    purpose = models.CharField(max_length=20)
    version = models.PositiveIntegerField(default=1)
    granted = models.BooleanField()
    form = models.CharField(max_length=120, blank=True)  # the sheet and its version, such as “Research consent 3.1”
    said_on = models.DateField(null=True)  # the day on the sheet
    recorded_at = models.DateTimeField()
    recorded_by = models.CharField(max_length=80)
    recorded_by_name = models.CharField(max_length=200, blank=True)
    superseded_at = models.DateTimeField(null=True)

    objects = PatientScopedManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["patient", "purpose", "version"], name="consent_version_once"),
            models.UniqueConstraint(
                fields=["patient", "purpose"], name="one_consent_stands", condition=models.Q(superseded_at__isnull=True)
            ),
        ]


class LegalHold(models.Model):
    """Why nothing of a patient may be erased, from when, until when (None: until it is lifted), and who said so."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    reason_sealed = models.BinaryField(default=b"")
    set_by = models.CharField(max_length=80)
    set_by_name = models.CharField(max_length=200)
    set_at = models.DateTimeField()
    until = models.DateTimeField(null=True)
    lifted_at = models.DateTimeField(null=True)
    lifted_by_name = models.CharField(max_length=200, blank=True)
    lifted_why = models.CharField(max_length=200, blank=True)

    reason = SealedText("reason_sealed", "person:patient_id")
    objects = PatientScopedManager()

    class Meta:
        indexes = [models.Index(fields=["patient", "lifted_at"])]


class DestroyedKey(models.Model):
    """A person whose data key was destroyed: who decided it, why, and when it was done. Names the person by id only, and
    stays after the person's rows are gone, so that an older copy of the keys can be cleared again."""

    person_id = models.UUIDField(primary_key=True)
    pseudonym = models.CharField(max_length=32)
    reason = models.CharField(max_length=200)
    decided_by = models.CharField(max_length=80)
    decided_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)


class KeyRotation(models.Model):
    """How far sealing anew has come in one table or folder, so that a run that was killed goes on there."""

    place = models.CharField(max_length=120, primary_key=True)
    key_name = models.CharField(max_length=32)
    after = models.CharField(max_length=64, blank=True)
    moved = models.PositiveBigIntegerField(default=0)
    finished = models.BooleanField(default=False)
