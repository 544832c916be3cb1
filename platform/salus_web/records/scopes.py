"""Who may know of which patient's rows: the one rule, as querysets. A live care relation, nothing else."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db.models import Exists, OuterRef, Q

from salus_web.common.clock import now
from salus_web.common.scoping import ScopedManager, ScopedQuerySet

FEW = 500


def live_relations(actor: Any) -> Any:
    """Care relations that hold at this moment for this person, directly or through a care team."""
    moment = now()
    still = Q(ends_at__isnull=True) | Q(ends_at__gt=moment)
    # ids of teams instead of a join, so that either side of the "or" is answered by its own index
    memberships = apps.get_model("records", "CareTeamMembership").objects
    teams = memberships.filter(still, user_id=actor.id, starts_at__lte=moment).values("team_id")
    relations = apps.get_model("records", "CareRelation").objects
    return relations.filter(still, Q(user_id=actor.id) | Q(team_id__in=teams), starts_at__lte=moment)


def few_in_care(actor: Any) -> list[Any] | None:
    """The ids of a person's patients where they are few (the usual case), else None (1 query).

    Lists narrowed by them are found through the patient's index; longer ones are walked in the order asked for.
    """
    if actor.is_system:
        return None
    ids = list(live_relations(actor).values_list("patient_id", flat=True).distinct()[: FEW + 1])
    return ids if len(ids) <= FEW else None


class PatientScopedQuerySet(ScopedQuerySet):
    """Rows that belong to a patient through `patient_path`."""

    patient_path = "patient_id"

    def scope(self, actor: Any) -> ScopedQuerySet:
        """Only rows of patients this clinician is related to now."""
        if "clinician" not in actor.roles:
            return self.none()
        # a probe per row, so that a page of 25 costs 25 probes, whoever cares for however many
        return self.filter(Exists(live_relations(actor).filter(patient_id=OuterRef(self.patient_path))))


class PatientQuerySet(PatientScopedQuerySet):
    """The patients themselves."""

    patient_path = "id"


class PatientScopedManager(ScopedManager):
    """Default manager of tables with a patient column."""

    queryset_class = PatientScopedQuerySet


class PatientManager(ScopedManager):
    """Default manager of the patient table."""

    queryset_class = PatientQuerySet
