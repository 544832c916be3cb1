"""Projects as administrators and auditors read them: who is in them and until when. Nothing of a cohort or a figure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Prefetch, Q, QuerySet

from salus_web.accounts.actors import Actor
from salus_web.accounts.models import Role, RoleGrant, Site, User
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.selectors import person_named, sites_as
from salus_web.cohorts.models import Project, ProjectGuest
from salus_web.common.clock import now
from salus_web.common.errors import Hidden


def projects_here(*, viewer: Actor) -> list[Project]:
    """The projects of which one hospital at least is the viewer's, by name, their guests of now as `live_guests` (5 queries)."""
    return list(_here(viewer).order_by("name"))


def project_here(*, viewer: Actor, project_id: Any) -> Project:
    """One of them; Hidden for any other (5 queries)."""
    found = _here(viewer).filter(pk=project_id).first()
    if found is None:
        raise Hidden("There is no such page.")
    return found


def _here(viewer: Actor) -> QuerySet[Project]:
    authorize(viewer, "access.read", Resource("project"))
    moment = now()
    guests = ProjectGuest.objects.select_related("user").filter(starts_at__lte=moment, ends_at__gt=moment).order_by("user__display_name")
    here = sites_as(viewer=viewer, roles=[str(Role.ADMINISTRATOR), str(Role.AUDITOR)])
    links = Project.sites.through.objects.filter(site__in=here)
    return Project.objects.filter(pk__in=links.values("project_id")).prefetch_related(
        Prefetch("sites", Site.objects.order_by("name")), Prefetch("members", User.objects.order_by("display_name")),
        Prefetch("guests", guests, to_attr="live_guests"),
    )  # fmt: skip


def administered(*, viewer: Actor) -> list[Site]:
    """The hospitals at which the viewer is an administrator (1 query)."""
    return sites_as(viewer=viewer, roles=[str(Role.ADMINISTRATOR)])


RESEARCHERS_SHOWN = 25


def researchers(*, viewer: Actor, sites: list[Site], besides: Collection[Any] = ()) -> list[User]:
    """Who is a researcher now at one of these hospitals, by name, one more than are offered (1 query). The others are named
    by their sign-in name."""
    rows = _researchers(viewer, sites).exclude(pk__in=list(besides)).order_by("display_name", "pk")
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
