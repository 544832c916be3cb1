"""Who may know of which patient's rows: the one rule, as querysets. A live care relation, nothing else."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db.models import Q

from salus_web.common.clock import now
from salus_web.common.scoping import ScopedManager, ScopedQuerySet


def live_relations(actor: Any) -> Any:
    """Care relations that hold at this moment for this person, directly or through a care team."""
    moment = now()
    still = Q(ends_at__isnull=True) | Q(ends_at__gt=moment)
    member = Q(team__memberships__user_id=actor.id, team__memberships__starts_at__lte=moment) & (
        Q(team__memberships__ends_at__isnull=True) | Q(team__memberships__ends_at__gt=moment)
    )
    return apps.get_model("records", "CareRelation").objects.filter(still, Q(user_id=actor.id) | member, starts_at__lte=moment)


class PatientScopedQuerySet(ScopedQuerySet):
    """Rows that belong to a patient through `patient_path`."""

    patient_path = "patient_id"

    def scope(self, actor: Any) -> ScopedQuerySet:
        """Only rows of patients this clinician is related to now."""
        if "clinician" not in actor.roles:
            return self.none()
        return self.filter(**{f"{self.patient_path}__in": live_relations(actor).values("patient_id")})


class PatientQuerySet(PatientScopedQuerySet):
    """The patients themselves."""

    patient_path = "id"


class PatientScopedManager(ScopedManager):
    """Default manager of tables with a patient column."""

    queryset_class = PatientScopedQuerySet


class PatientManager(ScopedManager):
    """Default manager of the patient table."""

    queryset_class = PatientQuerySet
