"""Setting up research projects and saving their cohorts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from salus_web.accounts.models import Role, RoleGrant, User
from salus_web.accounts.permissions import Resource, authorize
from salus_web.audit.services import Act, record
from salus_web.cohorts.choices import with_units
from salus_web.cohorts.definition import CohortDefinition, to_json
from salus_web.cohorts.models import Cohort, Project, ProjectGuest
from salus_web.cohorts.selectors import project_for
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Refused

NAME_LENGTH = 200


@transaction.atomic
def create_project(
    *, name: str, purpose: str, site_ids: Sequence[Any], member_ids: Sequence[Any], by: Any, ends_at: datetime | None = None
) -> Project:
    """Set up a project. Its maker is a researcher at every one of its sites and becomes a member; every other
    member is a researcher at one of them, so that a project never widens what a person may look into."""
    authorize(by, "cohort.use", Resource("project"))
    name = _name(name, "project")
    sites, people = {str(key) for key in site_ids}, {str(key) for key in member_ids}
    if not sites:
        raise BadInput("sites: a project needs at least one site.")
    if not by.is_system:
        people.add(by.id)
    if not people:
        raise BadInput("members: a project needs at least one member.")
    _check_grants(sites, people, by)
    moment = now()
    if ends_at is not None and ends_at <= moment:
        raise BadInput("ends_at: a project cannot end before it begins.")
    project, made = Project.objects.get_or_create(
        name=name, defaults={"purpose": purpose.strip(), "starts_at": moment, "ends_at": ends_at}
    )
    if not made:
        raise BadInput(f"name: there is already a project named {name}.")
    project.sites.set(sites)
    project.members.set(people)
    detail = {"sites": sorted(sites), "members": sorted(people)}
    record(Act("project.create", "project", str(project.pk), detail=detail), by=by)
    return project


@transaction.atomic
def join_project(*, project: Project, user: User, ends_at: datetime, by: Any) -> ProjectGuest:
    """Let a researcher of one of its sites into a project until an end."""
    authorize(by, "access.manage", Resource("project", str(project.pk)))
    moment = now()
    if ends_at <= moment:
        raise BadInput("ends_at: the end must lie ahead.")
    sites = {str(key) for key in project.sites.values_list("pk", flat=True)}
    held = RoleGrant.objects.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=moment), user=user, role=Role.RESEARCHER, starts_at__lte=moment)
    if not held.filter(site_id__in=sites).exists():
        raise BadInput("A guest must be a researcher at one of the project's sites.")
    guest = ProjectGuest.objects.create(project=project, user=user, starts_at=moment, ends_at=ends_at, added_by=by.id)
    record(Act("project.join", "user", str(user.pk), detail={"project": str(project.pk), "until": ends_at.isoformat()}), by=by)
    return guest


def _check_grants(sites: set[str], people: set[str], by: Any) -> None:
    """Who is a researcher where, at this moment (1 query)."""
    moment = now()
    still = Q(ends_at__isnull=True) | Q(ends_at__gt=moment)
    grants = RoleGrant.objects.filter(
        still, role=Role.RESEARCHER, starts_at__lte=moment, user_id__in=people, site_id__in=sites
    )
    held = {(str(user), str(site)) for user, site in grants.values_list("user_id", "site_id")}
    if not by.is_system and any((by.id, site) not in held for site in sites):
        raise Refused("You can only set up a project at sites where you are a researcher.")
    if people - {user for user, _ in held}:
        raise BadInput("members: every member must be a researcher at one of the project's sites.")


@transaction.atomic
def save_cohort(*, project: Project, name: str, definition: CohortDefinition, by: Any) -> Cohort:
    """Keep a definition under a name. A saved cohort is never changed: what was released must stay readable."""
    project = project_for(by, project.pk)
    authorize(by, "cohort.use", Resource("project", str(project.pk), in_scope=True))
    if by.is_system:
        raise Refused("A person has to save a cohort.")
    name = _name(name, "cohort")
    here = {str(key) for key in project.sites.values_list("pk", flat=True)}
    if not set(definition.site_ids) <= here:
        raise BadInput("site_ids: a cohort can only name sites of its project.")
    definition = with_units(viewer=by, project=project, definition=definition)
    cohort, made = Cohort.objects.get_or_create(
        project=project, name=name,
        defaults={"definition": to_json(definition), "created_by_id": by.id, "created_at": now()},
    )  # fmt: skip
    if not made:
        raise BadInput(f"name: this project already has a cohort named {name}.")
    record(Act("cohort.save", "cohort", str(cohort.pk), detail={"project": str(project.pk)}), by=by)
    return cohort


def _name(text: str, what: str) -> str:
    name = " ".join(text.split())
    if not 0 < len(name) <= NAME_LENGTH:
        raise BadInput(f"name: give the {what} a name of at most {NAME_LENGTH} letters.")
    return name
