"""Research projects and the cohorts they define."""

from __future__ import annotations

from django.db import models

from salus_web.accounts.models import Site, User
from salus_web.cohorts.definition import from_json
from salus_web.common.ids import new_id


class Project(models.Model):
    """A research project at some sites, with its members."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=200, unique=True)
    purpose = models.TextField(blank=True)
    sites = models.ManyToManyField(Site)
    members = models.ManyToManyField(User)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)


class ProjectGuest(models.Model):
    """A researcher let into a project on a request, from a start to an end. Counts as a member for that time."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="guests")
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    added_by = models.CharField(max_length=80)

    class Meta:
        indexes = [models.Index(fields=["user", "project"])]


class Cohort(models.Model):
    """A saved cohort definition (JSON form of cohorts.definition)."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    name = models.CharField(max_length=200)
    definition = models.JSONField()
    created_by = models.ForeignKey(User, on_delete=models.PROTECT)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="cohort_name_once")]

    @property
    def sentence(self) -> str:
        """Who is in it, in words."""
        return from_json(self.definition).sentence()
