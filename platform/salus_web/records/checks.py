"""What Django checks before it migrates: whether the database would hold the second wall up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections


@register(Tags.database)
def role_is_held_by_policies(app_configs: Any, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """PostgreSQL's row-level security passes superusers and roles with BYPASSRLS, so the platform must be neither."""
    found: list[CheckMessage] = []
    for alias in databases or []:
        connection = connections[alias]
        if connection.vendor != "postgresql":
            continue
        with connection.cursor() as cursor:
            cursor.execute("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
            if cursor.fetchone()[0]:
                found.append(
                    Error(
                        f"The database role “{connection.settings_dict['USER']}” passes row-level security.",
                        hint="Give Salus a role of its own with NOSUPERUSER NOBYPASSRLS; see deploy/database/10-role.sh.",
                        id="salus.E001",
                    )
                )
    return found
