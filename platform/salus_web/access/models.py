"""Emergency accesses with their reviews, who of a care team has taken note, and requests for access. What lets a person see a
patient is the care relation or membership that each of them opened; that rule lives in records."""

from __future__ import annotations

from django.db import models

from salus_web.accounts.models import Site, User
from salus_web.cohorts.models import ProjectGuest
from salus_web.common.fields import SealedText
from salus_web.common.ids import new_id
from salus_web.records.models import CareRelation, CareTeamMembership, Patient
from salus_web.records.scopes import PatientScopedManager


class EmergencyReason(models.TextChoices):
    """Why a clinician broke the glass. The words stand in the care relation, so they name no patient."""

    DANGER = "danger", "life or health in danger, and the care team cannot be reached"
    CALLED = "called", "called to help by those who treat the patient"
    TRANSFER = "transfer", "taking over the patient before the record shows it"
    RESULT = "result", "a result that must be acted on now"
    OTHER = "other", "another reason, said in the text"


class Verdict(models.TextChoices):
    """What a reviewer found."""

    JUSTIFIED = "justified", "justified"
    AVOIDABLE = "avoidable", "justified, but a care relation should have been there"
    UNCLEAR = "unclear", "could not be settled; passed on"
    UNJUSTIFIED = "unjustified", "not justified"


class BreakGlass(models.Model):
    """One clinician opened one patient's record in an emergency. When it ends is said by the relation alone; `review_by` is
    the moment until which another person must have judged it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    relation = models.OneToOneField(CareRelation, on_delete=models.CASCADE, related_name="+")
    reason_code = models.CharField(max_length=20, choices=EmergencyReason.choices)
    reason_sealed = models.BinaryField(default=b"")
    started_at = models.DateTimeField()
    review_by = models.DateTimeField()
    handed_back_at = models.DateTimeField(null=True)
    reviewer = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    reviewed_at = models.DateTimeField(null=True)
    verdict = models.CharField(max_length=20, choices=Verdict.choices, blank=True)
    finding_sealed = models.BinaryField(default=b"")

    reason = SealedText("reason_sealed", "person:patient_id")
    finding = SealedText("finding_sealed", "person:patient_id")
    objects = PatientScopedManager()

    class Meta:
        indexes = [
            models.Index(fields=["patient", "-started_at"]),
            models.Index(fields=["user", "-started_at"]),
            models.Index(fields=["reviewed_at", "review_by"]),
        ]


class NoticeSeen(models.Model):
    """One of a patient's care team has taken note that somebody broke the glass. No row: not yet."""

    glass = models.ForeignKey(BreakGlass, on_delete=models.CASCADE, related_name="seen")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["glass", "user"], name="notice_seen_once")]


class Scope(models.TextChoices):
    """What is asked for."""

    PATIENT = "patient", "one patient, by record number"
    TEAM = "team", "a care team, by name"
    PROJECT = "project", "a research project, by name"


class AccessPurpose(models.TextChoices):
    """What access is asked for. The words stand in the care relation, so they name no patient."""

    CONSULT = "consult", "second opinion or consultation"
    FOLLOW_UP = "follow_up", "following up a patient treated before"
    COVER = "cover", "covering for a colleague"
    QUALITY = "quality", "quality review or case conference"
    RESEARCH = "research", "work in a research project"


class RequestState(models.TextChoices):
    """What became of a request. One that was not decided before its own end is over, whatever stands here."""

    OPEN = "open", "waits for a decision"
    GRANTED = "granted", "granted"
    REFUSED = "refused", "refused"
    WITHDRAWN = "withdrawn", "withdrawn"


class AccessRequest(models.Model):
    """A person asks for access until an end. `wanted` is a record number or a name as it was typed; it is looked up only when
    an administrator grants the request, so that asking says nothing of who exists, and a number is emptied by the decision."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    site = models.ForeignKey(Site, on_delete=models.CASCADE)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    scope = models.CharField(max_length=10, choices=Scope.choices)
    purpose = models.CharField(max_length=20, choices=AccessPurpose.choices)
    wanted_sealed = models.BinaryField(default=b"")
    reason_sealed = models.BinaryField(default=b"")
    asked_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=RequestState.choices, default=RequestState.OPEN)
    decided_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    answer_sealed = models.BinaryField(default=b"")
    relation = models.OneToOneField(CareRelation, null=True, on_delete=models.SET_NULL, related_name="+")
    membership = models.OneToOneField(CareTeamMembership, null=True, on_delete=models.SET_NULL, related_name="+")
    guest = models.OneToOneField(ProjectGuest, null=True, on_delete=models.SET_NULL, related_name="+")

    wanted = SealedText("wanted_sealed", "request:id")
    reason = SealedText("reason_sealed", "request:id")
    answer = SealedText("answer_sealed", "request:id")

    class Meta:
        indexes = [models.Index(fields=["user", "-asked_at"]), models.Index(fields=["site", "state", "ends_at"])]
