"""The gate: whether people may go out after those who already did. Reads and refuses; keeps nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import Q

from salus_web.accounts.actors import system
from salus_web.cohorts.models import Project
from salus_web.cohorts.selectors import not_allowing
from salus_web.common import vault
from salus_web.common.errors import Refused, StateConflict
from salus_web.releases.differencing import Gap, gap_between
from salus_web.releases.models import Release, ReleasedCount, ReleaseState
from salus_web.releases.selectors import lists_of
from salus_web.releases.words import CHANGED, CHANGED_SINCE_OUT, TOO_CLOSE, TOO_CLOSE_TOGETHER, TOO_MANY

# The gate reads who is in a cohort for itself: an administrator who decides may not.
ACTOR = system("releases")


@dataclass(frozen=True, slots=True)
class People:
    """Who a release is about, by pseudonym: the cohort's members, and those of them who stayed in the file."""

    cohort: frozenset[str]
    in_file: frozenset[str]


def check_gate(*, project: Project, people: People) -> None:
    """Refuse what, with what went out to this project and to those that share a member with it, would tell of 1 to 10 people.

    Cohorts are held against cohorts and files against files: a file lacks those whom k-anonymity left out,
    so the two kinds always differ by a few.
    """
    went_out = [_people_of(row) for row in ReleasedCount.objects.filter(project__in=near(project))]
    _refuse(gap_between(people.cohort, [before.cohort for before in went_out]))
    if people.in_file:
        _refuse(gap_between(people.in_file, [before.in_file for before in went_out]))


def near(project: Project) -> list[Any]:
    """The ids of this project and of all that share a member or a guest with it, now or earlier, in one order (3 queries):
    who is in two projects can put the files of both side by side."""
    people = set(project.members.values_list("pk", flat=True)) | set(project.guests.values_list("user_id", flat=True))
    shared = Project.objects.filter(Q(members__in=people) | Q(guests__user__in=people))
    return sorted({project.pk, *shared.values_list("pk", flat=True)})


def _people_of(row: ReleasedCount) -> People:
    gone = orjson.loads(vault.get(row.members_key, sha256=row.members_sha256))
    return People(frozenset(gone["cohort"]), frozenset(gone["in_file"]))


def _refuse(gap: Gap) -> None:
    if gap != Gap.NONE:
        raise Refused({Gap.PAIR: TOO_CLOSE, Gap.TOGETHER: TOO_CLOSE_TOGETHER, Gap.UNKNOWN: TOO_MANY}[gap])


def check_consents(*, release: Release) -> None:
    """Refuse while anybody in the files does not allow research, or was erased. Never says how many or who."""
    people = frozenset(lists_of(release)["in_file"])
    if not_allowing(viewer=ACTOR, project=release.project, pseudonyms=people):
        # what is out cannot be refused any more
        raise StateConflict(CHANGED_SINCE_OUT if release.state == ReleaseState.RELEASED else CHANGED)


def check_prepared(*, release: Release) -> None:
    """The gate once more for what was prepared, as things stand now: consents, and who went out since."""
    lists = lists_of(release)
    check_consents(release=release)
    check_gate(project=release.project, people=People(frozenset(lists["cohort"]), frozenset(lists["in_file"])))
