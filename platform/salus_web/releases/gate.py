"""The gate: whether people may go out after those who already did. Reads and refuses; keeps nothing."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from salus_web.accounts.actors import system
from salus_web.cohorts.disclosure import SMALLEST, differs_too_little
from salus_web.cohorts.models import Project
from salus_web.cohorts.selectors import not_allowing
from salus_web.common import vault
from salus_web.common.errors import Refused, StateConflict
from salus_web.releases.models import Release, ReleasedCount
from salus_web.releases.selectors import lists_of

# The gate reads who is in a cohort for itself: an administrator who decides may not.
ACTOR = system("releases")
TOO_SMALL = f"Fewer than {SMALLEST} people are in this cohort, so nothing of it leaves."
TOO_CLOSE = (
    f"Something was already released to this project of nearly the same people: 1 to {SMALLEST - 1} of them joined or "
    "left since. The two files together would tell of those few, so this one does not leave. Change the definition "
    "or wait until more people have joined or left."
)  # fmt: skip
CHANGED = "Consents have changed since these files were made. Please refuse them and have them made anew."


@dataclass(frozen=True, slots=True)
class People:
    """Who a release is about, by pseudonym: the cohort's members, and those of them who stayed in the file."""

    cohort: frozenset[str]
    in_file: frozenset[str]


def check_gate(*, project: Project, people: People) -> None:
    """Refuse what differs by 1 to 10 people from anything that went out to this project.

    Cohorts are held against cohorts and files against files: a file lacks those whom k-anonymity left out,
    so the two kinds always differ by a few.
    """
    for row in ReleasedCount.objects.filter(project=project):
        gone = orjson.loads(vault.get(row.members_key, sha256=row.members_sha256))
        before = People(frozenset(gone["cohort"]), frozenset(gone["in_file"]))
        if differs_too_little(before.cohort, people.cohort):
            raise Refused(TOO_CLOSE)
        if people.in_file and differs_too_little(before.in_file, people.in_file):
            raise Refused(TOO_CLOSE)


def check_consents(*, release: Release) -> None:
    """Refuse while anybody in the files does not allow research, or was erased. Never says how many or who."""
    people = frozenset(lists_of(release)["in_file"])
    if not_allowing(viewer=ACTOR, project=release.project, pseudonyms=people):
        raise StateConflict(CHANGED)


def check_prepared(*, release: Release) -> None:
    """The gate once more for what was prepared, as things stand now: consents, and who went out since."""
    lists = lists_of(release)
    check_consents(release=release)
    check_gate(project=release.project, people=People(frozenset(lists["cohort"]), frozenset(lists["in_file"])))
