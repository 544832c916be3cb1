"""Which hospital a command on the server means."""

from __future__ import annotations

from typing import Any

from salus_web.accounts.models import Site
from salus_web.accounts.services import create_site
from salus_web.common.errors import BadInput


def site_called(code: str, *, by: Any) -> Site:
    """The hospital of this code. Without a code the first one, made when there is none yet. Raises BadInput for a code
    that no hospital has, naming those there are."""
    if not code:
        return Site.objects.order_by("pk").first() or create_site(code="main", name="Main hospital", by=by)
    found = Site.objects.filter(code=code).first()
    if found is None:
        known = ", ".join(Site.objects.order_by("pk").values_list("code", flat=True)) or "none yet"
        raise BadInput(f"There is no hospital with the code “{code}”. Known: {known}.")
    return found
