"""What the load drill asks of the database: people of every role with a password and an authenticator app, a small hospital for
the short form, and how many lines the log holds of whom.

`python -m tests.drills.load_hospital small | people N FILE | mark | count MARK FILE` (prints JSON).
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from base64 import b32encode
from collections import Counter
from pathlib import Path
from typing import Any

import django

django.setup()

from allauth.mfa.totp.internal.auth import TOTP  # noqa: E402 - Django must be up first
from django.db.models import Count, Max  # noqa: E402
from salus_web.accounts.actors import system  # noqa: E402
from salus_web.accounts.models import Site, User  # noqa: E402
from salus_web.accounts.selectors import actor_for_user  # noqa: E402
from salus_web.accounts.services import create_site, create_user, grant_role  # noqa: E402
from salus_web.audit.examination import examine  # noqa: E402
from salus_web.audit.models import Event  # noqa: E402
from salus_web.cohorts.services import create_project  # noqa: E402
from salus_web.common.clock import now  # noqa: E402
from salus_web.records.models import CareRelation, CareTeam, Patient  # noqa: E402
from salus_web.records.services import join_team  # noqa: E402

from tests.factories.hospital import make_bundle, make_person  # noqa: E402

DRILL = system("drill")
SMALL_WARD, SMALL_PATIENTS = "Ward 1", 9
# of ten people seven are clinicians; the first five hold every role, so that also a small load opens every page
ROLES = ("clinician", "auditor", "researcher", "administrator", *["clinician"] * 6)


def small() -> dict[str, int]:
    """One hospital, one ward, patients with a stay, an image and a risk each; another ward's patient whom nobody may see."""
    site, bundle = create_site(code="drill", name="Drill Hospital", by=DRILL), make_bundle()
    team = CareTeam.objects.create(site=site, name=SMALL_WARD)
    for number in range(SMALL_PATIENTS):
        person = make_person(site, f"Drill{number}", bundle, probability=0.1 + 0.05 * number)
        CareRelation.objects.create(patient=person.patient, team=team, starts_at=now(), added_by=DRILL.id)
    make_person(site, "Stranger", bundle)
    return {"patients": SMALL_PATIENTS}


def people(count: str, path: str) -> dict[str, int]:
    """So many people, each with a password and a secret of their own, and one clinician more who will do harm."""
    mark, found = secrets.token_hex(3), []
    sites = list(Site.objects.order_by("code"))
    for number in range(int(count) + 1):
        hostile = number == int(count)
        site, role = sites[number % len(sites)], "clinician" if hostile else ROLES[number % len(ROLES)]
        found.append(_person(f"load-{mark}-{number}", site, role) | {"hostile": hostile})
    found[-1]["strangers"] = _strangers(found[-1]["id"])
    _project([row["id"] for row in found if row["role"] == "researcher"], sites, mark)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as stream:
        json.dump(found, stream)
    return {"people": len(found)}


def _person(username: str, site: Site, role: str) -> dict[str, Any]:
    """One person as an administrator makes them, who then set up an app."""
    password, secret = secrets.token_urlsafe(18), b32encode(secrets.token_bytes(20)).decode()
    user = create_user(username=username, display_name=f"Load {username[5:]}", password=password, by=DRILL)
    grant_role(user=user, site=site, role=role, by=DRILL)
    if role == "clinician":
        for name in CareTeam.objects.filter(site=site).values_list("name", flat=True):
            join_team(site=site, team_name=name, user=user, by=DRILL)
    TOTP.activate(user, secret)
    return {"id": str(user.pk), "username": username, "password": password, "secret": secret, "role": role}


def _strangers(user_id: str) -> list[str]:
    """Patients who are not in this person's care."""
    actor = actor_for_user(User.objects.get(pk=user_id))
    theirs = Patient.objects.for_actor(actor).values_list("pk", flat=True)
    others = Patient.objects.for_actor(DRILL).exclude(pk__in=list(theirs))
    return [str(key) for key in others.values_list("pk", flat=True)[:50]]


def _project(members: list[str], sites: list[Site], mark: str) -> None:
    """A project of those who study."""
    if members:
        create_project(name=f"Load {mark}", purpose="a drill", site_ids=[site.pk for site in sites], member_ids=members, by=DRILL)


def mark() -> dict[str, int]:
    """The newest line."""
    return {"number": Event.objects.aggregate(newest=Max("number"))["newest"] or 0}


def count(after: str, path: str) -> dict[str, Any]:
    """Lines after a mark of each person in the file, by act and outcome; and whether the whole log still holds together."""
    names = {row["id"]: row["username"] for row in json.loads(Path(path).read_text())}
    rows = Event.objects.filter(number__gt=int(after), actor_id__in=list(names)).order_by()
    lines: dict[str, Counter[str]] = {name: Counter() for name in names.values()}
    for actor, action, outcome, total in rows.values_list("actor_id", "action", "outcome").annotate(total=Count("number")):
        lines[names[actor]][f"{action} {outcome}"] += total
    return {"lines": lines, "all": Event.objects.filter(number__gt=int(after)).count(), "code": examine().code}


COMMANDS = {"small": small, "people": people, "mark": mark, "count": count}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])))  # type: ignore[operator]
