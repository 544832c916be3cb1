"""Setting up research projects, who is in them, and saving their cohorts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from salus_web.accounts.models import Role, RoleGrant, User
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.selectors import sites_as
from salus_web.audit.services import Act, record
from salus_web.cohorts.choices import with_units
from salus_web.cohorts.definition import CohortDefinition, to_json
from salus_web.cohorts.models import Cohort, Project, ProjectGuest
from salus_web.cohorts.selectors import project_for
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden, Refused, StateConflict

NAME_LENGTH = 200
PURPOSE_LENGTH = 1000


@transaction.atomic
def create_project(
    *, name: str, purpose: str, site_ids: Sequence[Any], member_ids: Sequence[Any], by: Any, ends_at: datetime | None = None
) -> Project:
    """Set up a project that runs from now on. A project opens safe figures of all its hospitals to all its members, also of
    those at which a member is no researcher: so its maker is an administrator at every one of them. Each member is a
    researcher at one of them at least."""
    authorize(by, "access.manage", Resource("project"))
    name, purpose = _name(name, "project"), " ".join(purpose.split())
    sites, people = {str(key) for key in site_ids}, {str(key) for key in member_ids}
    if not sites:
        raise BadInput("sites: a project needs at least one site.")
    if not people:
        raise BadInput("members: a project needs at least one member.")
    if len(purpose) > PURPOSE_LENGTH:
        raise BadInput(f"purpose: say in at most {PURPOSE_LENGTH} letters what the project is for.")
    _check_rules_all(sites, by)
    _check_researchers(people, sites)
    moment = now()
    if ends_at is not None and ends_at <= moment:
        raise BadInput("ends_at: a project cannot end before it begins.")
    project, made = Project.objects.get_or_create(
        name=name, defaults={"purpose": purpose, "starts_at": moment, "ends_at": ends_at}
    )
    if not made:
        raise BadInput(f"name: there is already a project named {name}.")
    project.sites.set(sites)
    project.members.set(people)
    detail = {"sites": sorted(sites), "members": sorted(people), "until": ends_at.isoformat() if ends_at else "open"}
    record(Act("project.create", "project", str(project.pk), detail=detail), by=by)
    return project


@transaction.atomic
def add_member(*, project: Project, user: User, by: Any) -> None:
    """Put a researcher of one of its hospitals into a running project, by an administrator at every one of them."""
    authorize(by, "access.manage", Resource("project", str(project.pk)))
    _check_running(project)
    sites = _site_ids(project)
    _check_rules_all(sites, by)
    _check_researchers({str(user.pk)}, sites)
    if project.members.filter(pk=user.pk).exists():
        raise StateConflict(f"{user.display_name} is in this project already.")
    project.members.add(user)
    record(Act("project.member.add", "user", str(user.pk), detail={"project": str(project.pk)}), by=by)


@transaction.atomic
def remove_member(*, project: Project, user: User, by: Any) -> None:
    """Take a person out of a project now, as a member and as a guest; by an administrator at one of its hospitals."""
    authorize(by, "access.manage", Resource("project", str(project.pk)))
    _check_rules_some(_site_ids(project), by)
    moment = now()
    was_member = project.members.filter(pk=user.pk).exists()
    project.members.remove(user)
    visits = ProjectGuest.objects.filter(project=project, user=user, starts_at__lte=moment, ends_at__gt=moment).update(ends_at=moment)
    if not was_member and not visits:
        raise StateConflict(f"{user.display_name} is not in this project any more.")
    detail = {"project": str(project.pk), "member": was_member, "guest": bool(visits)}
    record(Act("project.member.remove", "user", str(user.pk), detail=detail), by=by)


@transaction.atomic
def end_project(*, project: Project, by: Any) -> None:
    """End a project now, by an administrator at one of its hospitals. What was kept in it stays, and opens to nobody."""
    authorize(by, "access.manage", Resource("project", str(project.pk)))
    _check_rules_some(_site_ids(project), by)
    _check_running(project)
    Project.objects.filter(pk=project.pk).update(ends_at=now())
    record(Act("project.end", "project", str(project.pk)), by=by)


@transaction.atomic
def join_project(*, project: Project, user: User, ends_at: datetime, by: Any) -> ProjectGuest:
    """Let a researcher of one of its sites into a project until an end."""
    authorize(by, "access.manage", Resource("project", str(project.pk)))
    moment = now()
    if ends_at <= moment:
        raise BadInput("ends_at: the end must lie ahead.")
    if _not_researchers({str(user.pk)}, _site_ids(project)):
        raise BadInput("A guest must be a researcher at one of the project's sites.")
    guest = ProjectGuest.objects.create(project=project, user=user, starts_at=moment, ends_at=ends_at, added_by=by.id)
    record(Act("project.join", "user", str(user.pk), detail={"project": str(project.pk), "until": ends_at.isoformat()}), by=by)
    return guest


def _site_ids(project: Project) -> set[str]:
    return {str(key) for key in project.sites.values_list("pk", flat=True)}


def _check_running(project: Project) -> None:
    if project.ends_at is not None and project.ends_at <= now():
        raise StateConflict("This project has ended.")


def _check_rules_all(sites: set[str], by: Any) -> None:
    """Nobody opens another hospital's figures (1 query)."""
    if not by.is_system and sites - _sites_of(by):
        raise Refused("You can only do this at hospitals where you are an administrator, and this project has another one.")


def _check_rules_some(sites: set[str], by: Any) -> None:
    """Each hospital may close what its figures are open to (1 query)."""
    if not by.is_system and not sites & _sites_of(by):
        raise Hidden("There is no such page.")


def _sites_of(by: Any) -> set[str]:
    return {str(site.pk) for site in sites_as(viewer=by, roles=[str(Role.ADMINISTRATOR)])}


def _check_researchers(people: set[str], sites: set[str]) -> None:
    if _not_researchers(people, sites):
        raise BadInput("members: every member must be a researcher at one of the project's sites.")


def _not_researchers(people: set[str], sites: set[str]) -> set[str]:
    """Those of these people who are no researcher at any of these sites at this moment (1 query)."""
    moment = now()
    still = Q(ends_at__isnull=True) | Q(ends_at__gt=moment)
    held = RoleGrant.objects.filter(still, role=Role.RESEARCHER, starts_at__lte=moment, user_id__in=people, site_id__in=sites)
    return people - {str(user) for user in held.values_list("user_id", flat=True)}


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
