"""What the frame of every page shows: the bar's items this role may use, the person, the simulated note."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from salus_web.accounts.actors import ANONYMOUS
from salus_web.accounts.models import Role
from salus_web.accounts.permissions import can

# label, address, the action it needs, its key after g
ITEMS = (
    ("Worklist", "/worklist/", "patient.read", "w"),
    ("Patients", "/patients/", "patient.search", "p"),
    ("Emergency", "/emergency/", "emergency.break", "b"),
    ("Cohorts", "/cohorts/", "cohort.use", "c"),
    ("Access", "/access/", "access.read", "a"),
    ("Keeping", "/keeping/", "keeping.read", "e"),
    ("Emergencies", "/emergencies/", "emergency.read", "b"),
    ("Audit", "/audit/", "audit.read", "l"),
    ("Releases", "/releases/", "release.decide", "r"),
    ("Uploads", "/uploads/", "upload.read", "u"),
    ("Models", "/models/", "models.read", "m"),
    ("Jobs", "/jobs/", "jobs.read", "j"),
    ("Operations", "/operations/", "operations.read", "o"),
)


def frame(request: HttpRequest) -> dict[str, Any]:
    """The `frame` of base.html. Asks the database nothing."""
    actor = getattr(request, "actor", ANONYMOUS)
    items = [
        {"label": label, "url": url, "key": key, "current": request.path.startswith(url)}
        for label, url, action, key in ITEMS
        if can(actor, action)
    ]
    roles = ", ".join(Role(role).label for role in sorted(actor.roles))
    return {
        "frame": {
            "items": items, "person": "" if actor.is_anonymous else actor.name, "roles": roles,
            "may_search": can(actor, "patient.search"), "simulated": settings.SALUS_SIMULATED,
            "version": settings.SALUS_CODE_VERSION,
        }
    }  # fmt: skip


def first_page(actor: Any) -> str:
    """Where this person starts: the first item they may use."""
    return next((url for _, url, action, _ in ITEMS if can(actor, action)), "/login/")
