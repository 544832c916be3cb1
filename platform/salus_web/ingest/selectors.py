"""Reading uploads: what came in at the viewer's hospitals and what became of it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.places import where_allowed
from salus_web.ingest.models import Upload


def uploads(*, viewer: Any) -> QuerySet[Upload]:
    """Uploads at the viewer's hospitals, newest first."""
    authorize(viewer, "upload.read", Resource("upload"))
    return Upload.objects.select_related("site", "job").filter(where_allowed(viewer, "upload.read")).order_by("-received_at")


def open_uploads(*, viewer: Any) -> bool:
    """Whether some are still to be read (1 query)."""
    return uploads(viewer=viewer).filter(state__in=["received", "parsing"]).exists()
