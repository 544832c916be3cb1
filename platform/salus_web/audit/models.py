"""The log's rows: events in hash chains, the heads that order them, signed checkpoints, saved searches, and which
records are under special watch. No foreign keys to
people or patients, no patient values."""

from __future__ import annotations

from django.db import models

from salus_web.common.ids import new_id


class Event(models.Model):
    """One look or change. `place` counts from 1 without gaps in its stripe; `number` only grows (gaps where there are stripes)."""

    number = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    actor_id = models.CharField(max_length=80)
    actor_name = models.CharField(max_length=200)
    role = models.CharField(max_length=80, blank=True)
    session = models.CharField(max_length=64, blank=True)
    request = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=80)
    object_kind = models.CharField(max_length=60, blank=True)
    object_id = models.CharField(max_length=80, blank=True)
    patient = models.CharField(max_length=40, blank=True)
    purpose = models.CharField(max_length=40, blank=True)
    outcome = models.CharField(max_length=20, default="done")
    detail = models.JSONField(default=dict)
    previous = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)
    stripe = models.SmallIntegerField()
    place = models.BigIntegerField()
    before_hash = models.CharField(max_length=64, blank=True)
    after_hash = models.CharField(max_length=64, blank=True)
    form = models.SmallIntegerField()  # which names are digested; see chain.FORMS

    class Meta:
        constraints = [models.UniqueConstraint(fields=["stripe", "place"], name="one_event_per_place")]
        indexes = [
            # each kind of search walks one of these from its newest line on; see search.py
            models.Index(fields=["-at", "-number"], name="event_at"),
            models.Index(fields=["patient", "-at", "-number"], name="event_patient"),
            models.Index(fields=["actor_id", "-at", "-number"], name="event_actor"),
            models.Index(fields=["action", "-at", "-number"], name="event_action"),
            # what is common is found by walking; only what is rare has an index, so that an ordinary line costs none
            models.Index(fields=["outcome", "-at", "-number"], name="event_outcome", condition=~models.Q(outcome="done")),
            models.Index(fields=["purpose", "-at", "-number"], name="event_purpose", condition=~models.Q(purpose__in=["", "care"])),
        ]


class Head(models.Model):
    """The end of one stripe's chain: the row that its writers lock. Made when it is first needed."""

    id = models.SmallIntegerField(primary_key=True)
    place = models.BigIntegerField()
    digest = models.CharField(max_length=64)


class Checkpoint(models.Model):
    """A signed note: a checkpoint of the log, or the record of a fork. The database refuses to change or delete it."""

    previous = models.CharField(max_length=64, unique=True)
    note = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=20)
    body = models.TextField()
    signature = models.CharField(max_length=128)
    marks = models.BinaryField(default=b"")  # the first bytes of every digest it covers, so that a changed line can be named
    peaks = models.JSONField(default=list)  # the tree so far, from which the next checkpoint goes on
    proof = models.JSONField(default=list)  # that it extends the checkpoint before


class Countersign(models.Model):
    """What the witness said to a note: its statement, or why it refused."""

    checkpoint = models.OneToOneField(Checkpoint, primary_key=True, on_delete=models.CASCADE)
    body = models.TextField(blank=True)
    signature = models.CharField(max_length=128, blank=True)
    refused = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField()


class WatchReason(models.TextChoices):
    """Why looks at a record are worth a second look. Words chosen from a list, so that nothing of a patient is written here."""

    PUBLIC = "public", "known to the public"
    STAFF = "staff", "works here, or is family of somebody who does"
    THREATENED = "threatened", "must be protected from somebody"
    CASE = "case", "a complaint or a case at law"
    ASKED = "asked", "the patient asked for it"


class WatchedRecord(models.Model):
    """A patient (a pseudonym) whose record is under special watch: every look at it is shown for a second look."""

    pseudonym = models.CharField(max_length=40, primary_key=True)
    why = models.CharField(max_length=20, choices=WatchReason.choices)
    since = models.DateTimeField()
    by_name = models.CharField(max_length=200)


class SavedSearch(models.Model):
    """A search of the log that one person kept under a name. A patient in it is a pseudonym."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    owner_id = models.CharField(max_length=80)
    name = models.CharField(max_length=80)
    wanted = models.JSONField(default=dict)
    saved_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner_id", "name"], name="one_saved_search_per_name")]
