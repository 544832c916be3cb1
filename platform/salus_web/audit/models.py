"""The log's rows: events in a hash chain, and the one head that orders them. No foreign keys, no patient values."""

from __future__ import annotations

from django.db import models


class Event(models.Model):
    """One look or change. `number` counts from 1 without gaps; `digest` chains to the event before."""

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

    class Meta:
        indexes = [
            models.Index(fields=["patient", "-number"]),
            models.Index(fields=["actor_id", "-number"]),
            models.Index(fields=["action", "-number"]),
            models.Index(fields=["at"]),
        ]


class Head(models.Model):
    """The end of the chain: the row that writers lock."""

    id = models.SmallIntegerField(primary_key=True)
    number = models.BigIntegerField()
    digest = models.CharField(max_length=64)
