"""Reading releases: a project's own, those that wait for a decision, what was prepared for one, and who has agreed to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import Q, QuerySet

from salus_web.accounts.actors import Actor
from salus_web.accounts.models import Role, Site
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.selectors import actor_for_user, sites_as
from salus_web.accounts.standing import may_sign_in
from salus_web.cohorts.definition import from_json
from salus_web.cohorts.models import Project
from salus_web.cohorts.selectors import is_member, project_for, projects_of
from salus_web.common import vault
from salus_web.common.errors import Hidden, IntegrityBroken, Refused
from salus_web.releases.models import Release, ReleaseDecision, ReleaseFile, ReleaseState

WAITING_SHOWN = 100
PEOPLE_NEEDED = 2  # who have to say yes, neither of them the one who asked
HELD_BACK = "people_file"  # key of the report's entry that points at the list of persons; no page shows it


@dataclass(frozen=True, slots=True)
class Agreement:
    """Who has decided on a release, in their order, how many more people it needs, and for which hospitals nobody spoke yet.
    `lapsed` are the decisions that count no longer, as whoever gave them could not give them any more."""

    decisions: list[ReleaseDecision]
    people_lacking: int
    sites_lacking: list[Site]
    lapsed: list[ReleaseDecision]

    @property
    def is_enough(self) -> bool:
        """Nobody more is needed."""
        return self.people_lacking == 0 and not self.sites_lacking


def own_releases(*, viewer: Actor) -> QuerySet[Release]:
    """The releases of the viewer's running projects, newest first, for a list with pages (1 query, and its own)."""
    rows = Release.objects.filter(project__in=projects_of(viewer=viewer)).defer("report", "receipt")
    return rows.select_related("project", "cohort", "requested_by", "job").order_by("-requested_at", "pk")


def release_for(*, viewer: Actor, release_id: Any) -> Release:
    """One release that the viewer's project asked for or that the viewer may decide (1 query)."""
    authorize(viewer, "release.decide", Resource("release"))
    found = _in_scope(viewer).select_related("project", "cohort", "requested_by", "job")
    release = found.filter(pk=release_id).first()
    authorize(viewer, "release.decide", Resource("release", str(release_id), in_scope=release is not None))
    if release is None:  # the machine is refused nothing above
        raise Hidden("There is no such page.")
    return release


def waiting_for(*, viewer: Actor) -> list[Release]:
    """Releases that wait for this viewer's word, oldest first, one more than are shown (1 query). Never their own, nor one they
    decided on."""
    authorize(viewer, "release.decide", Resource("release"))
    rows = _in_scope(viewer).filter(state=ReleaseState.REQUESTED)
    if not viewer.is_system:
        rows = rows.exclude(requested_by_id=viewer.id).exclude(decisions__person_id=viewer.id)
    return list(rows.select_related("project", "cohort", "requested_by").order_by("requested_at", "pk")[: WAITING_SHOWN + 1])


def agreement_of(release: Release) -> Agreement:
    """Who has decided on a release that the caller has found, and what it still needs (2 queries, and 6 for each yes while it
    waits: until the last of them, a yes counts for the hospitals for which its giver could still say it)."""
    decisions = list(release.decisions.select_related("person").order_by("at"))
    yes = [decision for decision in decisions if decision.accepts]
    is_open = release.state == ReleaseState.REQUESTED
    counts_for = {one.pk: _still_for(one, release) if is_open else one.for_sites for one in yes}
    lapsed = [one for one in yes if counts_for[one.pk] is None]
    spoken_for = {key for keys in counts_for.values() for key in keys or ()}
    lacking = [site for site in sites_in(release) if str(site.pk) not in spoken_for]
    return Agreement(decisions, max(PEOPLE_NEEDED - len(yes) + len(lapsed), 0), lacking, lapsed)


def _still_for(decision: ReleaseDecision, release: Release) -> list[str] | None:
    """Of the hospitals a yes was said for, those its giver speaks for today; None where they could not decide any more."""
    giver = actor_for_user(decision.person)
    if not may_sign_in(decision.person) or not may_decide(viewer=giver, release=release):
        return None
    now_for = {str(site.pk) for site in speaks_for(viewer=giver, release=release)}
    return [key for key in decision.for_sites if key in now_for]


def sites_in(release: Release) -> list[Site]:
    """The hospitals whose people the files may hold: those that the cohort chose, else all of the project's (1 query)."""
    sites, chosen = release.project.sites.order_by("name"), from_json(release.cohort.definition).site_ids
    return list(sites.filter(pk__in=chosen) if chosen else sites)


def speaks_for(*, viewer: Actor, release: Release) -> list[Site]:
    """For which of these hospitals a person's yes counts (4 queries): where they are administrator, and, being in the project,
    where they are researcher."""
    held = sites_as(viewer=viewer, roles=[str(Role.ADMINISTRATOR)])
    if Project.objects.filter(is_member(viewer), pk=release.project_id).exists():
        held += sites_as(viewer=viewer, roles=[str(Role.RESEARCHER)])
    return [site for site in sites_in(release) if site in held]


def files_of(*, viewer: Actor, release: Release) -> list[ReleaseFile]:
    """The files of a release, by name, without their bytes (2 queries)."""
    return list(release_for(viewer=viewer, release_id=release.pk).files.order_by("name"))


def report_of(*, viewer: Actor, release: Release) -> dict[str, Any]:
    """What was prepared and what it cost in use, as those who decide read it (1 query)."""
    report = release_for(viewer=viewer, release_id=release.pk).report
    return {key: value for key, value in report.items() if key != HELD_BACK}


def lists_of(release: Release) -> dict[str, list[str]]:
    """Who a prepared release is about, by pseudonym: `cohort` and `in_file`. For code, not for people (no query)."""
    kept = release.report.get(HELD_BACK)
    if kept is None:
        return {"cohort": [], "in_file": []}
    found: dict[str, list[str]] = orjson.loads(vault.get(kept["key"], sha256=kept["sha256"]))
    return found


def releases_holding(*, viewer: Actor, pseudonym: str) -> list[Release]:
    """Releases whose files were made and hold this person, the newest first; reads every list (1 query). For code alone.

    One whose list does not open is among them: that it does not hold the person, nobody can say.
    """
    if not viewer.is_system:
        raise Refused("Who is in a release is not shown.")
    made = Release.objects.filter(state__in=[ReleaseState.REQUESTED, ReleaseState.RELEASED]).select_related("cohort", "project")
    return [row for row in made.order_by("-requested_at") if _may_hold(row, pseudonym)]


def _may_hold(release: Release, pseudonym: str) -> bool:
    try:
        return pseudonym in lists_of(release)["in_file"]
    except IntegrityBroken:
        return True


def may_decide(*, viewer: Actor, release: Release) -> bool:
    """Whether the release is within the viewer's reach for a decision (1 query). Says nothing of who asked."""
    return _in_scope(viewer).filter(pk=release.pk).exists()


def may_fetch(*, viewer: Actor, release: Release) -> bool:
    """Whether `services.file_bytes` would hand its files to the viewer, as far as their project goes (1 query)."""
    try:
        project_for(viewer, release.project_id)
    except Refused:
        return False
    return bool(release.state == ReleaseState.RELEASED)


def _in_scope(viewer: Actor) -> QuerySet[Release]:
    """A researcher: those of their projects. An administrator: those of projects at a hospital where they are administrator
    (1 query more)."""
    if viewer.is_system:
        return Release.objects.all()
    reach = Q(pk__in=[])
    if Role.RESEARCHER in viewer.roles:
        reach |= Q(project__in=Project.objects.filter(is_member(viewer)))
    if Role.ADMINISTRATOR in viewer.roles:
        here = sites_as(viewer=viewer, roles=[str(Role.ADMINISTRATOR)])
        reach |= Q(project__in=Project.objects.filter(sites__in=here))
    return Release.objects.filter(reach)
