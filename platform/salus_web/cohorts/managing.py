"""Projects as administrators and auditors read them: who is in them and until when. Nothing of a cohort or a figure."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, F, IntegerField, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Greatest

from salus_web.accounts.actors import Actor
from salus_web.accounts.models import Role, RoleGrant, Site, User
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.selectors import person_named, sites_as
from salus_web.cohorts.models import Project, ProjectGuest
from salus_web.common.clock import now
from salus_web.common.errors import Hidden

PROJECTS_PAGE = 25
NAMES_SHOWN = 5
MEMBERS_PAGE = 50


def projects_here(*, viewer: Actor) -> QuerySet[Project]:
    """The projects of which one hospital at least is the viewer's, by name; each with how many `members_now` and `guests_now` it
    has, the first names of both as `first_members` and `first_guests`, and how many are `not_named` (4 queries for a page)."""
    counted = _here(viewer).annotate(
        members_now=_number(Project.members.through.objects.all()), guests_now=_number(_live_guests()),
        not_named=Greatest(F("members_now") - NAMES_SHOWN, 0) + Greatest(F("guests_now") - NAMES_SHOWN, 0),
    )  # fmt: skip
    return counted.order_by("name").prefetch_related(
        Prefetch("members", User.objects.order_by("display_name", "pk")[:NAMES_SHOWN], to_attr="first_members"),
        Prefetch("guests", _live_guests()[:NAMES_SHOWN], to_attr="first_guests"),
    )


def _number(rows: QuerySet[Any]) -> Coalesce:
    """How many of these rows a project has."""
    theirs = rows.order_by().filter(project=OuterRef("pk")).values("project").annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(theirs, output_field=IntegerField()), 0)


def project_here(*, viewer: Actor, project_id: Any) -> Project:
    """One of them with its hospitals; Hidden for any other (3 queries)."""
    found = _here(viewer).filter(pk=project_id).first()
    if found is None:
        raise Hidden("There is no such page.")
    return found


def _here(viewer: Actor) -> QuerySet[Project]:
    authorize(viewer, "access.read", Resource("project"))
    here = sites_as(viewer=viewer, roles=[str(Role.ADMINISTRATOR), str(Role.AUDITOR)])
    links = Project.sites.through.objects.filter(site__in=here)
    return Project.objects.filter(pk__in=links.values("project_id")).prefetch_related(Prefetch("sites", Site.objects.order_by("name")))


def _live_guests() -> QuerySet[ProjectGuest]:
    moment = now()
    live = ProjectGuest.objects.select_related("user").filter(starts_at__lte=moment, ends_at__gt=moment)
    return live.order_by("user__display_name", "pk")


def members_of(*, viewer: Actor, project: Project) -> QuerySet[User]:
    """The members of a project that the caller has found, by name."""
    authorize(viewer, "access.read", Resource("project", str(project.pk)))
    return project.members.order_by("display_name", "pk")


def guests_of(*, viewer: Actor, project: Project) -> QuerySet[ProjectGuest]:
    """Its guests of now, by name."""
    authorize(viewer, "access.read", Resource("project", str(project.pk)))
    return _live_guests().filter(project=project)


def administered(*, viewer: Actor) -> list[Site]:
    """The hospitals at which the viewer is an administrator (1 query)."""
    return sites_as(viewer=viewer, roles=[str(Role.ADMINISTRATOR)])


RESEARCHERS_SHOWN = 25


def researchers(*, viewer: Actor, sites: list[Site], besides: Project | None = None) -> list[User]:
    """Who is a researcher now at one of these hospitals and no member of that project, by name, one more than are offered
    (1 query). The others are named by their sign-in name."""
    inside = Project.members.through.objects.filter(project=besides)
    rows = _researchers(viewer, sites).exclude(pk__in=inside.values("user_id")).order_by("display_name", "pk")
    return list(rows[: RESEARCHERS_SHOWN + 1])


def researcher_named(*, viewer: Actor, sites: list[Site], text: str) -> User | None:
    """Whoever has this id or this whole sign-in name and is a researcher now at one of these hospitals (2 queries)."""
    found = person_named(text=text)
    return _researchers(viewer, sites).filter(pk=found.pk).first() if found else None


def _researchers(viewer: Actor, sites: list[Site]) -> QuerySet[User]:
    authorize(viewer, "access.read", Resource("project"))
    moment = now()
    still = Q(ends_at__isnull=True) | Q(ends_at__gt=moment)
    held = RoleGrant.objects.filter(still, role=Role.RESEARCHER, starts_at__lte=moment, site__in=sites)
    return User.objects.filter(pk__in=held.values("user_id"))
