"""What the one behind an actor's id is called. No decisions here."""

from __future__ import annotations

from uuid import UUID

from salus_web.accounts.models import User


def name_of(*, actor_id: str) -> str:
    """What the one behind an actor's id is called; a part of the machine by its own name (1 query for a person)."""
    if actor_id.startswith("system:"):
        return f"Salus itself ({actor_id.removeprefix('system:').replace('_', ' ')})"
    try:
        return User.objects.values_list("display_name", flat=True).filter(pk=UUID(actor_id)).first() or "somebody not known here"
    except ValueError:
        return "somebody not known here"
