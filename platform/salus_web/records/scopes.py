"""Who may know of which patient's rows, and for what: the two rules, as querysets. A live care relation to a patient of a
hospital where one is clinician; and what the patient said of the purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet, Value

from salus_web.accounts.places import site_ids_for, where_allowed
from salus_web.common.clock import now
from salus_web.common.scoping import ScopedManager, ScopedQuerySet
from salus_web.records.probes import NEVER, NOBODY, Probe

FEW = 500
CARE, RESEARCH, TRAINING = PURPOSES = ("care", "research", "training")
EMERGENCY = "emergency access"  # the kind of a relation that a clinician opened by breaking the glass


def live_relations(actor: Any, moment: datetime | None = None) -> Any:
    """Care relations that hold at this moment (or another) for this person, directly or through a care team, to patients of
    the hospitals at which they are clinician: a role that has ended closes what stands behind it."""
    moment = moment or now()
    still = Q(ends_at__isnull=True) | Q(ends_at__gt=moment)
    # ids of teams instead of a join, so that either side of the "or" is answered by its own index
    memberships = apps.get_model("records", "CareTeamMembership").objects
    teams = memberships.filter(still, user_id=actor.id, starts_at__lte=moment).values("team_id")
    relations = apps.get_model("records", "CareRelation").objects
    theirs = Q(where_allowed(actor, "patient.read"), Q(user_id=actor.id) | Q(team_id__in=teams))
    live = relations.filter(still, theirs, starts_at__lte=moment)
    # the glass is broken by a person, for that person: a board that shows their list with a token gets none of it
    return live.exclude(kind=EMERGENCY) if actor.token_purpose else live


def cared_for(actor: Any, path: str = "pk") -> Any:
    """Whether a person cares for the patient of a row (`path`) other than by having broken the glass; for annotations."""
    if actor.is_system:
        return Value(True)
    if not site_ids_for(actor, "patient.read"):
        return Value(False)
    return _probe(actor, path, "cared for", lambda relations: relations.exclude(kind=EMERGENCY))


def seen_for(patient: Any) -> str:
    """What the log says a patient was read for, who was read with `in_care`, the annotation `cared_for`: their care, or the
    emergency for which alone the record is open."""
    return "care" if patient.in_care else "emergency"


def few_in_care(actor: Any) -> list[Any] | None:
    """The ids of a person's patients where they are few (the usual case), else None (1 query).

    Lists narrowed by them are found through the patient's index; longer ones are walked in the order asked for.
    """
    if actor.is_system:
        return None
    ids = list(live_relations(actor).values_list("patient_id", flat=True).distinct()[: FEW + 1])
    return ids if len(ids) <= FEW else None


def in_care(actor: Any, patient_path: str) -> Probe:
    """The condition that the patient of a row has a live relation to this person."""
    return _probe(actor, patient_path, "in care", lambda relations: relations)


def _probe(actor: Any, path: str, name: str, narrowed: Callable[[Any], Any]) -> Probe:
    """Whether some of a person's live relations, narrowed, is to the patient of a row."""

    def related(person: Any, moment: datetime) -> Any:
        return Exists(narrowed(live_relations(replace(actor, id=person), moment)).filter(patient_id=OuterRef("pk")))

    patients = apps.get_model("records", "Patient")
    # roles, sites and purpose stay in the key, should the rule ask for them
    key = (name, replace(actor, id="", name="", session="", request="", address=""))
    return Probe(path, person=actor.id, moment=now(), model=patients, key=key, build=related)


def silence_allows(purpose: str) -> bool:
    """Whether a patient who said nothing of a purpose is taken to allow it, as the hospital decided in its settings."""
    return purpose in settings.SALUS_CONSENT_WHEN_SILENT


def purpose_key(purpose: str) -> str:
    """A purpose as the database's wall is told it. Raises ValueError for one that nobody can be asked about."""
    if purpose not in PURPOSES:
        raise ValueError(f"Nobody is asked whether their data may be used for “{purpose}”.")
    return purpose + ("+" if silence_allows(purpose) else "-")


def allowing(purpose: str, patient_path: str) -> Q:
    """The condition that the patient of a row allows a purpose: their standing word, or else the hospital's default."""
    silent = silence_allows(purpose)

    def said(person: Any, moment: datetime) -> Any:
        words = QuerySet(apps.get_model("records", "Consent"))
        stands = words.filter(patient_id=OuterRef("pk"), purpose=purpose, superseded_at__isnull=True)
        return ~Exists(stands.filter(granted=False)) if silent else Exists(stands.filter(granted=True))

    patients = apps.get_model("records", "Patient")
    return Q(Probe(patient_path, person=NOBODY, moment=NEVER, model=patients, key=(purpose, silent), build=said))


class PatientScopedQuerySet(ScopedQuerySet):
    """Rows that belong to a patient through `patient_path`."""

    patient_path = "patient_id"

    def scope(self, actor: Any) -> ScopedQuerySet:
        """Only rows of patients this clinician is related to now, who allow that their data is used for their care."""
        return self.related_to(actor).filter(allowing(CARE, self.patient_path))

    def related_to(self, actor: Any) -> Any:
        """Only rows of patients this clinician is related to now, at a hospital where they are one, whatever they allow."""
        if not site_ids_for(actor, "patient.read"):
            return self.none()
        # a probe per row, so that a page of 25 costs 25 probes, whoever cares for however many
        return self.filter(in_care(actor, self.patient_path))

    def for_purpose(self, purpose: str) -> Any:
        """Only rows of people who allow a purpose; on PostgreSQL the database holds to it as well while they are read."""
        key = purpose_key(purpose)
        found = self.filter(allowing(purpose, self.patient_path))
        found.purpose = key
        return found


class PatientQuerySet(PatientScopedQuerySet):
    """The patients themselves. Whoever was erased is in no list."""

    patient_path = "id"

    def scope(self, actor: Any) -> ScopedQuerySet:
        """As for rows, without those who were erased."""
        return super().scope(actor).filter(erased_at__isnull=True)

    def for_purpose(self, purpose: str) -> Any:
        """As for rows, without those who were erased."""
        return super().for_purpose(purpose).filter(erased_at__isnull=True)


class PatientScopedManager(ScopedManager):
    """Default manager of tables with a patient column."""

    queryset_class = PatientScopedQuerySet


class PatientManager(ScopedManager):
    """Default manager of the patient table."""

    queryset_class = PatientQuerySet

    def related_to(self, actor: Any) -> Any:
        """The patients this clinician is related to now, with those who were erased or do not allow it. For pages that
        say so."""
        return PatientQuerySet(self.model, using=self._db).related_to(actor)
